// SPDX-License-Identifier: Apache-2.0
// The checksum over a whole file: what it covers, what it leaves out, and files without it.
#include "tests/unit/h5_fixture.h"

#include <errno.h>

static void write_bytes(const char *path, const void *bytes, size_t length) {
  FILE *stream = fopen(path, "wb");
  assert_true(stream && fwrite(bytes, 1, length, stream) == length && fclose(stream) == 0);
}

static void flip(const char *path, size_t at, uint8_t mask) {
  FILE *stream = fopen(path, "r+b");
  assert_true(stream && fseek(stream, (long)at, SEEK_SET) == 0);
  int byte = fgetc(stream) ^ mask;
  assert_true(fseek(stream, (long)at, SEEK_SET) == 0 && fputc(byte, stream) == byte);
  assert_int_equal(fclose(stream), 0);
}

// With room for one byte more; freed by the caller.
static unsigned char *read_bytes(const char *path, size_t *length) {
  FILE *stream = fopen(path, "rb");
  assert_true(stream && fseek(stream, 0, SEEK_END) == 0);
  *length = (size_t)ftell(stream);
  rewind(stream);
  unsigned char *bytes = malloc(*length + 1);
  assert_true(bytes && fread(bytes, 1, *length, stream) == *length);
  fclose(stream);
  return bytes;
}

enum { ROWS = 40 };
static double values[ROWS], more[ROWS];

static void write_file(fixture *f, const char *path, const char *kind, int ranges) {
  static const char *const words[] = {"one", "two"};
  co_shape shape = co_shape_make(1, (int64_t)ROWS);
  co_h5 *h;
  for (int i = 0; i < ROWS; i++)
    values[i] = i, more[i] = 100 + i;
  OK(co_h5_create_checked(&h, f->ctx, path, kind, ranges));
  OK(co_h5_write(h, "g/values", CO_F64, &shape, values, NULL, true));
  OK(co_h5_write(h, "g/more", CO_F64, &shape, more, NULL, true));
  OK(co_h5_write_strings(h, "words", words, 2));
  if (ranges) OK(co_h5_leave_out(h, "g/more"));
  OK(co_h5_close(h));
}

static bool opens(fixture *f, const char *path) {
  co_h5 *h;
  if (co_h5_open(&h, f->ctx, path, CO_ERR_MODEL) != CO_OK) return false;
  OK(co_h5_close(h));
  return true;
}

// One bit in every byte, another one in each, so that all come up.
static void every_flipped_bit_is_noticed(void **state) {
  fixture *f = *state;
  size_t length, magic = 16;
  write_file(f, "a.h5", "model", 0);
  free(read_bytes("a.h5", &length));
  assert_true(length > 2000);
  assert_true(opens(f, "a.h5"));
  for (size_t at = magic; at < length; at++) {
    uint8_t mask = (uint8_t)(1 << at % 8);
    flip("a.h5", at, mask);
    co_error_clear();
    if (opens(f, "a.h5")) fail_msg("byte %zu", at);
    assert_int_equal(co_error_last()->status, CO_ERR_MODEL);
    assert_non_null(strstr(co_error_last()->message, "'a.h5' is "));
    assert_non_null(strstr(co_error_last()->message, "damaged"));
    flip("a.h5", at, mask);
  }
  assert_true(opens(f, "a.h5"));
}

static void cut_and_lengthened_files_are_noticed(void **state) {
  fixture *f = *state;
  size_t length;
  write_file(f, "a.h5", "model", 0);
  unsigned char *bytes = read_bytes("a.h5", &length);
  bytes[length] = 0;
  write_bytes("b.h5", bytes, length + 1);
  assert_false(opens(f, "b.h5"));
  for (size_t cut = 512; cut < length; cut += 97) {
    char words[96];
    write_bytes("b.h5", bytes, cut);
    assert_false(opens(f, "b.h5"));
    snprintf(words, sizeof words, "'b.h5' is truncated or damaged: it has %zu bytes", cut);
    assert_non_null(strstr(co_error_last()->message, words));
  }
  write_bytes("b.h5", bytes, 511);
  assert_false(opens(f, "b.h5"));
  free(bytes);
}

