// SPDX-License-Identifier: Apache-2.0
// Items as their table tells of them: what the decoder `catalogue` scores. Arrays have a row for each class of
// the output, those behind the classes of the training for items that came later.
#ifndef COHORT_MODELS_CATALOGUE_H
#define COHORT_MODELS_CATALOGUE_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_CATALOGUE_COLUMNS = 64, CO_CATALOGUE_EDGES = 65 };

typedef struct co_catalogue {
  const co_input_feature *items; // the events whose classes are the output's
  const co_input_feature *columns[CO_CATALOGUE_COLUMNS]; // events' columns that the items decide
  int64_t column_count, number_count;
  int64_t classes, new_classes; // all, and how many of them training did not know
  int64_t embedding_size, units;
  double unknown_rate;
  co_fitted
      *rows; // i32 (classes): row of the table of items; 0 = no training row has it as its target
  co_fitted *numbers; // f32 (classes, 2 a number): its place among quantiles, within ±sqrt(3), and
                      // whether it is missing; NULL without numbers
  co_fitted
      *edges; // f32 (numbers, CO_CATALOGUE_EDGES): these quantiles, of items that training knew
  co_fitted
      *codes[CO_CATALOGUE_COLUMNS]; // of a category, i32 (classes): code + 1; 0 = missing, or no
                                    // item that training knew has it. NULL of a number
} co_catalogue;

// Which items are a training row's target: `counts` (classes).
void co_catalogue_take_counts(co_catalogue *catalogue, const int64_t *counts);
// What column k says of items that a dataset has, f32 or i32 (classes); after the counts. CO_ERR_MEMORY.
co_status co_catalogue_fit_column(co_catalogue *catalogue, co_context *ctx, int64_t k,
                                  const void *values);
// The same of the new ones: f32 or i32 (new_classes); NULL = missing. After what was fitted is there.
void co_catalogue_take_column(co_catalogue *catalogue, int64_t k, const void *values);

#ifdef __cplusplus
}
#endif
#endif
