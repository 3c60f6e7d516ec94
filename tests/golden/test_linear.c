// SPDX-License-Identifier: Apache-2.0
// Linear models must have scikit-learn's coefficients at equal penalty (scripts/gen_linear).
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host/core/h5.h"
#include "host/eval/solver.h"

#define OK(expression) assert_int_equal(expression, CO_OK)
enum { ROWS = 400, NUMBERS = 4, CODES = 2, COLUMNS = 14, CLASSES = 3 };
#define FIXTURE COHORT_TEST_SOURCE_DIR "/tests/golden/linear.h5"

typedef struct rows {
  co_context *ctx;
  co_h5 *file;
  co_design_columns columns;
  co_design design;
  float numbers[ROWS * NUMBERS], weights[ROWS], target[ROWS];
  int32_t codes[ROWS * CODES];
} rows;

static const int64_t code_rows[CODES] = {4, 6}, code_first[CODES] = {4, 8};

static void open_rows(rows *r) {
  OK(co_context_create(&r->ctx, NULL));
  OK(co_h5_open(&r->file, r->ctx, FIXTURE, CO_ERR_DATA));
  OK(co_h5_read(r->file, "numbers", CO_F32, NULL, r->numbers));
  OK(co_h5_read(r->file, "codes", CO_I32, NULL, r->codes));
  OK(co_h5_read(r->file, "weights", CO_F32, NULL, r->weights));
  r->columns = (co_design_columns){.numbers = NUMBERS,
                                   .codes = CODES,
                                   .code_rows = code_rows,
                                   .code_first = code_first,
                                   .count = COLUMNS};
  r->design =
      (co_design){.columns = &r->columns, .rows = ROWS, .numbers = r->numbers, .codes = r->codes};
}

static void close_rows(rows *r) {
  co_h5_abandon(r->file);
  co_context_free(r->ctx);
}

static void compare(const rows *r, const char *name, const char *l2, const char *what,
                    const double *mine, int64_t count) {
  double theirs[COLUMNS * CLASSES];
  char path[64];
  (void)snprintf(path, sizeof path, "%s/%s/%s", name, l2, what);
  OK(co_h5_read(r->file, path, CO_F64, NULL, theirs));
  for (int64_t i = 0; i < count; i++)
    if (!(fabs(mine[i] - theirs[i]) <= 1e-5))
      fail_msg("%s[%lld]: %.9g instead of %.9g", path, (long long)i, mine[i], theirs[i]);
}

static void check(const char *name, const char *target, co_linear_loss loss, int64_t outputs) {
  static const char *const penalties[] = {"0.01", "1", "100"};
  rows r;
  co_watch watch = {.stop = NULL};
  char path[64];
  open_rows(&r);
  (void)snprintf(path, sizeof path, "targets/%s", target);
  OK(co_h5_read(r.file, path, CO_F32, NULL, r.target));
  for (int i = 0; i < 3; i++) {
    double coefficients[COLUMNS * CLASSES], intercepts[CLASSES];
    const co_linear_problem problem = {.rows = &r.design,
                                       .target = r.target,
                                       .weight = r.weights,
                                       .loss = loss,
                                       .outputs = outputs,
                                       .l2 = strtod(penalties[i], NULL),
                                       .tolerance = 1e-8,
                                       .max_iterations = 200,
                                       .watch = &watch};
    co_linear_solution solution = {.coefficients = coefficients, .intercepts = intercepts};
    OK(co_linear_solve(&solution, r.ctx, &problem));
    assert_true(solution.converged);
    compare(&r, name, penalties[i], "coefficients", coefficients, COLUMNS * outputs);
    compare(&r, name, penalties[i], "intercepts", intercepts, outputs);
  }
  close_rows(&r);
}

static void test_linear(void **state) {
  (void)state;
  check("linear", "number", CO_LINEAR_SQUARED, 1);
}

static void test_logistic(void **state) {
  (void)state;
  check("logistic", "binary", CO_LINEAR_LOGISTIC, 1);
}

static void test_multinomial(void **state) {
  (void)state;
  check("multinomial", "category", CO_LINEAR_SOFTMAX, CLASSES);
}

static void test_svm(void **state) {
  (void)state;
  check("svm", "binary", CO_LINEAR_SQUARED_HINGE, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_linear), cmocka_unit_test(test_logistic),
                                     cmocka_unit_test(test_multinomial),
                                     cmocka_unit_test(test_svm)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
