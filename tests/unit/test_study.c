// SPDX-License-Identifier: Apache-2.0
// A study in its file: what is written is read, what others write is taken, what is none is refused.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "datasets/sqlite_api.h"
#include "host/core/file.h"
#include "host/tune/study.h"

#define OK(call) assert_int_equal((call), CO_OK)

static const char spaces[] = "rate: {space: loguniform, lower: 1.0e-4, upper: 1}\n"
                             "kind: {space: choice, categories: [a, b]}\n"
                             "size: {space: int, lower: 1, upper: 9, when: {kind: b}}\n";

typedef struct fixture {
  co_context *ctx;
  co_arena *arena;
  co_space space;
  char folder[40];
} fixture;

static int setup(void **state) {
  static fixture f;
  static co_diagnostics problems;
  co_node *root;
  f = (fixture){.folder = P_tmpdir "/cohort-study-XXXXXX"};
  OK(co_context_create(&f.ctx, NULL));
  OK(co_arena_create(&f.arena, f.ctx));
  co_diagnostics_init(&problems, f.ctx);
  OK(co_yaml_parse(&root, f.arena, "spaces", spaces, strlen(spaces), &problems));
  OK(co_space_parse(&f.space, root, f.arena, &problems));
  assert_int_equal(problems.count, 0);
  co_diagnostics_free(&problems);
  if (!mkdtemp(f.folder) || chdir(f.folder)) return 1;
  *state = &f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  unlink("s.db");
  co_arena_free(f->arena);
  assert_int_equal(co_alloc_get_stats(f->ctx).live_blocks, 0);
  co_context_free(f->ctx);
  return chdir("/") || rmdir(f->folder);
}

static void make(fixture *f) {
  const char *const keys[] = {"note"}, *const values[] = {"{\"a\":1}"};
  const co_study_start start = {.name = "mine",
                                .metric = "roc_auc",
                                .maximize = true,
                                .keys = keys,
                                .values = values,
                                .count = 1};
  OK(co_study_create(f->ctx, "s.db", &start));
}

// What another program writes.
static void write_sql(const char *sql) {
  co_sqlite_api api;
  void *database;
  OK(co_sqlite_load(&api));
  assert_int_equal(api.open_v2("s.db", &database, CO_SQL_OPEN_READWRITE, NULL), CO_SQL_OK);
  assert_int_equal(api.exec(database, sql, NULL, NULL, NULL), CO_SQL_OK);
  api.close(database);
  co_sqlite_unload(&api);
}

static void what_is_written_is_read(void **state) {
  fixture *f = *state;
  static const double values[2][3] = {{0.01, 0, NAN}, {0.5, 1, 7}};
  co_study *s;
  co_trials trials;
  const char *text;
  int64_t id[2];
  make(f);
  OK(co_study_open(&s, f->ctx, "s.db", NULL, true));
  assert_string_equal(co_study_name(s), "mine");
  assert_true(co_study_maximizes(s, 0) && co_study_goals(s) == 1);
  OK(co_study_attribute(&text, s, f->arena, "note"));
  assert_string_equal(text, "{\"a\":1}");
  OK(co_study_attribute(&text, s, f->arena, "none"));
  assert_null(text);
  for (int i = 0; i < 2; i++) {
    OK(co_study_begin(s));
    OK(co_study_end(s, co_study_add(s, i, &f->space, values[i], &id[i])));
  }
  OK(co_study_report(s, id[0], 2, 0.5));
  OK(co_study_report(s, id[0], 1, NAN));
  OK(co_study_report(s, id[0], 2, 0.75)); // in its place
  OK(co_study_finish(s, id[0], CO_TRIAL_PRUNED, 0.75, NAN, NULL));
  OK(co_study_finish(s, id[1], CO_TRIAL_FAIL, NAN, NAN, "it \"failed\""));
  OK(co_study_begin(s)); // and none of this
  assert_int_equal(co_study_end(s, co_study_report(s, id[1], 1, 3) == CO_OK ? CO_ERR_DATA : CO_OK),
                   CO_ERR_DATA);
  co_study_close(s);
  OK(co_study_open(&s, f->ctx, "s.db", NULL, true));
  OK(co_study_trials(&trials, s, &f->space, f->arena, true));
  assert_int_equal(trials.count, 2);
  for (int i = 0; i < 2; i++) {
    const co_trial *t = &trials.item[i];
    assert_true(t->id == id[i] && t->number == i && t->own && t->started && t->ended);
    for (int k = 0; k < 3; k++)
      assert_true(t->values[k] == values[i][k] || (isnan(t->values[k]) && isnan(values[i][k])));
  }
  assert_int_equal(trials.item[0].state, CO_TRIAL_PRUNED);
  assert_true(trials.item[0].value == 0.75 && isnan(trials.item[1].value));
  assert_string_equal(trials.item[1].reason, "\"it \\\"failed\\\"\"");
  assert_int_equal(trials.item[0].step_count, 2);
  assert_true(isnan(trials.item[0].steps[0].value) && trials.item[0].steps[1].value == 0.75);
  assert_int_equal(trials.item[1].step_count, 0);
  OK(co_study_thaw(s, id[0], 1, 2));
  OK(co_study_trials(&trials, s, &f->space, f->arena, true));
  assert_int_equal(trials.item[0].state, CO_TRIAL_RUNNING);
  assert_true(isnan(trials.item[0].value) && !trials.item[0].ended);
  assert_true(trials.item[0].thaw_round == 1 && trials.item[0].thaw_from == 2);
  co_study_close(s);
}

