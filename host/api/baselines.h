// SPDX-License-Identifier: Apache-2.0
// A model's baselines beside it: measured on the same rows, with paired differences.
#ifndef COHORT_HOST_API_BASELINES_H
#define COHORT_HOST_API_BASELINES_H

#include "host/api/api.h"
#include "host/eval/comparison.h"

// Adds "baselines": {NAME: {OUTPUT: {ID: value}}} and "paired": {NAME: {OUTPUT: {ID: {"difference",
// "interval"}}}}, the model's value less the baseline's; to the text, a table of both.
co_status co_compare_baselines(cohort_result *result, const co_comparison_request *request);

#endif
