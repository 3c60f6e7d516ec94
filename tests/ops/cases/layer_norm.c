// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include <math.h>

static int64_t terms(const co_op_desc *desc, int output) {
  const co_shape *x = &desc->in[0].shape;
  int64_t C = x->dim[x->rank - 1], rows = co_shape_count(x) / C;
  return desc->op == CO_OP_LAYER_NORM || output == 0 ? C : rows;
}

// x - mean has errors of the inputs' magnitude, divided by the smallest standard deviation.
static double magnitude(const ops_problem *p, int output) {
  (void)output;
  const co_shape *x = &p->desc.in[0].shape;
  int64_t C = x->dim[x->rank - 1], rows = co_shape_count(x) / C;
  double smallest = INFINITY, largest = 0;
  for (int64_t r = 0; r < rows; r++) {
    const double *row = (const double *)p->in[0] + r * C;
    double sum = 0, squares = 0;
    for (int64_t c = 0; c < C; c++)
      sum += row[c];
    for (int64_t c = 0; c < C; c++)
      squares += (row[c] - sum / (double)C) * (row[c] - sum / (double)C);
    smallest = fmin(smallest, squares / (double)C);
  }
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    largest = fmax(largest, ops_largest(p, i));
  return largest * (1 + 1 / sqrt(smallest + p->desc.attr.epsilon));
}

static const char *const cases[] = {
    "x=1x2 epsilon=1e-3 mean inverse",
    "x=3x1 epsilon=1e-3 mean inverse", // no variance
    "x=7x13 epsilon=1e-3 mean inverse",
    "x=7x13 epsilon=1e-3", // as in inference
    "x=5x11x3 epsilon=1e-2 mean inverse",
    "x=130x33 epsilon=1e-3 mean inverse",
    "x=3x2100 epsilon=1e-5 mean inverse",
    OPS_SWEEP,
    "x=128x256 epsilon=1e-3 mean inverse",
    "x=2x9x9x17 epsilon=1e-3 mean inverse",
    NULL,
};

OPS_FAMILY(layer_norm) = {
    .op = CO_OP_LAYER_NORM,
    .terms = terms,
    .magnitude = magnitude,
    .cases = cases,
};
