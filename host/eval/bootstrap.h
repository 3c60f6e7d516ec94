// SPDX-License-Identifier: Apache-2.0
// How sure a metric is: the bootstrap over rows (Efron & Tibshirani 1993, ch. 13: percentile
// intervals). A draw takes as many rows as there are, with replacement; it is a function of seed and
// draw alone, so two models measured on the same rows see the same draws. Of entities with several
// rows (a customer at ten cut-offs) entities are drawn, each with all of its rows, which are alike.
#ifndef COHORT_HOST_EVAL_BOOTSTRAP_H
#define COHORT_HOST_EVAL_BOOTSTRAP_H

#include "host/core/watch.h"
#include "host/eval/scores.h"

#ifdef __cplusplus
extern "C" {
#endif

// Draws where none are asked for: 1000 of up to 20,000 rows; of more as many as cost the same, but at
// least 200.
int64_t co_bootstrap_draws(int64_t rows);

typedef struct co_bootstrap_options {
  int64_t draws; // 0 = co_bootstrap_draws
  uint64_t seed;
  const co_watch *watch; // may stop it (CO_INTERRUPTED); may be NULL
} co_bootstrap_options;

// The middle 95 %; NaN where fewer than half of the draws have a value (one class only, say), and of
// the metrics that are deviations (co_metric_class).
typedef struct co_interval {
  double low, high;
} co_interval;

// out[k]: of metrics[k]. Leaves the rows counted once each.
co_status co_bootstrap(co_interval *out, co_measured *measured,
                       const co_metric_class *const *metrics, int64_t count,
                       const co_bootstrap_options *options);

typedef struct co_paired {
  double value; // a - b
  co_interval interval;
  double p; // of no difference, two-sided: twice the smaller share of draws on either side of 0
} co_paired;

// Differences a - b of two outputs' scores of the same rows in the same order (CO_ERR_INTERNAL if
// their numbers or what is drawn of them differ): each draw takes the same rows of both. No interval of those that are unpaired.
co_status co_bootstrap_paired(co_paired *out, co_measured *a, co_measured *b,
                              const co_metric_class *const *metrics, int64_t count,
                              const co_bootstrap_options *options);

// The same difference at each draw, of which there are options->draws: out[k * draws + i] of metrics[k], NaN of
// those that are unpaired.
co_status co_bootstrap_differences(double *out, co_measured *a, co_measured *b,
                                   const co_metric_class *const *metrics, int64_t count,
                                   const co_bootstrap_options *options);
// What differences at draws, which are sorted, or their means over several pairs, say of the value's.
co_paired co_bootstrap_summary(double value, double *differences, int64_t draws);

#ifdef __cplusplus
}
#endif
#endif
