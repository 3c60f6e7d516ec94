// SPDX-License-Identifier: Apache-2.0
// The scores of all rows of a split, collected on the host for metrics that need them.
#ifndef COHORT_HOST_EVAL_SCORES_H
#define COHORT_HOST_EVAL_SCORES_H

#include "host/graph/metric/metric.h"
#include "models/model.h"

// Of one output of one number a row.
typedef struct co_scores {
  double *score, *target, *weight;
  int64_t count, capacity; // rows that count; room
} co_scores;

co_status co_scores_create(co_scores *scores, co_context *ctx, int64_t rows);
void co_scores_free(co_scores *scores, co_context *ctx);
// Adds rows; those of weight 0 are left out.
void co_scores_add(co_scores *scores, const float *score, const float *target, const float *weight,
                   int64_t rows);
// Orders the rows by falling score (the scores' own order from then on).
co_status co_scores_rank(co_scores *scores, co_context *ctx, co_scored_rows *out);

#endif
