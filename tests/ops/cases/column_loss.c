// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include <math.h>

// Columns of the three kinds in turn, 1, 2, 3, … numbers wide, the last as wide as what is left, as the
// targets lie behind one another. "single": one column, of values.
static void adjust(ops_problem *p) {
  const int64_t N = p->desc.in[0].shape.dim[0], W = p->desc.in[0].shape.dim[1];
  const int64_t V = p->desc.in[1].shape.dim[1], F = p->desc.in[2].shape.dim[0];
  double *x = p->in[0], *target = p->in[1];
  int32_t *columns = p->in[2];
  int32_t x_begin = 0, target_begin = 0;
  for (int64_t i = 0; ops_problem_has_flag(p, "large") && i < N * W; i++)
    x[i] = (double)(float)(100 * x[i]);
  for (int64_t f = 0; f < F; f++) {
    const int32_t size = (int32_t)(f == F - 1 ? W - x_begin : f + 1);
    const co_part kind = (co_part)(f % 3);
    const int32_t entry[] = {x_begin, target_begin, size, (int32_t)kind};
    for (int k = 0; k < 4; k++)
      columns[4 * f + k] = entry[k];
    for (int64_t n = 0; n < N; n++)
      for (int64_t k = 0; k < (kind == CO_PART_CLASSES ? 1 : size); k++) {
        double *t = &target[n * V + target_begin + k];
        if (kind == CO_PART_LOGITS) *t = p->values == OPS_INTEGER ? fabs(fmod(*t, 2)) : fabs(*t);
        if (kind == CO_PART_CLASSES) *t = (double)(n * 7 % size);
      }
    x_begin += size;
    target_begin += kind == CO_PART_CLASSES ? 1 : size;
  }
}

static int64_t terms(const co_op_desc *desc, int output) {
  (void)output;
  return desc->in[0].shape.dim[1];
}

// Logits less others; probabilities and targets.
static double magnitude(const ops_problem *p, int output) {
  (void)output;
  if (p->desc.op == CO_OP_COLUMN_LOSS) return 1 + 2 * ops_largest(p, 0);
  return ops_largest(p, 3);
}

static const char *const cases[] = {
    "x=1x1 target=1x1 columns:i32=1x4",
    "x=7x3 target=7x3 columns:i32=2x4",
    "x=33x6 target=33x4 columns:i32=3x4",
    "x=33x17 target=33x4 columns:i32=3x4 large",
    "x=130x28 target=130x21 columns:i32=7x4",
    "x=5x784 target=5x784 columns:i32=1x4",
    "x=3x2100 target=3x4 columns:i32=3x4 large",
    "x=513x21 target=513x14 columns:i32=6x4", // enough for several threads
    NULL,
};

OPS_FAMILY(column_loss) = {
    .op = CO_OP_COLUMN_LOSS,
    .flags = "large",
    .terms = terms,
    .adjust = adjust,
    .magnitude = magnitude,
    .cases = cases,
};
