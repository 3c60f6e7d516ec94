// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static int64_t terms(const co_op_desc *desc, int output) {
  (void)desc;
  (void)output;
  return 1;
}

static const char *const cases[] = {
    "x=1x1x1x1 pads=0",
    "x=1x1x1x3 pads=1",
    "x=2x3x4x5 pad_begin=1x0 pad_end=0x2",
    "x=2x4x5x16 pad_begin=-1x-2 pad_end=-2x0", // cropped
    "x=2x5x4x17 pad_begin=2x-1 pad_end=-3x2",  // moved
    OPS_SWEEP,
    "x=4x14x14x16 pads=2x3",
    "x=3x9x9x33 pads=-4",
    NULL,
};

OPS_FAMILY(pad2d) = {
    .op = CO_OP_PAD2D,
    .exact = OPS_EXACT_ALWAYS,
    .linear = true,
    .terms = terms,
    .cases = cases,
};
