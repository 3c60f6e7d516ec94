// SPDX-License-Identifier: Apache-2.0
// How well images are given back: errors of pixels, in parts of their range [0, 1], and of structure.
#ifndef COHORT_HOST_EVAL_IMAGE_QUALITY_H
#define COHORT_HOST_EVAL_IMAGE_QUALITY_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_SSIM_WINDOW = 11 };

typedef struct co_image_quality {
  co_context *ctx;
  int64_t height, width, channels;
  double *room;                        // for the moments of one channel
  double weight;                       // of the images added
  double squared, absolute, structure; // sums by weight of the images' means
} co_image_quality;

co_status co_image_quality_create(co_image_quality *quality, co_context *ctx, int64_t height,
                                  int64_t width, int64_t channels);
void co_image_quality_free(co_image_quality *quality); // legal on a zeroed struct
// One image (height, width, channels), as it was and as it was given back, pixels within [0, 1].
void co_image_quality_add(co_image_quality *quality, const float *image, const float *given,
                          double weight);

// Of all images added; NaN where there are none, and of structure, where they are smaller than the window.
typedef struct co_image_metric {
  const char *name, *doc;
  double (*of)(const co_image_quality *quality);
  bool higher_is_better;
} co_image_metric;
enum { CO_IMAGE_METRICS = 3 };
extern const co_image_metric co_image_metrics[CO_IMAGE_METRICS];

#ifdef __cplusplus
}
#endif
#endif
