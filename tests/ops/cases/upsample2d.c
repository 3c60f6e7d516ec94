// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static int64_t terms(const co_op_desc *desc, int output) {
  (void)output;
  return desc->op == CO_OP_UPSAMPLE2D ? 1 : desc->attr.stride[0] * desc->attr.stride[1];
}

static const char *const cases[] = {
    "x=1x1x1x1 stride=1",
    "x=1x1x1x1 stride=2",
    "x=2x3x2x5 stride=2",
    "x=2x3x2x16 stride=3x1",
    "x=2x5x7x33 stride=1x4",
    "x=16x7x7x32 stride=2", // enough for several threads
    OPS_SWEEP,
    "x=3x1x9x17 stride=2x3",
    "x=4x14x14x16 stride=2",
    "x=2x2x2x130 stride=5x4",
    NULL,
};

OPS_FAMILY(upsample2d) = {
    .op = CO_OP_UPSAMPLE2D,
    .exact = OPS_EXACT_ALWAYS,
    .linear = true,
    .terms = terms,
    .cases = cases,
};
