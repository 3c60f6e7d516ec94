// SPDX-License-Identifier: Apache-2.0
// Dates by their parts, and principal components of several numbers.
#include "feeding.h"

enum { TRAINING = 4, TEST = 2, ROWS = TRAINING + TEST };

static const double hours = 3600, days = 86400;

static void write_column(co_dataset_writer *w, const char *name, co_column_type type,
                         const double *values) {
  const co_column column = {.name = name,
                            .type = type,
                            .role = strcmp(name, "y") ? CO_ROLE_INPUT : CO_ROLE_TARGET,
                            .dtype = CO_F64};
  assert_int_equal(co_dataset_writer_column(w, "people", &column, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, ROWS, values), CO_OK);
}

static void write_data(void) {
  // 2024-02-29 23:30 a Thursday, 1969-12-28 a Sunday, 2000-01-01 a Saturday, 2023-12-31 12:00 a Sunday;
  // then a day that training has not seen, and none.
  const double when[ROWS] = {19782 * days + 23.5 * hours, -4 * days,    10957 * days,
                             19722 * days + 12 * hours,   19783 * days, (double)NAN};
  static const double a[ROWS] = {1, 2, 3, 4, 5, (double)NAN}, b[ROWS] = {2, 4, 6, 8, 10, 5};
  static const double c[ROWS] = {8, 6, 4, 2, 0, 5}, y[ROWS];
  static const uint8_t split[ROWS] = {0, 0, 0, 0, 2, 2};
  co_context *ctx;
  co_dataset_writer *w;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, "f.h5"), CO_OK);
  write_column(w, "when", CO_COLUMN_DATE, when);
  write_column(w, "n_a", CO_COLUMN_NUMBER, a);
  write_column(w, "n_b", CO_COLUMN_NUMBER, b);
  write_column(w, "n_c", CO_COLUMN_NUMBER, c);
  write_column(w, "y", CO_COLUMN_NUMBER, y);
  assert_int_equal(co_dataset_writer_samples(w, "people", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  co_context_free(ctx);
}

static void open_feature(rig *r, const char *item, co_split split) {
  char text[400];
  snprintf(text, sizeof text, "input_features: [%s]\noutput_features: [{name: y}]", item);
  open_rig(r, text, split);
}

static void near(double value, double wanted) {
  if (!(fabs(value - wanted) < 1e-5)) fail_msg("%.9g, not %.9g", value, wanted);
}

// Before they are normalised, which is undone here.
static void feed_parts(const rig *r, double *out, int64_t width) {
  const float *mean = co_feature_fitted(r->model->inputs, "mean")->bytes;
  const float *scale = co_feature_fitted(r->model->inputs, "scale")->bytes;
  feed_block(r, 0, out, width);
  for (int64_t i = 0; i < r->count * width; i++)
    out[i] = out[i] / (double)scale[i % width] + (double)mean[i % width];
}

static void test_parts(void **state) {
  (void)state;
  enum { PARTS = 8 };
  rig r;
  double out[ROWS * PARTS];
  static const char item[] =
      "{name: when, preprocessing: {cyclical: false,\n"
      "  parts: [year, month, day, weekday, hour, is_weekend, days, missing]}}";
  static const double wanted[TRAINING][PARTS] = {{2024, 1, 28, 3, 23, 0, 19786.979167, 0},
                                                 {1969, 11, 27, 6, 0, 1, 0, 0},
                                                 {2000, 0, 0, 5, 0, 1, 10961, 0},
                                                 {2023, 11, 30, 6, 12, 1, 19726.5, 0}};
  write_data();
  open_feature(&r, item, CO_SPLIT_TRAIN);
  feed_parts(&r, out, PARTS);
  for (int i = 0; i < TRAINING; i++)
    for (int k = 0; k < PARTS; k++)
      if (!(fabs(out[i * PARTS + k] - wanted[i][k]) < 1e-2))
        fail_msg("row %d, part %d: %.9g, not %.9g", i, k, out[i * PARTS + k], wanted[i][k]);
  close_rig(&r);
  // What is missing is the mean; only the flag says so.
  co_input_counts counts;
  open_feature(&r, item, CO_SPLIT_TEST);
  feed_parts(&r, out, PARTS);
  near(out[1], 2); // March
  near(out[PARTS + 3], 5);
  near(out[PARTS - 1], 0);
  near(out[2 * PARTS - 1], 1);
  assert_int_equal(co_check_inputs(r.model, r.dataset, r.samples, r.count, &counts), CO_OK);
  assert_int_equal(counts.of[CO_COUNT_MISSING], 1);
  close_rig(&r);
}

static void test_circles(void **state) {
  (void)state;
  rig r;
  double out[ROWS * 9];
  write_data();
  open_feature(&r, "{name: when, preprocessing: {parts: [month, hour]}}", CO_SPLIT_TRAIN);
  feed_block(&r, 0, out, 4);
  near(out[0], 0.5); // February
  near(out[1], sqrt(0.75));
  near(out[4], -0.5); // December
  near(out[5], sqrt(0.75));
  near(out[14], 0); // noon
  near(out[15], -1);
  close_rig(&r);
  open_feature(&r, "{name: when}", CO_SPLIT_TRAIN); // days, and four circles
  feed_block(&r, 0, out, 9);
  close_rig(&r);
}

static void test_part_as_class(void **state) {
  (void)state;
  rig r;
  double out[ROWS];
  write_data();
  open_feature(&r, "{name: weekday, column: when, type: date_part, preprocessing: {part: weekday}}",
               CO_SPLIT_TRAIN);
  feed_block(&r, 0, out, 1);
  static const double wanted[] = {2, 1, 3, 1}; // Sunday is the most frequent
  for (int i = 0; i < TRAINING; i++)
    assert_true(out[i] == wanted[i]);
  close_rig(&r);
  open_feature(&r, "{name: weekday, column: when, type: date_part, preprocessing: {part: weekday}}",
               CO_SPLIT_TEST);
  feed_block(&r, 0, out, 1);
  assert_true(out[0] == 0 && out[1] == 0); // a Friday, and no day
  close_rig(&r);
}

// b says what a says, c the opposite: one axis has all of the variance, which is 3.
static void test_components(void **state) {
  (void)state;
  rig r;
  double out[ROWS * 2], deviation = sqrt(1.25);
  write_data();
  open_feature(&r, "{name: all, type: pca, columns: ['n_*'], preprocessing: {components: 2}}",
               CO_SPLIT_TRAIN);
  assert_int_equal(r.model->inputs[0].column_count, 3);
  feed_block(&r, 0, out, 2);
  double sign = out[0] < 0 ? 1 : -1;
  for (int i = 0; i < TRAINING; i++) {
    near(out[2 * i], sign * sqrt(3) * (i - 1.5) / deviation);
    near(out[2 * i + 1], 0);
  }
  const double *variance = co_feature_fitted(r.model->inputs, "variance")->bytes;
  near(variance[0], 3);
  near(variance[1], 0);
  close_rig(&r);
  open_feature(&r,
               "{name: all, type: pca, columns: [n_a, n_b], preprocessing: {components: 1,\n"
               "  whiten: true}}",
               CO_SPLIT_TEST);
  feed_block(&r, 0, out, 1);
  near(out[0], 2.5 / deviation);
  near(out[1], 0); // one is missing, the other the mean
  close_rig(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_parts), TRAINING_TEST(test_circles),
                                     TRAINING_TEST(test_part_as_class),
                                     TRAINING_TEST(test_components)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
