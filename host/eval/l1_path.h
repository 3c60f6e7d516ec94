// SPDX-License-Identifier: Apache-2.0
// Which columns an L1 penalty keeps (the lasso; Tibshirani 1996): penalties from the least at which
// none is, in 50 equal steps of the logarithm down to a thousandth. The one that is chosen is the
// largest whose loss on validation rows is not above the least by more than one standard error of their
// difference, row by row.
#ifndef COHORT_HOST_EVAL_L1_PATH_H
#define COHORT_HOST_EVAL_L1_PATH_H

#include "host/eval/l1.h"

typedef struct co_l1_choice {
  double penalty, most; // the chosen one; the largest
  double loss, least;   // on validation rows, per weight: at it, and at the best
  int64_t kept;         // columns
  bool converged;       // at it
} co_l1_choice;

// `strength` (columns) becomes |coefficient| of standardised columns, 0 below 1e-5 of the most. Targets and weights of both are
// per row; some validation rows must have a weight.
co_status co_l1_choose(co_l1_choice *out, double *strength, co_context *ctx,
                       const co_l1_problem *training, const co_design *validation,
                       const float *target, const float *weight);

#endif
