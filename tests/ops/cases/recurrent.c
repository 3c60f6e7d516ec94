// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

// Rows of all lengths: none, all, one, and what lies between.
static void adjust(ops_problem *p) {
  const int lengths = ops_problem_input(p, "lengths");
  if (lengths < 0) return; // all have all
  int32_t *length = p->in[lengths];
  int64_t N = p->desc.in[lengths].shape.dim[0], T = p->desc.in[0].shape.dim[1];
  for (int64_t n = 0; n < N; n++)
    length[n] = (int32_t)((n * 5 + 7 * T - n / 3) % (T + 1));
  length[0] = (int32_t)T;
  if (N > 1) length[1] = 0;
}

// A state is a sum of products behind each event; a gradient, one over events and rows.
static int64_t terms(const co_op_desc *desc, int output) {
  const int64_t *x = desc->in[CO_RECURRENT_x].shape.dim;
  const int64_t U = desc->in[CO_RECURRENT_recurrent].shape.dim[0], forward = x[1] * (x[2] + U);
  if (desc->op == CO_OP_RECURRENT) return forward;
  return forward + (output == CO_RECURRENT_BACKWARD_dx ? 4 * U * x[1] : x[0] * x[1] * 4);
}

static const char *const cases[] = {
    "lstm x=1x1x1 lengths=1 kernel=1x4 recurrent=1x4 bias=4 y saved",
    "lstm x=3x4x5 lengths=3 kernel=5x8 recurrent=2x8 bias=8 y saved",
    "lstm x=7x9x3 lengths=7 kernel=3x20 recurrent=5x20 bias=20 y saved",
    "lstm reverse x=5x6x3 lengths=5 kernel=3x20 recurrent=5x20 bias=20 y saved",
    "lstm x=5x2x17 lengths=5 kernel=17x12 recurrent=3x12 bias=12 saved",
    "lstm x=4x6x2 lengths=4 kernel=2x68 recurrent=17x68 bias=68 y",
    "lstm x=35x3x4 lengths=35 kernel=4x132 recurrent=33x132 bias=132",
    "gru x=1x1x1 lengths=1 kernel=1x3 recurrent=1x3 bias=2x3 y saved",
    "gru x=7x9x3 lengths=7 kernel=3x15 recurrent=5x15 bias=2x15 y saved",
    "gru reverse x=5x6x3 lengths=5 kernel=3x15 recurrent=5x15 bias=2x15 y saved",
    "gru x=35x3x4 lengths=35 kernel=4x54 recurrent=18x54 bias=2x54 y",
    "simple_rnn x=1x1x1 lengths=1 kernel=1x1 recurrent=1x1 bias=1 y saved",
    "simple_rnn x=7x9x3 lengths=7 kernel=3x5 recurrent=5x5 bias=5 y saved",
    "simple_rnn reverse x=5x6x3 lengths=5 kernel=3x18 recurrent=18x18 bias=18 y saved",
    "lstm x=5x4x3 kernel=3x12 recurrent=3x12 bias=12 y saved",
    "gru reverse x=5x4x3 kernel=3x9 recurrent=3x9 bias=2x9 y saved",
    "lstm hard_gates x=4x5x2 kernel=2x12 recurrent=3x12 bias=12 y saved",
    "lstm relu_gates relu_states x=4x3x2 lengths=4 kernel=2x8 recurrent=2x8 bias=8 y saved",
    "gru hard_gates x=4x5x2 lengths=4 kernel=2x9 recurrent=3x9 bias=2x9 y saved",
    "simple_rnn relu_states x=4x3x2 kernel=2x3 recurrent=3x3 bias=3 y saved",
    OPS_SWEEP,
    "lstm x=3x130x2 lengths=3 kernel=2x8 recurrent=2x8 bias=8 y saved", // more than a chunk
    "gru reverse x=4x90x2 lengths=4 kernel=2x6 recurrent=2x6 bias=2x6 y saved",
    "gru x=5x2x17 lengths=5 kernel=17x99 recurrent=33x99 bias=2x99 saved",
    "simple_rnn x=40x2x3 lengths=40 kernel=3x48 recurrent=48x48 bias=48",
    NULL,
};

OPS_FAMILY(recurrent) = {
    .op = CO_OP_RECURRENT,
    .terms = terms,
    .adjust = adjust,
    .cases = cases,
};

// Without the gradient of one of the results, or of x.
static const char *const backward_cases[] = {
    "lstm x=3x4x2 lengths=3 kernel=2x12 recurrent=3x12 saved=3x4x15 dlast=3x3 dx=3x4x2 "
    "dkernel=2x12 drecurrent=3x12 dbias=12",
    "gru x=5x3x2 lengths=5 kernel=2x6 recurrent=2x6 saved=5x3x10 dy=5x3x2 "
    "dkernel=2x6 drecurrent=2x6 dbias=2x6",
    "simple_rnn reverse x=5x3x2 lengths=5 kernel=2x2 recurrent=2x2 saved=5x3x2 dy=5x3x2 "
    "dkernel=2x2 drecurrent=2x2 dbias=2",
    NULL,
};

OPS_FAMILY(recurrent_backward) = {
    .op = CO_OP_RECURRENT_BACKWARD,
    .terms = terms,
    .adjust = adjust,
    .cases = backward_cases,
};
