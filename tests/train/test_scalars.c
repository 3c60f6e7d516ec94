// SPDX-License-Identifier: Apache-2.0
// Numbers as they are made fit for a network: outliers, scales, what is missing.
#include "feeding.h"

#include "models/features/quantiles.h"

enum { TRAINING = 10, TEST = 4, ROWS = TRAINING + TEST };

static const double x[ROWS] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 100, -50, (double)NAN, 1000, 5};
// With a mode, and a gap in a training row.
static const double y[ROWS] = {4, 4, 2, 2, 1, (double)NAN, 7, 8, 9, 10, 3, (double)NAN, 0, 4};

static void write_column(co_dataset_writer *w, const char *name, co_role role,
                         const double *values) {
  const co_column column = {.name = name, .type = CO_COLUMN_NUMBER, .role = role, .dtype = CO_F64};
  assert_int_equal(co_dataset_writer_column(w, "things", &column, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, ROWS, values), CO_OK);
}

static void write_data(void) {
  double nothing[ROWS], constant[ROWS], target[ROWS];
  uint8_t split[ROWS];
  co_context *ctx;
  co_dataset_writer *w;
  for (int i = 0; i < ROWS; i++) {
    nothing[i] = NAN;
    constant[i] = i == 3 ? 8 : 7;
    target[i] = i;
    split[i] = i < TRAINING ? 0 : 2;
  }
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, "f.h5"), CO_OK);
  write_column(w, "x", CO_ROLE_INPUT, x);
  write_column(w, "y", CO_ROLE_INPUT, y);
  write_column(w, "nothing", CO_ROLE_INPUT, nothing);
  write_column(w, "constant", CO_ROLE_INPUT, constant);
  write_column(w, "target", CO_ROLE_TARGET, target);
  assert_int_equal(co_dataset_writer_samples(w, "things", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  co_context_free(ctx);
}

static const char *config_of(const char *column, const char *preprocessing) {
  static char text[300];
  snprintf(text, sizeof text,
           "input_features: [{name: %s, preprocessing: {%s}}]\noutput_features: [{name: target}]",
           column, preprocessing);
  return text;
}

// What the rows of a split are fed as, and what was counted in them.
static void expect(const char *column, const char *preprocessing, co_split split,
                   const double *wanted, int64_t missing, int64_t outliers) {
  rig r;
  double out[ROWS];
  co_input_counts counts;
  open_rig(&r, config_of(column, preprocessing), split);
  feed_block(&r, 0, out, 1);
  for (int64_t i = 0; i < r.count; i++)
    if (!(fabs(out[i] - wanted[i]) < 1e-5))
      fail_msg("%s: %s: row %d is %.9g, not %.9g", column, preprocessing, (int)i, out[i],
               wanted[i]);
  assert_int_equal(co_check_inputs(r.model, r.dataset, r.samples, r.count, &counts), CO_OK);
  assert_int_equal(counts.of[CO_COUNT_ROWS], r.count);
  assert_int_equal(counts.of[CO_COUNT_MISSING], missing);
  assert_int_equal(counts.of[CO_COUNT_OUTLIERS], outliers);
  if (split == CO_SPLIT_TRAIN) // which the model keeps
    assert_memory_equal(counts.of, co_feature_counts(r.model->inputs)->bytes, sizeof counts.of);
  close_rig(&r);
}

static void test_missing(void **state) {
  (void)state;
  write_data();
  // 2 and 4 occur twice.
  static const struct {
    const char *missing;
    double fill;
  } cases[] = {{"missing: mean", 47 / 9.0},
               {"missing: median", 4},
               {"missing: mode", 2},
               {"missing: constant, fill_value: -3", -3},
               {"missing: auto", 47 / 9.0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[100];
    snprintf(text, sizeof text, "normalization: none, %s", cases[i].missing);
    expect("y", text, CO_SPLIT_TEST, (const double[]){3, cases[i].fill, 0, 4}, 1, 0);
  }
  // Nothing to learn from.
  static const double zeros[ROWS];
  expect("nothing", "missing: median", CO_SPLIT_TRAIN, zeros, TRAINING, 0);
  expect("nothing", "missing: mode, outliers: {method: iqr}", CO_SPLIT_TRAIN, zeros, TRAINING, 0);
  expect("nothing", "normalization: quantile", CO_SPLIT_TRAIN, zeros, TRAINING, 0);
}

// Rows are left out of what is learned, and given to nobody to learn from.
static void test_drop(void **state) {
  (void)state;
  rig r;
  int64_t *kept, count;
  write_data();
  open_rig(&r,
           "input_features:\n"
           "  - {name: x, preprocessing: {normalization: none, missing: mean,\n"
           "     outliers: {method: iqr, action: drop}}}\n"
           "  - {name: y, preprocessing: {normalization: none, missing: drop}}\n"
           "output_features: [{name: target}]",
           CO_SPLIT_TRAIN);
  assert_int_equal(co_training_rows(r.model, r.dataset, 2, &kept, &count), CO_OK);
  static const int64_t wanted[] = {0, 1, 2, 3, 4, 6, 7, 8}; // 5 lacks y, x of 9 is 100
  assert_int_equal(count, 8);
  assert_memory_equal(kept, wanted, sizeof wanted);
  co_free(r.ctx, kept);
  close_rig(&r);
  open_rig(&r, config_of("y", "missing: drop, normalization: none"), CO_SPLIT_TEST);
  const int64_t *counts = co_feature_counts(r.model->inputs)->bytes;
  assert_int_equal(counts[CO_COUNT_ROWS], TRAINING - 1);
  assert_int_equal(counts[CO_COUNT_DROPPED], 1);
  assert_int_equal(counts[CO_COUNT_MISSING], 0);
  close_rig(&r);
  // Rows that are scored stay, with the mean of those that were learned from, or as they are.
  expect("y", "missing: drop, normalization: none", CO_SPLIT_TEST,
         (const double[]){3, 47 / 9.0, 0, 4}, 1, 0);
  expect("x", "missing: mean, normalization: none, outliers: {method: iqr, action: drop}",
         CO_SPLIT_TEST, (const double[]){-50, 5, 1000, 5}, 1, 2);
  assert_int_equal(fit_rig(&r, config_of("nothing", "missing: drop"), CO_SPLIT_TRAIN), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "no training row is left"));
  close_rig(&r);
}

// Quartiles 3.25 and 7.75: bounds -3.5 and 14.5. Mean 14.5, deviation 28.605: -42.71 and 71.71.
static void test_outliers(void **state) {
  (void)state;
  write_data();
  expect("x", "normalization: none, outliers: {method: iqr}", CO_SPLIT_TRAIN,
         (const double[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 14.5}, 0, 1);
  expect("x", "normalization: none, missing: mean, outliers: {method: iqr}", CO_SPLIT_TEST,
         (const double[]){-3.5, 5.95, 14.5, 5}, 1, 2);
  expect("x", "normalization: none, outliers: {method: iqr, factor: 3}", CO_SPLIT_TRAIN,
         (const double[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 21.25}, 0, 1);
  expect("x", "normalization: none, outliers: {method: zscore, action: 'null', factor: 2}",
         CO_SPLIT_TEST, (const double[]){5, 5, 5, 5}, 1, 2);
  expect("x", "normalization: none, outliers: {method: zscore, action: null, factor: 2}",
         CO_SPLIT_TEST, (const double[]){5, 5, 5, 5}, 1, 2);
  expect("x", "normalization: none, outliers: {method: zscore, action: missing, factor: 2}",
         CO_SPLIT_TEST, (const double[]){5, 5, 5, 5}, 1, 2);
  // Most values are one: that is no reason to take the others for it.
  expect("constant", "normalization: none, outliers: {method: iqr}", CO_SPLIT_TRAIN,
         (const double[]){7, 7, 7, 8, 7, 7, 7, 7, 7, 7}, 0, 0);
}

static void test_logarithms(void **state) {
  (void)state;
  write_data();
  double logs[TRAINING], sum = 0, squares = 0;
  for (int i = 0; i < TRAINING; i++) {
    logs[i] = log(1 + x[i]);
    sum += logs[i];
    squares += logs[i] * logs[i];
  }
  double mean = sum / TRAINING, deviation = sqrt(squares / TRAINING - mean * mean);
  for (int i = 0; i < TRAINING; i++)
    logs[i] = (logs[i] - mean) / deviation;
  expect("x", "normalization: log1p", CO_SPLIT_TRAIN, logs, 0, 0);
  expect("x", "normalization: signed_log1p", CO_SPLIT_TRAIN, logs, 0, 0);
  // -50 has no logarithm: the least training value in its place.
  double far = (log(1001) - mean) / deviation;
  expect("x", "normalization: log1p, missing: median", CO_SPLIT_TEST,
         (const double[]){logs[0], (log(6.5) - mean) / deviation, far, logs[4]}, 1, 1);
  expect("x", "normalization: signed_log1p, missing: constant, fill_value: 5", CO_SPLIT_TEST,
         (const double[]){(-log(51) - mean) / deviation, logs[4], far, logs[4]}, 1, 0);
}

// With an edge at each training value the rank is exact, and linear between two of them.
static void test_quantiles(void **state) {
  (void)state;
  write_data();
  double ranks[TRAINING];
  for (int i = 0; i < TRAINING; i++)
    ranks[i] = i / 9.0;
  expect("x", "normalization: quantile, quantiles: 10", CO_SPLIT_TRAIN, ranks, 0, 0);
  expect("x", "normalization: quantile, quantiles: 10, missing: median", CO_SPLIT_TEST,
         (const double[]){0, 0.5, 1, 4 / 9.0}, 1, 0);
  expect("x", "normalization: quantile, quantiles: 10, quantile_output: normal, missing: median",
         CO_SPLIT_TEST, (const double[]){-5.199337582, 0, 5.199337582, -0.139710299}, 1, 0);
  static const double sorted[] = {1, 2, 2, 2, 5};
  assert_true(co_quantile(sorted, 5, 0.875) == 3.5);
  assert_true(co_rank_among(sorted, 5, 2) == 0.5); // places 1 to 3 of 0 to 4
  assert_true(co_rank_among(sorted, 5, 3.5) == 0.875);
  assert_true(co_rank_among(sorted, 5, 0) == 0 && co_rank_among(sorted, 5, 9) == 1);
  assert_float_equal(co_normal_quantile(0.975), 1.959963984540054, 1e-12);
  assert_float_equal(co_normal_quantile(0.6), 0.2533471031357997, 1e-12);
  assert_float_equal(co_normal_quantile(1e-6), -4.753424308822899, 1e-12);
}

// Column and minimum are named, and the way out.
static void test_refused_logarithm(void **state) {
  (void)state;
  static double negative[ROWS] = {0, 1, -2.5, 3};
  static const uint8_t split[ROWS];
  co_context *ctx;
  co_dataset_writer *w;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, "f.h5"), CO_OK);
  write_column(w, "balance", CO_ROLE_INPUT, negative);
  write_column(w, "target", CO_ROLE_TARGET, negative);
  assert_int_equal(co_dataset_writer_samples(w, "things", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  co_context_free(ctx);
  rig r;
  assert_int_equal(fit_rig(&r, config_of("balance", "normalization: log1p"), CO_SPLIT_TRAIN),
                   CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "'balance'"));
  assert_non_null(strstr(co_error_last()->message, "log1p of -2.5"));
  assert_non_null(strstr(co_error_last()->hint, "signed_log1p"));
  close_rig(&r);
}

// One column as several features, of which alike ones are one block.
static void test_names(void **state) {
  (void)state;
  rig r;
  double out[ROWS];
  write_data();
  open_rig(&r,
           "input_features:\n"
           "  - {name: x, preprocessing: {normalization: none, outliers: {method: iqr}}}\n"
           "  - {name: again, column: x, preprocessing: {normalization: none,\n"
           "     outliers: {method: iqr}}}\n"
           "  - {name: rank, column: x, preprocessing: {normalization: quantile, quantiles: 10}}\n"
           "output_features: [{name: target}]",
           CO_SPLIT_TRAIN);
  assert_int_equal(r.model->block_count, 2);
  assert_int_equal(r.model->schema.column_count, 2); // x and target
  double pairs[2 * ROWS];
  feed_block(&r, 0, pairs, 2);
  feed_block(&r, 1, out, 1);
  for (int i = 0; i < TRAINING; i++) {
    double clipped = i == 9 ? 14.5 : x[i];
    assert_true(pairs[2 * i] == clipped && pairs[2 * i + 1] == clipped);
    assert_float_equal(out[i], i / 9.0, 1e-6);
  }
  close_rig(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_missing),
                                     TRAINING_TEST(test_outliers),
                                     TRAINING_TEST(test_drop),
                                     TRAINING_TEST(test_logarithms),
                                     TRAINING_TEST(test_quantiles),
                                     TRAINING_TEST(test_names),
                                     TRAINING_TEST(test_refused_logarithm)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
