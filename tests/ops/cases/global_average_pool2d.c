// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static int64_t terms(const co_op_desc *desc, int output) {
  (void)output;
  if (desc->op != CO_OP_GLOBAL_AVERAGE_POOL2D) return 1;
  return desc->in[0].shape.dim[1] * desc->in[0].shape.dim[2];
}

static const char *const cases[] = {
    "x=1x1x1x1",    "x=2x1x1x5", "x=2x7x7x33", "x=1x13x11x17",
    "x=17x3x4x130", // more channels than threads of a block hold
    OPS_SWEEP,      "x=3x2x5x1", "x=5x7x7x16", "x=2x31x29x3",  NULL,
};

OPS_FAMILY(global_average_pool2d) = {
    .op = CO_OP_GLOBAL_AVERAGE_POOL2D,
    .linear = true,
    .terms = terms,
    .cases = cases,
};
