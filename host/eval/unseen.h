// SPDX-License-Identifier: Apache-2.0
// Of next items only those that a sample has not had yet: what is recommended to discover, and how
// sequences of which the last item is left out are measured.
#ifndef COHORT_HOST_EVAL_UNSEEN_H
#define COHORT_HOST_EVAL_UNSEEN_H

#include "host/eval/history.h"

typedef struct co_unseen {
  co_context *ctx;
  co_history history;
  float *masked; // room for (capacity, classes)
  int64_t capacity;
} co_unseen;

// CO_ERR_USAGE of a model that chooses from no events' items.
co_status co_unseen_check(const co_model *model);
co_status co_unseen_open(co_unseen *out, const co_model *model, co_dataset *dataset);
void co_unseen_close(co_unseen *unseen); // legal on a zeroed struct
// Copies probabilities (rows, classes), those of items that the samples had before their cut-offs
// being 0; borrowed until the next call.
co_status co_unseen_mask(co_unseen *unseen, const int64_t *samples, int64_t rows,
                         const float *probability, const float **out);

#endif
