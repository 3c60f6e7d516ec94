// SPDX-License-Identifier: Apache-2.0
// Opens images.h5, table.h5 and events.h5, as written by the code in datasets/README.md.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "datasets/dataset.h"

static co_dataset *open_dataset(co_context *ctx, const char *path) {
  co_dataset *d;
  if (co_dataset_open(&d, ctx, path) != CO_OK)
    fail_msg("%s: %s", co_error_last()->file, co_error_last()->message);
  return d;
}

static void assert_split(co_dataset *d, co_split split, int64_t first, int64_t count) {
  const int64_t *rows;
  int64_t found;
  assert_int_equal(co_dataset_split(d, split, &rows, &found), CO_OK);
  assert_int_equal(found, count);
  for (int64_t i = 0; i < count; i++)
    assert_int_equal(rows[i], first + i);
}

static void images(void **state) {
  co_context *ctx = *state;
  co_dataset *d = open_dataset(ctx, "images.h5");
  assert_int_equal(co_dataset_rows(d), 30);
  assert_split(d, CO_SPLIT_TRAIN, 0, 20);
  assert_split(d, CO_SPLIT_VALIDATION, 20, 5);
  assert_split(d, CO_SPLIT_TEST, 25, 5);
  const co_column *image = co_schema_find(co_dataset_schema(d), "image");
  assert_int_equal(image->type, CO_COLUMN_IMAGE);
  co_shape shape = co_shape_make(3, (int64_t)8, (int64_t)6, (int64_t)1);
  assert_true(co_shape_equal(&image->shape, &shape));
  const co_column *label = co_schema_find(co_dataset_schema(d), "label");
  assert_int_equal(label->category_count, 3);
  assert_string_equal(label->categories[1], "shoe");
  int32_t code[2];
  assert_int_equal(co_dataset_gather(d, "label", (int64_t[]){4, 29}, 2, code), CO_OK);
  assert_int_equal(code[0], 1);
  assert_int_equal(code[1], 2);
  char key[8];
  assert_int_equal(co_dataset_key(d, 29, key, sizeof key), CO_OK);
  assert_string_equal(key, "29");
  co_dataset_close(d);
}

static void table(void **state) {
  co_context *ctx = *state;
  co_dataset *d = open_dataset(ctx, "table.h5");
  static const char *const names[] = {"customer", "spend", "channel", "churned", "weight"};
  static const co_role roles[] = {CO_ROLE_KEY, CO_ROLE_INPUT, CO_ROLE_INPUT, CO_ROLE_TARGET,
                                  CO_ROLE_WEIGHT};
  const co_schema *schema = co_dataset_schema(d);
  assert_int_equal(schema->column_count, 5);
  for (int i = 0; i < 5; i++) {
    assert_string_equal(schema->columns[i].name, names[i]);
    assert_int_equal(schema->columns[i].role, roles[i]);
  }
  const int64_t all[] = {0, 1, 2, 3};
  float number[4];
  int32_t code[4];
  assert_int_equal(co_dataset_gather(d, "spend", all, 4, number), CO_OK);
  assert_true(number[0] == 12.5f && isnan(number[1]) && number[3] == 3.25f);
  assert_int_equal(co_dataset_gather(d, "weight", all, 4, number), CO_OK);
  assert_true(number[2] == 0.5f);
  assert_int_equal(co_dataset_gather(d, "channel", all, 4, code), CO_OK);
  assert_int_equal(code[2], -1);
  char key[8];
  assert_int_equal(co_dataset_key(d, 2, key, sizeof key), CO_OK);
  assert_string_equal(key, "C-42");
  assert_split(d, CO_SPLIT_TRAIN, 0, 2);
  assert_split(d, CO_SPLIT_TEST, 3, 1);
  co_dataset_close(d);
}

static void events(void **state) {
  co_context *ctx = *state;
  co_dataset *d = open_dataset(ctx, "events.h5");
  const co_table *table = co_schema_table(co_dataset_schema(d), "orders");
  assert_int_equal(table->kind, CO_TABLE_EVENTS);
  assert_int_equal(table->rows, 5);
  assert_string_equal(table->time, "time");
  const int64_t *begin, *end, *index;
  assert_int_equal(co_dataset_ranges(d, "orders", &begin, &end), CO_OK);
  assert_memory_equal(begin, ((int64_t[]){0, 0, 3, 3}), 32);
  assert_memory_equal(end, ((int64_t[]){2, 3, 3, 4}), 32);
  const void *data;
  int64_t rows;
  assert_int_equal(co_dataset_column(d, "amount", &data, &rows, NULL), CO_OK);
  assert_int_equal(rows, 5);
  static const float amount[] = {10, 20, 30, 9.5f, 1.25f};
  assert_memory_equal(data, amount, sizeof amount);
  assert_int_equal(co_dataset_index(d, "shops", &index), CO_OK);
  assert_memory_equal(index, ((int64_t[]){1, 1, 0, 1}), 32);
  const co_column *photo = co_schema_find(co_dataset_schema(d), "photo");
  assert_true(photo->type == CO_COLUMN_IMAGE && photo->role == CO_ROLE_INPUT);
  assert_string_equal(photo->table, "shops");
  float area[4], buys[4], seconds[5];
  assert_int_equal(co_dataset_gather(d, "area", (int64_t[]){0, 1, 2, 3}, 4, area), CO_OK);
  assert_true(area[0] == 80 && area[2] == 120);
  assert_int_equal(co_dataset_gather(d, "buys_again", (int64_t[]){0, 1, 2, 3}, 4, buys), CO_OK);
  assert_true(buys[0] == 1 && buys[1] == 0 && isnan(buys[3]));
  assert_string_equal(co_schema_find(co_dataset_schema(d), "buys_again")->categories[1], "yes");
  co_numbers time;
  assert_int_equal(co_dataset_numbers(d, "time", &time), CO_OK);
  co_numbers_deliver(&time, 1700000000, 0, 5, seconds, 1);
  for (int i = 0; i < 5; i++)
    assert_true(seconds[i] == 100 * (float)i);
  assert_split(d, CO_SPLIT_TRAIN, 0, 2);
  assert_int_equal(co_context_warning_count(ctx), 0);
  co_dataset_close(d);
}

static int open_context(void **state) {
  co_context *ctx;
  if (co_context_create(&ctx, NULL) != CO_OK) return -1;
  *state = ctx;
  return 0;
}

static int close_context(void **state) {
  int64_t live = co_alloc_get_stats(*state).live_blocks;
  co_context_free(*state);
  return live == 0 ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(images, open_context, close_context),
      cmocka_unit_test_setup_teardown(table, open_context, close_context),
      cmocka_unit_test_setup_teardown(events, open_context, close_context),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
