// SPDX-License-Identifier: Apache-2.0
// Trainings with all that is learned from training rows: the same bytes whatever the loader's
// workers, across a stop, and the same scores of a dataset and of the raw rows it was made of.
// Labels: slow
#include "people.h"

static void train_all(training t) {
  t.config = "c.yaml";
  t.dataset = "d.h5";
  assert_int_equal(train_apart(&t), 0);
}

static void test_equal_bytes(void **state) {
  (void)state;
  write_table("t.csv");
  import_table();
  write_text("c.yaml", fitted_config);
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
  write_text("c.yaml", fitted_config);
  train_all((training){.run_dir = "a"});
  predict("d.h5", "stored.csv");
  predict("t.csv", "raw.csv");
  assert_true(same_file("stored.csv", "raw.csv"));
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_equal_bytes), TRAINING_TEST(test_raw_rows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
