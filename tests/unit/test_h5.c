// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/core/h5.h"
#include "host/core/hash.h"

typedef struct fixture {
  co_context *ctx;
  co_arena *arena;
  char folder[64];
} fixture;

static int set_up(void **state) {
  fixture *f = calloc(1, sizeof *f);
  snprintf(f->folder, sizeof f->folder, "/tmp/cohort_h5_XXXXXX");
  if (!mkdtemp(f->folder) || chdir(f->folder) != 0) return -1;
  *state = f;
  if (co_context_create(&f->ctx, NULL) != CO_OK) return -1;
  return co_arena_create(&f->arena, f->ctx) == CO_OK ? 0 : -1;
}

// Nothing may be left: no block, no identifier of the library.
static int tear_down(void **state) {
  fixture *f = *state;
  char command[128];
  co_arena_free(f->arena);
  int64_t live = co_alloc_get_stats(f->ctx).live_blocks;
  ssize_t open_ids = H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL);
  snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
  int rc = chdir("/") || system(command);
  co_context_free(f->ctx);
  free(f);
  if (live || open_ids > 0) fprintf(stderr, "left: %d blocks, %d ids\n", (int)live, (int)open_ids);
  return rc == 0 && live == 0 && open_ids <= 0 ? 0 : -1;
}

