// SPDX-License-Identifier: Apache-2.0
// Categories as inputs: vocabularies, hashing, numbers by group, crosses, buckets.
#include "feeding.h"

#include "host/core/rng.h"
#include "models/features/groups.h"

enum { TRAINING = 12, TEST = 3, ROWS = TRAINING + TEST };

// Nobody in the training rows is from Bonn (3); two are of unknown city.
static const int32_t city[ROWS] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, -1, -1, 0, 3, -1};
static const int32_t device[ROWS] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1};
static const float spend[ROWS] = {1, 2, 3, 4, 10, 10, 10, (float)NAN, 7, 9, 5, 5, 1, 1, 1};
static const uint8_t bought[ROWS] = {1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1};
static const int32_t plan[ROWS] = {0, 1, 2, 0, 0, 0, 1, 1, 2, 2, 2, 2, 0, 0, 0};

static void write_column(co_dataset_writer *w, const char *name, co_column_type type,
                         co_dtype dtype, const void *values) {
  static const char *const names[] = {"Ulm", "Kiel", "Jena", "Bonn"};
  bool category = type == CO_COLUMN_CATEGORY, target = values == bought || values == plan;
  const co_column column = {.name = name,
                            .type = type,
                            .role = target ? CO_ROLE_TARGET : CO_ROLE_INPUT,
                            .dtype = dtype,
                            .category_count = category ? values == city   ? 4
                                                         : values == plan ? 3
                                                                          : 2
                                                       : 0,
                            .categories = category ? names : NULL};
  assert_int_equal(co_dataset_writer_column(w, "people", &column, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, ROWS, values), CO_OK);
}

