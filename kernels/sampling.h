// SPDX-License-Identifier: Apache-2.0
// What SAMPLE_CLASSES draws (ops.h), in integers: the same on every device.
#ifndef COHORT_KERNELS_SAMPLING_H
#define COHORT_KERNELS_SAMPLING_H

#include <math.h>

#include "host/core/rng.h"
#include "kernels/descriptor.h"

static inline CO_HOST_DEVICE int32_t co_sample_class(const co_step *step, uint32_t purpose,
                                                     const int32_t *bounds, int64_t classes,
                                                     int64_t draw) {
  const int32_t bits =
      (int32_t)(co_random_bits(step->seed, (uint64_t)draw, step->step, purpose) >> 1);
  int64_t least = 0, most = classes - 1; // the first whose bound is above
  while (least < most) {
    const int64_t middle = least + (most - least) / 2;
    if (bounds[middle] > bits)
      most = middle;
    else
      least = middle + 1;
  }
  return (int32_t)least;
}

// Of how often a class is expected among so many draws, the logarithm; 0 of one that has no share.
static inline CO_HOST_DEVICE double co_log_expected(const int32_t *bounds, int32_t drawn,
                                                    int64_t draws) {
  const int64_t share = (int64_t)bounds[drawn] - (drawn ? bounds[drawn - 1] : 0);
  return share > 0 ? log((double)draws * (double)share / 2147483648.0) : 0;
}

#endif
