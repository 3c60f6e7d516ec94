// SPDX-License-Identifier: Apache-2.0
// A job of scoring on a disk that is full from one operation on files on, each in turn, for every sink
// that is a file: a clean error, the output of before as it was, and nothing left that another job would
// stumble over.
// Labels: slow
#include "tests/train/training.h"

#include <errno.h>

enum { ROWS = 40 };

typedef struct job {
  const char *name, *output, *table, *if_exists;
  const char *columns[3];
  int64_t column_count;
  bool resume;
} job;

static const job jobs[] = {{.name = "CSV", .output = "s.csv"},
                           {.name = "JSON lines", .output = "s.jsonl"},
                           {.name = "HDF5", .output = "s.h5"},
                           {.name = "CSV with places",
                            .output = "ranked.csv",
                            .columns = {"key", "score", "decile"},
                            .column_count = 3},
                           {.name = "CSV that goes on", .output = "resumed.csv", .resume = true},
                           {.name = "a new database", .output = "sqlite:new.db", .table = "scores"},
                           {.name = "a table that is replaced",
                            .output = "sqlite:s.db",
                            .table = "scores",
                            .if_exists = "replace"},
                           {.name = "a table that is added to",
                            .output = "sqlite:s.db",
                            .table = "scores",
                            .if_exists = "append"},
                           {.name = "a table that a resumable job replaces",
                            .output = "sqlite:s.db",
                            .table = "scores",
                            .if_exists = "replace",
                            .resume = true}};

static const char *file_of(const job *j) {
  return strncmp(j->output, "sqlite:", 7) == 0 ? j->output + 7 : j->output;
}

static void make_model(void) {
  FILE *f = fopen("t.csv", "w");
  cohort_context *context;
  cohort_result *result = NULL;
  const char *const targets[] = {"bought"};
  static const char *const assignments[] = {"trainer.max_epochs=1"};
  assert_non_null(f);
  fprintf(f, "customer,visits,bought\n");
  for (int i = 0; i < 5 * ROWS; i++)
    fprintf(f, "C%d,%d,%s\n", i, i * 7 % 23, i * 7 % 23 > 11 ? "yes" : "no");
  assert_int_equal(fclose(f), 0);
  assert_int_equal(system("head -41 t.csv >rows.csv; head -21 t.csv >former.csv"), 0);
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  const cohort_train_options options = {
      .dataset = "t.csv",
      .targets = targets,
      .target_count = 1,
      .key = "customer",
      .run_dir = "run",
      .config = {.assignments = assignments, .assignment_count = 1}};
  assert_int_equal(cohort_train(context, &options, &result), 0);
  cohort_result_free(result);
  cohort_context_free(context);
}

// Scores with a disk that is full from the operation `full` on, 0 = it is not.
static int score(const job *j, const char *dataset, const char *if_exists, bool force,
                 int64_t full) {
  cohort_context *context;
  cohort_result *result = NULL;
  cohort_error error;
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  const cohort_predict_options options = {.model = "run",
                                          .dataset = dataset,
                                          .output = j->output,
                                          .table = j->table,
                                          .if_exists = if_exists,
                                          .columns = j->columns,
                                          .column_count = j->column_count,
                                          .resume = j->resume,
                                          .save_rows = 10,
                                          .batch_size = 5,
                                          .force = force};
  if (full) co_io_fail_at(context->ctx, full, true, ENOSPC);
  int status = cohort_predict(context, &options, &result);
  if (status != 0) {
    assert_true(cohort_result_error(result, 0, &error));
    assert_null(strchr(error.message, '\n'));
  }
  cohort_result_free(result);
  assert_int_equal(co_alloc_get_stats(context->ctx).live_blocks, 1); // the context
  cohort_context_free(context);
  return status;
}

// The rows of the output, whatever it is, without what a database has beside them.
static void dump(const job *j, const char *to) {
  char command[256];
  const char *form = j->table ? "sqlite3 %s 'SELECT * FROM scores ORDER BY 1' >%s" : "cp %s %s";
  snprintf(command, sizeof command, form, file_of(j), to);
  assert_int_equal(system(command), 0);
}

static bool is_there(const job *j) {
  return access(file_of(j), F_OK) == 0;
}

// What was there before a job; of a database that is new, nothing.
static void make_former(const job *j) {
  char command[256];
  job former = *j;
  former.resume = false;
  snprintf(command, sizeof command, "rm -rf %s*", file_of(j));
  assert_int_equal(system(command), 0);
  if (strcmp(file_of(j), "new.db") == 0) return;
  assert_int_equal(score(&former, "former.csv", NULL, false, 0), 0);
  dump(j, "before");
}

static void full_disks_leave_what_was_there(void **state) {
  (void)state;
  make_model();
  for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
    const job *j = &jobs[i];
    bool force = !j->table;
    int64_t n = 1;
    if (j->table && system("command -v sqlite3 >/dev/null") != 0) continue;
    make_former(j);
    bool before = is_there(j);
    assert_int_equal(score(j, "rows.csv", j->if_exists, force, 0), 0);
    dump(j, "whole");
    make_former(j);
    int status = 9, published = 0;
    for (; status != 0 && n < 300; n++) {
      status = score(j, "rows.csv", j->if_exists, force, n);
      if (status == 0) break;
      if (status != 9) fail_msg("%s: operation %d: exit %d", j->name, (int)n, status);
      if (is_there(j)) dump(j, "after");
      // What follows its publication may fail, too.
      if (is_there(j) && same_file("whole", "after")) {
        published++;
        make_former(j);
      } else if (is_there(j) != before || (before && !same_file("before", "after"))) {
        fail_msg("%s: operation %d: what was there has changed", j->name, (int)n);
      }
    }
    dump(j, "after");
    if (n <= 5 || status != 0 || published > 5 || !same_file("whole", "after"))
      fail_msg("%s: %d operations, exit %d, published by %d", j->name, (int)n, status, published);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(full_disks_leave_what_was_there, enter_folder, leave_folder)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
