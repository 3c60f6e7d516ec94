// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "tests/ops/ops_test.h"

// Codes of few classes, so that events of a row are of the same; some of none (0), and some of classes
// that there are not. Rows of all lengths: all events, none, and what lies between.
static void adjust(ops_problem *p) {
  const int64_t *dim = p->desc.in[CO_COPY_EVENTS_score].shape.dim, N = dim[0], T = dim[1];
  const int64_t K = p->desc.in[CO_COPY_EVENTS_x].shape.dim[1];
  int32_t *codes = p->in[CO_COPY_EVENTS_codes], *length = p->in[CO_COPY_EVENTS_lengths];
  for (int64_t i = 0; i < N * T; i++)
    codes[i] = (int32_t)((i * i + i / 3) % (K < 5 ? K + 2 : 6));
  for (int64_t n = 0; n < N; n++)
    length[n] = (int32_t)((n * 5 + 7 * T - n / 3) % (T + 1));
  length[0] = (int32_t)T;
  if (N > 1) length[1] = 0;
}

static int64_t terms(const co_op_desc *desc, int output) {
  (void)output;
  return desc->in[CO_COPY_EVENTS_score].shape.dim[1];
}

// Differences of logarithms become factors, of at most e^2 times that of the events where y is not
// what it would be.
static double magnitude(const ops_problem *p, int output) {
  const double shift = fabs(log(p->desc.attr.factor));
  const double logs = 1 + shift + ops_largest(p, CO_COPY_EVENTS_x) +
                      ops_largest(p, CO_COPY_EVENTS_score) +
                      log(1 + (double)terms(&p->desc, output));
  return p->desc.op == CO_OP_COPY_EVENTS
             ? logs
             : 8 * p->desc.attr.factor * logs * ops_largest(p, CO_COPY_EVENTS_BACKWARD_dy);
}

static const char *const cases[] = {
    "factor=1 x=1x1 score=1x1x1 codes:i32=1x1x1 lengths=1",
    "factor=3.5 x=5x7 score=5x4x1 codes:i32=5x4x1 lengths=5",
    "factor=20 x=3x300 score=3x130x1 codes:i32=3x130x1 lengths=3",
    "factor=0.5 x=130x257 score=130x9x1 codes:i32=130x9x1 lengths=130", // enough for several threads
    NULL,
};

OPS_FAMILY(copy_events) = {.op = CO_OP_COPY_EVENTS,
                           .terms = terms,
                           .adjust = adjust,
                           .magnitude = magnitude,
                           .cases = cases};

static const char *const backward_cases[] = {
    "factor=3.5 x=5x7 score=5x4x1 codes:i32=5x4x1 lengths=5 y=5x7 dy=5x7 dx=5x7",
    "factor=3.5 x=5x7 score=5x4x1 codes:i32=5x4x1 lengths=5 y=5x7 dy=5x7 dscore=5x4x1",
    NULL,
};

OPS_FAMILY(copy_events_backward) = {.op = CO_OP_COPY_EVENTS_BACKWARD,
                                    .terms = terms,
                                    .adjust = adjust,
                                    .magnitude = magnitude,
                                    .cases = backward_cases};
