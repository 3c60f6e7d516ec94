// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static const char *const cases[] = {
    "a=1x1 b=1x1",
    "a=7x3 b=7x5",
    "a=33x1 b=33x17",
    "a=5x16 b=5x1",
    "a=3x4x6 b=3x4x2",
    "a=2x5x7x8 b=2x5x7x16",
    "a=3x2x3x33 b=3x2x3x5",
    "a=1021x13 b=1021x17", // enough for several threads
    NULL,
};

OPS_FAMILY(concat) = {
    .op = CO_OP_CONCAT,
    .exact = OPS_EXACT_ALWAYS,
    .linear = true,
    .cases = cases,
};

// The rule gives both gradients; here is one of them alone.
static const char *const backward_cases[] = {
    "dy=1x2 da=1x1",         "dy=1x2 db=1x1",           "dy=7x8 da=7x3",
    "dy=7x8 db=7x3",         "dy=2x5x7x24 da=2x5x7x16", "dy=2x5x7x24 db=2x5x7x16",
    "dy=1021x30 da=1021x13", "dy=1021x30 db=1021x17",   NULL,
};

OPS_FAMILY(concat_backward) = {
    .op = CO_OP_CONCAT_BACKWARD,
    .exact = OPS_EXACT_ALWAYS,
    .linear = true,
    .cases = backward_cases,
};
