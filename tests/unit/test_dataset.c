// SPDX-License-Identifier: Apache-2.0
// Labels: tsan
#include "tests/unit/dataset_fixture.h"

// ---- good files --------------------------------------------------------------------------------

static void a_table_is_read(void **state) {
  fixture *f = *state;
  co_dataset *d;
  build(f->ctx, NULL);
  opens(f, &d);
  const co_schema *schema = co_dataset_schema(d);
  assert_int_equal(schema->column_count, 5);
  assert_string_equal(co_dataset_path(d), "d.h5");
  assert_int_equal(co_dataset_rows(d), ROWS);
  assert_int_equal(strlen(co_dataset_fingerprint(d)), 64);
  const co_column *c = co_schema_find(schema, "i");
  assert_int_equal(c->type, CO_COLUMN_IMAGE);
  assert_int_equal(c->shape.rank, 3);
  assert_int_equal(c->shape.dim[2], 3);
  assert_null(co_schema_find(schema, "nothing"));

  int64_t count;
  const int64_t *rows;
  OK(co_dataset_split(d, CO_SPLIT_TRAIN, &rows, &count));
  assert_int_equal(count, 3);
  assert_memory_equal(rows, ((int64_t[]){0, 2, 4}), 24);
  float n[2];
  OK(co_dataset_gather(d, "n", (int64_t[]){4, 1}, 2, n));
  assert_true(n[0] == -5 && isnan(n[1]));
  char key[8];
  OK(co_dataset_key(d, 3, key, sizeof key));
  assert_string_equal(key, "k3");
  assert_int_equal(co_dataset_key(d, 3, key, 2), CO_ERR_DATA);
  assert_int_equal(co_dataset_key(d, ROWS, key, 2), CO_ERR_INTERNAL);
  assert_int_equal(co_dataset_gather(d, "n", (int64_t[]){ROWS}, 1, n), CO_ERR_INTERNAL);
  assert_int_equal(co_dataset_gather(d, "k", rows, 1, n), CO_ERR_DATA);
  assert_int_equal(co_dataset_gather(d, "z", rows, 1, n), CO_ERR_DATA);
  assert_int_equal(co_context_warning_count(f->ctx), 0);
  co_dataset_close(d);
  co_dataset_close(NULL);
}

static void samples_share_rows_of_their_entity(void **state) {
  fixture *f = *state;
  co_dataset *d;
  build_related(f->ctx, NULL);
  opens(f, &d);
  assert_int_equal(co_dataset_rows(d), 7);
  const void *data;
  int64_t rows;
  const int64_t *map;
  OK(co_dataset_column(d, "n", &data, &rows, &map));
  assert_int_equal(rows, ROWS);
  assert_memory_equal(map, entity_row, sizeof entity_row);
  OK(co_dataset_column(d, "outcome", &data, &rows, &map));
  assert_int_equal(rows, 7);
  assert_null(map);
  float n[2];
  OK(co_dataset_gather(d, "n", (int64_t[]){1, 5}, 2, n));
  assert_true(n[0] == -5 && n[1] == 4);
  char key[8];
  OK(co_dataset_key(d, 5, key, sizeof key)); // the sample's own id comes first
  assert_string_equal(key, "75");
  assert_string_equal(co_dataset_key_column(d)->name, "id");
  OK(co_dataset_split(d, CO_SPLIT_TRAIN, &map, &rows));
  assert_int_equal(rows, 7);
  assert_true(warned(f->ctx, "all 7 rows are training rows"));
  assert_true(warned(f->ctx, "entity 'other' is not used"));
  co_dataset_close(d);
}

