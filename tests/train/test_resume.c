// SPDX-License-Identifier: Apache-2.0
// A run that was stopped anywhere and resumed ends with the bytes of one never stopped.
// Wrap: co_io_fault
// Timeout: 240
#include "resuming.h"

static const char stopping_config[] =
    "input_features:\n"
    "  - {name: image, type: image, encoder: {type: stacked_cnn, filters: [2], output_size: 4}}\n"
    "output_features:\n"
    "  - {name: label, type: category}\n"
    "trainer:\n"
    "  max_epochs: 9\n"
    "  batch_size: 16\n"
    "  early_stop: 2\n"
    "  learning_rate: 0.3\n"
    "  checkpoint: {keep_last: 1}\n";

// What is evaluated, and becomes the model, is not what is trained.
static const char averaging_config[] =
    "input_features:\n"
    "  - {name: image, type: image, encoder: {type: stacked_cnn, filters: [2], output_size: 4}}\n"
    "output_features:\n"
    "  - {name: label, type: category}\n"
    "trainer:\n"
    "  max_epochs: 4\n"
    "  batch_size: 16\n"
    "  early_stop: 2\n"
    "  early_stop_min_delta: 1.0e-3\n"
    "  learning_rate: 0.1\n"
    "  ema: {decay: 0.9}\n"
    "  steps_per_checkpoint: 2\n";

// Members with masks of their own, micro-batches, a rate that falls where nothing gets better.
static const char members_config[] =
    "input_features:\n"
    "  - {name: image, type: image, encoder: {type: stacked_cnn, filters: [2], output_size: 4}}\n"
    "combiner: {members: 3, layers: [{Dense: {units: 5, activation: gelu}}, {Dropout: 0.3}]}\n"
    "output_features:\n"
    "  - {name: label, type: category, loss: {class_weights: balanced}}\n"
    "trainer:\n"
    "  max_epochs: 8\n"
    "  batch_size: 16\n"
    "  accumulate_grad_batches: 2\n"
    "  steps_per_checkpoint: 2\n"
    "  learning_rate: 0.2\n"
    "  optimizer: {type: rmsprop, momentum: 0.5}\n"
    "  learning_rate_scheduler: {decay: plateau, patience: 1, decay_rate: 0.5}\n";

// Goes back several times, to the beginning and to a checkpoint, and is given up at last.
static const char diverging_config[] = "input_features:\n"
                                       "  - {name: image, encoder: {type: graph, layers: [Flatten, "
                                       "{Dense: 6}, {Dense: 6}, {Dense: 5}]}}\n"
                                       "output_features: [{name: label, type: category}]\n"
                                       "trainer:\n"
                                       "  max_epochs: 6\n"
                                       "  batch_size: 16\n"
                                       "  on_nan: rollback\n"
                                       "  learning_rate: 3\n"
                                       "  optimizer: {type: sgd, momentum: 0.9}\n";

// Two networks in turn, each with an optimizer of its own.
static const char adversarial_config[] =
    "input_features:\n"
    "  - {name: image, encoder: {type: graph, layers: [Flatten, {Dense: 6}, LeakyReLU, {Dropout: "
    "0.2}]}}\n"
    "output_features:\n"
    "  - {name: real, type: discriminator, loss: {label_smoothing: 0.1}}\n"
    "  - {name: made, type: generator, noise_size: 3, decoder: {type: graph, layers: [{Dense: 8},\n"
    "      BatchNormalization, ReLU, {Dense: {units: 36, activation: sigmoid}}]}}\n"
    "trainer:\n"
    "  max_epochs: 4\n"
    "  batch_size: 16\n"
    "  steps_per_checkpoint: 5\n"
    "  ema: {decay: 0.9}\n"
    "  phases:\n"
    "    - {losses: [real], groups: [image, real], updates: 2}\n"
    "    - {losses: [made], groups: [made], learning_rate: 0.01, optimizer: {type: rmsprop}}\n";

static void kill_everywhere(const char *config, int64_t stride) {
  begin_with(config);
  assert_int_equal(train_apart(&whole), 0);
  int64_t operations = *io_operations;
  assert_true(operations > 50);
  for (int64_t n = 1; n <= operations; n += stride) {
    training killed = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .kill_at = n};
    assert_int_equal(train_apart(&killed), 128 + SIGKILL);
    int code = go_on("run", "records");
    const char *difference = code ? "exit code" : run_difference("whole", "run");
    if (*difference) {
      char *records = read_whole("records", NULL);
      fail_msg("killed at %lld of %lld: exit %d, %s\n%s", (long long)n, (long long)operations, code,
               difference, records);
    }
    assert_true(file_has("run/run.json", "\"status\": \"done\""));
    assert_int_equal(count_temporaries("run"), 0);
    remove_tree("run");
  }
}

