// SPDX-License-Identifier: Apache-2.0
// The input is a program that builds a file through core/h5.h: well-formed HDF5, arbitrary as a
// dataset. Opened and read in full, it must give data or an error. (Bytes that are not HDF5 are
// the library's and h5*.c's business: mutating those finds the library's own faults.)
#include "tests/fuzz/driver.h"

#include "datasets/dataset.h"
#include "host/core/h5.h"

typedef struct input {
  const uint8_t *at, *end;
} input;

static uint8_t take(input *in) {
  return in->at < in->end ? *in->at++ : 0;
}

static const char *pick(input *in, const char *const *words, size_t count) {
  return words[take(in) % count];
}
#define PICK(in, words) pick(in, words, sizeof(words) / sizeof *(words))

static const char *const paths[] = {"/entities/e/a",
                                    "/entities/e/b",
                                    "/entities/e/c",
                                    "/entities/e/c/codes",
                                    "/entities/e/c/categories",
                                    "/entities/f/a",
                                    "/entities/e",
                                    "/entities",
                                    "/samples",
                                    "/samples/split",
                                    "/samples/entity_row",
                                    "/samples/as_of",
                                    "/samples/y",
                                    "/samples/t.begin",
                                    "/samples/t.end",
                                    "/entities/e/p",
                                    "/entities/f",
                                    "/events/t",
                                    "/events/t/x",
                                    "/events/t/time",
                                    "/events/t/offsets",
                                    "/events/f/x",
                                    "/"};
static const char *const types[] = {"number", "vector", "category", "image",
                                    "text",   "binary", "other"};
static const char *const roles[] = {"input", "target", "key", "weight", "ignore", "other"};
static const char *const texts[] = {"a", "b", "", "e", "f", "\xff\xfe", "long long long text"};
static const char *const attributes[] = {"type",    "role",    "entity", "format",
                                         "version", "rows_of", "time",   "crc32c"};

static co_shape take_shape(input *in, int64_t *bytes) {
  co_shape shape = {.rank = take(in) % 6};
  int64_t count = 8;
  for (int i = 0; i < shape.rank; i++)
    count *= shape.dim[i] = take(in) % 9;
  *bytes = count;
  return shape;
}

// One step. Many fail (the path exists, the parent is no group): then nothing was added.
static void step(co_h5 *h, input *in) {
  static uint8_t values[8 * 8 * 8 * 8 * 8 * 8];
  const char *path = PICK(in, paths), *list[8];
  int64_t bytes;
  switch (take(in) % 7) {
  case 0: { // values, mostly small
    for (size_t i = 0; i < 256; i++)
      values[i] = 0;
    co_shape shape = take_shape(in, &bytes);
    co_dtype dtype = (co_dtype)(take(in) % CO_BF16);
    co_h5_storage storage = {.chunk_rows = take(in) % 4, .deflate = take(in) % 3};
    if (!storage.chunk_rows) storage.deflate = 0;
    size_t width = co_dtype_size(dtype);
    for (size_t i = 0; i < 16; i++) {
      uint8_t value = take(in);
      values[i * width] = value;
      if (value > 250) memset(values + i * width, 255, width);
    }
    if (bytes <= (int64_t)sizeof values)
      co_h5_write(h, path, dtype, &shape, values, &storage, take(in) % 2);
    break;
  }
  case 1: {
    int64_t count = take(in) % 8;
    for (int64_t i = 0; i < count; i++)
      list[i] = PICK(in, texts);
    co_h5_write_strings(h, path, list, count);
    break;
  }
  case 2:
    co_h5_make_group(h, path);
    break;
  case 3:
    co_h5_set_string(h, path, "type", PICK(in, types));
    co_h5_set_string(h, path, "role", PICK(in, roles));
    break;
  case 4: {
    const char *name = PICK(in, attributes);
    co_h5_set_string(h, path, name, PICK(in, texts));
    break;
  }
  case 5: { // integers, small and mostly ascending
    int64_t list_of[8], last = 0;
    co_shape shape = {1, {take(in) % 8}};
    for (int i = 0; i < 8; i++)
      list_of[i] = last += take(in) % 3 - (take(in) > 200);
    co_h5_write(h, path, CO_I64, &shape, list_of, NULL, take(in) % 2);
    break;
  }
  default: {
    const char *name = PICK(in, attributes);
    co_h5_set_int(h, path, name, (int64_t)take(in) - 3);
  }
  }
}

