// SPDX-License-Identifier: Apache-2.0
// What AUGMENT draws of an image, and where its pixels come from: the same on every device, in double.
// Shared with CUDA sources: common subset of C11 and C++17.
#ifndef COHORT_KERNELS_AUGMENT_H
#define COHORT_KERNELS_AUGMENT_H

#include <math.h>

#include "host/core/rng.h"
#include "kernels/descriptor.h"

#ifdef __cplusplus
extern "C" {
#endif

// Of one image: pixel (h, w) of the result shows row top + hh h + hw w, column left + wh h + ww w; then
// its colour is changed, and what lies in the cut-out is filled.
typedef struct co_augmented {
  double top, left, hh, hw, wh, ww;
  double gain, offset;
  int cut_top, cut_left, cut_bottom, cut_right;
} co_augmented;

enum { CO_AUGMENT_DRAWS = 16 }; // places of an image in the stream of random numbers

static inline CO_HOST_DEVICE double co_augment_uniform(const co_step *step, const co_op_attr *attr,
                                                       int64_t id, int place) {
  const uint64_t index = (uint64_t)id * CO_AUGMENT_DRAWS + (uint64_t)place;
  return (double)co_uniform_from_bits(
      co_random_bits(step->seed, index, step->epoch, attr->purpose));
}

static inline CO_HOST_DEVICE co_augmented co_augment_draw(const co_step *step,
                                                          const co_op_attr *attr, int64_t id,
                                                          int64_t H, int64_t W) {
  co_augmented a;
  double u[9], scale_h = 1, scale_w = 1, middle_h = 0.5 * (double)(H - 1);
  double middle_w = 0.5 * (double)(W - 1);
  const double pi = 3.14159265358979323846;
  for (int i = 0; i < 9; i++)
    u[i] = co_augment_uniform(step, attr, id, i);
  if (attr->least_area < 1) {
    const double area = attr->least_area + (1 - attr->least_area) * u[0];
    const double ratio = exp(log(4.0 / 3) * (2 * u[1] - 1)); // of width to height
    scale_h = fmin(1.0, sqrt(area / ratio));
    scale_w = fmin(1.0, sqrt(area * ratio));
    middle_h += (u[2] - 0.5) * (1 - scale_h) * (double)H;
    middle_w += (u[3] - 0.5) * (1 - scale_w) * (double)W;
  }
  const double angle = (2 * u[4] - 1) * attr->rotation * pi / 180;
  a.hh = scale_h * cos(angle);
  a.hw = scale_h * sin(angle);
  a.wh = -scale_w * sin(angle);
  a.ww = scale_w * cos(angle);
  a.top = middle_h - 0.5 * (a.hh * (double)(H - 1) + a.hw * (double)(W - 1));
  a.left = middle_w - 0.5 * (a.wh * (double)(H - 1) + a.ww * (double)(W - 1));
  a.gain = 1 + (2 * u[6] - 1) * attr->contrast;
  a.offset = 127.5 * (1 - a.gain) + 255 * (2 * u[5] - 1) * attr->brightness;
  a.cut_top = (int)(u[7] * (double)H) - (int)(attr->cutout / 2);
  a.cut_left = (int)(u[8] * (double)W) - (int)(attr->cutout / 2);
  a.cut_bottom = a.cut_top + (int)attr->cutout;
  a.cut_right = a.cut_left + (int)attr->cutout;
  return a;
}

static inline CO_HOST_DEVICE bool co_augment_is_cut(const co_augmented *a, int64_t h, int64_t w) {
  return h >= a->cut_top && h < a->cut_bottom && w >= a->cut_left && w < a->cut_right;
}

// Row or column i of an image of `size`, mirrored at its borders as often as it takes.
static inline CO_HOST_DEVICE int64_t co_augment_mirrored(int64_t i, int64_t size) {
  const int64_t period = 2 * size;
  i %= period;
  if (i < 0) i += period;
  return i < size ? i : period - 1 - i;
}

// The two rows or columns around place x, and the weight of the second.
static inline CO_HOST_DEVICE double co_augment_around(double x, int64_t size, int64_t at[2]) {
  const double below = floor(x);
  at[0] = co_augment_mirrored((int64_t)below, size);
  at[1] = co_augment_mirrored((int64_t)below + 1, size);
  return x - below;
}

static inline CO_HOST_DEVICE double co_augment_coloured(const co_augmented *a, double value) {
  if (a->gain == 1 && a->offset == 0) return value;
  value = value * a->gain + a->offset;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

#ifdef __cplusplus
}
#endif
#endif
