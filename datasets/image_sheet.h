// SPDX-License-Identifier: Apache-2.0
// Contact sheets: images of one size side by side, as one PNG file.
#ifndef COHORT_DATASETS_IMAGE_SHEET_H
#define COHORT_DATASETS_IMAGE_SHEET_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_sheet {
  int64_t count, height, width, channels; // of the images; 1 or 3 channels
  int64_t columns;                        // 0 = as many as lines
  const uint8_t *pixels;                  // (count, height, width, channels)
} co_sheet;

// CO_ERR_USAGE for sheets that are too large to be one picture; `option` says how to ask for fewer.
co_status co_sheet_check(const co_sheet *sheet, const char *option);
// Appends the bytes of the PNG file.
co_status co_sheet_write_png(co_text *out, co_context *ctx, const co_sheet *sheet);

#ifdef __cplusplus
}
#endif
#endif
