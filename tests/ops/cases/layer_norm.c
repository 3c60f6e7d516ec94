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
    for (int64_t i = 0; i < parts.size && !p->desc.attr.rms; i++)
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
    "x=1x2 beta epsilon=1e-3 mean inverse",
    "x=3x1 beta epsilon=1e-3 mean inverse", // no variance
    "x=7x13 beta epsilon=1e-3 mean inverse",
    "x=7x13 beta epsilon=1e-3", // as in inference
    "x=5x11x3 beta epsilon=1e-2 mean inverse",
    "x=130x33 beta epsilon=1e-3 mean inverse",
    "x=3x2100 beta epsilon=1e-5 mean inverse",
    "x=2x2x3x6 groups=3 beta epsilon=1e-3 mean inverse",
    "x=3x3x2x5 groups=5 beta epsilon=1e-3 mean inverse", // each channel of a row
    "x=3x4x6 groups=1 beta epsilon=1e-3",
    "x=5x8 groups=2 beta epsilon=1e-2 mean inverse",
    "x=1x1 rms=1 epsilon=1e-3 inverse",
    "x=7x13 rms=1 epsilon=1e-3 inverse",
    "x=5x11x3 rms=1 epsilon=1e-6 inverse",
    "x=3x300 rms=1 epsilon=1e-2", // as in inference
    OPS_SWEEP,
    "x=130x33 rms=1 epsilon=1e-3 inverse",
    "x=4x9x8x16 groups=4 beta epsilon=1e-3 mean inverse",
    "x=128x256 beta epsilon=1e-3 mean inverse",
    "x=2x9x9x17 beta epsilon=1e-3 mean inverse",
    NULL,
};

OPS_FAMILY(layer_norm) = {
    .op = CO_OP_LAYER_NORM,
    .terms = terms,
    .magnitude = magnitude,
    .cases = cases,
};

// The rule gives the gradients that somebody needs; here are some of them alone.
static const char *const backward_cases[] = {
    "x=7x13 gamma mean=7 inverse=7 dy=7x13 epsilon=1e-3 dx=7x13",
    "x=7x13 gamma mean=7 inverse=7 dy=7x13 epsilon=1e-3 dx=7x13 dbeta=13",
    "x=4x3x6 gamma mean=4x2 inverse=4x2 dy=4x3x6 groups=2 epsilon=1e-3 dx=4x3x6 dgamma=6",
    "x=3x300 gamma inverse=3 dy=3x300 rms=1 epsilon=1e-3 dx=3x300",
    NULL,
};

OPS_FAMILY(layer_norm_backward) = {
    .op = CO_OP_LAYER_NORM_BACKWARD,
    .terms = terms,
    .magnitude = magnitude,
    .cases = backward_cases,
};
