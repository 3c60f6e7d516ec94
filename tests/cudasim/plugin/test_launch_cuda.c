// SPDX-License-Identifier: Apache-2.0
// Launches on the emulated device: several steps in one, recorded or not, with the data set there or
// brought along: equal bytes; what goes wrong amid a launch; scoring.
#include "records.h"

enum { ROWS = 60 };

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
  make_images("d.h5", 2 * ROWS, 1); // 80 training rows: forty batches of 2, in launches of 32 and 8
  write_text("c.yaml", rich_config);
  training recorded = stretches, eager = stretches, stopped = stretches;
  recorded.set[3] = eager.set[3] = stopped.set[3] = "trainer.max_epochs=3";
  recorded.set[4] = eager.set[4] = stopped.set[4] = "trainer.batch_size=2";
  eager.eager = true;
  eager.records = "eager";
  expect_equal(recorded, eager);
  assert_true(file_has("log", "record phase=0 rows=2 steps=32"));
  assert_true(file_has("log", "record phase=0 rows=2 steps=8"));
  assert_true(file_has("log", "record phase=-1")); // evaluation
  assert_false(file_has("eager", "record phase"));
  // A stop waits for the launches in flight, and the run goes on to the same bytes.
  stopped.run_dir = "stopped";
  stopped.stop_at = 50;
  assert_int_not_equal(train_apart(&stopped), 0);
  training rest = {.resume = "stopped", .device = "cuda:0"};
  assert_int_equal(train_apart(&rest), 0);
  assert_string_equal(run_difference("run0", "stopped"), "");
}

static void test_partial_batches(void **state) {
  (void)state;
  make_images("d.h5", 66, 1); // 44 training rows: five batches of 8 and one of 4
  write_text("c.yaml", rich_config);
  training recorded = stretches, eager = stretches;
  eager.eager = true;
  eager.records = NULL;
  expect_equal(recorded, eager);
  assert_false(file_has("log", "steps=4")); // four are one after another
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
  // The section's results go to the network in bf16.
  device.set[0] = host.set[0] = "trainer.precision=bf16";
  expect_equal(device, host);
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

// Vectors and numbers as they are stored: the section has nothing to do for them.
static void write_vectors(const char *path) {
  enum { WIDTH = 5 };
  static float vector[ROWS][WIDTH], number[ROWS], target[ROWS];
  static uint8_t split[ROWS];
  for (uint32_t r = 0; r < ROWS; r++) {
    number[r] = (float)(scramble(r) % 1000) / 500 - 1;
    target[r] = number[r];
    for (uint32_t i = 0; i < WIDTH; i++) {
      vector[r][i] = (float)(scramble(r * WIDTH + i + 7) % 1000) / 500 - 1;
      target[r] += i % 2 ? vector[r][i] : -vector[r][i];
    }
    split[r] = r % 6 == 4 ? 1 : 0;
  }
  const co_column columns[] = {
      {.name = "v",
       .type = CO_COLUMN_VECTOR,
       .role = CO_ROLE_INPUT,
       .dtype = CO_F32,
       .shape = co_shape_make(1, (int64_t)WIDTH)},
      {.name = "n", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT, .dtype = CO_F32},
      {.name = "y", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_TARGET, .dtype = CO_F32}};
  const void *data[] = {vector, number, target};
  co_context *ctx;
  co_dataset_writer *writer;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&writer, ctx, path), CO_OK);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(co_dataset_writer_column(writer, "rows", &columns[i], ROWS), CO_OK);
    assert_int_equal(co_dataset_writer_rows(writer, ROWS, data[i]), CO_OK);
  }
  assert_int_equal(co_dataset_writer_samples(writer, "rows", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(writer, NULL), CO_OK);
  co_dataset_writer_free(writer);
  co_context_free(ctx);
}

static const char vector_config[] = "input_features:\n"
                                    "  - {name: v}\n"
                                    "  - {name: n, preprocessing: {normalization: zscore}}\n"
                                    "combiner: {type: concat, layers: [{Dense: 4}]}\n"
                                    "output_features: [{name: y}]\n"
                                    "trainer: {max_epochs: 6, batch_size: 8, learning_rate: 0.05,\n"
                                    "  log_every_n_steps: 2}\n";

