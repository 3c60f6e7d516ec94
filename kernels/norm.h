// SPDX-License-Identifier: Apache-2.0
// Which elements LAYER_NORM brings to one mean and variance: parts of x, the same for all backends.
// Shared with CUDA sources: common subset of C11 and C++17.
#ifndef COHORT_KERNELS_NORM_H
#define COHORT_KERNELS_NORM_H

#include "host/core/rng.h"
#include "kernels/descriptor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_norm_parts {
  int64_t count, size;             // parts, and elements of each
  int64_t groups, width, channels; // parts of a row, channels of a part, of all
} co_norm_parts;

// Of x without symbolic extents. Without attr.groups each vector of channels is a row.
static inline co_norm_parts co_norm_parts_of(const co_op_desc *desc) {
  const co_shape *x = &desc->in[CO_LAYER_NORM_x].shape;
  co_norm_parts p = {1, 1, desc->attr.groups, 0, x->dim[x->rank - 1]};
  for (int i = 1; i < x->rank; i++)
    p.size *= x->dim[i];
  p.count = x->dim[0];
  if (!p.groups) {
    p.count *= p.size / p.channels;
    p.size = p.channels;
    p.groups = 1;
  }
  p.count *= p.groups;
  p.size /= p.groups;
  p.width = p.channels / p.groups;
  return p;
}

// Of element i of a part: its channel, and its place in x.
static inline CO_HOST_DEVICE int64_t co_norm_channel(const co_norm_parts *p, int64_t part,
                                                     int64_t i) {
  return (p->groups == 1 ? 0 : part % p->groups * p->width) + (i < p->width ? i : i % p->width);
}
static inline CO_HOST_DEVICE int64_t co_norm_place(const co_norm_parts *p, int64_t part,
                                                   int64_t i) {
  if (p->groups == 1) return part * p->size + i;
  return part / p->groups * p->size * p->groups + i / p->width * p->channels +
         part % p->groups * p->width + i % p->width;
}
// The part of an element of x.
static inline CO_HOST_DEVICE int64_t co_norm_part(const co_norm_parts *p, int64_t place) {
  const int64_t row = place / (p->size * p->groups);
  return p->groups == 1 ? row : row * p->groups + place % p->channels / p->width;
}

#ifdef __cplusplus
}
#endif
#endif