// Every sample must reach rows that are there.
static void read_table(co_dataset *d, const co_table *table) {
  const int64_t *index = NULL, *begin, *end;
  if (table->kind != CO_TABLE_EVENTS) {
    FUZZ_CHECK(co_dataset_index(d, table->name, &index) == CO_OK);
    for (int64_t i = 0; index && i < co_dataset_rows(d); i++)
      FUZZ_CHECK(index[i] >= 0 && index[i] < table->rows);
    FUZZ_CHECK(index || table->rows == co_dataset_rows(d));
    return;
  }
  FUZZ_CHECK(co_dataset_ranges(d, table->name, &begin, &end) == CO_OK);
  for (int64_t i = 0; i < co_dataset_rows(d); i++)
    FUZZ_CHECK(begin[i] >= 0 && begin[i] <= end[i] && end[i] <= table->rows);
}

static void read_column(co_dataset *d, const co_column *c, const co_table *table) {
  const void *data;
  int64_t rows;
  co_numbers numbers;
  if (co_dataset_column(d, c->name, &data, &rows, NULL) != CO_OK) return;
  FUZZ_CHECK(rows == table->rows);
  uint8_t sum = 0;
  size_t bytes = (size_t)rows * co_dtype_size(c->dtype) * (size_t)co_shape_count(&c->shape);
  for (size_t i = 0; i < bytes; i++)
    sum ^= ((const uint8_t *)data)[i];
  (void)sum;
  if (co_dataset_numbers(d, c->name, &numbers) != CO_OK) return;
  for (int64_t i = 0; i < rows; i++) {
    float delivered, less;
    memcpy(&delivered, (const uint8_t *)data + (size_t)i * sizeof delivered, sizeof delivered);
    co_numbers_deliver(&numbers, 0, i, 1, &less, 1);
    FUZZ_CHECK(less == delivered || (less != less && delivered != delivered));
  }
}

static void read_everything(co_dataset *d) {
  const co_schema *schema = co_dataset_schema(d);
  int64_t total = 0, count;
  char key[64];
  for (int s = 0; s < CO_SPLIT_COUNT; s++) {
    const int64_t *rows;
    FUZZ_CHECK(co_dataset_split(d, (co_split)s, &rows, &count) == CO_OK);
    for (int64_t i = 0; i < count; i++)
      FUZZ_CHECK(rows[i] >= 0 && rows[i] < co_dataset_rows(d));
    total += count;
  }
  FUZZ_CHECK(total == co_dataset_rows(d));
  for (int64_t i = 0; i < schema->table_count; i++)
    read_table(d, &schema->tables[i]);
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *c = &schema->columns[i];
    FUZZ_CHECK(co_schema_find(schema, c->name) == c);
    const co_table *table = co_schema_table(schema, c->table);
    FUZZ_CHECK(table);
    if (c->type == CO_COLUMN_TEXT) continue;
    read_column(d, c, table);
    if (table->kind == CO_TABLE_EVENTS) continue;
    uint8_t *out = malloc(co_dtype_size(c->dtype) * (size_t)co_shape_count(&c->shape));
    for (int64_t row = 0; row < co_dataset_rows(d); row++) {
      if (co_dataset_gather(d, c->name, &row, 1, out) != CO_OK) break;
      int32_t code = -1;
      if (c->type == CO_COLUMN_CATEGORY) memcpy(&code, out, sizeof code);
      FUZZ_CHECK(code >= -1 && (code == -1 || code < c->category_count));
    }
    free(out);
  }
  for (int64_t row = 0; row < co_dataset_rows(d); row++)
    co_dataset_key(d, row, key, sizeof key);
}

// A good dataset, as a start; the input can spoil it.
static void put_good(co_h5 *h) {
  static const float n[4] = {1, 2, 3, 4};
  static const int32_t code[4] = {0, 1, 0, -1};
  static const uint8_t image[4 * 4] = {1, 2, 3}, split[4] = {0, 0, 1, 2};
  static const char *const names[2] = {"x", "y"};
  co_shape flat = {1, {4}}, shape = {4, {4, 2, 2, 1}};
  co_h5_write(h, "/entities/e/n", CO_F32, &flat, n, NULL, true);
  co_h5_set_string(h, "/entities/e/n", "type", "number");
  co_h5_set_string(h, "/entities/e/n", "role", "input");
  co_h5_write(h, "/entities/e/i", CO_U8, &shape, image, NULL, true);
  co_h5_set_string(h, "/entities/e/i", "type", "image");
  co_h5_set_string(h, "/entities/e/i", "role", "input");
  co_h5_make_group(h, "/entities/e/k");
  co_h5_set_string(h, "/entities/e/k", "type", "category");
  co_h5_set_string(h, "/entities/e/k", "role", "target");
  co_h5_write(h, "/entities/e/k/codes", CO_I32, &flat, code, NULL, true);
  co_h5_write_strings(h, "/entities/e/k/categories", names, 2);
  co_h5_write(h, "/samples/split", CO_U8, &flat, split, NULL, true);
}

