// SPDX-License-Identifier: Apache-2.0
#include "datasets/image_sheet.h"

#include <string.h>

#include "datasets/image.h"

enum { GAP = 2, GROUND = 128, MOST_BYTES = 1 << 28 };

static int64_t columns_of(const co_sheet *s) {
  int64_t columns = 1;
  if (s->columns) return s->columns;
  while (columns * columns < s->count)
    columns++;
  return columns;
}

static co_image_info info_of(const co_sheet *s) {
  const int64_t columns = columns_of(s), lines = (s->count + columns - 1) / columns;
  return (co_image_info){.height = lines * (s->height + GAP) + GAP,
                         .width = columns * (s->width + GAP) + GAP,
                         .channels = (int)s->channels,
                         .orientation = 1};
}

co_status co_sheet_check(const co_sheet *s, const char *option) {
  const co_image_info info = info_of(s);
  if (info.height <= CO_IMAGE_MAX_EXTENT && info.width <= CO_IMAGE_MAX_EXTENT &&
      info.height * info.width * info.channels <= MOST_BYTES)
    return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "%lld images of %lld x %lld are too many for a sheet",
                             (long long)s->count, (long long)s->width, (long long)s->height);
  co_hint("ask for fewer: %s N", option);
  return status;
}

static co_status lay_out(const co_sheet *s, co_context *ctx, co_image *image) {
  const int64_t columns = columns_of(s), line = s->width * s->channels;
  image->info = info_of(s);
  const size_t bytes =
      (size_t)(image->info.height * image->info.width * (int64_t)image->info.channels);
  image->pixels = co_alloc(ctx, bytes);
  if (!image->pixels) return CO_ERR_MEMORY;
  memset(image->pixels, GROUND, bytes);
  for (int64_t i = 0; i < s->count; i++)
    for (int64_t y = 0; y < s->height; y++) {
      const int64_t row = i / columns * (s->height + GAP) + GAP + y;
      const int64_t column = i % columns * (s->width + GAP) + GAP;
      memcpy(image->pixels + (row * image->info.width + column) * s->channels,
             s->pixels + (i * s->height + y) * line, (size_t)line);
    }
  return CO_OK;
}

co_status co_sheet_write_png(co_text *out, co_context *ctx, const co_sheet *sheet) {
  co_image image = {.pixels = NULL};
  co_status status = lay_out(sheet, ctx, &image);
  if (status == CO_OK) status = co_image_write_png(out, &image);
  co_free(ctx, image.pixels);
  return status;
}
