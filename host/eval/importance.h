// SPDX-License-Identifier: Apache-2.0
// What a model makes of its inputs: how much worse a metric gets when the values of one are permuted
// among the rows (Breiman 2001; Fisher, Rudin & Dominici 2019), so that it tells nothing and all
// else stays. Of inputs that tell the same, each alone may look unimportant.
#ifndef COHORT_HOST_EVAL_IMPORTANCE_H
#define COHORT_HOST_EVAL_IMPORTANCE_H

#include "host/eval/evaluation.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_importance {
  double mean, low, high; // over the repeats; NaN of an input of events, which is not permuted
} co_importance;

typedef struct co_importance_options {
  const char *metric; // "[OUTPUT.]ID"; NULL = by the first output's type
  int repeats;        // 0 = 3
  int64_t most_rows;  // evenly spaced ones of more; 0 = 20000
  uint64_t seed;
  const co_watch *watch;
  int workers;
} co_importance_options;

// The metric that is meant by none: ROC AUC of a binary, log loss of a category, RMSE of a number,
// else the loss.
const char *co_importance_metric(const co_model *model);

// out[i]: of the model's input i. The predictor must have been opened to evaluate.
co_status co_permutation_importance(co_importance *out, co_predictor *predictor,
                                    co_dataset *dataset, const int64_t *samples, int64_t count,
                                    const co_importance_options *options);

#ifdef __cplusplus
}
#endif
#endif
