// SPDX-License-Identifier: Apache-2.0
// Trainings as objects: several at once in one process, saved in between, ended by whoever watches
// their epochs.
#include "training.h"

#include "host/train/session.h"

enum { ROWS = 60 };

static const char config[] = "input_features: all\n"
                             "combiner: {layers: [{Dense: {units: 8, activation: relu}}]}\n"
                             "output_features: targets\n"
                             "trainer: {max_epochs: 4, batch_size: 8, optimizer: {type: adam}}\n";

static void make(void) {
  static float x[ROWS], y[ROWS];
  static uint8_t split[ROWS];
  co_context *ctx;
  co_dataset_writer *w;
  co_column column = {
      .name = "x", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT, .dtype = CO_F32};
  for (int i = 0; i < ROWS; i++) {
    x[i] = (float)(scramble((uint32_t)i) % 100);
    y[i] = 2 * x[i] + 1;
    split[i] = i % 4 == 3;
  }
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, "d.h5"), CO_OK);
  assert_int_equal(co_dataset_writer_column(w, "t", &column, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, ROWS, x), CO_OK);
  column.name = "y";
  column.role = CO_ROLE_TARGET;
  assert_int_equal(co_dataset_writer_column(w, "t", &column, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, ROWS, y), CO_OK);
  assert_int_equal(co_dataset_writer_samples(w, "t", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  co_context_free(ctx);
  write_text("c.yaml", config);
}

typedef struct opened {
  training t;
  cohort_train_options options;
  co_session *session;
} opened;

static void open_session(opened *o, co_context *ctx, co_diagnostics *problems, const char *run_dir,
                         const char *seed) {
  static const co_watch silent = {.progress = NULL};
  *o = (opened){
      .t = {
          .run_dir = run_dir, .config = "c.yaml", .dataset = "d.h5", .threads = 1, .set = {seed}}};
  o->options = training_options(&o->t);
  assert_int_equal(co_session_open(&o->session, ctx, &silent, &o->options, problems), CO_OK);
}

static void finish(opened *o) {
  assert_int_equal(co_session_finish(o->session), CO_OK);
  assert_int_equal(co_session_close(o->session, CO_OK), CO_OK);
}

// In turns, step by step, with a checkpoint where none is due: each ends as if it were alone.
static void test_in_turns(void **state) {
  (void)state;
  static const char *const seeds[] = {"trainer.seed=1", "trainer.seed=2"};
  co_context *ctx;
  co_diagnostics problems;
  opened o[2];
  make();
  for (int i = 0; i < 2; i++) {
    training alone = {.run_dir = i ? "b" : "a",
                      .config = "c.yaml",
                      .dataset = "d.h5",
                      .threads = 1,
                      .set = {seeds[i]}};
    assert_int_equal(train_here(&alone), 0);
  }
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  co_diagnostics_init(&problems, ctx);
  open_session(&o[0], ctx, &problems, "c", seeds[0]);
  open_session(&o[1], ctx, &problems, "d", seeds[1]);
  for (int i = 0; !co_session_is_done(o[0].session) || !co_session_is_done(o[1].session); i++) {
    co_session *session = o[i % 2].session;
    if (co_session_is_done(session)) continue;
    assert_int_equal(co_session_advance(session), CO_OK);
    if (i == 7) assert_int_equal(co_session_save(session), CO_OK);
  }
  finish(&o[0]);
  finish(&o[1]);
  co_diagnostics_free(&problems);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
  assert_true(same_file("a/model.h5", "c/model.h5"));
  assert_true(same_file("b/model.h5", "d/model.h5"));
  assert_true(same_file("a/metrics.jsonl", "c/metrics.jsonl"));
  assert_true(same_file("b/metrics.jsonl", "d/metrics.jsonl"));
}

static bool stop_after_two(void *user, const co_session *session, int64_t epoch, double value) {
  int *calls = user;
  assert_non_null(session);
  assert_true(value > 0); // the validation loss
  (*calls)++;
  return epoch >= 2;
}

static void test_epoch_hook(void **state) {
  (void)state;
  co_context *ctx;
  co_diagnostics problems;
  opened o;
  int calls = 0;
  make();
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  co_diagnostics_init(&problems, ctx);
  open_session(&o, ctx, &problems, "run", "trainer.seed=1");
  co_session_set_epoch_hook(o.session, stop_after_two, &calls);
  while (!co_session_is_done(o.session))
    assert_int_equal(co_session_advance(o.session), CO_OK);
  finish(&o);
  assert_int_equal(calls, 2);
  co_diagnostics_free(&problems);
  co_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_in_turns),
      TRAINING_TEST(test_epoch_hook),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
