// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/rng.h"

// The known answers of Random123 1.14 (tests/kat_vectors), philox4x32 with 10 rounds.
static void philox_gives_known_answers(void **unused) {
  (void)unused;
  static const struct {
    uint64_t seed, block;
    uint32_t step, purpose, word[4];
  } cases[] = {
      {0, 0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {~0ull, ~0ull, ~0u, ~0u, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {0x299f31d0a4093822ull,
       0x85a308d3243f6a88ull,
       0x13198a2e,
       0x03707344,
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    co_philox_block b = co_philox(cases[i].seed, cases[i].block, cases[i].step, cases[i].purpose);
    assert_memory_equal(b.word, cases[i].word, sizeof b.word);
  }
}

static void elements_are_words_of_blocks(void **unused) {
  (void)unused;
  for (uint64_t index = ((uint64_t)1 << 35) - 9; index < ((uint64_t)1 << 35) + 9; index++)
    assert_int_equal(co_random_bits(42, index, 3, 4),
                     co_philox(42, index / 4, 3, 4).word[index % 4]);
}

static void uniforms_stay_below_one(void **unused) {
  (void)unused;
  assert_true(co_uniform_from_bits(0) == 0.0f);
  assert_true(co_uniform_from_bits(0xFFu) == 0.0f);
  assert_true(co_uniform_from_bits(0x100u) == 0x1p-24f);
  assert_true(co_uniform_from_bits(0xFFFFFFFFu) == 1.0f - 0x1p-24f);
}

static void purposes_are_fnv1a(void **unused) {
  (void)unused;
  assert_int_equal(co_purpose("", ""), (2166136261u ^ ':') * 16777619u);
  assert_int_equal(co_purpose("a", "b"), co_purpose("a", "b"));
  assert_int_not_equal(co_purpose("dropout", "x"), co_purpose("dropout", "y"));
  // "foobar" is 0xbf9cf968 in the published test vectors; a ':' in the middle continues it.
  uint32_t hash = 0xbf9cf968u;
  for (const char *p = ":x"; *p; p++)
    hash = (hash ^ (unsigned char)*p) * 16777619u;
  assert_int_equal(co_purpose("foobar", "x"), hash);
}

static void check_bijection(uint64_t n, unsigned char *seen) {
  memset(seen, 0, n);
  for (uint64_t i = 0; i < n; i++) {
    uint64_t to = co_permute(7, 1, 2, n, i);
    assert_true(to < n);
    assert_int_equal(seen[to], 0);
    seen[to] = 1;
  }
}

static void permutations_are_bijections(void **unused) {
  (void)unused;
  static const uint64_t large[] = {4095, 4096, 4097, 60000, 65536, 65537, 200003};
  unsigned char *seen = malloc(200003);
  for (uint64_t n = 1; n <= 300; n++)
    check_bijection(n, seen);
  for (size_t i = 0; i < sizeof large / sizeof *large; i++)
    check_bijection(large[i], seen);
  free(seen);
}

static void the_largest_domains_work(void **unused) {
  (void)unused;
  static const uint64_t n[] = {((uint64_t)1 << 32) + 1, ((uint64_t)1 << 62) + 1, UINT64_MAX};
  for (size_t i = 0; i < sizeof n / sizeof *n; i++) {
    uint64_t a = co_permute(1, 0, 0, n[i], 0), b = co_permute(1, 0, 0, n[i], n[i] - 1);
    assert_true(a < n[i] && b < n[i] && a != b);
  }
}

// All orders of n elements are equally likely over epochs: a chi-square test with 23 degrees of
// freedom (its 99.99 % quantile is 56) for n = 4, and the counts for n = 2.
static void small_orders_are_uniform(void **unused) {
  (void)unused;
  enum { TRIALS = 24000 };
  int count[256] = {0}, identity = 0;
  for (uint32_t epoch = 0; epoch < TRIALS; epoch++) {
    unsigned code = 0;
    for (uint64_t i = 0; i < 4; i++)
      code = code << 2 | (unsigned)co_permute(5, epoch, 9, 4, i);
    count[code]++;
    identity += co_permute(5, epoch, 9, 2, 0) == 0;
  }
  double chi = 0;
  int kinds = 0;
  for (int i = 0; i < 256; i++) {
    if (!count[i]) continue;
    kinds++;
    chi += (count[i] - 1000.0) * (count[i] - 1000.0) / 1000.0;
  }
  assert_int_equal(kinds, 24);
  assert_true(chi < 56);
  assert_in_range(identity, TRIALS / 2 - 400, TRIALS / 2 + 400);
}

// Where an element lands depends on every key, and evenly: 99.99 % quantile at 99 is 161.
static void keys_and_places_mix(void **unused) {
  (void)unused;
  enum { N = 100 };
  int count[N] = {0}, same[3] = {0};
  for (uint32_t epoch = 0; epoch < 10000; epoch++)
    count[co_permute(1, epoch, 0, N, 17)]++;
  double chi = 0;
  for (int i = 0; i < N; i++)
    chi += (count[i] - 100.0) * (count[i] - 100.0) / 100.0;
  assert_true(chi < 161);
  for (uint64_t i = 0; i < 1000; i++) {
    uint64_t base = co_permute(1, 1, 1, 1000, i);
    same[0] += base == co_permute((uint64_t)1 << 32 | 1, 1, 1, 1000, i);
    same[1] += base == co_permute(1, 2, 1, 1000, i);
    same[2] += base == co_permute(1, 1, 2, 1000, i);
  }
  for (int i = 0; i < 3; i++)
    assert_in_range(same[i], 0, 10);
}

// Pins the bits: data orders must not change between releases unnoticed.
static void permutation_is_pinned(void **unused) {
  (void)unused;
  static const uint64_t expected[10] = {9, 4, 5, 3, 2, 7, 0, 1, 6, 8};
  for (uint64_t i = 0; i < 10; i++)
    assert_int_equal(co_permute(42, 3, 1, 10, i), expected[i]);
}

// Moments of 40,000 numbers within five deviations of those of N(0, 1); numbers of a row do not depend on
// how many rows there are.
static void normals_are_normal(void **unused) {
  (void)unused;
  enum { ROWS = 8000, WIDTH = 5, ALL = ROWS * WIDTH };
  static float z[ALL];
  for (uint64_t row = 0; row < ROWS; row++)
    co_normals(7, row, 2, 3, WIDTH, z + row * WIDTH);
  double moments[5] = {0}, neighbours = 0, beyond = 0;
  for (int i = 0; i < ALL; i++) {
    for (int k = 1; k < 5; k++)
      moments[k] += pow((double)z[i], k) / ALL;
    if (i) neighbours += (double)z[i] * (double)z[i - 1] / ALL;
    beyond += fabs((double)z[i]) > 1.959964;
  }
  const double deviation = 1 / sqrt(ALL);
  assert_true(fabs(moments[1]) < 5 * deviation);
  assert_true(fabs(moments[2] - 1) < 5 * sqrt(2) * deviation);
  assert_true(fabs(moments[3]) < 5 * sqrt(15) * deviation);
  assert_true(fabs(moments[4] - 3) < 5 * sqrt(96) * deviation);
  assert_true(fabs(neighbours) < 5 * deviation);
  assert_true(fabs(beyond / ALL - 0.05) < 5 * sqrt(0.05 * 0.95) * deviation);
  float again[WIDTH], other[WIDTH];
  co_normals(7, 4321, 2, 3, WIDTH, again);
  assert_memory_equal(again, z + 4321 * WIDTH, sizeof again);
  co_normals(7, 4321, 1, 3, WIDTH, other);
  assert_memory_not_equal(again, other, sizeof again);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(philox_gives_known_answers),  cmocka_unit_test(elements_are_words_of_blocks),
      cmocka_unit_test(uniforms_stay_below_one),     cmocka_unit_test(purposes_are_fnv1a),
      cmocka_unit_test(permutations_are_bijections), cmocka_unit_test(the_largest_domains_work),
      cmocka_unit_test(small_orders_are_uniform),    cmocka_unit_test(keys_and_places_mix),
      cmocka_unit_test(permutation_is_pinned),       cmocka_unit_test(normals_are_normal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
