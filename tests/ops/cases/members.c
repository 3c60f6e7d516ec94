// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include <math.h>

// Of y and dx; gradients of parameters sum over rows.
static int64_t scale_terms(const co_op_desc *desc, int output) {
  if (desc->op == CO_OP_MEMBER_SCALE) return 1;
  return output == 0 ? desc->in[1].shape.dim[0] : desc->in[0].shape.dim[0];
}

static const char *const scale_cases[] = {
    "x=1x1 r=1x1",       "x=5x3 r=2x3",    "x=1x33 r=8x33",
    "x=130x7 r=3x7",     "x=67x40 r=8x40", OPS_SWEEP,
    "x=256x100 r=8x100", "x=64x16 r=1x16", NULL,
};

OPS_FAMILY(member_scale) = {
    .op = CO_OP_MEMBER_SCALE,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .terms = scale_terms,
    .cases = scale_cases,
};

static const char *const scale_backward_cases[] = {
    "x=5x3 r=2x3 dy=10x3 dr=2x3",
    "x=130x9 r=4x9 dy=520x9 dr=4x9",
    NULL,
};

OPS_FAMILY(member_scale_backward) = {
    .op = CO_OP_MEMBER_SCALE_BACKWARD,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .terms = scale_terms,
    .cases = scale_backward_cases,
};

static int64_t dense_terms(const co_op_desc *desc, int output) {
  const int64_t *dim = desc->in[1].shape.dim;
  if (desc->op == CO_OP_MEMBER_DENSE) return dim[1] + 1;
  return output == 0 ? dim[2] : desc->in[0].shape.dim[0] / dim[0];
}

static const char *const dense_cases[] = {
    "x=1x1 w=1x1x1 b=1x1",
    "x=6x5 w=3x5x2 b=3x2",
    "x=8x33 w=8x33x1 b=8x1",
    "x=280x17 w=4x17x1 b=4x1",
    "x=70x2 w=2x2x7 b=2x7",
    "x=9x2100 w=3x2100x2 b=3x2",
    OPS_SWEEP,
    "x=512x64 w=8x64x1 b=8x1",
    "x=130x20 w=1x20x3 b=1x3",
    NULL,
};

OPS_FAMILY(member_dense) = {
    .op = CO_OP_MEMBER_DENSE,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .terms = dense_terms,
    .cases = dense_cases,
};

static const char *const dense_backward_cases[] = {
    "x=6x5 w=3x5x2 dy=6x2 dw=3x5x2 db=3x2",
    "x=280x17 w=4x17x1 dy=280x1 dw=4x17x1 db=4x1",
    NULL,
};

OPS_FAMILY(member_dense_backward) = {
    .op = CO_OP_MEMBER_DENSE_BACKWARD,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .terms = dense_terms,
    .cases = dense_backward_cases,
};

static void adjust(ops_problem *p) {
  double *x = p->in[0];
  for (int64_t i = 0; ops_problem_has_flag(p, "large") && i < co_shape_count(&p->desc.in[0].shape);
       i++)
    x[i] = (double)(float)(20 * x[i]);
}

// The logarithm of a mean of numbers within 0 and 1.
static double mean_magnitude(const ops_problem *p, int output) {
  (void)output;
  return 1 + ops_largest(p, 0);
}

static int64_t mean_terms(const co_op_desc *desc, int output) {
  (void)output;
  return desc->attr.members + desc->in[0].shape.dim[1];
}

static const char *const mean_cases[] = {
    "x=1x1 members=1",
    "x=24x1 members=8",
    "x=24x1 members=8 sigmoid",
    "x=33x3 members=3 sigmoid large",
    "x=21x5 members=3 softmax",
    "x=8x33 members=4 softmax large",
    OPS_SWEEP,
    "x=4096x1 members=8 sigmoid",
    NULL,
};

OPS_FAMILY(member_mean) = {
    .op = CO_OP_MEMBER_MEAN,
    .flags = "large",
    .terms = mean_terms,
    .adjust = adjust,
    .magnitude = mean_magnitude,
    .cases = mean_cases,
};

static const char *const repeat_cases[] = {
    "x:f32=7 members=3 factor=0.25",
    "x:f32=5x4 members=8 factor=1",
    "x:i32=9 members=2",
    "x:i64=3x2 members=5",
    OPS_SWEEP,
    "x:f32=1000x3 members=8 factor=0.125",
    NULL,
};

OPS_FAMILY(repeat) = {.op = CO_OP_REPEAT, .exact = OPS_EXACT_ALWAYS, .cases = repeat_cases};
