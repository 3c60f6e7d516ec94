// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/cases/list.h"
#include "tests/ops/ops_test.h"

static const char *const cases[] = {
    "x=1 mean=1 scale=1",
    "x=7x1",
    "x=17x3",
    "x=2x5x7x3",
    "x=2x5x7x3 mean=1 scale=1",
    "x=3x33",
    "x=9x28x28x1 wide_in",
    "x=15x16 wide_out",
    NULL,
};

// x and the mean may cancel.
static double magnitude(const ops_problem *p, int output) {
  (void)output;
  return (ops_largest(p, 0) + ops_largest(p, 1)) * ops_largest(p, 2);
}

const ops_family ops_normalize = {
    .op = CO_OP_NORMALIZE,
    .exact = OPS_EXACT_ON_INTEGERS,
    .magnitude = magnitude,
    .cases = cases,
};
