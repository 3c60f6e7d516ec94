// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static const char *const cases[] = {
    "x=1 rate=0",
    "x=1x1 rate=0.5",
    "x=7x33 rate=0.3",
    "x=2x3x5x7 rate=0.9",
    "x=16x16 rate=0.1",
    "x=1009x17 rate=0.7",
    "x=3x5x7 rate=0.5 max_length=9",
    "x=5x2x3 rate=0.5 max_length=2",
    "x=9x4 rate=0.4 max_length=1000003",
    "x=2x300x17 rate=0.3 max_length=301",
    "x=5x3x2x7 rate=0.4 draws=7", // channels
    "x=3x2x300 rate=0.4 draws=300",
    "x=9x3x2x5 rate=0.5 draws=1", // rows
    "x=2x300 rate=0.5 draws=1",
    OPS_SWEEP,
    "x=3x5 rate=0.5",
    "x=128x17 rate=0.25",
    "x=5x8x8x16 rate=0.2",
    NULL,
};

OPS_FAMILY(dropout) = {
    .op = CO_OP_DROPOUT,
    .linear = true,
    .cases = cases,
};
