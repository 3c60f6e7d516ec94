// SPDX-License-Identifier: Apache-2.0
// Submissions on their way through a program, with the batches of a pipeline that they borrow: the
// one queue that training, evaluation and scoring share. Used like this: while there is room, take
// batches and submit them; else collect the oldest, read its results, release it.
#ifndef COHORT_HOST_FEED_SUBMISSION_QUEUE_H
#define COHORT_HOST_FEED_SUBMISSION_QUEUE_H

#include "host/feed/pipeline.h"

// One submission.
typedef struct co_queued_submission {
  co_view views[CO_SUBMISSION_STEPS];
  co_program_batch batches[CO_SUBMISSION_STEPS]; // the same, for the program
  int64_t count;
  bool log, decide; // the owner's
} co_queued_submission;

typedef struct co_submission_queue {
  co_program *program;   // borrowed
  co_pipeline *pipeline; // borrowed
  co_queued_submission items[CO_SUBMISSION_DEPTH];
  int first, count;
} co_submission_queue;

bool co_submission_queue_has_room(const co_submission_queue *queue);
// Takes up to `most` batches of one shape for a new item at the end; *out is NULL if there is none
// left. What is taken is the queue's to give back, whatever happens then.
co_status co_submission_queue_take(co_submission_queue *queue, int64_t most,
                                   co_queued_submission **out);
// Waits for the oldest item's results; its batches stay until it is released.
co_status co_submission_queue_collect(co_submission_queue *queue, co_submission_result *result,
                                      const co_queued_submission **item);
void co_submission_queue_release(co_submission_queue *queue); // the oldest
// Waits for all and gives all batches back, without a look at the results.
void co_submission_queue_drain(co_submission_queue *queue);

#endif
