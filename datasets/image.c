// SPDX-License-Identifier: Apache-2.0
#include "datasets/image.h"

#include <inttypes.h>
#include <string.h>

#include "datasets/image_private.h"

static const co_image_format *const formats[] = {&co_image_jpeg, &co_image_png, &co_image_webp};

static co_status find_format(const co_image_format **out, const uint8_t *bytes, size_t length) {
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if (formats[i]->is(bytes, length)) {
      *out = formats[i];
      return CO_OK;
    }
  return co_fail(CO_ERR_DATA, length ? "neither JPEG nor PNG nor WebP" : "the file is empty");
}

co_status co_image_measure(co_image_info *out, const uint8_t *bytes, size_t length, int64_t most) {
  const co_image_format *format = NULL;
  CO_RETURN_IF_FAILED(find_format(&format, bytes, length));
  return format->measure(out, bytes, length, most);
}

co_status co_image_decode(co_image *out, co_context *ctx, const uint8_t *bytes, size_t length,
                          const co_image_request *request) {
  const co_image_format *format = NULL;
  *out = (co_image){.pixels = NULL};
  CO_RETURN_IF_FAILED(find_format(&format, bytes, length));
  co_status status = format->decode(out, ctx, bytes, length, request);
  if (status != CO_OK) {
    co_free(ctx, out->pixels);
    out->pixels = NULL;
  }
  return status;
}

// ---- what decoders share -----------------------------------------------------------------------

co_status co_image_check_size(int64_t height, int64_t width, int64_t most) {
  if (height < 1 || width < 1) return co_fail(CO_ERR_DATA, "it has no pixels");
  if (height > CO_IMAGE_MAX_EXTENT || width > CO_IMAGE_MAX_EXTENT || height * width > most)
    return co_fail(CO_ERR_DATA, "%" PRId64 " x %" PRId64 " pixels: more than --max-pixels %" PRId64,
                   width, height, most);
  return CO_OK;
}

co_status co_image_allocate(co_image *out, co_context *ctx) {
  const co_image_info *i = &out->info;
  out->pixels = co_alloc(ctx, (size_t)(i->height * i->width * i->channels));
  return out->pixels ? CO_OK : CO_ERR_MEMORY;
}

// A TIFF header (TIFF 6.0, section 2): byte order, 42, where the first directory is: a number of
// entries of 12 bytes each, by tag, type, count, value. The orientation is tag 0x0112, a short.
int co_image_orientation(const uint8_t *exif, size_t length) {
  if (length < 14) return 1;
  bool big = exif[0] == 'M' && exif[1] == 'M';
  if (!big && !(exif[0] == 'I' && exif[1] == 'I')) return 1;
#define SHORT(at) (big ? exif[at] << 8 | exif[(at) + 1] : exif[(at) + 1] << 8 | exif[at])
  size_t at =
      big ? (size_t)SHORT(4) << 16 | (size_t)SHORT(6) : (size_t)SHORT(6) << 16 | (size_t)SHORT(4);
  if (SHORT(2) != 42 || at > length - 2) return 1;
  size_t entries = (size_t)SHORT(at);
  for (at += 2; entries > 0 && length - at >= 12; entries--, at += 12)
    if (SHORT(at) == 0x0112) {
      int value = SHORT(at + 8);
      return SHORT(at + 2) == 3 && value >= 1 && value <= 8 ? value : 1;
    }
#undef SHORT
  return 1;
}

static uint8_t on_white(uint8_t value, uint8_t alpha) {
  return (uint8_t)((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

void co_image_convert(uint8_t *out, int to, const uint8_t *in, int from, int64_t width) {
  bool colour = from >= 3, alpha = from == 2 || from == 4;
  for (int64_t i = 0; i < width; i++, in += from, out += to) {
    uint8_t rgb[3] = {in[0], in[colour ? 1 : 0], in[colour ? 2 : 0]};
    for (int c = 0; alpha && c < 3; c++)
      rgb[c] = on_white(rgb[c], in[from - 1]);
    if (to == 3)
      memcpy(out, rgb, 3);
    else
      out[0] = colour ? co_image_grey(rgb) : rgb[0];
  }
}
