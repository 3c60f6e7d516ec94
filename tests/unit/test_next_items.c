// SPDX-License-Identifier: Apache-2.0
// Estimators of next items on a history of two customers, against values worked out by hand.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "host/eval/estimator.h"

enum { CLASSES = 3, DAY = 86400 };

// Customer 0: items 0 and 1 on day 0, item 0 on day 100, item 2 on day 101; customer 1: item 1 on day
// 0, item 2 on day 101. Samples: customer 0 before day 101; customer 1 before day 101; customer 0
// with all events, whose next is item 0 again; customer 1 before day 101, whose next is item 1 again.
static const int32_t items[] = {0, 1, 0, 2, 1, 2};
static const double times[] = {0, 0, 100. * DAY, 101. * DAY, 0, 101. * DAY};
static const int64_t begin[] = {0, 4, 0, 4}, end[] = {3, 5, 4, 5}, entity[] = {0, 1, 0, 1};
static const int32_t target[] = {2, 2, 0, 1};
static const int64_t samples[] = {0, 1, 2, 3};

typedef struct fixture {
  co_context *ctx;
  co_column column;
  co_output_feature output;
  co_model model;
  co_estimator estimator;
  co_history history;
  co_fit_data data;
} fixture;

// `validation`: the number of the one validation sample, -1 = there is none.
static void begin_fixture(fixture *f, const char *name, int64_t validation) {
  static const co_watch nobody = {.user = NULL};
  *f = (fixture){.column = {.name = "next_item", .type = CO_COLUMN_CATEGORY}};
  assert_int_equal(co_context_create(&f->ctx, NULL), CO_OK);
  f->output = (co_output_feature){.name = "next_item", .column = &f->column, .width = CLASSES};
  f->model = (co_model){.ctx = f->ctx, .outputs = &f->output, .output_count = 1};
  f->history = (co_history){.classes = CLASSES,
                            .item = items,
                            .time = {CO_F64, times, 6},
                            .begin = begin,
                            .end = end,
                            .entity = entity,
                            .entities = 2,
                            .target = target};
  f->data = (co_fit_data){.history = &f->history,
                          .samples = samples,
                          .sample_count = 2,
                          .validation_samples = samples + (validation < 0 ? 0 : validation),
                          .validation_count = validation >= 0,
                          .watch = &nobody};
  f->estimator =
      (co_estimator){.class_ = co_estimator_find(name), .ctx = f->ctx, .model = &f->model};
  assert_non_null(f->estimator.class_);
  assert_int_equal(co_arena_create(&f->estimator.arena, f->ctx), CO_OK);
  assert_int_equal(co_estimator_fit(&f->estimator, &f->data), CO_OK);
}

static void end_fixture(fixture *f) {
  co_free(f->ctx, f->estimator.arrays.items);
  co_arena_free(f->estimator.arena);
  co_context_free(f->ctx);
}

// The heads of all samples are the logarithms of these.
static void expect(fixture *f, const double want[3][CLASSES]) {
  float heads[3 * CLASSES];
  assert_int_equal(
      f->estimator.class_->score_history(&f->estimator, 0, &f->history, samples, 3, heads), CO_OK);
  for (int i = 0; i < 3 * CLASSES; i++)
    assert_float_equal((double)heads[i], log(want[i / CLASSES][i % CLASSES]), 1e-6);
}

// Training samples see items 0, 1, 0 and 1; item 2, which none sees, counts as half an event.
static const double all[] = {2 / 4.5, 2 / 4.5, .5 / 4.5};

static void test_popularity(void **state) {
  (void)state;
  fixture f;
  begin_fixture(&f, "popularity", -1);
  expect(&f, (const double[3][CLASSES]){
                 {all[0], all[1], all[2]}, {all[0], all[1], all[2]}, {all[0], all[1], all[2]}});
  end_fixture(&f);
  // Of the last 91 days there is item 0 alone, which the validation row has: the likelier choice.
  begin_fixture(&f, "popularity", 2);
  expect(&f, (const double[3][CLASSES]){{.5, .25, .25}, {.5, .25, .25}, {.5, .25, .25}});
  end_fixture(&f);
}

// Item 0 twice, item 1 once, and once each: sums of 3, 1 and 4.
static void test_personal_frequency(void **state) {
  (void)state;
  fixture f;
  begin_fixture(&f, "personal_frequency", -1);
  expect(&f, (const double[3][CLASSES]){{(2 + all[0]) / 4, (1 + all[1]) / 4, all[2] / 4},
                                        {all[0] / 2, (1 + all[1]) / 2, all[2] / 2},
                                        {(2 + all[0]) / 5, (1 + all[1]) / 5, (1 + all[2]) / 5}});
  end_fixture(&f);
}

