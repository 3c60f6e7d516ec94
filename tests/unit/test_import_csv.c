// SPDX-License-Identifier: Apache-2.0
// Importing tables in text: what columns are taken for, splits, and what leaves no output.
#include "tests/unit/data_fixture.h"

#include <errno.h>
#include <math.h>

#include "datasets/dataset.h"
#include "datasets/import_csv.h"

enum { MOST = 8 };

typedef struct job {
  const char *text; // of t.csv
  co_recipe_column columns[MOST];
  int64_t count;
  const char *split;
  uint64_t seed;
  bool force;
} job;

static co_status import_table(fixture *f, const job *j, co_import_csv_result *result, char *schema,
                              size_t size) {
  static const char *const files[] = {"t.csv"};
  co_arena *arena;
  co_recipe_column columns[MOST];
  memcpy(columns, j->columns, sizeof columns);
  const co_recipe recipe = {.table = "t", .columns = columns, .column_count = j->count};
  co_import_csv_options options = {.output = "out.h5",
                                   .files = files,
                                   .file_count = 1,
                                   .recipe = &recipe,
                                   .seed = j->seed,
                                   .force = j->force};
  if (j->text) write_bytes("t.csv", j->text, strlen(j->text));
  co_status status = co_arena_create(&arena, f->ctx);
  if (status == CO_OK) status = co_split_rule_parse(&options.split, arena, j->split);
  if (status == CO_OK) status = co_import_csv(result, f->ctx, arena, &options);
  if (status == CO_OK && schema) snprintf(schema, size, "%s", result->schema);
  co_arena_free(arena);
  return status;
}

#define TARGET(name_)                                                                              \
  { .name = name_, .role = CO_RECIPE_TARGET }

static const co_column *column(co_dataset *d, const char *name) {
  const co_column *c = co_schema_find(co_dataset_schema(d), name);
  assert_non_null(c);
  return c;
}

// Two numbers are two classes where they are to be predicted, and two amounts where they are not.
static void two_numbers(void **state) {
  fixture *f = *state;
  co_import_csv_result result;
  char schema[1024];
  const job j = {
      .text = "x,channel\n5,2\n7,1\n5,2\n5,2\n", .columns = {TARGET("channel")}, .count = 1};
  assert_int_equal(import_table(f, &j, &result, schema, sizeof schema), CO_OK);
  assert_non_null(strstr(schema, "\"x\": {type: number, role: input}"));
  assert_non_null(strstr(schema, "\"channel\": {type: binary, role: target, positive: \"1\"}"));
}

static void types_are_found(void **state) {
  fixture *f = *state;
  co_import_csv_result result;
  co_dataset *d;
  char schema[2048];
  const job j = {.text = "id,n,big,word,yes,zero,empty,day,t\n"
                         "u1,1.5,16777217,a,TRUE,0,,2011-01-01,no\n"
                         "u2,,2,b,FALSE,1,NA,2011-01-02,yes\n"
                         "u3, 3 ,3,c,TRUE,0,,2011-01-03,no\n"
                         "u4,4,4,a,true,1,null,2011-01-04,no\n",
                 .columns = {TARGET("t"), {.name = "yes", .type = CO_RECIPE_CATEGORY}},
                 .count = 2};
  assert_int_equal(import_table(f, &j, &result, schema, sizeof schema), CO_OK);
  assert_non_null(strstr(schema, "\"id\": {type: id, role: ignore}  # 4 different\n"));
  assert_non_null(strstr(schema, "\"n\": {type: number, role: input}  # 1 missing\n"));
  assert_non_null(strstr(schema, "\"yes\": {type: category, role: input}  # 3 different\n"));
  assert_non_null(strstr(schema, "\"zero\": {type: binary, role: input, positive: \"1\"}\n"));
  assert_non_null(strstr(schema, "\"empty\": {type: number, role: ignore}"));
  assert_non_null(strstr(schema, "\"day\": {type: date, role: ignore}"));
  assert_non_null(strstr(schema, "\"t\": {type: binary, role: target, positive: \"yes\"}\n"));
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  assert_int_equal(co_dataset_schema(d)->column_count, 6);
  assert_int_equal(column(d, "word")->category_count, 3);
  assert_string_equal(column(d, "t")->categories[1], "yes");
  static const int64_t rows[] = {0, 1, 2, 3};
  float n[4];
  int32_t words[4];
  assert_int_equal(co_dataset_gather(d, "n", rows, 4, n), CO_OK);
  assert_true(n[0] == 1.5f && isnan(n[1]) && n[2] == 3 && n[3] == 4);
  assert_int_equal(co_dataset_gather(d, "word", rows, 4, words), CO_OK);
  assert_true(words[0] == 0 && words[1] == 1 && words[2] == 2 && words[3] == 0);
  assert_int_equal(co_dataset_gather(d, "t", rows, 4, n), CO_OK);
  assert_true(n[0] == 0 && n[1] == 1 && n[2] == 0);
  co_numbers numbers; // which float32 does not hold
  assert_int_equal(co_dataset_numbers(d, "big", &numbers), CO_OK);
  assert_true(co_numbers_at(&numbers, 0) == 16777217);
  co_dataset_close(d);
}

