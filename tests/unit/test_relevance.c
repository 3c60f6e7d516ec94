// SPDX-License-Identifier: Apache-2.0
// What a column tells of a target, against values worked out by hand.
#include "tests/unit/data_fixture.h"

#include "datasets/relevance.h"

enum { ROWS = 1200 };

// Columns without a dataset.
typedef struct made {
  co_column column;
  co_view view;
  int32_t codes[ROWS];
  float numbers[ROWS];
} made;

static made x, y;
static int64_t rows[ROWS];

static void prepare(made *m, bool category, int64_t classes) {
  m->column = (co_column){.name = "c", .category_count = classes};
  m->column.type = category ? CO_COLUMN_CATEGORY : classes ? CO_COLUMN_BINARY : CO_COLUMN_NUMBER;
  m->view = (co_view){.column = &m->column,
                      .rows = ROWS,
                      .codes = category ? m->codes : NULL,
                      .numbers = {CO_F32, m->numbers, ROWS}};
}

static co_relevance relevance(fixture *f, co_relevance_method method) {
  co_relevance out;
  for (int i = 0; i < ROWS; i++)
    rows[i] = i;
  assert_int_equal(co_relevance_of(&out, f->ctx, &x.view, &y.view, method, rows, ROWS), CO_OK);
  return out;
}

static void is_near(double value, double expected) {
  if (fabs(value - expected) > 1e-9) fail_msg("%.12g, not %.12g", value, expected);
}

static void information_of_categories(void **state) {
  fixture *f = *state;
  prepare(&x, true, 3);
  prepare(&y, true, 2);
  for (int i = 0; i < ROWS; i++) {
    x.codes[i] = i % 3;
    y.codes[i] = i % 3 == 0; // a function of x: its entropy, less 2 / 2 n
  }
  co_relevance r = relevance(f, CO_RELEVANCE_MUTUAL_INFORMATION);
  is_near(r.score, log(3) / 3 + 2 * log(1.5) / 3 - 1.0 / ROWS);
  assert_true(r.relevant);
  for (int i = 0; i < ROWS; i++)
    y.codes[i] = i / 3 % 2; // independent
  r = relevance(f, CO_RELEVANCE_MUTUAL_INFORMATION);
  assert_true(r.score == 0 && !r.relevant);
  // Missing is a class of its own as an input; a missing target does not count.
  for (int i = 0; i < ROWS; i++) {
    x.codes[i] = i % 2 ? -1 : 0;
    y.codes[i] = i % 4 == 3 ? -1 : i % 2;
  }
  r = relevance(f, CO_RELEVANCE_MUTUAL_INFORMATION);
  is_near(r.score, log(3) / 3 + 2 * log(1.5) / 3 - 1.0 / (2 * 900));
}

static void information_of_numbers(void **state) {
  fixture *f = *state;
  prepare(&x, false, 0);
  prepare(&y, false, 2);
  for (int i = 0; i < ROWS; i++) {
    x.numbers[i] = (float)(i * 7 % ROWS);
    y.numbers[i] = x.numbers[i] >= ROWS / 2;
  }
  co_relevance r = relevance(f, CO_RELEVANCE_MUTUAL_INFORMATION);
  assert_true(r.relevant && r.score > log(2) - 0.03 && r.score < log(2));
}

static void correlations(void **state) {
  fixture *f = *state;
  prepare(&x, false, 0);
  prepare(&y, false, 0);
  for (int i = 0; i < ROWS; i++) {
    x.numbers[i] = (float)(i % 4);                                         // 0 1 2 3
    y.numbers[i] = i % 8 == 7 ? NAN : (float)(i % 4 == 3 ? -5 : -(i % 4)); // 0 -1 -2 -5
  }
  // numpy.corrcoef([0,1,2,3,0,1,2], [0,-1,-2,-5,0,-1,-2]), repeated
  co_relevance r = relevance(f, CO_RELEVANCE_CORRELATION);
  is_near(r.score, 0.946457414634764);
  assert_true(r.relevant);
  // Two groups with means 0 and 1 and squares of 1 about them: a fifth of the variance is between.
  prepare(&x, true, 2);
  for (int i = 0; i < ROWS; i++) {
    x.codes[i] = i % 2;
    y.numbers[i] = (float)(i % 2) + (i % 4 < 2 ? 1 : -1);
  }
  r = relevance(f, CO_RELEVANCE_CORRELATION);
  is_near(r.score, sqrt(1 - 0.8 * (ROWS - 1) / (ROWS - 2)));
  prepare(&y, true, 3); // one class against the rest
  for (int i = 0; i < ROWS; i++)
    y.codes[i] = x.codes[i] ? 2 : i % 4 / 2;
  r = relevance(f, CO_RELEVANCE_CORRELATION);
  is_near(r.score, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(information_of_categories),
      DATA_TEST(information_of_numbers),
      DATA_TEST(correlations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
