// SPDX-License-Identifier: Apache-2.0
// Linear models by their convex objective, in double:
//
//     sum_i w_i l(y_i, z_i) + l2/2 |W|^2,    z_i = x_i W + b
//
// over the rows x_i of a design matrix, with coefficients W (columns, outputs) and free intercepts b.
// l2 is scikit-learn's 1/C (LogisticRegression, LinearSVC) and Ridge's alpha. Solved by Newton's
// method, whose steps come from conjugate gradients on Hessian-vector products (no matrix is made)
// with a diagonal preconditioner, and a backtracking line search (Lin, Weng & Keerthi 2008; Galli &
// Lin 2021, as liblinear 2.4x). One thread, always the same order: equal rows give equal bytes.
#ifndef COHORT_HOST_EVAL_SOLVER_H
#define COHORT_HOST_EVAL_SOLVER_H

#include "host/feed/design.h"

typedef enum co_linear_loss {
  CO_LINEAR_SQUARED,      // (z - y)^2 / 2
  CO_LINEAR_LOGISTIC,     // log(1 + e^z) - y z, y in [0, 1]
  CO_LINEAR_SOFTMAX,      // log sum_k e^z_k - z_y, y a class
  CO_LINEAR_SQUARED_HINGE // sum_k max(0, 1 - s_k z_k)^2, s = +-1: y > 0 of one output, else y = k
} co_linear_loss;

typedef struct co_linear_problem {
  const co_design *rows;
  const float *target, *weight; // per row; those of weight 0 are left out
  co_linear_loss loss;
  int64_t outputs; // 1, or classes
  double l2;
  double tolerance; // of the gradient's norm, over that at zero
  int64_t max_iterations;
  const co_watch *watch;
} co_linear_problem;

typedef struct co_linear_solution {
  double *coefficients, *intercepts; // (columns, outputs), (outputs): room of the caller's
  int64_t iterations;
  double objective, gradient; // the gradient's norm, over that at zero
  bool converged;
} co_linear_solution;

co_status co_linear_solve(co_linear_solution *solution, co_context *ctx,
                          const co_linear_problem *problem);
// Bytes a row that solving takes beside the matrix.
size_t co_linear_row_bytes(int64_t outputs);
// z (rows, outputs) of rows.
void co_linear_apply(const co_design *rows, int64_t outputs, const double *coefficients,
                     const double *intercepts, double *z);

#endif