// Dates are seconds, texts stay texts; both may be missing.
static void dates_and_texts_are_stored(void **state) {
  fixture *f = *state;
  co_import_csv_result result;
  co_dataset *d;
  char schema[2048];
  const char *const *text;
  const int64_t *index;
  int64_t rows;
  job j = {.text = "day,at,said,note,t\n"
                   "2011-12-31,31/12/11,it is \xC3\xBC"
                   "ber nice,a b c d,0\n"
                   ",,,e f g h,1\n"
                   "1969-12-31 23:59:59,1/1/70,x,i j k l,0\n",
           .columns = {TARGET("t"),
                       {.name = "day", .type = CO_RECIPE_DATE},
                       {.name = "at", .type = CO_RECIPE_DATE, .format = "%d/%m/%y"},
                       {.name = "said", .type = CO_RECIPE_TEXT}},
           .count = 4};
  assert_int_equal(import_table(f, &j, &result, schema, sizeof schema), CO_OK);
  assert_non_null(
      strstr(schema, "\"at\": {type: date, role: input, format: \"%d/%m/%y\"}  # 1 missing\n"));
  assert_non_null(strstr(schema, "\"note\": {type: text, role: ignore}"));
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  co_numbers numbers;
  assert_int_equal(co_dataset_numbers(d, "day", &numbers), CO_OK);
  assert_true(co_numbers_at(&numbers, 0) == 1325289600 && isnan(co_numbers_at(&numbers, 1)));
  assert_true(co_numbers_at(&numbers, 2) == -1);
  assert_int_equal(co_dataset_numbers(d, "at", &numbers), CO_OK);
  assert_true(co_numbers_at(&numbers, 0) == 1325289600 && co_numbers_at(&numbers, 2) == 0);
  assert_int_equal(co_dataset_texts(d, "said", &text, &rows, &index), CO_OK);
  assert_int_equal(rows, 3);
  assert_string_equal(text[0], "it is \xC3\xBC"
                               "ber nice");
  assert_string_equal(text[1], "");
  assert_int_equal(co_dataset_texts(d, "day", &text, &rows, &index), CO_ERR_DATA);
  co_dataset_close(d);

  j.columns[1].type = CO_RECIPE_TYPE_ANY;
  j.text = "day,at,said,t\n2011-02-28,,,0\n2011-02-29,,,1\n";
  j.force = true;
  assert_int_equal(import_table(f, &j, &result, NULL, 0), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "row 2, column 'day': '2011-02-29' is no date"));
  assert_int_equal(co_error_last()->line, 3);
}

// A column whose texts begin late is read again from its start.
static void texts_may_begin_late(void **state) {
  fixture *f = *state;
  co_import_csv_result result;
  co_dataset *d;
  const job j = {.text = "c,t\n1,0\n2,1\n2,0\nx,1\n", .columns = {TARGET("t")}, .count = 1};
  assert_int_equal(import_table(f, &j, &result, NULL, 0), CO_OK);
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  assert_int_equal(column(d, "c")->category_count, 3);
  assert_string_equal(column(d, "c")->categories[0], "1");
  co_dataset_close(d);
}

