// SPDX-License-Identifier: Apache-2.0
// Raw rows in parts, for models of other columns: read once, and read again.
#include "tests/unit/data_fixture.h"

#include <errno.h>
#include <math.h>

#include "datasets/dataset.h"
#include "datasets/raw_rows.h"

enum { ROWS = 1500, BAD = 634 };

static const char *const first_classes[] = {"a", "b", "c"};
static const char *const second_classes[] = {"c", "a"};

static const co_column first_columns[] = {
    {.name = "x", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT},
    {.name = "c",
     .type = CO_COLUMN_CATEGORY,
     .role = CO_ROLE_INPUT,
     .category_count = 3,
     .categories = first_classes}};
static const co_column second_columns[] = {
    {.name = "c",
     .type = CO_COLUMN_CATEGORY,
     .role = CO_ROLE_INPUT,
     .category_count = 2,
     .categories = second_classes},
    {.name = "y", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT}};
static const co_schema first = {.column_count = 2, .columns = first_columns};
static const co_schema second = {.column_count = 2, .columns = second_columns};
static const co_recipe recipe;
static const co_raw_model models[] = {{.schema = &first, .recipe = &recipe},
                                      {.schema = &second, .recipe = &recipe}};

static void write_table(int bad, int repeated) {
  FILE *f = fopen("t.csv", "w");
  assert_non_null(f);
  fprintf(f, "note,y,c,x,id\n");
  for (int i = 0; i < ROWS; i++)
    fprintf(f, "\"n\n%d\",%d,%s,%s,K%d\n", i, 2 * i, first_classes[i % 3], i == bad ? "many" : "7",
            i == repeated ? 5 : i);
  assert_int_equal(fclose(f), 0);
}

// Of the rows [part->first, …) those of row `bad` and behind it are one further on in the file.
static void check_part(fixture *f, const co_raw_part *part, int bad, bool passed) {
  co_dataset *dataset[2];
  const void *data[3];
  const char *const *notes = NULL;
  const int64_t *index;
  int64_t rows;
  for (int m = 0; m < 2; m++) {
    assert_int_equal(co_dataset_open(&dataset[m], f->ctx, part->files[m].temporary), CO_OK);
    assert_int_equal(co_dataset_rows(dataset[m]), part->rows);
  }
  assert_int_equal(co_dataset_column(dataset[0], "c", &data[0], &rows, &index), CO_OK);
  assert_int_equal(co_dataset_column(dataset[1], "c", &data[1], &rows, &index), CO_OK);
  assert_int_equal(co_dataset_column(dataset[1], "y", &data[2], &rows, &index), CO_OK);
  if (passed)
    assert_int_equal(co_dataset_texts(dataset[0], "passthrough:note", &notes, &rows, &index),
                     CO_OK);
  for (int64_t k = 0; k < part->rows; k++) {
    int i = (int)(part->first + k);
    char key[CO_DATASET_KEY_MAX + 1], wanted[32];
    if (bad >= 0 && i >= bad) i++;
    snprintf(wanted, sizeof wanted, "K%d", i);
    assert_int_equal(co_dataset_key(dataset[0], k, key, sizeof key), CO_OK);
    assert_string_equal(key, wanted);
    assert_int_equal(((const int32_t *)data[0])[k], i % 3);
    assert_int_equal(((const int32_t *)data[1])[k], i % 3 == 0 ? 1 : i % 3 == 1 ? -1 : 0);
    assert_true(((const float *)data[2])[k] == (float)(2 * i));
    snprintf(wanted, sizeof wanted, "n\n%d", i);
    if (passed) assert_string_equal(notes[k], wanted);
  }
  co_dataset_close(dataset[0]);
  co_dataset_close(dataset[1]);
}

static co_status read_rows(fixture *f, co_arena *arena, co_raw_parts *parts, size_t part_bytes,
                           bool passed, co_raw_rows_result *result) {
  static const char *const notes[] = {"note"};
  const co_raw_rows_options options = {.path = "t.csv",
                                       .models = models,
                                       .model_count = 2,
                                       .output = "out",
                                       .parts = parts,
                                       .part_bytes = part_bytes,
                                       .passed = notes,
                                       .passed_count = passed,
                                       .key = "id",
                                       .reject = {.on_error = CO_ON_ERROR_SKIP, .most = 10}};
  return co_raw_rows_write(result, f->ctx, arena, &options);
}