static void equal_files_have_equal_bytes(void **state) {
  fixture *f = *state;
  size_t a_length, b_length;
  write_file(f, "a.h5", "model", 3);
  write_file(f, "b.h5", "model", 3);
  unsigned char *a = read_bytes("a.h5", &a_length), *b = read_bytes("b.h5", &b_length);
  assert_int_equal(a_length, b_length);
  assert_memory_equal(a, b, a_length);
  assert_string_equal((char *)a, "cohort-file-1");
  assert_string_equal((char *)a + 16, "model");
  free(a);
  free(b);
}

static void left_out_values_are_not_looked_at(void **state) {
  fixture *f = *state;
  size_t length;
  double back[ROWS];
  int64_t offset;
  co_shape shape = co_shape_make(1, (int64_t)ROWS);
  write_file(f, "a.h5", "dataset", 3);
  co_h5 *h = reopen(f, "a.h5");
  OK(co_h5_get_offset(h, "g/more", &offset));
  OK(co_h5_read(h, "g/more", CO_F64, &shape, back));
  assert_memory_equal(back, more, sizeof back);
  OK(co_h5_close(h));
  unsigned char *bytes = read_bytes("a.h5", &length);
  assert_memory_equal(bytes + offset, more, sizeof more); // the block counts for offsets
  bytes[offset + 11] ^= 4;
  write_bytes("a.h5", bytes, length);
  h = reopen(f, "a.h5");
  FAILS(co_h5_read(h, "g/more", CO_F64, &shape, back), CO_ERR_DATA, "damaged");
  OK(co_h5_close(h));
  bytes[offset - 1] ^= 4; // just before
  write_bytes("a.h5", bytes, length);
  FAILS(co_h5_open(&h, f->ctx, "a.h5", CO_ERR_DATA), CO_ERR_DATA, "'a.h5' is damaged");
  free(bytes);
}

// More data sets than there is room for: the largest stay out.
static void the_largest_are_left_out(void **state) {
  fixture *f = *state;
  enum { ROOM = 29, SETS = 60 };
  static double data[SETS * 10];
  int64_t offset[SETS];
  char name[16];
  co_h5 *h;
  OK(co_h5_create_checked(&h, f->ctx, "a.h5", "dataset", ROOM));
  for (int i = 0; i < SETS; i++) {
    co_shape shape = co_shape_make(1, (int64_t)(1 + (i * 37) % SETS) * 10);
    snprintf(name, sizeof name, "d%02d", (i * 37) % SETS);
    OK(co_h5_write(h, name, CO_F64, &shape, data, NULL, true));
    OK(co_h5_leave_out(h, name));
  }
  OK(co_h5_close(h));
  h = reopen(f, "a.h5");
  for (int i = 0; i < SETS; i++) {
    snprintf(name, sizeof name, "d%02d", i);
    OK(co_h5_get_offset(h, name, &offset[i]));
  }
  OK(co_h5_close(h));
  for (int i = 0; i < SETS; i++) {
    flip("a.h5", (size_t)offset[i] + 3, 1);
    assert_int_equal(opens(f, "a.h5"), i >= SETS - ROOM);
    flip("a.h5", (size_t)offset[i] + 3, 1);
  }
  OK(co_h5_create(&h, f->ctx, "c.h5"));
  co_shape one = co_shape_make(1, (int64_t)1);
  OK(co_h5_write(h, "d", CO_F64, &one, data, NULL, true));
  FAILS(co_h5_leave_out(h, "d"), CO_ERR_INTERNAL, "no checksum");
  OK(co_h5_close(h));
}

static co_status refuse(void *user, const char *path, co_status failure) {
  ++*(int *)user;
  return co_fail(failure, "'%s' is not to be touched", path);
}

static co_status allow(void *user, const char *path, co_status failure) {
  (void)path, (void)failure;
  ++*(int *)user;
  return CO_OK;
}

