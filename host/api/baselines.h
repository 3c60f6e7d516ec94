// SPDX-License-Identifier: Apache-2.0
// A model's baselines beside it: measured on the same rows, with paired differences.
#ifndef COHORT_HOST_API_BASELINES_H
#define COHORT_HOST_API_BASELINES_H

#include "host/api/api.h"
#include "host/eval/evaluation.h"

typedef struct co_comparison_request {
  const co_predictor *predictor;
  const co_evaluation *evaluation; // of it; keeps its scores
  co_dataset *dataset;
  const int64_t *samples;
  const co_scoring_options *scoring;
  const co_bootstrap_options *bootstrap; // draws < 0: without differences
} co_comparison_request;

// Adds "baselines": {NAME: {OUTPUT: {ID: value}}} and "paired": {NAME: {OUTPUT: {ID: {"difference",
// "interval"}}}}, the model's value less the baseline's; to the text, a table of both.
co_status co_compare_baselines(cohort_result *result, const co_comparison_request *request);

#endif
