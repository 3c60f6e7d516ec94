// SPDX-License-Identifier: Apache-2.0
// A smooth function's minimum within bounds: L-BFGS on the variables that are free (Nocedal & Wright,
// Numerical Optimization, 2006, ch. 7 and 16.7), with a backtracking search along the projected path.
#ifndef COHORT_HOST_EVAL_MINIMIZE_H
#define COHORT_HOST_EVAL_MINIMIZE_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_minimization {
  int64_t count;            // variables
  const double *low, *high; // per variable; equal = it stays
  int64_t max_iterations;
  double tolerance; // of the projected gradient's largest part
  // The value at x and its gradient; a value that is not finite is as good as a bad one.
  double (*value)(void *user, const double *x, double *gradient);
  void *user;
} co_minimization;

// Moves `x` to where the function is less; *value is that.
co_status co_minimize(double *value, double *x, co_context *ctx, const co_minimization *problem);

#ifdef __cplusplus
}
#endif
#endif
