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

// One config after the other, on the device in some way and in another: equal bytes.
static void expect_equal(training one, training other) {
  static char names[2][16];
  static int runs;
  (void)snprintf(names[0], sizeof names[0], "run%d", runs++);
  (void)snprintf(names[1], sizeof names[1], "run%d", runs++);
  one.run_dir = names[0];
  other.run_dir = names[1];
  assert_int_equal(train_apart(&one), 0);
  assert_int_equal(train_apart(&other), 0);
  assert_string_equal(run_difference(one.run_dir, other.run_dir), "");
}

// Long stretches between records: several steps in a launch, a partial batch at each epoch's end.
static const training stretches = {
    .config = "c.yaml",
    .dataset = "d.h5",
    .device = "cuda:0",
    .set = {"trainer.log_every_n_steps=1000", "trainer.steps_per_checkpoint=0",
            "trainer.accumulate_grad_batches=1", "trainer.max_epochs=5"},
    .records = "log",
    .level = COHORT_LOG_DEBUG};

static void test_recorded_as_eager(void **state) {
  (void)state;
  make_images("d.h5", 2 * ROWS, 1); // 80 training rows: ten batches of 8, in launches of 8 and 2
  write_text("c.yaml", rich_config);
  training recorded = stretches, eager = stretches;
  eager.eager = true;
  eager.records = NULL;
  expect_equal(recorded, eager);
  assert_true(file_has("log", "record phase=0 rows=8 steps=8"));
  assert_true(file_has("log", "record phase=-1")); // evaluation
  recorded.records = NULL;
  eager.records = "log";
  expect_equal(recorded, eager);
  assert_false(file_has("log", "record phase"));
}

static void test_partial_batches(void **state) {
  (void)state;
  make_images("d.h5", 66, 1); // 44 training rows: five batches of 8 and one of 4
  write_text("c.yaml", rich_config);
  training recorded = stretches, eager = stretches;
  eager.eager = true;
  eager.records = NULL;
  expect_equal(recorded, eager);
  assert_true(file_has("log", "record phase=0 rows=8 steps=4"));
  assert_true(file_has("log", "record phase=0 rows=8 steps=1"));
  assert_true(file_has("log", "record phase=0 rows=4 steps=1"));
}

static void test_placements(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  training device = {.config = "c.yaml", .dataset = "d.h5", .device = "cuda:0"};
  training host = device;
  device.placement = "device";
  host.placement = "host";
  host.workers = 3;
  expect_equal(device, host);
  training stretched = stretches, brought = stretches;
  brought.placement = "host";
  brought.records = NULL;
  expect_equal(stretched, brought);
  training wrong = device;
  wrong.run_dir = "wrong";
  wrong.placement = "disk";
  assert_int_equal(train_apart(&wrong), 2);
}

// The reserve leaves less than the images' 1.9 MB: rows come with each batch.
static void test_too_large_for_the_device(void **state) {
  (void)state;
  make_images("d.h5", 30000, 1);
  write_text("c.yaml", rich_config);
  training t = {.config = "c.yaml",
                .dataset = "d.h5",
                .device = "cuda:0",
                .run_dir = "auto",
                .set = {"trainer.max_steps=3", "trainer.eval_batch_size=4096"},
                .records = "log"};
  setenv("COHORT_SIM_MEMORY", "269500000", 1);
  int status = train_apart(&t);
  t.run_dir = "device";
  t.placement = "device";
  t.records = NULL;
  int forced = train_apart(&t);
  unsetenv("COHORT_SIM_MEMORY");
  assert_int_equal(status, 0);
  assert_true(file_has("log", "do not fit on the device"));
  assert_int_equal(forced, 0); // without a reserve it does fit
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
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_as_on_the_cpu),     TRAINING_TEST(test_parity),
      TRAINING_TEST(test_recorded_as_eager), TRAINING_TEST(test_partial_batches),
      TRAINING_TEST(test_placements),        TRAINING_TEST(test_too_large_for_the_device),
      TRAINING_TEST(test_equal_bytes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
