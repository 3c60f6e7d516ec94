// SPDX-License-Identifier: Apache-2.0
#include "host/api/sheet.h"

#include <string.h>

#include "datasets/image.h"

enum { GAP = 2, GROUND = 128, MOST_BYTES = 1 << 28 };

// As many columns as lines.
static int64_t columns_of(const co_sheet *s) {
  int64_t columns = 1;
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

static co_status write_file(co_context *ctx, const co_image *image, const co_output *output) {
  co_atomic_file file = {0};
  co_writer *writer;
  co_text png;
  co_text_init(&png, ctx);
  co_status status = co_output_begin(&file, ctx, output);
  if (status == CO_OK) status = co_image_write_png(&png, image);
  if (status == CO_OK) status = co_writer_open(&writer, ctx, file.temporary, false);
  if (status == CO_OK) {
    status = co_writer_write(writer, png.data, png.length);
    const co_status closed = co_writer_close(writer);
    if (status == CO_OK) status = closed;
  }
  if (status == CO_OK) status = co_atomic_commit(&file);
  co_atomic_abort(&file);
  co_text_free(&png);
  return status;
}

co_status co_sheet_write(const co_sheet *sheet, co_context *ctx, const co_output *output) {
  co_image image = {.pixels = NULL};
  co_status status = lay_out(sheet, ctx, &image);
  if (status == CO_OK) status = write_file(ctx, &image, output);
  co_free(ctx, image.pixels);
  return status;
}