static void two_goals_are_kept_apart(void **state) {
  fixture *f = *state;
  const co_study_start start = {
      .name = "two", .metric = "roc_auc", .second = "flops", .maximize = true};
  co_study *s;
  co_trials trials;
  int64_t id;
  OK(co_study_create(f->ctx, "s.db", &start));
  OK(co_study_open(&s, f->ctx, "s.db", NULL, true));
  assert_int_equal(co_study_goals(s), 2);
  assert_true(co_study_maximizes(s, 0) && !co_study_maximizes(s, 1));
  OK(co_study_add(s, 0, &f->space, (const double[]){0.01, 0, NAN}, &id));
  OK(co_study_finish(s, id, CO_TRIAL_COMPLETE, 0.75, 341, NULL));
  OK(co_study_trials(&trials, s, &f->space, f->arena, false));
  assert_true(trials.item[0].value == 0.75 && trials.item[0].second == 341);
  co_study_close(s);
}

// Rows as Optuna 5.0.0 leaves them: a trial of its own, one that is enqueued.
static void what_others_write_is_taken(void **state) {
  fixture *f = *state;
  co_study *s;
  co_trials trials;
  make(f);
  write_sql(
      "INSERT INTO trials VALUES (1, 0, 1, 'COMPLETE', '2026-01-01 00:00:00.000000', "
      "'2026-01-01 00:00:01.000000');"
      "INSERT INTO trial_params VALUES (1, 1, 'rate', 0.25, '{}'), (2, 1, 'kind', 1.0, '{}'), "
      "(3, 1, 'size', 99.0, '{}'), (4, 1, 'unknown', 1.0, '{}');"
      "INSERT INTO trial_values VALUES (1, 1, 0, NULL, 'INF_NEG');"
      "INSERT INTO trials VALUES (2, 1, 1, 'WAITING', NULL, NULL);"
      "INSERT INTO trial_system_attributes VALUES (1, 2, 'fixed_params', '{\"rate\": 0.125}');");
  OK(co_study_open(&s, f->ctx, "s.db", NULL, true));
  OK(co_study_trials(&trials, s, &f->space, f->arena, false));
  assert_int_equal(trials.count, 2);
  assert_false(trials.item[0].own);
  assert_true(trials.item[0].values[0] == 0.25 && trials.item[0].values[1] == 1);
  assert_true(isnan(trials.item[0].values[2])); // out of its space
  assert_true(trials.item[0].value == -INFINITY);
  assert_int_equal(trials.item[1].state, CO_TRIAL_WAITING);
  assert_string_equal(trials.item[1].fixed, "{\"rate\": 0.125}");
  OK(co_study_start_waiting(s, 2, 1, &f->space, (const double[]){0.125, 0, NAN}));
  OK(co_study_trials(&trials, s, &f->space, f->arena, false));
  assert_true(trials.item[1].own && trials.item[1].state == CO_TRIAL_RUNNING);
  assert_true(trials.item[1].values[0] == 0.125 && !trials.item[1].fixed);
  co_study_close(s);
}

