// SPDX-License-Identifier: Apache-2.0
// Whole trainings on the emulated device: as on the CPU within rounding, equal bytes each time, and
// across a stop.
#include "records.h"
#include "tests/train/fashion.h"
#include "tests/train/people.h"

enum { ROWS = 60, FASHION_ROWS = 1500 };

static void test_as_on_the_cpu(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  training t = {.run_dir = "cpu",
                .config = "c.yaml",
                .dataset = "d.h5",
                .device = "cpu",
                .set = {"trainer.precision=32"}};
  assert_int_equal(train_apart(&t), 0);
  t.run_dir = "cuda";
  t.device = "cuda:0";
  t.records = "log";
  assert_int_equal(train_apart(&t), 0);
  assert_true(file_has("log", "device=cuda:0"));
  assert_false(file_has("log", "not recorded"));
  compare("\"loss\":", 1e-3);
}

// What the host makes of stored rows is what it makes for the CPU, whether it lies on the device or
// comes with each batch.
static void test_fitted(void **state) {
  (void)state;
  write_table("t.csv");
  import_table();
  write_text("c.yaml", fitted_config);
  training t = {.run_dir = "cpu",
                .config = "c.yaml",
                .dataset = "d.h5",
                .device = "cpu",
                .set = {"trainer.precision=32"}};
  assert_int_equal(train_apart(&t), 0);
  static const char *const placements[] = {"device", "host"};
  for (int i = 0; i < 2; i++) {
    remove_tree("cuda");
    t.run_dir = "cuda";
    t.device = "cuda:0";
    t.placement = placements[i];
    assert_int_equal(train_apart(&t), 0);
    compare("\"loss\":", 1e-4);
  }
}

static void check_equal_bytes(const char *precision) {
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  training t = {.run_dir = "a",
                .config = "c.yaml",
                .dataset = "d.h5",
                .device = "cuda:0",
                .set = {precision}};
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

static void test_equal_bytes(void **state) {
  (void)state;
  check_equal_bytes("trainer.precision=tf32");
}

// The mirror that a resumed run casts from its masters is the one that the optimizer wrote.
static void test_equal_bytes_bf16(void **state) {
  (void)state;
  check_equal_bytes("trainer.precision=bf16");
  assert_true(file_has("a/config.full.yaml", "precision: bf16"));
}

// Noise is staged in float, beside an image that the section writes in bf16.
static const char noise_config[] =
    "input_features:\n"
    "  - {name: image, encoder: {type: stacked_cnn, filters: [3], output_size: 8}}\n"
    "output_features:\n"
    "  - {name: real, type: discriminator}\n"
    "  - {name: generated, type: generator, noise_size: 8,\n"
    "     decoder: {type: stacked_cnn_decoder, filters: [4], activation: sigmoid}}\n"
    "trainer:\n"
    "  max_steps: 6\n"
    "  batch_size: 8\n"
    "  learning_rate: 0.001\n"
    "  log_every_n_steps: 1\n"
    "  phases:\n"
    "    - {losses: [real], groups: [image, real]}\n"
    "    - {losses: [generated], groups: [generated]}\n";

static void test_noise_bf16(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", noise_config);
  training t = {.run_dir = "cpu", .config = "c.yaml", .dataset = "d.h5", .device = "cpu"};
  assert_int_equal(train_apart(&t), 0);
  t.run_dir = "cuda";
  t.device = "cuda:0";
  t.set[0] = "trainer.precision=bf16";
  assert_int_equal(train_apart(&t), 0);
  compare("\"loss\":", 2e-2);
}

// Real images, on the device in bf16 and on the CPU in float.
static void test_fashion_bf16(void **state) {
  (void)state;
  if (!make_fashion("d.h5", FASHION_ROWS)) skip();
  write_text("c.yaml", fashion_config);
  training t = {.run_dir = "cpu", .config = "c.yaml", .dataset = "d.h5", .device = "cpu"};
  assert_int_equal(train_apart(&t), 0);
  t.run_dir = "cuda";
  t.device = "cuda:0";
  t.set[0] = "trainer.precision=bf16";
  assert_int_equal(train_apart(&t), 0);
  double wide = fashion_accuracy("cpu"), narrow = fashion_accuracy("cuda");
  print_message("accuracy %.4f in float on the CPU, %.4f in bf16 here\n", wide, narrow);
  assert_true(wide > 0.7);
  assert_true(narrow > wide - 0.06); // of 500 rows: two standard deviations of a difference
}

static void check_parity(const char *precision) {
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .device = "cpu"};
  assert_int_equal(train_apart(&t), 0);
  cohort_context *context;
  cohort_result *result;
  assert_int_equal(cohort_context_create(&context, NULL), 0);
  cohort_verify_parity_options options = {
      .model = "run", .dataset = "d.h5", .device = "cuda:0", .precision = precision};
  int status = cohort_verify_parity(context, &options, &result);
  if (status) fail_msg("%s", cohort_result_text(result));
  assert_non_null(strstr(cohort_result_json(result), "\"device\":\"cuda"));
  cohort_result_free(result);
  cohort_context_free(context);
}

