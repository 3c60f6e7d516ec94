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

// What cancels: 1 in GELU's 1 + erf, in ELU's exp - 1 and in the slopes.
static double curve_magnitude(const ops_problem *p, int output) {
  const double x = ops_largest(p, 0);
  (void)output;
  if (p->desc.op == CO_OP_ACTIVATION_BACKWARD) return ops_largest(p, 1);
  return p->desc.attr.function == CO_FUNCTION_ELU ? fmax(1, p->desc.attr.alpha) : x;
}

static const char *const curve_cases[] = {
    "x=1 gelu",
    "x=17 gelu large",
    "x=7x33 silu",
    "x=65x16 silu large",
    "x=15 elu alpha=1",
    "x=3x5x7 elu alpha=0.5 large",
    "x=7x33 leaky_relu alpha=0.3",
    "x=2x2x2x2 leaky_relu alpha=0",
    "x=33x5 gelu",
    "x=7001 elu alpha=1",
    "x=4099 gelu large",
    OPS_SWEEP,
    "x=100003 gelu",
    "x=100003 silu",
    "x=3x14x14x16 leaky_relu alpha=0.01",
    NULL,
};

OPS_FAMILY(activation) = {
    .op = CO_OP_ACTIVATION,
    .flags = "large",
    .adjust = adjust,
    .magnitude = curve_magnitude,
    .cases = curve_cases,
};
