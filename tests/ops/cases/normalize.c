// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/cases/list.h"
#include "tests/ops/ops_test.h"

static const char *const cases[] = {
    "x=1 mean=1 scale=1", "x=7x1",   "x=17x3", "x=2x5x7x3", "x=2x5x7x3 mean=1 scale=1", "x=3x33",
    "x=9x28x28x1",        "x=15x16", NULL,
};

// (x - mean) scale may cancel, so that its errors are those of the inputs: below 1.
static double amplify(const ops_problem *p) {
  (void)p;
  return 4;
}

const ops_family ops_normalize = {
    .op = CO_OP_NORMALIZE,
    .exact = OPS_EXACT_ON_INTEGERS,
    .amplify = amplify,
    .cases = cases,
};
