// SPDX-License-Identifier: Apache-2.0
// Packets: every part and field has room of its own, aligned, and a smaller batch is a prefix.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/exec/staging.h"

#define ROW(dtype, ...)                                                                            \
  {                                                                                                \
    dtype, CO_LAYOUT_CANONICAL, {                                                                  \
      2, {                                                                                         \
        1, __VA_ARGS__                                                                             \
      }                                                                                            \
    }                                                                                              \
  }

// Row numbers, images, targets, and events of table 1.
static co_staging_field fields[] = {{true, 0, ROW(CO_I64, 1)},
                                    {true, 2, ROW(CO_U8, 785)},
                                    {false, 1, ROW(CO_F32, 1)},
                                    {true, 4, ROW(CO_F32, CO_DIM_T(1))}};
enum { FIELDS = sizeof fields / sizeof *fields };

static co_shape_class class_of(int64_t rows, int64_t t) {
  return (co_shape_class){.rows = rows, .t = {1000, t}};
}

// Marks each byte of a packet with who owns it.
static void claim(unsigned char *owner, size_t begin, size_t bytes, unsigned char mark) {
  for (size_t i = begin; i < begin + bytes; i++) {
    assert_int_equal(owner[i], 0);
    owner[i] = mark;
  }
}

static void check(int64_t micro_rows, int64_t rows, int64_t t) {
  static const size_t row_bytes[] = {8, 785, 4};
  co_staging_layout layout = {fields, FIELDS, micro_rows};
  const co_shape_class shape = class_of(rows, t);
  size_t bytes = co_staging_bytes(&layout, &shape);
  unsigned char *owner = calloc(bytes, 1), mark = 0;
  int64_t total = 0;
  assert_non_null(owner);
  for (int64_t part = 0; part < co_staging_parts(&layout, rows); part++) {
    int64_t in_part = co_staging_part_rows(&layout, rows, part);
    assert_true(in_part > 0 && in_part <= micro_rows);
    total += in_part;
    size_t at = co_staging_part_offset(&layout, &shape, part);
    assert_int_equal(at % 256, 0);
    claim(owner, at, sizeof(co_step), ++mark);
    for (int64_t f = 0; f < FIELDS; f++) {
      at = co_staging_field_offset(&layout, &shape, part, f);
      assert_int_equal(at % 256, 0);
      size_t size = (size_t)in_part * (f < 3 ? row_bytes[f] : 4 * (size_t)t);
      assert_true(at + size <= bytes);
      claim(owner, at, size, ++mark);
    }
  }
  assert_int_equal(total, rows);
  free(owner);
}

static void test_rooms(void **state) {
  (void)state;
  check(8, 8, 40);
  check(8, 3, 1);
  check(8, 16, 7);
  check(8, 21, 7);
  check(1, 5, 7);
  check(128, 60, 7);
}

// A part lies where it lies in a full batch, so that captured graphs of both read the same addresses.
static void test_parts_of_all_sizes(void **state) {
  (void)state;
  co_staging_layout layout = {fields, FIELDS, 8};
  const co_shape_class some = class_of(21, 5), full = class_of(24, 5);
  assert_true(co_staging_bytes(&layout, &some) <= co_staging_bytes(&layout, &full));
  for (int64_t f = 0; f < FIELDS; f++)
    assert_int_equal(co_staging_field_offset(&layout, &some, 1, f),
                     co_staging_field_offset(&layout, &full, 1, f));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rooms),
                                     cmocka_unit_test(test_parts_of_all_sizes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