static void check_rows(fixture *f, int bad, bool passed, size_t part_bytes) {
  co_arena *arena;
  co_raw_parts parts;
  co_raw_rows_result result;
  int64_t rows = 0;
  assert_int_equal(co_arena_create(&arena, f->ctx), CO_OK);
  assert_int_equal(read_rows(f, arena, &parts, part_bytes, passed, &result), CO_OK);
  assert_int_equal(result.rows, ROWS - (bad >= 0));
  assert_int_equal(result.rejected, bad >= 0);
  for (int64_t i = 0; i < parts.count; i++) {
    assert_int_equal(parts.items[i].first, rows);
    check_part(f, &parts.items[i], bad, passed);
    rows += parts.items[i].rows;
  }
  assert_int_equal(rows, result.rows);
  assert_true(part_bytes ? parts.count > 5 : parts.count == 1);
  for (int64_t i = 0; i < result.column_count; i++) // the second model does not know "b"
    if (result.columns[i].model == 1 && strcmp(result.columns[i].name, "c") == 0)
      assert_int_equal(result.columns[i].unseen, ROWS / 3 - (bad >= 0 && bad % 3 == 1));
  co_raw_parts_free(&parts);
  co_arena_free(arena);
}

static void parts_are_the_rows_in_their_order(void **state) {
  static const size_t part_bytes[] = {0, 20000, 8000};
  for (int k = 0; k < 3; k++)
    for (int bad = -1; bad <= BAD; bad += BAD + 1) {
      write_table(bad, -1);
      check_rows(*state, bad, false, part_bytes[k]);
      check_rows(*state, bad, true, part_bytes[k]);
    }
}

static void keys_that_repeat_are_told(void **state) {
  fixture *f = *state;
  for (int passed = 0; passed < 2; passed++) {
    co_arena *arena;
    co_raw_parts parts;
    co_raw_rows_result result;
    write_table(-1, 1400);
    assert_int_equal(co_arena_create(&arena, f->ctx), CO_OK);
    assert_int_equal(read_rows(f, arena, &parts, 5000, passed, &result), CO_ERR_DATA);
    // Each row has two lines, behind the names.
    assert_string_equal(co_error_last()->message,
                        "row 1401, column 'id': the key occurs in line 12 already");
    assert_int_equal(co_error_last()->line, 2 + 2 * 1400);
    co_raw_parts_free(&parts);
    co_arena_free(arena);
  }
}

