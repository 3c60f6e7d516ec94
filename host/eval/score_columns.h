// SPDX-License-Identifier: Apache-2.0
// The columns of a table of scores, and its lines.
#ifndef COHORT_HOST_EVAL_SCORE_COLUMNS_H
#define COHORT_HOST_EVAL_SCORE_COLUMNS_H

#include "datasets/dataset.h"
#include "models/model.h"

// Names, in the arena: the dataset's key (or "row"), then what each output's class writes.
// CO_ERR_DATA if two are equal. `top` > 0: of outputs of one of several classes the so many likeliest
// instead, OUTPUT_1, OUTPUT_1_score, …; CO_ERR_USAGE if there is no such output.
co_status co_score_columns(char ***out, int64_t *count, co_arena *arena, const co_model *model,
                           const co_dataset *dataset, int64_t top);
// Adds text as a cell of CSV: in quotes where a separator, quote or line end is inside (RFC 4180).
void co_score_add_text(co_text *line, const char *text);
// Adds what an output's class makes of its scores of a row, a comma before each cell: classes are
// decided by `row`, numbers are those of `shown`. CO_ERR_MODEL naming the sample if a score is not
// finite.
co_status co_score_add_output(co_text *line, const co_output_feature *output, const float *row,
                              const float *shown, int64_t sample, int64_t top);

#endif
