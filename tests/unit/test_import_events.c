// SPDX-License-Identifier: Apache-2.0
// Importing event logs: order, samples, what they are told, and what leaves no output.
#include "tests/unit/data_fixture.h"

#include <errno.h>
#include <math.h>

#include "datasets/dataset.h"
#include "datasets/import_events.h"

static const char log_text[] = "who,when,what,n,price,bill\n"
                               "b,2011-01-05,tea,1,3,9\n"
                               "a,2011-01-01,tea,2,1.5,1\n"
                               "a,2011-01-01,cup,1,4,1\n"
                               ",2011-01-02,cup,1,4,2\n"
                               "a,2011-01-03,cup,-1,4,3\n"
                               "b,2011-01-02,pot,1,9,4\n"
                               "c,2011-01-06,tea,1,3,5\n"
                               "a,2011-01-10,pot,1,9,6\n"
                               "b,,pot,1,9,7\n";

static co_import_events_options options_of(const char *const *files, co_sampling sampling,
                                           const int64_t *cutoffs, int64_t count) {
  co_import_events_options o = {
      .output = "out.h5",
      .files = files,
      .file_count = 1,
      .recipe = {.entity = "who",
                 .time = "when",
                 .item = "what",
                 .amount = "n*price",
                 .where = "n > 0",
                 .rfm = true},
      .sampling = sampling,
      .cutoffs = cutoffs,
      .cutoff_count = count,
      .window = 7 * 86400,
      .labels = {[CO_LABEL_ANY] = "again", [CO_LABEL_COUNT] = "times", [CO_LABEL_SUM] = "spend"},
      .force = true,
      .split = {.share = {0.7, 0.1, 0.2}}};
  return o;
}

static co_status import_log(fixture *f, const char *text, const co_import_events_options *o,
                            co_import_events_result *result) {
  co_arena *arena;
  if (text) write_bytes("log.csv", text, strlen(text));
  assert_int_equal(co_arena_create(&arena, f->ctx), CO_OK);
  co_status status = co_import_events(result, f->ctx, arena, o);
  co_arena_free(arena);
  return status;
}

static const char *const files[] = {"log.csv"};
enum { JANUARY_6 = 1294272000 };

static void *values(co_dataset *d, const char *name, int64_t rows) {
  const void *data;
  int64_t count;
  assert_int_equal(co_dataset_column(d, name, &data, &count, NULL), CO_OK);
  assert_int_equal(count, rows);
  return (void *)(uintptr_t)data;
}

static void samples_see_the_past(void **state) {
  fixture *f = *state;
  co_import_events_result result;
  co_dataset *d;
  const int64_t cutoff = JANUARY_6, *begin, *end;
  char key[32];
  const co_import_events_options o = options_of(files, CO_SAMPLE_CUTOFFS, &cutoff, 1);
  co_import_events_options censored = o;
  censored.allow_censored = true;
  assert_int_equal(import_log(f, log_text, &o, &result), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "after the last event"));
  assert_int_equal(access("out.h5", F_OK), -1);
  assert_int_equal(import_log(f, log_text, &censored, &result), CO_OK);
  assert_int_equal(result.lines, 9);
  assert_int_equal(result.events, 6);
  assert_int_equal(result.excluded, 1);
  assert_int_equal(result.no_entity, 1);
  assert_int_equal(result.no_time, 1);
  assert_int_equal(result.positives, 1);
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  assert_int_equal(co_dataset_rows(d), 2); // c has no event before
  assert_int_equal(co_dataset_ranges(d, "events", &begin, &end), CO_OK);
  assert_int_equal(begin[0], 0); // a: cup and tea of one time, pot later
  assert_int_equal(end[0], 2);
  assert_int_equal(begin[1], 3);
  assert_int_equal(end[1], 5);
  const int32_t *item = values(d, "item", 6);
  static const int32_t items[] = {0, 2, 1, 1, 2, 2}; // cup pot tea
  assert_memory_equal(item, items, sizeof items);
  const float *amount = values(d, "amount", 6), *dt = values(d, "dt", 6);
  assert_true(amount[0] == 4 && amount[1] == 3 && amount[3] == 9);
  assert_true(dt[0] == 0 && dt[1] == 0 && dt[2] == 9 && dt[3] == 0 && dt[4] == 3);
  const float *recency = values(d, "rfm.recency", 2), *frequency = values(d, "rfm.frequency", 2);
  const float *monetary = values(d, "rfm.monetary", 2), *tenure = values(d, "rfm.tenure", 2);
  assert_true(recency[0] == 5 && frequency[0] == 1 && monetary[0] == 7 && tenure[0] == 5);
  assert_true(recency[1] == 1 && frequency[1] == 2 && monetary[1] == 12 && tenure[1] == 4);
  const float *again = values(d, "again", 2);
  assert_true(again[0] == 1 && again[1] == 0);
  const float *times = values(d, "times", 2), *spend = values(d, "spend", 2);
  assert_true(times[0] == 1 && times[1] == 0 && spend[0] == 9 && spend[1] == 0);
  const co_label *label = &co_schema_find(co_dataset_schema(d), "spend")->label;
  assert_true(label->kind == CO_LABEL_SUM && label->gap == o.gap && label->window == o.window);
  assert_int_equal(co_dataset_key(d, 1, key, sizeof key), CO_OK);
  assert_string_equal(key, "b");
  co_dataset_close(d);
}