static void test_killed_anywhere(void **state) {
  (void)state;
  kill_everywhere(rich_config, 5);
}

static void test_killed_with_early_stop(void **state) {
  (void)state;
  kill_everywhere(stopping_config, 7);
  assert_false(file_has("whole/metrics.jsonl", "\"epoch\":8"));
}

static void test_killed_with_averages(void **state) {
  (void)state;
  kill_everywhere(averaging_config, 31);
}

static void test_killed_on_a_plateau(void **state) {
  (void)state;
  kill_everywhere(members_config, 23);
}

static void test_killed_between_phases(void **state) {
  (void)state;
  kill_everywhere(adversarial_config, 29);
}

static void test_killed_while_going_back(void **state) {
  (void)state;
  begin_with(diverging_config);
  assert_int_equal(train_apart(&whole), CO_ERR_DIVERGED);
  assert_true(file_has("whole/events.jsonl", "rollback"));
  int64_t operations = *io_operations;
  for (int64_t n = 30; n <= operations; n += 37) {
    training killed = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .kill_at = n};
    assert_int_equal(train_apart(&killed), 128 + SIGKILL);
    assert_int_equal(go_on("run", "records"), CO_ERR_DIVERGED);
    assert_true(same_file("whole/metrics.jsonl", "run/metrics.jsonl"));
    assert_true(same_file("whole/checkpoints/last.h5", "run/checkpoints/last.h5"));
    remove_tree("run");
  }
}

// One epoch: whoever goes back goes to the beginning.
static void write_divergent(const char *policy, double rate) {
  char text[640];
  snprintf(text, sizeof text,
           "input_features:\n"
           "  - {name: image, encoder: {type: graph, layers: [Flatten, {Dense: 6}, {Dense: 6}]}}\n"
           "output_features: [{name: label, type: category}]\n"
           "trainer: {max_epochs: 1, batch_size: 2, on_nan: %s, learning_rate: %.17g,\n"
           "  ema: {decay: 0.9}, optimizer: {type: sgd, momentum: 0.9}}\n",
           policy, rate);
  write_text("c.yaml", text);
}

static void weights_of(const char *run, char out[65]) {
  co_context *ctx;
  co_arena *arena;
  co_model_file file;
  char path[64];
  snprintf(path, sizeof path, "%s/model.h5", run);
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_arena_create(&arena, ctx), CO_OK);
  assert_int_equal(co_model_file_read(&file, arena, path), CO_OK);
  snprintf(out, 65, "%s", file.weights_sha256);
  co_arena_free(arena);
  co_context_free(ctx);
}

// Gone back, everything is as at the beginning, averages of the weights and their count included: the
// model is that of a run which began with the lower rate.
static void test_going_back_with_averages(void **state) {
  (void)state;
  enum { MOST = 8 };
  double rate = 8;
  char gone_back[65], from_there[65];
  begin_with("");
  write_divergent("rollback", rate);
  assert_int_equal(train_apart(&whole), 0);
  char *events = read_whole("whole/events.jsonl", NULL);
  int times = 0;
  for (const char *at = events; (at = strstr(at, "\"rollback\"")) != NULL; at++, times++)
    rate /= 2;
  free(events);
  assert_in_range(times, 1, MOST);
  weights_of("whole", gone_back);
  remove_tree("whole");
  write_divergent("stop", rate);
  assert_int_equal(train_apart(&whole), 0);
  weights_of("whole", from_there);
  assert_string_equal(gone_back, from_there);
  remove_tree("whole");
  write_divergent("stop", 2 * rate); // which that one was right to leave
  assert_int_equal(train_apart(&whole), CO_ERR_DIVERGED);
}

// Updates that are left out do not save weights that have gone astray before: there is no model.
static void test_skipping_astray(void **state) {
  (void)state;
  begin_with("");
  write_divergent("skip", 512);
  const training logged = {
      .run_dir = "whole", .config = "c.yaml", .dataset = "d.h5", .records = "log"};
  assert_int_equal(train_apart(&logged), CO_ERR_DIVERGED);
  assert_true(file_has("log", "is not finite; the update is left out"));
  assert_int_not_equal(access("whole/model.h5", F_OK), 0);
}

