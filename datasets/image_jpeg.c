// SPDX-License-Identifier: Apache-2.0
// JPEG by libjpeg-turbo, through the interface of libjpeg 6b.
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "datasets/image_private.h"

enum { MAX_SCANS = 100 }; // a file of thousands, each over all pixels, would take hours

typedef struct reader {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf escape;
  char reason[JMSG_LENGTH_MAX];
} reader;

static void leave(j_common_ptr jpeg) {
  reader *r = jpeg->client_data;
  r->errors.format_message(jpeg, r->reason);
  longjmp(r->escape, 1);
}

// Of warnings (level -1), those say nothing of the pixels that are missing or wrong.
static void take_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  switch (jpeg->err->msg_code) {
  case JWRN_ADOBE_XFORM:
  case JWRN_BOGUS_PROGRESSION:
  case JWRN_EXTRANEOUS_DATA:
  case JWRN_JFIF_MAJOR:
  case JWRN_TOO_MUCH_DATA:
    return;
  default:
    leave(jpeg);
  }
}

static void watch_scans(j_common_ptr jpeg) {
  reader *r = jpeg->client_data;
  if (r->jpeg.input_scan_number <= MAX_SCANS) return;
  snprintf(r->reason, sizeof r->reason, "more than %d scans", MAX_SCANS);
  longjmp(r->escape, 1);
}

static co_status fail(const reader *r) {
  return co_fail(CO_ERR_DATA, "%s", r->reason);
}

// The caller has set `escape`.
static void open_reader(reader *r, const uint8_t *bytes, size_t length) {
  r->jpeg.err = jpeg_std_error(&r->errors);
  r->jpeg.client_data = r;
  r->errors.error_exit = leave;
  r->errors.emit_message = take_message;
  jpeg_create_decompress(&r->jpeg);
  r->progress.progress_monitor = watch_scans;
  r->jpeg.progress = &r->progress;
  jpeg_save_markers(&r->jpeg, JPEG_APP0 + 1, 0xffff);
  jpeg_mem_src(&r->jpeg, bytes, (unsigned long)length);
  jpeg_read_header(&r->jpeg, TRUE);
}

static int find_orientation(const reader *r) {
  static const char name[] = "Exif\0";
  for (const struct jpeg_marker_struct *m = r->jpeg.marker_list; m; m = m->next)
    if (m->marker == JPEG_APP0 + 1 && m->data_length > sizeof name &&
        memcmp(m->data, name, sizeof name) == 0)
      return co_image_orientation(m->data + sizeof name, m->data_length - sizeof name);
  return 1;
}

static co_status read_info(co_image_info *out, const reader *r, int64_t most) {
  *out = (co_image_info){.height = r->jpeg.image_height,
                         .width = r->jpeg.image_width,
                         .channels = r->jpeg.jpeg_color_space == JCS_GRAYSCALE ? 1 : 3,
                         .orientation = find_orientation(r)};
  return co_image_check_size(out->height, out->width, most);
}

static bool is_jpeg(const uint8_t *bytes, size_t length) {
  return length >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

static co_status measure(co_image_info *out, const uint8_t *bytes, size_t length, int64_t most) {
  reader r = {.reason = ""};
  if (setjmp(r.escape)) {
    jpeg_destroy_decompress(&r.jpeg);
    return fail(&r);
  }
  open_reader(&r, bytes, length);
  co_status status = read_info(out, &r, most);
  jpeg_destroy_decompress(&r.jpeg);
  return status;
}

static void choose_output(reader *r, const co_image_request *request) {
  struct jpeg_decompress_struct *j = &r->jpeg;
  bool inks = j->jpeg_color_space == JCS_CMYK || j->jpeg_color_space == JCS_YCCK;
  j->out_color_space = inks ? JCS_CMYK : request->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  j->dct_method = JDCT_ISLOW; // the only one that all processors do to the bit
  j->scale_num = 1;
  while (request->least_height > 0 && j->scale_denom < 8 &&
         j->image_height / (2 * j->scale_denom) >= request->least_height &&
         j->image_width / (2 * j->scale_denom) >= request->least_width)
    j->scale_denom *= 2;
}

// Inks to light, without a profile: the share of each that is not absorbed, times that of black.
// Files with Adobe's marker, as nearly all are, have the shares inverted.
static void convert_inks(uint8_t *out, int channels, const uint8_t *in, int64_t width,
                         bool inverted) {
  for (int64_t i = 0; i < width; i++, in += 4, out += channels) {
    uint8_t rgb[3];
    for (int c = 0; c < 3; c++) {
      int light = inverted ? in[c] : 255 - in[c], black = inverted ? in[3] : 255 - in[3];
      rgb[c] = (uint8_t)((light * black + 127) / 255);
    }
    co_image_convert(out, channels, rgb, 3, 1);
  }
}

// `inks`: room for a row of them.
static void read_rows(reader *r, const co_image *out, uint8_t *inks) {
  struct jpeg_decompress_struct *j = &r->jpeg;
  int64_t row_bytes = out->info.width * out->info.channels;
  while (j->output_scanline < j->output_height) {
    uint8_t *row = out->pixels + j->output_scanline * row_bytes;
    JSAMPROW into = inks ? inks : row;
    jpeg_read_scanlines(j, &into, 1);
    if (inks) convert_inks(row, out->info.channels, inks, out->info.width, j->saw_Adobe_marker);
  }
}

static co_status begin(reader *r, co_image *out, uint8_t **inks, co_context *ctx,
                       const co_image_request *request) {
  CO_RETURN_IF_FAILED(read_info(&out->info, r, request->most));
  choose_output(r, request);
  jpeg_start_decompress(&r->jpeg);
  out->info.height = r->jpeg.output_height;
  out->info.width = r->jpeg.output_width;
  out->info.channels = request->channels;
  if (r->jpeg.out_color_space == JCS_CMYK && !(*inks = co_alloc(ctx, (size_t)out->info.width * 4)))
    return CO_ERR_MEMORY;
  return co_image_allocate(out, ctx);
}

static co_status decode(co_image *out, co_context *ctx, const uint8_t *bytes, size_t length,
                        const co_image_request *request) {
  reader r = {.reason = ""};
  uint8_t *volatile kept = NULL;
  if (setjmp(r.escape)) {
    jpeg_destroy_decompress(&r.jpeg);
    co_free(ctx, kept);
    return fail(&r);
  }
  uint8_t *inks = NULL;
  open_reader(&r, bytes, length);
  co_status status = begin(&r, out, &inks, ctx, request);
  kept = inks;
  if (status == CO_OK) {
    read_rows(&r, out, inks);
    jpeg_finish_decompress(&r.jpeg);
  }
  jpeg_destroy_decompress(&r.jpeg);
  co_free(ctx, inks);
  return status;
}

const co_image_format co_image_jpeg = {is_jpeg, measure, decode};

void co_image_jpeg_version(char out[64]) {
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
  snprintf(out, 64, "libjpeg-turbo %s", TEXT(LIBJPEG_TURBO_VERSION));
}
