// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

// Rows of all lengths: all events, none, and what lies between. logsum is what it would be of the
// other operands only in the cases that the forward operation's make.
static void adjust(ops_problem *p) {
  const int lengths = ops_problem_input(p, "lengths");
  int32_t *length = p->in[lengths];
  int64_t N = p->desc.in[lengths].shape.dim[0], T = p->desc.in[0].shape.dim[1];
  if (p->desc.op == CO_OP_POOL_EVENTS_BACKWARD) T = p->desc.out[0].shape.dim[1];
  for (int64_t n = 0; n < N; n++)
    length[n] = (int32_t)((n * 5 + 7 * T - n / 3) % (T + 1));
  length[0] = (int32_t)T;
  if (N > 1) length[1] = 0;
}

static int64_t terms(const co_op_desc *desc, int output) {
  const int64_t *q = desc->in[CO_ATTENTION_q].shape.dim;
  int64_t forward = q[1] + q[2];
  if (desc->op == CO_OP_ATTENTION) return forward;
  return output == CO_ATTENTION_BACKWARD_dbias ? q[0] * q[1] * q[1] + forward : 2 * forward;
}

static const char *const cases[] = {
    "heads=1 q=1x1x1 k=1x1x1 v=1x1x1 lengths=1 logsum",
    "heads=2 q=3x4x6 k=3x4x6 v=3x4x6 lengths=3 logsum",
    "heads=2 causal=1 q=5x7x8 k=5x7x8 v=5x7x8 lengths=5 bias=2x3 logsum",
    "heads=1 q=4x9x5 k=4x9x5 v=4x9x5 lengths=4 bias=1x20 logsum",
    "heads=4 causal=1 q=3x33x16 k=3x33x16 v=3x33x16 lengths=3 logsum",
    "heads=3 causal=1 q=2x6x51 k=2x6x51 v=2x6x51 lengths=2 bias=3x1",
    "heads=1 q=2x300x2 k=2x300x2 v=2x300x2 lengths=2",
    NULL,
};

OPS_FAMILY(attention) = {
    .op = CO_OP_ATTENTION,
    .terms = terms,
    .adjust = adjust,
    .cases = cases,
};

static int64_t pool_terms(const co_op_desc *desc, int output) {
  (void)output;
  return desc->op == CO_OP_POOL_EVENTS ? desc->in[0].shape.dim[1] : 1;
}

static const char *const pool_cases[] = {
    "pooling=0 x=1x1x1 lengths=1",  "pooling=0 x=5x7x3 lengths=5",   "pooling=1 x=4x5x2 lengths=4",
    "pooling=2 x=7x9x17 lengths=7", "pooling=2 x=2x130x5 lengths=2", NULL,
};

OPS_FAMILY(pool_events) = {
    .op = CO_OP_POOL_EVENTS,
    .terms = pool_terms,
    .adjust = adjust,
    .cases = pool_cases,
};

static const char *const repeat_cases[] = {"pooling=1 lengths=5 dy=5x3 shape=7", NULL};

OPS_FAMILY(repeat_events) = {
    .op = CO_OP_POOL_EVENTS_BACKWARD,
    .terms = pool_terms,
    .adjust = adjust,
    .cases = repeat_cases,
};