// Neither the order of lines nor memory changes anything.
static void order_and_memory_do_not_matter(void **state) {
  fixture *f = *state;
  enum { LINES = 3000 };
  static char text[2][LINES * 40];
  co_import_events_result result[3];
  const int64_t cutoff = 1300000000;
  co_import_events_options o = options_of(files, CO_SAMPLE_CUTOFFS, &cutoff, 1);
  o.recipe.where = NULL;
  o.window = 6 * 3600;
  for (int order = 0; order < 2; order++) {
    size_t at = 0, room = sizeof text[order];
    at += (size_t)snprintf(text[order], room, "who,when,what,n,price,bill\n");
    for (int k = 0; k < LINES; k++) {
      int i = order ? (int)((int64_t)k * 1237 % LINES) : k;
      at += (size_t)snprintf(text[order] + at, room - at, "%d,%d,i%d,%d,%d,0\n", i * i % 97,
                             1299000000 + i * 7919 % 2000000, i % 13, i % 5, i % 7);
    }
  }
  assert_int_equal(import_log(f, text[0], &o, &result[0]), CO_OK);
  assert_int_equal(result[0].spilled, 0);
  assert_int_equal(import_log(f, text[1], &o, &result[1]), CO_OK);
  assert_string_equal(result[0].fingerprint, result[1].fingerprint);
  o.memory = 4096;
  assert_int_equal(import_log(f, NULL, &o, &result[2]), CO_OK);
  assert_true(result[2].spilled > 100000);
  assert_string_equal(result[0].fingerprint, result[2].fingerprint);
  assert_int_equal(result[0].events, LINES);
}

static void next_items(void **state) {
  fixture *f = *state;
  co_import_events_result result;
  co_dataset *d;
  const int64_t time = JANUARY_6, *begin, *end;
  co_import_events_options o = options_of(files, CO_SAMPLE_LEAVE_ONE_OUT, NULL, 0);
  o.recipe.rfm = false;
  assert_int_equal(import_log(f, log_text, &o, &result), CO_OK);
  assert_int_equal(result.rows[CO_SPLIT_TEST], 2);       // the last of a and of b
  assert_int_equal(result.rows[CO_SPLIT_VALIDATION], 1); // a's before
  assert_int_equal(result.rows[CO_SPLIT_TRAIN], 0);
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  const int32_t *next = values(d, "next_item", 3);
  assert_true(next[0] == 2 && next[1] == 1 && next[2] == 2);
  co_dataset_close(d);

  o = options_of(files, CO_SAMPLE_TIME, &time, 1);
  o.recipe.rfm = false;
  assert_int_equal(import_log(f, NULL, &o, &result), CO_OK);
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  assert_int_equal(co_dataset_rows(d), 2); // b's tea trains or validates, a's pot tests
  assert_int_equal(result.rows[CO_SPLIT_TEST], 1);
  next = values(d, "next_item", 2);
  assert_true(next[0] == 1 && next[1] == 2);
  assert_int_equal(co_dataset_ranges(d, "events", &begin, &end), CO_OK);
  assert_true(begin[0] == 0 && end[0] == 2 && begin[1] == 3 && end[1] == 4);
  co_dataset_close(d);
}

