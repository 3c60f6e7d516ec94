// SPDX-License-Identifier: Apache-2.0
// Whether two runs ended with the same bytes.
#ifndef COHORT_HOST_TRAIN_RUN_COMPARE_H
#define COHORT_HOST_TRAIN_RUN_COMPARE_H

#include "host/core/context.h"

typedef struct co_run_comparison {
  int64_t tensors, metric_lines, checkpoints; // equal ones, up to the first that differ
  char difference[640];                       // what differs first; "" if nothing does
} co_run_comparison;

// Compares model.h5 (tensor by tensor, then its bytes), scores.h5, metrics.jsonl (line by line) and the
// checkpoints (as model.h5) of two finished runs. What is in one alone is a difference.
co_status co_run_compare(co_run_comparison *out, co_context *ctx, const char *a, const char *b);

#endif
