// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/cases/list.h"
#include "tests/ops/ops_test.h"

#include <math.h>

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

// Every third value is missing (of "all" every one, of "none" no one), and others are what is easily
// taken for missing.
static void adjust_missing(ops_problem *p) {
  int64_t count = co_shape_count(&p->desc.in[0].shape);
  double *x = p->in[0];
  if (ops_problem_has_flag(p, "none")) return;
  for (int64_t i = 0; i < count; i++)
    if (ops_problem_has_flag(p, "all") || i % 3 == 1) x[i] = (double)NAN;
  if (ops_problem_has_flag(p, "all")) return;
  x[0] = (double)INFINITY;
  if (count > 3) x[3] = -(double)INFINITY;
  if (count > 5) x[5] = -0.0;
}

static const char *const impute_cases[] = {
    "x=1 all flags",   "x=17",
    "x=7x1 flags",     "x=33x5",
    "x=33x5 flags",    "x=5x3x7",
    "x=17x16 fill=1",  "x=9x33 fill=1 flags",
    "x=5x17 all",      "x=5x17 none flags",
    "x=1021x31 flags", // enough for several threads
    "x=100003 fill=1", NULL,
};

const ops_family ops_impute = {
    .op = CO_OP_IMPUTE,
    .exact = OPS_EXACT_ALWAYS,
    .flags = "all none",
    .adjust = adjust_missing,
    .cases = impute_cases,
};
