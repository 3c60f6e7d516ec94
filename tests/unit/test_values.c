// SPDX-License-Identifier: Apache-2.0
// Values of a table, in memory and in a file.
#include "tests/unit/data_fixture.h"

#include <errno.h>
#include <math.h>

#include "datasets/values.h"

enum { BLOCKS = 5, ROWS = 700 };

static double number(int block, int row) {
  return row % 7 == 0 ? NAN : block == 3 ? row + 0.1 : row + 0.5;
}

static uint32_t word(int block, int row) {
  int count = block == 2 ? ROWS : block == 4 ? 254 : 3; // of which the last is there only once
  return row % 5 == 0 ? CO_NO_WORD : (uint32_t)(row % count);
}

static void append(co_values *v, int block) {
  double numbers[ROWS];
  uint32_t words[ROWS], word_of[ROWS];
  for (int i = 0; i < ROWS; i++) {
    numbers[i] = number(block, i);
    words[i] = word(block, i);
    word_of[i] = (uint32_t)(1000 * block + i);
  }
  const co_column_values columns[] = {
      {.kind = CO_VALUES_NUMBERS, .values = numbers, .wide = block == 3},
      {.kind = block ? CO_VALUES_WORDS : CO_VALUES_NONE,
       .values = words,
       .word_of = word_of,
       .word_count = block == 2   ? ROWS
                     : block == 4 ? 254
                                  : 3},
      {.kind = block == 1 ? CO_VALUES_NUMBERS : CO_VALUES_DATES, .values = numbers},
      {.kind = CO_VALUES_ENCODED, .values = words, .width = sizeof *words}};
  assert_int_equal(co_values_append(v, ROWS, columns), CO_OK);
}

static void check_block(const co_values *v, int block) {
  double numbers[ROWS];
  int32_t words[ROWS];
  co_values_numbers(v, 0, numbers);
  co_values_words(v, 1, words);
  const uint32_t *encoded = co_values_encoded(v, 3);
  for (int i = 0; i < ROWS; i++) {
    double wanted = number(block, i);
    assert_true(numbers[i] == wanted || (isnan(numbers[i]) && isnan(wanted)));
    assert_true(encoded[i] == word(block, i));
    bool missing = !block || word(block, i) == CO_NO_WORD;
    assert_int_equal(words[i], missing ? -1 : 1000 * block + (int)word(block, i));
  }
}

static void values_come_back(void **state) {
  fixture *f = *state;
  static const size_t memory[] = {1 << 20, 12000, 0}; // all, some, none
  for (int m = 0; m < 3; m++) {
    co_values *v;
    int64_t rows;
    assert_int_equal(co_values_create(&v, f->ctx, "out.h5", memory[m]), CO_OK);
    for (int pass = 0; pass < 2; pass++) {
      assert_int_equal(co_values_clear(v, 4), CO_OK);
      for (int block = 0; block < BLOCKS; block++)
        append(v, block);
      assert_int_equal(co_values_rows(v), BLOCKS * ROWS);
      assert_int_equal(co_values_kind(v, 0), CO_VALUES_NUMBERS);
      assert_int_equal(co_values_kind(v, 1), CO_VALUES_WORDS);
      assert_int_equal(co_values_kind(v, 2), CO_VALUES_UNKNOWN);
      for (int block = 0; block < BLOCKS; block++) {
        assert_int_equal(co_values_next(v, &rows), CO_OK);
        assert_int_equal(rows, ROWS);
        check_block(v, block);
      }
      assert_int_equal(co_values_next(v, &rows), CO_OK);
      assert_int_equal(rows, 0);
    }
    co_values_free(v);
  }
}

static void full_disks_are_told(void **state) {
  fixture *f = *state;
  co_values *v;
  assert_int_equal(co_values_create(&v, f->ctx, "out.h5", 0), CO_OK);
  assert_int_equal(co_values_clear(v, 1), CO_OK);
  const double number_[] = {1};
  const co_column_values column = {.kind = CO_VALUES_NUMBERS, .values = number_};
  for (int nth = 1; nth <= 2; nth++) {
    co_io_fail_at(f->ctx, nth, false, ENOSPC);
    assert_int_equal(co_values_append(v, 1, &column), CO_ERR_IO);
  }
  co_values_free(v);
}

int main(void) {
  const struct CMUnitTest tests[] = {DATA_TEST(values_come_back), DATA_TEST(full_disks_are_told)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
