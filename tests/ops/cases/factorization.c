// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include <math.h>

static int64_t terms(const co_op_desc *desc, int output) {
  const int64_t I = desc->in[1].shape.dim[0], D = desc->in[1].shape.dim[1];
  if (desc->op == CO_OP_FACTORIZATION) return I + D;
  return output == 0 ? D : desc->in[0].shape.dim[0];
}

// The sums of magnitudes that cancel: squares of sums over features, and their products with dy.
static double magnitude(const ops_problem *p, int output) {
  const int64_t I = p->desc.in[1].shape.dim[0], D = p->desc.in[1].shape.dim[1];
  const double *x = p->in[0], *v = p->in[1];
  double largest = 0, most = 0;
  for (int64_t n = 0; n < p->desc.in[0].shape.dim[0]; n++) {
    double pairs = 0;
    for (int64_t d = 0; d < D; d++) {
      double sum = 0;
      for (int64_t i = 0; i < I; i++)
        sum += fabs(v[i * D + d] * x[n * I + i]);
      pairs += sum * sum;
      most = fmax(most, sum);
    }
    largest = fmax(largest, pairs);
  }
  if (p->desc.op == CO_OP_FACTORIZATION) return output == 0 ? largest : most;
  return most * ops_largest(p, 3) * (output == 0 ? ops_largest(p, 1) : ops_largest(p, 0));
}

static const char *const cases[] = {
    "x=1x1 v=1x1 sums",
    "x=7x2 v=2x1 sums",
    "x=5x3 v=3x4",
    "x=130x9 v=9x5 sums",
    "x=33x26 v=26x8 sums",
    "x=3x40 v=40x40 sums",
    OPS_SWEEP,
    "x=256x60 v=60x8 sums",
    NULL,
};

OPS_FAMILY(factorization) = {
    .op = CO_OP_FACTORIZATION,
    .exact = OPS_EXACT_ON_INTEGERS,
    .terms = terms,
    .magnitude = magnitude,
    .cases = cases,
};

static const char *const backward_cases[] = {
    "x=5x3 v=3x4 sums=5x4 dy=5x1 dv=3x4",
    "x=130x9 v=9x5 sums=130x5 dy=130x1 dv=9x5",
    NULL,
};

OPS_FAMILY(factorization_backward) = {
    .op = CO_OP_FACTORIZATION_BACKWARD,
    .terms = terms,
    .magnitude = magnitude,
    .cases = backward_cases,
};