#define OK(expression)                                                                             \
  do {                                                                                             \
    co_status status_ = (expression);                                                              \
    if (status_ != CO_OK) fprintf(stderr, "%s: %s\n", #expression, co_error_last()->message);      \
    assert_int_equal(status_, CO_OK);                                                              \
  } while (0)

#define FAILS(expression, expected, words)                                                         \
  do {                                                                                             \
    co_error_clear();                                                                              \
    assert_int_equal(expression, expected);                                                        \
    assert_int_equal(co_error_last()->status, expected);                                           \
    if (!strstr(co_error_last()->message, words))                                                  \
      fprintf(stderr, "%s\n", co_error_last()->message);                                           \
    assert_non_null(strstr(co_error_last()->message, words));                                      \
  } while (0)

static co_h5 *reopen(fixture *f, const char *path) {
  co_h5 *h;
  OK(co_h5_open(&h, f->ctx, path, CO_ERR_DATA));
  return h;
}

// ---- round trips -------------------------------------------------------------------------------

static void fill(unsigned char *bytes, size_t count) {
  for (size_t i = 0; i < count; i++)
    bytes[i] = (unsigned char)(i * 7 + i / 13 + 1);
}

static void every_type_and_layout_comes_back(void **state) {
  fixture *f = *state;
  static const co_h5_storage kinds[] = {
      {0, 0, false}, {4, 0, false}, {3, 1, true}, {1000, 6, false}, {4, 0, true}};
  unsigned char data[9 * 5 * 8], back[sizeof data];
  co_shape shape = co_shape_make(3, (int64_t)9, (int64_t)5, (int64_t)1);
  char name[64];
  co_h5 *h;
  fill(data, sizeof data);
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  assert_string_equal(co_h5_path(h), "a.h5");
  for (int t = CO_U8; t <= CO_F64; t++)
    for (int k = 0; k < 5; k++) {
      snprintf(name, sizeof name, "/deep/er/%s_%d", co_dtype_name((co_dtype)t), k);
      OK(co_h5_write(h, name, (co_dtype)t, &shape, data, k ? &kinds[k] : NULL, k % 2));
    }
  OK(co_h5_close(h));
  h = reopen(f, "a.h5");
  for (int t = CO_U8; t <= CO_F64; t++)
    for (int k = 0; k < 5; k++) {
      co_h5_info info;
      size_t bytes = 45 * co_dtype_size((co_dtype)t);
      snprintf(name, sizeof name, "deep/er/%s_%d", co_dtype_name((co_dtype)t), k);
      OK(co_h5_get_info(h, name, &info));
      assert_int_equal(info.dtype, t);
      assert_true(co_shape_equal(&info.shape, &shape));
      assert_false(info.is_group || info.is_string);
      assert_true(info.stored_bytes > 0);
      assert_int_equal(co_h5_has_attribute(h, name, "crc32c"), k % 2);
      memset(back, 0, sizeof back);
      OK(co_h5_read(h, name, (co_dtype)t, &shape, back));
      assert_memory_equal(back, data, bytes);
      memset(back, 0, sizeof back);
      OK(co_h5_read_rows(h, name, (co_dtype)t, 2, 5, back));
      assert_memory_equal(back, data + bytes / 9 * 2, bytes / 9 * 5);
    }
  OK(co_h5_close(h));
}

static void odd_shapes_come_back(void **state) {
  fixture *f = *state;
  co_shape scalar = co_shape_make(0), empty = co_shape_make(2, (int64_t)0, (int64_t)7);
  co_shape hollow = co_shape_make(2, (int64_t)3, (int64_t)0);
  co_shape six =
      co_shape_make(6, (int64_t)1, (int64_t)2, (int64_t)1, (int64_t)2, (int64_t)1, (int64_t)3);
  co_h5_storage chunked = {2, 1, true};
  double value = -0x1.5p-1000, back = 0;
  int32_t many[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -12}, got[12];
  co_h5 *h;
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  OK(co_h5_write(h, "scalar", CO_F64, &scalar, &value, &chunked, true));
  OK(co_h5_write(h, "empty", CO_F32, &empty, NULL, &chunked, true));
  OK(co_h5_write(h, "hollow", CO_F32, &hollow, NULL, NULL, true));
  OK(co_h5_write(h, "six", CO_I32, &six, many, &chunked, true));
  FAILS(co_h5_write(h, "b", CO_BF16, &six, many, NULL, false), CO_ERR_INTERNAL, "'b'");
  co_shape symbolic = co_shape_make(1, CO_DIM_N);
  FAILS(co_h5_write(h, "n", CO_I32, &symbolic, many, NULL, false), CO_ERR_INTERNAL, "'n'");
  FAILS(co_h5_write(h, "six", CO_I32, &six, many, NULL, false), CO_ERR_IO, "'six'"); // twice
  FAILS(co_h5_write(h, "six/x", CO_I32, &six, many, NULL, false), CO_ERR_IO, "not a group");
  FAILS(co_h5_make_group(h, "a/./b"), CO_ERR_IO, "usable name");
  OK(co_h5_make_group(h, "/"));
  OK(co_h5_make_group(h, "g//g/"));
  OK(co_h5_make_group(h, "g/g"));
  OK(co_h5_close(h));
  h = reopen(f, "a.h5");
  OK(co_h5_read(h, "scalar", CO_F64, &scalar, &back));
  assert_true(back == value);
  OK(co_h5_read(h, "empty", CO_F32, &empty, NULL));
  OK(co_h5_read(h, "empty", CO_F64, NULL, NULL));
  OK(co_h5_read_rows(h, "empty", CO_F32, 0, 0, NULL));
  OK(co_h5_read(h, "hollow", CO_F32, &hollow, NULL));
  OK(co_h5_read_rows(h, "hollow", CO_F64, 1, 2, NULL));
  OK(co_h5_read(h, "six", CO_I32, &six, got));
  assert_memory_equal(got, many, sizeof many);
  FAILS(co_h5_read(h, "six", CO_I32, &empty, got), CO_ERR_DATA,
        "(1, 2, 1, 2, 1, 3), expected (0, 7)");
  FAILS(co_h5_read_rows(h, "six", CO_I32, 1, 1, got), CO_ERR_DATA, "1 rows");
  FAILS(co_h5_read_rows(h, "six", CO_I32, -1, 1, got), CO_ERR_DATA, "from row -1");
  FAILS(co_h5_read_rows(h, "hollow", CO_F32, INT64_MAX, INT64_MAX, got), CO_ERR_DATA, "3 rows");
  FAILS(co_h5_read(h, "g", CO_F32, NULL, got), CO_ERR_DATA, "not a dataset");
  FAILS(co_h5_read(h, "g/none", CO_F32, NULL, got), CO_ERR_DATA, "has no 'g/none'");
  FAILS(co_h5_read(h, "six/x", CO_F32, NULL, got), CO_ERR_DATA, "has no 'six/x'");
  FAILS(co_h5_make_group(h, "x"), CO_ERR_INTERNAL, "reading");
  assert_true(co_h5_exists(h, "g/g") && co_h5_exists(h, "/") && co_h5_exists(h, "/six"));
  assert_false(co_h5_exists(h, "g/h") || co_h5_exists(h, "six/x") || co_h5_exists(h, "."));
  OK(co_h5_close(h));
}

static void rows_are_written_one_by_one(void **state) {
  fixture *f = *state;
  co_shape shape = co_shape_make(2, (int64_t)10, (int64_t)3);
  static const co_h5_storage chunked = {4, 1, true};
  int64_t data[30], back[30];
  co_h5 *h;
  for (int i = 0; i < 30; i++)
    data[i] = i * 1000003LL * (i % 2 ? -1 : 1);
  for (int k = 0; k < 2; k++) {
    OK(co_h5_create(&h, f->ctx, "a.h5"));
    OK(co_h5_create_dataset(h, "d", CO_I64, &shape, k ? &chunked : NULL));
    OK(co_h5_write_rows(h, "d", 7, 3, data + 21));
    OK(co_h5_write_rows(h, "d", 0, 5, data));
    OK(co_h5_write_rows(h, "d", 10, 0, NULL));
    FAILS(co_h5_write_rows(h, "d", 8, 3, data), CO_ERR_IO, "10 rows");
    FAILS(co_h5_write_rows(h, "e", 0, 1, data), CO_ERR_IO, "no 'e'");
    OK(co_h5_close(h));
    h = reopen(f, "a.h5");
    OK(co_h5_read(h, "d", CO_I64, &shape, back));
    memset(data + 15, 0, 6 * sizeof *data); // never written
    assert_memory_equal(back, data, sizeof data);
    for (int i = 15; i < 21; i++)
      data[i] = i;
    OK(co_h5_close(h));
  }
}

static void contiguous_data_can_be_mapped(void **state) {
  fixture *f = *state;
  co_shape shape = co_shape_make(2, (int64_t)50, (int64_t)3);
  co_h5_storage chunked = {10, 0, false};
  float data[150], back[150];
  int64_t offset;
  co_h5 *h;
  for (int i = 0; i < 150; i++)
    data[i] = (float)i / 7;
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  OK(co_h5_write(h, "plain", CO_F32, &shape, data, NULL, true));
  OK(co_h5_write(h, "chunked", CO_F32, &shape, data, &chunked, true));
  OK(co_h5_create_dataset(h, "early", CO_F32, &shape, NULL));
  OK(co_h5_close(h));
  h = reopen(f, "a.h5");
  OK(co_h5_get_offset(h, "chunked", &offset));
  assert_int_equal(offset, -1);
  OK(co_h5_get_offset(h, "early", &offset));
  assert_true(offset > 0);
  OK(co_h5_get_offset(h, "plain", &offset));
  int fd = open("a.h5", O_RDONLY);
  assert_int_equal(pread(fd, back, sizeof back, offset), sizeof back);
  close(fd);
  assert_memory_equal(back, data, sizeof data);
  FAILS(co_h5_get_offset(h, "none", &offset), CO_ERR_DATA, "none");
  OK(co_h5_close(h));
}

// ---- conversions -------------------------------------------------------------------------------

static void put(hid_t file, const char *name, hid_t stored, hid_t memory, hsize_t count,
                const void *data) {
  hid_t space = H5Screate_simple(1, &count, NULL);
  hid_t set = H5Dcreate2(file, name, stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  if (set < 0) H5Eprint2(H5E_DEFAULT, stderr);
  assert_true(set >= 0);
  assert_true(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
  H5Dclose(set);
  H5Sclose(space);
}

static hid_t half_type(void) {
  hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

static hid_t boolean_type(const char *yes) {
  hid_t type = H5Tenum_create(H5T_NATIVE_INT8);
  signed char value = 0;
  H5Tenum_insert(type, "FALSE", &value);
  value = 1;
  H5Tenum_insert(type, yes, &value);
  return type;
}

static void foreign_numbers_are_widened(void **state) {
  fixture *f = *state;
  static const int64_t values[4] = {0, 1, 100, 127};
  int64_t wide[4];
  int32_t narrow[4];
  unsigned char flags[4] = {0, 1, 1, 0}, got[4];
  float single[4];
  const struct {
    const char *name;
    hid_t type;
    co_dtype dtype;
  } cases[] = {{"i8", H5T_STD_I8LE, CO_I32},    {"u8", H5T_STD_U8LE, CO_U8},
               {"i16", H5T_STD_I16BE, CO_I32},  {"u16", H5T_STD_U16LE, CO_I32},
               {"i32b", H5T_STD_I32BE, CO_I32}, {"u32", H5T_STD_U32LE, CO_I64},
               {"i64b", H5T_STD_I64BE, CO_I64}, {"u64", H5T_STD_U64BE, CO_I64},
               {"f64b", H5T_IEEE_F64BE, CO_F64}};
  hid_t file = H5Fcreate("a.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), half = half_type();
  hid_t boolean = boolean_type("TRUE");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    put(file, cases[i].name, cases[i].type, H5T_NATIVE_INT64, 4, values);
  put(file, "half", half, H5T_NATIVE_INT64, 4, values);
  put(file, "bool", boolean, boolean, 4, flags);
  H5Tclose(half);
  H5Tclose(boolean);
  H5Fclose(file);
  co_h5 *h = reopen(f, "a.h5");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    co_h5_info info;
    int64_t offset;
    OK(co_h5_get_info(h, cases[i].name, &info));
    assert_int_equal(info.dtype, cases[i].dtype);
    OK(co_h5_get_offset(h, cases[i].name, &offset));
    assert_int_equal(offset > 0, strcmp(cases[i].name, "u8") == 0); // the rest needs conversion
    OK(co_h5_read(h, cases[i].name, CO_I64, NULL, wide));
    assert_memory_equal(wide, values, sizeof wide);
    OK(co_h5_read_rows(h, cases[i].name, CO_I32, 1, 3, narrow));
    assert_int_equal(narrow[0], 1);
    assert_int_equal(narrow[2], 127);
    OK(co_h5_read(h, cases[i].name, CO_F32, NULL, single));
    assert_true(single[3] == 127.0f);
    OK(co_h5_read(h, cases[i].name, CO_U8, NULL, got));
    assert_int_equal(got[2], 100);
  }
  OK(co_h5_read(h, "half", CO_F32, NULL, single));
  assert_true(single[3] == 127.0f);
  OK(co_h5_read(h, "bool", CO_U8, NULL, got));
  assert_memory_equal(got, flags, 4);
  OK(co_h5_read(h, "bool", CO_I32, NULL, narrow));
  assert_int_equal(narrow[1], 1);
  OK(co_h5_close(h));
}

// Row counts around the conversion buffer, and the value that does not fit at its very end.
static void conversions_lose_nothing(void **state) {
  fixture *f = *state;
  enum { ROWS = 300001 };
  int64_t *wide = calloc(ROWS, sizeof *wide);
  int32_t *narrow = calloc(ROWS, sizeof *narrow);
  co_shape shape = co_shape_make(1, (int64_t)ROWS), one = co_shape_make(1, (int64_t)1);
  static const struct {
    double value;
    bool u8, i32, i64, f32;
  } cases[] = {{255, 1, 1, 1, 1},
               {256, 0, 1, 1, 1},
               {-1, 0, 1, 1, 1},
               {0.5, 0, 0, 0, 1},
               {0.1, 0, 0, 0, 0},
               {2147483648.0, 0, 0, 1, 1},
               {-2147483648.0, 0, 1, 1, 1},
               {16777217, 0, 1, 1, 0},
               {0x1p63, 0, 0, 0, 1},
               {-0x1p63, 0, 0, 1, 1},
               {1e300, 0, 0, 0, 0},
               {INFINITY, 0, 0, 0, 1},
               {NAN, 0, 0, 0, 1}};
  static const int64_t integers[] = {(1LL << 53) + 1, INT64_MAX, INT64_MIN, 1LL << 62};
  static const bool exact[] = {0, 0, 1, 1};
  char name[32];
  uint64_t top = (uint64_t)1 << 63;
  co_h5 *h;
  for (int64_t i = 0; i < ROWS; i++)
    wide[i] = i - 1000;
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  OK(co_h5_write(h, "good", CO_I64, &shape, wide, NULL, true));
  wide[ROWS - 1] = 1LL << 31;
  OK(co_h5_write(h, "bad", CO_I64, &shape, wide, NULL, true));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snprintf(name, sizeof name, "f%zu", i);
    OK(co_h5_write(h, name, CO_F64, &one, &cases[i].value, NULL, false));
  }
  for (size_t i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "i%zu", i);
    OK(co_h5_write(h, name, CO_I64, &one, &integers[i], NULL, false));
  }
  OK(co_h5_close(h));
  hid_t file = H5Fopen("a.h5", H5F_ACC_RDWR, H5P_DEFAULT);
  put(file, "u64", H5T_STD_U64LE, H5T_NATIVE_UINT64, 1, &top);
  H5Fclose(file);
  h = reopen(f, "a.h5");
  OK(co_h5_read(h, "good", CO_I32, &shape, narrow));
  for (int i = 0; i < ROWS; i++)
    if (narrow[i] != i - 1000) fail();
  FAILS(co_h5_read(h, "bad", CO_I32, &shape, narrow), CO_ERR_DATA, "i32 cannot");
  FAILS(co_h5_read(h, "u64", CO_I64, NULL, wide), CO_ERR_DATA, "63 bits");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snprintf(name, sizeof name, "f%zu", i);
    assert_int_equal(co_h5_read(h, name, CO_U8, NULL, wide) == CO_OK, cases[i].u8);
    assert_int_equal(co_h5_read(h, name, CO_I32, NULL, wide) == CO_OK, cases[i].i32);
    assert_int_equal(co_h5_read(h, name, CO_I64, NULL, wide) == CO_OK, cases[i].i64);
    assert_int_equal(co_h5_read(h, name, CO_F32, NULL, wide) == CO_OK, cases[i].f32);
  }
  for (size_t i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "i%zu", i);
    assert_int_equal(co_h5_read(h, name, CO_F64, NULL, wide) == CO_OK, exact[i]);
    assert_int_equal(co_h5_read(h, name, CO_F32, NULL, wide) == CO_OK, exact[i]);
  }
  FAILS(co_h5_read(h, "good", CO_BF16, NULL, wide), CO_ERR_INTERNAL, "bf16");
  OK(co_h5_close(h));
  free(wide);
  free(narrow);
}