static void any_number_type_and_storage_is_read(void **state) {
  fixture *f = *state;
  co_dataset *d;
  static const double f64[ROWS] = {0.1, NAN, 1e30, 4, 5};
  static const int64_t i64[ROWS] = {1, -2, (int64_t)1 << 53, 4, 5};
  static const uint8_t u8[ROWS] = {1, 255, 3, 4, 5};
  float matrix[ROWS * 3], got[ROWS * 3];
  for (int i = 0; i < ROWS * 3; i++)
    matrix[i] = (float)i / 3;
  co_h5 *h = begin(f->ctx);
  co_shape flat = one(ROWS), wide = {2, {ROWS, 3}};
  put(h, "/entities/e/a", CO_F64, &flat, f64, "number", "input");
  put(h, "/entities/e/b", CO_I64, &flat, i64, "number", "input");
  put(h, "/entities/e/c", CO_U8, &flat, u8, "number", "input");
  OK(co_h5_write(h, "/entities/e/v", CO_F32, &wide, matrix,
                 &(co_h5_storage){.chunk_rows = 2, .deflate = 1, .fletcher32 = true}, true));
  describe(h, "/entities/e/v", "vector", "input");
  OK(co_h5_close(h));
  opens(f, &d);
  const int64_t all[ROWS] = {0, 1, 2, 3, 4};
  OK(co_dataset_gather(d, "a", all, ROWS, got));
  assert_true(got[0] == 0.1f && isnan(got[1]) && got[2] == 1e30f);
  OK(co_dataset_gather(d, "b", all, ROWS, got));
  assert_true(got[1] == -2 && got[2] == 0x1p53f);
  OK(co_dataset_gather(d, "c", all, ROWS, got));
  assert_true(got[1] == 255);
  OK(co_dataset_gather(d, "v", all, ROWS, got));
  assert_memory_equal(got, matrix, sizeof matrix);
  co_dataset_close(d);
}

// ---- bad files ---------------------------------------------------------------------------------

static void rubbish(co_h5 *h) {
  static const float odd[2] = {INFINITY, NAN};
  static const int64_t type = 3;
  co_shape two = one(2), flat = one(1);
  static const char *const bad[] = {"\xff\xfe"};
  put(h, "/entities/e/short", CO_F32, &two, odd, NULL, "ignore");
  put(h, "/entities/e/odd", CO_I64, &flat, &type, "no such type", "ignore");
  OK(co_h5_make_group(h, "/entities/e/empty"));
  describe(h, "/entities/e/empty", "category", "ignore");
  OK(co_h5_write_strings(h, "/entities/e/text", bad, 1));
  describe(h, "/entities/e/text", "text", "ignore");
  OK(co_h5_set_int(h, "/entities/e/text", "crc32c", 1));
}

// Whatever they hold: they are listed, not looked into, and no part of what the dataset is.
static void ignored_columns_are_not_looked_into(void **state) {
  fixture *f = *state;
  co_dataset *d;
  char fingerprint[65];
  const void *data;
  int64_t rows;
  const int64_t *map;
  build(f->ctx, NULL);
  opens(f, &d);
  snprintf(fingerprint, sizeof fingerprint, "%s", co_dataset_fingerprint(d));
  co_dataset_close(d);
  build(f->ctx, rubbish);
  opens(f, &d);
  assert_string_equal(co_dataset_fingerprint(d), fingerprint);
  assert_int_equal(co_schema_find(co_dataset_schema(d), "empty")->type, CO_COLUMN_CATEGORY);
  assert_int_equal(co_dataset_column(d, "short", &data, &rows, &map), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "role ignore"));
  co_dataset_close(d);
}

static void long_key(co_h5 *h) {
  static char text[1100];
  const char *long_keys[ROWS] = {"a", "b", "c", text, "e"};
  memset(text, 'k', 1024);
  OK(co_h5_write_strings(h, "/samples/key", long_keys, ROWS));
  describe(h, "/samples/key", NULL, "key");
}

