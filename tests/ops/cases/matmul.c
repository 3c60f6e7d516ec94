// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include "kernels/matmul.h"

static int64_t terms(const co_op_desc *desc, int output) {
  (void)output;
  return co_row_product_of(desc).inner;
}

static const char *const cases[] = {
    "a=1x1x1 b=1x1x1",
    "a=7x1x13 b=7x1x13 transposed_b", // a number a row
    "a=3x5x7 b=3x7x4",
    "a=3x7x5 b=3x7x4 transposed_a",
    "a=3x5x7 b=3x4x7 transposed_b",
    "a=2x7x35 b=2x33x7 transposed_a transposed_b",
    "a=2x1x40 b=2x40x37",
    "a=2x19x40 b=2x40x1",
    OPS_SWEEP,
    "a=33x9x17 b=33x17x65",
    "a=5x33x64 b=5x33x64 transposed_b",
    "a=5x64x33 b=5x64x33 transposed_a",
    "a=2x130x3 b=2x3x130",
    NULL,
};

OPS_FAMILY(matmul) = {
    .op = CO_OP_MATMUL,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .terms = terms,
    .cases = cases,
};