// ---- damage ------------------------------------------------------------------------------------

static void flip(const char *path, off_t offset) {
  unsigned char byte;
  int fd = open(path, O_RDWR);
  assert_int_equal(pread(fd, &byte, 1, offset), 1);
  byte ^= 0x10;
  assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
  close(fd);
}

static void flipped_bits_are_noticed(void **state) {
  fixture *f = *state;
  co_shape shape = co_shape_make(1, (int64_t)1000);
  static int32_t data[1000];
  int64_t wide[1000], crc, offset;
  co_h5_storage fletcher = {100, 0, true};
  co_h5 *h;
  for (int i = 0; i < 1000; i++)
    data[i] = i * i;
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  OK(co_h5_write(h, "d", CO_I32, &shape, data, NULL, true));
  OK(co_h5_write(h, "e", CO_I32, &shape, data, &fletcher, false));
  OK(co_h5_close(h));
  h = reopen(f, "a.h5");
  OK(co_h5_get_int(h, "d", "crc32c", &crc));
  assert_int_equal(crc, co_crc32c(0, data, sizeof data));
  OK(co_h5_get_offset(h, "d", &offset));
  OK(co_h5_close(h));
  flip("a.h5", offset + 3999);
  h = reopen(f, "a.h5");
  FAILS(co_h5_read(h, "d", CO_I32, NULL, wide), CO_ERR_DATA, "'a.h5': 'd' is damaged");
  FAILS(co_h5_read(h, "d", CO_I64, NULL, wide), CO_ERR_DATA, "damaged");
  OK(co_h5_read_rows(h, "d", CO_I32, 0, 10, wide)); // rows have no checksum
  OK(co_h5_close(h));
  hid_t file = H5Fopen("a.h5", H5F_ACC_RDONLY, H5P_DEFAULT), set = H5Dopen2(file, "e", H5P_DEFAULT);
  hsize_t place[1] = {500};
  haddr_t address;
  unsigned mask;
  hsize_t size;
  assert_true(H5Dget_chunk_info_by_coord(set, place, &mask, &address, &size) >= 0);
  H5Dclose(set);
  H5Fclose(file);
  flip("a.h5", (off_t)address + 5);
  h = reopen(f, "a.h5");
  FAILS(co_h5_read(h, "e", CO_I32, NULL, wide), CO_ERR_DATA, "'e'");
  OK(co_h5_read_rows(h, "e", CO_I32, 0, 500, wide));
  OK(co_h5_close(h));
}

