// SPDX-License-Identifier: Apache-2.0
// The columns of a table of scores.
#ifndef COHORT_HOST_EVAL_SCORE_COLUMNS_H
#define COHORT_HOST_EVAL_SCORE_COLUMNS_H

#include "datasets/dataset.h"
#include "models/model.h"

// Names, in the arena: the dataset's key (or "row"), then what each output's class writes.
// CO_ERR_DATA if two are equal.
co_status co_score_columns(char ***out, int64_t *count, co_arena *arena, const co_model *model,
                           const co_dataset *dataset);

#endif
