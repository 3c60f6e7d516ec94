// SPDX-License-Identifier: Apache-2.0
// A training in the caller's hands (cohort_training_…): whatever portions its steps come in, the run
// has the bytes of cohort_train's.
// Labels: asan
#include "training.h"

enum { ROWS = 90 };

static bool end_second_epoch(void *user, const cohort_epoch *epoch) {
  (void)user;
  return epoch->number == 2;
}

static const char *const config = "c.yaml";

static void prepare(void) {
  make_images("d.h5", ROWS, 1);
  write_text(config, rich_config);
}

typedef struct opened {
  cohort_context *context;
  cohort_training *training;
  cohort_training_state at;
} opened;

static opened open_training(const char *run, const char *resume, cohort_epoch_function epoch) {
  opened o;
  cohort_context_options options = {.threads = 1, .epoch = epoch};
  assert_int_equal(cohort_context_create(&o.context, &options), 0);
  training t = {
      .run_dir = run, .resume = resume, .config = config, .dataset = "d.h5", .threads = 1};
  cohort_train_options request = training_options(&t);
  assert_int_equal(cohort_training_open(&o.training, o.context, &request), 0);
  cohort_training_get_state(o.training, &o.at);
  return o;
}

static int advance(opened *o, int64_t steps) {
  int status = cohort_training_advance(o->training, steps);
  cohort_training_get_state(o->training, &o->at);
  return status;
}

// The status; whether the result has the text.
static int close_training(opened *o, const char *text) {
  cohort_result *result;
  int status = cohort_training_close(o->training, &result);
  if (!strstr(cohort_result_json(result), text)) fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
  assert_int_equal(co_alloc_get_stats(o->context->ctx).live_blocks, 1);
  cohort_context_free(o->context);
  return status;
}

static void test_portions(void **state) {
  (void)state;
  prepare();
  const training whole = {.run_dir = "a", .config = config, .dataset = "d.h5", .threads = 1};
  assert_int_equal(train_here(&whole), 0);
  opened o = open_training("b", NULL, NULL);
  assert_true(o.at.step == 0 && o.at.epoch == 0 && o.at.epochs == 4 && !o.at.done);
  assert_true(isnan(o.at.loss) && isnan(o.at.learning_rate) && isnan(o.at.gradient_norm));
  assert_true(o.at.steps > 10);
  for (int64_t portion = 0; !o.at.done; portion++) {
    int64_t before = o.at.step, left = o.at.steps - before;
    assert_int_equal(advance(&o, portion), 0);
    assert_int_equal(o.at.step - before, portion < left ? portion : left);
    assert_true(o.at.step < 2 ? isnan(o.at.loss) : o.at.loss > 0);
  }
  assert_true(o.at.epoch == 4 && o.at.gradient_norm > 0 && o.at.learning_rate >= 0);
  assert_int_equal(advance(&o, 1), 0); // there is none
  assert_int_equal(close_training(&o, "\"status\":\"done\""), 0);
  assert_string_equal(run_difference("a", "b"), "");
}

static void test_closed_early(void **state) {
  (void)state;
  prepare();
  const training whole = {.run_dir = "a", .config = config, .dataset = "d.h5", .threads = 1};
  assert_int_equal(train_here(&whole), 0);
  opened o = open_training("b", NULL, NULL);
  assert_int_equal(advance(&o, 5), 0);
  assert_int_equal(cohort_training_save(o.training), 0);
  assert_int_equal(advance(&o, 2), 0);
  assert_int_equal(close_training(&o, "closed at step 7 of"), 75);
  assert_true(file_has("b/run.json", "\"status\": \"stopped\""));
  o = open_training("b", "b", NULL);
  assert_true(o.at.step == 7 && !o.at.done);
  assert_int_equal(advance(&o, INT64_MAX), 0);
  assert_int_equal(close_training(&o, "\"status\":\"done\""), 0);
  assert_string_equal(run_difference("a", "b"), "");
}

// By the one who trains, or by the one who hears of epochs: amid an epoch, and after one.
static void test_ended(void **state) {
  (void)state;
  prepare();
  opened o = open_training("a", NULL, end_second_epoch);
  assert_int_equal(advance(&o, INT64_MAX), 0);
  int64_t last = o.at.step;
  assert_true(o.at.done && o.at.epoch == 2 && last < o.at.steps);
  assert_int_equal(close_training(&o, "\"epochs\":2"), 0);
  o = open_training("b", NULL, NULL);
  assert_int_equal(advance(&o, last), 0);
  assert_false(o.at.done);
  assert_int_equal(cohort_training_end(o.training), 0);
  assert_int_equal(cohort_training_end(o.training), 0); // that is nothing
  assert_int_equal(close_training(&o, "\"epochs\":2"), 0);
  assert_string_equal(run_difference("a", "b"), "");
  o = open_training("c", NULL, NULL);
  assert_int_equal(advance(&o, 5), 0);
  assert_int_equal(cohort_training_end(o.training), 0);
  assert_int_equal(close_training(&o, "\"steps\":5"), 0);
  assert_true(file_has("c/metrics.jsonl", "{\"step\":5,\"epoch\":1,\"split\":\"validation\""));
  o = open_training("c", "c", NULL); // it stays ended
  assert_true(o.at.done && o.at.step == 5);
  assert_int_equal(close_training(&o, "\"status\":\"done\""), 0);
}

static void test_failures(void **state) {
  (void)state;
  prepare();
  opened o = open_training("a", NULL, NULL);
  assert_int_equal(cohort_training_end(o.training), 2); // before the first step …
  assert_int_equal(advance(&o, 1), 2);                  // … and that stays so
  assert_int_equal(o.at.step, 0);
  assert_int_equal(close_training(&o, "no step that could be its last"), 2);
  training t = {.run_dir = "b", .config = config, .dataset = "none.h5", .threads = 1};
  cohort_train_options request = training_options(&t);
  assert_int_equal(cohort_context_create(&o.context, NULL), 0);
  assert_int_equal(cohort_training_open(&o.training, o.context, &request), 4);
  assert_int_equal(advance(&o, 1), 4);
  assert_int_equal(cohort_training_save(o.training), 4);
  assert_int_equal(close_training(&o, "none.h5"), 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_portions),
      TRAINING_TEST(test_closed_early),
      TRAINING_TEST(test_ended),
      TRAINING_TEST(test_failures),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
