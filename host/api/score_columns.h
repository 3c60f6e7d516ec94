// SPDX-License-Identifier: Apache-2.0
// The columns of a table of scores.
#ifndef COHORT_HOST_API_SCORE_COLUMNS_H
#define COHORT_HOST_API_SCORE_COLUMNS_H

#include "datasets/dataset.h"
#include "models/model.h"

// Values of an output in a row: its classes, its numbers.
int64_t co_score_width(const co_output_feature *output);
// Names, in the arena: the dataset's key (or "row"), then per output OUTPUT, OUTPUT_score and
// OUTPUT:CLASS… for categories; OUTPUT for a number; OUTPUT_0… for a vector. CO_ERR_DATA if two are
// equal.
co_status co_score_columns(char ***out, int64_t *count, co_arena *arena, const co_model *model,
                           const co_dataset *dataset);

#endif
