// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>

#include <png.h>

#include "datasets/image.h"

typedef struct writer {
  png_structp png;
  png_infop info;
  co_text *out;
  jmp_buf escape;
} writer;

static void leave(png_structp png, png_const_charp message) {
  writer *w = png_get_error_ptr(png);
  co_fail(CO_ERR_INTERNAL, "PNG: %s", message);
  longjmp(w->escape, 1);
}

static void ignore(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static void take(png_structp png, png_bytep bytes, size_t count) {
  writer *w = png_get_io_ptr(png);
  co_text_append(w->out, (const char *)bytes, count);
}

static void flush(png_structp png) {
  (void)png;
}

static void write_image(writer *w, const co_image *image) {
  const co_image_info *i = &image->info;
  png_set_write_fn(w->png, w, take, flush);
  png_set_IHDR(w->png, w->info, (png_uint_32)i->width, (png_uint_32)i->height, 8,
               i->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(w->png, w->info);
  for (int64_t y = 0; y < i->height; y++)
    png_write_row(w->png, image->pixels + y * i->width * i->channels);
  png_write_end(w->png, NULL);
}

co_status co_image_write_png(co_text *out, const co_image *image) {
  writer w = {.out = out};
  w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, leave, ignore);
  if (w.png) w.info = png_create_info_struct(w.png);
  co_status status = w.info ? CO_OK : co_fail(CO_ERR_MEMORY, "libpng has no memory");
  if (w.info) {
    if (setjmp(w.escape))
      status = co_error_last()->status;
    else
      write_image(&w, image);
  }
  png_destroy_write_struct(&w.png, &w.info);
  return status == CO_OK ? out->status : status;
}
