// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/ops_test.h"

// Bounds that ascend by squares; of every fifth class there is no share.
static void adjust_bounds(ops_problem *p) {
  const int64_t K = p->desc.in[CO_SAMPLE_CLASSES_bounds].shape.dim[0];
  int32_t *bounds = p->in[CO_SAMPLE_CLASSES_bounds];
  for (int64_t k = 0; k < K; k++) {
    const double share = (double)(k + 1 - (k % 5 == 4)) / (double)K;
    bounds[k] = (int32_t)(2147483647.0 * share * share);
  }
  bounds[K - 1] = INT32_MAX;
}

static int64_t one(const co_op_desc *desc, int output) {
  (void)desc;
  (void)output;
  return 1;
}

static const char *const draws[] = {"bounds:i32=1 shape=1", "bounds:i32=7 shape=40",
                                    "bounds:i32=1000 shape=600", NULL};

OPS_FAMILY(sample_classes) = {
    .op = CO_OP_SAMPLE_CLASSES, .terms = one, .adjust = adjust_bounds, .cases = draws};

// Few classes, so that some that are drawn are a row's own.
static void adjust(ops_problem *p) {
  int32_t *target = p->in[ops_problem_input(p, "target")];
  int32_t *classes = p->in[ops_problem_input(p, "classes")];
  const int64_t N = p->desc.in[0].shape.dim[0];
  const int64_t S = p->desc.in[ops_problem_input(p, "classes")].shape.dim[0];
  for (int64_t n = 0; n < N; n++)
    target[n] = (int32_t)(n * n % 7);
  for (int64_t s = 0; s < S; s++)
    classes[s] = (int32_t)((s * s + s / 3) % 9);
}

static int64_t terms(const co_op_desc *desc, int output) {
  (void)output;
  return desc->in[CO_SAMPLED_LOGITS_x].shape.dim[1];
}

static const char *const cases[] = {
    "x=1x1 own=1x1 z=1x1 target:i32=1 classes:i32=1 shift=1",
    "x=5x3 own=5x3 z=5x7 target:i32=5 classes:i32=7 shift=7",
    "x=33x65 own=33x65 z=33x40 target:i32=33 classes:i32=40 shift=40",
    NULL,
};

OPS_FAMILY(sampled_logits) = {.op = CO_OP_SAMPLED_LOGITS,
                              .exact = OPS_EXACT_ON_INTEGERS,
                              .linear = true,
                              .terms = terms,
                              .adjust = adjust,
                              .cases = cases};