static void other_format(co_h5 *h) {
  OK(co_h5_set_string(h, "/", "format", "something"));
}
static void newer_version(co_h5 *h) {
  OK(co_h5_set_int(h, "/", "version", 3));
}
static void no_type(co_h5 *h) {
  co_shape flat = one(ROWS);
  put(h, "/entities/e/z", CO_F32, &flat, numbers, NULL, "input");
}
static void no_role(co_h5 *h) {
  co_shape flat = one(ROWS);
  put(h, "/entities/e/z", CO_F32, &flat, numbers, "number", NULL);
}
static void unknown_role(co_h5 *h) {
  co_shape flat = one(ROWS);
  put(h, "/entities/e/z", CO_F32, &flat, numbers, "number", "label");
}
static void text_weight(co_h5 *h) {
  OK(co_h5_write_strings(h, "/entities/e/z", keys, ROWS));
  describe(h, "/entities/e/z", "text", "weight");
}
static void number_of_texts(co_h5 *h) {
  OK(co_h5_write_strings(h, "/entities/e/z", keys, ROWS));
  describe(h, "/entities/e/z", "number", "input");
}
static void too_few_rows(co_h5 *h) {
  co_shape flat = one(ROWS - 1);
  put(h, "/entities/e/z", CO_F32, &flat, numbers, "number", "input");
}
static void wrong_rank(co_h5 *h) {
  co_shape shape = {3, {ROWS, 4, 3}};
  put(h, "/entities/e/z", CO_U8, &shape, pixels, "image", "input");
}
static void float_image(co_h5 *h) {
  float zero[ROWS * 4] = {0};
  co_shape shape = {4, {ROWS, 2, 2, 1}};
  put(h, "/entities/e/z", CO_F32, &shape, zero, "image", "input");
}
static void compressed_image(co_h5 *h) {
  co_shape shape = {4, {ROWS, 2, 2, 3}};
  OK(co_h5_write(h, "/entities/e/z", CO_U8, &shape, pixels,
                 &(co_h5_storage){.chunk_rows = 2, .deflate = 1}, false));
  describe(h, "/entities/e/z", "image", "input");
}
static void code_too_large(co_h5 *h) {
  static const int32_t bad[ROWS] = {0, 0, 2, 0, 0};
  put_category(h, "/entities/e/z", bad, ROWS, words, 2, "input");
}
static void code_too_small(co_h5 *h) {
  static const int32_t bad[ROWS] = {0, 0, 0, 0, -2};
  put_category(h, "/entities/e/z", bad, ROWS, words, 2, "input");
}
static void equal_categories(co_h5 *h) {
  static const char *const same[3] = {"a", "b", "a"};
  put_category(h, "/entities/e/z", codes, ROWS, same, 3, "input");
}
static void category_without_codes(co_h5 *h) {
  OK(co_h5_write_strings(h, "/entities/e/z/categories", words, 2));
  describe(h, "/entities/e/z", "category", "input");
}
static void category_as_dataset(co_h5 *h) {
  co_shape flat = one(ROWS);
  put(h, "/entities/e/z", CO_I32, &flat, codes, "category", "input");
}
static void number_as_group(co_h5 *h) {
  OK(co_h5_make_group(h, "/entities/e/z"));
  describe(h, "/entities/e/z", "number", "input");
}
static void infinite(co_h5 *h) {
  static const float bad[ROWS] = {0, 0, 0, INFINITY, 0};
  co_shape flat = one(ROWS);
  put(h, "/entities/e/z", CO_F32, &flat, bad, "number", "input");
}
static void too_large(co_h5 *h) {
  static const double bad[ROWS] = {0, 1e39, 0, 0, 0};
  co_shape flat = one(ROWS);
  put(h, "/entities/e/z", CO_F64, &flat, bad, "number", "input");
}
static void hole_in_vector(co_h5 *h) {
  static const float bad[ROWS * 2] = {0, 0, 0, 0, 0, NAN};
  co_shape shape = {2, {ROWS, 2}};
  put(h, "/entities/e/z", CO_F32, &shape, bad, "vector", "input");
}
static void second_weight(co_h5 *h) {
  co_shape flat = one(ROWS);
  put(h, "/entities/e/z", CO_F32, &flat, weights, "number", "weight");
}
static void second_key(co_h5 *h) {
  OK(co_h5_write_strings(h, "/entities/e/z", keys, ROWS));
  describe(h, "/entities/e/z", "text", "key");
}
static void key_of_floats(co_h5 *h) {
  co_shape flat = one(ROWS);
  put(h, "/samples/z", CO_F32, &flat, weights, "text", "key");
}
static void same_name_twice(co_h5 *h) {
  co_shape flat = one(ROWS);
  put(h, "/samples/n", CO_F32, &flat, weights, "number", "input");
}
static void unknown_entity(co_h5 *h) {
  OK(co_h5_set_string(h, "/samples", "entity", "x"));
}
static void two_entities(co_h5 *h) {
  co_shape flat = one(ROWS);
  put(h, "/entities/e2/z", CO_F32, &flat, weights, "number", "input");
}
static void negative_weight(co_h5 *h) {
  static const float bad[ROWS] = {0, 0, -1, 0, 0};
  co_shape flat = one(ROWS);
  put(h, "/entities/e/a", CO_F32, &flat, bad, "number", "weight");
}