// Distributions by their names in Optuna 2 and 5, ranges that change, of one value alone.
static void spaces_of_others_are_read(void **state) {
  fixture *f = *state;
  static const char *const wrong[] = {"{}",
                                      "[",
                                      "{\"name\":\"FloatDistribution\"}",
                                      "{\"name\":\"NoDistribution\",\"attributes\":{}}",
                                      "{\"name\":\"CategoricalDistribution\",\"attributes\":{"
                                      "\"choices\":[]}}",
                                      "{\"name\":\"IntDistribution\",\"attributes\":{\"low\":2,"
                                      "\"high\":1}}"};
  co_parameter p;
  co_study *s;
  co_space space;
  make(f);
  write_sql(
      "INSERT INTO trials VALUES (1, 0, 1, 'COMPLETE', NULL, NULL), (2, 1, 1, 'FAIL', NULL, NULL);"
      "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES "
      "(1, 'a', 1, '{\"name\":\"LogUniformDistribution\",\"attributes\":{\"low\":1e-05,"
      "\"high\":1}}'),"
      "(1, 'b', 3, '{\"name\":\"DiscreteUniformDistribution\",\"attributes\":{\"low\":0,"
      "\"high\":1,\"q\":0.1}}'),"
      "(1, 'c', 1, '{\"name\":\"CategoricalDistribution\",\"attributes\":{\"choices\":[null,1e-2,"
      "\"x\"]}}'),"
      "(2, 'd', 2, '{\"name\":\"FloatDistribution\",\"attributes\":{\"step\":null,\"low\":2,"
      "\"high\":2,\"log\":false}}'),"
      "(2, 'a', 9, '{\"name\":\"FloatDistribution\",\"attributes\":{\"step\":null,\"low\":0.5,"
      "\"high\":10,\"log\":true}}');");
  OK(co_study_open(&s, f->ctx, "s.db", NULL, false));
  OK(co_study_space(&space, s, f->arena));
  assert_int_equal(space.count, 4);
  const co_parameter *a = &space.item[0], *b = &space.item[1], *c = &space.item[2],
                     *d = &space.item[3];
  assert_true(a->kind == CO_SPACE_LOGUNIFORM && a->log && a->lower == 1e-5 && a->upper == 10);
  assert_true(b->kind == CO_SPACE_UNIFORM && b->step == 0.1);
  assert_true(co_parameter_holds(b, 0.1 + 0.2) && !co_parameter_holds(b, 0.25));
  assert_true(c->category_count == 3 && co_category_equals(c->category[1], "0.01"));
  assert_true(!co_category_equals(c->category[2], "x") && co_category_equals("null", "null"));
  assert_true(d->lower == d->upper && co_parameter_place(d, 2) == 0.5);
  co_study_close(s);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(co_parameter_read_distribution(&p, "p", wrong[i], f->arena), CO_ERR_DATA);
  write_sql(
      "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES "
      "(2, 'b', 3, '{\"name\":\"IntDistribution\",\"attributes\":{\"low\":0,\"high\":9}}')");
  OK(co_study_open(&s, f->ctx, "s.db", NULL, false));
  assert_int_equal(co_study_space(&space, s, f->arena), CO_ERR_IO);
  assert_non_null(strstr(co_error_last()->message, "'b' changes"));
  co_study_close(s);
}

static void refused(fixture *f, const char *says) {
  co_study *s;
  assert_int_equal(co_study_open(&s, f->ctx, "s.db", NULL, false), CO_ERR_IO);
  assert_null(s);
  assert_non_null(strstr(co_error_last()->message, says));
}

static void what_is_no_study_is_refused(void **state) {
  fixture *f = *state;
  refused(f, "there is no study");
  make(f);
  co_study_start again = {.name = "x", .metric = "loss"};
  assert_int_equal(co_study_create(f->ctx, "s.db", &again), CO_ERR_IO);
  write_sql("UPDATE alembic_version SET version_num = 'v2.6.0.a'");
  refused(f, "its schema is Optuna's v2.6.0.a");
  write_sql("UPDATE alembic_version SET version_num = 'v3.2.0.a';"
            "INSERT INTO studies VALUES (2, 'another')");
  refused(f, "it holds 2 studies: 'mine', 'another'");
  write_sql("DELETE FROM studies WHERE study_id = 2;"
            "INSERT INTO study_directions VALUES (2, 'MINIMIZE', 1, 1), (3, 'MINIMIZE', 1, 2)");
  refused(f, "3 goals");
  write_sql("DROP TABLE studies");
  refused(f, "no study of Optuna's");
  unlink("s.db");
  OK(co_write_file_atomic(f->ctx, "s.db", "no database at all, but long enough to be one", 45));
  refused(f, "no database of SQLite");
}

// Each write fails in turn; the file is then as before, or not there.
static void failing_writes_leave_nothing(void **state) {
  fixture *f = *state;
  const co_study_start start = {.name = "mine", .metric = "loss"};
  for (int64_t nth = 1; nth < 40; nth++) {
    co_io_fail_at(f->ctx, nth, false, 28);
    co_status status = co_study_create(f->ctx, "s.db", &start);
    co_io_fail_at(f->ctx, 0, false, 0);
    if (status == CO_OK) {
      assert_true(nth > 4);
      return;
    }
    assert_int_equal(status, CO_ERR_IO);
    unlink("s.db"); // where it was the last step: syncing the folder
  }
  fail();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_is_written_is_read, setup, teardown),
      cmocka_unit_test_setup_teardown(two_goals_are_kept_apart, setup, teardown),
      cmocka_unit_test_setup_teardown(what_others_write_is_taken, setup, teardown),
      cmocka_unit_test_setup_teardown(spaces_of_others_are_read, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_no_study_is_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(failing_writes_leave_nothing, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
