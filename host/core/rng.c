// SPDX-License-Identifier: Apache-2.0
#include "host/core/rng.h"

#include <assert.h>
#include <math.h>

static uint32_t fnv1a(uint32_t hash, const char *text) {
  for (; *text; text++)
    hash = (hash ^ (unsigned char)*text) * 16777619u;
  return hash;
}

uint32_t co_purpose(const char *kind, const char *path) {
  return fnv1a(fnv1a(fnv1a(2166136261u, kind), ":"), path);
}

void co_normals(uint64_t seed, uint64_t row, uint32_t step, uint32_t purpose, int64_t count,
                float *out) {
  static const double turn = 6.283185307179586;
  const uint64_t blocks = (uint64_t)(count + 3) / 4; // of four uniforms, for four numbers
  for (int64_t i = 0; i < count; i += 2) {
    const co_philox_block bits = co_philox(seed, row * blocks + (uint64_t)i / 4, step, purpose);
    const double u = 1 - (double)co_uniform_from_bits(bits.word[i & 2]); // in (0, 1]
    const double angle = turn * (double)co_uniform_from_bits(bits.word[(i & 2) + 1]);
    const double radius = sqrt(-2 * log(u));
    out[i] = (float)(radius * cos(angle));
    if (i + 1 < count) out[i + 1] = (float)(radius * sin(angle));
  }
}

enum { ROUNDS = 8 };

// MurmurHash3's 64-bit finaliser: every input bit reaches every output bit.
static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDu;
  x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53u;
  return x ^ (x >> 33);
}

// One pass of the network over values of 2*half bits; invertible, whatever `mix` is.
static uint64_t feistel(const uint32_t key[ROUNDS], int half, uint64_t value) {
  uint64_t mask = ((uint64_t)1 << half) - 1;
  uint64_t left = value >> half, right = value & mask;
  for (int i = 0; i < ROUNDS; i++) {
    uint64_t keyed = right | (uint64_t)key[i] << 32;
    uint64_t next = left ^ (mix(keyed) & mask);
    left = right;
    right = next;
  }
  return left << half | right;
}

uint64_t co_permute(uint64_t seed, uint32_t epoch, uint32_t purpose, uint64_t n,
                    uint64_t position) {
  assert(n >= 1 && position < n);
  int half = 1;
  while (half < 32 && ((uint64_t)1 << (2 * half)) < n)
    half++;
  uint32_t key[ROUNDS];
  for (int i = 0; i < ROUNDS; i += 4) {
    co_philox_block block = co_philox(seed, (uint64_t)(i / 4), epoch, purpose);
    for (int k = 0; k < 4; k++)
      key[i + k] = block.word[k];
  }
  // Walking the cycle until it is back inside 0..n-1 keeps the map a bijection there; less than
  // four steps on average, as the network's domain is less than 4n.
  uint64_t value = position;
  do {
    value = feistel(key, half, value);
  } while (value >= n);
  return value;
}
