// SPDX-License-Identifier: Apache-2.0
// Rows that cannot be told before all are scored, since their places among the others are wanted. Their
// numbers lie in a temporary file meanwhile; places are found by an external merge sort, so that some
// tens of MB are held of any number of rows.
#ifndef COHORT_HOST_EVAL_RANKING_H
#define COHORT_HOST_EVAL_RANKING_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_ranking co_ranking;
typedef struct co_ranking_options {
  int64_t columns;    // of scores by which each row is placed
  int64_t width;      // numbers of a row that are kept for it
  size_t memory;      // bytes that may be held; 0 = 32 MB
  const char *beside; // a file in whose folder temporaries may lie
} co_ranking_options;
co_status co_ranking_create(co_ranking **out, co_context *ctx, const co_ranking_options *options);
void co_ranking_free(co_ranking *ranking); // NULL is legal
// Adds a row by its scores, finite numbers, one a column.
co_status co_ranking_add(co_ranking *ranking, const float *scores, const float *row);
co_status co_ranking_sort(co_ranking *ranking); // when all are in
// The rows as they were added, each with its rank in every column: 1 and the number of rows with higher
// scores there.
co_status co_ranking_next(co_ranking *ranking, float *row, int64_t *ranks);

#ifdef __cplusplus
}
#endif
#endif
