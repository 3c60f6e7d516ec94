// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

// Rows of all lengths: all events, none, and what lies between.
static void adjust(ops_problem *p) {
  const bool unfolds = p->desc.op == CO_OP_UNFOLD_EVENTS_BACKWARD;
  const int lengths = ops_problem_input(p, "lengths");
  if (lengths < 0) return;
  int32_t *length = p->in[lengths];
  const int64_t *dim = unfolds ? p->desc.out[0].shape.dim : p->desc.in[0].shape.dim;
  for (int64_t n = 0; n < dim[0]; n++)
    length[n] = (int32_t)((n * 5 + 7 * dim[1] - n / 3) % (dim[1] + 1));
  length[0] = (int32_t)dim[1];
  if (dim[0] > 1) length[1] = 0;
}

static int64_t one(const co_op_desc *desc, int output) {
  (void)desc;
  (void)output;
  return 1;
}

static const char *const max_cases[] = {
    "x=1x1x1 lengths=1", "x=5x7x3 lengths=5",   "x=7x9x17 lengths=7",
    OPS_SWEEP,           "x=2x130x5 lengths=2", NULL,
};

OPS_FAMILY(max_events) = {
    .op = CO_OP_MAX_EVENTS,
    .terms = one,
    .adjust = adjust,
    .cases = max_cases,
};

static int64_t kernel(const co_op_desc *desc, int output) {
  (void)output;
  return desc->op == CO_OP_UNFOLD_EVENTS_BACKWARD ? desc->attr.kernel[0] : 1;
}

static const char *const unfold_cases[] = {
    "x=1x1x1 lengths=1 kernel=1 dilation=1",
    "x=5x7x3 lengths=5 kernel=3 dilation=1 pad_begin=1",
    "x=4x9x2 lengths=4 kernel=3 dilation=2 pad_begin=4", // causal
    "x=3x4x5 lengths=3 kernel=7 dilation=1 pad_begin=3", // wider than any row
    OPS_SWEEP,
    "x=7x33x17 lengths=7 kernel=5 dilation=1 pad_begin=2",
    "x=2x60x4 lengths=2 kernel=4 dilation=8 pad_begin=24",
    NULL,
};

OPS_FAMILY(unfold_events) = {
    .op = CO_OP_UNFOLD_EVENTS,
    .terms = kernel,
    .adjust = adjust,
    .cases = unfold_cases,
};

static const char *const reverse_cases[] = {
    "x=1x1x1", "x=3x4x2", "x=5x7x3 lengths=5", OPS_SWEEP, "x=9x33x17 lengths=9", NULL,
};

OPS_FAMILY(reverse_events) = {
    .op = CO_OP_REVERSE_EVENTS,
    .exact = OPS_EXACT_ALWAYS,
    .linear = true,
    .adjust = adjust,
    .cases = reverse_cases,
};
