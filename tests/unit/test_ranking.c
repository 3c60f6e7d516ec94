// SPDX-License-Identifier: Apache-2.0
// Places among any number of rows, and keys that occur twice: in memory, and in many runs in a file.
#include "tests/unit/data_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/key_check.h"
#include "host/core/rng.h"
#include "host/eval/ranking.h"

enum { ROWS = 20000, COLUMNS = 3 };

// All different but for chance, few different ones of both signs and zeros, all equal.
static float score_of(int column, int row) {
  uint32_t bits = co_random_bits(1, (uint64_t)row, (uint32_t)column, 7);
  if (column == 0) return (float)(bits >> 8) * 0x1p-24F - 100;
  if (column == 1) return row % 4 == 0 ? -0.0F : row % 4 == 1 ? 0.0F : (float)(bits % 5) - 2;
  return 0.25F;
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static int64_t count_higher(const float *sorted, float score) {
  int64_t low = 0, high = ROWS;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (sorted[middle] > score)
      high = middle;
    else
      low = middle + 1;
  }
  return ROWS - low;
}

static void check_ranks(fixture *f, size_t memory, float *const *sorted) {
  co_ranking *ranking;
  int64_t ranks[COLUMNS];
  float row[2], scores[COLUMNS];
  const co_ranking_options options = {
      .columns = COLUMNS, .width = 2, .memory = memory, .beside = "scores"};
  assert_int_equal(co_ranking_create(&ranking, f->ctx, &options), CO_OK);
  for (int i = 0; i < ROWS; i++) {
    for (int c = 0; c < COLUMNS; c++)
      scores[c] = score_of(c, i);
    row[0] = (float)i;
    row[1] = scores[0];
    assert_int_equal(co_ranking_add(ranking, scores, row), CO_OK);
  }
  assert_int_equal(co_ranking_sort(ranking), CO_OK);
  for (int i = 0; i < ROWS; i++) {
    assert_int_equal(co_ranking_next(ranking, row, ranks), CO_OK);
    assert_true(row[0] == (float)i && row[1] == score_of(0, i));
    for (int c = 0; c < COLUMNS; c++)
      assert_int_equal(ranks[c], count_higher(sorted[c], score_of(c, i)) + 1);
  }
  co_ranking_free(ranking);
}

static void ranks_are_counts_of_higher_scores(void **state) {
  fixture *f = *state;
  float *sorted[COLUMNS];
  for (int c = 0; c < COLUMNS; c++) {
    sorted[c] = malloc(ROWS * sizeof(float));
    for (int i = 0; i < ROWS; i++)
      sorted[c][i] = score_of(c, i);
    qsort(sorted[c], ROWS, sizeof(float), by_value);
  }
  check_ranks(f, 0, sorted);      // all in memory
  check_ranks(f, 300000, sorted); // some runs
  check_ranks(f, 1, sorted);      // as little as there can be: twenty runs
  for (int c = 0; c < COLUMNS; c++)
    free(sorted[c]);
}

static co_cell key_of(char text[32], int i) {
  snprintf(text, 32, "customer-%d", i);
  return (co_cell){text, strlen(text)};
}

// Adds ROWS keys, of which the `late` one is that of the `early` one.
static void check_keys(fixture *f, size_t memory, int early, int late) {
  co_key_check *check;
  co_repeated_key found;
  char text[32];
  assert_int_equal(co_key_check_create(&check, f->ctx, memory, "keys"), CO_OK);
  for (int i = 0; i < ROWS; i++) {
    // Another key that occurs twice comes later.
    co_cell key = key_of(text, i == late ? early : i == ROWS - 1 && late ? 3 : i);
    assert_int_equal(co_key_check_add(check, &key, i + 1, 2 * i), CO_OK);
  }
  assert_int_equal(co_key_check_find(check, &found), CO_OK);
  assert_int_equal(found.row, late ? late + 1 : 0);
  if (late) {
    assert_int_equal(found.line, 2 * late);
    assert_int_equal(found.first, early + 1);
    assert_int_equal(found.first_line, 2 * early);
  }
  co_key_check_free(check);
}

static void repeated_keys_are_found(void **state) {
  static const size_t memory[] = {16 << 20, 200000, 0};
  for (int m = 0; m < 3; m++) {
    check_keys(*state, memory[m], 0, 0);
    check_keys(*state, memory[m], 17, 18);
    check_keys(*state, memory[m], 0, ROWS - 2);
  }
}

// Of each operation on files in turn.
static void full_disks_are_told(void **state) {
  fixture *f = *state;
  co_status status = CO_ERR_IO;
  for (int nth = 1; status != CO_OK; nth++) {
    const co_ranking_options options = {.columns = 1, .width = 1, .memory = 1, .beside = "scores"};
    co_ranking *ranking;
    float score = 1;
    co_io_fail_at(f->ctx, nth, true, ENOSPC);
    status = co_ranking_create(&ranking, f->ctx, &options);
    for (int i = 0; status == CO_OK && i < 5000; i++)
      status = co_ranking_add(ranking, &score, &score);
    if (status == CO_OK) status = co_ranking_sort(ranking);
    co_io_fail_at(f->ctx, 0, false, 0);
    co_ranking_free(ranking);
    assert_true(status == CO_OK || status == CO_ERR_IO);
    assert_true(status == CO_ERR_IO || nth > 5);
    assert_true(nth < 100);
  }
}

static void a_full_disk_is_told_of_keys(void **state) {
  fixture *f = *state;
  for (int nth = 1; nth <= 2; nth++) {
    co_key_check *check;
    char text[32];
    co_status status = co_key_check_create(&check, f->ctx, 0, "keys");
    co_io_fail_at(f->ctx, nth, true, ENOSPC);
    for (int i = 0; status == CO_OK && i < 2000; i++) {
      co_cell key = key_of(text, i);
      status = co_key_check_add(check, &key, i + 1, i + 1);
    }
    co_io_fail_at(f->ctx, 0, false, 0);
    co_key_check_free(check);
    assert_int_equal(status, CO_ERR_IO);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(ranks_are_counts_of_higher_scores), DATA_TEST(repeated_keys_are_found),
      DATA_TEST(full_disks_are_told), DATA_TEST(a_full_disk_is_told_of_keys)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
