// SPDX-License-Identifier: Apache-2.0
// Images of all kinds must come out as Pillow has them (scripts/gen_images).
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "datasets/image_fit.h"
#include "host/core/h5.h"

#define OK(expression) assert_int_equal(expression, CO_OK)
#define FIXTURE COHORT_TEST_SOURCE_DIR "/tests/golden/images.h5"
enum { WIDTH = 12, HEIGHT = 16, VALUES = WIDTH * HEIGHT * 3, MOST = 40 * 40 * 3 };

typedef struct golden {
  const char *name;
  int channels, orientation;
  int off; // by how much a value may differ: JPEG is turned after it is rounded, or before
} golden;

static const golden all[] = {
    {"colour.png", 3, 1, 0},     {"grey.png", 1, 1, 0},        {"alpha.png", 3, 1, 0},
    {"grey_alpha.png", 1, 1, 0}, {"palette.png", 3, 1, 0},     {"two.png", 1, 1, 0},
    {"deep.png", 1, 1, 0},       {"turned6.png", 3, 6, 1},     {"colour.jpeg", 3, 1, 0},
    {"grey.jpeg", 1, 1, 0},      {"subsampled.jpeg", 3, 1, 0}, {"progressive.jpeg", 3, 1, 0},
    {"inks.jpeg", 3, 1, 1},      {"turned2.jpeg", 3, 2, 1},    {"turned3.jpeg", 3, 3, 1},
    {"turned4.jpeg", 3, 4, 1},   {"turned5.jpeg", 3, 5, 1},    {"turned6.jpeg", 3, 6, 1},
    {"turned7.jpeg", 3, 7, 1},   {"turned8.jpeg", 3, 8, 1},    {"alpha.webp", 3, 1, 0},
};

typedef struct fixture {
  co_context *ctx;
  co_h5 *file;
  co_arena *arena;
} fixture;

static int set_up(void **state) {
  static fixture f;
  *state = &f;
  OK(co_context_create(&f.ctx, NULL));
  OK(co_arena_create(&f.arena, f.ctx));
  OK(co_h5_open(&f.file, f.ctx, FIXTURE, CO_ERR_DATA));
  return 0;
}

static int tear_down(void **state) {
  fixture *f = *state;
  co_h5_abandon(f->file);
  co_arena_free(f->arena);
  assert_int_equal(co_alloc_get_stats(f->ctx).live_blocks, 0);
  co_context_free(f->ctx);
  return 0;
}

static uint8_t *read(const fixture *f, const char *group, const char *name, size_t *length) {
  char path[64];
  co_h5_info info;
  (void)snprintf(path, sizeof path, "/%s/%s", group, name);
  OK(co_h5_get_info(f->file, path, &info));
  *length = (size_t)co_shape_count(&info.shape);
  uint8_t *bytes = co_arena_alloc(f->arena, *length, 1);
  OK(co_h5_read(f->file, path, CO_U8, NULL, bytes));
  return bytes;
}

static void compare(const golden *g, const char *what, const uint8_t *mine, const uint8_t *theirs,
                    int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (abs(mine[i] - theirs[i]) > g->off)
      fail_msg("%s of %s: value %lld is %d instead of %d", what, g->name, (long long)i, mine[i],
               theirs[i]);
}

static bool can_be_read(const golden *g) {
  char version[64];
  co_image_webp_version(version);
  if (strcmp(g->name, "alpha.webp") != 0 || strncmp(version, "missing", 7) != 0) return true;
  print_message("NOT RUN: %s: libwebp is %s\n", g->name, version);
  return false;
}

static void decode(const fixture *f, const golden *g, int channels, co_image *image) {
  size_t length;
  const uint8_t *bytes = read(f, "files", g->name, &length);
  OK(co_image_measure(&image->info, bytes, length, 1200));
  assert_int_equal(image->info.width, 30);
  assert_int_equal(image->info.height, 40);
  assert_int_equal(image->info.channels, g->channels);
  assert_int_equal(image->info.orientation, g->orientation);
  assert_int_equal(co_image_measure(&image->info, bytes, length, 1199), CO_ERR_DATA);
  OK(co_image_decode(image, f->ctx, bytes, length,
                     &(co_image_request){.channels = channels, .most = 1200}));
  assert_int_equal(image->info.channels, channels);
}