// Without cut-offs as personal frequency. Customer 0 buys item 1 twice, item 0 once, both long ago, and
// item 0 next: which the last four weeks' samples tell by the fourth root of how many bought it in the two
// weeks before. In the last two weeks that is item 2.
static void test_weighted_frequency(void **state) {
  (void)state;
  static const int32_t bought[] = {1, 1, 0, 0, 0, 0, 2}, next[] = {0, 2};
  static const double when[] = {0, DAY, 2. * DAY, 60. * DAY, 61. * DAY, 62. * DAY, 100. * DAY};
  static const int64_t from[] = {0, 3}, to[] = {3, 7}, as_of[] = {90 * DAY, 101 * DAY};
  fixture f;
  begin_fixture(&f, "weighted_frequency", -1);
  expect(&f, (const double[3][CLASSES]){{(2 + all[0]) / 4, (1 + all[1]) / 4, all[2] / 4},
                                        {all[0] / 2, (1 + all[1]) / 2, all[2] / 2},
                                        {(2 + all[0]) / 5, (1 + all[1]) / 5, (1 + all[2]) / 5}});
  f.history = (co_history){.classes = CLASSES,
                           .item = bought,
                           .time = {CO_F64, when, 7},
                           .begin = from,
                           .end = to,
                           .as_of = as_of,
                           .entity = entity,
                           .entities = 2,
                           .target = next};
  f.estimator.arrays.count = 0;
  assert_int_equal(co_estimator_fit(&f.estimator, &f.data), CO_OK);
  const double often = pow(3 * .25, .25), of_late = pow(3 * .5, .25), first = 3 * often + 1;
  const double want[] = {(often + 4 / 7.) / first,
                         (2 * often + 2 / 7.) / first,
                         1 / 7. / first,
                         (3 * often + 4 / 7.) / (first + of_late),
                         2 / 7. / (first + of_late),
                         (of_late + 1 / 7.) / (first + of_late)};
  float heads[2 * CLASSES];
  assert_int_equal(
      f.estimator.class_->score_history(&f.estimator, 0, &f.history, samples, 2, heads), CO_OK);
  for (int i = 0; i < 2 * CLASSES; i++)
    assert_float_equal((double)heads[i], log(want[i]), 1e-6);
  end_fixture(&f);
}

// As of days 90 and 80 customer 0 had items 0 and 1 once, and then item 0. These differ in nothing but how many ever
// bought them, one and two: the coefficient of that, w, is least for 4 log(1 + e^(w d / 2)) + w^2 / 2 with
// d = ln 2, and the intercept lies between both. Of all it is two, two and half a customer.
static void test_repeat_logistic(void **state) {
  (void)state;
  fixture f;
  const double d = log(2), middle = (log(3 / 3.5) + log(6 / 3.5)) / 2;
  double w = 0;
  for (int i = 0; i < 100; i++)
    w = -2 * d / (1 + exp(-w * d / 2));
  const double p = 1 / (1 + exp(-w * (log(3 * all[0]) - middle)));
  const double q = 1 / (1 + exp(-w * (log(3 * all[2]) - middle)));
  const double few = .01; // no step that followed had anything new
  begin_fixture(&f, "repeat_logistic", -1);
  expect(&f,
         (const double[3][CLASSES]){
             {(p + few * all[0]) / (2 * p + few), (p + few * all[1]) / (2 * p + few),
              few * all[2] / (2 * p + few)},
             {few * all[0] / (p + few), (p + few * all[1]) / (p + few), few * all[2] / (p + few)},
             {(p + few * all[0]) / (2 * p + q + few), (p + few * all[1]) / (2 * p + q + few),
              (q + few * all[2]) / (2 * p + q + few)}});
  // Without times each event is a step, and what comes next are the targets: item 2, which none had before.
  // So nothing is learned: c of c + 1 of what occurs c times.
  f.history.time.values = NULL;
  f.estimator.arrays.count = 0;
  assert_int_equal(co_estimator_fit(&f.estimator, &f.data), CO_OK);
  const double two = 2. / 3, one = 1. / 2, third = two + 2 * one + 1;
  expect(&f, (const double[3][CLASSES]){
                 {(two + all[0]) / (two + one + 1), (one + all[1]) / (two + one + 1),
                  all[2] / (two + one + 1)},
                 {all[0] / (one + 1), (one + all[1]) / (one + 1), all[2] / (one + 1)},
                 {(two + all[0]) / third, (one + all[1]) / third, (one + all[2]) / third}});
  end_fixture(&f);
}

