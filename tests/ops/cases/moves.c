// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

// Operations that only move values.

static const char *const reshape_cases[] = {
    "x=1x1 shape=1",       "x=7x4x4x3 shape=7x48",     "x=6x35 shape=6x5x7",
    "x=2x3x5 shape=30",    "x=12 shape=2x2x3",         "x=5x2x2x17 shape=5x4x17",
    "x:i64=3x4 shape=4x3", "x:u8=3x5x7 shape=3x7x5x1", NULL,
};

OPS_FAMILY(reshape) = {
    .op = CO_OP_RESHAPE,
    .exact = OPS_EXACT_ALWAYS,
    .linear = true,
    .cases = reshape_cases,
};

static const char *const gather_cases[] = {
    "table=1 index:i64=1",
    "table=5x3 index:i64=17",
    "table=100x2x3x5 index:i64=7",
    "table:u8=11x28 index:i64=33",
    "table:u8=7x1 index:i64=1",
    "table:i32=13 index:i64=64",
    "table:i64=13x2 index:i64=3",
    "table:f32=9x17 index:i64=15",
    "table:f64=9x3 index:i64=4",
    "table:u8=7x12 index:i32=19",
    "table:f32=9 index:i32=30",
    "table:u8=9x5 index:i32=1",
    "table=6x4x2 index:i32=11",
    OPS_SWEEP,
    "table:u8=50x5x5x3 index:i64=16",
    "table=1000x16 index:i64=128",
    NULL,
};

OPS_FAMILY(gather) = {
    .op = CO_OP_GATHER,
    .exact = OPS_EXACT_ALWAYS,
    .cases = gather_cases,
};

// Rows of all lengths, anywhere in the table but for the first, which is at its end.
static void adjust_events(ops_problem *p) {
  int64_t E = p->desc.in[0].shape.dim[0], N = p->desc.in[1].shape.dim[0];
  int64_t T = p->desc.attr.shape.dim[0], most = T < E ? T : E;
  for (int64_t n = 0; n < N; n++) {
    int32_t length = (int32_t)(n == 0 ? most : n * 7 % (most + 1));
    ((int32_t *)p->in[2])[n] = length;
    ((int64_t *)p->in[1])[n] = n == 0 ? E - length : n * 13 % (E - length + 1);
  }
}

static const char *const gather_events_cases[] = {
    "table=1 begin=1 lengths=1 shape=1",
    "table=7x3 begin=5 lengths=5 shape=4",
    "table=20x2x5 begin=9 lengths=9 shape=31",
    "table:u8=11x3 begin=17 lengths=17 shape=5",
    "table:i32=100 begin=33 lengths=33 shape=7",
    "table:i64=9x2 begin=4 lengths=4 shape=3",
    "table:f64=9x3 begin=4 lengths=4 shape=2",
    "table=300x16 begin=64 lengths=64 shape=40",
    NULL,
};

OPS_FAMILY(gather_events) = {
    .op = CO_OP_GATHER_EVENTS,
    .exact = OPS_EXACT_ALWAYS,
    .adjust = adjust_events,
    .cases = gather_events_cases,
};

static const char *const cast_cases[] = {
    "x:u8=1",        "x:u8=17x3",    "x:u8=2x5x7x3", "x:u8=100003", "x:i32=15",
    "x:i32=7x16",    "x:i64=1",      "x:i64=33",     "x:f32=17",    "x:f64=5x7",
    "x=77 wide_out", "x=77 wide_in", NULL,
};

OPS_FAMILY(cast) = {
    .op = CO_OP_CAST,
    .exact = OPS_EXACT_ALWAYS,
    .cases = cast_cases,
};

static const char *const flip_cases[] = {
    "x=1x1x1x1 rate=0.5",
    "x=1x3x4x1 rate=1",
    "x=5x2x7x3 rate=0.5",
    "x=33x3x8x3 rate=0.5",
    "x=17x1x5x16 rate=0 wide_in",
    "x=9x28x28x1 rate=0.3 wide_out",
    OPS_SWEEP,
    "x=7x5x33x17 rate=0.7",
    NULL,
};

OPS_FAMILY(flip) = {
    .op = CO_OP_FLIP,
    .exact = OPS_EXACT_ALWAYS,
    .cases = flip_cases,
};

static const char *const shifted_crop_cases[] = {
    "x=1x1x1x1 pad=0",
    "x=3x1x1x1 pad=2 fill=-1",
    "x=16x5x7x3 pad=2",
    "x=17x8x8x1 pad=4 fill=0.5",
    "x=5x3x9x16 pad=3 fill=-0.25",
    "x=9x28x28x1 pad=2 wide_in",
    "x=9x5x4x3 pad=2 wide_out",
    "x=4x3x3x17 pad=7 fill=2", // everything may be shifted out
    NULL,
};

OPS_FAMILY(shifted_crop) = {
    .op = CO_OP_SHIFTED_CROP,
    .exact = OPS_EXACT_ALWAYS,
    .cases = shifted_crop_cases,
};

static int64_t augment_terms(const co_op_desc *desc, int output) {
  (void)desc;
  (void)output;
  return 8; // four pixels, and colours around the middle
}

static const char *const augment_cases[] = {
    "x=1x1x1x1",
    "x=3x5x4x2", // nothing to do
    "x=9x6x7x3 least_area=0.3",
    "x=9x7x5x1 rotation=180",
    "x=5x4x4x3 cutout=3 fill=-1",
    "x=5x4x4x1 brightness=0.3 contrast=0.5",
    "x=5x9x8x3 least_area=0.5 rotation=30 brightness=0.2 contrast=0.2 cutout=4",
    "x=3x5x4x2 rotation=20 wide_in",
    "x=3x5x4x2 least_area=0.8 wide_out",
    OPS_SWEEP,
    "x=4x28x28x3 least_area=0.2 rotation=45 brightness=0.5 contrast=0.9 cutout=9",
    NULL,
};

OPS_FAMILY(augment) = {
    .op = CO_OP_AUGMENT,
    .terms = augment_terms,
    .cases = augment_cases,
};

static const char *const reorder_cases[] = {
    "x=1", "x=1x1x1x1", "x=2x7x5x3", "x=3x3x16x33", "x=17x33", "x:i32=2x3x5x7", NULL,
};

OPS_FAMILY(reorder) = {
    .op = CO_OP_REORDER,
    .exact = OPS_EXACT_ALWAYS,
    .cases = reorder_cases,
};
