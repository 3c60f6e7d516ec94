// SPDX-License-Identifier: Apache-2.0
// Labels: tsan
#include "tests/unit/data_fixture.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>

#include "datasets/dataset.h"
#include "datasets/writer.h"
#include "host/core/h5.h"

// ---- files as a stranger writes them -----------------------------------------------------------

enum { ROWS = 5 };
static const float numbers[ROWS] = {1, NAN, 3, 4, -5};
static const float weights[ROWS] = {1, 2, 0, 1, 1};
static const int32_t codes[ROWS] = {0, 1, -1, 1, 0};
static const char *const words[2] = {"no", "yes"};
static const char *const keys[ROWS] = {"k0", "k1", "k2", "k3", "k4"};
static const int64_t splits[ROWS] = {0, 2, 0, 1, 0};
static uint8_t pixels[ROWS * 12];

#define OK(call)                                                                                   \
  do {                                                                                             \
    if ((call) != CO_OK) fail_msg("%s: %s", #call, co_error_last()->message);                      \
  } while (0)

static co_shape one(int64_t rows) {
  return (co_shape){1, {rows}};
}

static void describe(co_h5 *h, const char *path, const char *type, const char *role) {
  if (type) OK(co_h5_set_string(h, path, "type", type));
  if (role) OK(co_h5_set_string(h, path, "role", role));
}

static void put(co_h5 *h, const char *path, co_dtype dtype, const co_shape *shape, const void *data,
                const char *type, const char *role) {
  OK(co_h5_write(h, path, dtype, shape, data, NULL, false));
  describe(h, path, type, role);
}

static void put_category(co_h5 *h, const char *path, const int32_t *code, int64_t rows,
                         const char *const *names, int64_t count, const char *role) {
  char part[64];
  co_shape shape = one(rows);
  OK(co_h5_make_group(h, path));
  describe(h, path, "category", role);
  snprintf(part, sizeof part, "%s/codes", path);
  OK(co_h5_write(h, part, CO_I32, &shape, code, NULL, false));
  snprintf(part, sizeof part, "%s/categories", path);
  OK(co_h5_write_strings(h, part, names, count));
}

static co_h5 *begin(co_context *ctx) {
  co_h5 *h;
  OK(co_h5_create(&h, ctx, "d.h5"));
  OK(co_h5_set_string(h, "/", "format", "cohort-dataset"));
  OK(co_h5_set_int(h, "/", "version", 1));
  return h;
}

// A good file; `break_it` (may be NULL) then adds something bad.
static void build(co_context *ctx, void (*break_it)(co_h5 *h)) {
  co_h5 *h = begin(ctx);
  co_shape flat = one(ROWS), image = {4, {ROWS, 2, 2, 3}};
  put(h, "/entities/e/n", CO_F32, &flat, numbers, "number", "input");
  put(h, "/entities/e/i", CO_U8, &image, pixels, "image", "input");
  put_category(h, "/entities/e/y", codes, ROWS, words, 2, "target");
  put(h, "/entities/e/w", CO_F32, &flat, weights, "number", "weight");
  OK(co_h5_write_strings(h, "/entities/e/k", keys, ROWS));
  describe(h, "/entities/e/k", NULL, "key");
  OK(co_h5_write(h, "/samples/split", CO_I64, &flat, splits, NULL, false));
  if (break_it) break_it(h);
  OK(co_h5_close(h));
}

static void opens(fixture *f, co_dataset **d) {
  if (co_dataset_open(d, f->ctx, "d.h5") != CO_OK) fail_msg("%s", co_error_last()->message);
}

static void refused(fixture *f, const char *object, const char *text) {
  co_dataset *d = NULL;
  assert_int_equal(co_dataset_open(&d, f->ctx, "d.h5"), CO_ERR_DATA);
  assert_null(d);
  const co_error *error = co_error_last();
  if (!strstr(error->message, object) || !strstr(error->message, text) ||
      (!strstr(error->file, "d.h5") && !strstr(error->message, "d.h5")))
    fail_msg("unexpected error '%s' about '%s'", error->message, error->file);
}

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

static const int64_t entity_row[7] = {4, 4, 0, 1, 2, 3, 4}, as_of[7] = {1, 2, 3, 4, 5, 6, 7},
                     ids[7] = {70, 71, 72, 73, 74, 75, 76};
static const float outcome[7] = {0, 1, 2, 3, 4, 5, NAN};

static void relate(co_h5 *h) {
  co_shape flat = one(7), five = one(ROWS);
  OK(co_h5_make_group(h, "/samples"));
  OK(co_h5_set_string(h, "/samples", "entity", "e"));
  OK(co_h5_write(h, "/samples/entity_row", CO_I64, &flat, entity_row, NULL, false));
  OK(co_h5_write(h, "/samples/as_of", CO_I64, &flat, as_of, NULL, false));
  put(h, "/samples/outcome", CO_F32, &flat, outcome, "number", "target");
  put(h, "/samples/id", CO_I64, &flat, ids, "text", "key");
  put(h, "/entities/other/n", CO_F32, &five, numbers, "number", "input");
}

static void build_related(co_context *ctx, void (*break_it)(co_h5 *h)) {
  co_h5 *h = begin(ctx);
  co_shape flat = one(ROWS);
  put(h, "/entities/e/n", CO_F32, &flat, numbers, "number", "input");
  OK(co_h5_write_strings(h, "/entities/e/k", keys, ROWS));
  describe(h, "/entities/e/k", "text", "key");
  relate(h);
  if (break_it) break_it(h);
  OK(co_h5_close(h));
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

static void other_format(co_h5 *h) {
  OK(co_h5_set_string(h, "/", "format", "something"));
}
static void newer_version(co_h5 *h) {
  OK(co_h5_set_int(h, "/", "version", 2));
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
static void text_input(co_h5 *h) {
  OK(co_h5_write_strings(h, "/entities/e/z", keys, ROWS));
  describe(h, "/entities/e/z", "text", "input");
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
      {newer_version, "/", "version 2"},
      {no_type, "/entities/e/z", "attribute 'type' is missing"},
      {no_role, "/entities/e/z", "attribute 'role' is missing"},
      {unknown_role, "/entities/e/z", "role 'label' is unknown"},
      {text_input, "/entities/e/z", "role input cannot have type text"},
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

// ---- written by Cohort -------------------------------------------------------------------------

enum { BIG = 3000, SIDE = 20, PIXELS = SIDE * SIDE };

static uint8_t *big_pixels(void) {
  uint8_t *p = malloc((size_t)BIG * PIXELS);
  for (int i = 0; i < BIG * PIXELS; i++)
    p[i] = (uint8_t)(i * 7 + i / 1000);
  return p;
}

// A mapped image column, texts as key, numbers; equal calls.
static co_status write_all(co_context *ctx, const uint8_t *image, char fingerprint[65]) {
  co_status status = CO_OK;
  co_dataset_writer *w = NULL;
  static char text[BIG][8];
  static const char *key[BIG];
  static float number[BIG];
  static uint8_t split[BIG];
  for (int i = 0; i < BIG; i++) {
    snprintf(text[i], sizeof text[i], "k%d", i);
    key[i] = text[i];
    number[i] = (float)i;
    split[i] = (uint8_t)(i % 3);
  }
  co_column c = {
      .name = "image", .type = CO_COLUMN_IMAGE, .dtype = CO_U8, .shape = {3, {SIDE, SIDE, 1}}};
  co_column n = {.name = "n", .role = CO_ROLE_TARGET, .dtype = CO_F32};
  CO_TRY(co_dataset_writer_create(&w, ctx, "d.h5"));
  CO_TRY(co_dataset_writer_column(w, "e", &c, BIG));
  for (int i = 0; i < BIG; i += 1000)
    CO_TRY(co_dataset_writer_rows(w, 1000, image + (size_t)i * PIXELS));
  CO_TRY(co_dataset_writer_texts(w, "e", "id", CO_ROLE_KEY, key, BIG));
  CO_TRY(co_dataset_writer_column(w, "e", &n, BIG));
  CO_TRY(co_dataset_writer_rows(w, BIG, number));
  CO_TRY(co_dataset_writer_samples(w, "e", BIG, NULL, NULL, split));
  CO_TRY(co_dataset_writer_source(w, "note", "test"));
  CO_TRY(co_dataset_writer_commit(w, fingerprint));
cleanup:
  co_dataset_writer_free(w);
  return status;
}

// Where `needle` lies in the file.
static size_t find(const unsigned char *bytes, size_t length, const void *needle, size_t size) {
  for (size_t i = 0; i + size <= length; i++)
    if (!memcmp(bytes + i, needle, size)) return i;
  fail_msg("not found");
  return 0;
}

static void damaged_contents_are_found(void **state) {
  fixture *f = *state;
  co_dataset *d;
  char fingerprint[65];
  uint8_t *image = big_pixels();
  OK(write_all(f->ctx, image, fingerprint));
  opens(f, &d);
  assert_string_equal(co_dataset_fingerprint(d), fingerprint);
  char key[8];
  OK(co_dataset_key(d, 2999, key, sizeof key));
  assert_string_equal(key, "k2999");
  co_dataset_close(d);

  size_t length;
  unsigned char *bytes = read_bytes("d.h5", &length);
  size_t at = find(bytes, length, image, 64) + 777777; // within the mapped images
  bytes[at] ^= 1;
  write_bytes("d.h5", bytes, length);
  bytes[at] ^= 1;
  opens(f, &d); // not looked at yet
  uint8_t got[PIXELS];
  for (int again = 0; again < 2; again++) {
    co_error_clear();
    assert_int_equal(co_dataset_gather(d, "image", (int64_t[]){0}, 1, got), CO_ERR_DATA);
    assert_string_equal(co_error_last()->file, "d.h5");
    assert_non_null(strstr(co_error_last()->message, "/entities/e/image: the contents do not"));
  }
  float n;
  OK(co_dataset_gather(d, "n", (int64_t[]){5}, 1, &n)); // other columns are fine
  co_dataset_close(d);

  static const float some[4] = {100, 101, 102, 103};
  at = find(bytes, length, some, sizeof some);
  bytes[at] ^= 1; // small: found while opening
  write_bytes("d.h5", bytes, length);
  bytes[at] ^= 1;
  refused(f, "/entities/e/n", "checksum");

  at = find(bytes, length, "k2718", 5);
  bytes[at] = 'x';
  write_bytes("d.h5", bytes, length);
  opens(f, &d);
  assert_int_equal(co_dataset_key(d, 1, key, sizeof key), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "/entities/e/id"));
  co_dataset_close(d);
  free(bytes);
  free(image);
}

static void the_fingerprint_is_that_of_the_contents(void **state) {
  fixture *f = *state;
  co_dataset *d;
  char a[65], b[65], c[65];
  uint8_t *image = big_pixels();
  OK(write_all(f->ctx, image, a));
  OK(write_all(f->ctx, image, b));
  assert_string_equal(a, b);
  image[PIXELS * 1500]++;
  OK(write_all(f->ctx, image, c));
  assert_string_not_equal(a, c);
  image[PIXELS * 1500]--;

  // The same without checksums, other types and compression: still the same dataset.
  co_h5 *h = begin(f->ctx);
  static double number[BIG];
  static int64_t split[BIG];
  static char text[BIG][8];
  static const char *key[BIG];
  for (int i = 0; i < BIG; i++) {
    snprintf(text[i], sizeof text[i], "k%d", i);
    key[i] = text[i];
    number[i] = i;
    split[i] = i % 3;
  }
  co_shape flat = one(BIG), shape = {4, {BIG, SIDE, SIDE, 1}};
  put(h, "/entities/e/image", CO_U8, &shape, image, "image", "input");
  OK(co_h5_write_strings(h, "/entities/e/id", key, BIG));
  describe(h, "/entities/e/id", "text", "key");
  OK(co_h5_write(h, "/entities/e/n", CO_F64, &flat, number,
                 &(co_h5_storage){.chunk_rows = 100, .deflate = 1}, false));
  describe(h, "/entities/e/n", "number", "target");
  OK(co_h5_write(h, "/samples/split", CO_I64, &flat, split, NULL, false));
  OK(co_h5_close(h));
  opens(f, &d);
  assert_string_equal(co_dataset_fingerprint(d), a);
  co_dataset_close(d);
  free(image);
}

typedef struct reader {
  co_dataset *dataset;
  const uint8_t *image;
  bool good;
} reader;

static void *read_all(void *argument) {
  reader *r = argument;
  uint8_t got[PIXELS];
  char key[8];
  r->good = true;
  for (int64_t i = 0; i < BIG; i += 7) {
    r->good &= co_dataset_gather(r->dataset, "image", &i, 1, got) == CO_OK &&
               !memcmp(got, r->image + i * PIXELS, PIXELS);
    r->good &= co_dataset_key(r->dataset, i, key, sizeof key) == CO_OK && key[0] == 'k';
  }
  return NULL;
}

static void several_threads_may_be_the_first_to_read(void **state) {
  fixture *f = *state;
  co_dataset *d;
  uint8_t *image = big_pixels();
  OK(write_all(f->ctx, image, NULL));
  opens(f, &d);
  pthread_t thread[4];
  reader readers[4];
  for (int i = 0; i < 4; i++) {
    readers[i] = (reader){d, image, false};
    assert_int_equal(pthread_create(&thread[i], NULL, read_all, &readers[i]), 0);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(thread[i], NULL);
    assert_true(readers[i].good);
  }
  co_dataset_close(d);
  free(image);
}

static void failing_allocations_while_reading_are_clean(void **state) {
  fixture *f = *state;
  co_dataset *d;
  char key[8];
  build_related(f->ctx, NULL);
  int64_t before = co_alloc_get_stats(f->ctx).calls;
  opens(f, &d);
  int64_t calls = co_alloc_get_stats(f->ctx).calls - before;
  co_dataset_close(d);
  for (int64_t nth = 1; nth <= calls; nth++) {
    co_alloc_fail_at(f->ctx, nth, nth % 2 == 0);
    assert_int_equal(co_dataset_open(&d, f->ctx, "d.h5"), CO_ERR_MEMORY);
    co_alloc_fail_at(f->ctx, 0, false);
    assert_int_equal(co_alloc_get_stats(f->ctx).live_blocks, 0);
  }
  uint8_t *image = big_pixels();
  OK(write_all(f->ctx, image, NULL));
  opens(f, &d);
  co_alloc_fail_at(f->ctx, 1, true);
  assert_int_equal(co_dataset_key(d, 0, key, sizeof key), CO_ERR_MEMORY);
  co_alloc_fail_at(f->ctx, 0, false);
  OK(co_dataset_key(d, 0, key, sizeof key)); // and it can be tried again
  co_dataset_close(d);
  free(image);
}

static void failing_writes_leave_nothing(void **state) {
  fixture *f = *state;
  uint8_t *image = big_pixels();
  int64_t before = co_io_calls(f->ctx);
  OK(write_all(f->ctx, image, NULL));
  int64_t calls = co_io_calls(f->ctx) - before;
  remove("d.h5");
  for (int64_t nth = 1; nth < calls; nth++) { // the last one is the sync of the folder
    co_io_fail_at(f->ctx, nth, false, EIO);
    assert_int_equal(write_all(f->ctx, image, NULL), CO_ERR_IO);
    assert_int_equal(count_files("d.h5"), 0);
    assert_int_equal(co_alloc_get_stats(f->ctx).live_blocks, 0);
  }
  co_io_fail_at(f->ctx, 0, false, 0);
  free(image);
}

static void the_writer_refuses_misuse(void **state) {
  fixture *f = *state;
  co_dataset_writer *w;
  co_column n = {.name = "n", .dtype = CO_F32}, slash = {.name = "a/b", .dtype = CO_F32};
  OK(co_dataset_writer_create(&w, f->ctx, "d.h5"));
  assert_int_equal(co_dataset_writer_column(w, "e", &slash, 3), CO_ERR_DATA);
  assert_int_equal(co_dataset_writer_rows(w, 1, numbers), CO_ERR_INTERNAL);
  OK(co_dataset_writer_column(w, "e", &n, 3));
  assert_int_equal(co_dataset_writer_rows(w, 4, numbers), CO_ERR_INTERNAL);
  OK(co_dataset_writer_rows(w, 2, numbers));
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_ERR_INTERNAL); // a row is missing
  co_dataset_writer_free(w);
  assert_int_equal(count_files("d.h5"), 0);

  static const float bad[3] = {1, INFINITY, 2};
  OK(co_dataset_writer_create(&w, f->ctx, "d.h5"));
  OK(co_dataset_writer_column(w, "e", &n, 3));
  OK(co_dataset_writer_rows(w, 3, bad));
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_ERR_DATA); // unreadable: not published
  co_dataset_writer_free(w);
  assert_int_equal(count_files("d.h5"), 0);
  co_dataset_writer_free(NULL);
}

static void words_of_types_roles_and_splits(void **state) {
  (void)state;
  for (int i = 0; i < CO_COLUMN_TYPE_COUNT; i++)
    assert_int_equal(co_column_type_parse(co_column_type_name((co_column_type)i)), i);
  for (int i = 0; i < CO_ROLE_COUNT; i++)
    assert_int_equal(co_role_parse(co_role_name((co_role)i)), i);
  for (int i = 0; i < CO_SPLIT_COUNT; i++)
    assert_int_equal(co_split_parse(co_split_name((co_split)i)), i);
  assert_int_equal(co_split_parse("training"), CO_SPLIT_TRAIN);
  assert_int_equal(co_split_parse("tests"), -1);
  assert_int_equal(co_role_parse("Input"), -1);
  assert_int_equal(co_column_type_parse(NULL), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(a_table_is_read),
      DATA_TEST(samples_share_rows_of_their_entity),
      DATA_TEST(any_number_type_and_storage_is_read),
      DATA_TEST(broken_files_are_refused_with_the_place),
      DATA_TEST(broken_samples_are_refused),
      DATA_TEST(files_that_are_no_datasets_are_refused),
      DATA_TEST(damaged_contents_are_found),
      DATA_TEST(the_fingerprint_is_that_of_the_contents),
      DATA_TEST(several_threads_may_be_the_first_to_read),
      DATA_TEST(failing_allocations_while_reading_are_clean),
      DATA_TEST(failing_writes_leave_nothing),
      DATA_TEST(the_writer_refuses_misuse),
      cmocka_unit_test(words_of_types_roles_and_splits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
