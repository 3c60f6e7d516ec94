// SPDX-License-Identifier: Apache-2.0
// bfloat16 on the host: the upper half of a float. It has a float's range and 8 bits of precision,
// so that rounding is off by at most 2^-8 of the value.
#ifndef COHORT_KERNELS_BF16_H
#define COHORT_KERNELS_BF16_H

#include <stdint.h>
#include <string.h>

typedef uint16_t co_bf16;

static inline float co_bf16_widen(co_bf16 narrow) {
  uint32_t bits = (uint32_t)narrow << 16;
  float wide;
  memcpy(&wide, &bits, sizeof wide);
  return wide;
}

// To nearest, ties to even; beyond the largest finite value infinity. Every NaN becomes 0x7FFF, as
// CUDA's conversions have it. Without branches, so that loops over it become vector code.
static inline co_bf16 co_bf16_round(float wide) {
  uint32_t bits;
  memcpy(&bits, &wide, sizeof bits);
  uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
  return (co_bf16)((bits & 0x7FFFFFFFu) > 0x7F800000u ? 0x7FFFu : rounded);
}

#endif
