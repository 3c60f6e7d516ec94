// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

// Rows of all lengths: none, all, one, and what lies between.
static void adjust(ops_problem *p) {
  const int lengths = ops_problem_input(p, "lengths");
  int32_t *length = p->in[lengths];
  int64_t N = p->desc.in[lengths].shape.dim[0], T = p->desc.in[0].shape.dim[1];
  for (int64_t n = 0; n < N; n++)
    length[n] = (int32_t)((n * 5 + 7 * T - n / 3) % (T + 1));
  length[0] = (int32_t)T;
  if (N > 1) length[1] = 0;
}

// A state is a sum of products behind each event; a gradient, one over events and rows.
static int64_t terms(const co_op_desc *desc, int output) {
  const int64_t *x = desc->in[CO_LSTM_x].shape.dim;
  int64_t U = desc->in[CO_LSTM_recurrent].shape.dim[0], forward = x[1] * (x[2] + U);
  if (desc->op == CO_OP_LSTM) return forward;
  return forward + (output == CO_LSTM_BACKWARD_dx ? 4 * U * x[1] : x[0] * x[1] * 4);
}

static const char *const cases[] = {
    "x=1x1x1 lengths=1 kernel=1x4 recurrent=1x4 bias=4 y gates cells",
    "x=3x4x5 lengths=3 kernel=5x8 recurrent=2x8 bias=8 y gates cells",
    "x=7x9x3 lengths=7 kernel=3x20 recurrent=5x20 bias=20 y gates cells",
    "x=5x2x17 lengths=5 kernel=17x12 recurrent=3x12 bias=12 gates cells",
    "x=4x6x2 lengths=4 kernel=2x68 recurrent=17x68 bias=68 y",
    "x=33x3x4 lengths=33 kernel=4x132 recurrent=33x132 bias=132",
    NULL,
};

OPS_FAMILY(lstm) = {
    .op = CO_OP_LSTM,
    .terms = terms,
    .adjust = adjust,
    .cases = cases,
};

// Without the gradient of one of the results, or of x.
static const char *const backward_cases[] = {
    "x=3x4x2 lengths=3 kernel=2x12 recurrent=3x12 gates=3x4x12 cells=3x4x3 dlast=3x3 dx=3x4x2 "
    "dkernel=2x12 drecurrent=3x12 dbias=12",
    "x=5x3x2 lengths=5 kernel=2x8 recurrent=2x8 gates=5x3x8 cells=5x3x2 dy=5x3x2 "
    "dkernel=2x8 drecurrent=2x8 dbias=8",
    NULL,
};

OPS_FAMILY(lstm_backward) = {
    .op = CO_OP_LSTM_BACKWARD,
    .terms = terms,
    .adjust = adjust,
    .cases = backward_cases,
};
