// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static const char *const cases[] = {
    "x:f32=1 rate=0.5",   "x:f32=7x33 rate=0.3", "x:i32=64x3 rate=0.9",  "x:f32=5x3x7 rate=0",
    "x:u8=9x17 rate=0.5", "x:i64=17x2 rate=0.2", "x:f32=513x5 rate=0.1", NULL,
};

OPS_FAMILY(swap_noise) = {.op = CO_OP_SWAP_NOISE, .exact = OPS_EXACT_ALWAYS, .cases = cases};
