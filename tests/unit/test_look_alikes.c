// SPDX-License-Identifier: Apache-2.0
// Labels: tsan
#include "tests/unit/data_fixture.h"

#include <math.h>
#include <sys/stat.h>

#include <png.h>

#include "datasets/import_images.h"
#include "datasets/look_alikes.h"

enum { SIDE = 40, IMAGES = 60 };

// A sum of waves of its own by `number`, lighter by `light`, `contrast` times as strong, drawn `size` wide.
static void make_image(const char *path, int number, int light, double contrast, int size) {
  uint8_t pixels[SIDE * SIDE * 3];
  for (int i = 0; i < size * size; i++) {
    double x = (i % size + 0.5) / size, y = (double)(i / size + 0.5) / size, sum = 0;
    for (int k = 1; k < 6; k++)
      sum += sin(k * 7 * x + number * k) * cos(k * 5 * y + number * 1.7 * k);
    for (int c = 0; c < 3; c++)
      pixels[3 * i + c] = (uint8_t)fmin(255, fmax(0, 120 + light + contrast * 22 * sum + 5 * c));
  }
  png_image image = {.version = PNG_IMAGE_VERSION,
                     .width = (uint32_t)size,
                     .height = (uint32_t)size,
                     .format = PNG_FORMAT_RGB};
  assert_true(png_image_write_to_file(&image, path, 0, pixels, 0, NULL));
}

static void import(fixture *f) {
  co_import_images_result result;
  co_diagnostics skipped;
  const co_import_images_options options = {.output = "d.h5",
                                            .folder = "photos",
                                            .recipe = {.height = 32, .width = 32},
                                            .validation_fraction = 0,
                                            .most_pixels = 4096,
                                            .force = true};
  co_diagnostics_init(&skipped, f->ctx);
  assert_int_equal(co_import_images(&result, f->ctx, &options, &skipped), CO_OK);
  co_diagnostics_free(&skipped);
}

static co_status look(fixture *f, co_look_alikes *found, char pair[2][64]) {
  co_dataset *d;
  co_view view;
  assert_int_equal(co_dataset_open(&d, f->ctx, "d.h5"), CO_OK);
  assert_int_equal(co_view_open(&view, d, co_schema_find(co_dataset_schema(d), "image")), CO_OK);
  co_status status = co_look_alikes_find(found, f->ctx, d, &view, NULL);
  for (int i = 0; pair && i < 2; i++)
    assert_int_equal(co_dataset_key(d, i ? found->like : found->sample, pair[i], 64), CO_OK);
  co_dataset_close(d);
  return status;
}

static void copies_that_were_changed_are_found(void **state) {
  fixture *f = *state;
  co_look_alikes found;
  char path[64], pair[2][64];
  mkdir("photos", 0777);
  mkdir("photos/train", 0777);
  mkdir("photos/test", 0777);
  for (int i = 0; i < IMAGES; i++) {
    snprintf(path, sizeof path, "photos/%s/%02d.png", i % 3 ? "train" : "test", i);
    make_image(path, i, 0, 1, SIDE);
  }
  import(f);
  assert_int_equal(look(f, &found, NULL), CO_OK);
  assert_int_equal(found.sample, -1); // all are different
  make_image("photos/test/light.png", 1, 25, 1, SIDE);
  make_image("photos/test/weak.png", 4, 0, .9, SIDE);
  make_image("photos/test/small.png", 7, 0, 1, 29);
  make_image("photos/test/same.png", 10, 0, 1, SIDE); // a duplicate, which another finding is of
  make_image("photos/test/white.png", 0, 255, 0, SIDE);
  make_image("photos/train/white.png", 0, 240, 0, SIDE); // mostly of one tone
  import(f);
  for (int threads = 1; threads <= 4; threads += 3) {
    co_context_set_threads(f->ctx, threads);
    assert_int_equal(look(f, &found, pair), CO_OK);
    assert_int_equal(found.count[CO_SPLIT_TEST], 3);
    assert_int_equal(found.count[CO_SPLIT_VALIDATION], 0);
    assert_string_equal(pair[0], "test/light.png");
    assert_string_equal(pair[1], "train/01.png");
  }
  co_status status = CO_ERR_MEMORY;
  for (int64_t nth = 1; status != CO_OK; nth++) {
    co_dataset *d;
    co_view view;
    assert_int_equal(co_dataset_open(&d, f->ctx, "d.h5"), CO_OK);
    assert_int_equal(co_view_open(&view, d, co_schema_find(co_dataset_schema(d), "image")), CO_OK);
    co_alloc_fail_at(f->ctx, nth, false);
    status = co_look_alikes_find(&found, f->ctx, d, &view, NULL);
    co_alloc_fail_at(f->ctx, 0, false);
    assert_true(status == CO_OK || status == CO_ERR_MEMORY);
    co_dataset_close(d);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {DATA_TEST(copies_that_were_changed_are_found)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
