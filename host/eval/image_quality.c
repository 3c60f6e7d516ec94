// SPDX-License-Identifier: Apache-2.0
#include "host/eval/image_quality.h"

#include <math.h>
#include <string.h>

enum { MOMENTS = 5 }; // x, y, x², y², x y

static bool has_structure(const co_image_quality *q) {
  return q->height >= CO_SSIM_WINDOW && q->width >= CO_SSIM_WINDOW;
}

co_status co_image_quality_create(co_image_quality *q, co_context *ctx, int64_t height,
                                  int64_t width, int64_t channels) {
  memset(q, 0, sizeof *q);
  q->ctx = ctx;
  q->height = height;
  q->width = width;
  q->channels = channels;
  q->room = co_alloc(ctx, (size_t)(MOMENTS * height * width + 1) * sizeof *q->room);
  return q->room ? CO_OK : CO_ERR_MEMORY;
}

void co_image_quality_free(co_image_quality *q) {
  if (q->ctx) co_free(q->ctx, q->room);
  memset(q, 0, sizeof *q);
}

// ---- structure ---------------------------------------------------------------------------------

static void weigh(double window[CO_SSIM_WINDOW]) {
  double sum = 0;
  for (int i = 0; i < CO_SSIM_WINDOW; i++) {
    const double from_middle = (i - CO_SSIM_WINDOW / 2) / 1.5;
    window[i] = exp(-from_middle * from_middle / 2);
    sum += window[i];
  }
  for (int i = 0; i < CO_SSIM_WINDOW; i++)
    window[i] /= sum;
}

// Of each row the places of a window in it: moments (MOMENTS, height, places).
static void sum_rows(const co_image_quality *q, const float *x, const float *y,
                     const double window[CO_SSIM_WINDOW]) {
  const int64_t places = q->width - CO_SSIM_WINDOW + 1, plane = q->height * places;
  for (int64_t i = 0; i < plane; i++) {
    const int64_t first = i / places * q->width + i % places;
    double sums[MOMENTS] = {0};
    for (int k = 0; k < CO_SSIM_WINDOW; k++) {
      const double a = x[(first + k) * q->channels], b = y[(first + k) * q->channels];
      const double values[MOMENTS] = {a, b, a * a, b * b, a * b};
      for (int m = 0; m < MOMENTS; m++)
        sums[m] += window[k] * values[m];
    }
    for (int m = 0; m < MOMENTS; m++)
      q->room[m * plane + i] = sums[m];
  }
}

static double similarity(const double m[MOMENTS]) {
  const double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
  const double xx = m[2] - m[0] * m[0], yy = m[3] - m[1] * m[1], xy = m[4] - m[0] * m[1];
  return (2 * m[0] * m[1] + c1) * (2 * xy + c2) /
         ((m[0] * m[0] + m[1] * m[1] + c1) * (xx + yy + c2));
}

// Of one channel, whose first pixels x and y are.
static double structure_of(const co_image_quality *q, const float *x, const float *y,
                           const double window[CO_SSIM_WINDOW]) {
  const int64_t places = q->width - CO_SSIM_WINDOW + 1, rows = q->height - CO_SSIM_WINDOW + 1;
  double total = 0;
  sum_rows(q, x, y, window);
  for (int64_t i = 0; i < rows * places; i++) {
    double sums[MOMENTS] = {0};
    for (int m = 0; m < MOMENTS; m++)
      for (int k = 0; k < CO_SSIM_WINDOW; k++)
        sums[m] += window[k] * q->room[m * q->height * places + i + k * places];
    total += similarity(sums);
  }
  return total / (double)(rows * places);
}

// ---- all ---------------------------------------------------------------------------------------

void co_image_quality_add(co_image_quality *q, const float *image, const float *given,
                          double weight) {
  const int64_t count = q->height * q->width * q->channels;
  double squared = 0, absolute = 0, structure = 0, window[CO_SSIM_WINDOW];
  for (int64_t i = 0; i < count; i++) {
    const double error = (double)given[i] - (double)image[i];
    squared += error * error;
    absolute += fabs(error);
  }
  weigh(window);
  for (int64_t c = 0; has_structure(q) && c < q->channels; c++)
    structure += structure_of(q, image + c, given + c, window);
  q->weight += weight;
  q->squared += weight * squared / (double)count;
  q->absolute += weight * absolute / (double)count;
  q->structure += weight * structure / (double)q->channels;
}

static double mae(const co_image_quality *q) {
  return q->weight > 0 ? q->absolute / q->weight : NAN;
}

static double psnr(const co_image_quality *q) {
  return q->weight > 0 ? 10 * log10(q->weight / q->squared) : NAN;
}

// As scikit-image's structural_similarity with gaussian_weights and without use_sample_covariance.
static double ssim(const co_image_quality *q) {
  return q->weight > 0 && has_structure(q) ? q->structure / q->weight : NAN;
}

const co_image_metric co_image_metrics[] = {
    {"mae", "Of images given back: mean absolute error of their pixels / 255.", mae, false},
    {"psnr",
     "Of images given back: peak signal to noise ratio in decibel, 10 log10(1 / mean squared error "
     "of all pixels / 255).",
     psnr, true},
    {"ssim",
     "Of images given back: structural similarity (Wang et al. 2004), mean over images, channels "
     "and "
     "places of a window of 11 x 11 with Gaussian weights of 1.5 pixels.",
     ssim, true}};