static void positives_are_chosen(void **state) {
  fixture *f = *state;
  static const struct {
    const char *values[4], *given, *wanted;
  } cases[] = {{{"No", "Yes", "Yes", "Yes"}, NULL, "Yes"},
               {{"n", "Y", "Y", "Y"}, NULL, "Y"},
               {{"1", "0", "1", "1"}, NULL, "1"},
               {{"stays", "leaves", "stays", "stays"}, NULL, "leaves"},
               {{"leaves", "stays", "leaves", "leaves"}, NULL, "stays"},
               {{"No", "Yes", "Yes", "Yes"}, "No", "No"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[128];
    co_import_csv_result result;
    co_dataset *d;
    snprintf(text, sizeof text, "a,t\n1,%s\n2,%s\n3,%s\n4,%s\n", cases[i].values[0],
             cases[i].values[1], cases[i].values[2], cases[i].values[3]);
    const job j = {.text = text,
                   .columns = {{.name = "t", .role = CO_RECIPE_TARGET, .positive = cases[i].given}},
                   .count = 1,
                   .force = true};
    assert_int_equal(import_table(f, &j, &result, NULL, 0), CO_OK);
    assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
    assert_string_equal(column(d, "t")->categories[1], cases[i].wanted);
    co_dataset_close(d);
  }
}

static void bad_tables_leave_nothing(void **state) {
  fixture *f = *state;
  static const struct {
    const char *text, *target;
    const char *other; // column of which more is said
    co_recipe_type type;
    co_recipe_role role;
    long line;
    const char *message;
  } cases[] = {
      {"a,t\n1,0\n", "u", NULL, 0, 0, 1, "there is no column 'u'"},
      {"a,t\n", "t", NULL, 0, 0, 0, "there are no rows"},
      {"a,t\n1,no\n2,no\n", "t", NULL, 0, 0, 0, "only one value, 'no'"},
      {"a,t\n1,5\n2,5\n", "t", NULL, 0, 0, 0, "only one value, 5"},
      {"a,t\n1,\n2,\n", "t", NULL, 0, 0, 0, "has no value"},
      {"a,t\n1,p\n2,q\n3,r\n", "t", NULL, 0, 0, 0, "a text of its own"},
      {"a,t\n1e999,0\n2,1\n", "t", NULL, 0, 0, 2, "row 1, column 'a': '1e999' is beyond"},
      {"a,t\n\"1,5\",0\n2,1\n", "t", NULL, 0, 0, 2, "'1,5' is no number: decimal commas"},
      {"a,t\n1,0\nx,1\n", "t", "a", CO_RECIPE_NUMBER, 0, 3, "'x' is no number"},
      {"a,t\n1,0\n2,1\n3,1\n", "t", "a", CO_RECIPE_BINARY, 0, 0, "this has 3"},
      {"k,a,t\n1,1,0\n1,2,1\n", "t", "k", 0, CO_RECIPE_KEY, 3, "occurs in line 2 already"},
      {"k,a,t\n1,1,0\n,2,1\n", "t", "k", 0, CO_RECIPE_KEY, 3, "the key is missing"},
      {"w,a,t\n1,1,0\n-1,2,1\n", "t", "w", 0, CO_RECIPE_WEIGHT, 3, "a weight must be"},
      {"w,a,t\n1,1,0\n,2,1\n", "t", "w", 0, CO_RECIPE_WEIGHT, 3, "is no weight"},
      {"a/b,t\n1,0\n2,1\n", "t", NULL, 0, 0, 0, "'a/b' cannot be the name"},
      {"k,t\nu,0\nv,1\nw,1\n", "t", NULL, 0, 0, 0, "no column is left as an input"},
      {"a,s,t\n1,train,0\n2,dev,1\n", "t", "s", 0, CO_RECIPE_SPLIT, 3, "'dev' is no split"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    co_import_csv_result result;
    const job j = {
        .text = cases[i].text,
        .columns = {TARGET(cases[i].target),
                    {.name = cases[i].other, .type = cases[i].type, .role = cases[i].role}},
        .count = cases[i].other ? 2 : 1,
        .split = cases[i].role == CO_RECIPE_SPLIT ? "column:s" : NULL};
    assert_int_equal(import_table(f, &j, &result, NULL, 0), CO_ERR_DATA);
    const co_error *e = co_error_last();
    if (!strstr(e->message, cases[i].message))
      fail_msg("'%s' lacks '%s'", e->message, cases[i].message);
    assert_string_equal(e->file, "t.csv");
    assert_int_equal(e->line, cases[i].line);
    assert_int_equal(access("out.h5", F_OK), -1);
  }
}

// A table of `rows` rows: a number, a class, a target with one positive in five.
static char *make_table(int rows, int first) {
  char *text = malloc((size_t)rows * 40 + 64);
  size_t used = (size_t)snprintf(text, 64, "k,a,c,t\n");
  for (int i = first; i < first + rows; i++)
    used +=
        (size_t)snprintf(text + used, 64, "u%d,%d,c%d,%s\n", i, i * 7, i % 3, i % 5 ? "no" : "yes");
  return text;
}

static int64_t count_split(co_dataset *d, co_split split, const char *positive_of) {
  const int64_t *rows;
  int64_t count, positives = 0;
  assert_int_equal(co_dataset_split(d, split, &rows, &count), CO_OK);
  for (int64_t i = 0; positive_of && i < count; i++) {
    float value;
    assert_int_equal(co_dataset_gather(d, positive_of, rows + i, 1, &value), CO_OK);
    positives += value == 1;
  }
  return positive_of ? positives : count;
}

static void splits_are_made(void **state) {
  fixture *f = *state;
  co_import_csv_result result;
  co_dataset *d;
  char *text = make_table(1000, 0);
  job j = {.text = text, .columns = {TARGET("t")}, .count = 1, .force = true};
  assert_int_equal(import_table(f, &j, &result, NULL, 0), CO_OK);
  assert_int_equal(result.rows[0] + result.rows[1] + result.rows[2], 1000);
  assert_true(llabs(result.rows[0] - 700) < 60 && llabs(result.rows[1] - 100) < 40);
  j.split = "stratified:0.5,0.25,0.25";
  assert_int_equal(import_table(f, &j, &result, NULL, 0), CO_OK);
  assert_int_equal(result.rows[0], 500);
  assert_int_equal(result.rows[1], 250);
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  assert_int_equal(count_split(d, CO_SPLIT_TRAIN, "t"), 100);
  assert_int_equal(count_split(d, CO_SPLIT_TEST, "t"), 50);
  co_dataset_close(d);
  j.split = "hash:c:0.5,0,0.5"; // rows of one class share a split
  assert_int_equal(import_table(f, &j, &result, NULL, 0), CO_OK);
  assert_int_equal(result.rows[1], 0);
  for (int s = 0; s < 3; s++)
    assert_true(result.rows[s] % 333 <= 1 || result.rows[s] == 1000);
  free(text);
}

// With a key rows stay where they are as others are added; copies share a split without one.
static void splits_hold(void **state) {
  fixture *f = *state;
  co_import_csv_result result;
  co_dataset *d;
  uint8_t before[200] = {0};
  for (int run = 0; run < 2; run++) {
    char *text = make_table(run ? 400 : 200, 0);
    const job j = {.text = text,
                   .columns = {TARGET("t"), {.name = "k", .role = CO_RECIPE_KEY}},
                   .count = 2,
                   .force = true};
    assert_int_equal(import_table(f, &j, &result, NULL, 0), CO_OK);
    assert_int_equal(result.duplicates, -1);
    assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
    for (int s = 0; s < 3; s++) {
      const int64_t *rows;
      int64_t count;
      co_dataset_split(d, (co_split)s, &rows, &count);
      for (int64_t i = 0; i < count && rows[i] < 200; i++) {
        if (run) assert_int_equal(before[rows[i]], s);
        before[rows[i]] = (uint8_t)s;
      }
    }
    char key[16];
    assert_int_equal(co_dataset_key(d, 123, key, sizeof key), CO_OK);
    assert_string_equal(key, "u123");
    co_dataset_close(d);
    free(text);
  }
  const job copies = {
      .text = "a,t\n1,0\n2,1\n1,0\n1,0\n", .columns = {TARGET("t")}, .count = 1, .force = true};
  assert_int_equal(import_table(f, &copies, &result, NULL, 0), CO_OK);
  assert_int_equal(result.duplicates, 2);
  assert_true(result.rows[0] != 2 && result.rows[1] != 2 && result.rows[2] != 2);
}

static void equal_imports_are_up_to_date(void **state) {
  fixture *f = *state;
  co_import_csv_result first, again;
  size_t length, length_again;
  job j = {.text = "a,t\n1,0\n2,1\n3,0\n", .columns = {TARGET("t")}, .count = 1, .seed = 5};
  assert_int_equal(import_table(f, &j, &first, NULL, 0), CO_OK);
  unsigned char *bytes = read_bytes("out.h5", &length);
  assert_int_equal(import_table(f, &j, &again, NULL, 0), CO_OK);
  assert_true(again.up_to_date && !first.up_to_date);
  assert_string_equal(first.fingerprint, again.fingerprint);
  assert_memory_equal(first.rows, again.rows, sizeof first.rows);
  j.seed = 6;
  assert_int_equal(import_table(f, &j, &again, NULL, 0), CO_ERR_IO);
  j.seed = 5;
  j.force = true;
  assert_int_equal(import_table(f, &j, &again, NULL, 0), CO_OK);
  unsigned char *bytes_again = read_bytes("out.h5", &length_again);
  assert_int_equal(length, length_again);
  assert_memory_equal(bytes, bytes_again, length);
  free(bytes);
  free(bytes_again);
}

static void failures_leave_nothing(void **state) {
  fixture *f = *state;
  co_import_csv_result result;
  const job j = {.text = "k,a,c,t\nu,1,x,0\nv,2,y,1\nw,3,x,0\n",
                 .columns = {TARGET("t"), {.name = "k", .role = CO_RECIPE_KEY}},
                 .count = 2};
  bool hit = true;
  for (int64_t nth = 1; hit; nth++) {
    int64_t before = co_alloc_calls(f->ctx);
    co_alloc_fail_at(f->ctx, nth, nth % 2);
    co_status status = import_table(f, &j, &result, NULL, 0);
    co_alloc_fail_at(f->ctx, 0, false);
    hit = co_alloc_calls(f->ctx) - before >= nth;
    if (status != CO_OK) assert_int_equal(status, CO_ERR_MEMORY);
    // Some memory only saves time: without it all is well.
    assert_int_equal(remove("out.h5"), status == CO_OK ? 0 : -1);
    assert_true(nth < 5000);
  }
  for (int64_t nth = 1;; nth++) {
    co_io_fail_at(f->ctx, nth, false, ENOSPC);
    co_status status = import_table(f, &j, &result, NULL, 0);
    co_io_fail_at(f->ctx, 0, false, 0);
    if (status == CO_OK) break;
    assert_int_equal(status, CO_ERR_IO);
    if (access("out.h5", F_OK) == 0) remove("out.h5"); // only its folder was not synchronised
    assert_true(nth < 5000);
  }
}

static void rules_of_splits_are_read(void **state) {
  fixture *f = *state;
  co_arena *arena;
  co_split_rule rule;
  assert_int_equal(co_arena_create(&arena, f->ctx), CO_OK);
  static const char *const wrong[] = {"random:",
                                      "random:1",
                                      "random:0.5,0.5,0.5",
                                      "weird",
                                      "column:",
                                      "hash:",
                                      "random:0.7,0.1,0.2,0",
                                      "time:2011-01-01",
                                      "time:2012-01-01,2011-01-01",
                                      "time::2011-01-01,2012-01-01",
                                      "time:2011-01-01,soon",
                                      ""};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(co_split_rule_parse(&rule, arena, wrong[i]), CO_ERR_USAGE);
  assert_int_equal(co_split_rule_parse(&rule, arena, "hash:a:b:0.6,0.2,0.2"), CO_OK);
  assert_string_equal(rule.column, "a:b");
  assert_true(rule.share[0] == 0.6);
  assert_int_equal(co_split_rule_parse(&rule, arena, "hash:a:b"), CO_OK);
  assert_string_equal(rule.column, "a:b");
  assert_true(rule.share[0] == 0.7);
  assert_int_equal(co_split_rule_parse(&rule, arena, "time:a:b:1970-01-02 00:01,1970-01-03"),
                   CO_OK);
  assert_string_equal(rule.column, "a:b");
  assert_true(rule.since[0] == 86460 && rule.since[1] == 172800);
  co_arena_free(arena);
}

// A table whose first rows tell little of the others.
static char *write_surprises(void) {
  enum { ROWS = 40000, ROOM = 60 };
  char *text = malloc(ROWS * ROOM);
  size_t used = (size_t)snprintf(text, ROOM, "user,late,n,word,t\n");
  for (int i = 0; i < ROWS; i++)
    used += (size_t)snprintf(text + used, ROOM, "u%d,%s%d,%d.5,\"w\n%d\",%s\n", i % 30000,
                             i > 30000 ? "x" : "", i % 900, i % 777, i % 70, i % 3 ? "yes" : "no");
  return text;
}

// What the first rows say decides how rows are read, not what is made of them; nor do threads.
static void first_rows_decide_nothing(void **state) {
  fixture *f = *state;
  char *text = write_surprises(), first[65] = "";
  for (int k = 0; k < 4; k++) {
    co_import_csv_result result;
    job j = {.text = text,
             .columns = {TARGET("t"),
                         {.name = "user", .type = CO_RECIPE_CATEGORY, .role = CO_RECIPE_INPUT},
                         {.name = "late", .type = CO_RECIPE_CATEGORY}},
             .count = k % 2 ? 1 : 3, // told, or found out
             .force = true};
    co_context_set_threads(f->ctx, k < 2 ? 1 : 3);
    assert_int_equal(import_table(f, &j, &result, NULL, 0), CO_OK);
    assert_int_equal(result.duplicates, 0);
    if (k)
      assert_string_equal(result.fingerprint, first);
    else
      memcpy(first, result.fingerprint, sizeof first);
  }
  free(text);
}

static void telco_is_what_it_is(void **state) {
  fixture *f = *state;
  char path[512], schema[8192];
  if (!test_data("telco_churn/Telco-Customer-Churn.csv", path, sizeof path)) skip();
  size_t length;
  unsigned char *bytes = read_bytes(path, &length);
  write_bytes("t.csv", bytes, length);
  free(bytes);
  co_import_csv_result result;
  const job j = {.columns = {TARGET("Churn"), {.name = "customerID", .role = CO_RECIPE_KEY}},
                 .count = 2};
  assert_int_equal(import_table(f, &j, &result, schema, sizeof schema), CO_OK);
  assert_int_equal(result.rows[0] + result.rows[1] + result.rows[2], 7043);
  assert_non_null(strstr(schema, "\"TotalCharges\": {type: number, role: input}  # 11 missing\n"));
  assert_non_null(strstr(schema, "\"Churn\": {type: binary, role: target, positive: \"Yes\"}\n"));
  co_dataset *d;
  assert_int_equal(co_dataset_open(&d, f->ctx, "out.h5"), CO_OK);
  int64_t positives = 0;
  for (int s = 0; s < 3; s++)
    positives += count_split(d, (co_split)s, "Churn");
  assert_int_equal(positives, 1869);
  co_dataset_close(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(two_numbers),
      DATA_TEST(types_are_found),
      DATA_TEST(dates_and_texts_are_stored),
      DATA_TEST(texts_may_begin_late),
      DATA_TEST(positives_are_chosen),
      DATA_TEST(bad_tables_leave_nothing),
      DATA_TEST(splits_are_made),
      DATA_TEST(splits_hold),
      DATA_TEST(equal_imports_are_up_to_date),
      DATA_TEST(failures_leave_nothing),
      DATA_TEST(rules_of_splits_are_read),
      DATA_TEST(first_rows_decide_nothing),
      DATA_TEST(telco_is_what_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
