// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static const char *const cases[] = {
    "x=1 mean=1 scale=1",
    "x=7x1",
    "x=17x3",
    "x=2x5x7x3",
    "x=2x5x7x3 mean=1 scale=1",
    "x=9x28x28x1 wide_in",
    "x=15x16 wide_out",
    OPS_SWEEP,
    "x=3x33",
    NULL,
};

// x and the mean may cancel.
static double magnitude(const ops_problem *p, int output) {
  (void)output;
  return (ops_largest(p, 0) + ops_largest(p, 1)) * ops_largest(p, 2);
}

OPS_FAMILY(normalize) = {
    .op = CO_OP_NORMALIZE,
    .exact = OPS_EXACT_ON_INTEGERS,
    .magnitude = magnitude,
    .cases = cases,
};

// Every type, with and without index, and what an augmented image goes through.
static const char *const row_cases[] = {
    "table=1",
    "table:u8=100003",
    "table:u8=11x28 index=33",
    "table:i32=13x3 index=64 mean scale",
    "table:i64=13x2 index=3",
    "table:f32=9x17 index=15 mean scale",
    "table:f64=9x3 index=4",
    "table:f64=2x5x7x3 mean scale",
    "table=17x33 mean=1 scale=1",
    "table:u8=9x6x5x3 ids step rate=0.5 pad=2 mean scale",
    "table:u8=9x6x5x3 index=17 ids=17 step rate=0.5 pad=2 fill=3 mean scale",
    "table=5x8x8x16 index=7 ids=7 step pad=3 fill=-0.25",
    "table:f32=7x3x9x2 ids step rate=1 pad=1 mean=1 scale=1",
    "table:u8=4x3x3x17 ids step rate=0.5 pad=7 fill=2", // everything may be shifted out
    OPS_SWEEP,
    "table=15x300 index=16 mean scale",
    "table:u8=12x28x28x1 index=9 ids=9 step rate=0.5 mean scale",
    "table:u8=3x40x40x3 index=5 ids=5 step rate=0.5 pad=4 mean scale",
    NULL,
};

static double rows_magnitude(const ops_problem *p, int output) {
  (void)output;
  int mean = ops_problem_input(p, "mean"), scale = ops_problem_input(p, "scale");
  int64_t count = co_shape_count(&p->desc.in[0].shape);
  co_dtype dtype = p->desc.in[0].dtype;
  double largest = p->desc.attr.fill < 0 ? -p->desc.attr.fill : p->desc.attr.fill;
  for (int64_t i = 0; i < count; i++) {
    double value = dtype == CO_U8    ? (double)((const uint8_t *)p->in[0])[i]
                   : dtype == CO_I32 ? (double)((const int32_t *)p->in[0])[i]
                   : dtype == CO_I64 ? (double)((const int64_t *)p->in[0])[i]
                   : dtype == CO_F32 ? (double)((const float *)p->in[0])[i]
                                     : ((const double *)p->in[0])[i];
    if (value < 0) value = -value;
    if (value > largest) largest = value;
  }
  if (mean < 0) return largest;
  return (largest + ops_largest(p, mean)) * ops_largest(p, scale);
}

OPS_FAMILY(input_rows) = {
    .op = CO_OP_INPUT_ROWS,
    .magnitude = rows_magnitude,
    .cases = row_cases,
};
