// SPDX-License-Identifier: Apache-2.0
// Attributions of some rows, all of them kept, for pictures of what a model relies on.
#ifndef COHORT_HOST_EVAL_SHARES_H
#define COHORT_HOST_EVAL_SHARES_H

#include "host/eval/attribution.h"

typedef struct co_shares {
  const char *method; // "integrated gradients", …
  const co_output_feature *output;
  int64_t parts, rows;
  const char **names; // per part
  double *shares;     // (rows, parts)
  double *mean;       // per part, of their absolute values
  double *values;   // (rows, parts): of numbers, binaries and dates what the row has; NaN of others
  double reference; // the mean of the rows' references
  double rest;      // the largest of what shares lack of, or have beyond, a row's value
} co_shares;

// Of the first output that can be attributed, on at most `most` of the samples, evenly chosen; everything
// is the arena's. CO_ERR_USAGE where there is no such output; else as co_attribution_open.
co_status co_shares_measure(co_shares *out, co_arena *arena, co_predictor *predictor,
                            co_dataset *dataset, int64_t most, const co_attribution_run *run);

#endif
