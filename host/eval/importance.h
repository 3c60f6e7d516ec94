// SPDX-License-Identifier: Apache-2.0
// Permutation importance (Breiman 2001; Fisher, Rudin & Dominici 2019): how much worse a metric becomes
// when the values of one column change places among the rows that are scored. It tells what the model
// uses, not what there is to know: of two columns that say the same neither may count.
#ifndef COHORT_HOST_EVAL_IMPORTANCE_H
#define COHORT_HOST_EVAL_IMPORTANCE_H

#include "host/eval/evaluation.h"

typedef struct co_importance {
  double mean;  // how much worse the metric became: positive = the column helps
  double error; // standard error of the mean over the repeats
} co_importance;

typedef struct co_importance_options {
  co_predictor *predictor; // opened to evaluate
  co_dataset *dataset;     // co_permuted_begin says how it may be used meanwhile
  const int64_t *samples;
  int64_t count;
  const char *metric; // "[OUTPUT.]ID"; NULL = the loss
  int repeats;        // at least 2
  uint64_t seed;
  co_scoring_options scoring;
} co_importance_options;

// The metric as it is. An unknown metric is CO_ERR_USAGE.
co_status co_importance_base(double *out, const co_importance_options *options);
// Of one column that is not of events.
co_status co_importance_of(co_importance *out, const co_importance_options *options, double base,
                           const char *column);

#endif