static void write_data(void) {
  uint8_t split[ROWS];
  co_context *ctx;
  co_dataset_writer *w;
  for (int i = 0; i < ROWS; i++)
    split[i] = i < TRAINING ? 0 : 2;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, "f.h5"), CO_OK);
  write_column(w, "city", CO_COLUMN_CATEGORY, CO_I32, city);
  write_column(w, "device", CO_COLUMN_CATEGORY, CO_I32, device);
  write_column(w, "spend", CO_COLUMN_NUMBER, CO_F32, spend);
  write_column(w, "bought", CO_COLUMN_BINARY, CO_U8, bought);
  write_column(w, "plan", CO_COLUMN_CATEGORY, CO_I32, plan);
  assert_int_equal(co_dataset_writer_samples(w, "people", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  co_context_free(ctx);
}

static void open_feature(rig *r, const char *item, co_split split) {
  char text[400];
  snprintf(text, sizeof text, "input_features: [%s]\noutput_features: [{name: bought}]", item);
  open_rig(r, text, split);
}

static void expect_codes(const char *item, co_split split, const double *wanted, int64_t missing,
                         int64_t unseen) {
  rig r;
  double out[ROWS];
  co_input_counts counts;
  open_feature(&r, item, split);
  feed_block(&r, 0, out, 1);
  for (int64_t i = 0; i < r.count; i++)
    if (out[i] != wanted[i]) fail_msg("%s: row %d is %g, not %g", item, (int)i, out[i], wanted[i]);
  assert_int_equal(co_check_inputs(r.model, r.dataset, r.samples, r.count, &counts), CO_OK);
  assert_int_equal(counts.of[CO_COUNT_MISSING], missing);
  assert_int_equal(counts.of[CO_COUNT_UNSEEN], unseen);
  close_rig(&r);
}

static void test_vocabulary(void **state) {
  (void)state;
  write_data();
  expect_codes("{name: city}", CO_SPLIT_TRAIN, (const double[]){1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 0, 0},
               2, 0);
  expect_codes("{name: city, preprocessing: {min_frequency: 3}}", CO_SPLIT_TRAIN,
               (const double[]){1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 0}, 2, 2);
  expect_codes("{name: city, preprocessing: {max_vocabulary: 1}}", CO_SPLIT_TEST,
               (const double[]){1, 0, 0}, 1, 1);
}

// Rows of the table are shared, 0 stays for what is missing; whether a class was seen is no matter.
static void test_hashing(void **state) {
  (void)state;
  rig r;
  double out[ROWS];
  write_data();
  open_feature(&r, "{name: city, preprocessing: {hashing: {buckets: 2}}}", CO_SPLIT_TEST);
  assert_int_equal(r.model->blocks[0].class_->input->table_rows(&r.model->blocks[0]), 3);
  feed_block(&r, 0, out, 1);
  assert_true(out[0] == 1 + co_purpose("category", "Ulm") % 2);
  assert_true(out[1] == 1 + co_purpose("category", "Bonn") % 2);
  assert_true(out[2] == 0);
  close_rig(&r);
}

static void test_cross(void **state) {
  (void)state;
  write_data();
  // Both devices of Ulm (1, 2) and Kiel (3, 4) are there twice, of nowhere (5, 6) and Jena once.
  expect_codes("{name: both, type: cross, columns: [city, device]}", CO_SPLIT_TEST,
               (const double[]){1, 0, 6}, 0, 1);
  rig r;
  double out[ROWS];
  open_feature(&r,
               "{name: both, type: cross, columns: [city, device], preprocessing: {buckets: 3}}",
               CO_SPLIT_TRAIN);
  feed_block(&r, 0, out, 1);
  for (int i = 0; i < TRAINING; i++) {
    assert_true(out[i] >= 1 && out[i] <= 3);
    for (int k = 0; k < i; k++)
      if (city[i] == city[k] && device[i] == device[k]) assert_true(out[i] == out[k]);
  }
  close_rig(&r);
}

static void test_buckets(void **state) {
  (void)state;
  write_data();
  // 7, 9, 10 are the most, then 1, 2, then 3, 4, 5: an edge begins a bucket.
  expect_codes("{name: range, column: spend, type: bucket, preprocessing: {edges: [3, 7]}}",
               CO_SPLIT_TRAIN, (const double[]){3, 3, 2, 2, 1, 1, 1, 0, 1, 1, 2, 2}, 1, 0);
  // Of 11 values 1 2 3 4 5 | 5 7 9 10 10 10 the median is 5.
  expect_codes("{name: range, column: spend, type: bucket, preprocessing: {quantiles: 2}}",
               CO_SPLIT_TRAIN, (const double[]){2, 2, 2, 2, 1, 1, 1, 0, 1, 1, 1, 1}, 1, 0);
}

// What the values are before they are normalised, which is by their mean and deviation.
static void expect_groups(const char *item, co_split split, const double *wanted) {
  rig r;
  double out[ROWS], sum = 0, squares = 0;
  open_feature(&r, item, split);
  feed_block(&r, 0, out, 1);
  double mean = (double)*(float *)co_feature_fitted(r.model->inputs, "mean")->bytes;
  double scale = (double)*(float *)co_feature_fitted(r.model->inputs, "scale")->bytes;
  for (int64_t i = 0; i < r.count; i++) {
    double value = out[i] / scale + mean;
    if (!(fabs(value - wanted[i]) < 1e-5))
      fail_msg("%s: row %d is %g, not %g", item, (int)i, value, wanted[i]);
    sum += out[i];
    squares += out[i] * out[i];
  }
  bool all_count = strstr(item, "share") || strstr(item, "frequency");
  if (split == CO_SPLIT_TRAIN && all_count) {
    assert_float_equal(sum / (double)r.count, 0, 1e-5);
    assert_float_equal(squares / (double)r.count, 1, 1e-5);
  }
  close_rig(&r);
}

static void test_groups(void **state) {
  (void)state;
  write_data();
  expect_groups("{name: city, preprocessing: {encoding: frequency}}", CO_SPLIT_TEST,
                (const double[]){4 / 12.0, 0, 2 / 12.0});
  expect_groups("{name: city, preprocessing: {encoding: frequency}}", CO_SPLIT_TRAIN,
                (const double[]){4 / 12.0, 4 / 12.0, 4 / 12.0, 4 / 12.0, 4 / 12.0, 4 / 12.0,
                                 4 / 12.0, 4 / 12.0, 2 / 12.0, 2 / 12.0, 2 / 12.0, 2 / 12.0});
  // Of the 11 with a value: in all 66, 6 the mean. A group without rows has what all have.
  static const struct {
    const char *options;
    double wanted[TEST];
  } cases[] = {{"of: spend", {2.5, 6, 5}},
               {"of: spend, smoothing: 2", {22 / 6.0, 6, 32 / 4.0 - 2.5}},
               {"of: spend, function: std", {1.118033989, 3.219260214, 0}},
               {"of: spend, function: min", {1, 1, 5}},
               {"of: spend, function: max", {4, 10, 5}},
               {"of: spend, function: sum", {10, 0, 10}},
               {"function: count", {4, 0, 2}}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char item[200];
    snprintf(item, sizeof item, "{name: a, column: city, type: aggregate, preprocessing: {%s}}",
             cases[i].options);
    expect_groups(item, CO_SPLIT_TEST, cases[i].wanted);
  }
}

// Of a training row, the mean of the rows of its class in the other folds, drawn to the mean of those
// folds; of all others, that of all training rows.
static void test_target_mean(void **state) {
  (void)state;
  rig r;
  double out[ROWS];
  static const char item[] = "{name: city, preprocessing: {encoding: target_mean, target: bought, "
                             "smoothing: 2, folds: 3}}";
  write_data();
  // 6 of 12 bought: of Ulm 3 of 4, of unknown 0 of 2.
  expect_groups(item, CO_SPLIT_TEST, (const double[]){4 / 6.0, 0.5, 1 / 4.0});
  open_feature(&r, item, CO_SPLIT_TRAIN);
  r.training = true;
  feed_block(&r, 0, out, 1);
  double mean = (double)*(float *)co_feature_fitted(r.model->inputs, "mean")->bytes;
  double scale = (double)*(float *)co_feature_fitted(r.model->inputs, "scale")->bytes;
  int folds = 0;
  for (int i = 0; i < TRAINING; i++) {
    double rows = 0, sum = 0, all = 0, all_sum = 0;
    int64_t fold = co_group_fold(r.model->inputs, i);
    folds |= 1 << fold;
    for (int k = 0; k < TRAINING; k++) {
      if (co_group_fold(r.model->inputs, k) == fold) continue;
      all++;
      all_sum += bought[k];
      rows += city[k] == city[i];
      sum += city[k] == city[i] ? bought[k] : 0;
    }
    double wanted = (sum + 2 * all_sum / all) / (rows + 2);
    assert_float_equal(out[i] / scale + mean, wanted, 1e-5);
  }
  assert_int_equal(folds, 7);
  double again[ROWS];
  r.training = false;
  r.learned = true;
  feed_block(&r, 0, again, 1);
  for (int i = 0; i < TRAINING; i++)
    assert_true(again[i] == out[i]);
  close_rig(&r);
  // A mean a class of a target with several.
  open_feature(&r,
               "{name: city, preprocessing: {encoding: target_mean, target: plan, smoothing: 0}}",
               CO_SPLIT_TEST);
  feed_block(&r, 0, out, 3);
  const float *means = co_feature_fitted(r.model->inputs, "mean")->bytes;
  const float *scales = co_feature_fitted(r.model->inputs, "scale")->bytes;
  static const double ulm[] = {0.5, 0.25, 0.25};
  for (int k = 0; k < 3; k++)
    assert_float_equal(out[k] / (double)scales[k] + (double)means[k], ulm[k], 1e-5);
  close_rig(&r);
}

static void refuse(const char *item, const char *message) {
  co_context *ctx;
  co_arena *arena;
  co_diagnostics problems;
  co_dataset *dataset;
  co_node *config;
  co_model *model = NULL;
  char text[400];
  snprintf(text, sizeof text, "input_features: [%s]\noutput_features: [{name: bought}]", item);
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_arena_create(&arena, ctx), CO_OK);
  co_diagnostics_init(&problems, ctx);
  assert_int_equal(co_dataset_open(&dataset, ctx, "f.h5"), CO_OK);
  assert_int_equal(co_yaml_parse(&config, arena, "c", text, strlen(text), &problems), CO_OK);
  assert_int_equal(co_model_create(&model, ctx, config, co_dataset_schema(dataset), &problems),
                   CO_ERR_CONFIG);
  if (!strstr(co_error_last()->message, message))
    fail_msg("%s\n%s", item, co_error_last()->message);
  co_dataset_close(dataset);
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  co_context_free(ctx);
}

