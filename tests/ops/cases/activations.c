// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include <math.h>

// "large": where exponentials overflow and results meet their limits; "limits": infinities and NaN.
static void adjust(ops_problem *p) {
  int64_t count = co_shape_count(&p->desc.in[0].shape);
  double *x = p->in[0];
  for (int64_t i = 0; ops_problem_has_flag(p, "large") && i < count; i++)
    x[i] = (double)(float)(120 * x[i]);
  if (!ops_problem_has_flag(p, "limits")) return;
  x[0] = (double)INFINITY;
  x[1] = -(double)INFINITY;
  x[2] = (double)NAN;
}

#define CASES                                                                                      \
  "x=1", "x=15", "x=17 large", "x=7x33", "x=2x3x5x7", "x=3x14x14x16", "x=65x16 large",             \
      "x=2x2x2x2", "x=7001 limits", "x=100003"

static const char *const sigmoid_cases[] = {CASES, "x=33x5 wide_out", NULL};

OPS_FAMILY(sigmoid) = {
    .op = CO_OP_SIGMOID,
    .flags = "large limits",
    .adjust = adjust,
    .cases = sigmoid_cases,
};

static const char *const tanh_cases[] = {CASES, NULL};

OPS_FAMILY(tanh) = {
    .op = CO_OP_TANH,
    .flags = "large limits",
    .adjust = adjust,
    .cases = tanh_cases,
};
