// SPDX-License-Identifier: Apache-2.0
// Windows over images, and the gradient below a maximum of them.
#ifndef COHORT_KERNELS_REF_POOL_H
#define COHORT_KERNELS_REF_POOL_H

#include "kernels/ref/real.h"

typedef struct co_pool {
  int64_t pixels, windows; // of all images
  int64_t H, W, C, P, Q;
  int64_t KH, KW, SH, SW, top, left;
} co_pool;

// x (N, H, W, C), y (N, P, Q, C).
static inline co_pool co_pool_of(const co_op_attr *attr, const co_shape *x, const co_shape *y) {
  co_pool s = {.H = x->dim[1], .W = x->dim[2], .C = x->dim[3], .P = y->dim[1], .Q = y->dim[2]};
  s.pixels = x->dim[0] * s.H * s.W;
  s.windows = x->dim[0] * s.P * s.Q;
  s.KH = attr->kernel[0], s.KW = attr->kernel[1];
  s.SH = attr->stride[0], s.SW = attr->stride[1];
  s.top = attr->pad_begin[0], s.left = attr->pad_begin[1];
  return s;
}

// The pixel at position k = kh KW + kw of a window, -1 where that is padding.
static inline int64_t co_pool_pixel(const co_pool *s, int64_t window, int64_t k) {
  const int64_t h = window / s->Q % s->P * s->SH - s->top + k / s->KW;
  const int64_t w = window % s->Q * s->SW - s->left + k % s->KW;
  if (h < 0 || h >= s->H || w < 0 || w >= s->W) return -1;
  return (window / (s->P * s->Q) * s->H + h) * s->W + w;
}

// The window that has a pixel at its position k, -1 if there is none.
static inline int64_t co_pool_window(const co_pool *s, int64_t pixel, int64_t k) {
  const int64_t down = pixel / s->W % s->H + s->top - k / s->KW;
  const int64_t right = pixel % s->W + s->left - k % s->KW;
  if (down < 0 || down % s->SH != 0 || right < 0 || right % s->SW != 0) return -1;
  if (down / s->SH >= s->P || right / s->SW >= s->Q) return -1;
  return (pixel / (s->H * s->W) * s->P + down / s->SH) * s->Q + right / s->SW;
}

// The gradient of element i of x: the sum of dy over the windows that it has won.
static inline double CO_REF(unpooled)(const co_pool *s, const real *dy, const int32_t *argmax,
                                      int64_t i) {
  double sum = 0;
  for (int64_t k = 0; k < s->KH * s->KW; k++) {
    const int64_t window = co_pool_window(s, i / s->C, k);
    if (window < 0) continue;
    const int64_t at = window * s->C + i % s->C;
    if (argmax[at] == k) sum += (double)dy[at];
  }
  return sum;
}

#endif
