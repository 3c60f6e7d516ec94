// SPDX-License-Identifier: Apache-2.0
#include "datasets/image_recipe.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
  MAX_ROW_BYTES = 1 << 26,
  BIG_PIXELS = 1 << 24 // such images are decoded one at a time: their pixels fill much memory
};

co_status co_image_recipe_print(co_text *out, const co_image_recipe *r) {
  co_text_printf(
      out, "images:\n  height: %" PRId64 "\n  width: %" PRId64 "\n  channels: %d\n  fit: %s\n",
      r->height, r->width, r->channels, co_image_fit_name(r->fit));
  return out->status;
}

co_status co_image_recipe_make(co_image_recipe *out, int64_t width, int64_t height,
                               int64_t channels, const char *fit) {
  *out = (co_image_recipe){.height = height, .width = width, .channels = (int)channels};
  if (channels != 0 && channels != 1 && channels != 3)
    return co_fail(CO_ERR_USAGE, "images have 1 channel (grey) or 3, not %lld",
                   (long long)channels);
  if (width < 0 || height < 0 || width > CO_IMAGE_MAX_EXTENT || height > CO_IMAGE_MAX_EXTENT ||
      !width != !height)
    return co_fail(CO_ERR_USAGE, "the size of images is out of range: %lld x %lld",
                   (long long)width, (long long)height);
  if (!fit || co_image_fit_parse(&out->fit, fit)) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--fit %.100s: not understood", fit);
  co_hint("crop, pad or stretch");
  return status;
}

int64_t co_image_recipe_bytes(const co_image_recipe *r) {
  return r->height * r->width * r->channels;
}

// ---- completing --------------------------------------------------------------------------------

static int64_t upright(const co_image_info *info, bool width) {
  return width == (info->orientation < 5) ? info->width : info->height;
}

static int by_value(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

// A multiple of 32, at most 224, that half of the images have in both directions.
static int64_t propose_size(co_context *ctx, const co_image_look *looks, int64_t count) {
  int64_t *shorter = co_alloc(ctx, (size_t)count * sizeof *shorter);
  if (!shorter) return 64;
  for (int64_t i = 0; i < count; i++) {
    const co_image_info *info = &looks[i].info;
    shorter[i] = info->height < info->width ? info->height : info->width;
  }
  qsort(shorter, (size_t)count, sizeof *shorter, by_value);
  int64_t size = shorter[count / 2] / 32 * 32;
  co_free(ctx, shorter);
  return size < 32 ? 32 : size > 224 ? 224 : size;
}

static co_status check_one_size(co_image_recipe *r, co_context *ctx, const char *where,
                                const co_image_look *looks, int64_t count) {
  r->height = upright(&looks[0].info, false);
  r->width = upright(&looks[0].info, true);
  for (int64_t i = 1; i < count; i++) {
    int64_t h = upright(&looks[i].info, false), w = upright(&looks[i].info, true);
    if (h == r->height && w == r->width) continue;
    co_status status = co_fail(CO_ERR_DATA,
                               "'%.200s': images of several sizes: '%.200s' has %" PRId64
                               " x %" PRId64 ", '%.200s' %" PRId64 " x %" PRId64,
                               where, looks[0].name, r->width, r->height, looks[i].name, w, h);
    int64_t size = propose_size(ctx, looks, count);
    co_hint("give them one: --image-size %" PRId64 "x%" PRId64
            " --fit crop (or pad, or stretch); smaller trains faster",
            size, size);
    return status;
  }
  return CO_OK;
}

co_status co_image_recipe_complete(co_image_recipe *r, co_context *ctx, const char *where,
                                   const co_image_look *looks, int64_t count) {
  bool colour = false;
  if (!r->height) CO_RETURN_IF_FAILED(check_one_size(r, ctx, where, looks, count));
  for (int64_t i = 0; i < count; i++)
    colour |= looks[i].info.channels == 3;
  if (!r->channels) r->channels = colour ? 3 : 1;
  if (co_image_recipe_bytes(r) > MAX_ROW_BYTES)
    return co_fail(CO_ERR_DATA, "images of %" PRId64 " x %" PRId64 " are too large for a dataset",
                   r->width, r->height);
  return CO_OK;
}

// ---- decoding ----------------------------------------------------------------------------------

static co_status make_row(const co_image_recipe *r, co_context *ctx, const uint8_t *bytes,
                          size_t length, const co_image_info *info, int64_t most, uint8_t *row) {
  bool exchanged = info->orientation >= 5;
  const co_image_request request = {.channels = r->channels,
                                    .least_height = 2 * (exchanged ? r->width : r->height),
                                    .least_width = 2 * (exchanged ? r->height : r->width),
                                    .most = most};
  co_image image;
  CO_RETURN_IF_FAILED(co_image_decode(&image, ctx, bytes, length, &request));
  co_status status = co_image_resize(row, ctx, &image, r->height, r->width, r->fit);
  co_free(ctx, image.pixels);
  return status;
}

co_status co_image_recipe_row(const co_image_recipe *r, co_context *ctx, const uint8_t *bytes,
                              size_t length, const co_image_info *info, int64_t most,
                              uint8_t *row) {
  if (info->height * info->width < BIG_PIXELS)
    return make_row(r, ctx, bytes, length, info, most, row);
  co_status status;
#pragma omp critical(co_image_recipe_big)
  status = make_row(r, ctx, bytes, length, info, most, row);
  return status;
}