// Several kills of one run.
static void test_killed_again_and_again(void **state) {
  (void)state;
  begin_with(rich_config);
  assert_int_equal(train_apart(&whole), 0);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .resume = "auto"};
  int code = 0, kills = 0;
  for (int64_t n = 60; n < 400; n += 31, kills += code != 0) {
    t.kill_at = n;
    code = train_apart(&t);
    if (code == 0) break;
    assert_int_equal(code, 128 + SIGKILL);
  }
  assert_true(kills > 2);
  t.kill_at = 0;
  assert_int_equal(train_apart(&t), 0);
  assert_string_equal(run_difference("whole", "run"), "");
}

// SIGTERM finishes the step and writes a checkpoint, which leaves no trace after the resumption.
static void test_stopped_at_every_step(void **state) {
  (void)state;
  begin_with(rich_config);
  assert_int_equal(train_apart(&whole), 0);
  for (int64_t step = 1; step < 16; step++) {
    training t = {.run_dir = "run",
                  .config = "c.yaml",
                  .dataset = "d.h5",
                  .stop_at = step,
                  .records = "records"};
    int code = train_apart(&t);
    assert_int_equal(code, 143);
    assert_true(file_has("run/run.json", "\"status\": \"stopped\""));
    assert_true(file_has("run/run.json", "\"exit\": 143"));
    assert_true(file_has("records", "\"exit\":143"));
    char expected[64];
    snprintf(expected, sizeof expected, "\"step\": %lld,", (long long)step);
    assert_true(file_has("run/run.json", expected));
    if (step % 3 == 0 && step < 15) { // and once more
      t = (training){.resume = "run", .stop_at = step + 1};
      assert_int_equal(train_apart(&t), 143);
    }
    assert_int_equal(go_on("run", "records"), 0);
    const char *difference = run_difference("whole", "run");
    if (*difference) fail_msg("stopped at step %lld: %s", (long long)step, difference);
    remove_tree("run");
  }
}

// A checkpoint that is asked for changes nothing of the training, and can be gone on from.
static void test_asked(void **state) {
  (void)state;
  begin_with(rich_config);
  assert_int_equal(train_apart(&whole), 0);
  for (int64_t step = 1; step < 16; step += 2) { // 3, 9 and 15 are scheduled
    training t = {.run_dir = "run",
                  .config = "c.yaml",
                  .dataset = "d.h5",
                  .ask_at = step,
                  .records = "records"};
    char event[64], status[64];
    assert_int_equal(train_apart(&t), 0);
    snprintf(event, sizeof event, "\"checkpoint\",\"step\":%lld}", (long long)step);
    snprintf(status, sizeof status, "status step=%lld of=16 ", (long long)step);
    assert_true(file_has("run/events.jsonl", event));
    assert_true(file_has("records", status));
    const char *difference = run_difference("whole", "run");
    if (*difference) fail_msg("asked at step %lld: %s", (long long)step, difference);
    remove_tree("run");
  }
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .ask_at = 7};
  // Killed soon after it: before the next checkpoint takes its place.
  for (t.kill_at = 100; access("run/checkpoints/stop-00000007.h5", F_OK) != 0; t.kill_at += 10) {
    remove_tree("run");
    assert_int_equal(train_apart(&t), 128 + SIGKILL);
  }
  assert_int_equal(go_on("run", "records"), 0);
  assert_true(file_has("records", "going on at step 7 "));
  assert_string_equal(run_difference("whole", "run"), "");
}

// Time after time until it is done.
static void test_time_is_over(void **state) {
  (void)state;
  begin_with(rich_config);
  assert_int_equal(train_apart(&whole), 0);
  training t = {.run_dir = "run",
                .config = "c.yaml",
                .dataset = "d.h5",
                .resume = "auto",
                .max_seconds = 1e-6,
                .records = "records"};
  for (int step = 1; step < 16; step++) {
    assert_int_equal(train_apart(&t), CO_STOPPED);
    assert_true(file_has("run/run.json", "\"status\": \"stopped\""));
    assert_true(file_has("run/run.json", "\"exit\": 75"));
    assert_true(file_has("records", "\"exit\":75"));
  }
  assert_int_equal(train_apart(&t), 0);
  assert_string_equal(run_difference("whole", "run"), "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_going_back_with_averages),
      TRAINING_TEST(test_skipping_astray),
      TRAINING_TEST(test_stopped_at_every_step),
      TRAINING_TEST(test_asked),
      TRAINING_TEST(test_time_is_over),
      TRAINING_TEST(test_killed_on_a_plateau),
      TRAINING_TEST(test_killed_between_phases),
      TRAINING_TEST(test_killed_while_going_back),
      TRAINING_TEST(test_killed_again_and_again),
      TRAINING_TEST(test_killed_with_early_stop),
      TRAINING_TEST(test_killed_with_averages),
      TRAINING_TEST(test_killed_anywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
