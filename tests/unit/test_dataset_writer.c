// SPDX-License-Identifier: Apache-2.0
// Labels: tsan
// Data sets that Cohort wrote: fingerprint, damage, several readers, failures while writing.
#include "tests/unit/dataset_fixture.h"

#include <errno.h>
#include <pthread.h>

#include "datasets/writer.h"

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

  // Whatever is not mapped counts for the checksum of the file.
  static const float some[4] = {100, 101, 102, 103};
  static const char *const marks[] = {"k2718", "entities", "image", "crc32c"};
  for (size_t i = 0; i <= sizeof marks / sizeof *marks; i++) {
    at = i ? find(bytes, length, marks[i - 1], strlen(marks[i - 1]))
           : find(bytes, length, some, sizeof some);
    bytes[at] ^= 1;
    write_bytes("d.h5", bytes, length);
    bytes[at] ^= 1;
    refused(f, "'d.h5' is damaged", "checksum");
    assert_non_null(strstr(co_error_last()->hint, "import the data again"));
  }

  // Without it, what has a checksum of its own is still checked.
  bytes[0] ^= 1;
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

// Numbers that float32 does not hold lie in the file as double, and are mapped.
static void wide_numbers_are_rounded_and_checked(void **state) {
  fixture *f = *state;
  co_dataset_writer *w;
  co_dataset *d;
  enum { WIDE = 20000 };
  static double number[WIDE];
  static uint8_t split[WIDE];
  for (int i = 0; i < WIDE; i++)
    number[i] = i % 7 ? i + 0.1 : NAN;
  co_column c = {.name = "n", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT, .dtype = CO_F64};
  OK(co_dataset_writer_create(&w, f->ctx, "d.h5"));
  OK(co_dataset_writer_column(w, "e", &c, WIDE));
  OK(co_dataset_writer_rows(w, WIDE, number));
  OK(co_dataset_writer_samples(w, "e", WIDE, NULL, NULL, split));
  co_dataset_writer_hand_out(w, &d);
  OK(co_dataset_writer_commit(w, NULL));
  co_dataset_writer_free(w);
  assert_string_equal(co_dataset_path(d), "d.h5");
  const void *data;
  int64_t rows;
  OK(co_dataset_column(d, "n", &data, &rows, NULL));
  assert_int_equal(rows, WIDE);
  for (int i = 0; i < WIDE; i++)
    assert_true(i % 7 ? ((const float *)data)[i] == (float)number[i]
                      : isnan(((const float *)data)[i]));
  co_numbers stored;
  OK(co_dataset_numbers(d, "n", &stored));
  assert_true(co_numbers_at(&stored, 19998) == number[19998]);
  co_dataset_close(d);

  size_t length;
  unsigned char *bytes = read_bytes("d.h5", &length);
  bytes[0] ^= 1; // the file is not vouched for
  bytes[find(bytes, length, &number[15000], sizeof(double))] ^= 1;
  write_bytes("d.h5", bytes, length);
  refused(f, "'/entities/e/n' is damaged", "checksum");
  free(bytes);
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

// Of very many keys some are in memory: as they come, and in an order in which all have to be.
static void many_keys_are_read_in_turn(void **state) {
  fixture *f = *state;
  enum { MANY = 550000 };
  static char text[MANY][8];
  static const char *key[MANY];
  static float number[MANY];
  co_dataset_writer *w;
  co_dataset *d;
  char found[CO_DATASET_KEY_MAX + 1];
  for (int i = 0; i < MANY; i++) {
    snprintf(text[i], sizeof text[i], "k%d", i);
    key[i] = text[i];
  }
  const co_column n = {.name = "n", .role = CO_ROLE_INPUT, .dtype = CO_F32};
  assert_int_equal(co_dataset_writer_create(&w, f->ctx, "d.h5"), CO_OK);
  assert_int_equal(co_dataset_writer_texts(w, "e", "id", CO_ROLE_KEY, key, MANY), CO_OK);
  assert_int_equal(co_dataset_writer_column(w, "e", &n, MANY), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, MANY, number), CO_OK);
  assert_int_equal(co_dataset_writer_samples(w, "e", MANY, NULL, NULL, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  assert_int_equal(co_dataset_open(&d, f->ctx, "d.h5"), CO_OK);
  const int64_t before = co_alloc_get_stats(f->ctx).live_bytes;
  for (int64_t i = 0; i < MANY; i++) {
    assert_int_equal(co_dataset_key(d, i, found, sizeof found), CO_OK);
    assert_string_equal(found, text[i]);
  }
  assert_true(co_alloc_get_stats(f->ctx).live_bytes - before < (int64_t)MANY * 16);
  for (int i = 0; i < 200; i++) {
    const int64_t at = i % 2 ? i : MANY - 1 - i;
    assert_int_equal(co_dataset_key(d, at, found, sizeof found), CO_OK);
    assert_string_equal(found, text[at]);
  }
  co_dataset_close(d);
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
      DATA_TEST(damaged_contents_are_found),
      DATA_TEST(wide_numbers_are_rounded_and_checked),
      DATA_TEST(the_fingerprint_is_that_of_the_contents),
      DATA_TEST(several_threads_may_be_the_first_to_read),
      DATA_TEST(failing_allocations_while_reading_are_clean),
      DATA_TEST(failing_writes_leave_nothing),
      DATA_TEST(the_writer_refuses_misuse),
      DATA_TEST(many_keys_are_read_in_turn),
      cmocka_unit_test(words_of_types_roles_and_splits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