// Which precision lets products round to TF32: the doubles abort where one may.
static void test_tf32(void **state) {
  (void)state;
  static const struct {
    const char *set;
    int code;
  } expected[] = {{"trainer.precision=32", 0},
                  {"trainer.precision=bf16", 0},
                  {"trainer.precision=tf32", 128 + SIGABRT}};
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  setenv("COHORT_SIM_NO_TF32", "1", 1);
  for (int i = 0; i < 3; i++) {
    training t = {.run_dir = "run",
                  .config = "c.yaml",
                  .dataset = "d.h5",
                  .device = "cuda:0",
                  .set = {expected[i].set, "trainer.max_epochs=1"}};
    assert_int_equal(train_apart(&t), expected[i].code);
    remove_tree("run");
  }
  unsetenv("COHORT_SIM_NO_TF32");
}

static void test_bf16_needs_a_device(void **state) {
  (void)state;
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  setenv("COHORT_SIM_CAPABILITY", "7.5", 1);
  training t = {.run_dir = "run",
                .config = "c.yaml",
                .dataset = "d.h5",
                .device = "cuda:0",
                .set = {"trainer.precision=bf16"},
                .records = "log"};
  int code = train_apart(&t);
  unsetenv("COHORT_SIM_CAPABILITY");
  assert_int_equal(code, CO_ERR_DEVICE);
  // A plugin that has no code for such a device refuses the device itself.
  bool refused = file_has("log", "compute capability 7.5; this plugin has code for") ||
                 file_has("log", "compute capability 7.5; 8.0 is needed") ||
                 file_has("log", "compute capability 7.5; 9.0 is needed");
  assert_true(refused || file_has("log", "bf16 needs compute capability 8.0"));
}

static void test_parity(void **state) {
  (void)state;
  check_parity(NULL);
}

static void test_parity_bf16(void **state) {
  (void)state;
  check_parity("bf16");
}

// With an argument the long test, else the others.
int main(int argc, char **argv) {
  (void)argv;
  const struct CMUnitTest fashion[] = {TRAINING_TEST(test_fashion_bf16)};
  if (argc > 1) return cmocka_run_group_tests(fashion, NULL, NULL);
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_as_on_the_cpu),
                                     TRAINING_TEST(test_fitted),
                                     TRAINING_TEST(test_parity),
                                     TRAINING_TEST(test_tf32),
                                     TRAINING_TEST(test_bf16_needs_a_device),
                                     TRAINING_TEST(test_parity_bf16),
                                     TRAINING_TEST(test_noise_bf16),
                                     TRAINING_TEST(test_equal_bytes),
                                     TRAINING_TEST(test_equal_bytes_bf16)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
