// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

// Gradients of some rows of tables.

// Few ids, so that they come often; "hot": nearly all are one; "few": the list is not full, "empty":
// nothing is in it; "wild": some are of no row.
static void adjust_list(ops_problem *p) {
  const int input = ops_problem_input(p, "ids"), counts = ops_problem_input(p, "count");
  const int64_t R = p->desc.in[input].shape.dim[0];
  int32_t *ids = p->in[input], *count = p->in[counts];
  for (int64_t i = 0; i < R; i++) {
    ids[i] = (int32_t)((uint32_t)ids[i] % (uint32_t)(R < 3 ? R : R / 3) * 70001);
    if (ops_problem_has_flag(p, "hot") && i % 16 != 3) ids[i] = 7;
    if (ops_problem_has_flag(p, "wild") && i % 5 == 2) ids[i] = i % 2 ? -1 : INT32_MIN;
  }
  count[0] = (int32_t)R;
  if (ops_problem_has_flag(p, "few")) count[0] = (int32_t)(R / 2);
  if (ops_problem_has_flag(p, "empty")) count[0] = 0;
}

static const char *const append_cases[] = {
    "index=1 dy=1x1 ids=1 rows=1x1 count=1",
    "index=7 dy=7x3 ids=9 rows=9x3 count=1",
    "index=5x3 dy=5x3x4 ids=40 rows=40x4 count=1 append=1 few",
    "index=5 dy=5x300 ids=5 rows=5x300 count=1 append=1 empty",
    "index=1021x3 dy=1021x3x17 ids=7000 rows=7000x17 count=1 append=1 few", // several threads
    NULL,
};

OPS_FAMILY(append_rows) = {
    .op = CO_OP_APPEND_ROWS,
    .exact = OPS_EXACT_ALWAYS,
    .flags = "few empty",
    .adjust = adjust_list,
    .cases = append_cases,
};

static int64_t entries(const co_op_desc *desc, int output) {
  (void)output;
  return desc->in[CO_SUM_ROWS_ids].shape.dim[0];
}

static const char *const sum_cases[] = {
    "ids=1 rows=1x1 count=1",
    "ids=7 rows=7x5 count=1",
    "ids=33 rows=33x8 count=1 few",
    "ids=9 rows=9x3 count=1 empty",
    "ids=257 rows=257x3 count=1 hot", // more than a block of threads sorts
    "ids=700 rows=700x33 count=1 wild",
    "ids=1100 rows=1100x2 count=1 hot few",
    "ids=17 rows=17x300 count=1",
    OPS_SWEEP,
    "ids=6007 rows=6007x5 count=1 wild hot",
    NULL,
};

OPS_FAMILY(sum_rows) = {
    .op = CO_OP_SUM_ROWS,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .flags = "hot few empty wild",
    .terms = entries,
    .adjust = adjust_list,
    .cases = sum_cases,
};

// Every row at most once: those from the last back; "wild": some entries are of none.
static void adjust_update(ops_problem *p) {
  const int input = ops_problem_input(p, "ids"), updates = ops_problem_input(p, "steps");
  const int64_t R = p->desc.in[input].shape.dim[0], V = p->desc.in[0].shape.dim[0];
  const int32_t outside[3] = {-1, (int32_t)V, INT32_MAX};
  int32_t *ids = p->in[input];
  double *gate = p->in[ops_problem_input(p, "gate")];
  for (int64_t i = 0; i < R; i++) {
    ids[i] = (int32_t)(V - 1 - i);
    if (ops_problem_has_flag(p, "wild") && i % 3 == 1) ids[i] = outside[i / 3 % 3];
  }
  for (int64_t v = 0; updates >= 0 && v < V; v++)
    ((int32_t *)p->in[updates])[v] = (int32_t)(v * v);
  if (ops_problem_has_flag(p, "skip")) gate[0] = 0;
  if (ops_problem_has_flag(p, "clip")) gate[1] = 0.25;
}

static const char *const sgd_cases[] = {
    "w=1x1 ids=1 g=1x1 rate=1",
    "w=9x5 ids=4 g=4x5 rate=0.5 weight_decay=0.1 wild",
    "w=40x16 ids=33 g=33x16 rate=1 clip clip_value=0.1",
    "w=9x3 ids=9 g=9x3 rate=1 skip",
    "w=3000x33 ids=1021 g=1021x33 rate=1", // several threads
    NULL,
};

OPS_FAMILY(sgd_rows) = {
    .op = CO_OP_SGD_ROWS,
    .flags = "skip clip wild",
    .adjust = adjust_update,
    .cases = sgd_cases,
};

#define BETAS "rate=1 beta1=0.9 beta2=0.999 epsilon=1e-7 "

static const char *const adam_cases[] = {
    BETAS "w=1x1 steps=1 ids=1 g=1x1",
    BETAS "w=9x5 steps=9 ids=4 g=4x5 wild",
    BETAS "w=40x16 steps=40 ids=33 g=33x16 weight_decay=0.1 clip",
    BETAS "w=40x7 steps=40 ids=33 g=33x7 weight_decay=0.1 decoupled clip_value=0.3",
    BETAS "w=9x3 steps=9 ids=9 g=9x3 skip",
    BETAS "w=3000x33 steps=3000 ids=1021 g=1021x33 decoupled weight_decay=0.01",
    NULL,
};

OPS_FAMILY(adam_rows) = {
    .op = CO_OP_ADAM_ROWS,
    .flags = "skip clip wild",
    .adjust = adjust_update,
    .cases = adam_cases,
};
