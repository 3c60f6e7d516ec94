// SPDX-License-Identifier: Apache-2.0
// Whole trainings on the emulated device: as on the CPU within rounding, equal bytes each time, and
// across a stop.
#include "tests/train/training.h"

enum { ROWS = 60, RECORDS = 64 };

// The numbers behind `key` in a file, in order.
static int numbers(const char *path, const char *key, double *out) {
  char *text = read_whole(path, NULL);
  int count = 0;
  assert_non_null(text);
  for (const char *at = text; count < RECORDS && (at = strstr(at, key)); count++) {
    at += strlen(key);
    out[count] = strtod(at, NULL);
  }
  free(text);
  return count;
}

static void compare(const char *key, double tolerance) {
  double cpu[RECORDS], cuda[RECORDS];
  int count = numbers("cpu/metrics.jsonl", key, cpu);
  assert_true(count > 2);
  assert_int_equal(numbers("cuda/metrics.jsonl", key, cuda), count);
  for (int i = 0; i < count; i++)
    if (fabs(cpu[i] - cuda[i]) > tolerance) fail_msg("%s %d: %g and %g", key, i, cpu[i], cuda[i]);
}

static void test_as_on_the_cpu(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  training t = {.run_dir = "cpu", .config = "c.yaml", .dataset = "d.h5", .device = "cpu"};
  assert_int_equal(train_apart(&t), 0);
  t.run_dir = "cuda";
  t.device = "cuda:0";
  t.records = "log";
  assert_int_equal(train_apart(&t), 0);
  assert_true(file_has("log", "device=cuda:0"));
  assert_false(file_has("log", "not recorded"));
  compare("\"loss\":", 1e-3);
}

static void test_equal_bytes(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  training t = {.run_dir = "a", .config = "c.yaml", .dataset = "d.h5", .device = "cuda:0"};
  assert_int_equal(train_apart(&t), 0);
  t.run_dir = "b";
  assert_int_equal(train_apart(&t), 0);
  assert_string_equal(run_difference("a", "b"), "");
  t.run_dir = "c";
  t.stop_at = 4;
  assert_int_not_equal(train_apart(&t), 0);
  t = (training){.resume = "c", .device = "cuda:0"};
  assert_int_equal(train_apart(&t), 0);
  assert_string_equal(run_difference("a", "c"), "");
}

static void test_parity(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .device = "cpu"};
  assert_int_equal(train_apart(&t), 0);
  cohort_context *context;
  cohort_result *result;
  assert_int_equal(cohort_context_create(&context, NULL), 0);
  cohort_verify_parity_options options = {.model = "run", .dataset = "d.h5", .device = "cuda:0"};
  int status = cohort_verify_parity(context, &options, &result);
  if (status) fail_msg("%s", cohort_result_text(result));
  assert_non_null(strstr(cohort_result_json(result), "\"device\":\"cuda"));
  cohort_result_free(result);
  cohort_context_free(context);
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_as_on_the_cpu), TRAINING_TEST(test_parity),
                                     TRAINING_TEST(test_equal_bytes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