static void broken_files_are_refused_with_the_place(void **state) {
  fixture *f = *state;
  static const struct {
    void (*break_it)(co_h5 *h);
    const char *object, *text;
  } cases[] = {
      {other_format, "/", "not a Cohort dataset"},
      {newer_version, "/", "version 3; this build reads versions 1 and 2"},
      {no_type, "/entities/e/z", "attribute 'type' is missing"},
      {no_role, "/entities/e/z", "attribute 'role' is missing"},
      {unknown_role, "/entities/e/z", "role 'label' is unknown"},
      {text_weight, "/entities/e/z", "role weight cannot have type text"},
      {number_of_texts, "/entities/e/z", "type number"},
      {too_few_rows, "/entities/e/z", "has 4 rows, but other columns have 5"},
      {wrong_rank, "/entities/e/z", "uint8 (rows, height, width, channels), not u8 (5, 4, 3)"},
      {float_image, "/entities/e/z", "not f32"},
      {compressed_image, "/entities/e/z", "contiguous"},
      {code_too_large, "/entities/e/z/codes", "row 2 has code 2"},
      {code_too_small, "/entities/e/z/codes", "row 4 has code -2"},
      {equal_categories, "/entities/e/z/categories", "0 and 2 are both 'a'"},
      {category_without_codes, "/entities/e/z", "codes"},
      {category_as_dataset, "/entities/e/z", "must be a group"},
      {number_as_group, "/entities/e/z", "a group"},
      {infinite, "/entities/e/z", "row 3 holds inf"},
      {too_large, "/entities/e/z", "row 1 holds 1e+39"},
      {hole_in_vector, "/entities/e/z", "row 2 holds nan"},
      {second_weight, "/entities/e/", "second column of role weight"},
      {second_key, "/entities/e/", "second column of role key"},
      {key_of_floats, "/samples/z", "integers or text"},
      {same_name_twice, "/samples/n", "another column has this name"},
      {unknown_entity, "/samples", "no entity 'x'"},
      {two_entities, "/samples", "which of 2 entities"},
      {negative_weight, "/entities/e/a", "row 2 holds -1"},
      {long_key, "/samples/key", "row 3 has a key of 1024 bytes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    build(f->ctx, cases[i].break_it);
    refused(f, cases[i].object, cases[i].text);
  }
}

static void broken_samples_are_refused(void **state) {
  fixture *f = *state;
  static const int64_t bad[4][7] = {{0, 1, 2, 3, 0, 0, 0}, {0, 0, -1, 0, 0, 0, 0}, {0}, {0}};
  for (int i = 0; i < 4; i++) {
    co_h5 *h = begin(f->ctx);
    co_shape flat = one(ROWS), seven = one(7), wide = {2, {7, 1}};
    put(h, "/entities/e/n", CO_F32, &flat, numbers, "number", "input");
    if (i < 2) OK(co_h5_write(h, "/samples/entity_row", CO_I64, &seven, entity_row, NULL, false));
    if (i == 3)
      OK(co_h5_write(h, "/samples/split", CO_I64, &wide, bad[i], NULL, false));
    else
      OK(co_h5_write(h, "/samples/split", CO_I64, &seven, bad[i], NULL, false));
    OK(co_h5_close(h));
    static const char *const text[4] = {"row 3 holds 3", "row 2 holds -1", "5 samples",
                                        "list of integers"};
    refused(f, "/samples/split", text[i]);
  }
  co_h5 *h = begin(f->ctx);
  co_shape four = one(4), seven = one(7);
  put(h, "/entities/e/n", CO_F32, &four, numbers, "number", "input");
  OK(co_h5_write(h, "/samples/entity_row", CO_I64, &seven, entity_row, NULL, false));
  OK(co_h5_close(h));
  refused(f, "/samples/entity_row", "row 0 holds 4, but entity 'e' has 4 rows");
}

static void files_that_are_no_datasets_are_refused(void **state) {
  fixture *f = *state;
  co_h5 *h;
  remove("d.h5");
  refused(f, "", "");
  write_bytes("d.h5", "", 0);
  refused(f, "", "");
  write_bytes("d.h5", "a,b\n1,2\n", 8);
  refused(f, "", "");
  OK(co_h5_create(&h, f->ctx, "d.h5"));
  OK(co_h5_close(h));
  refused(f, "/", "not a Cohort dataset");
  OK(co_h5_close(begin(f->ctx)));
  refused(f, "/", "entities");
  h = begin(f->ctx);
  OK(co_h5_make_group(h, "/entities/e"));
  OK(co_h5_close(h));
  refused(f, "/entities/e", "no columns");
  build(f->ctx, NULL); // cut at every length: an error, never a crash
  size_t length;
  unsigned char *bytes = read_bytes("d.h5", &length);
  for (size_t cut = 0; cut < length; cut += 61) {
    write_bytes("d.h5", bytes, cut);
    refused(f, "", "");
  }
  free(bytes);
}

// ---- texts -------------------------------------------------------------------------------------

static void latin_key(co_h5 *h) {
  static const char *const names[ROWS] = {"M\xc3\xbcller", "M\xfcller", "c", "d", "e"};
  OK(co_h5_write_strings(h, "/samples/id", names, ROWS));
  describe(h, "/samples/id", NULL, "key");
}
static void latin_category(co_h5 *h) {
  static const char *const names[2] = {"T\xfcr", "T\xf6r"};
  put_category(h, "/entities/e/z", codes, ROWS, names, 2, "target");
}
static void latin_name(co_h5 *h) {
  co_shape flat = one(ROWS);
  put(h,
      "/entities/e/gr\xf6\xdf"
      "e",
      CO_F32, &flat, numbers, "number", "input");
}
static void latin_role(co_h5 *h) {
  co_shape flat = one(ROWS);
  put(h, "/entities/e/z", CO_F32, &flat, numbers, "number", "\xfc");
}
static void latin_entity(co_h5 *h) {
  OK(co_h5_set_string(h, "/samples", "entity", "\xe9"));
}

static void texts_are_utf8(void **state) {
  fixture *f = *state;
  static const struct {
    void (*break_it)(co_h5 *h);
    const char *object, *place;
  } cases[] = {{latin_key, "'/samples/id'", "row 1, byte 1 (0xFC)"},
               {latin_category, "'/entities/e/z/categories'", "row 0, byte 1 (0xFC)"},
               {latin_name, "member 5 of '/entities/e'", "byte 2 (0xF6)"},
               {latin_role, "attribute 'role' of '/entities/e/z'", "byte 0 (0xFC)"},
               {latin_entity, "attribute 'entity' of '/samples'", "byte 0 (0xE9)"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    build(f->ctx, cases[i].break_it);
    refused(f, cases[i].object, cases[i].place);
    assert_non_null(strstr(co_error_last()->message, "UTF-8"));
  }
}

static void ignored_texts_may_be_anything(void **state) {
  fixture *f = *state;
  co_dataset *d;
  static const char *const names[ROWS] = {"a", "\xfc", "c", "d", "e"};
  co_h5 *h = begin(f->ctx);
  co_shape flat = one(ROWS);
  put(h, "/entities/e/n", CO_F32, &flat, numbers, "number", "input");
  OK(co_h5_write_strings(h, "/entities/e/z", names, ROWS));
  describe(h, "/entities/e/z", "text", "ignore");
  OK(co_h5_close(h));
  opens(f, &d);
  co_dataset_close(d);
}

// ---- memory ------------------------------------------------------------------------------------

enum { MANY = 1000000 };

static void many_numbers(co_h5 *h) {
  co_shape flat = one(MANY);
  double *values = calloc(MANY, sizeof *values);
  OK(co_h5_write(h, "/entities/e/x", CO_F64, &flat, values,
                 &(co_h5_storage){.chunk_rows = 10000, .deflate = 1}, false));
  describe(h, "/entities/e/x", "number", "input");
  free(values);
}
static void many_keys(co_h5 *h) {
  const char **text = calloc(MANY, sizeof *text);
  for (int i = 0; i < MANY; i++)
    text[i] = "some key";
  OK(co_h5_write_strings(h, "/entities/e/x", text, MANY));
  describe(h, "/entities/e/x", NULL, "key");
  co_shape flat = one(MANY);
  uint8_t *small = calloc(MANY, 1);
  put(h, "/entities/e/y", CO_U8, &flat, small, "number", "input");
  free(small);
  free(text);
}
static void one_fat_chunk(co_h5 *h) {
  co_shape wide = {2, {1, MANY}};
  float *values = calloc(MANY, sizeof *values);
  OK(co_h5_write(h, "/entities/e/x", CO_F32, &wide, values,
                 &(co_h5_storage){.chunk_rows = 1, .deflate = 1}, false));
  describe(h, "/entities/e/x", "vector", "input");
  free(values);
}
static void many_samples(co_h5 *h) {
  co_shape flat = one(MANY), small = one(ROWS);
  int64_t *rows = calloc(MANY, sizeof *rows);
  put(h, "/entities/e/x", CO_F32, &small, numbers, "number", "input");
  OK(co_h5_write(h, "/samples/entity_row", CO_I64, &flat, rows, NULL, false));
  free(rows);
}

// What is read in is counted before it is taken: with a limit just above what there is now nothing
// fits, with one above what is needed all does.
static void memory_is_counted_before_it_is_taken(void **state) {
  fixture *f = *state;
  static const struct {
    void (*fill)(co_h5 *h);
    const char *object;
    size_t needed;
  } cases[] = {{many_numbers, "/entities/e/x", (size_t)4 * MANY},
               {many_keys, "/entities/e/x", (size_t)24 * MANY},
               {one_fat_chunk, "/entities/e/x", (size_t)12 * MANY},
               {many_samples, "/samples/entity_row", (size_t)8 * MANY}};
  void *ballast = co_alloc(f->ctx, (size_t)160 << 20); // of small limits less is kept in reserve
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    co_dataset *d;
    co_h5 *h = begin(f->ctx);
    cases[i].fill(h);
    OK(co_h5_close(h));
    size_t now = co_context_memory_limit(f->ctx) - co_context_memory_left(f->ctx);
    co_context_set_memory_limit(f->ctx, now + cases[i].needed / 4);
    assert_int_equal(co_dataset_open(&d, f->ctx, "d.h5"), CO_ERR_MEMORY);
    const char *message = co_error_last()->message;
    if (!strstr(message, "'d.h5'") || !strstr(message, cases[i].object) ||
        !strstr(message, "bytes asked for") || !strstr(message, "of the limit of"))
      fail_msg("%zu: %s", i, message);
    co_context_set_memory_limit(f->ctx, now + 3 * cases[i].needed + ((size_t)64 << 20));
    opens(f, &d);
    co_dataset_close(d);
    co_context_set_memory_limit(f->ctx, SIZE_MAX);
  }
  co_free(f->ctx, ballast);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(a_table_is_read),
      DATA_TEST(ignored_columns_are_not_looked_into),
      DATA_TEST(samples_share_rows_of_their_entity),
      DATA_TEST(any_number_type_and_storage_is_read),
      DATA_TEST(broken_files_are_refused_with_the_place),
      DATA_TEST(broken_samples_are_refused),
      DATA_TEST(files_that_are_no_datasets_are_refused),
      DATA_TEST(texts_are_utf8),
      DATA_TEST(ignored_texts_may_be_anything),
      DATA_TEST(memory_is_counted_before_it_is_taken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
