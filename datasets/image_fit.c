// SPDX-License-Identifier: Apache-2.0
#include "datasets/image_fit.h"

#include <string.h>

enum { PRECISION = 22 }; // bits of weights behind the point: 32, less 8 of values, less 2

static const char *const names[] = {"crop", "pad", "stretch"};

bool co_image_fit_parse(co_image_fit *out, const char *text) {
  for (int i = 0; i < 3; i++)
    if (!strcmp(names[i], text)) {
      *out = (co_image_fit)i;
      return true;
    }
  return false;
}

const char *co_image_fit_name(co_image_fit fit) {
  return names[fit];
}

// ---- weights -----------------------------------------------------------------------------------

// Which pixels of a line of the source, from `begin` to `end`, make each of the result.
typedef struct axis {
  int64_t count, taps;
  int64_t *first, *used; // of each pixel of the result: its first source pixel, and how many
  int32_t *weight;       // (count, taps)
} axis;

static void axis_free(axis *a, co_context *ctx) {
  co_free(ctx, a->first);
  co_free(ctx, a->used);
  co_free(ctx, a->weight);
}

static double triangle(double x) {
  if (x < 0) x = -x;
  return x < 1 ? 1 - x : 0;
}

static void weigh(axis *a, int64_t i, double centre, double reach, int64_t size) {
  double at = centre - reach + .5, end = centre + reach + .5, sum = 0;
  int64_t first = at > 0 ? (int64_t)at : 0, last = end < (double)size ? (int64_t)end : size;
  int32_t *weight = a->weight + i * a->taps;
  a->first[i] = first;
  a->used[i] = last - first;
  for (int64_t k = 0; k < last - first; k++)
    sum += triangle(((double)(k + first) - centre + .5) * (1 / reach));
  for (int64_t k = 0; k < last - first; k++) {
    double share = triangle(((double)(k + first) - centre + .5) * (1 / reach)) / sum;
    weight[k] = (int32_t)(.5 + share * (1 << PRECISION));
  }
}

static co_status axis_make(axis *a, co_context *ctx, int64_t size, double begin, double end,
                           int64_t count) {
  double scale = (end - begin) / (double)count, reach = scale > 1 ? scale : 1;
  a->count = count;
  a->taps = (int64_t)reach * 2 + 3;
  a->first = co_alloc(ctx, (size_t)count * sizeof *a->first);
  a->used = co_alloc(ctx, (size_t)count * sizeof *a->used);
  a->weight = co_alloc_zero(ctx, (size_t)(count * a->taps), sizeof *a->weight);
  if (!a->first || !a->used || !a->weight) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++)
    weigh(a, i, begin + ((double)i + .5) * scale, reach, size);
  return CO_OK;
}

// ---- both passes -------------------------------------------------------------------------------

static uint8_t rounded(uint32_t sum) {
  sum >>= PRECISION;
  return (uint8_t)(sum > 255 ? 255 : sum);
}

static void along_row(uint8_t *out, const uint8_t *in, const axis *x, int channels) {
  const uint32_t half = 1u << (PRECISION - 1);
  for (int64_t i = 0; i < x->count; i++) {
    const int32_t *weight = x->weight + i * x->taps;
    const uint8_t *from = in + x->first[i] * channels;
    uint32_t sum[3] = {half, half, half};
    if (channels == 3) {
      for (int64_t k = 0; k < x->used[i]; k++, from += 3)
        for (int c = 0; c < 3; c++)
          sum[c] += from[c] * (uint32_t)weight[k];
      for (int c = 0; c < 3; c++)
        *out++ = rounded(sum[c]);
    } else {
      for (int64_t k = 0; k < x->used[i]; k++)
        sum[0] += from[k] * (uint32_t)weight[k];
      *out++ = rounded(sum[0]);
    }
  }
}

// Row i of the result from rows of `width` values, of which the first is row `above` of the source.
static void along_column(uint8_t *out, uint32_t *sum, const uint8_t *in, const axis *y, int64_t i,
                         int64_t above, int64_t width) {
  const int32_t *weight = y->weight + i * y->taps;
  for (int64_t k = 0; k < width; k++)
    sum[k] = 1u << (PRECISION - 1);
  for (int64_t t = 0; t < y->used[i]; t++) {
    const uint8_t *from = in + (y->first[i] - above + t) * width;
    for (int64_t k = 0; k < width; k++)
      sum[k] += from[k] * (uint32_t)weight[t];
  }
  for (int64_t k = 0; k < width; k++)
    out[k] = rounded(sum[k]);
}

typedef struct box {
  double top, left, bottom, right;
} box;

