// SPDX-License-Identifier: Apache-2.0
// What Cohort writes comes back: numbers, texts, members.
#include "tests/unit/h5_fixture.h"

#include <fcntl.h>

#include "host/core/hash.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
      H5_TEST(every_type_and_layout_comes_back),
      H5_TEST(odd_shapes_come_back),
      H5_TEST(rows_are_written_one_by_one),
      H5_TEST(contiguous_data_can_be_mapped),
      H5_TEST(texts_come_back),
      H5_TEST(foreign_texts_are_read),
      H5_TEST(members_are_listed_in_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
