// SPDX-License-Identifier: Apache-2.0
// The Sobol sequence (Sobol 1967; Antonov & Saleev 1979, in the order of Gray codes), with the direction
// numbers new-joe-kuo-6.21201 (Joe & Kuo, "Constructing Sobol sequences with better two-dimensional
// projections", SIAM J. Sci. Comput. 30, 2008), and Owen's scrambling by a hash (Burley, "Practical
// hash-based Owen scrambling", JCGT 9(4), 2020).
#include "host/core/rng.h"
#include "host/tune/sampler.h"

enum { BITS = 32, MOST_INITIAL = 9 };

// Of dimensions from the second on: the primitive polynomial, all its coefficients as bits, and the
// initial numbers, as many as its degree.
static const struct {
  uint32_t polynomial, initial[MOST_INITIAL];
} table[CO_SOBOL_DIMENSIONS - 1] = {{3, {1}},
                                    {7, {1, 3}},
                                    {11, {1, 3, 1}},
                                    {13, {1, 1, 1}},
                                    {19, {1, 1, 3, 3}},
                                    {25, {1, 3, 5, 13}},
                                    {37, {1, 1, 5, 5, 17}},
                                    {41, {1, 1, 5, 5, 5}},
                                    {47, {1, 1, 7, 11, 19}},
                                    {55, {1, 1, 5, 1, 1}},
                                    {59, {1, 1, 1, 3, 11}},
                                    {61, {1, 3, 5, 5, 31}},
                                    {67, {1, 3, 3, 9, 7, 49}},
                                    {91, {1, 1, 1, 15, 21, 21}},
                                    {97, {1, 3, 1, 13, 27, 49}},
                                    {103, {1, 1, 1, 15, 7, 5}},
                                    {109, {1, 3, 1, 15, 13, 25}},
                                    {115, {1, 1, 5, 5, 19, 61}},
                                    {131, {1, 3, 7, 11, 23, 15, 103}},
                                    {137, {1, 3, 7, 13, 13, 15, 69}},
                                    {143, {1, 1, 3, 13, 7, 35, 63}},
                                    {145, {1, 3, 5, 9, 1, 25, 53}},
                                    {157, {1, 3, 1, 13, 9, 35, 107}},
                                    {167, {1, 3, 1, 5, 27, 61, 31}},
                                    {171, {1, 1, 5, 11, 19, 41, 61}},
                                    {185, {1, 3, 5, 3, 3, 13, 69}},
                                    {191, {1, 1, 7, 13, 1, 19, 1}},
                                    {193, {1, 3, 7, 5, 13, 19, 59}},
                                    {203, {1, 1, 3, 9, 25, 29, 41}},
                                    {211, {1, 3, 5, 13, 23, 1, 55}},
                                    {213, {1, 3, 7, 3, 13, 59, 17}},
                                    {229, {1, 3, 1, 3, 5, 53, 69}},
                                    {239, {1, 1, 5, 5, 23, 33, 13}},
                                    {241, {1, 1, 7, 7, 1, 61, 123}},
                                    {247, {1, 1, 7, 9, 13, 61, 49}},
                                    {253, {1, 3, 3, 5, 3, 55, 33}},
                                    {285, {1, 3, 1, 15, 31, 13, 49, 245}},
                                    {299, {1, 3, 5, 15, 31, 59, 63, 97}},
                                    {301, {1, 3, 1, 11, 11, 11, 77, 249}},
                                    {333, {1, 3, 1, 11, 27, 43, 71, 9}},
                                    {351, {1, 1, 7, 15, 21, 11, 81, 45}},
                                    {355, {1, 3, 7, 3, 25, 31, 65, 79}},
                                    {357, {1, 3, 1, 1, 19, 11, 3, 205}},
                                    {361, {1, 1, 5, 9, 19, 21, 29, 157}},
                                    {369, {1, 3, 7, 11, 1, 33, 89, 185}},
                                    {391, {1, 3, 3, 3, 15, 9, 79, 71}},
                                    {397, {1, 3, 7, 11, 15, 39, 119, 27}},
                                    {425, {1, 1, 3, 1, 11, 31, 97, 225}},
                                    {451, {1, 1, 1, 3, 23, 43, 57, 177}},
                                    {463, {1, 3, 7, 7, 17, 17, 37, 71}},
                                    {487, {1, 3, 1, 5, 27, 63, 123, 213}},
                                    {501, {1, 1, 3, 5, 11, 43, 53, 133}},
                                    {529, {1, 3, 5, 5, 29, 17, 47, 173, 479}},
                                    {539, {1, 3, 3, 11, 3, 1, 109, 9, 69}},
                                    {545, {1, 1, 1, 5, 17, 39, 23, 5, 343}},
                                    {557, {1, 3, 1, 5, 25, 15, 31, 103, 499}},
                                    {563, {1, 1, 1, 11, 11, 17, 63, 105, 183}},
                                    {601, {1, 1, 5, 11, 9, 29, 97, 231, 363}},
                                    {607, {1, 1, 5, 15, 19, 45, 41, 7, 383}},
                                    {617, {1, 3, 7, 7, 31, 19, 83, 137, 221}},
                                    {623, {1, 1, 1, 3, 23, 15, 111, 223, 83}},
                                    {631, {1, 1, 5, 13, 31, 15, 55, 25, 161}},
                                    {637, {1, 1, 3, 13, 25, 47, 39, 87, 257}}};

static void directions(int d, uint32_t v[BITS]) {
  if (d == 0) {
    for (int i = 0; i < BITS; i++)
      v[i] = 1u << (BITS - 1 - i);
    return;
  }
  uint32_t polynomial = table[d - 1].polynomial;
  int degree = 0;
  while (polynomial >> (degree + 1))
    degree++;
  for (int i = 0; i < BITS; i++) {
    if (i < degree) {
      v[i] = table[d - 1].initial[i] << (BITS - 1 - i);
      continue;
    }
    v[i] = v[i - degree] ^ (v[i - degree] >> degree);
    for (int k = 1; k < degree; k++)
      if (polynomial >> (degree - k) & 1) v[i] ^= v[i - k];
  }
}

uint32_t co_sobol_bits(int64_t i, int d) {
  uint32_t v[BITS], gray = (uint32_t)i ^ ((uint32_t)i >> 1), x = 0;
  directions(d, v);
  for (int k = 0; k < BITS; k++)
    if (gray >> k & 1) x ^= v[k];
  return x;
}

static uint32_t reverse(uint32_t x) {
  uint32_t out = 0;
  for (int i = 0; i < BITS; i++)
    out |= (x >> i & 1) << (BITS - 1 - i);
  return out;
}

// A bit changes only with those below it: in reverse, Owen's nested permutation.
static uint32_t permute(uint32_t x, uint32_t seed) {
  x ^= x * 0x3d20adea;
  x += seed;
  x *= (seed >> 16) | 1;
  x ^= x * 0x05526c56;
  x ^= x * 0x53a22864;
  return x;
}

double co_sobol_scrambled(uint64_t seed, int64_t i, int d) {
  uint32_t key = co_random_bits(seed, (uint64_t)d, 0, co_purpose("hyperopt", "sobol"));
  uint32_t bits = reverse(permute(reverse(co_sobol_bits(i, d)), key));
  return ((double)bits + 0.5) * (1.0 / 4294967296.0);
}
