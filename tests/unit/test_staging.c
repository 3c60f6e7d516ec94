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

static co_staging_field fields[] = {{true, 0, 8}, {true, 2, 785}, {false, 1, 4}};

// Marks each byte of a packet with who owns it.
static void claim(unsigned char *owner, size_t begin, size_t bytes, unsigned char mark) {
  for (size_t i = begin; i < begin + bytes; i++) {
    assert_int_equal(owner[i], 0);
    owner[i] = mark;
  }
}

static void check(int64_t micro_rows, int64_t rows) {
  co_staging_layout layout = {fields, 3, micro_rows};
  size_t bytes = co_staging_bytes(&layout, rows);
  unsigned char *owner = calloc(bytes, 1), mark = 0;
  int64_t total = 0;
  assert_non_null(owner);
  for (int64_t part = 0; part < co_staging_parts(&layout, rows); part++) {
    int64_t in_part = co_staging_part_rows(&layout, rows, part);
    assert_true(in_part > 0 && in_part <= micro_rows);
    total += in_part;
    size_t at = co_staging_part_offset(&layout, part);
    assert_int_equal(at % 256, 0);
    claim(owner, at, sizeof(co_step), ++mark);
    for (int64_t f = 0; f < 3; f++) {
      at = co_staging_field_offset(&layout, rows, part, f);
      assert_int_equal(at % 256, 0);
      size_t size = (size_t)in_part * fields[f].row_bytes;
      assert_true(at + size <= bytes);
      claim(owner, at, size, ++mark);
    }
  }
  assert_int_equal(total, rows);
  free(owner);
}

static void test_rooms(void **state) {
  (void)state;
  check(8, 8);
  check(8, 3);
  check(8, 16);
  check(8, 21);
  check(1, 5);
  check(128, 60);
}

// A part lies where it lies in a full batch, so that captured_graphs of both read the same addresses.
static void test_parts_of_all_sizes(void **state) {
  (void)state;
  co_staging_layout layout = {fields, 3, 8};
  assert_true(co_staging_bytes(&layout, 21) <= co_staging_bytes(&layout, 24));
  for (int64_t f = 0; f < 3; f++)
    assert_int_equal(co_staging_field_offset(&layout, 21, 1, f),
                     co_staging_field_offset(&layout, 24, 1, f));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rooms),
                                     cmocka_unit_test(test_parts_of_all_sizes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