static void damaged_files_are_named(void **state) {
  fixture *f = *state;
  co_shape shape = co_shape_make(1, (int64_t)5000);
  static double data[5000];
  struct stat info;
  co_h5 *h;
  FAILS(co_h5_open(&h, f->ctx, "none.h5", CO_ERR_MODEL), CO_ERR_MODEL, "'none.h5': No such file");
  assert_null(h);
  FAILS(co_h5_open(&h, f->ctx, ".", CO_ERR_DATA), CO_ERR_DATA, "not a regular file");
  FAILS(co_h5_open(&h, f->ctx, "/dev/zero", CO_ERR_DATA), CO_ERR_DATA, "not a regular file");
  FILE *text = fopen("text.h5", "w");
  FAILS(co_h5_open(&h, f->ctx, "text.h5", CO_ERR_DATA), CO_ERR_DATA, "empty");
  fputs("id,price\n1,2\n", text);
  fclose(text);
  FAILS(co_h5_open(&h, f->ctx, "text.h5", CO_ERR_DATA), CO_ERR_DATA, "is not an HDF5 file");
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  OK(co_h5_write(h, "d", CO_F64, &shape, data, NULL, true));
  OK(co_h5_close(h));
  assert_int_equal(stat("a.h5", &info), 0);
  for (off_t cut = info.st_size - 1; cut > 100; cut = cut * 2 / 3) {
    assert_int_equal(truncate("a.h5", cut), 0);
    FAILS(co_h5_open(&h, f->ctx, "a.h5", CO_ERR_DATA), CO_ERR_DATA,
          "'a.h5' is truncated or damaged: ");
  }
  assert_int_equal(truncate("a.h5", 5), 0);
  FAILS(co_h5_open(&h, f->ctx, "a.h5", CO_ERR_DATA), CO_ERR_DATA, "not an HDF5 file");
}

// ---- text --------------------------------------------------------------------------------------

