// SPDX-License-Identifier: Apache-2.0
// The standard normal distribution, exact in both tails.
#ifndef COHORT_HOST_TUNE_NORMAL_H
#define COHORT_HOST_TUNE_NORMAL_H

#include <math.h>

static inline double co_normal_below(double x) {
  return 0.5 * erfc(-x * 0.70710678118654752440);
}

static inline double co_normal_density(double x) {
  return exp(-0.5 * x * x) * 0.39894228040143267794;
}

// Of a < b: the share between them.
static inline double co_normal_between(double a, double b) {
  return a > 0 ? co_normal_below(-a) - co_normal_below(-b)
               : co_normal_below(b) - co_normal_below(a);
}

#endif