// Who bought item 0 buys it every ten days; item 1 all customers bought on day 0, and never again. Of one who
// had both once, on one day, item 0 is next.
static void test_repeat_logistic_learns(void **state) {
  (void)state;
  enum { CUSTOMERS = 60, MOST = 5 };
  static int32_t bought[CUSTOMERS * MOST + 2], next[CUSTOMERS];
  static double when[CUSTOMERS * MOST + 2];
  static int64_t from[CUSTOMERS + 1], to[CUSTOMERS + 1], as_of[CUSTOMERS + 1], whose[CUSTOMERS + 1],
      rows[CUSTOMERS];
  int64_t count = 0;
  fixture f;
  for (int64_t i = 0; i < CUSTOMERS; i++) {
    const bool repeats = i % 4 == 0;
    from[i] = count;
    for (int k = 0; k < (repeats ? MOST : 2); k++) {
      bought[count] = k == 1 ? 1 : repeats ? 0 : 2;
      when[count++] = (k < 2 ? 0 : k - 1) * 10. * DAY;
    }
    to[i] = count;
    as_of[i] = 40 * DAY;
    next[i] = repeats ? 0 : 2;
    rows[i] = whose[i] = i;
  }
  from[CUSTOMERS] = count;
  for (int k = 0; k < 2; k++)
    bought[count++] = k;
  to[CUSTOMERS] = count;
  begin_fixture(&f, "repeat_logistic", -1);
  f.history = (co_history){.classes = CLASSES,
                           .item = bought,
                           .time = {CO_F64, when, count},
                           .begin = from,
                           .end = to,
                           .as_of = as_of,
                           .entity = whose,
                           .entities = CUSTOMERS,
                           .target = next};
  f.data.samples = rows;
  f.data.sample_count = CUSTOMERS;
  f.estimator.arrays.count = 0;
  assert_int_equal(co_estimator_fit(&f.estimator, &f.data), CO_OK);
  float heads[CLASSES];
  const int64_t newcomer = CUSTOMERS;
  assert_int_equal(
      f.estimator.class_->score_history(&f.estimator, 0, &f.history, &newcomer, 1, heads), CO_OK);
  assert_true(heads[0] > heads[1] + (float)log(2));
  end_fixture(&f);
}

// In training item 2 followed item 0 and item 1, and nothing followed item 2.
static void test_markov(void **state) {
  (void)state;
  fixture f;
  begin_fixture(&f, "markov", -1);
  expect(&f, (const double[3][CLASSES]){{all[0] / 2, all[1] / 2, (1 + all[2]) / 2},
                                        {all[0] / 2, all[1] / 2, (1 + all[2]) / 2},
                                        {all[0], all[1], all[2]}});
  end_fixture(&f);
}

// Customer 0 has items 0 and 1, customer 1 item 1: their cosine is 1 / sqrt(1 * 2).
static void test_item_knn(void **state) {
  (void)state;
  fixture f;
  const double c = sqrt(.5), both = 2 * c + 1, one = c + 1;
  begin_fixture(&f, "item_knn", -1);
  expect(&f, (const double[3][CLASSES]){{(c + all[0]) / both, (c + all[1]) / both, all[2] / both},
                                        {(c + all[0]) / one, all[1] / one, all[2] / one},
                                        {(c + all[0]) / both, (c + all[1]) / both, all[2] / both}});
  end_fixture(&f);
  // The validation row's item is one of its own history: items stand beside themselves, too.
  begin_fixture(&f, "item_knn", 3);
  expect(&f,
         (const double[3][CLASSES]){
             {(1 + c + all[0]) / (both + 2), (1 + c + all[1]) / (both + 2), all[2] / (both + 2)},
             {(c + all[0]) / (one + 1), (1 + all[1]) / (one + 1), all[2] / (one + 1)},
             {(1 + c + all[0]) / (both + 3), (1 + c + all[1]) / (both + 3),
              (1 + all[2]) / (both + 3)}});
  end_fixture(&f);
}

// Of samples that belong to one customer, in whatever order, each is counted by itself.
static void test_samples_do_not_touch(void **state) {
  (void)state;
  fixture f;
  float forward[3 * CLASSES], backward[3 * CLASSES];
  const int64_t reversed[] = {2, 1, 0};
  begin_fixture(&f, "personal_frequency", -1);
  const co_estimator_class *class_ = f.estimator.class_;
  assert_int_equal(class_->score_history(&f.estimator, 0, &f.history, samples, 3, forward), CO_OK);
  assert_int_equal(class_->score_history(&f.estimator, 0, &f.history, reversed, 3, backward),
                   CO_OK);
  for (int i = 0; i < 3; i++)
    assert_memory_equal(forward + i * CLASSES, backward + (2 - i) * CLASSES,
                        CLASSES * sizeof(float));
  end_fixture(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_popularity),
                                     cmocka_unit_test(test_personal_frequency),
                                     cmocka_unit_test(test_weighted_frequency),
                                     cmocka_unit_test(test_repeat_logistic),
                                     cmocka_unit_test(test_repeat_logistic_learns),
                                     cmocka_unit_test(test_markov),
                                     cmocka_unit_test(test_item_knn),
                                     cmocka_unit_test(test_samples_do_not_touch)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
