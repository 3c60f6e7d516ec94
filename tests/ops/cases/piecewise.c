// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include <math.h>

// Ascending edges; of every second channel the last half is infinite, as of columns with few values.
// Values lie below all edges, above, between and on them, and are missing.
static void adjust_edges(ops_problem *p) {
  int64_t count = co_shape_count(&p->desc.in[0].shape), C = p->desc.in[0].shape.dim[1];
  int64_t K = p->desc.in[1].shape.dim[0] / C;
  double *x = p->in[0], *edges = p->in[1];
  for (int64_t i = 0; i < C * K; i++) {
    int64_t c = i / K, k = i % K, step = 1 + c % 3;
    edges[i] = c % 2 && k > K / 2 ? (double)INFINITY : (double)(k * step - 2);
  }
  for (int64_t i = 0; i < count; i++)
    x[i] = (double)(i * 5 % (4 * K + 12)) / 4 - 3;
  for (int64_t i = 7; i < count; i += 11)
    x[i] = i % 2 ? (double)NAN : (double)INFINITY;
}

static const char *const linear_cases[] = {
    "x=1x1 edges=1",
    "x=13x1 edges=2",
    "x=33x3 edges=15",
    "x=17x2 edges=98",
    "x=257x7 edges=343",  // 48 bins
    "x=1021x31 edges=93", // enough for several threads
    NULL,
};

OPS_FAMILY(piecewise_linear) = {
    .op = CO_OP_PIECEWISE_LINEAR,
    .adjust = adjust_edges,
    .cases = linear_cases,
};

// Places below, above and within the bins, none at a kink.
static void adjust_places(ops_problem *p) {
  int64_t count = co_shape_count(&p->desc.in[0].shape), B = p->desc.in[1].shape.dim[1];
  double *x = p->in[0];
  for (int64_t i = 0; i < count; i++)
    x[i] = (double)(i * 7 % (2 * B + 4)) / 2 - 0.75;
}

static int64_t terms(const co_op_desc *desc, int output) {
  int64_t N = desc->in[0].shape.dim[0], B = desc->in[1].shape.dim[1];
  if (desc->op == CO_OP_PIECEWISE_DENSE) return B + 1;
  return output == CO_PIECEWISE_DENSE_BACKWARD_dx ? desc->in[1].shape.dim[2] : N + B;
}

static const char *const dense_cases[] = {
    "x=1x1 w=1x1x1 b=1x1",
    "x=33x1 w=1x5x3 b=1x3 wide_out",
    "x=17x3 w=3x1x16 b=3x16 relu",
    "x=7x2 w=2x9x33 b=2x33",
    "x=64x7 w=7x48x16 b=7x16 relu",
    "x=301x9 w=9x4x16 b=9x16", // enough for several threads
    NULL,
};

OPS_FAMILY(piecewise_dense) = {
    .op = CO_OP_PIECEWISE_DENSE,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .terms = terms,
    .adjust = adjust_places,
    .cases = dense_cases,
};

static const char *const backward_cases[] = {
    "x=17x3 w=3x5x7 dy=17x3x7 dw=3x5x7 db=3x7",
    "x=301x9 w=9x4x16 dy=301x9x16 dw=9x4x16 db=9x16",
    NULL,
};

OPS_FAMILY(piecewise_dense_backward) = {
    .op = CO_OP_PIECEWISE_DENSE_BACKWARD,
    .exact = OPS_EXACT_ON_INTEGERS,
    .linear = true,
    .terms = terms,
    .adjust = adjust_places,
    .cases = backward_cases,
};
