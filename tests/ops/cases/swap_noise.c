// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static const char *const cases[] = {
    "x:f32=1 rate=0.5",   "x:f32=7x33 rate=0.3", "x:i32=64x3 rate=0.9",  "x:f32=5x3x7 rate=0",
    "x:u8=9x17 rate=0.5", "x:i64=17x2 rate=0.2", "x:f32=513x5 rate=0.1", NULL,
};

static const char *const mix_cases[] = {
    "x=1x1x1x1 mixup=0.2",
    "x=7x3x5x2 mixup=1",
    "x=9x6x4x3 cutmix=1",
    "x=8x5x3x1 mixup=0.1 cutmix=0.5",
    OPS_SWEEP,
    "x=5x28x28x3 mixup=0.4 cutmix=1",
    NULL,
};

static int64_t mix_terms(const co_op_desc *desc, int output) {
  (void)desc;
  (void)output;
  return 2;
}

OPS_FAMILY(mix_rows) = {
    .op = CO_OP_MIX_ROWS, .linear = true, .terms = mix_terms, .cases = mix_cases};
OPS_FAMILY(swap_noise) = {.op = CO_OP_SWAP_NOISE, .exact = OPS_EXACT_ALWAYS, .cases = cases};