static void test_vectors(void **state) {
  (void)state;
  write_vectors("d.h5");
  write_text("c.yaml", vector_config);
  training t = {.config = "c.yaml", .dataset = "d.h5", .device = "cuda:0"}, host = t;
  host.placement = "host";
  expect_equal(t, host);
  t.run_dir = "cpu";
  t.device = "cpu";
  t.set[0] = "trainer.precision=32"; // the CPU knows no TF32
  assert_int_equal(train_apart(&t), 0);
  t.run_dir = "cuda";
  t.device = "cuda:0";
  assert_int_equal(train_apart(&t), 0);
  compare("\"loss\":", 1e-3);
}

// A step amid a launch whose gradient is not finite is the one that is told.
static void test_divergence(void **state) {
  (void)state;
  write_vectors("d.h5");
  write_text("c.yaml", vector_config);
  training t = {.config = "c.yaml",
                .dataset = "d.h5",
                .set = {"trainer.optimizer.type=sgd", "trainer.learning_rate=1000",
                        "trainer.log_every_n_steps=1000", "trainer.max_epochs=50"},
                .records = "log"};
  double found[RECORDS], step[2];
  for (int i = 0; i < 2; i++) {
    t.run_dir = i ? "cuda" : "cpu";
    t.device = i ? "cuda:0" : "cpu";
    assert_int_equal(train_apart(&t), 8);
    assert_true(numbers("log", "the gradient of step ", found) > 0);
    step[i] = found[0];
  }
  assert_true(step[0] > 1);
  assert_true(step[0] == step[1]);
}

static void score(const char *model, const char *device, const char *output) {
  cohort_context *context;
  cohort_result *result;
  assert_int_equal(cohort_context_create(&context, NULL), 0);
  cohort_predict_options options = {.model = model,
                                    .dataset = "d.h5",
                                    .device = device,
                                    .output = output,
                                    .workers = 2,
                                    .batch_size = 7};
  int status = cohort_predict(context, &options, &result);
  if (status) fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
  cohort_context_free(context);
}

// The scores of all classes, the last cells of each line; keys must be in order.
static int read_scores(const char *path, double out[][IMAGE_CLASSES]) {
  char *text = read_whole(path, NULL), *line = strchr(text, '\n') + 1;
  int rows = 0;
  for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1, rows++) {
    assert_int_equal(strtol(line, NULL, 10), rows);
    char *cell = end;
    for (int k = IMAGE_CLASSES; k-- > 0;) {
      do
        cell--;
      while (*cell != ',');
      out[rows][k] = strtod(cell + 1, NULL);
    }
  }
  free(text);
  return rows;
}

// Many batches, one behind the other.
static void test_scores(void **state) {
  (void)state;
  static double cpu[ROWS][IMAGE_CLASSES], cuda[ROWS][IMAGE_CLASSES];
  make_images("d.h5", ROWS, 1);
  write_text("c.yaml", rich_config);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .device = "cpu"};
  assert_int_equal(train_apart(&t), 0);
  score("run", "cpu", "cpu.csv");
  score("run", "cuda:0", "cuda.csv");
  assert_int_equal(read_scores("cpu.csv", cpu), ROWS);
  assert_int_equal(read_scores("cuda.csv", cuda), ROWS);
  for (int r = 0; r < ROWS; r++)
    for (int k = 0; k < IMAGE_CLASSES; k++)
      if (fabs(cpu[r][k] - cuda[r][k]) > 1e-3)
        fail_msg("row %d class %d: %g and %g", r, k, cpu[r][k], cuda[r][k]);
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_recorded_as_eager),
                                     TRAINING_TEST(test_partial_batches),
                                     TRAINING_TEST(test_placements),
                                     TRAINING_TEST(test_vectors),
                                     TRAINING_TEST(test_divergence),
                                     TRAINING_TEST(test_scores),
                                     TRAINING_TEST(test_too_large_for_the_device)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
