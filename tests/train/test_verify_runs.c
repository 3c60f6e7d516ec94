// SPDX-License-Identifier: Apache-2.0
// Proving that a training resumes exactly: what is compared, and that a difference is found.
// Wrap: co_io_fault
#include "training.h"

#include "host/train/run_compare.h"

// Stands before every operation of the library on files: here the process is killed.
int __real_co_io_fault(co_context *ctx);
int __wrap_co_io_fault(co_context *ctx);
int __wrap_co_io_fault(co_context *ctx) {
  if (io_kill_at && --io_kill_at == 0) raise(SIGKILL);
  return __real_co_io_fault(ctx);
}

static const training whole = {.run_dir = "whole", .config = "c.yaml", .dataset = "d.h5"};

static void begin(void) {
  make_images("d.h5", 90, 1);
  write_text("c.yaml", rich_config);
}

// ---- comparing ---------------------------------------------------------------------------------

static co_run_comparison compared(const char *a, const char *b) {
  co_context *ctx;
  co_run_comparison c;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_run_compare(&c, ctx, a, b), CO_OK);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
  return c;
}

static void change(const char *command) {
  assert_int_equal(system("rm -rf other && cp -a whole other"), 0);
  assert_int_equal(system(command), 0);
}

static void what_differs_first_is_named(void **state) {
  (void)state;
  begin();
  assert_int_equal(train_here(&whole), 0);
  change("true");
  co_run_comparison c = compared("whole", "other");
  assert_string_equal(c.difference, "");
  assert_true(c.tensors > 5 && c.metric_lines > 5 && c.checkpoints > 2);

  training t = whole;
  t.run_dir = "seeded";
  t.set[0] = "trainer.seed=2";
  assert_int_equal(train_here(&t), 0);
  c = compared("whole", "seeded");
  assert_ptr_equal(strstr(c.difference, "model.h5: tensor /"), c.difference);
  assert_non_null(strstr(c.difference, "kernel"));

  change("sed -i '3s/\"step\":[0-9]*/\"step\":99/' other/metrics.jsonl");
  c = compared("whole", "other");
  assert_string_equal(c.difference, "metrics.jsonl: line 3");
  assert_int_equal(c.metric_lines, 2);
  change("sed -i '$d' other/metrics.jsonl");
  assert_non_null(strstr(compared("whole", "other").difference, "metrics.jsonl: line "));

  change("cd other/checkpoints && rm best.h5");
  assert_string_equal(compared("whole", "other").difference,
                      "checkpoints/best.h5 is in one of them");
  change(
      "cd other/checkpoints && cp --remove-destination ../../seeded/checkpoints/last.h5 last.h5");
  assert_non_null(strstr(compared("whole", "other").difference, "checkpoints/last.h5: tensor /"));
  change("rm other/model.h5");
  assert_string_equal(compared("whole", "other").difference, "model.h5 is in one of them");
}

// ---- the proof ---------------------------------------------------------------------------------

typedef struct killer {
  int64_t steps[4], count;
  const char *then; // a command after the last kill
} killer;

// Kills amid a write, wherever that is: what is promised holds for every moment.
static int train_and_kill(void *user, const char *run_dir, int64_t step) {
  killer *k = user;
  training t = whole;
  t.run_dir = run_dir;
  t.resume = "auto";
  t.kill_at = 120;
  k->steps[k->count++] = step;
  int ended = train_apart(&t);
  if (k->count == 2 && k->then) assert_int_equal(system(k->then), 0);
  return ended == 128 + SIGKILL ? 0 : ended;
}

static int end_by_itself(void *user, const char *run_dir, int64_t step) {
  (void)user, (void)run_dir, (void)step;
  return 4;
}

static char result_text[1 << 14];

static int verify(bool resume, const cohort_verify_runs_options *options) {
  cohort_context *context;
  cohort_result *result;
  const cohort_context_options context_options = {.threads = 1};
  assert_int_equal(cohort_context_create(&context, &context_options), 0);
  int status = resume ? cohort_verify_resume(context, options, &result)
                      : cohort_verify_determinism(context, options, &result);
  snprintf(result_text, sizeof result_text, "%s", cohort_result_json(result));
  cohort_result_free(result);
  assert_int_equal(co_alloc_get_stats(context->ctx).live_blocks, 1);
  cohort_context_free(context);
  return status;
}

static cohort_verify_runs_options request(killer *k) {
  return (cohort_verify_runs_options){.training = training_options(&whole),
                                      .temporary_folder = ".",
                                      .kills = 2,
                                      .seed = 7,
                                      .train_and_kill = train_and_kill,
                                      .kill_user = k};
}

static void a_resumed_training_is_proven(void **state) {
  (void)state;
  killer k = {.count = 0}, again = {.count = 0};
  begin();
  cohort_verify_runs_options options = request(&k);
  assert_int_equal(verify(true, &options), 0);
  assert_int_equal(k.count, 2);
  assert_true(k.steps[0] > 0 && k.steps[0] < k.steps[1]);
  assert_non_null(strstr(result_text, "\"first_difference\":null"));
  char names[4096];
  list_folder(".", names, sizeof names);
  assert_string_equal(names, "c.yaml\nd.h5\n"); // the temporary folder went
  options.kill_user = &again;
  options.run_dir = "kept";
  assert_int_equal(verify(true, &options), 0);
  assert_memory_equal(k.steps, again.steps, sizeof k.steps);
  assert_string_equal(run_difference("kept/undisturbed", "kept/killed"), "");
  assert_int_equal(verify(true, &options), CO_ERR_IO); // it is there
}

static void a_difference_is_found(void **state) {
  (void)state;
  // The first line that a checkpoint counts on says something else.
  killer k = {.then = "sed -i '1s/\"step\":[0-9]/\"step\":8/' kept/killed/metrics.jsonl"};
  begin();
  cohort_verify_runs_options options = request(&k);
  options.run_dir = "kept";
  assert_int_equal(verify(true, &options), CO_ERR_GATE);
  assert_non_null(strstr(result_text, "\"first_difference\":\"metrics.jsonl: line 1\""));
  assert_non_null(strstr(result_text, "the runs differ, first in metrics.jsonl: line 1"));
}

static void what_cannot_be_proven_is_refused(void **state) {
  (void)state;
  killer k = {.count = 0};
  begin();
  cohort_verify_runs_options options = request(&k);
  options.kills = 1000;
  assert_int_equal(verify(true, &options), CO_ERR_USAGE);
  assert_non_null(strstr(result_text, "1000 kills do not fit into a training of "));
  options.kills = 1;
  options.train_and_kill = NULL;
  assert_int_equal(verify(true, &options), CO_ERR_USAGE);
  options.train_and_kill = end_by_itself;
  assert_int_equal(verify(true, &options), CO_ERR_GATE);
  assert_non_null(strstr(result_text, "ended otherwise (exit 4)"));
}

static void two_trainings_are_equal(void **state) {
  (void)state;
  begin();
  cohort_verify_runs_options options = request(NULL);
  options.kills = 0;
  assert_int_equal(verify(false, &options), 0);
  assert_null(strstr(result_text, "\"kills\""));
  assert_non_null(strstr(result_text, "\"first_difference\":null"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(what_differs_first_is_named), TRAINING_TEST(a_resumed_training_is_proven),
      TRAINING_TEST(a_difference_is_found),       TRAINING_TEST(what_cannot_be_proven_is_refused),
      TRAINING_TEST(two_trainings_are_equal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
