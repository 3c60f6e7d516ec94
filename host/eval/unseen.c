// SPDX-License-Identifier: Apache-2.0
#include "host/eval/unseen.h"

#include <string.h>

co_status co_unseen_check(const co_model *model) {
  if (co_history_is_there(model)) return CO_OK;
  return co_fail(CO_ERR_USAGE, "--exclude-seen is of models that choose the next of events' items");
}

co_status co_unseen_open(co_unseen *out, const co_model *model, co_dataset *dataset) {
  *out = (co_unseen){.ctx = model->ctx};
  CO_RETURN_IF_FAILED(co_unseen_check(model));
  return co_history_open(&out->history, model, dataset);
}

void co_unseen_close(co_unseen *u) {
  if (u->ctx) co_free(u->ctx, u->masked);
  *u = (co_unseen){.ctx = NULL};
}

co_status co_unseen_mask(co_unseen *u, const int64_t *samples, int64_t rows,
                         const float *probability, const float **out) {
  const co_history *h = &u->history;
  size_t bytes = (size_t)(rows * h->classes) * sizeof(float);
  if (rows > u->capacity) {
    float *room = co_realloc(u->ctx, u->masked, bytes);
    if (!room) return CO_ERR_MEMORY;
    u->masked = room;
    u->capacity = rows;
  }
  memcpy(u->masked, probability, bytes);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t event = h->begin[samples[i]]; event < h->end[samples[i]]; event++)
      if (h->item[event] >= 0) u->masked[i * h->classes + h->item[event]] = 0;
  *out = u->masked;
  return CO_OK;
}
