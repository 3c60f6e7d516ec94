// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "tests/ops/ops_test.h"

static int64_t terms(const co_op_desc *desc, int output) {
  const co_shape *x = &desc->in[0].shape;
  (void)output;
  return x->dim[x->rank - 1];
}

static void adjust(ops_problem *p) {
  int64_t count = co_shape_count(&p->desc.in[0].shape);
  double *x = p->in[0];
  if (ops_problem_has_flag(p, "large")) // exp of these overflows f32
    for (int64_t i = 0; i < count; i++)
      x[i] = (double)(float)(300 * x[i]);
}

static const char *const cases[] = {
    "x=1x1",         "x=7x2",   "x=3x17",   "x=1x1000", "x=2x5x3x33",
    "x=13x10 large", OPS_SWEEP, "x=128x10", "x=16x16",  NULL,
};

OPS_FAMILY(softmax) = {
    .op = CO_OP_SOFTMAX,
    .terms = terms,
    .flags = "large",
    .adjust = adjust,
    .cases = cases,
};

// ---- the largest ----------------------------------------------------------------------------

// The first is allowed, of the others two in three, or of "few" the last alone; of "large" some are as
// small as can be.
static void adjust_arg_max(ops_problem *p) {
  const int allowed = ops_problem_input(p, "allowed");
  const int64_t K = p->desc.in[0].shape.dim[1], count = co_shape_count(&p->desc.in[0].shape);
  const bool few = ops_problem_has_flag(p, "few");
  for (int64_t k = 0; allowed >= 0 && k < K; k++)
    ((uint8_t *)p->in[allowed])[k] = few ? k == K - 1 : k % 3 != 1;
  for (int64_t i = 0; ops_problem_has_flag(p, "large") && i < count; i += 2)
    ((double *)p->in[0])[i] = -(double)INFINITY;
}

static const char *const arg_max_cases[] = {
    "x=1x1",
    "x=7x3",
    "x=5x2 allowed:u8=2",
    "x=33x17 allowed:u8=17",
    "x=9x33 allowed:u8=33 few",
    "x=16x10 large",
    "x=4x3000 allowed:u8=3000 large",
    OPS_SWEEP,
    "x=1000x130 allowed:u8=130",
    NULL,
};

OPS_FAMILY(arg_max) = {
    .op = CO_OP_ARG_MAX,
    .exact = OPS_EXACT_ALWAYS,
    .flags = "large few",
    .adjust = adjust_arg_max,
    .cases = arg_max_cases,
};

// ---- masked ------------------------------------------------------------------------------------

static int64_t row_length(const ops_problem *p, int64_t row) {
  const int lengths = ops_problem_input(p, "lengths");
  const co_shape *x = &p->desc.in[0].shape;
  int64_t rows = co_shape_count(x) / x->dim[0] / x->dim[x->rank - 1];
  return lengths < 0 ? x->dim[x->rank - 1] : ((const int32_t *)p->in[lengths])[row / rows];
}

// Rows of all lengths: all, none, and what lies between.
static void adjust_masked(ops_problem *p) {
  const int lengths = ops_problem_input(p, "lengths");
  const int64_t N = p->desc.in[0].shape.dim[0], T = terms(&p->desc, 0);
  adjust(p);
  for (int64_t n = 0; lengths >= 0 && n < N; n++)
    ((int32_t *)p->in[lengths])[n] = (int32_t)(n == 0   ? T
                                               : n == 1 ? 0
                                                        : (n * 5 + 7 * T - n / 3) % (T + 1));
}

// Of the gradient, a difference of dy and of a mean of it, both times y.
static double cancelled(const ops_problem *p, int output) {
  const int64_t T = terms(&p->desc, 0), rows = co_shape_count(&p->desc.in[0].shape) / T;
  const double *y = p->in[0], *dy = p->in[1];
  double largest = 0;
  (void)output;
  if (p->desc.op != CO_OP_MASKED_SOFTMAX_BACKWARD) return 0;
  for (int64_t r = 0; r < rows; r++, y += T, dy += T) {
    double sum = 0;
    for (int64_t t = 0; t < row_length(p, r); t++)
      sum += y[t] * fabs(dy[t]);
    for (int64_t t = 0; t < row_length(p, r); t++)
      largest = fmax(largest, y[t] * (fabs(dy[t]) + sum));
  }
  return largest;
}

static const char *const masked_cases[] = {
    "x=3x1 lengths=3",
    "x=7x2 lengths=7",
    "x=5x3x17 lengths=5",
    "x=3x2x4x5 lengths=3",
    "x=4x19",
    "x=13x10 lengths=13 large",
    "x=2x2500 lengths=2",
    OPS_SWEEP,
    "x=33x64 lengths=33",
    "x=9x7x130 lengths=9",
    NULL,
};

OPS_FAMILY(masked_softmax) = {
    .op = CO_OP_MASKED_SOFTMAX,
    .terms = terms,
    .flags = "large",
    .adjust = adjust_masked,
    .magnitude = cancelled,
    .cases = masked_cases,
};
