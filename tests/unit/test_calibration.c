// SPDX-License-Identifier: Apache-2.0
// Temperature scaling, cut-offs and tenths, of scores whose truth is known.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host/eval/calibration.h"

enum { ROWS = 40000 };

static co_context *ctx;

// Outcomes follow probabilities of which the scores are the third-fold logits.
static void test_temperature_of_a_binary(void **state) {
  (void)state;
  co_scores scores;
  srand48(1);
  assert_int_equal(co_scores_create(&scores, ctx, CO_COLUMN_BINARY, 1, CO_KEPT_SCORES, ROWS),
                   CO_OK);
  for (int i = 0; i < ROWS; i++) {
    double logit = 4 * drand48() - 2;
    float score = (float)(1 / (1 + exp(-3 * logit))), one = 1;
    float target = drand48() < 1 / (1 + exp(-logit));
    co_scores_add(&scores, NULL, NULL, &score, &target, &one, 1);
  }
  double temperature = co_fit_temperature(&scores);
  assert_true(fabs(temperature - 3) < .1);
  float two[] = {0.9f, 0.2f};
  co_calibrate(two, 2, 1, 3);
  assert_true(fabs((double)two[0] - 1 / (1 + exp(-log(9) / 3))) < 1e-6);
  assert_true(fabs((double)two[1] - 1 / (1 + exp(log(4) / 3))) < 1e-6);
  co_calibrate(two, 2, 1, 1.0 / 3);
  assert_true(fabs((double)two[0] - .9) < 1e-6 && fabs((double)two[1] - .2) < 1e-6);
  co_scores_free(&scores);
}

static void test_temperature_of_classes(void **state) {
  (void)state;
  co_scores scores;
  srand48(2);
  assert_int_equal(co_scores_create(&scores, ctx, CO_COLUMN_CATEGORY, 3, CO_KEPT_SCORES, ROWS),
                   CO_OK);
  for (int i = 0; i < ROWS; i++) {
    double p[3], half[3], sum = 0, flat = 0, at = drand48();
    for (int k = 0; k < 3; k++) {
      p[k] = exp(3 * drand48());
      half[k] = sqrt(p[k]); // logits by half
      sum += p[k];
      flat += half[k];
    }
    float score[3], one = 1;
    int32_t target = at < p[0] / sum ? 0 : at < (p[0] + p[1]) / sum ? 1 : 2;
    for (int k = 0; k < 3; k++)
      score[k] = (float)(half[k] / flat);
    co_scores_add(&scores, NULL, NULL, score, &target, &one, 1);
  }
  assert_true(fabs(co_fit_temperature(&scores) - .5) < .02);
  float row[] = {.5f, .25f, .25f};
  co_calibrate(row, 1, 3, .5);
  assert_true(fabs((double)row[0] - 2.0 / 3) < 1e-6 && fabs((double)row[1] - 1.0 / 6) < 1e-6);
  co_scores_free(&scores);
}

// Nothing known, or all told apart: no division by nothing.
static void test_temperature_at_the_ends(void **state) {
  (void)state;
  co_scores scores;
  assert_int_equal(co_scores_create(&scores, ctx, CO_COLUMN_BINARY, 1, CO_KEPT_SCORES, 2), CO_OK);
  assert_true(co_fit_temperature(&scores) == 1);
  const float score[] = {.6f, .4f}, target[] = {1, 0}, ones[] = {1, 1};
  co_scores_add(&scores, NULL, NULL, score, target, ones, 2);
  assert_true(fabs(co_fit_temperature(&scores) - .05) < 1e-4);
  co_scores_free(&scores);
}

static const float score[] = {.9f, .8f, .8f, .6f, .5f, .4f, .3f, .2f, .1f, 0};
static const float target[] = {1, 1, 0, 1, 0, 0, 0, 0, 1, 0};
static const float ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static void test_cutoffs(void **state) {
  (void)state;
  co_scores scores;
  co_measured m;
  co_profit profit = {10, -4, -1, 2};
  assert_int_equal(co_scores_create(&scores, ctx, CO_COLUMN_BINARY, 1, CO_KEPT_SCORES, 10), CO_OK);
  co_scores_add(&scores, NULL, NULL, score, target, ones, 10);
  assert_int_equal(co_measured_create(&m, &scores, &(co_decision_rule){.5, &profit}), CO_OK);
  // Four rows, three of them positive, of four.
  co_cutoff cut = co_best_f1(&m.binary);
  assert_true(fabs(cut.threshold - .55) < 1e-6 && fabs(cut.share - .4) < 1e-12);
  assert_true(fabs(cut.value - 6.0 / 8) < 1e-12);
  cut = co_best_profit(&m.binary);
  assert_true(fabs(cut.threshold - .55) < 1e-6);
  assert_true(fabs(cut.value - (30 - 4 - 1 + 5 * 2) / 10.0) < 1e-12);
  assert_true(cut.value == co_measured_value(&m, co_metric_find("max_profit", CO_COLUMN_BINARY)));
  profit = (co_profit){1, -100, 0, 0};
  assert_true(fabs(co_best_profit(&m.binary).threshold - .85) < 1e-6);
  profit = (co_profit){-1, -1, 0, 0}; // it is best to do nothing
  cut = co_best_profit(&m.binary);
  assert_true(cut.threshold > 1 && cut.share == 0 && cut.value == 0);
  co_measured_free(&m);
  co_scores_free(&scores);
}

static void test_deciles(void **state) {
  (void)state;
  co_scores scores;
  co_measured m;
  co_decile d[CO_DECILES];
  assert_int_equal(co_scores_create(&scores, ctx, CO_COLUMN_BINARY, 1, CO_KEPT_SCORES, 10), CO_OK);
  co_scores_add(&scores, NULL, NULL, score, target, ones, 10);
  assert_int_equal(co_measured_create(&m, &scores, NULL), CO_OK);
  co_deciles(d, &m.binary);
  const double positives[] = {1, .5, .5, 1, 0, 0, 0, 0, 1, 0}; // a tie is divided
  double gain = 0;
  for (int i = 0; i < CO_DECILES; i++) {
    gain += positives[i] / 4;
    assert_true(fabs(d[i].rows - 1) < 1e-9 && fabs(d[i].positives - positives[i]) < 1e-9);
    assert_true(fabs(d[i].lift - positives[i] / .4) < 1e-9 && fabs(d[i].gain - gain) < 1e-9);
    assert_true(fabs(d[i].score - (double)score[i]) < 1e-9);
  }
  co_measured_free(&m);
  co_scores_free(&scores);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_temperature_of_a_binary),
      cmocka_unit_test(test_temperature_of_classes),
      cmocka_unit_test(test_temperature_at_the_ends),
      cmocka_unit_test(test_cutoffs),
      cmocka_unit_test(test_deciles),
  };
  if (co_context_create(&ctx, NULL) != CO_OK) return 1;
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  co_context_free(ctx);
  return failed;
}
