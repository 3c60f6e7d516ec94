// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

#include <math.h>

// Targets from 0 on, a third of them 0; of counts whole. "holes": rows of weight 0 whose targets must
// not matter. "extreme": parameters beyond the bounds of deviations and shapes.
static void adjust(ops_problem *p) {
  const int64_t rows = p->desc.in[0].shape.dim[0], size = p->desc.in[0].shape.dim[1];
  const bool counts = p->desc.attr.distribution == CO_NEGATIVE_BINOMIAL;
  double *x = p->in[0];
  for (int64_t i = 0; ops_problem_has_flag(p, "extreme") && i < rows * size; i++)
    x[i] = i % size ? 20 * x[i] : x[i];
  if (p->desc.op == CO_OP_DISTRIBUTION_MEAN) return;
  double *target = p->in[CO_DISTRIBUTION_LOSS_target], *weight = p->in[CO_DISTRIBUTION_LOSS_weight];
  for (int64_t n = 0; n < rows; n++) {
    const double value = n % 3 ? (double)(float)(8 * fabs(target[n]) + 0.25) : 0;
    target[n] = counts ? floor(value) : value;
    if (!ops_problem_has_flag(p, "holes") || n % 4) continue;
    weight[n] = 0;
    target[n] = (double)NAN;
  }
}

static int64_t one_term(const co_op_desc *desc, int output) {
  (void)desc;
  (void)output;
  return 1;
}

static const char *const loss_cases[] = {
    "x=1x3 target=1x1 zero_inflated_lognormal",
    "x=37x3 target=37x1 zero_inflated_lognormal holes",
    "x=700x3 target=700x1 zero_inflated_lognormal output=2",
    "x=1x2 target=1x1 negative_binomial",
    "x=37x2 target=37x1 negative_binomial holes",
    "x=700x2 target=700x1 negative_binomial",
    OPS_SWEEP,
    "x=64x3 target=64x1 zero_inflated_lognormal extreme",
    "x=64x2 target=64x1 negative_binomial extreme output=1",
    NULL,
};

OPS_FAMILY(distribution_loss) = {
    .op = CO_OP_DISTRIBUTION_LOSS,
    .loss = true,
    .flags = "holes extreme",
    .terms = one_term,
    .adjust = adjust,
    .cases = loss_cases,
};

static const char *const mean_cases[] = {
    "x=1x3 zero_inflated_lognormal", "x=300x3 zero_inflated_lognormal", "x=1x2 negative_binomial",
    "x=300x2 negative_binomial",     "x=9x2 negative_binomial extreme", NULL,
};

OPS_FAMILY(distribution_mean) = {
    .op = CO_OP_DISTRIBUTION_MEAN,
    .flags = "extreme",
    .terms = one_term,
    .adjust = adjust,
    .cases = mean_cases,
};
