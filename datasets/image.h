// SPDX-License-Identifier: Apache-2.0
// Images as they come in files: JPEG (baseline and progressive; grey, colour, CMYK), PNG (every kind),
// WebP (not animated). What a file is, its first bytes say. Foreign bytes never crash: whatever a
// decoder complains of, data that end too early among it, is CO_ERR_DATA with a reason in one line
// and no file's name. Any thread. And the way back: PNG.
#ifndef COHORT_DATASETS_IMAGE_H
#define COHORT_DATASETS_IMAGE_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_IMAGE_MAX_EXTENT = 65535 };

// As stored, before the orientation is applied.
typedef struct co_image_info {
  int64_t height, width;
  int channels;    // 1 = grey, 3 = colour; alpha does not count
  int orientation; // of EXIF, 1 to 8: 1 = as stored; 5 to 8 exchange height and width
} co_image_info;

typedef struct co_image {
  co_image_info info; // of what is in `pixels`
  uint8_t *pixels;    // (height, width, channels); owned, co_free
} co_image;

// Reads the header alone. More than `most` pixels are an error.
co_status co_image_measure(co_image_info *out, const uint8_t *bytes, size_t length, int64_t most);

// Decodes into `channels` (1 or 3) channels of 8 bits: grey of colour is .299 R + .587 G + .114 B,
// what is transparent lies on white, 16 bits are rounded to 8. A JPEG may come out at 1/2, 1/4 or 1/8
// of its size (by its DCT coefficients), but not below least_height x least_width, as stored.
typedef struct co_image_request {
  int channels;
  int64_t least_height, least_width; // 0 = as stored
  int64_t most;                      // pixels
} co_image_request;
co_status co_image_decode(co_image *out, co_context *ctx, const uint8_t *bytes, size_t length,
                          const co_image_request *request);

// Appends the bytes of a PNG file of 1 or 3 channels.
co_status co_image_write_png(co_text *out, const co_image *image);

// "2.1.5", or what is missing and the way out: the libraries of the formats, for `doctor`.
void co_image_jpeg_version(char out[64]);
void co_image_png_version(char out[64]);
void co_image_webp_version(char out[64]);

#ifdef __cplusplus
}
#endif
#endif
