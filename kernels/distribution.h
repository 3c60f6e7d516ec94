// SPDX-License-Identifier: Apache-2.0
// Distributions whose parameters a network predicts: minus the log-likelihood of a target with its
// slopes, and the expected value; the same on every device, in double.
// Shared with CUDA sources: common subset of C11 and C++17.
#ifndef COHORT_KERNELS_DISTRIBUTION_H
#define COHORT_KERNELS_DISTRIBUTION_H

#include <math.h>

#include "host/core/rng.h"
#include "kernels/descriptor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_MOST_PARAMETERS = 3 };

static inline CO_HOST_DEVICE int co_distribution_parameters(co_distribution distribution) {
  return distribution == CO_ZERO_INFLATED_LOGNORMAL ? 3 : 2;
}

// log(1 + exp(x)), and its slope.
static inline CO_HOST_DEVICE double co_softplus(double x) {
  return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}
static inline CO_HOST_DEVICE double co_logistic(double x) {
  const double e = exp(-fabs(x));
  return (x >= 0 ? 1 : e) / (1 + e);
}

// The slope of lgamma for x > 0: up to 10 by psi(x) = psi(x + 1) - 1 / x, from there on by its
// asymptotic series (Abramowitz & Stegun 6.3.18).
static inline CO_HOST_DEVICE double co_digamma(double x) {
  double sum = 0;
  for (; x < 10; x += 1)
    sum -= 1 / x;
  const double f = 1 / (x * x);
  return sum + log(x) - 0.5 / x -
         f * (1.0 / 12 -
              f * (1.0 / 120 -
                   f * (1.0 / 252 - f * (1.0 / 240 - f * (1.0 / 132 - f * 691.0 / 32760)))));
}

// Wang, Liu, Miao 2019: x = {logit of being above 0, mu, s}, of log t the deviation is softplus(s), at
// least the root of 1e-7.
static inline CO_HOST_DEVICE double co_lognormal_deviation(double s, double *slope) {
  const double least = 3.1622776601683794e-4, sigma = co_softplus(s);
  *slope = sigma > least ? co_logistic(s) : 0;
  return sigma > least ? sigma : least;
}

static inline CO_HOST_DEVICE double co_zero_inflated_lognormal(const double *x, double t,
                                                               double *slope) {
  double of_s;
  const double sigma = co_lognormal_deviation(x[2], &of_s);
  slope[1] = slope[2] = 0;
  slope[0] = co_logistic(x[0]) - (t > 0 ? 1 : 0);
  if (!(t > 0)) return co_softplus(x[0]);
  const double log_t = log(t), z = (log_t - x[1]) / sigma;
  slope[1] = -z / sigma;
  slope[2] = of_s * (1 - z * z) / sigma;
  return co_softplus(-x[0]) + log_t + log(sigma) + 0.91893853320467274178 + z * z / 2;
}

// x = {log of the mean, log of the shape r}: variance mean + mean^2 / r. Of r no more than e^12 is told
// from a Poisson distribution, no less than e^-12 from one that is almost always 0.
static inline CO_HOST_DEVICE double co_negative_binomial(const double *x, double t, double *slope) {
  const double least = -12, most = 12;
  const double log_r = x[1] < least ? least : x[1] > most ? most : x[1];
  const double mean = exp(x[0]), r = exp(log_r);
  const double log_fail = -co_softplus(x[0] - log_r), log_hit = -co_softplus(log_r - x[0]);
  slope[0] = r * (mean - t) / (r + mean);
  slope[1] = -r * (co_digamma(t + r) - co_digamma(r) + log_fail + (mean - t) / (r + mean));
  if (x[1] != log_r) slope[1] = 0;
  return lgamma(r) + lgamma(t + 1) - lgamma(t + r) - r * log_fail - (t > 0 ? t * log_hit : 0);
}

// Minus the log-likelihood of t; slope[k]: by parameter k. NaN where there can be no such t.
static inline CO_HOST_DEVICE double co_distribution_loss(co_distribution distribution,
                                                         const double *x, double t, double *slope) {
  const double loss = distribution == CO_ZERO_INFLATED_LOGNORMAL
                          ? co_zero_inflated_lognormal(x, t, slope)
                          : co_negative_binomial(x, t, slope);
  return t >= 0 ? loss : (double)NAN;
}

static inline CO_HOST_DEVICE double co_distribution_mean(co_distribution distribution,
                                                         const double *x) {
  double ignored;
  if (distribution == CO_NEGATIVE_BINOMIAL) return exp(x[0]);
  const double sigma = co_lognormal_deviation(x[2], &ignored);
  return co_logistic(x[0]) * exp(x[1] + sigma * sigma / 2);
}

#ifdef __cplusplus
}
#endif
#endif
