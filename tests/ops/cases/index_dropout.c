// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static const char *const cases[] = {
    "x:i32=1 rate=0",
    "x:i32=7x33 rate=0.3",
    "x:i32=5x3x7 rate=0.9",
    "x:i32=3x5x1 rate=0.5 max_length=9",
    "x:i32=9x4 rate=0.4 max_length=1000003",
    "x:i32=70 rate=0.4 draws=-1",
    "x:i32=1021x33 rate=0.1 max_length=34", // enough for several threads
    NULL,
};

OPS_FAMILY(index_dropout) = {.op = CO_OP_INDEX_DROPOUT, .exact = OPS_EXACT_ALWAYS, .cases = cases};
