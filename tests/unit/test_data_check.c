// SPDX-License-Identifier: Apache-2.0
// The leakage linter: each finding where it was planted, none where nothing was.
#include "tests/unit/data_fixture.h"

#include "datasets/check.h"
#include "datasets/view.h"
#include "datasets/writer.h"

#define OK(call)                                                                                   \
  do {                                                                                             \
    if ((call) != CO_OK) fail_msg("%s: %s", #call, co_error_last()->message);                      \
  } while (0)

enum { MANY = 2000 };

// What a table has; zeroed, nothing is wrong with it.
typedef struct plan {
  bool leak, reversed, word_leak, constant, counter, words, mostly_missing, telling;
  bool copies, keys, one_class, number_target;
  int samples; // a row of the entity; 0 = without entity_row
  bool by_time;
} plan;

static double noise(int purpose, int i) {
  return (double)(co_mix64((uint64_t)purpose, (uint64_t)i) >> 11) * 0x1p-53;
}

static void add_number(co_dataset_writer *w, const char *name, const double *values, int rows) {
  const co_column c = {.name = name, .dtype = CO_F64};
  OK(co_dataset_writer_column(w, "e", &c, rows));
  OK(co_dataset_writer_rows(w, rows, values));
}

static void add_words(co_dataset_writer *w, const char *name, const int32_t *codes, int rows) {
  static char text[MANY][8];
  static const char *names[MANY];
  for (int i = 0; i < MANY; i++) {
    snprintf(text[i], sizeof text[i], "w%04d", i);
    names[i] = text[i];
  }
  const co_column c = {.name = name,
                       .type = CO_COLUMN_CATEGORY,
                       .dtype = CO_I32,
                       .categories = names,
                       .category_count = MANY};
  OK(co_dataset_writer_column(w, "e", &c, rows));
  OK(co_dataset_writer_rows(w, rows, codes));
}

static void write_table(fixture *f, const plan *p) {
  static double x[MANY], leak[MANY], target[MANY], other[MANY];
  static int32_t words[MANY];
  static uint8_t split[MANY];
  static int64_t row[MANY], as_of[MANY];
  static const char *keys[MANY];
  static char text[MANY][16];
  co_dataset_writer *w;
  int entities = p->samples ? MANY / p->samples : MANY;
  for (int i = 0; i < MANY; i++) {
    split[i] = i % 10 == 8 ? CO_SPLIT_VALIDATION : i % 10 == 9 ? CO_SPLIT_TEST : CO_SPLIT_TRAIN;
    if (p->by_time) split[i] = i < MANY * 8 / 10 ? CO_SPLIT_TRAIN : CO_SPLIT_TEST;
    row[i] = p->samples ? i % entities : i;
    as_of[i] = p->by_time ? 1000 + i : 1000;
    snprintf(text[i], sizeof text[i], "k%d", p->keys ? i % 999 : i);
    keys[i] = text[i];
  }
  for (int i = 0; i < entities; i++) {
    x[i] = p->copies ? i % 999 : noise(1, i);
    target[i] = p->number_target ? noise(3, i) : noise(2, i) < 0.3 + 0.4 * (noise(1, i) > 0.5);
    if (p->one_class && split[i] == CO_SPLIT_TEST) target[i] = 0;
    leak[i] = (p->reversed ? -1 : 1) * (target[i] + 0.9 * noise(4, i) * !p->number_target);
    words[i] = (int32_t)(target[i] * 50) + (int32_t)(50 * noise(5, i));
    other[i] = p->mostly_missing && i % 50                                ? NAN
               : p->telling && noise(6, i) < (target[i] > 0 ? 0.2 : 0.05) ? NAN
               : p->counter                                               ? 5000 + (i * 7) % MANY
               : p->constant                                              ? 4
                             : floor(100 * noise(7, i));
  }
  OK(co_dataset_writer_create(&w, f->ctx, "d.h5"));
  add_number(w, "x", x, entities);
  if (!p->copies) add_number(w, "other", other, entities);
  if (p->leak) add_number(w, "leak", leak, entities);
  if (p->word_leak) add_words(w, "words", words, entities);
  if (p->words)
    for (int i = 0; i < entities; i++)
      words[i] = (int32_t)((i * 7) % MANY);
  if (p->words) add_words(w, "words", words, entities);
  const co_column t = {.name = "t",
                       .type = p->number_target ? CO_COLUMN_NUMBER : CO_COLUMN_BINARY,
                       .role = CO_ROLE_TARGET,
                       .dtype = CO_F32};
  static float stored[MANY];
  for (int i = 0; i < entities; i++)
    stored[i] = (float)target[i];
  OK(co_dataset_writer_column(w, "e", &t, entities));
  OK(co_dataset_writer_rows(w, entities, stored));
  OK(co_dataset_writer_samples(w, "e", MANY, p->samples ? row : NULL, as_of, split));
  if (p->keys) OK(co_dataset_writer_texts(w, NULL, "id", CO_ROLE_KEY, keys, MANY));
  OK(co_dataset_writer_commit(w, NULL));
  co_dataset_writer_free(w);
}

// The findings as "id:column id:column …".
static void findings(fixture *f, const plan *p, char *out, size_t size) {
  co_arena *arena;
  co_dataset *d;
  co_findings found;
  write_table(f, p);
  OK(co_arena_create(&arena, f->ctx));
  OK(co_dataset_open(&d, f->ctx, "d.h5"));
  OK(co_dataset_check(&found, f->ctx, arena, d, NULL));
  *out = '\0';
  for (int64_t i = 0; i < found.count; i++) {
    const co_finding *finding = &found.items[i];
    assert_true(*finding->message && *finding->way_out);
    if (!p->keys)
      assert_null(strstr(finding->way_out, "without --key")); // which there is none to leave out
    snprintf(out + strlen(out), size - strlen(out), "%s%s:%s", i ? " " : "", finding->id,
             finding->column ? finding->column : "");
  }
  co_dataset_close(d);
  co_arena_free(arena);
}

#define FINDS(expected, ...)                                                                       \
  do {                                                                                             \
    char text[512];                                                                                \
    const plan p = {__VA_ARGS__};                                                                  \
    findings(*state, &p, text, sizeof text);                                                       \
    assert_string_equal(text, expected);                                                           \
  } while (0)

static void clean_tables_have_none(void **state) {
  FINDS("", .leak = false);
  FINDS("", .number_target = true);
}

static void leaks_are_found(void **state) {
  FINDS("target_leak:leak", .leak = true);
  FINDS("target_leak:leak", .leak = true, .reversed = true);
  FINDS("target_leak:leak", .leak = true, .number_target = true);
  FINDS("target_leak:words", .word_leak = true);
  FINDS("missing_tells_target:other", .telling = true);
}

static void useless_columns_are_found(void **state) {
  FINDS("constant_column:other", .constant = true);
  FINDS("identifier_like:other", .counter = true);
  // Words of one row each tell nothing of the target, whatever its rate.
  FINDS("identifier_like:words", .words = true);
  FINDS("mostly_missing:other", .mostly_missing = true);
}

static void rows_across_splits_are_found(void **state) {
  FINDS("duplicates_across_splits:", .copies = true);
  FINDS("key_across_splits:id", .keys = true);
  FINDS("one_class_target:t", .one_class = true);
}

static void customers_across_splits_are_found(void **state) {
  // Two samples a customer: i and i + 1000, which have the same split; three: others.
  FINDS("duplicates_across_splits:", .samples = 2, .by_time = true); // by design, but for inputs
  FINDS("", .keys = true, .by_time = true);
  FINDS("entity_across_splits: duplicates_across_splits:", .samples = 3);
}

// Events beyond the cut-off are refused when the file is opened; without times nobody can tell.
static void events_without_times_are_told(void **state) {
  fixture *f = *state;
  co_arena *arena;
  co_dataset *d;
  co_findings found;
  co_dataset_writer *w;
  static const int64_t offsets[] = {0, 2, 3}, begin[] = {0, 2}, end[] = {2, 3}, as_of[] = {50, 50};
  static const float amount[] = {1, 2, 3}, time[] = {10, 60, 20}, age[] = {30, 40};
  const co_column number = {.name = "amount", .dtype = CO_F32},
                  times = {.name = "time", .role = CO_ROLE_IGNORE, .dtype = CO_F32},
                  entity = {.name = "age", .dtype = CO_F32};
  for (int timed = 0; timed < 2; timed++) {
    OK(co_dataset_writer_create(&w, f->ctx, "d.h5"));
    OK(co_dataset_writer_column(w, "e", &entity, 2));
    OK(co_dataset_writer_rows(w, 2, age));
    OK(co_dataset_writer_events(w, "orders", "e", timed ? "time" : NULL, 2, offsets));
    OK(co_dataset_writer_column(w, "orders", &number, 3));
    OK(co_dataset_writer_rows(w, 3, amount));
    OK(co_dataset_writer_column(w, "orders", &times, 3));
    OK(co_dataset_writer_rows(w, 3, time));
    OK(co_dataset_writer_samples(w, "e", 2, NULL, as_of, NULL));
    OK(co_dataset_writer_ranges(w, "orders", 2, begin, end));
    if (timed) {
      assert_int_equal(co_dataset_writer_commit(w, NULL), CO_ERR_DATA); // 60 > 50
      assert_non_null(strstr(co_error_last()->message, "may see earlier events only"));
    } else {
      OK(co_dataset_writer_commit(w, NULL));
      OK(co_arena_create(&arena, f->ctx));
      OK(co_dataset_open(&d, f->ctx, "d.h5"));
      OK(co_dataset_check(&found, f->ctx, arena, d, NULL));
      assert_int_equal(found.count, 1);
      assert_string_equal(found.items[0].id, "events_unchecked");
      co_dataset_close(d);
      co_arena_free(arena);
    }
    co_dataset_writer_free(w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(clean_tables_have_none),
      DATA_TEST(leaks_are_found),
      DATA_TEST(useless_columns_are_found),
      DATA_TEST(rows_across_splits_are_found),
      DATA_TEST(customers_across_splits_are_found),
      DATA_TEST(events_without_times_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
