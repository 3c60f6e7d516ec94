// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include <math.h>

#include "kernels/norm.h"

static int64_t terms(const co_op_desc *desc, int output) {
  const co_norm_parts parts = co_norm_parts_of(desc);
  if (desc->op == CO_OP_LAYER_NORM || output == 0) return parts.size;
  return co_shape_count(&desc->in[0].shape) / parts.channels;
}

// x - mean has errors of the inputs' magnitude, divided by the smallest standard deviation.
static double magnitude(const ops_problem *p, int output) {
  (void)output;
  const co_norm_parts parts = co_norm_parts_of(&p->desc);
  const double *x = p->in[0];
  double smallest = INFINITY, largest = 0;
  for (int64_t k = 0; k < parts.count; k++) {
    double sum = 0, squares = 0, size = (double)parts.size;
    for (int64_t i = 0; i < parts.size; i++)
      sum += x[co_norm_place(&parts, k, i)];
    for (int64_t i = 0; i < parts.size; i++) {
      const double off = x[co_norm_place(&parts, k, i)] - sum / size;
      squares += off * off;
    }
    smallest = fmin(smallest, squares / size);
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
    "x=2x2x3x6 groups=3 epsilon=1e-3 mean inverse",
    "x=3x3x2x5 groups=5 epsilon=1e-3 mean inverse", // each channel of a row
    "x=3x4x6 groups=1 epsilon=1e-3",
    "x=5x8 groups=2 epsilon=1e-2 mean inverse",
    OPS_SWEEP,
    "x=4x9x8x16 groups=4 epsilon=1e-3 mean inverse",
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
