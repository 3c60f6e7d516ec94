// SPDX-License-Identifier: Apache-2.0
// Images of one size. Resampling is bilinear with the triangle filter as wide as a pixel of the result
// (antialiased: every pixel of the source counts), in fixed point, first along rows, then along
// columns: what Pillow's Image.resize(…, BILINEAR, box=…) gives, to the bit where both become smaller.
#ifndef COHORT_DATASETS_IMAGE_FIT_H
#define COHORT_DATASETS_IMAGE_FIT_H

#include "datasets/image.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_image_fit {
  CO_FIT_CROP,   // fills the size: what is beyond it on either side is cut off
  CO_FIT_PAD,    // lies whole within the size, in its middle, on white
  CO_FIT_STRETCH // becomes as wide and as high as the size, whatever its own proportions
} co_image_fit;

// "crop", "pad", "stretch"; false if it is none.
bool co_image_fit_parse(co_image_fit *out, const char *text);
const char *co_image_fit_name(co_image_fit fit);

// Into out, (height, width, image->info.channels), upright by the image's orientation.
co_status co_image_resize(uint8_t *out, co_context *ctx, const co_image *image, int64_t height,
                          int64_t width, co_image_fit fit);

#ifdef __cplusplus
}
#endif
#endif
