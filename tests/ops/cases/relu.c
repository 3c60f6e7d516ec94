// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static int64_t bias_terms(const co_op_desc *desc, int output) {
  const co_shape *y = &desc->in[0].shape; // rows, for db
  return output == 1 ? co_shape_count(y) / y->dim[y->rank - 1] : 1;
}

static const char *const cases[] = {
    "x=1",  "x=17", "x=2x3x5x7", "x=100003",     OPS_SWEEP,
    "x=15", "x=16", "x=7x33",    "x=3x14x14x16", NULL,
};

OPS_FAMILY(relu) = {
    .op = CO_OP_RELU,
    .exact = OPS_EXACT_ALWAYS,
    .linear = true,
    .cases = cases,
};

static const char *const dropped_cases[] = {
    "y=1 dy=1 dx=1 rate=0.5",
    "y=7x33 dy=7x33 dx=7x33 rate=0.3",
    OPS_SWEEP,
    "y=1009x17 dy=1009x17 dx=1009x17 rate=0.9",
    NULL,
};

OPS_FAMILY(relu_backward_dropped) = {
    .op = CO_OP_RELU_BACKWARD,
    .linear = true,
    .cases = dropped_cases,
};

static const char *const dropped_bias_cases[] = {
    "y=33x17 dy=33x17 dx=33x17 db=17 rate=0.2",
    OPS_SWEEP,
    "y=3x5x7x16 dy=3x5x7x16 dx=3x5x7x16 db=16 rate=0.7",
    NULL,
};

OPS_FAMILY(relu_bias_backward_dropped) = {
    .op = CO_OP_RELU_BIAS_BACKWARD,
    .linear = true,
    .terms = bias_terms,
    .cases = dropped_bias_cases,
};

static const char *const bias_cases[] = {
    "y=1x1 dy=1x1 dx=1x1 db=1",
    "y=1x17 dy=1x17 dx=1x17 db=17",
    "y=128x1 dy=128x1 dx=128x1 db=1",
    "y=3x5x7x16 dy=3x5x7x16 dx=3x5x7x16 db=16",
    "y=1021x3 dy=1021x3 dx=1021x3 db=3",
    OPS_SWEEP,
    "y=33x10 dy=33x10 dx=33x10 db=10",
    "y=2x13x11x33 dy=2x13x11x33 dx=2x13x11x33 db=33",
    NULL,
};

OPS_FAMILY(relu_bias_backward) = {
    .op = CO_OP_RELU_BIAS_BACKWARD,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .terms = bias_terms,
    .cases = bias_cases,
};
