// SPDX-License-Identifier: Apache-2.0
// Files of others: numbers that are converted, damage, objects that are refused.
#include "tests/unit/h5_fixture.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

#include "host/core/file.h"
#include "host/core/hash.h"

// ---- conversions -------------------------------------------------------------------------------

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

// As a member of an archive is.
static void a_file_may_lie_within_another(void **state) {
  fixture *f = *state;
  co_shape one = co_shape_make(1, (int64_t)1);
  int32_t value = 9, out = 0;
  char *bytes;
  size_t length;
  co_h5 *h;
  OK(co_h5_create(&h, f->ctx, "a.h5"));
  OK(co_h5_write(h, "d", CO_I32, &one, &value, NULL, true));
  OK(co_h5_close(h));
  OK(co_read_file(f->ctx, "a.h5", 1 << 20, CO_ERR_DATA, &bytes, &length));
  FILE *outer = fopen("outer", "w");
  fputs("three", outer);
  assert_int_equal(fwrite(bytes, 1, length, outer), length);
  fputs("more", outer);
  fclose(outer);
  co_free(f->ctx, bytes);
  FAILS(co_h5_open(&h, f->ctx, "outer", CO_ERR_DATA), CO_ERR_DATA, "is not an HDF5 file");
  OK(co_h5_open_part(&h, f->ctx, "outer", 5, length, CO_ERR_DATA));
  OK(co_h5_read(h, "d", CO_I32, NULL, &out));
  assert_int_equal(out, 9);
  OK(co_h5_close(h));
  FAILS(co_h5_open_part(&h, f->ctx, "outer", 5, length - 1, CO_ERR_DATA), CO_ERR_DATA,
        "'outer' is truncated or damaged: ");
  FAILS(co_h5_open_part(&h, f->ctx, "outer", 4, length, CO_ERR_DATA), CO_ERR_DATA,
        "'outer' is truncated or damaged: ");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      H5_TEST(foreign_numbers_are_widened), H5_TEST(conversions_lose_nothing),
      H5_TEST(flipped_bits_are_noticed),    H5_TEST(damaged_files_are_named),
      H5_TEST(links_are_refused),           H5_TEST(odd_datasets_are_refused),
      H5_TEST(a_file_may_be_open_twice),    H5_TEST(a_file_may_lie_within_another),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
