// SPDX-License-Identifier: Apache-2.0
// What features learn from data: fitted on training rows only, stored with the model.
#ifndef COHORT_HOST_FEED_FIT_FEATURES_H
#define COHORT_HOST_FEED_FIT_FEATURES_H

#include "datasets/dataset.h"
#include "models/feature.h"

// Fills every input's fitted arrays from the training rows that are learned from: each feature by one of `workers`
// threads, its rows in ascending order, so that the number of threads changes nothing. What a class
// refuses is CO_ERR_DATA naming column and row; of several, the first feature's.
co_status co_fit_features(co_model *model, co_dataset *dataset, int workers);

// The training rows that are learned from, ascending: *out is NULL where none of the split's is left
// out, else to be freed. Which are, decide values of features that drop rows, by what those have
// learned from all training rows (which overwrites what is fitted).
co_status co_training_rows(co_model *model, co_dataset *dataset, int workers, int64_t **out,
                           int64_t *count);

// What was found in the rows of an input, by kind (models/feature.h).
typedef struct co_input_counts {
  int64_t of[CO_COUNT_ROOM];
} co_input_counts;

// CO_ERR_DATA naming column and row if an input has a value that its feature does not take. `counts`:
// per input of the model, filled in; or NULL.
co_status co_check_inputs(const co_model *model, co_dataset *dataset, const int64_t *samples,
                          int64_t count, co_input_counts *counts);
// {INPUT: {KIND: count}}, those that are not 0, and the same as text; `counts` NULL: of the training
// rows, as the model has them.
void co_render_input_counts(co_json *json, co_text *text, const co_model *model,
                            const co_input_counts *counts);
// One of them.
void co_render_input_count(co_json *json, co_text *text, const char *input,
                           const co_input_counts *counts);

#endif
