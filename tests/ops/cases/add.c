// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static const char *const cases[] = {
    "a=1",  "a=1 relu", "a=16 relu",   "a=2x5x7x33",      "a=100003", OPS_SWEEP,
    "a=15", "a=17",     "a=7x13 relu", "a=3x8x8x16 relu", NULL,
};

OPS_FAMILY(add) = {
    .op = CO_OP_ADD,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .cases = cases,
};
