// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static const char *const cases[] = {
    "a=1", "a=15", "a=7x33", "a=2x3x5x7", "a=65x16", OPS_SWEEP, "a=3x14x14x16", "a=100003", NULL,
};

static const char *const scale_cases[] = {
    "x=1x1x1 s=1x1",
    "x=2x3x5x7 s=2x7",
    "x=3x4x33 s=3x33",
    "x=2x3x3x70 s=2x70",
    OPS_SWEEP,
    "x=5x9x9x16 s=5x16",
    NULL,
};

static int64_t terms(const co_op_desc *desc, int output) {
  const co_shape *x = &desc->in[0].shape;
  (void)output;
  return desc->op == CO_OP_SCALE_CHANNELS ? 1
                                          : co_shape_count(x) / (x->dim[0] * x->dim[x->rank - 1]);
}

OPS_FAMILY(scale_channels) = {.op = CO_OP_SCALE_CHANNELS,
                              .exact = OPS_EXACT_ON_INTEGERS,
                              .linear = true,
                              .terms = terms,
                              .cases = scale_cases};
OPS_FAMILY(multiply) = {.op = CO_OP_MULTIPLY, .exact = OPS_EXACT_ON_INTEGERS, .cases = cases};