static void texts_come_back(void **state) {
  fixture *f = *state;
  static const char *const words[] = {"", "Zürich", "日本", "a\nb", " spaced ", ""};
  char **text, *single;
  int64_t count, number;
  double real;
  co_h5_info info;
  co_h5 *h;
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  OK(co_h5_write_strings(h, "v/words", words, 6));
  OK(co_h5_write_strings(h, "v/none", NULL, 0));
  OK(co_h5_set_string(h, "/", "title", "old"));
  OK(co_h5_set_string(h, "/", "title", "Kündigung")); // replaces
  OK(co_h5_set_strings(h, "v", "names", words, 6));
  OK(co_h5_set_strings(h, "v", "empty", NULL, 0));
  OK(co_h5_set_int(h, "v/words", "n", INT64_MIN));
  OK(co_h5_set_double(h, "v", "x", 0.1));
  OK(co_h5_set_double(h, "v", "whole", 3.0));
  OK(co_h5_set_int(h, "v", "large", (1LL << 53) + 1));
  FAILS(co_h5_set_int(h, "w", "n", 1), CO_ERR_IO, "no 'w'");
  OK(co_h5_close(h));
  h = reopen(f, "a.h5");
  OK(co_h5_get_info(h, "v/words", &info));
  assert_true(info.is_string && info.shape.dim[0] == 6);
  OK(co_h5_read_strings(h, "v/words", f->arena, &text, &count));
  assert_int_equal(count, 6);
  for (int i = 0; i < 6; i++)
    assert_string_equal(text[i], words[i]);
  OK(co_h5_get_strings(h, "v", "names", f->arena, &text, &count));
  assert_int_equal(count, 6);
  for (int i = 0; i < 6; i++)
    assert_string_equal(text[i], words[i]);
  OK(co_h5_read_strings(h, "v/none", f->arena, &text, &count));
  assert_int_equal(count, 0);
  OK(co_h5_get_strings(h, "v", "empty", f->arena, &text, &count));
  assert_int_equal(count, 0);
  OK(co_h5_get_string(h, "", "title", f->arena, &single));
  assert_string_equal(single, "Kündigung");
  OK(co_h5_get_int(h, "v/words", "n", &number));
  assert_true(number == INT64_MIN);
  OK(co_h5_get_double(h, "v", "x", &real));
  assert_true(real == 0.1);
  OK(co_h5_get_int(h, "v", "whole", &number));
  assert_int_equal(number, 3);
  FAILS(co_h5_get_int(h, "v", "x", &number), CO_ERR_DATA, "does not fit");
  FAILS(co_h5_get_double(h, "v", "large", &real), CO_ERR_DATA, "does not fit");
  FAILS(co_h5_get_int(h, "v", "names", &number), CO_ERR_DATA, "not a number");
  FAILS(co_h5_get_string(h, "v", "x", f->arena, &single), CO_ERR_DATA, "not text");
  FAILS(co_h5_get_string(h, "v", "names", f->arena, &single), CO_ERR_DATA, "single");
  FAILS(co_h5_get_string(h, "v", "none", f->arena, &single), CO_ERR_DATA, "no attribute 'none'");
  FAILS(co_h5_read(h, "v/words", CO_U8, NULL, &number), CO_ERR_DATA, "text");
  assert_true(co_h5_has_attribute(h, "v", "x"));
  assert_false(co_h5_has_attribute(h, "v", "y") || co_h5_has_attribute(h, "nothing", "x"));
  OK(co_h5_close(h));
}

static hid_t fixed_type(size_t size, H5T_str_t padding) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, size);
  H5Tset_strpad(type, padding);
  return type;
}

