// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include <math.h>

static int64_t terms(const co_op_desc *desc, int output) {
  const co_shape *x = &desc->in[0].shape; // rows
  (void)output;
  if (desc->op == CO_OP_BATCH_NORM_INFERENCE_BACKWARD) return 1;
  return desc->op == CO_OP_BATCH_NORM_INFERENCE ? 1 : co_shape_count(x) / x->dim[x->rank - 1];
}

// x - mean has errors of the inputs' magnitude, divided by the smallest standard deviation.
static double magnitude(const ops_problem *p, int output) {
  (void)output;
  const co_shape *x = &p->desc.in[0].shape;
  int64_t C = x->dim[x->rank - 1], rows = co_shape_count(x) / C;
  const double *values = p->in[0];
  double smallest = INFINITY;
  for (int64_t c = 0; c < C; c++) {
    double sum = 0, squares = 0;
    for (int64_t r = 0; r < rows; r++)
      sum += values[r * C + c];
    for (int64_t r = 0; r < rows; r++)
      squares +=
          (values[r * C + c] - sum / (double)rows) * (values[r * C + c] - sum / (double)rows);
    smallest = fmin(smallest, squares / (double)rows);
  }
  double largest = 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    largest = fmax(largest, ops_largest(p, i));
  return largest * (1 + 1 / sqrt(smallest + p->desc.attr.epsilon));
}

static const char *const cases[] = {
    "x=2x1 epsilon=1e-3 momentum=0.99",
    "x=1x3 epsilon=1e-3 momentum=0.99", // one row: no variance
    "x=7x13 epsilon=1e-3 momentum=0.9",
    "x=2x9x9x17 epsilon=1e-3 momentum=1",
    "x=5x11x3 epsilon=1e-2 momentum=0.99",
    "x=7x13 epsilon=1e-3 momentum=0.9 relu",
    "x=2x9x9x17 epsilon=1e-3 momentum=0.9 relu",
    // with the pool behind it: usual, with a rest, overlapping, a relu that leaves little
    "x=2x4x4x8 epsilon=1e-3 momentum=0.9 kernel=2 stride=2 relu argmax",
    "x=3x5x7x3 epsilon=1e-3 momentum=0.9 kernel=2 stride=2 argmax",
    "x=2x7x6x16 epsilon=1e-3 momentum=0.9 kernel=3 stride=2 pads=1 relu argmax",
    "x=1x9x9x5 epsilon=1e-2 momentum=0.9 kernel=4x2 stride=3x1 pad_begin=1x0 pad_end=2x1 relu "
    "argmax",
    OPS_SWEEP,
    "x=128x10 epsilon=1e-5 momentum=0",
    "x=3x5x7x16 epsilon=1e-3 momentum=0.99",
    "x=4x14x14x33 epsilon=1e-3 momentum=0.5",
    "x=16x28x28x1 epsilon=1e-3 momentum=0.99",
    "x=3x5x7x16 epsilon=1e-3 momentum=0.9 relu",
    "x=5x14x14x32 epsilon=1e-3 momentum=0.9 kernel=2 stride=2 relu argmax",
    "x=1x17x16x6 epsilon=1e-3 momentum=0.9 kernel=17x16 stride=1 argmax", // more positions than a byte holds
    NULL,
};

OPS_FAMILY(batch_norm) = {
    .op = CO_OP_BATCH_NORM,
    .terms = terms,
    .flags = "argmax",
    .magnitude = magnitude,
    .cases = cases,
};

// With the relu that the planner joins to it; without, the forward operation's cases make them.
static const char *const relu_cases[] = {
    "x=2x1 gamma=1 mean=1 variance=1 dy=2x1 y=2x1 dx=2x1 dgamma=1 dbeta=1 epsilon=1e-3",
    "x=33x17 gamma=17 mean=17 variance=17 dy=33x17 y=33x17 dx=33x17 dgamma=17 dbeta=17 "
    "epsilon=1e-3",
    "x=3x5x7x16 gamma=16 mean=16 variance=16 dy=3x5x7x16 y=3x5x7x16 dx=3x5x7x16 dgamma=16 dbeta=16 "
    "epsilon=1e-2",
    OPS_SWEEP,
    "x=4x14x14x33 gamma=33 mean=33 variance=33 dy=4x14x14x33 y=4x14x14x33 dx=4x14x14x33 dgamma=33 "
    "dbeta=33 epsilon=1e-3",
    NULL,
};

OPS_FAMILY(batch_norm_relu_backward) = {
    .op = CO_OP_BATCH_NORM_BACKWARD,
    .terms = terms,
    .magnitude = magnitude,
    .cases = relu_cases,
};

// A variance near zero: epsilon decides.
static void adjust(ops_problem *p) {
  int variance = ops_problem_input(p, "running_variance");
  if (ops_problem_has_flag(p, "flat")) ((double *)p->in[variance])[0] = 0;
}

static const char *const inference_cases[] = {
    "x=1x1 epsilon=1e-3",
    "x=7x13 epsilon=1e-3 relu",
    "x=3x4x33 epsilon=1e-3 flat",
    "x=5x3 epsilon=1e-5 flat relu",
    OPS_SWEEP,
    "x=1x5x7x16 epsilon=1e-3",
    "x=2x9x9x17 epsilon=1e-3 relu",
    NULL,
};

OPS_FAMILY(batch_norm_inference) = {
    .op = CO_OP_BATCH_NORM_INFERENCE,
    .terms = terms,
    .flags = "flat",
    .adjust = adjust,
    .cases = inference_cases,
};

static const char *const fold_cases[] = {
    "w=1x1 axis=1 epsilon=1e-3",
    "w=17x5 b=5 axis=1 epsilon=1e-3",
    "w=3x3x2x7 axis=3 epsilon=1e-3 flat",
    "w=1x3x4x8 b=8 axis=3 epsilon=1e-5",
    "w=3x2x5x4 b=5 gamma=5 beta=5 running_mean=5 running_variance=5 axis=2 epsilon=1e-3",
    OPS_SWEEP,
    "w=3x3x16x33 b=33 axis=3 epsilon=1e-3",
    "w=4x4x6x6 axis=2 epsilon=1e-3",
    NULL,
};

OPS_FAMILY(fold_batch_norm) = {
    .op = CO_OP_FOLD_BATCH_NORM,
    .flags = "flat",
    .adjust = adjust,
    .cases = fold_cases,
};
