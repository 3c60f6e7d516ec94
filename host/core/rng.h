// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). A draw is a pure function of (seed, logical index, step or epoch, purpose),
// so it does not depend on threads, layouts, micro-batches or devices. Shared with CUDA sources.
#ifndef COHORT_CORE_RNG_H
#define COHORT_CORE_RNG_H

#include <stdint.h>

#ifdef __CUDACC__
#define CO_HOST_DEVICE __host__ __device__
#else
#define CO_HOST_DEVICE
#endif

typedef struct co_philox_block {
  uint32_t word[4];
} co_philox_block;

// Words 4*block .. 4*block+3 of the stream (seed, step, purpose).
static inline CO_HOST_DEVICE co_philox_block co_philox(uint64_t seed, uint64_t block, uint32_t step,
                                                       uint32_t purpose) {
  uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32), c2 = step, c3 = purpose;
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  co_philox_block out;
  out.word[0] = c0;
  out.word[1] = c1;
  out.word[2] = c2;
  out.word[3] = c3;
  return out;
}

// The 32 random bits of logical element `index`: word index%4 of block index/4.
static inline CO_HOST_DEVICE uint32_t co_random_bits(uint64_t seed, uint64_t index, uint32_t step,
                                                     uint32_t purpose) {
  return co_philox(seed, index >> 2, step, purpose).word[index & 3];
}

// Uniform in [0, 1) with 24 bits, exact in float: the same value on every device.
static inline CO_HOST_DEVICE float co_uniform_from_bits(uint32_t bits) {
  return (float)(bits >> 8) * (1.0f / 16777216.0f);
}

#ifdef __cplusplus
extern "C" {
#endif

// Stable 32-bit id of a purpose: FNV-1a of "kind:path" ("dropout:encoder/dropout_1").
uint32_t co_purpose(const char *kind, const char *path);

// `count` independent standard normal numbers, those of logical row `row` (Box & Muller 1958).
void co_normals(uint64_t seed, uint64_t row, uint32_t step, uint32_t purpose, int64_t count,
                float *out);

// The element at `position` of a pseudo-random permutation of 0..n-1 (n >= 1), without storing it:
// a Feistel network on the next even number of bits with cycle walking (Black & Rogaway, "Ciphers
// with arbitrary finite domains", CT-RSA 2002), keyed by (seed, epoch, purpose).
uint64_t co_permute(uint64_t seed, uint32_t epoch, uint32_t purpose, uint64_t n, uint64_t position);

#ifdef __cplusplus
}
#endif
#endif
