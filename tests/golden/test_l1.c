// SPDX-License-Identifier: Apache-2.0
// An L1 penalty must give scikit-learn's coefficients (scripts/gen_l1), and keep what tells.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/core/h5.h"
#include "host/core/rng.h"
#include "host/eval/l1_path.h"

#define OK(expression) assert_int_equal(expression, CO_OK)
enum { ROWS = 400, NUMBERS = 4, CODES = 2, COLUMNS = 14 };
#define ROWS_FILE COHORT_TEST_SOURCE_DIR "/tests/golden/linear.h5"
#define FIXTURE COHORT_TEST_SOURCE_DIR "/tests/golden/l1.h5"

static const int64_t code_rows[CODES] = {4, 6}, code_first[CODES] = {4, 8};
static const co_design_columns columns = {.numbers = NUMBERS,
                                          .codes = CODES,
                                          .code_rows = code_rows,
                                          .code_first = code_first,
                                          .count = COLUMNS};

typedef struct rows {
  co_context *ctx;
  co_h5 *file; // of scikit-learn's
  co_design design;
  float numbers[ROWS * NUMBERS], weights[ROWS], target[ROWS];
  int32_t codes[ROWS * CODES];
  co_watch watch;
} rows;

static void open_rows(rows *r, const char *target) {
  char path[64];
  co_h5 *file;
  memset(r, 0, sizeof *r);
  OK(co_context_create(&r->ctx, NULL));
  OK(co_h5_open(&file, r->ctx, ROWS_FILE, CO_ERR_DATA));
  OK(co_h5_read(file, "numbers", CO_F32, NULL, r->numbers));
  OK(co_h5_read(file, "codes", CO_I32, NULL, r->codes));
  OK(co_h5_read(file, "weights", CO_F32, NULL, r->weights));
  (void)snprintf(path, sizeof path, "targets/%s", target);
  OK(co_h5_read(file, path, CO_F32, NULL, r->target));
  co_h5_abandon(file);
  OK(co_h5_open(&r->file, r->ctx, FIXTURE, CO_ERR_DATA));
  r->design =
      (co_design){.columns = &columns, .rows = ROWS, .numbers = r->numbers, .codes = r->codes};
}

static void close_rows(rows *r) {
  co_h5_abandon(r->file);
  co_context_free(r->ctx);
}

static void compare(const rows *r, const char *name, const char *share, const co_l1 *l) {
  double theirs[COLUMNS], intercept;
  char path[64];
  (void)snprintf(path, sizeof path, "%s/%s/coefficients", name, share);
  OK(co_h5_read(r->file, path, CO_F64, NULL, theirs));
  for (int64_t j = 0; j < COLUMNS; j++) {
    double mine = co_l1_coefficients(l)[j] * co_l1_scales(l)[j];
    if (!(fabs(mine - theirs[j]) <= 1e-6) || (mine == 0) != (theirs[j] == 0))
      fail_msg("%s[%lld]: %.9g instead of %.9g", path, (long long)j, mine, theirs[j]);
  }
  (void)snprintf(path, sizeof path, "%s/%s/intercept", name, share);
  OK(co_h5_read(r->file, path, CO_F64, NULL, &intercept));
  assert_true(fabs(*co_l1_intercept(l) - intercept) <= 1e-6);
}

static void check(const char *name, const char *target, co_linear_loss loss) {
  static const char *const shares[] = {"0.5", "0.1", "0.01"};
  rows r;
  co_l1 *l;
  double most;
  char path[64];
  open_rows(&r, target);
  const co_l1_problem problem = {.rows = &r.design,
                                 .target = r.target,
                                 .weight = r.weights,
                                 .loss = loss,
                                 .tolerance = 1e-9,
                                 .max_iterations = 200,
                                 .watch = &r.watch};
  OK(co_l1_open(&l, r.ctx, &problem));
  (void)snprintf(path, sizeof path, "%s/most", name);
  OK(co_h5_read(r.file, path, CO_F64, NULL, &most));
  assert_true(fabs(co_l1_most(l) - most) <= 1e-9 * most);
  for (int i = 0; i < 3; i++) {
    bool converged;
    OK(co_l1_solve(l, strtod(shares[i], NULL) * most, &converged));
    assert_true(converged);
    compare(&r, name, shares[i], l);
  }
  co_l1_close(l);
  close_rows(&r);
}

static void test_linear(void **state) {
  (void)state;
  check("linear", "number", CO_LINEAR_SQUARED);
}

static void test_logistic(void **state) {
  (void)state;
  check("logistic", "binary", CO_LINEAR_LOGISTIC);
}

static double uniform(uint64_t *draws) {
  return (double)co_philox(5, (*draws)++, 0, 0).word[0] * 0x1p-32;
}

// About: the sum of twelve uniform ones.
static double normal(uint64_t *draws) {
  double sum = -6;
  for (int i = 0; i < 12; i++)
    sum += uniform(draws);
  return sum;
}

// Of thirty columns three tell of the target; the others are noise, one of them a copy of the first.
static void test_choice(void **state) {
  enum { MANY = 3000, WIDE = 30 };
  static const co_design_columns wide = {.numbers = WIDE, .count = WIDE};
  static float numbers[2][MANY * WIDE], target[2][MANY], weight[MANY];
  co_context *ctx;
  co_watch watch = {.stop = NULL};
  co_l1_choice choice;
  double strength[WIDE];
  (void)state;
  OK(co_context_create(&ctx, NULL));
  uint64_t draws = 0;
  for (int part = 0; part < 2; part++)
    for (int i = 0; i < MANY; i++) {
      float *row = &numbers[part][i * WIDE];
      for (int j = 0; j < WIDE; j++)
        row[j] = (float)normal(&draws);
      row[9] = row[0];
      double z = 1.5 * row[0] - row[1] + 0.7 * row[2] - 0.5;
      target[part][i] = uniform(&draws) < 1 / (1 + exp(-z));
      weight[i] = 1;
    }
  const co_design training = {.columns = &wide, .rows = MANY, .numbers = numbers[0]};
  const co_design validation = {.columns = &wide, .rows = MANY, .numbers = numbers[1]};
  const co_l1_problem problem = {.rows = &training,
                                 .target = target[0],
                                 .weight = weight,
                                 .loss = CO_LINEAR_LOGISTIC,
                                 .tolerance = 1e-7,
                                 .max_iterations = 100,
                                 .watch = &watch};
  OK(co_l1_choose(&choice, strength, ctx, &problem, &validation, target[1], weight));
  assert_true(choice.converged);
  assert_true(choice.penalty < choice.most && choice.loss >= choice.least);
  int noise = 0;
  for (int j = 0; j < WIDE; j++) {
    if (j < 3) assert_true(strength[j] + (j ? 0 : strength[9]) > 0.3);
    noise += j > 2 && j != 9 && strength[j] > 0;
    if (j > 2 && j != 9) assert_true(strength[j] < 0.05);
  }
  assert_true(noise < 10);
  co_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_linear), cmocka_unit_test(test_logistic),
                                     cmocka_unit_test(test_choice)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
