// SPDX-License-Identifier: Apache-2.0
// One number of the sixteen lanes of a vector, for use within CO_CPU_KERNEL.
#ifndef COHORT_KERNELS_CPU_LANES_H
#define COHORT_KERNELS_CPU_LANES_H

#include "kernels/cpu/cpu.h"

// Halves onto each other, quarters, …: in one order on every machine.
#define FOLD(half, OP)                                                                             \
  for (int i = 0; i < (half); i++)                                                                 \
  lane[i] = OP(lane[i], lane[i + (half)])
#define FOLD_ALL(OP)                                                                               \
  FOLD(8, OP);                                                                                     \
  FOLD(4, OP);                                                                                     \
  FOLD(2, OP);                                                                                     \
  FOLD(1, OP)
#define SUM(a, b) ((a) + (b))
#define LARGER(a, b) ((b) > (a) ? (b) : (a))

CO_CPU_INLINE float lanes_sum(const co_lanes16 *lanes) {
  float lane[16];
  memcpy(lane, lanes, sizeof lane);
  FOLD_ALL(SUM);
  return lane[0];
}

CO_CPU_INLINE float lanes_largest(const co_lanes16 *lanes) {
  float lane[16];
  memcpy(lane, lanes, sizeof lane);
  FOLD_ALL(LARGER);
  return lane[0];
}

#undef FOLD
#undef FOLD_ALL
#undef SUM
#undef LARGER

#endif
