// SPDX-License-Identifier: Apache-2.0
// A column whose values change places among samples: what a model makes of it then tells how much it
// relies on the column.
#ifndef COHORT_DATASETS_PERMUTE_H
#define COHORT_DATASETS_PERMUTE_H

#include "datasets/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_permuted {
  co_dataset *dataset;
  int64_t column;
  // What the dataset hands out otherwise, and a copy in its place; of texts, of the pointers.
  const void *data, *stored;
  char **text;
  void *copy, *stored_copy;
  char **text_copy;
} co_permuted;

// From now on the dataset hands out a copy of the column, until the end; no other thread may use it
// meanwhile, and none may keep what it was handed out before or will be. Not for columns of events.
co_status co_permuted_begin(co_permuted *out, co_dataset *dataset, const char *column);
// Deals the samples' own values out to them in another order, a function of seed and round. Of several
// samples of one row the last decides.
void co_permuted_shuffle(co_permuted *permuted, const int64_t *samples, int64_t count,
                         uint64_t seed, uint32_t round);
void co_permuted_end(co_permuted *permuted); // legal on a zeroed struct

#ifdef __cplusplus
}
#endif
#endif
