// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/cases/list.h"
#include "tests/ops/ops_test.h"

// What columns of tables go through.

// Codes on both sides of the map, and those that are furthest from it.
static void adjust_codes(ops_problem *p) {
  int64_t count = co_shape_count(&p->desc.in[0].shape), K = p->desc.in[1].shape.dim[0];
  int32_t *x = p->in[0];
  for (int64_t i = 0; i < count; i++)
    x[i] = (int32_t)(i * 7 % (K + 4)) - 3;
  x[count - 1] = INT32_MAX;
  if (count > 1) x[1] = INT32_MIN;
}

static const char *const lookup_cases[] = {
    "x:i32=1 map=1",
    "x:i32=2 map=1",
    "x:i32=17 map=5",
    "x:i32=33x3 map=16",
    "x:i32=5x3x4 map=40",
    "x:i32=9x17 map=2",
    "x:i32=1021x33 map=300", // enough for several threads
    NULL,
};

const ops_family ops_lookup = {
    .op = CO_OP_LOOKUP,
    .exact = OPS_EXACT_ALWAYS,
    .adjust = adjust_codes,
    .cases = lookup_cases,
};