static void foreign_texts_are_read(void **state) {
  fixture *f = *state;
  static const char bytes[] = "abc\0\0a    x y  "; // "abc", "a", "x y" under each padding
  static const H5T_str_t paddings[] = {H5T_STR_NULLPAD, H5T_STR_SPACEPAD, H5T_STR_NULLTERM};
  static const char *const expected[3][3] = {
      {"abc", "a    ", "x y  "}, {"abc", "a", "x y"}, {"abc", "a    ", "x y  "}};
  char name[8], **text;
  int64_t count;
  hsize_t extent = 3;
  hid_t file = H5Fcreate("a.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t space = H5Screate_simple(1, &extent, NULL), scalar = H5Screate(H5S_SCALAR);
  for (int i = 0; i < 3; i++) {
    hid_t type = fixed_type(5, paddings[i]);
    snprintf(name, sizeof name, "s%d", i);
    put(file, name, type, type, 3, bytes);
    hid_t attr = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attr, type, bytes);
    H5Aclose(attr);
    H5Tclose(type);
  }
  // Variable-length ASCII, as h5py writes bytes; created and never written.
  hid_t ascii = H5Tcopy(H5T_C_S1);
  H5Tset_size(ascii, H5T_VARIABLE);
  H5Dclose(H5Dcreate2(file, "unwritten", ascii, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  const char *word = "word";
  hid_t set = H5Dcreate2(file, "scalar", ascii, scalar, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Dwrite(set, ascii, H5S_ALL, H5S_ALL, H5P_DEFAULT, &word);
  H5Dclose(set);
  H5Tclose(ascii);
  hsize_t square[2] = {1, 1};
  hid_t plane = H5Screate_simple(2, square, NULL), type = fixed_type(5, H5T_STR_NULLPAD);
  H5Dclose(H5Dcreate2(file, "plane", type, plane, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  H5Tclose(type);
  H5Sclose(plane);
  H5Sclose(space);
  H5Sclose(scalar);
  H5Fclose(file);
  co_h5 *h = reopen(f, "a.h5");
  for (int i = 0; i < 3; i++) {
    snprintf(name, sizeof name, "s%d", i);
    for (int attribute = 0; attribute < 2; attribute++) {
      if (attribute)
        OK(co_h5_get_strings(h, "/", name, f->arena, &text, &count));
      else
        OK(co_h5_read_strings(h, name, f->arena, &text, &count));
      assert_int_equal(count, 3);
      for (int k = 0; k < 3; k++)
        assert_string_equal(text[k], expected[i][k]);
    }
  }
  OK(co_h5_read_strings(h, "unwritten", f->arena, &text, &count));
  assert_string_equal(text[2], "");
  OK(co_h5_read_strings(h, "scalar", f->arena, &text, &count));
  assert_int_equal(count, 1);
  assert_string_equal(text[0], "word");
  FAILS(co_h5_read_strings(h, "plane", f->arena, &text, &count), CO_ERR_DATA, "not a list");
  OK(co_h5_close(h));
}

static void members_are_listed_in_order(void **state) {
  fixture *f = *state;
  static const char *const order[] = {"zeta", "alpha", "mid", "beta"};
  char **names;
  int64_t count;
  co_h5 *h;
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  for (int i = 0; i < 4; i++) {
    char path[32];
    OK(co_h5_make_group(h, order[i]));
    snprintf(path, sizeof path, "sub/%s/x", order[i]);
    OK(co_h5_make_group(h, path));
  }
  OK(co_h5_close(h));
  h = reopen(f, "a.h5");
  OK(co_h5_list(h, "/sub", f->arena, &names, &count));
  assert_int_equal(count, 4);
  for (int i = 0; i < 4; i++)
    assert_string_equal(names[i], order[i]);
  OK(co_h5_list(h, "/", f->arena, &names, &count));
  assert_int_equal(count, 5);
  assert_string_equal(names[1], "sub");
  OK(co_h5_list(h, "sub/mid/x", f->arena, &names, &count));
  assert_int_equal(count, 0);
  FAILS(co_h5_list(h, "nowhere", f->arena, &names, &count), CO_ERR_DATA, "nowhere");
  OK(co_h5_close(h));
  hid_t file = H5Fcreate("b.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  for (int i = 0; i < 4; i++)
    H5Gclose(H5Gcreate2(file, order[i], H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  H5Fclose(file);
  h = reopen(f, "b.h5");
  OK(co_h5_list(h, "/", f->arena, &names, &count));
  assert_int_equal(count, 4);
  assert_string_equal(names[0], "alpha");
  assert_string_equal(names[3], "zeta");
  OK(co_h5_close(h));
}

// ---- untrusted files ---------------------------------------------------------------------------

static void links_are_refused(void **state) {
  fixture *f = *state;
  int32_t value = 5, out = 0;
  char **names;
  int64_t count;
  hid_t other = H5Fcreate("other.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  put(other, "d", H5T_STD_I32LE, H5T_NATIVE_INT32, 1, &value);
  H5Fclose(other);
  hid_t file = H5Fcreate("a.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  H5Gclose(H5Gcreate2(file, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  put(file, "g/d", H5T_STD_I32LE, H5T_NATIVE_INT32, 1, &value);
  H5Lcreate_soft("/g/d", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_soft("/g", file, "softg", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_soft("/nowhere", file, "dangling", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_external("other.h5", "/d", file, "external", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_external("other.h5", "/", file, "externalg", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_hard(file, "g", file, "hard", H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(file);
  co_h5 *h = reopen(f, "a.h5");
  static const char *const paths[] = {"soft", "softg/d", "dangling", "external", "externalg/d"};
  for (int i = 0; i < 5; i++) {
    co_h5_info info;
    FAILS(co_h5_read(h, paths[i], CO_I32, NULL, &out), CO_ERR_DATA, "link");
    FAILS(co_h5_get_info(h, paths[i], &info), CO_ERR_DATA, "link");
    FAILS(co_h5_list(h, paths[i], f->arena, &names, &count), CO_ERR_DATA, "link");
    assert_false(co_h5_exists(h, paths[i]));
    assert_false(co_h5_has_attribute(h, paths[i], "x"));
  }
  OK(co_h5_read(h, "hard/d", CO_I32, NULL, &out));
  assert_int_equal(out, 5);
  OK(co_h5_close(h));
}

static void make_odd(hid_t file, const char *name, hid_t type, int rank, const hsize_t *extent,
                     hid_t plist) {
  hid_t space = rank < 0 ? H5Screate(H5S_NULL) : H5Screate_simple(rank, extent, NULL);
  hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
  if (set < 0) H5Eprint2(H5E_DEFAULT, stderr);
  assert_true(set >= 0);
  H5Dclose(set);
  H5Sclose(space);
}

static void make_virtual(hid_t file) {
  hsize_t extent = 4;
  hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &extent, NULL);
  H5Pset_virtual(plist, space, "other.h5", "d", space);
  make_odd(file, "virtual", H5T_STD_I32LE, 1, &extent, plist);
  H5Sclose(space);
  H5Pclose(plist);
}

static void make_external(hid_t file) {
  hsize_t extent = 4;
  hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_external(plist, "/etc/passwd", 0, 16);
  make_odd(file, "external", H5T_STD_I32LE, 1, &extent, plist);
  H5Pclose(plist);
}

static void make_chunked(hid_t file, const char *name, hsize_t extent, hsize_t chunk, bool filter) {
  hsize_t unlimited = H5S_UNLIMITED;
  hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &extent, &unlimited);
  H5Pset_chunk(plist, 1, &chunk);
  if (filter) H5Pset_scaleoffset(plist, H5Z_SO_INT, 4);
  hid_t set = H5Dcreate2(file, name, H5T_STD_I64LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
  if (set < 0) H5Eprint2(H5E_DEFAULT, stderr);
  assert_true(set >= 0);
  H5Dclose(set);
  H5Sclose(space);
  H5Pclose(plist);
}

static void odd_datasets_are_refused(void **state) {
  fixture *f = *state;
  hsize_t extent[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  hid_t file = H5Fcreate("a.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t compound = H5Tcreate(H5T_COMPOUND, 8), vlen = H5Tvlen_create(H5T_NATIVE_INT);
  hid_t colours = boolean_type("RED");
  H5Tinsert(compound, "x", 0, H5T_NATIVE_DOUBLE);
  make_virtual(file);
  make_external(file);
  make_chunked(file, "filter", 100, 10, true);
  make_chunked(file, "huge", (hsize_t)1 << 40, 1000, false);
  make_chunked(file, "product", (hsize_t)1 << 60, 1000, false);
  make_chunked(file, "fat chunk", 1, (hsize_t)1 << 28, false);
  make_odd(file, "rank", H5T_STD_I32LE, 7, extent, H5P_DEFAULT);
  make_odd(file, "null", H5T_STD_I32LE, -1, NULL, H5P_DEFAULT);
  make_odd(file, "compound", compound, 1, extent, H5P_DEFAULT);
  make_odd(file, "vlen", vlen, 1, extent, H5P_DEFAULT);
  make_odd(file, "colours", colours, 1, extent, H5P_DEFAULT);
  make_odd(file, "reference", H5T_STD_REF_OBJ, 1, extent, H5P_DEFAULT);
  make_odd(file, "bits", H5T_STD_B8LE, 1, extent, H5P_DEFAULT);
  H5Tcommit2(file, "type", compound, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Tclose(compound);
  H5Tclose(vlen);
  H5Tclose(colours);
  H5Fclose(file);
  co_h5 *h = reopen(f, "a.h5");
  static const char *const cases[][2] = {
      {"virtual", "virtual"},          {"external", "another file"}, {"filter", "filter"},
      {"huge", "far larger"},          {"product", "far larger"},    {"fat chunk", "far larger"},
      {"rank", "too many dimensions"}, {"null", "no array"},         {"compound", "not supported"},
      {"vlen", "not supported"},       {"colours", "not supported"}, {"reference", "not supported"},
      {"bits", "not supported"},       {"type", "not a dataset"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    co_h5_info info;
    int64_t out, count;
    char **text;
    FAILS(co_h5_get_info(h, cases[i][0], &info), CO_ERR_DATA, cases[i][1]);
    FAILS(co_h5_read(h, cases[i][0], CO_I64, NULL, &out), CO_ERR_DATA, cases[i][1]);
    FAILS(co_h5_read_rows(h, cases[i][0], CO_I64, 0, 1, &out), CO_ERR_DATA, cases[i][1]);
    FAILS(co_h5_read_strings(h, cases[i][0], f->arena, &text, &count), CO_ERR_DATA, cases[i][1]);
    FAILS(co_h5_get_offset(h, cases[i][0], &out), CO_ERR_DATA, cases[i][1]);
    assert_non_null(strstr(co_error_last()->message, cases[i][0]));
  }
  assert_false(co_h5_exists(h, "type"));
  OK(co_h5_close(h));
}

static void a_file_may_be_open_twice(void **state) {
  fixture *f = *state;
  co_shape one = co_shape_make(1, (int64_t)1);
  int32_t value = 9, out = 0;
  co_h5 *a, *b;
  OK(co_h5_create(&a, f->ctx, "a.h5"));
  OK(co_h5_write(a, "d", CO_I32, &one, &value, NULL, true));
  OK(co_h5_close(a));
  a = reopen(f, "a.h5");
  b = reopen(f, "a.h5");
  OK(co_h5_read(a, "d", CO_I32, NULL, &out));
  OK(co_h5_close(a));
  OK(co_h5_read(b, "d", CO_I32, NULL, &out));
  assert_int_equal(out, 9);
  OK(co_h5_close(b));
  OK(co_h5_close(NULL));
  co_h5_abandon(NULL);
  char version[16];
  co_h5_version(version, sizeof version);
  assert_true(version[0] >= '1' && strchr(version, '.'));
}

// ---- writing the same bytes, and failing to ----------------------------------------------------

// A bit of everything.
static co_status write_sample(co_context *ctx, const char *path) {
  static const char *const words[] = {"one", "two", ""};
  static const co_h5_storage packed = {64, 1, true}, plain_chunks = {100, 0, false};
  static float data[3000];
  co_shape shape = co_shape_make(2, (int64_t)1000, (int64_t)3);
  co_status status;
  co_h5 *h = NULL;
  for (int i = 0; i < 3000; i++)
    data[i] = (float)(i % 17);
  CO_TRY(co_h5_create(&h, ctx, path));
  CO_TRY(co_h5_make_group(h, "a/b/c"));
  CO_TRY(co_h5_write(h, "a/plain", CO_F32, &shape, data, NULL, true));
  CO_TRY(co_h5_write(h, "a/packed", CO_F32, &shape, data, &packed, false));
  CO_TRY(co_h5_create_dataset(h, "rows", CO_F32, &shape, &plain_chunks));
  for (int64_t row = 0; row < 1000; row += 250)
    CO_TRY(co_h5_write_rows(h, "rows", row, 250, data));
  CO_TRY(co_h5_write_strings(h, "words", words, 3));
  CO_TRY(co_h5_set_strings(h, "/", "words", words, 3));
  CO_TRY(co_h5_set_string(h, "a", "title", "sample"));
  CO_TRY(co_h5_set_int(h, "rows", "n", 1));
  CO_TRY(co_h5_set_double(h, "rows", "x", 0.5));
  status = co_h5_close(h);
  h = NULL;
cleanup:
  co_h5_abandon(h);
  return status;
}

static co_status read_sample(co_context *ctx, const char *path) {
  float *data = NULL;
  double *wide = NULL;
  char **text;
  int64_t count;
  co_arena *arena = NULL;
  co_status status;
  co_h5 *h = NULL;
  CO_TRY(co_h5_open(&h, ctx, path, CO_ERR_DATA));
  CO_TRY(co_arena_create(&arena, ctx));
  status = CO_ERR_MEMORY;
  if (!(data = co_alloc(ctx, 3000 * sizeof *data))) goto cleanup;
  if (!(wide = co_alloc(ctx, 3000 * sizeof *wide))) goto cleanup;
  CO_TRY(co_h5_read(h, "a/plain", CO_F32, NULL, data));
  CO_TRY(co_h5_read(h, "a/packed", CO_F64, NULL, wide));
  CO_TRY(co_h5_read_rows(h, "rows", CO_F32, 500, 400, data));
  CO_TRY(co_h5_read_strings(h, "words", arena, &text, &count));
  CO_TRY(co_h5_get_strings(h, "/", "words", arena, &text, &count));
  CO_TRY(co_h5_get_string(h, "a", "title", arena, text));
  CO_TRY(co_h5_list(h, "/", arena, &text, &count));
  status = co_h5_close(h);
  h = NULL;
cleanup:
  co_free(ctx, data);
  co_free(ctx, wide);
  co_arena_free(arena);
  co_h5_abandon(h);
  return status;
}

static unsigned char *contents(const char *path, size_t *size) {
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  unsigned char *bytes = malloc((size_t)info.st_size);
  FILE *stream = fopen(path, "rb");
  *size = fread(bytes, 1, (size_t)info.st_size, stream);
  fclose(stream);
  return bytes;
}

// Neither the clock nor what memory held before may show.
static void equal_contents_give_equal_bytes(void **state) {
  fixture *f = *state;
  size_t a_size, b_size;
  mallopt(M_PERTURB, 0x55);
  OK(write_sample(f->ctx, "a.h5"));
  mallopt(M_PERTURB, 0xC3);
  struct timespec wait = {1, 100000000};
  nanosleep(&wait, NULL);
  OK(write_sample(f->ctx, "b.h5"));
  mallopt(M_PERTURB, 0);
  unsigned char *a = contents("a.h5", &a_size), *b = contents("b.h5", &b_size);
  assert_int_equal(a_size, b_size);
  assert_memory_equal(a, b, a_size);
  free(a);
  free(b);
  OK(read_sample(f->ctx, "a.h5"));
}

static void nothing_leaks(co_context *ctx, int64_t live) {
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, live);
  assert_true(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL) <= 0);
}

static void every_failing_write_is_reported(void **state) {
  fixture *f = *state;
  int64_t live = co_alloc_get_stats(f->ctx).live_blocks;
  for (int persistent = 0; persistent <= 1; persistent++) {
    int failures = 0;
    for (int n = 1;; n++) {
      co_io_fail_at(f->ctx, n, persistent, ENOSPC);
      int64_t before = co_io_calls(f->ctx);
      co_status status = write_sample(f->ctx, "a.h5");
      int64_t calls = co_io_calls(f->ctx) - before;
      co_io_fail_at(f->ctx, 0, false, 0);
      nothing_leaks(f->ctx, live);
      if (status == CO_OK) {
        assert_true(calls < n); // the fault was never reached
        break;
      }
      failures++;
      assert_int_equal(status, CO_ERR_IO);
      assert_int_equal(calls, n); // nothing is tried after a failure
      assert_non_null(strstr(co_error_last()->message, "'a.h5'"));
      assert_non_null(strstr(co_error_last()->message, "No space left on device"));
    }
    assert_true(failures > 10);
    OK(read_sample(f->ctx, "a.h5"));
  }
}

static void every_failing_allocation_is_survived(void **state) {
  fixture *f = *state;
  int64_t live = co_alloc_get_stats(f->ctx).live_blocks;
  for (int kind = 0; kind < 4; kind++) {
    int failures = 0;
    for (int n = 1;; n++) {
      co_alloc_fail_at(f->ctx, n, kind % 2);
      co_status status = kind / 2 ? read_sample(f->ctx, "a.h5") : write_sample(f->ctx, "a.h5");
      co_alloc_fail_at(f->ctx, 0, false);
      nothing_leaks(f->ctx, live);
      if (status == CO_OK) break;
      failures++;
      assert_int_equal(status, CO_ERR_MEMORY);
      assert_int_equal(co_error_last()->status, CO_ERR_MEMORY);
    }
    assert_true(failures >= (kind / 2 ? 8 : 3));
  }
}

static void a_full_device_is_reported(void **state) {
  fixture *f = *state;
  FAILS(write_sample(f->ctx, "/dev/full"), CO_ERR_IO, "No space left on device");
  FAILS(write_sample(f->ctx, "no/such/a.h5"), CO_ERR_IO, "No such file");
  FAILS(write_sample(f->ctx, "."), CO_ERR_IO, "Is a directory");
}

// A real limit, at many places, in children that must exit cleanly with the library's own clean-up.
static void a_size_limit_is_reported(void **state) {
  fixture *f = *state;
  struct stat info;
  OK(write_sample(f->ctx, "a.h5"));
  assert_int_equal(stat("a.h5", &info), 0);
  for (int i = 0; i <= 8; i++) {
    off_t limit = info.st_size * i / 8;
    pid_t child = fork();
    if (child == 0) {
      struct rlimit rule = {(rlim_t)limit, (rlim_t)limit};
      signal(SIGXFSZ, SIG_IGN);
      setrlimit(RLIMIT_FSIZE, &rule);
      co_status status = write_sample(f->ctx, "b.h5");
      exit(status == CO_ERR_IO && strstr(co_error_last()->message, "'b.h5'") ? 3
           : status == CO_OK                                                 ? 4
                                                                             : 5);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), limit < info.st_size ? 3 : 4);
  }
}

static void abandoned_files_are_harmless(void **state) {
  fixture *f = *state;
  co_shape shape = co_shape_make(1, (int64_t)10000);
  static double data[10000];
  co_h5_storage chunked = {1000, 1, false};
  co_h5 *h;
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  OK(co_h5_write(h, "d", CO_F64, &shape, data, &chunked, true));
  co_h5_abandon(h);
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  co_io_fail_at(f->ctx, 1, false, EIO);
  FAILS(co_h5_write(h, "d", CO_F64, &shape, data, NULL, true), CO_ERR_IO, "Input/output error");
  FAILS(co_h5_set_int(h, "/", "x", 1), CO_ERR_IO, "Input/output error"); // it sticks
  FAILS(co_h5_close(h), CO_ERR_IO, "Input/output error");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(every_type_and_layout_comes_back),
      TEST(odd_shapes_come_back),
      TEST(rows_are_written_one_by_one),
      TEST(contiguous_data_can_be_mapped),
      TEST(foreign_numbers_are_widened),
      TEST(conversions_lose_nothing),
      TEST(flipped_bits_are_noticed),
      TEST(damaged_files_are_named),
      TEST(texts_come_back),
      TEST(foreign_texts_are_read),
      TEST(members_are_listed_in_order),
      TEST(links_are_refused),
      TEST(odd_datasets_are_refused),
      TEST(a_file_may_be_open_twice),
      TEST(equal_contents_give_equal_bytes),
      TEST(every_failing_write_is_reported),
      TEST(every_failing_allocation_is_survived),
      TEST(a_full_device_is_reported),
      TEST(a_size_limit_is_reported),
      TEST(abandoned_files_are_harmless),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