// Sessions of a: 0 1 | 2 3 4 | 5 (six hours and more between); b has one of two events, c two.
static void sessions(void **state) {
  fixture *f = *state;
  static const char text[] = "who,when,what,n,price,bill\n"
                             "a,2011-01-01 08:00,x,1,1,1\na,2011-01-01 08:30,y,1,1,1\n"
                             "a,2011-01-02 08:00,x,1,1,1\na,2011-01-02 08:30,y,1,1,1\n"
                             "a,2011-01-02 09:00,z,1,1,2\na,2011-01-05 08:00,x,1,1,1\n"
                             "b,2011-01-01 08:00,x,1,1,1\nb,2011-01-01 08:10,z,1,1,1\n"
                             "c,2011-01-01 08:00,x,1,1,1\nc,2011-01-01 08:30,y,1,1,1\n"
                             "c,2011-01-01 09:01,z,1,1,1\n";
  co_import_events_result result;
  co_dataset *d;
  const int64_t cutoff = JANUARY_6, *rows;
  int64_t count;
  co_import_events_options o = options_of(files, CO_SAMPLE_SESSIONS, NULL, 0);
  o.recipe.rfm = false;
  o.recipe.session_gap = 1800;
  assert_int_equal(import_log(f, text, &o, &result), CO_OK);
  assert_int_equal(result.rows[CO_SPLIT_TRAIN], 3);      // y of a, z of b, y of c
  assert_int_equal(result.rows[CO_SPLIT_VALIDATION], 3); // a's second session
  assert_int_equal(result.rows[CO_SPLIT_TEST], 2);       // x of a, z of c: a minute too late
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  assert_int_equal(co_dataset_split(d, CO_SPLIT_VALIDATION, &rows, &count), CO_OK);
  assert_true(count == 3 && rows[0] == 1 && rows[2] == 3);
  co_dataset_close(d);

  o.recipe.session_gap = 0;
  o.recipe.basket = "bill"; // of a: 0 to 3, 4, 5
  assert_int_equal(import_log(f, NULL, &o, &result), CO_OK);
  assert_true(result.rows[CO_SPLIT_TRAIN] == 6 && result.rows[CO_SPLIT_VALIDATION] == 1 &&
              result.rows[CO_SPLIT_TEST] == 1);

  o = options_of(files, CO_SAMPLE_CUTOFFS, &cutoff, 1);
  o.labels[CO_LABEL_ANY] = o.labels[CO_LABEL_COUNT] = o.labels[CO_LABEL_SUM] = NULL;
  o.window = 0;
  o.recipe.session_gap = 1800;
  o.cutoffs = (const int64_t[]){JANUARY_6 - 86400 + 3600 * 7}; // none is labelled
  assert_int_equal(import_log(f, NULL, &o, &result), CO_OK);
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  const float *frequency = values(d, "rfm.frequency", 3);
  assert_true(frequency[0] == 2 && frequency[1] == 1 && frequency[2] == 2);
  co_dataset_close(d);
}

static void mistakes(void **state) {
  fixture *f = *state;
  static const struct {
    const char *text, *message;
  } cases[] = {{"who,when,what,n,price\na,2011-02-30,x,1,1\n", "'2011-02-30' is no time"},
               {"who,when,what,n,price\na,2011-01-01,x,one,1\n", "'one' is no number"},
               {"who,when,n,price\na,2011-01-01,1,1\n", "there is no column 'what'"},
               {"who,when,what,n,price\na,2011-01-01,x,0,1\n", "no event is left"},
               {"who,when,what,n,price\na,2011-01-01,x,1,1\na,2011-01-02,x,1,1\n",
                "outside the log, which is of 2011-01-01 to 2011-01-02"}};
  co_import_events_result result;
  const int64_t cutoff = JANUARY_6;
  const co_import_events_options o = options_of(files, CO_SAMPLE_CUTOFFS, &cutoff, 1);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(import_log(f, cases[i].text, &o, &result), CO_ERR_DATA);
    if (!strstr(co_error_last()->message, cases[i].message))
      fail_msg("%s", co_error_last()->message);
    assert_int_equal(access("out.h5", F_OK), -1);
  }
}

// What cannot be written or allocated is told, and nothing stays behind.
static void faults(void **state) {
  fixture *f = *state;
  co_import_events_result result;
  const int64_t cutoff = JANUARY_6;
  co_import_events_options o = options_of(files, CO_SAMPLE_CUTOFFS, &cutoff, 1);
  o.allow_censored = true;
  o.memory = 100;
  write_bytes("log.csv", log_text, sizeof log_text - 1);
  for (int64_t nth = 1; nth < 5000; nth += 1 + nth / 40) {
    co_io_fail_at(f->ctx, nth, false, ENOSPC);
    co_status status = import_log(f, NULL, &o, &result);
    co_io_fail_at(f->ctx, 0, false, 0);
    if (status == CO_OK) {
      assert_true(nth > 3);
      return;
    }
    assert_int_equal(status, CO_ERR_IO);
    assert_int_equal(access("out.h5", F_OK), -1);
  }
  fail_msg("no import came to its end");
}

int main(void) {
  const struct CMUnitTest tests[] = {DATA_TEST(samples_see_the_past),
                                     DATA_TEST(order_and_memory_do_not_matter),
                                     DATA_TEST(next_items),
                                     DATA_TEST(sessions),
                                     DATA_TEST(mistakes),
                                     DATA_TEST(faults)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
