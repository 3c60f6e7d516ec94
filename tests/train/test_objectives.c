// SPDX-License-Identifier: Apache-2.0
// What losses make a network learn, where the answer is known: of one feature with two settings, each
// setting's rows are a distribution of targets, and the prediction is that number of it which the loss
// is about.
#include "host/persist/model_file.h"
#include "tests/train/training.h"

enum { ROWS = 800, SETTINGS = 2, SHARE = 10 }; // one of so many is positive

static void add(co_dataset_writer *w, const char *name, co_column_type type, co_role role,
                int32_t width, const void *data) {
  co_column column = {.name = name, .type = type, .role = role, .dtype = CO_F32};
  if (width > 1) column.shape = co_shape_make(1, (int64_t)width);
  if (type == CO_COLUMN_CATEGORY) {
    static const char *const names[] = {"none", "some", "much"};
    column.dtype = CO_I32;
    column.categories = names;
    column.category_count = 3;
  }
  assert_int_equal(co_dataset_writer_column(w, "t", &column, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, ROWS, data), CO_OK);
}

// Row r has setting r % 2 and place (r / 2) / 400 within its distribution: `amount` is that place
// squared, ten times it in the second setting, `large` 100,000 and 10,000 times that, where it is known. One row in ten is positive; of the classes, `some` has
// three in ten, `much` one. Each flag of `tags` is so in a tenth, two tenths, … of the rows.
static void write_dataset(void) {
  static float x[ROWS][SETTINGS], amount[ROWS], large[ROWS], bought[ROWS], tags[ROWS][3];
  static int32_t class_[ROWS];
  static uint8_t split[ROWS];
  co_context *ctx;
  co_dataset_writer *w;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  for (int r = 0; r < ROWS; r++) {
    double place = (r / SETTINGS + 0.5) / (ROWS / SETTINGS);
    int turn = r / SETTINGS % SHARE;
    x[r][r % SETTINGS] = 1;
    amount[r] = (float)(place * place * (r % SETTINGS ? 10 : 1));
    large[r] = r % 40 == 39 ? NAN : 100000 + 10000 * amount[r];
    bought[r] = turn == 0;
    class_[r] = turn == 0 ? 2 : turn < 4;
    for (int i = 0; i < 3; i++)
      tags[r][i] = turn <= i;
  }
  assert_int_equal(co_dataset_writer_create(&w, ctx, "d.h5"), CO_OK);
  add(w, "x", CO_COLUMN_VECTOR, CO_ROLE_INPUT, SETTINGS, x);
  add(w, "amount", CO_COLUMN_NUMBER, CO_ROLE_TARGET, 1, amount);
  add(w, "large", CO_COLUMN_NUMBER, CO_ROLE_TARGET, 1, large);
  add(w, "bought", CO_COLUMN_BINARY, CO_ROLE_TARGET, 1, bought);
  add(w, "class", CO_COLUMN_CATEGORY, CO_ROLE_TARGET, 1, class_);
  add(w, "tags", CO_COLUMN_VECTOR, CO_ROLE_TARGET, 3, tags);
  assert_int_equal(co_dataset_writer_samples(w, "t", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  co_context_free(ctx);
}

// Trains on the whole set at once and returns the scores of both settings.
static void learn(const char *output, const char *loss, const char *header, int columns,
                  double scores[SETTINGS][8]) {
  char text[512], line[256];
  snprintf(text, sizeof text,
           "input_features: [{name: x, preprocessing: {normalization: none}}]\n"
           "output_features: [{name: %s%s%s%s}]\n"
           "trainer: {max_epochs: 500, batch_size: %d, learning_rate: 0.05, precision: 32, "
           "steps_per_checkpoint: 1000,\n"
           "  optimizer: {type: adam}, learning_rate_scheduler: {decay: linear}}\n",
           output, *loss ? ", loss: {" : "", loss, *loss ? "}" : "", ROWS);
  write_text("c.yaml", text);
  const training run = {.run_dir = "run",
                        .config = "c.yaml",
                        .dataset = "d.h5",
                        .device = "cpu",
                        .records = "records"};
  if (train_here(&run) != 0) fail_msg("%s: %s", text, read_whole("records", NULL));
  cohort_context *context;
  cohort_result *result;
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  cohort_predict_options options = {
      .model = "run", .dataset = "d.h5", .split = "train", .output = "scores.csv"};
  if (cohort_predict(context, &options, &result) != 0) fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
  cohort_context_free(context);
  FILE *stream = fopen("scores.csv", "r");
  assert_non_null(stream);
  assert_non_null(fgets(line, sizeof line, stream));
  line[strcspn(line, "\n")] = '\0';
  assert_string_equal(line, header);
  for (int s = 0; s < SETTINGS; s++) {
    assert_non_null(fgets(line, sizeof line, stream));
    char *at = line;
    for (int i = 0; i < columns; i++) {
      assert_non_null(at = strchr(at, ','));
      scores[s][i] = strtod(++at, NULL);
    }
  }
  fclose(stream);
}

static void forget(void) {
  assert_int_equal(system("rm -rf run scores.csv"), 0);
}

static void check(const char *what, double got, double want, double off) {
  if (!(fabs(got - want) <= off)) fail_msg("%s: %g, not %g", what, got, want);
}

// A regression finds the mean, the median or a quantile of the square of a uniform number.
static void test_numbers(void **state) {
  (void)state;
  double scores[SETTINGS][8];
  write_dataset();
  learn("amount", "", "row,amount", 1, scores);
  check("mean", scores[0][0], 1.0 / 3, 0.01);
  check("mean", scores[1][0], 10.0 / 3, 0.05);
  forget();
  learn("amount", "type: mean_absolute_error", "row,amount", 1, scores);
  check("median", scores[0][0], 0.25, 0.02);
  check("median", scores[1][0], 2.5, 0.05);
  forget();
  learn("amount", "type: quantile, quantiles: [0.1, 0.5, 0.875]",
        "row,amount_q10,amount_q50,amount_q87.5", 3, scores);
  for (int s = 0; s < SETTINGS; s++) {
    const double unit = s ? 10 : 1;
    check("10 %", scores[s][0], unit * 0.01, unit * 0.02);
    check("50 %", scores[s][1], unit * 0.25, unit * 0.02);
    check("87.5 %", scores[s][2], unit * 0.765625, unit * 0.03);
  }
  forget();
  // Differences of the first setting stay below delta, where it is half the squared error.
  learn("amount", "type: huber, delta: 2", "row,amount", 1, scores);
  check("mean", scores[0][0], 1.0 / 3, 0.01);
  assert_true(scores[1][0] > 2.5 && scores[1][0] < 10.0 / 3 - 0.05); // between median and mean
}

static double evaluated(const char *key) {
  cohort_context *context;
  cohort_result *result;
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  cohort_evaluate_options options = {.model = "run", .dataset = "d.h5", .split = "train"};
  if (cohort_evaluate(context, &options, &result) != 0) fail_msg("%s", cohort_result_json(result));
  const char *at = strstr(cohort_result_json(result), key);
  if (!at) fail_msg("no %s in %s", key, cohort_result_json(result));
  double value = at ? strtod(at + strlen(key), NULL) : 0;
  cohort_result_free(result);
  cohort_context_free(context);
  return value;
}

static double log_loss_of(const char *output) {
  char key[64];
  snprintf(key, sizeof key, "\"%s\":{\"log_loss\":", output);
  return evaluated(key);
}

static float fitted_of(const char *output, const char *name) {
  float value = 0;
  co_context *ctx;
  co_fitted array = {.feature = output,
                     .name = name,
                     .dtype = CO_F32,
                     .shape = co_shape_make(1, (int64_t)1),
                     .bytes = &value};
  co_fitted *arrays[] = {&array};
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_model_file_read_fitted(ctx, "run/model.h5", arrays, 1), CO_OK);
  co_context_free(ctx);
  return value;
}

// Numbers of any scale are learned alike, and scored as they are: 500 updates of .05 do not reach
// 100,000 by themselves.
static void test_normalized(void **state) {
  (void)state;
  double scores[SETTINGS][8];
  write_dataset();
  learn("amount, normalization: zscore}, {name: large, normalization: zscore", "",
        "row,amount,large", 2, scores);
  for (int s = 0; s < SETTINGS; s++) {
    check("amount", scores[s][0], s ? 10.0 / 3 : 1.0 / 3, 0.02);
    check("large", scores[s][1], 100000 + 10000 * scores[s][0], 900); // some of it is not known
  }
  // place² has the mean 1/3 and the mean square 1/5.
  const double mean = 11.0 / 6, std = sqrt(101.0 / 10 - mean * mean);
  check("mean", (double)fitted_of("amount", "mean"), mean, 1e-3);
  check("std", (double)fitted_of("amount", "std"), std, 1e-3);
  check("scale", (double)fitted_of("amount", "scale"), 1 / std, 1e-3);
  const double amount = evaluated("\"amount\":{\"mean_squared_error\":");
  const double large = evaluated("\"large\":{\"mean_squared_error\":");
  const double unit = (double)fitted_of("large", "std");
  check("squares", amount, (1 + 100) / 2.0 * 4 / 45, 0.1);
  check("squares", large, 1e8 * 4 / 45 * (400 + 380 * 100) / 780, 5e6);
  check("loss", evaluated("\"loss\":"), amount / (std * std) + large / (unit * unit), 1e-4);
  forget();
  learn("large, normalization: zscore", "type: quantile, quantiles: [0.1, 0.5]",
        "row,large_q10,large_q50", 2, scores);
  check("10 %", scores[1][0], 100000 + 1000, 1500);
  check("50 %", scores[1][1], 100000 + 25000, 2000);
  forget();
  // Differences of less than two standard deviations.
  learn("large, normalization: auto", "type: huber, delta: 2.5", "row,large", 1, scores);
  check("mean", scores[0][0], 100000 + 10000 / 3.0, 200);
}

// One in ten is positive. A weight of 9, or balanced classes, make that one half; log loss is that of
// the data all the same.
static void test_binary(void **state) {
  (void)state;
  static const char *const even[] = {"positive_weight: 9", "class_weights: balanced",
                                     "class_weights: {1: 4.5, 0: 0.5}"};
  double scores[SETTINGS][8];
  write_dataset();
  for (size_t i = 0; i < sizeof even / sizeof *even; i++) {
    learn("bought", even[i], "row,bought,bought_score", 2, scores);
    check(even[i], scores[0][1], 0.5, 0.005);
    check(even[i], log_loss_of("bought"), log(2), 0.005);
    forget();
  }
  learn("bought", "label_smoothing: 0.2", "row,bought,bought_score", 2, scores);
  check("smoothed", scores[1][1], 0.1 * 0.8 + 0.1, 0.005);
  check("smoothed", log_loss_of("bought"), -0.1 * log(0.18) - 0.9 * log(0.82), 0.005);
  forget();
  // Where the slope of the focal loss over both kinds of rows is 0.
  learn("bought", "type: focal, gamma: 1", "row,bought,bought_score", 2, scores);
  const double p = scores[0][1];
  check("focal", 0.9 * p * (-(1 - p) * log(1 - p) + p), 0.1 * (1 - p) * (-p * log(p) + 1 - p),
        0.002);
  forget();
  learn("bought", "type: hinge", "row,bought,bought_score", 2, scores);
  check("hinge", scores[0][1], 1 / (1 + exp(1)), 0.01); // the margin of the many
}

static void test_classes(void **state) {
  (void)state;
  double scores[SETTINGS][8];
  write_dataset();
  learn("class, normalization: auto", "class_weights: balanced",
        "row,class,class_score,class:none,class:some,class:much", 5, scores);
  for (int i = 2; i < 5; i++)
    check("balanced", scores[0][i], 1.0 / 3, 0.005);
  forget();
  learn("class", "label_smoothing: 0.3", "row,class,class_score,class:none,class:some,class:much",
        5, scores);
  for (int i = 0; i < 3; i++)
    check("smoothed", scores[1][2 + i], 0.7 * (i == 0 ? 0.6 : i == 1 ? 0.3 : 0.1) + 0.1, 0.005);
}

// Several flags in one target.
static void test_multilabel(void **state) {
  (void)state;
  double scores[SETTINGS][8];
  write_dataset();
  learn("tags", "type: binary_cross_entropy", "row,tags_0,tags_1,tags_2", 3, scores);
  for (int i = 0; i < 3; i++)
    check("tags", scores[0][i], 0.1 * (i + 1), 0.005);
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_numbers), TRAINING_TEST(test_normalized),
                                     TRAINING_TEST(test_binary), TRAINING_TEST(test_classes),
                                     TRAINING_TEST(test_multilabel)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
