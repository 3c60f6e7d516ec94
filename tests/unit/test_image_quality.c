// SPDX-License-Identifier: Apache-2.0
// Errors and structural similarity of images against scikit-image (scripts/gen_ssim).
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/eval/image_quality.h"

enum { MOST = 28 * 28 };

static void make(float *image, float *given, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const int64_t pixel = (37 * i + i * i / 5) % 256, noisy = pixel + 11 * i % 31 - 15;
    image[i] = (float)pixel / 255;
    given[i] = (float)(noisy < 0 ? 0 : noisy > 255 ? 255 : noisy) / 255;
  }
}

static void near_to(double value, double expected) {
  if (!(fabs(value - expected) <= 1e-6 * fabs(expected)))
    fail_msg("%.12g, not %.12g", value, expected);
}

static double value(const co_image_quality *quality, int metric) { // mae, psnr, ssim
  return co_image_metrics[metric].of(quality);
}

static void as_scikit_image(void **state) {
  static const struct {
    int64_t height, width, channels;
    double mae, psnr, ssim;
  } known[] = {{28, 28, 1, 0.0299369747899, 29.1924927253, 0.992331444631},
               {13, 17, 3, 0.0299352320114, 29.1903341767, 0.993408100599}};
  (void)state;
  co_context *ctx;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
    co_image_quality quality;
    float image[MOST], given[MOST];
    make(image, given, known[k].height * known[k].width * known[k].channels);
    assert_int_equal(
        co_image_quality_create(&quality, ctx, known[k].height, known[k].width, known[k].channels),
        CO_OK);
    assert_true(isnan(value(&quality, 0)) && isnan(value(&quality, 2)));
    co_image_quality_add(&quality, image, given, 2);
    near_to(value(&quality, 0), known[k].mae);
    near_to(value(&quality, 1), known[k].psnr);
    near_to(value(&quality, 2), known[k].ssim);
    co_image_quality_add(&quality, image, image,
                         2); // means by weight; squares in front of the logarithm
    near_to(value(&quality, 0), known[k].mae / 2);
    near_to(value(&quality, 1), known[k].psnr + 10 * log10(2));
    near_to(value(&quality, 2), (known[k].ssim + 1) / 2);
    co_image_quality_free(&quality);
  }
  co_context_free(ctx);
}

static void small_images_have_no_structure(void **state) {
  co_context *ctx;
  co_image_quality quality;
  float image[MOST], given[MOST];
  (void)state;
  make(image, given, 100);
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_image_quality_create(&quality, ctx, 10, 10, 1), CO_OK);
  co_image_quality_add(&quality, image, given, 1);
  assert_true(isnan(value(&quality, 2)) && value(&quality, 1) > 0);
  co_image_quality_free(&quality);
  co_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(as_scikit_image),
                                     cmocka_unit_test(small_images_have_no_structure)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
