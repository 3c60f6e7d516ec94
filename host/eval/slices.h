// SPDX-License-Identifier: Apache-2.0
// The rows of an evaluation in groups by the value of a column: does the model serve all alike?
#ifndef COHORT_HOST_EVAL_SLICES_H
#define COHORT_HOST_EVAL_SLICES_H

#include "host/eval/evaluation.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_slice {
  char *name; // the class, "[0, 12.5)" of a number, "(missing)"
  int64_t rows;
  co_scores *scores; // per output
} co_slice;

typedef struct co_slices {
  co_context *ctx;
  int64_t count, outputs;
  co_slice *slice; // those that have rows
} co_slices;

// Whether the column makes groups; CO_ERR_USAGE, naming --by, where it is unknown or does not.
co_status co_slices_check(const co_dataset *dataset, const char *column);
// Groups the rows `samples` that were evaluated (scores must be kept): by class of a binary or
// category, by fifths of a number's values.
co_status co_slices_create(co_slices *out, const co_evaluation *evaluation, co_dataset *dataset,
                           const char *column, const int64_t *samples, int64_t count);
void co_slices_free(co_slices *slices); // legal on a zeroed struct

// Of a binary output's group, beside the metrics: shares of positive rows, of rows taken for
// positive, of negative rows taken for positive; and the mean score.
typedef struct co_slice_rates {
  double rate, selected, false_positive_rate, mean_score;
} co_slice_rates;
co_slice_rates co_slice_rates_of(const co_binary_scores *scores);

#ifdef __cplusplus
}
#endif
#endif
