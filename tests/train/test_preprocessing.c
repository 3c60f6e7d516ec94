// SPDX-License-Identifier: Apache-2.0
// Trainings with all that is learned from training rows: the same bytes whatever the loader's
// workers, across a stop, and the same scores of a dataset and of the raw rows it was made of.
// Labels: slow
#include "training.h"

enum { ROWS = 300 };

static const char config[] =
    "input_features:\n"
    "  - {name: city, preprocessing: {encoding: target_mean, smoothing: 2}}\n"
    "  - {name: city_share, column: city, type: category, preprocessing: {encoding: frequency}}\n"
    "  - {name: city_row, column: city, type: category, preprocessing: {min_frequency: 5}}\n"
    "  - {name: device, preprocessing: {hashing: {buckets: 2}}}\n"
    "  - {name: both, type: cross, columns: [city, device], preprocessing: {buckets: 20}}\n"
    "  - {name: city_spend, column: city, type: aggregate, preprocessing: {of: spend}}\n"
    "  - {name: spend, preprocessing: {outliers: {method: iqr}, normalization: log1p,\n"
    "     missing: indicator}}\n"
    "  - {name: rank, column: spend, preprocessing: {normalization: quantile, missing: median}}\n"
    "  - {name: range, column: age, type: bucket, preprocessing: {quantiles: 4}}\n"
    "  - {name: age, preprocessing: {outliers: {method: zscore, action: 'null'}}}\n"
    "  - {name: joined}\n"
    "  - {name: weekday, column: joined, type: date_part, preprocessing: {part: weekday}}\n"
    "  - {name: axes, type: pca, columns: [age, spend]}\n"
    "combiner: {layers: [{Dense: 8}, ReLU, {Dropout: {rate: 0.2}}]}\n"
    "trainer:\n"
    "  max_epochs: 4\n"
    "  batch_size: 32\n"
    "  learning_rate: 0.01\n"
    "  steps_per_checkpoint: 5\n";

static void write_table(const char *path) {
  static const char *const cities[] = {"Ulm", "Kiel", "Jena", "Bonn", "Trier", "Gera", ""};
  FILE *stream = fopen(path, "w");
  assert_non_null(stream);
  fprintf(stream, "key,city,device,joined,age,spend,bought\n");
  for (uint32_t i = 0; i < ROWS; i++) {
    uint32_t a = scramble(i), b = scramble(i + 1000);
    fprintf(stream, "k%u,%s,%s,20%02u-0%u-1%u,%u,", i, cities[a % 13 % 7],
            b % 3   ? "phone"
            : b % 5 ? "pc"
                    : "tv",
            i % 50 ? 18 + b % 60 : 900);
    if (i % 11) fprintf(stream, "%u.5", i % 40 ? b % 90 : 100000);
    fprintf(stream, ",%s\n", (a % 13 % 7 < 3) == (b % 4 > 0) ? "yes" : "no");
  }
  assert_int_equal(fclose(stream), 0);
}

static void import_table(void) {
  cohort_context *context;
  cohort_result *result;
  static const char *const files[] = {"t.csv"}, *const targets[] = {"bought"};
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  const cohort_import_csv_options options = {.output = "d.h5",
                                             .files = files,
                                             .file_count = 1,
                                             .targets = targets,
                                             .target_count = 1,
                                             .key = "key",
                                             .validation_fraction = -1};
  if (cohort_import_csv(context, &options, &result) != 0)
    fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
  cohort_context_free(context);
}

static void train_all(training t) {
  t.config = "c.yaml";
  t.dataset = "d.h5";
  assert_int_equal(train_apart(&t), 0);
}

static void test_equal_bytes(void **state) {
  (void)state;
  write_table("t.csv");
  import_table();
  write_text("c.yaml", config);
  train_all((training){.run_dir = "a", .workers = 1, .records = "log"});
  assert_true(file_has("log", "\"preprocessing\":{"));
  assert_true(file_has("log", "\"spend\":{\"rows\":"));
  train_all((training){.run_dir = "b", .workers = 3});
  assert_string_equal(run_difference("a", "b"), "");
  training stopped = {
      .run_dir = "c", .config = "c.yaml", .dataset = "d.h5", .workers = 2, .stop_at = 8};
  assert_int_not_equal(train_apart(&stopped), 0);
  assert_int_equal(train_apart(&(training){.resume = "c", .workers = 1}), 0);
  assert_string_equal(run_difference("a", "c"), "");
  // The config that says all leads to the same.
  training again = {.run_dir = "d", .config = "a/config.full.yaml", .dataset = "d.h5"};
  assert_int_equal(train_apart(&again), 0);
  assert_string_equal(run_difference("a", "d"), "");
}

static void predict(const char *dataset, const char *output) {
  cohort_context *context;
  cohort_result *result;
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  const cohort_predict_options options = {.model = "a",
                                          .dataset = dataset,
                                          .output = output,
                                          .key = strstr(dataset, ".csv") ? "key" : NULL};
  if (cohort_predict(context, &options, &result) != 0) fail_msg("%s", cohort_result_json(result));
  assert_non_null(strstr(cohort_result_json(result), "\"spend\":{\"rows\":300,\"missing\":28,"));
  cohort_result_free(result);
  cohort_context_free(context);
}

static void test_raw_rows(void **state) {
  (void)state;
  write_table("t.csv");
  import_table();
  write_text("c.yaml", config);
  train_all((training){.run_dir = "a"});
  predict("d.h5", "stored.csv");
  predict("t.csv", "raw.csv");
  assert_true(same_file("stored.csv", "raw.csv"));
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_equal_bytes), TRAINING_TEST(test_raw_rows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