// Every part has the joined table, of which each row finds its own; what is counted is counted once.
static void joined_rows_come_in_parts(void **state) {
  fixture *f = *state;
  static co_recipe_column columns[] = {
      {.name = "c", .type = CO_RECIPE_CATEGORY},
      {.name = "size", .type = CO_RECIPE_NUMBER, .role = CO_RECIPE_INPUT}};
  static const char *const on[] = {"c"};
  static co_recipe_join join = {.table = {.table = "kinds",
                                          .columns = &columns[1],
                                          .column_count = 1,
                                          .key = on,
                                          .key_count = 1},
                                .to = -1,
                                .on = on,
                                .shown = "c"};
  static const co_recipe with_join = {
      .columns = columns, .column_count = 1, .joins = &join, .join_count = 1};
  static const co_column size = {.name = "size", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT};
  static const co_schema schema = {.column_count = 1, .columns = &size};
  static const char *const paths[] = {"kinds.csv"};
  const co_raw_model model = {.schema = &schema, .recipe = &with_join, .joined = paths};
  FILE *file = fopen("kinds.csv", "w");
  write_table(-1, -1);
  assert_non_null(file);
  fprintf(file, "c,size\na,\nb,20\n"); // there is no "c"
  assert_int_equal(fclose(file), 0);
  for (size_t bytes = 0; bytes <= 2000; bytes += 2000) {
    co_arena *arena;
    co_raw_parts parts;
    co_raw_rows_result result;
    const co_raw_rows_options options = {.path = "t.csv",
                                         .models = &model,
                                         .model_count = 1,
                                         .output = "out",
                                         .parts = &parts,
                                         .part_bytes = bytes,
                                         .key = "id"};
    assert_int_equal(co_arena_create(&arena, f->ctx), CO_OK);
    assert_int_equal(co_raw_rows_write(&result, f->ctx, arena, &options), CO_OK);
    assert_true(bytes ? parts.count > 5 : parts.count == 1);
    assert_int_equal(result.rows, ROWS);
    assert_int_equal(result.column_count, 1);
    assert_int_equal(result.columns[0].missing, 1);
    for (int64_t p = 0; p < parts.count; p++) {
      co_dataset *dataset;
      const void *sizes;
      const int64_t *index;
      int64_t rows;
      assert_int_equal(co_dataset_open(&dataset, f->ctx, parts.items[p].files[0].temporary), CO_OK);
      assert_int_equal(co_dataset_column(dataset, "size", &sizes, &rows, &index), CO_OK);
      for (int64_t k = 0; k < parts.items[p].rows; k++) {
        float found = ((const float *)sizes)[index[k]];
        assert_true((parts.items[p].first + k) % 3 == 1 ? found == 20 : isnan(found));
      }
      co_dataset_close(dataset);
    }
    co_raw_parts_free(&parts);
    co_arena_free(arena);
  }
}

// A model whose recipe lacks a size, or has another than its column, is refused.
static void images_are_as_the_model_has_them(void **state) {
  fixture *f = *state;
  static const co_image_recipe wrong[] = {{.channels = 3},
                                          {.height = 8, .width = 4, .channels = 3}};
  static const co_column image = {
      .name = "note", .type = CO_COLUMN_IMAGE, .role = CO_ROLE_INPUT, .shape = {3, {4, 8, 3}}};
  const co_schema schema = {.column_count = 1, .columns = &image};
  write_table(-1, -1);
  for (int k = 0; k < 2; k++) {
    co_recipe_column column = {.name = "note", .type = CO_RECIPE_IMAGE, .image = wrong[k]};
    const co_recipe made = {.columns = &column, .column_count = 1};
    const co_raw_model model = {.schema = &schema, .recipe = &made};
    co_arena *arena;
    co_raw_parts parts;
    co_raw_rows_result result;
    const co_raw_rows_options options = {
        .path = "t.csv", .models = &model, .model_count = 1, .output = "out", .parts = &parts};
    assert_int_equal(co_arena_create(&arena, f->ctx), CO_OK);
    assert_int_equal(co_raw_rows_write(&result, f->ctx, arena, &options), CO_ERR_MODEL);
    assert_non_null(strstr(co_error_last()->message, "for 'note', which is of others"));
    co_raw_parts_free(&parts);
    co_arena_free(arena);
  }
}

// Whatever fails, nothing is left behind.
static void full_disks_leave_nothing(void **state) {
  fixture *f = *state;
  co_status status = CO_ERR_IO;
  write_table(-1, -1);
  for (int nth = 1; status != CO_OK; nth += 1 + nth / 3) {
    co_arena *arena;
    co_raw_parts parts;
    co_raw_rows_result result;
    assert_int_equal(co_arena_create(&arena, f->ctx), CO_OK);
    co_io_fail_at(f->ctx, nth, true, ENOSPC);
    status = read_rows(f, arena, &parts, 20000, nth % 2, &result);
    co_io_fail_at(f->ctx, 0, false, 0);
    assert_true(status == CO_OK ? nth > 10 : status == CO_ERR_IO);
    co_raw_parts_free(&parts);
    co_arena_free(arena);
    assert_int_equal(system("[ \"$(ls)\" = t.csv ]"), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(parts_are_the_rows_in_their_order), DATA_TEST(keys_that_repeat_are_told),
      DATA_TEST(joined_rows_come_in_parts), DATA_TEST(images_are_as_the_model_has_them),
      DATA_TEST(full_disks_leave_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
