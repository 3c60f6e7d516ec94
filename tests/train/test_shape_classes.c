// SPDX-License-Identifier: Apache-2.0
// A training over events of many lengths: every class is planned before the first step, after which
// nothing is allocated but for what is written; few graphs are recorded, and none of this shows in the
// bytes. With a device's name, on that.
// Timeout: 240
#include "tests/train/training.h"

#include "host/exec/program_private.h"
#include "host/train/session_private.h"

enum { CUSTOMERS = 390, MOST = 16 };

static const char *device = "cpu";

static const char config[] = "input_features: all\n"
                             "output_features: targets\n"
                             "trainer: {max_epochs: 3, batch_size: 4, eval_batch_size: 16,\n"
                             "  log_every_n_steps: 1000, learning_rate: 0.01, precision: 32}\n";

// Customers with 1 to MOST orders each, of two numbers.
static void write_events(co_context *ctx, const char *path) {
  static int64_t offsets[CUSTOMERS + 1];
  static float values[2][CUSTOMERS * MOST];
  static int32_t again[CUSTOMERS];
  static uint8_t split[CUSTOMERS];
  for (int64_t i = 0; i < CUSTOMERS; i++) {
    int64_t count = 1 + scramble((uint32_t)i) % MOST;
    offsets[i + 1] = offsets[i] + count;
    again[i] = count > MOST / 2;
    split[i] = i % 6 == 5;
    for (int64_t k = offsets[i]; k < offsets[i + 1]; k++)
      for (int c = 0; c < 2; c++)
        values[c][k] = (float)(scramble((uint32_t)(2 * k + c)) % 100) / 10;
  }
  const co_column target = {
      .name = "again", .type = CO_COLUMN_BINARY, .role = CO_ROLE_TARGET, .dtype = CO_I32};
  co_column number = {.type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT, .dtype = CO_F32};
  co_dataset_writer *writer;
  assert_int_equal(co_dataset_writer_create(&writer, ctx, path), CO_OK);
  assert_int_equal(co_dataset_writer_column(writer, "customers", &target, CUSTOMERS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(writer, CUSTOMERS, again), CO_OK);
  assert_int_equal(
      co_dataset_writer_events(writer, "orders", "customers", NULL, CUSTOMERS, offsets), CO_OK);
  for (int c = 0; c < 2; c++) {
    number.name = c ? "amount" : "gap";
    assert_int_equal(co_dataset_writer_column(writer, "orders", &number, offsets[CUSTOMERS]),
                     CO_OK);
    assert_int_equal(co_dataset_writer_rows(writer, offsets[CUSTOMERS], values[c]), CO_OK);
  }
  assert_int_equal(co_dataset_writer_samples(writer, "customers", CUSTOMERS, NULL, NULL, split),
                   CO_OK);
  assert_int_equal(co_dataset_writer_ranges(writer, "orders", CUSTOMERS, offsets, offsets + 1),
                   CO_OK);
  assert_int_equal(co_dataset_writer_commit(writer, NULL), CO_OK);
  co_dataset_writer_free(writer);
}

static void prepare(void) {
  co_context *ctx;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  write_events(ctx, "d.h5");
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
  write_text("c.yaml", config);
}

static bool is_in_an_epoch(const co_session *t) {
  return t->state.step > 0 && t->state.batch > 0 && t->state.batch < t->batches_per_epoch;
}

// Advances to the end of the training, watching the memory.
static void check_memory(co_context *ctx, co_session *t) {
  int64_t live = -1, steps = 0;
  while (!co_session_is_done(t)) {
    co_alloc_stats before = co_alloc_get_stats(ctx);
    bool within = is_in_an_epoch(t);
    assert_int_equal(co_session_advance(t), CO_OK);
    co_alloc_stats after = co_alloc_get_stats(ctx);
    if (within && is_in_an_epoch(t)) {
      assert_int_equal(after.calls, before.calls);
      steps++;
    }
    if (live < 0 && t->state.step > 0) live = after.live_bytes;
    if (live >= 0) assert_true(after.live_bytes <= live);
    assert_true(t->program->captured_graph_count <= CO_CAPTURED_GRAPHS);
  }
  assert_true(steps > 50);
}

static void memory_does_not_grow(void **state) {
  (void)state;
  prepare();
  co_context *ctx;
  co_session *session;
  co_diagnostics problems;
  const char *file = "c.yaml";
  const co_watch watch = {0};
  const cohort_train_options options = {.config = {.files = &file, .file_count = 1},
                                        .dataset = "d.h5",
                                        .run_dir = "run",
                                        .device = device,
                                        .threads = 1};
  assert_int_equal(co_context_create(&ctx, &(co_context_options){.threads = 1}), CO_OK);
  co_diagnostics_init(&problems, ctx);
  assert_int_equal(co_session_open(&session, ctx, &watch, &options, &problems), CO_OK);
  assert_int_equal(co_length_count(session->model), CO_MAX_LENGTHS);
  check_memory(ctx, session);
  assert_int_equal(co_session_finish(session), CO_OK);
  assert_int_equal(co_session_close(session, CO_OK), CO_OK);
  co_diagnostics_free(&problems);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
}

static int count_in(const char *path, const char *text) {
  char *bytes = read_whole(path, NULL);
  int count = 0;
  assert_non_null(bytes);
  for (const char *at = bytes; (at = strstr(at, text)); at++)
    count++;
  free(bytes);
  return count;
}

// Graphs of all classes are recorded, of rows that lie on the device or come with the batches.
static void graphs_change_nothing(void **state) {
  (void)state;
  if (strcmp(device, "cpu") == 0) return;
  prepare();
  training t = {.run_dir = "recorded",
                .config = "c.yaml",
                .dataset = "d.h5",
                .device = device,
                .records = "log",
                .level = COHORT_LOG_DEBUG};
  assert_int_equal(train_apart(&t), 0);
  int graphs = count_in("log", "record phase=0");
  assert_true(graphs >= CO_MAX_LENGTHS && graphs <= CO_CAPTURED_GRAPHS);
  t = (training){
      .run_dir = "eager", .config = "c.yaml", .dataset = "d.h5", .device = device, .eager = true};
  assert_int_equal(train_apart(&t), 0);
  assert_string_equal(run_difference("recorded", "eager"), "");
  t = (training){.run_dir = "host",
                 .config = "c.yaml",
                 .dataset = "d.h5",
                 .device = device,
                 .placement = "host"};
  assert_int_equal(train_apart(&t), 0);
  assert_string_equal(run_difference("recorded", "host"), "");
  t = (training){.run_dir = "cpu", .config = "c.yaml", .dataset = "d.h5", .device = "cpu"};
  assert_int_equal(train_apart(&t), 0);
  // The losses of validation by epoch.
  char *cpu = read_whole("cpu/metrics.jsonl", NULL),
       *other = read_whole("host/metrics.jsonl", NULL);
  int records = 0;
  for (const char *a = cpu, *b = other;
       (a = strstr(a, "\"loss\":")) && (b = strstr(b, "\"loss\":")); records++) {
    double x = strtod(a += strlen("\"loss\":"), NULL), y = strtod(b += strlen("\"loss\":"), NULL);
    if (fabs(x - y) > 1e-5) fail_msg("record %d: loss %.9g on the CPU, %.9g here", records, x, y);
  }
  assert_true(records >= 6);
  free(cpu);
  free(other);
}

int main(int argc, char **argv) {
  if (argc > 1) device = argv[1];
  const struct CMUnitTest tests[] = {TRAINING_TEST(memory_does_not_grow),
                                     TRAINING_TEST(graphs_change_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
