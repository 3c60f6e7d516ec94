// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

// Angles are rounded before waves are taken of them.
static double magnitude(const ops_problem *p, int output) {
  const double turn = 6.2832, x = ops_largest(p, 0), w = ops_largest(p, 1);
  const double wave = 1 + turn * x * w;
  if (p->desc.op == CO_OP_PERIODIC) return wave;
  const double slope = 2 * turn * ops_largest(p, 2) * wave;
  return output == CO_PERIODIC_BACKWARD_dx ? slope * w * (double)p->desc.in[1].shape.dim[1]
                                           : slope * x * (double)p->desc.in[0].shape.dim[0];
}

static int64_t terms(const co_op_desc *desc, int output) {
  if (desc->op == CO_OP_PERIODIC) return 4;
  return 4 +
         (output == CO_PERIODIC_BACKWARD_dx ? desc->in[1].shape.dim[1] : desc->in[0].shape.dim[0]);
}

static const char *const cases[] = {
    "x=1x1 w=1x1",  "x=33x1 w=1x5",  "x=17x3 w=3x16",
    "x=7x2 w=2x33", "x=130x7 w=7x1", "x=301x9 w=9x16", // enough for several threads
    NULL,
};

OPS_FAMILY(periodic) = {
    .op = CO_OP_PERIODIC, .terms = terms, .magnitude = magnitude, .cases = cases};

static const char *const backward_cases[] = {
    "x=17x3 w=3x5 dy=17x3x10 dw=3x5",
    "x=301x9 w=9x16 dy=301x9x32 dw=9x16",
    NULL,
};

OPS_FAMILY(periodic_backward) = {
    .op = CO_OP_PERIODIC_BACKWARD, .terms = terms, .magnitude = magnitude, .cases = backward_cases};
