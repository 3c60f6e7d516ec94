// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static const char *const cases[] = {
    "a=1", "a=15", "a=7x33", "a=2x3x5x7", "a=65x16", OPS_SWEEP, "a=3x14x14x16", "a=100003", NULL,
};

OPS_FAMILY(multiply) = {.op = CO_OP_MULTIPLY, .exact = OPS_EXACT_ON_INTEGERS, .cases = cases};
