// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static const char *const cases[] = {
    "a=1x1 b=1x1",
    "a=33x1 b=33x17",
    "a=3x4x6 b=3x4x2",
    "a=3x2x3x33 b=3x2x3x5",
    "a=1021x13 b=1021x17", // enough for several threads
    "a=2x3x4 b=2x3x1 c=2x3x6 d=2x3x2 e=2x3x3",
    "a=3x1 b=3x2 c=3x3 d=3x4 e=3x5 f=3x6 g=3x7 h=3x8 i=3x9 j=3x10 k=3x11 l=3x12 m=3x13 n=3x14 "
    "o=3x15 p=3x16",
    OPS_SWEEP,
    "a=7x3 b=7x5",
    "a=5x16 b=5x1",
    "a=2x5x7x8 b=2x5x7x16",
    "a=7x3 b=7x5 c=7x1",
    "a=257x11 b=257x13 c=257x9 d=257x33",
    NULL,
};

OPS_FAMILY(concat) = {
    .op = CO_OP_CONCAT,
    .exact = OPS_EXACT_ALWAYS,
    .linear = true,
    .cases = cases,
};

// The rule gives all gradients; here are some of them alone.
static const char *const backward_cases[] = {
    "dy=1x2 parts=1x1 da=1x1",
    "dy=1x2 parts=1x1 db=1x1",
    "dy=2x5x7x24 parts=16x8 da=2x5x7x16",
    "dy=2x5x7x24 parts=8x16 db=2x5x7x16",
    "dy=1021x30 parts=13x17 da=1021x13",
    "dy=1021x30 parts=13x17 db=1021x17",
    "dy=5x10 parts=2x5x3 da=5x2 dc=5x3",
    "dy=2x3x21 parts=1x2x3x4x5x6 db=2x3x2 de=2x3x5 df=2x3x6",
    OPS_SWEEP,
    "dy=7x8 parts=3x5 da=7x3",
    "dy=7x8 parts=3x5 db=7x5",
    "dy=5x10 parts=2x5x3 db=5x5",
    "dy=257x136 parts=1x2x3x4x5x6x7x8x9x10x11x12x13x14x15x16 da=257x1 dh=257x8 dp=257x16",
    NULL,
};

OPS_FAMILY(concat_backward) = {
    .op = CO_OP_CONCAT_BACKWARD,
    .exact = OPS_EXACT_ALWAYS,
    .linear = true,
    .cases = backward_cases,
};
