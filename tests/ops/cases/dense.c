// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "tests/ops/ops_test.h"

static int64_t terms(const co_op_desc *desc, int output) {
  switch (desc->op) {
  case CO_OP_DENSE: // I and the bias
    return desc->in[1].shape.dim[0] + 1;
  case CO_OP_DENSE_BACKWARD_DATA: // O
    return desc->in[1].shape.dim[1];
  default: // N, for dw and db
    (void)output;
    return desc->in[1].shape.dim[0];
  }
}

// A NaN reaches every output of its row but through relu, and every gradient of the weights that the
// row has part in.
static void adjust(ops_problem *p) {
  if (!ops_problem_has_flag(p, "nan")) return;
  double *x = p->in[CO_DENSE_x];
  x[co_shape_count(&p->desc.in[CO_DENSE_x].shape) / 2] = NAN;
}

static const char *const cases[] = {
    "x=1x1 w=1x1",
    "x=1x1 w=1x1 b=1 relu",
    "x=1x17 w=17x10 b=10",
    "x=7x13 w=13x11 b=11 relu",
    "x=2x3 w=3x1 b=1",
    "x=33x1 w=1x33 b=33",
    "x=17x33 w=33x31 b=31 relu wide_out",
    "x=16x40 w=40x24 wide_out",
    "x=3x2x5x3 w=30x10 b=10", // a fused flatten
    "x=1x1x1x16 w=16x3 b=3 relu",
    "x=2x3x5 w=15x4 b=4",
    "x=1x1 w=1x1 relu mask",
    "x=7x13 w=13x11 relu mask",
    "x=3x2x5x3 w=30x256 b=256 relu mask",
    "x=7x13 w=13x11 b=11 nan",
    "x=7x13 w=13x11 b=11 relu nan",
    "x=7x13 w=13x11 relu nan",
    "x=7x13 w=13x11 b=11 relu mask nan",
    "x=33x70 w=70x1 b=1 relu",
    "x=70x129 w=129x1",
    "x=1030x33 w=33x40 b=40", // many rows of a narrow layer
    OPS_SWEEP,
    "x=300x257 w=257x1 b=1",
    "x=7x13 w=13x11",
    "x=16x16 w=16x16 b=16",
    "x=17x33 w=33x31 b=31 relu",
    "x=128x784 w=784x10 b=10",
    "x=31x257 w=257x65 b=65",
    "x=5x7x7x17 w=833x10 b=10",
    "x=4x4x4x16 w=256x33",
    "x=17x33 w=33x129 b=129 relu mask",
    NULL,
};

OPS_FAMILY(dense) = {
    .op = CO_OP_DENSE,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .flags = "nan",
    .terms = terms,
    .adjust = adjust,
    .cases = cases,
};

// An operation of graphs: a product with a table's rows.
static const char *const table_cases[] = {"dy=1x1 w=1x1", "dy=7x11 w=13x11", "dy=33x10 w=257x10",
                                          NULL};

OPS_FAMILY(dense_backward_data) = {.op = CO_OP_DENSE_BACKWARD_DATA,
                                   .exact = OPS_EXACT_ON_INTEGERS,
                                   .linear = true,
                                   .terms = terms,
                                   .cases = table_cases};

static int64_t masked_terms(const co_op_desc *desc, int output) {
  int64_t O = desc->in[1].shape.dim[1], N = desc->in[0].shape.dim[0];
  return output == 0 ? O : O + N;
}

static void adjust_mask(ops_problem *p) {
  uint8_t *mask = p->in[2];
  int64_t count = co_shape_count(&p->desc.in[2].shape);
  for (int64_t i = 0; i < count; i++)
    mask[i] &= 1;
}

static const char *const masked_cases[] = {
    "dy=1x1 w=1x1 mask=1x1 dx=1x1",
    "dy=7x11 w=13x11 mask=7x13 dx=7x13",
    "dy=7x11 w=13x11 mask=7x13 dx=7x13 db=13",
    "dy=33x10 w=256x10 mask=33x256 dx=33x256 db=256",
    OPS_SWEEP,
    "dy=17x31 w=129x31 mask=17x129 dx=17x129 db=129",
    "dy=128x10 w=127x10 mask=128x127 dx=128x127 db=127",
    NULL,
};

OPS_FAMILY(dense_relu_backward) = {
    .op = CO_OP_DENSE_RELU_BACKWARD,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .terms = masked_terms,
    .adjust = adjust_mask,
    .cases = masked_cases,
};
