// SPDX-License-Identifier: Apache-2.0
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

OPS_FAMILY(lookup) = {
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

OPS_FAMILY(impute) = {
    .op = CO_OP_IMPUTE,
    .exact = OPS_EXACT_ALWAYS,
    .flags = "all none",
    .adjust = adjust_missing,
    .cases = impute_cases,
};

// "hot": nearly every position has one row. "wild": some have none.
static void adjust_rows(ops_problem *p) {
  for (int t = 0; p->desc.has_in >> 2 * t & 1; t++) {
    int64_t count = co_shape_count(&p->desc.in[2 * t].shape),
            V = p->desc.in[2 * t + 1].shape.dim[0];
    int32_t *index = p->in[2 * t];
    const int32_t outside[4] = {-1, (int32_t)V, INT32_MAX, INT32_MIN};
    for (int64_t i = 0; i < count; i++) {
      if (ops_problem_has_flag(p, "hot") && i % 16 != 3) index[i] = (int32_t)(V / 2);
      if (ops_problem_has_flag(p, "wild") && i % 5 == 2) index[i] = outside[i / 5 % 4];
    }
  }
}

static int64_t position_terms(const co_op_desc *desc, int output) {
  return desc->op == CO_OP_EMBEDDING_BACKWARD ? co_shape_count(&desc->in[2 * output].shape) : 1;
}

static const char *const embedding_cases[] = {
    "index=1 table=1x1",
    "index=7 table=3x5",
    "index=33x3 table=17x8 wide_out",
    "index=5x7x2 table=2x33",
    "index=128x5 table=9x16 hot",
    "index=17 table=5x300",
    "index=77 table=300x7",        // several rows of the table to a block of threads,
    "index=700x3 table=260x3 hot", // more positions than it takes down at once
    "index=6007 table=5x3 wild",
    "index=9x1 table=3x2 index2=9x1 table2=5x3 wide_out",
    "index=6x1 table=2x7 index2=33x2 table2=300x3 index3=9 table3=4x1 wild",
    "index=5 table=2x1 index2=5 table2=3x2 index3=5 table3=4x3 index4=5 table4=5x4 index5=5 "
    "table5=6x5 index6=5 table6=7x6 index7=5 table7=8x7 index8=5 table8=9x8 hot",
    NULL,
};

OPS_FAMILY(embedding) = {
    .op = CO_OP_EMBEDDING,
    .exact = OPS_EXACT_ALWAYS,
    .linear = true,
    .flags = "hot wild",
    .terms = position_terms,
    .adjust = adjust_rows,
    .cases = embedding_cases,
};