static void test_mistakes(void **state) {
  (void)state;
  write_data();
  refuse("{name: city, preprocessing: {encoding: target_mean}}", "which of several targets");
  refuse("{name: city, preprocessing: {encoding: target_mean, target: spend}}", "must be a target");
  refuse("{name: a, column: city, type: aggregate}", "of: is required");
  refuse("{name: a, column: city, type: aggregate, preprocessing: {of: bought}}", "is a target");
  refuse("{name: a, column: city, type: aggregate, preprocessing: {of: device}}", "is no number");
  refuse("{name: a, column: spend, type: cross}", "is of type number, not cross");
  refuse("{name: a, column: city, type: cross}", "takes several `columns`");
  refuse("{name: a, columns: [city, device]}", "takes one column");
  refuse("{name: spend, columns: [city, device], type: cross}", "has a column 'spend' itself");
  refuse("{name: a, columns: [city], type: cross}", "must be a list of 2 to 256 columns");
  refuse("{name: a, column: spend, type: bucket, preprocessing: {edges: [3, 3]}}", "ascending");
  refuse("{name: city, preprocessing: {hashing: {buckets: 3}, max_size: 2}}", "no vocabulary");
  refuse("{name: bought_city, columns: [bought, city], type: cross}", "is a target");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_vocabulary), TRAINING_TEST(test_hashing), TRAINING_TEST(test_cross),
      TRAINING_TEST(test_buckets),    TRAINING_TEST(test_groups),  TRAINING_TEST(test_target_mean),
      TRAINING_TEST(test_mistakes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