// What version 2 adds to it; the input can spoil one of its integers.
static void put_relational(co_h5 *h, input *in) {
  int64_t pointer[4] = {1, 0, 1, 1}, offsets[5] = {0, 2, 2, 3, 5}, begin[4] = {0, 2, 2, 4},
          end[4] = {2, 2, 3, 5}, time[5] = {1, 2, 1, 5, 5};
  int64_t *const lists[] = {pointer, offsets, begin, end, time};
  uint8_t spoil = take(in);
  if (spoil >= 128) lists[spoil % 5][spoil / 5 % 4] = (int64_t)(take(in) % 10) - 2;
  static const float x[5] = {1, 2, 3, 4, 5};
  static const uint8_t b[4] = {0, 1, 1, 0};
  co_shape two = {1, {2}}, flat = {1, {4}}, five = {1, {5}};
  co_h5_set_int(h, "/", "version", 2);
  co_h5_set_string(h, "/samples", "entity", "e");
  co_h5_write(h, "/samples/b", CO_U8, &flat, b, NULL, true);
  co_h5_set_string(h, "/samples/b", "type", "binary");
  co_h5_set_string(h, "/samples/b", "role", "target");
  co_h5_write(h, "/entities/f/m", CO_F32, &two, x, NULL, true);
  co_h5_set_string(h, "/entities/f/m", "type", "number");
  co_h5_set_string(h, "/entities/f/m", "role", "input");
  co_h5_write(h, "/entities/e/p", CO_I64, &flat, pointer, NULL, true);
  co_h5_set_string(h, "/entities/e/p", "rows_of", "f");
  co_h5_make_group(h, "/events/t");
  co_h5_set_string(h, "/events/t", "entity", "e");
  co_h5_set_string(h, "/events/t", "time", "time");
  co_h5_write(h, "/events/t/offsets", CO_I64, &five, offsets, NULL, true);
  co_h5_write(h, "/events/t/time", CO_I64, &five, time, NULL, true);
  co_h5_set_string(h, "/events/t/time", "type", "number");
  co_h5_set_string(h, "/events/t/time", "role", "input");
  co_h5_write(h, "/samples/t.begin", CO_I64, &flat, begin, NULL, true);
  co_h5_write(h, "/samples/t.end", CO_I64, &flat, end, NULL, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char folder[64];
  co_context *ctx;
  co_h5 *h;
  co_dataset *d;
  input in = {data, data + size};
  fuzz_enter_folder(folder, sizeof folder);
  FUZZ_CHECK(co_context_create(&ctx, NULL) == CO_OK);
  FUZZ_CHECK(co_h5_create(&h, ctx, "d.h5") == CO_OK);
  co_h5_set_string(h, "/", "format", "cohort-dataset");
  co_h5_set_int(h, "/", "version", 1);
  uint8_t start = take(&in);
  if (start % 8 == 0) put_good(h);
  if (start % 8 == 1) co_h5_set_int(h, "/", "version", 2);
  if (start % 16 == 8) put_relational(h, &in);
  while (in.at < in.end)
    step(h, &in);
  FUZZ_CHECK(co_h5_close(h) == CO_OK);

  co_status status = co_dataset_open(&d, ctx, "d.h5");
  FUZZ_CHECK(status == CO_OK || status == CO_ERR_DATA);
  FUZZ_CHECK((status == CO_OK) == (d != NULL));
  FUZZ_CHECK(size > 1 || start % 8 || status == CO_OK);
  if (d) read_everything(d);
  co_dataset_close(d);
  FUZZ_CHECK(co_alloc_get_stats(ctx).live_blocks == 0);
  co_context_free(ctx);
  FUZZ_CHECK(remove("d.h5") == 0 && chdir("/") == 0 && rmdir(folder) == 0);
  return 0;
}

#ifndef FUZZ_WITHOUT_MAIN
int main(int argc, char **argv) {
  long inputs = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
  uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  uint8_t data[160];
  for (long i = 0; i < inputs; i++) {
    size_t size = 1 + (i > 1 ? fuzz_random(&random) % (sizeof data - 1) : 0);
    for (size_t k = 0; k < size; k++)
      data[k] = (uint8_t)fuzz_random(&random);
    if (i % 2 == 0 || i == 1) data[0] = i % 3 ? 8 : 0;
    if (i % 4 == 2 && size > 24) size = 24; // little of a good file spoilt
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("fuzz_dataset: %ld inputs\n", inputs);
  return 0;
}
#endif
