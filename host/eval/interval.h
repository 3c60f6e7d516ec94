// SPDX-License-Identifier: Apache-2.0
// Intervals of means.
#ifndef COHORT_HOST_EVAL_INTERVAL_H
#define COHORT_HOST_EVAL_INTERVAL_H

#include <stdint.h>

// The t with P(|T| <= t) = level, 0 < level < 1, for Student's distribution with `df` >= 1 degrees of
// freedom.
double co_student_t(double level, int64_t df);

typedef struct co_mean {
  double mean, low, high;
  double deviation; // s, with count - 1
} co_mean;
// Mean of `count` values and its t-interval: mean ± t s / √count, s with count - 1. All NaN where a
// value is; of one value there is neither interval nor s (NaN).
co_mean co_mean_interval(const double *values, int64_t count, double level);

#endif
