// SPDX-License-Identifier: Apache-2.0
// Rows that cannot be told before all are scored, since their place among the others is wanted: their
// numbers lie in a temporary file meanwhile, in memory is a float a row (400 MB of 100 million rows).
#ifndef COHORT_HOST_EVAL_RANKING_H
#define COHORT_HOST_EVAL_RANKING_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_ranking co_ranking;
// `width`: numbers of a row; `beside`: a file in whose folder the temporary may lie. Room for `rows`.
co_status co_ranking_create(co_ranking **out, co_context *ctx, int64_t rows, int64_t width,
                            const char *beside);
void co_ranking_free(co_ranking *ranking); // NULL is legal
// Adds a row by its score, a finite number, at most `rows` of them.
co_status co_ranking_add(co_ranking *ranking, float score, const float *row);
co_status co_ranking_sort(co_ranking *ranking); // when all are in
// The rows as they were added, each with its rank: 1 and the number of rows with higher scores.
co_status co_ranking_next(co_ranking *ranking, float *row, int64_t *rank);

#ifdef __cplusplus
}
#endif
#endif
