// SPDX-License-Identifier: Apache-2.0
#include "host/feed/submission_queue.h"

#include <string.h>

bool co_submission_queue_has_room(const co_submission_queue *q) {
  return q->count < co_program_depth(q->program);
}

co_status co_submission_queue_take(co_submission_queue *q, int64_t most,
                                   co_queued_submission **out) {
  co_queued_submission *item = &q->items[(q->first + q->count) % CO_SUBMISSION_DEPTH];
  *out = NULL;
  memset(item, 0, sizeof *item);
  q->count++; // from here on its batches are given back with it
  for (bool done = false; item->count < most;) {
    co_view *view = &item->views[item->count];
    CO_RETURN_IF_FAILED(co_pipeline_next(q->pipeline, view, &done));
    if (done) break;
    item->batches[item->count++] = (co_program_batch){view->inputs, view->staged};
    if (!co_pipeline_goes_on(q->pipeline, view)) break;
  }
  if (item->count)
    *out = item;
  else
    q->count--;
  return CO_OK;
}

co_status co_submission_queue_collect(co_submission_queue *q, co_submission_result *result,
                                      const co_queued_submission **item) {
  *item = &q->items[q->first];
  return co_program_collect(q->program, result); // where it fails, batches may still be read
}

void co_submission_queue_release(co_submission_queue *q) {
  const co_queued_submission *item = &q->items[q->first];
  for (int64_t i = 0; i < item->count; i++)
    co_pipeline_release(q->pipeline, &item->views[i]);
  q->first = (q->first + 1) % CO_SUBMISSION_DEPTH;
  q->count--;
}

void co_submission_queue_drain(co_submission_queue *q) {
  co_program_drain(q->program);
  while (q->count)
    co_submission_queue_release(q);
}
