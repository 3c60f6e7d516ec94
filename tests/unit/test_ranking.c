// SPDX-License-Identifier: Apache-2.0
// Metrics over scores: values worked out by hand, ties, weights, and that the order of rows does not
// matter.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/eval/scores.h"

static double measure(const char *metric, const float *score, const float *target,
                      const float *weight, int64_t rows) {
  co_context *ctx;
  co_scores scores;
  co_scored_rows ranked;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_scores_create(&scores, ctx, rows), CO_OK);
  co_scores_add(&scores, score, target, weight, rows);
  assert_int_equal(co_scores_rank(&scores, ctx, &ranked), CO_OK);
  double value = co_metric_find(metric)->score(&ranked);
  co_scores_free(&scores, ctx);
  co_context_free(ctx);
  return value;
}

static const float ones[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static void test_without_ties(void **state) {
  (void)state;
  const float score[] = {.9f, .8f, .7f, .6f}, target[] = {1, 0, 1, 0};
  // Pairs (positive, negative): 3 of 4 in order.
  assert_true(fabs(measure("roc_auc", score, target, ones, 4) - (.75)) < 1e-12);
  assert_true(fabs(measure("pr_auc", score, target, ones, 4) - ((1 + 2.0 / 3) / 2)) < 1e-12);
  double squares = .1 * .1 + .8 * .8 + .3 * .3 + .6 * .6;
  assert_true(fabs(measure("brier", score, target, ones, 4) - squares / 4) < 1e-6);
}

static void test_ties(void **state) {
  (void)state;
  const float score[] = {.5f, .5f, .5f, .5f}, one[] = {1, 0, 0, 0}, last[] = {0, 0, 0, 1};
  assert_true(fabs(measure("roc_auc", score, one, ones, 4) - (.5)) < 1e-12);
  assert_true(fabs(measure("pr_auc", score, one, ones, 4) - (.25)) < 1e-12);
  assert_true(fabs(measure("pr_auc", score, last, ones, 4) - (.25)) < 1e-12);
  assert_true(fabs(measure("lift@10", score, one, ones, 4) - (1)) < 1e-12);
}

// A row of weight 2 is two rows; one of weight 0 is none, whatever its target.
static void test_weights(void **state) {
  (void)state;
  const float score[] = {.9f, .7f, .6f, .2f}, target[] = {1, 0, 1, NAN}, weight[] = {2, 1, 1, 0};
  const float score2[] = {.6f, .9f, .7f, .9f}, target2[] = {1, 1, 0, 1};
  static const char *const metrics[] = {"roc_auc", "pr_auc", "lift@10", "brier"};
  for (int i = 0; i < 4; i++)
    assert_true(fabs(measure(metrics[i], score, target, weight, 4) -
                     measure(metrics[i], score2, target2, ones, 4)) < 1e-12);
}

static void test_lift(void **state) {
  (void)state;
  const float score[] = {.9f, .8f, .7f, .6f, .5f, .4f, .3f, .2f, .1f, 0},
              target[] = {1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  assert_true(fabs(measure("lift@10", score, target, ones, 10) - (5)) < 1e-12);
}

// Nothing to tell apart.
static void test_one_class(void **state) {
  (void)state;
  const float score[] = {.9f, .8f}, target[] = {1, 1};
  assert_true(isnan(measure("roc_auc", score, target, ones, 2)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_without_ties), cmocka_unit_test(test_ties),
      cmocka_unit_test(test_weights),      cmocka_unit_test(test_lift),
      cmocka_unit_test(test_one_class),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
