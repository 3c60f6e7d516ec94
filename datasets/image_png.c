// SPDX-License-Identifier: Apache-2.0
// PNG by libpng.
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "datasets/image_private.h"

enum { SIGNATURE = 8 };

typedef struct reader {
  png_structp png;
  png_infop info;
  const uint8_t *bytes;
  size_t left;
  jmp_buf escape;
  char reason[200];
} reader;

static void leave(png_structp png, png_const_charp message) {
  reader *r = png_get_error_ptr(png);
  snprintf(r->reason, sizeof r->reason, "%s", message);
  longjmp(r->escape, 1);
}

static void ignore(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static void give(png_structp png, png_bytep out, size_t count) {
  reader *r = png_get_io_ptr(png);
  if (count > r->left) png_error(png, "the file ends too early");
  memcpy(out, r->bytes, count);
  r->bytes += count;
  r->left -= count;
}

// Texts and profiles, whose compressed contents could be made to fill the memory, are passed over.
static void pass_over_notes(png_structp png) {
  static const png_byte names[] = "tEXt\0zTXt\0iTXt\0iCCP\0sPLT";
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, 5);
}

// The caller has set `escape`.
static co_status open_reader(reader *r, const uint8_t *bytes, size_t length) {
  r->bytes = bytes;
  r->left = length;
  r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, leave, ignore);
  if (r->png) r->info = png_create_info_struct(r->png);
  if (!r->info) return co_fail(CO_ERR_MEMORY, "libpng has no memory");
  png_set_read_fn(r->png, r, give);
  png_set_user_limits(r->png, CO_IMAGE_MAX_EXTENT, CO_IMAGE_MAX_EXTENT);
  pass_over_notes(r->png);
  png_read_info(r->png, r->info);
  return CO_OK;
}

static void close_reader(reader *r) {
  png_destroy_read_struct(&r->png, &r->info, NULL);
}

static co_status read_info(co_image_info *out, const reader *r, int64_t most) {
  png_bytep exif = NULL;
  png_uint_32 length = 0;
  bool colour = png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_COLOR;
  *out = (co_image_info){.height = png_get_image_height(r->png, r->info),
                         .width = png_get_image_width(r->png, r->info),
                         .channels = colour ? 3 : 1,
                         .orientation = 1};
  if (png_get_eXIf_1(r->png, r->info, &length, &exif))
    out->orientation = co_image_orientation(exif, length);
  return co_image_check_size(out->height, out->width, most);
}

static bool is_png(const uint8_t *bytes, size_t length) {
  return length >= SIGNATURE && png_sig_cmp(bytes, 0, SIGNATURE) == 0;
}

static co_status fail(reader *r) {
  close_reader(r);
  return co_fail(CO_ERR_DATA, "%s", r->reason);
}

static co_status measure(co_image_info *out, const uint8_t *bytes, size_t length, int64_t most) {
  reader r = {.png = NULL};
  if (setjmp(r.escape)) return fail(&r);
  co_status status = open_reader(&r, bytes, length);
  if (status == CO_OK) status = read_info(out, &r, most);
  close_reader(&r);
  return status;
}

// Everything to 8 bits of grey or colour, with or without alpha; returns the channels.
static int choose_output(reader *r) {
  png_set_expand(r->png); // palettes, fewer than 8 bits, transparent colours
  png_set_scale_16(r->png);
  png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
  return png_get_channels(r->png, r->info);
}

typedef struct raw {
  uint8_t *bytes, **rows;
} raw;

// An interlaced image is complete only with its last pass, so all rows are read at once.
static co_status read_raw(raw *out, reader *r, co_context *ctx, const co_image_info *info) {
  size_t row_bytes = png_get_rowbytes(r->png, r->info);
  out->bytes = co_alloc(ctx, row_bytes * (size_t)info->height);
  if (!out->bytes) return CO_ERR_MEMORY;
  out->rows = co_alloc(ctx, (size_t)info->height * sizeof *out->rows);
  if (!out->rows) return CO_ERR_MEMORY;
  for (int64_t y = 0; y < info->height; y++)
    out->rows[y] = out->bytes + (size_t)y * row_bytes;
  png_read_image(r->png, out->rows);
  png_read_end(r->png, NULL);
  return CO_OK;
}

static co_status read_pixels(raw *in, reader *r, co_image *out, co_context *ctx,
                             const co_image_request *request) {
  CO_RETURN_IF_FAILED(read_info(&out->info, r, request->most));
  int from = choose_output(r);
  out->info.channels = request->channels;
  CO_RETURN_IF_FAILED(read_raw(in, r, ctx, &out->info));
  CO_RETURN_IF_FAILED(co_image_allocate(out, ctx));
  for (int64_t y = 0; y < out->info.height; y++)
    co_image_convert(out->pixels + y * out->info.width * request->channels, request->channels,
                     in->rows[y], from, out->info.width);
  return CO_OK;
}

static co_status decode(co_image *out, co_context *ctx, const uint8_t *bytes, size_t length,
                        const co_image_request *request) {
  // Not in registers, which a jump would set back.
  struct {
    reader r;
    raw in;
  } *const s = co_alloc_zero(ctx, 1, sizeof *s);
  if (!s) return CO_ERR_MEMORY;
  co_status status;
  if (setjmp(s->r.escape)) {
    status = fail(&s->r);
  } else {
    status = open_reader(&s->r, bytes, length);
    if (status == CO_OK) status = read_pixels(&s->in, &s->r, out, ctx, request);
    close_reader(&s->r);
  }
  co_free(ctx, s->in.rows);
  co_free(ctx, s->in.bytes);
  co_free(ctx, s);
  return status;
}

const co_image_format co_image_png = {is_png, measure, decode};

void co_image_png_version(char out[64]) {
  snprintf(out, 64, "libpng %s", png_get_libpng_ver(NULL));
}