static void fits_are_those_of_pillow(void **state) {
  const fixture *f = *state;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    uint8_t mine[VALUES];
    size_t length;
    co_image image;
    if (!can_be_read(&all[i])) continue;
    decode(f, &all[i], 3, &image);
    for (int fit = CO_FIT_CROP; fit <= CO_FIT_STRETCH; fit++) {
      const char *name = co_image_fit_name((co_image_fit)fit);
      OK(co_image_resize(mine, f->ctx, &image, HEIGHT, WIDTH, (co_image_fit)fit));
      compare(&all[i], name, mine, read(f, name, all[i].name, &length), VALUES);
    }
    co_free(f->ctx, image.pixels);
  }
}

// Of its own size nothing is resampled.
static void pixels_are_those_of_pillow(void **state) {
  const fixture *f = *state;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    uint8_t mine[MOST];
    size_t length;
    co_image image;
    if (!can_be_read(&all[i])) continue;
    decode(f, &all[i], 3, &image);
    bool turned = all[i].orientation >= 5;
    OK(co_image_resize(mine, f->ctx, &image, turned ? 30 : 40, turned ? 40 : 30, CO_FIT_STRETCH));
    compare(&all[i], "pixels", mine, read(f, "pixels", all[i].name, &length), 30 * 40 * 3);
    co_free(f->ctx, image.pixels);
  }
}

// Grey of a JPEG is its luminance as stored, not that of rounded colours.
static void grey_is_that_of_pillow(void **state) {
  const fixture *f = *state;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    uint8_t mine[WIDTH * HEIGHT];
    size_t length;
    co_image image;
    golden g = all[i];
    if (!can_be_read(&g)) continue;
    g.off = 1;
    decode(f, &g, 1, &image);
    OK(co_image_resize(mine, f->ctx, &image, HEIGHT, WIDTH, CO_FIT_CROP));
    compare(&g, "grey", mine, read(f, "grey", g.name, &length), WIDTH * HEIGHT);
    co_free(f->ctx, image.pixels);
  }
}

// A JPEG by way of half its size is nearly the same.
static void scaled_decoding_keeps_the_picture(void **state) {
  const fixture *f = *state;
  uint8_t mine[5 * 7 * 3], whole[5 * 7 * 3];
  size_t length;
  co_image image, scaled;
  decode(f, &all[8], 3, &image);
  const uint8_t *bytes = read(f, "files", all[8].name, &length);
  const co_image_request request = {
      .channels = 3, .most = 1200, .least_height = 14, .least_width = 10};
  OK(co_image_decode(&scaled, f->ctx, bytes, length, &request));
  assert_int_equal(scaled.info.height, 20);
  assert_int_equal(scaled.info.width, 15);
  OK(co_image_resize(whole, f->ctx, &image, 7, 5, CO_FIT_CROP));
  OK(co_image_resize(mine, f->ctx, &scaled, 7, 5, CO_FIT_CROP));
  compare(&(golden){.name = "half", .off = 3}, "scaled", mine, whole, sizeof mine);
  co_free(f->ctx, image.pixels);
  co_free(f->ctx, scaled.pixels);
}

static void what_is_written_reads_back(void **state) {
  const fixture *f = *state;
  for (int channels = 1; channels <= 3; channels += 2) {
    co_image image, again;
    co_text png;
    co_text_init(&png, f->ctx);
    decode(f, &all[0], channels, &image);
    OK(co_image_write_png(&png, &image));
    OK(co_image_decode(&again, f->ctx, (const uint8_t *)png.data, png.length,
                       &(co_image_request){.channels = channels, .most = 1200}));
    assert_int_equal(again.info.width, 30);
    assert_memory_equal(image.pixels, again.pixels, (size_t)(30 * 40 * channels));
    co_text_free(&png);
    co_free(f->ctx, image.pixels);
    co_free(f->ctx, again.pixels);
  }
}

// Each file, ended early anywhere, is refused or (where only a checksum is gone) as it was.
static void files_that_end_early_are_refused(void **state) {
  const fixture *f = *state;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    size_t length;
    co_image image;
    if (!can_be_read(&all[i])) continue;
    const uint8_t *bytes = read(f, "files", all[i].name, &length);
    for (size_t end = 0; end + 4 < length; end += 3)
      assert_int_equal(
          co_image_decode(&image, f->ctx, bytes, end,
                          &(co_image_request){.channels = 3, .most = CO_IMAGE_MAX_EXTENT}),
          CO_ERR_DATA);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(fits_are_those_of_pillow, set_up, tear_down),
      cmocka_unit_test_setup_teardown(pixels_are_those_of_pillow, set_up, tear_down),
      cmocka_unit_test_setup_teardown(grey_is_that_of_pillow, set_up, tear_down),
      cmocka_unit_test_setup_teardown(scaled_decoding_keeps_the_picture, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_written_reads_back, set_up, tear_down),
      cmocka_unit_test_setup_teardown(files_that_end_early_are_refused, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
