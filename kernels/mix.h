// SPDX-License-Identifier: Apache-2.0
// What MIX_ROWS draws of a row: the same for all backends, in double. Shared with CUDA sources: common
// subset of C11 and C++17.
#ifndef COHORT_KERNELS_MIX_H
#define COHORT_KERNELS_MIX_H

#include <math.h>

#include "host/core/rng.h"
#include "kernels/descriptor.h"

#ifdef __cplusplus
extern "C" {
#endif

// Result = the row's own share times itself, plus the rest of the other; or, of `cut`, the one within the
// box, the other around it.
typedef struct co_mixed {
  int64_t other; // row
  double share;
  bool cut, own_inside;
  int64_t top, left, bottom, right;
} co_mixed;

enum { CO_MIX_TRIES = 24, CO_MIX_DRAWS = 64 }; // places of a row in the stream of random numbers

static inline CO_HOST_DEVICE uint32_t co_mix_bits(const co_step *step, const co_op_attr *attr,
                                                  int64_t row, int place) {
  const uint64_t index = (uint64_t)(step->row_offset + row) * CO_MIX_DRAWS + (uint64_t)place;
  return co_random_bits(step->seed, index, step->step, attr->purpose);
}

// Within (0, 1).
static inline CO_HOST_DEVICE double co_mix_uniform(const co_step *step, const co_op_attr *attr,
                                                   int64_t row, int place) {
  return (double)co_uniform_from_bits(co_mix_bits(step, attr, row, place)) + 0x1p-25;
}

// Beta(alpha, alpha), alpha <= 1, by logarithms (Joehnk 1964): a try succeeds in at least reach of the cases.
static inline CO_HOST_DEVICE double co_mix_beta(const co_step *step, const co_op_attr *attr,
                                                int64_t row, double alpha) {
  for (int i = 0; i < CO_MIX_TRIES; i++) {
    const double a = log(co_mix_uniform(step, attr, row, 2 * i)) / alpha;
    const double b = log(co_mix_uniform(step, attr, row, 2 * i + 1)) / alpha;
    if (exp(a) + exp(b) <= 1) return 1 / (1 + exp(b - a));
  }
  return 0.5;
}

// [begin, end) of a side of `size` about a middle drawn within `extent`, cut off at its borders.
static inline CO_HOST_DEVICE void co_mix_side(double uniform, double size, int64_t extent,
                                              int64_t *begin, int64_t *end) {
  const int64_t middle = (int64_t)(uniform * (double)extent),
                reach = (int64_t)(size * (double)extent / 2);
  *begin = middle < reach ? 0 : middle - reach;
  *end = middle + reach > extent ? extent : middle + reach;
}

static inline CO_HOST_DEVICE co_mixed co_mix_draw(const co_step *step, const co_op_attr *attr,
                                                  int64_t row, int64_t N, int64_t H, int64_t W) {
  const int place = 2 * CO_MIX_TRIES;
  co_mixed m = {(int64_t)(((uint64_t)co_mix_bits(step, attr, row, place) * (uint64_t)N) >> 32),
                1,
                false,
                false,
                0,
                0,
                0,
                0};
  m.cut =
      attr->cutmix > 0 && (!(attr->mixup > 0) || co_mix_uniform(step, attr, row, place + 1) < 0.5);
  m.share = co_mix_beta(step, attr, row, m.cut ? attr->cutmix : attr->mixup);
  if (m.cut) {
    const double side = sqrt(1 - m.share);
    co_mix_side(co_mix_uniform(step, attr, row, place + 2), side, H, &m.top, &m.bottom);
    co_mix_side(co_mix_uniform(step, attr, row, place + 3), side, W, &m.left, &m.right);
    m.share = 1 - (double)((m.bottom - m.top) * (m.right - m.left)) / (double)(H * W);
  }
  // Of the two rows this one is drawn with its share as probability.
  if (co_mix_uniform(step, attr, row, place + 4) >= m.share) {
    m.own_inside = true;
    m.share = 1 - m.share;
  }
  return m;
}

// The row's own share of its result at (h, w).
static inline CO_HOST_DEVICE double co_mix_share(const co_mixed *m, int64_t h, int64_t w) {
  if (!m->cut) return m->share;
  const bool inside = h >= m->top && h < m->bottom && w >= m->left && w < m->right;
  return inside == m->own_inside ? 1 : 0;
}

#ifdef __cplusplus
}
#endif
#endif
