// SPDX-License-Identifier: Apache-2.0
// Linear and logistic regression with an L1 penalty, in double:
//
//     sum_i w_i l(y_i, z_i) + penalty sum_j s_j |beta_j|,    z_i = x_i beta + b
//
// over the rows x_i of a design matrix, s_j being the standard deviation of column j over the weighted
// rows and b free: as of columns that are standardised first. `penalty` is scikit-learn's 1/C
// (LogisticRegression) and, over the sum of the weights, Lasso's alpha. Solved by proximal Newton steps
// with cyclic coordinate descent inside (Friedman, Hastie & Tibshirani 2010, as glmnet; Yuan, Ho & Lin
// 2012) and a backtracking line search; each penalty goes on where the one before ended. One thread,
// always the same order: equal rows give equal bytes.
#ifndef COHORT_HOST_EVAL_L1_H
#define COHORT_HOST_EVAL_L1_H

#include "host/eval/solver.h"

typedef struct co_l1_problem {
  const co_design *rows;
  const float *target, *weight; // per row; those of weight 0 are left out
  co_linear_loss loss;          // squared or logistic
  double tolerance;       // of the subgradient, over the least penalty at which all beta are 0
  int64_t max_iterations; // Newton steps for a penalty
  const co_watch *watch;
} co_l1_problem;

typedef struct co_l1 co_l1;

// With all beta 0, and the intercept that fits best. `problem` and its rows must stay.
co_status co_l1_open(co_l1 **out, co_context *ctx, const co_l1_problem *problem);
void co_l1_close(co_l1 *l1); // NULL is legal
// The least penalty at which all beta are 0.
double co_l1_most(const co_l1 *l1);
// *converged false: after max_iterations.
co_status co_l1_solve(co_l1 *l1, double penalty, bool *converged);
// beta of the columns as they are; times co_l1_scales they are those of standardised ones.
const double *co_l1_coefficients(const co_l1 *l1);
const double *co_l1_scales(const co_l1 *l1);
const double *co_l1_intercept(const co_l1 *l1);
// Bytes a row that solving takes beside the matrix.
size_t co_l1_row_bytes(const co_design_columns *columns);

#endif
