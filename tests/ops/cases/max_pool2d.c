// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static int64_t terms(const co_op_desc *desc, int output) {
  (void)output; // the windows over a pixel
  return desc->op == CO_OP_MAX_POOL2D_BACKWARD ? desc->attr.kernel[0] * desc->attr.kernel[1] : 1;
}

static const char *const cases[] = {
    "x=1x1x1x1 kernel=1 argmax",
    "x=2x4x4x3 kernel=2 stride=2 argmax",
    "x=2x4x4x3 kernel=2 stride=2", // inference keeps no argmax
    "x=1x5x7x1 kernel=2 stride=2 argmax",
    "x=3x6x6x16 kernel=3 stride=2 pads=1 argmax",
    "x=2x7x5x17 kernel=3 stride=1 pads=1 argmax", // windows overlap
    "x=2x8x5x10 kernel=8x5 argmax",               // the image
    "x=1x9x9x3 kernel=4x2 stride=3x1 pad_begin=1x0 pad_end=2x1 argmax",
    "x=2x3x3x16 kernel=3 stride=2 pads=2 argmax", // mostly padding
    "x=1x2x2x16 kernel=2 stride=5 argmax",
    "x=2x4x4x3 kernel=2 stride=2 relu argmax",
    "x=2x7x5x17 kernel=2 stride=1 relu argmax",
    "x=1x17x16x5 kernel=17x15 relu argmax", // as many positions as a byte can hold
    OPS_SWEEP,
    "x=2x7x7x33 kernel=3 stride=3 argmax",
    "x=5x28x28x32 kernel=2 stride=2 argmax",
    "x=3x6x6x16 kernel=3 stride=2 pads=1 relu argmax",
    "x=5x14x14x32 kernel=2 stride=2 relu argmax",
    NULL,
};

OPS_FAMILY(max_pool2d) = {
    .op = CO_OP_MAX_POOL2D,
    .exact = OPS_EXACT_ALWAYS,
    .linear = true,
    .flags = "argmax",
    .terms = terms,
    .cases = cases,
};

static const char *const average_cases[] = {
    "x=1x1x1x1 kernel=1",
    "x=2x4x4x3 kernel=2 stride=2",
    "x=2x7x5x17 kernel=3 stride=1 pads=1", // windows overlap
    "x=1x9x9x3 kernel=4x2 stride=3x1 pad_begin=1x0 pad_end=2x1",
    "x=1x3x3x16 kernel=3 stride=2 pads=2", // mostly padding
    "x=1x2x2x16 kernel=2 stride=5",
    OPS_SWEEP,
    "x=2x7x7x33 kernel=3 stride=3",
    "x=3x14x14x32 kernel=2 stride=2",
    NULL,
};

static int64_t average_terms(const co_op_desc *desc, int output) {
  (void)output;
  return desc->attr.kernel[0] * desc->attr.kernel[1];
}

OPS_FAMILY(average_pool2d) = {
    .op = CO_OP_AVERAGE_POOL2D,
    .linear = true,
    .terms = average_terms,
    .cases = average_cases,
};