static co_status resample(uint8_t *out, co_context *ctx, const co_image *image, const box *from,
                          int64_t height, int64_t width) {
  const co_image_info *in = &image->info;
  int64_t values = width * in->channels;
  axis x = {0}, y = {0};
  uint8_t *between = NULL;
  uint32_t *sum = NULL;
  co_status status = CO_OK;
  CO_TRY(axis_make(&x, ctx, in->width, from->left, from->right, width));
  CO_TRY(axis_make(&y, ctx, in->height, from->top, from->bottom, height));
  int64_t above = y.first[0], rows = y.first[height - 1] + y.used[height - 1] - above;
  status = CO_ERR_MEMORY;
  if (!(between = co_alloc(ctx, (size_t)(rows * values)))) goto cleanup;
  if (!(sum = co_alloc(ctx, (size_t)values * sizeof *sum))) goto cleanup;
  status = CO_OK;
  for (int64_t i = 0; i < rows; i++)
    along_row(between + i * values, image->pixels + (above + i) * in->width * in->channels, &x,
              in->channels);
  for (int64_t i = 0; i < height; i++)
    along_column(out + i * values, sum, between, &y, i, above, values);

cleanup:
  axis_free(&x, ctx);
  axis_free(&y, ctx);
  co_free(ctx, between);
  co_free(ctx, sum);
  return status;
}

// ---- upright -----------------------------------------------------------------------------------

// Pixel (y, x) of the upright image is pixel (y, x), or (x, y) where the axes are exchanged, of the
// stored one, counted from its last row or column where that is flipped (EXIF 2.3, Orientation).
static void turn(uint8_t *out, const uint8_t *in, int orientation, int64_t height, int64_t width,
                 int channels) {
  bool exchanged = orientation >= 5;
  bool rows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  bool columns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  int64_t stored_height = exchanged ? width : height, stored_width = exchanged ? height : width;
  for (int64_t y = 0; y < height; y++)
    for (int64_t x = 0; x < width; x++, out += channels) {
      int64_t row = exchanged ? x : y, column = exchanged ? y : x;
      if (rows) row = stored_height - 1 - row;
      if (columns) column = stored_width - 1 - column;
      memcpy(out, in + (row * stored_width + column) * channels, (size_t)channels);
    }
}

// ---- fits --------------------------------------------------------------------------------------

// The largest part of the image, around its middle, with the size's proportions.
static box middle_of(const co_image_info *in, int64_t height, int64_t width) {
  double h = (double)in->height, w = (double)in->width;
  double part_h = h, part_w = h * (double)width / (double)height;
  if (part_w > w) {
    part_w = w;
    part_h = w * (double)height / (double)width;
  }
  return (box){(h - part_h) / 2, (w - part_w) / 2, (h + part_h) / 2, (w + part_w) / 2};
}

// The largest size of the upright image's proportions within height x width; at least a pixel.
static void size_within(const co_image_info *in, int64_t *height, int64_t *width) {
  bool exchanged = in->orientation >= 5;
  double in_h = (double)(exchanged ? in->width : in->height);
  double in_w = (double)(exchanged ? in->height : in->width);
  double by_h = (double)*height / in_h, by_w = (double)*width / in_w;
  double scale = by_h < by_w ? by_h : by_w;
  int64_t h = (int64_t)(in_h * scale + .5), w = (int64_t)(in_w * scale + .5);
  *height = h < 1 ? 1 : h < *height ? h : *height;
  *width = w < 1 ? 1 : w < *width ? w : *width;
}

// The whole image, or its middle of the size's proportions, upright in the size.
static co_status resize_upright(uint8_t *out, co_context *ctx, const co_image *image,
                                int64_t height, int64_t width, bool middle) {
  const co_image_info *in = &image->info;
  bool exchanged = in->orientation >= 5;
  int64_t stored_height = exchanged ? width : height, stored_width = exchanged ? height : width;
  box from = {0, 0, (double)in->height, (double)in->width};
  if (middle) from = middle_of(in, stored_height, stored_width);
  if (in->orientation == 1) return resample(out, ctx, image, &from, height, width);
  uint8_t *stored = co_alloc(ctx, (size_t)(height * width * in->channels));
  if (!stored) return CO_ERR_MEMORY;
  co_status status = resample(stored, ctx, image, &from, stored_height, stored_width);
  if (status == CO_OK) turn(out, stored, in->orientation, height, width, in->channels);
  co_free(ctx, stored);
  return status;
}

static co_status pad(uint8_t *out, co_context *ctx, const co_image *image, int64_t height,
                     int64_t width) {
  int64_t inner_height = height, inner_width = width;
  int64_t row = width * image->info.channels;
  size_within(&image->info, &inner_height, &inner_width);
  int64_t inner_row = inner_width * image->info.channels;
  uint8_t *inner = co_alloc(ctx, (size_t)(inner_height * inner_row));
  if (!inner) return CO_ERR_MEMORY;
  co_status status = resize_upright(inner, ctx, image, inner_height, inner_width, false);
  memset(out, 255, (size_t)(height * row));
  out += (height - inner_height) / 2 * row + (width - inner_width) / 2 * image->info.channels;
  for (int64_t y = 0; status == CO_OK && y < inner_height; y++)
    memcpy(out + y * row, inner + y * inner_row, (size_t)inner_row);
  co_free(ctx, inner);
  return status;
}

co_status co_image_resize(uint8_t *out, co_context *ctx, const co_image *image, int64_t height,
                          int64_t width, co_image_fit fit) {
  if (fit == CO_FIT_PAD) return pad(out, ctx, image, height, width);
  return resize_upright(out, ctx, image, height, width, fit == CO_FIT_CROP);
}
