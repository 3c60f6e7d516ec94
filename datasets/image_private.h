// SPDX-License-Identifier: Apache-2.0
// What the decoders of images share.
#ifndef COHORT_DATASETS_IMAGE_PRIVATE_H
#define COHORT_DATASETS_IMAGE_PRIVATE_H

#include "datasets/image.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_image_format {
  bool (*is)(const uint8_t *bytes, size_t length);
  co_status (*measure)(co_image_info *out, const uint8_t *bytes, size_t length, int64_t most);
  co_status (*decode)(co_image *out, co_context *ctx, const uint8_t *bytes, size_t length,
                      const co_image_request *request);
} co_image_format;
extern const co_image_format co_image_jpeg, co_image_png, co_image_webp;

// CO_ERR_DATA if there are none, or too many.
co_status co_image_check_size(int64_t height, int64_t width, int64_t most);
// Memory for out->info; a failed decoder frees it.
co_status co_image_allocate(co_image *out, co_context *ctx);
// The orientation that EXIF data (from the byte order on) name; 1 if they name none.
int co_image_orientation(const uint8_t *exif, size_t length);
// .299 R + .587 G + .114 B, rounded.
static inline uint8_t co_image_grey(const uint8_t *rgb) {
  return (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 0x8000u) >> 16);
}
// A row of `width` pixels of `from` channels (1 grey, 2 with alpha, 3 colour, 4 with alpha) into one
// of `to`.
void co_image_convert(uint8_t *out, int to, const uint8_t *in, int from, int64_t width);

#ifdef __cplusplus
}
#endif
#endif
