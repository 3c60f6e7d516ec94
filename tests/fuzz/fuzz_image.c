// SPDX-License-Identifier: Apache-2.0
// Input: an image file.
#include "tests/fuzz/driver.h"

#include <jpeglib.h>
#include <png.h>

#include "datasets/image_fit.h"

enum { SIDE = 24, ROOM = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  co_context *ctx;
  co_image_info info;
  co_image image;
  uint8_t row[9 * 7 * 3];
  const co_image_request request = {.channels = size % 2 ? 1 : 3,
                                    .least_height = size % 3 ? 8 : 0,
                                    .least_width = 8,
                                    .most = 1 << 16};
  FUZZ_CHECK(co_context_create(&ctx, NULL) == CO_OK);
  co_status measured = co_image_measure(&info, data, size, request.most);
  co_status status = co_image_decode(&image, ctx, data, size, &request);
  FUZZ_CHECK(measured == CO_OK || measured == CO_ERR_DATA);
  FUZZ_CHECK(status == CO_OK || status == CO_ERR_DATA);
  FUZZ_CHECK(status != CO_OK || measured == CO_OK);
  if (status == CO_OK) {
    FUZZ_CHECK(image.info.channels == request.channels);
    FUZZ_CHECK(info.orientation == image.info.orientation);
    FUZZ_CHECK(co_image_resize(row, ctx, &image, 9, 7, (co_image_fit)(size % 3)) == CO_OK);
    co_free(ctx, image.pixels);
  }
  FUZZ_CHECK(co_alloc_get_stats(ctx).live_blocks == 0);
  co_context_free(ctx);
  return 0;
}

#ifndef FUZZ_WITHOUT_MAIN
static void fill(uint8_t *pixels, int channels) {
  for (int i = 0; i < SIDE * SIDE * channels; i++)
    pixels[i] = (uint8_t)(i * 7 + i / SIDE * 3);
}

static size_t make_png(uint8_t *out, uint32_t format, int channels) {
  uint8_t pixels[SIDE * SIDE * 4];
  png_alloc_size_t size = ROOM;
  png_image image = {.version = PNG_IMAGE_VERSION, .width = SIDE, .height = SIDE, .format = format};
  fill(pixels, channels);
  FUZZ_CHECK(png_image_write_to_memory(&image, out, &size, 0, pixels, 0, NULL));
  return size;
}

static size_t make_jpeg(uint8_t *out, int channels, int progressive) {
  // Exif of one entry, big-endian: the orientation, 6.
  static const uint8_t exif[] = "Exif\0\0MM\0*\0\0\0\10\0\1\1\22\0\3\0\0\0\1\0\6\0\0\0\0\0\0";
  struct jpeg_compress_struct jpeg;
  struct jpeg_error_mgr errors;
  uint8_t pixels[SIDE * SIDE * 4], *bytes = NULL;
  unsigned long size = 0;
  fill(pixels, channels);
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_width = jpeg.image_height = SIDE;
  jpeg.input_components = channels;
  jpeg.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof exif - 1);
  while (jpeg.next_scanline < SIDE) {
    JSAMPROW row = pixels + (size_t)jpeg.next_scanline * SIDE * (size_t)channels;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  FUZZ_CHECK(size <= ROOM);
  memcpy(out, bytes, size);
  free(bytes);
  return size;
}

static size_t make_sample(uint8_t *out, int kind) {
  // One pixel, lossless.
  static const uint8_t webp[] =
      "RIFF\x1a\0\0\0WEBPVP8L\r\0\0\0/\0\0\0\x10\a\x10\x11\x11\x88\x88\xfe\a";
  switch (kind) {
  case 0:
    return make_png(out, PNG_FORMAT_RGBA, 4);
  case 1:
    return make_png(out, PNG_FORMAT_GRAY, 1);
  case 2:
    return make_jpeg(out, 1, 0);
  case 3:
    return make_jpeg(out, 3, 0);
  case 4:
    return make_jpeg(out, 3, 1);
  case 5:
    return make_jpeg(out, 4, 0);
  default:
    memcpy(out, webp, sizeof webp);
    return sizeof webp;
  }
}

int main(int argc, char **argv) {
  enum { KINDS = 7 };
  long inputs = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;
  uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  static uint8_t sample[KINDS][ROOM], data[ROOM];
  size_t length[KINDS];
  for (int k = 0; k < KINDS; k++)
    length[k] = make_sample(sample[k], k);
  for (long i = 0; i < inputs; i++) {
    size_t size = length[i % KINDS];
    memcpy(data, sample[i % KINDS], size);
    if (i >= KINDS) size = fuzz_mutate(data, size, sizeof data, &random);
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("fuzz_image: %ld inputs\n", inputs);
  return 0;
}
#endif
