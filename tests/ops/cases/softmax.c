// SPDX-License-Identifier: Apache-2.0
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