static void foreign_files_are_probed(void **state) {
  fixture *f = *state;
  int refused = 0, allowed = 0;
  co_context *strict, *mild;
  co_h5 *h;
  size_t length;
  int64_t offset;
  OK(co_context_create(&strict, NULL));
  OK(co_context_create(&mild, NULL));
  co_context_set_probe(strict, refuse, &refused);
  co_context_set_probe(mild, allow, &allowed);
  write_file(f, "a.h5", "model", 0);
  OK(co_h5_open(&h, strict, "a.h5", CO_ERR_MODEL));
  OK(co_h5_close(h));
  assert_int_equal(refused, 0);
  assert_true(co_h5_is_kind("a.h5", "model"));
  assert_false(co_h5_is_kind("a.h5", "dataset"));
  // One bit of the mark fell over: as good as foreign, and as readable.
  unsigned char *bytes = read_bytes("a.h5", &length);
  bytes[7] ^= 1;
  write_bytes("b.h5", bytes, length);
  FAILS(co_h5_open(&h, strict, "b.h5", CO_ERR_MODEL), CO_ERR_MODEL, "'b.h5' is not to be touched");
  assert_int_equal(refused, 1);
  OK(co_h5_open(&h, mild, "b.h5", CO_ERR_MODEL));
  OK(co_h5_close(h));
  assert_int_equal(allowed, 1);
  assert_false(co_h5_is_kind("b.h5", "model"));
  // Other programs use the block for themselves.
  static const char text[512] = "MATLAB 7.3 MAT-file";
  memcpy(bytes, text, sizeof text);
  write_bytes("b.h5", bytes, length);
  OK(co_h5_open(&h, mild, "b.h5", CO_ERR_MODEL));
  OK(co_h5_get_offset(h, "g/values", &offset));
  assert_memory_equal(bytes + offset, values, sizeof values);
  OK(co_h5_close(h));
  // What is no file at all is not worth a question.
  allowed = 0;
  FAILS(co_h5_open(&h, mild, "none.h5", CO_ERR_DATA), CO_ERR_DATA, "No such file");
  FAILS(co_h5_open(&h, mild, ".", CO_ERR_DATA), CO_ERR_DATA, "not a regular file");
  assert_int_equal(allowed, 0);
  assert_false(co_h5_is_kind("none.h5", "model"));
  free(bytes);
  co_context_free(strict);
  co_context_free(mild);
}

static void failures_of_the_checksum_are_clean(void **state) {
  fixture *f = *state;
  co_shape one = co_shape_make(1, (int64_t)1);
  double value = 1;
  co_h5 *h;
  int64_t calls = 0;
  for (int64_t nth = 0; nth <= calls; nth++) { // the last operation is the block's
    int64_t before = co_io_calls(f->ctx);
    co_io_fail_at(f->ctx, nth, false, ENOSPC);
    co_status status = co_h5_create_checked(&h, f->ctx, "a.h5", "model", 0);
    if (status == CO_OK) {
      status = co_h5_write(h, "d", CO_F64, &one, &value, NULL, true);
      if (status == CO_OK)
        status = co_h5_close(h);
      else
        co_h5_abandon(h);
    }
    if (nth == 0) calls = co_io_calls(f->ctx) - before;
    assert_int_equal(status, nth ? CO_ERR_IO : CO_OK);
    if (nth) assert_non_null(strstr(co_error_last()->message, "'a.h5': No space left on device"));
  }
  assert_true(calls > 3);
  co_io_fail_at(f->ctx, 0, false, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      H5_TEST(every_flipped_bit_is_noticed),      H5_TEST(cut_and_lengthened_files_are_noticed),
      H5_TEST(equal_files_have_equal_bytes),      H5_TEST(left_out_values_are_not_looked_at),
      H5_TEST(the_largest_are_left_out),          H5_TEST(foreign_files_are_probed),
      H5_TEST(failures_of_the_checksum_are_clean)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
