// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

static int64_t terms(const co_op_desc *desc, int output) {
  (void)desc;
  (void)output;
  return 4;
}

static double sample_magnitude(const ops_problem *p, int output) {
  (void)p;
  (void)output;
  return 4; // numbers are below 1, so are exponentials of halves of them below 2
}

static const char *const sample_cases[] = {
    "mean=1x1 log_variance=1x1 noise=1x1",
    "mean=7x33 log_variance=7x33 noise=7x33",
    "mean=130x16 log_variance=130x16 noise=130x16",
    NULL,
};

OPS_FAMILY(sample_normal) = {.op = CO_OP_SAMPLE_NORMAL,
                             .terms = terms,
                             .magnitude = sample_magnitude,
                             .cases = sample_cases};

static const char *const kl_cases[] = {
    "mean=1x1 log_variance=1x1",
    "mean=7x33 log_variance=7x33",
    "mean=130x16 log_variance=130x16",
    NULL,
};

OPS_FAMILY(kl_normal) = {
    .op = CO_OP_KL_NORMAL, .terms = terms, .magnitude = sample_magnitude, .cases = kl_cases};
