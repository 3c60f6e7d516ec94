// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include <math.h>

// "holes": rows of weight 0, whose values must not matter.
static void adjust(ops_problem *p) {
  const int64_t rows = p->desc.in[0].shape.dim[0];
  const int64_t size = co_shape_count(&p->desc.in[0].shape) / rows;
  double *x = p->in[0], *weight = p->in[1];
  for (int64_t n = 0; ops_problem_has_flag(p, "holes") && n < rows; n += 3) {
    weight[n] = 0;
    x[n * size] = (double)NAN;
  }
}

static int64_t terms(const co_op_desc *desc, int output) {
  (void)output; // sums over rows are f64 and add nothing
  return co_shape_count(&desc->in[0].shape) / desc->in[0].shape.dim[0];
}

static const char *const cases[] = {
    "x=1x1", "x=7x3 holes", "x=33 holes", "x=5x3x7", "x=1000x19 holes", "x=4x2100", NULL,
};

OPS_FAMILY(row_means) = {
    .op = CO_OP_ROW_MEANS,
    .linear = true,
    .flags = "holes",
    .terms = terms,
    .adjust = adjust,
    .cases = cases,
};
