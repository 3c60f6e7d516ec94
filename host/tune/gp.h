// SPDX-License-Identifier: Apache-2.0
// A Gaussian process over trials' places: kernel Matérn 5/2 (Rasmussen & Williams 2006, 4.2.1) of
//
//     r^2 = sum_i w_i d_i^2,   d_i the difference of places, of choices 1 where they differ
//
// times a scale, and noise; these by their largest posterior probability under the priors of Optuna
// 5.0.0's GP sampler.
#ifndef COHORT_HOST_TUNE_GP_H
#define COHORT_HOST_TUNE_GP_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_gp {
  co_context *ctx;
  int64_t rows, columns;
  double *x; // (rows, columns)
  double *y;
  const bool *is_choice;        // per column; borrowed
  double *weight, scale, noise; // w_i; noise is a variance
  double *factor;               // (rows, rows): lower, K + noise I = L L'
  double *alpha;                // (K + noise I)^-1 y
  double *work;
} co_gp;

// With room for `rows`; x and y are the caller's to fill, `rows` to set.
co_status co_gp_create(co_gp *gp, co_context *ctx, int64_t rows, int64_t columns,
                       const bool *is_choice);
void co_gp_free(co_gp *gp); // legal on a zeroed struct
// Fits weights, scale and noise, of many rows to the first CO_GP_FITTED of them, and factors.
enum { CO_GP_FITTED = 128 };
co_status co_gp_fit(co_gp *gp);
// Factors with what there is; false where that cannot be.
bool co_gp_factor(co_gp *gp);
// Mean and variance (without noise) at x; their gradients, (columns), where `mean_gradient` is not
// NULL, of choices 0.
void co_gp_at(const co_gp *gp, const double *x, double *mean, double *variance,
              double *mean_gradient, double *variance_gradient);
// log E[max(0, best - f)] of f normal, with its derivatives by mean and standard deviation (which may
// be NULL); exact where the improvement is next to impossible, too (Ament et al., NeurIPS 2023).
double co_log_improvement(double mean, double deviation, double best, double *by_mean,
                          double *by_deviation);

#ifdef __cplusplus
}
#endif
#endif
