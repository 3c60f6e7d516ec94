// SPDX-License-Identifier: Apache-2.0
// Maps of images: where the class is to be seen, they say so, and the attributions of pixels add up.
#include "training.h"

#include "host/eval/heat.h"

enum { ROWS = 24, PLACES = IMAGE_SIDE * IMAGE_SIDE };

static void train_images(const char *encoder) {
  cohort_context *context;
  cohort_result *result;
  char config[512];
  const char *const files[] = {"c.yaml"};
  snprintf(config, sizeof config,
           "input_features: [{name: image, encoder: {type: graph, layers: [%s]}}]\n"
           "output_features: [{name: label}]\n"
           "baselines: none\n"
           "trainer: {max_epochs: 20, batch_size: 32, learning_rate: 0.01}\n",
           encoder);
  write_text("c.yaml", config);
  make_images("d.h5", 360, 1);
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  const cohort_train_options options = {.config = {.files = files, .file_count = 1},
                                        .dataset = "d.h5",
                                        .run_dir = "run",
                                        .threads = 1};
  if (cohort_train(context, &options, &result) != 0) fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
  cohort_context_free(context);
}

typedef struct seen {
  int64_t rows;
  int32_t class_[ROWS];
  double rest; // the largest of what shares of pixels lack
  bool cam;
  double inside[3], all[3]; // of each map, what of it lies in the bright rows, and all: sizes
  double maps[3][ROWS][PLACES];
} seen;

static void add_map(seen *s, int which, int32_t class_, const double *map) {
  memcpy(s->maps[which][s->rows], map, PLACES * sizeof *map);
  for (int i = 0; i < PLACES; i++) {
    s->all[which] += fabs(map[i]);
    if (i / IMAGE_SIDE / 2 == class_) s->inside[which] += fabs(map[i]);
  }
}

static co_status take(void *user, const co_heat *heat) {
  seen *s = user;
  double rest = heat->value - heat->reference;
  for (int i = 0; i < PLACES; i++)
    rest -= heat->gradients[i];
  s->rest = fmax(s->rest, fabs(rest) / fmax(1, fabs(heat->value)));
  add_map(s, 0, heat->class_, heat->gradients);
  add_map(s, 1, heat->class_, heat->occlusion);
  s->cam = heat->cam;
  if (heat->cam) add_map(s, 2, heat->class_, heat->cam);
  for (int i = 0; heat->cam && i < PLACES; i++)
    assert_true(heat->cam[i] >= 0);
  s->class_[s->rows++] = heat->class_;
  return CO_OK;
}

static co_status look(seen *s, int64_t steps, int workers) {
  static int64_t samples[ROWS];
  const co_watch nobody = {.stop = NULL};
  const co_predictor_options model = {.model = "run", .device = "cpu", .threads = 1};
  const co_attribution_options options = {.class_ = -1, .steps = steps};
  const co_attribution_run run = {
      .samples = samples, .count = ROWS, .workers = workers, .watch = &nobody};
  co_context *ctx;
  co_predictor *predictor;
  co_dataset *dataset;
  *s = (seen){.rows = 0};
  for (int64_t i = 0; i < ROWS; i++)
    samples[i] = 2 * i;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_predictor_open(&predictor, ctx, &model), CO_OK);
  assert_int_equal(co_dataset_open(&dataset, ctx, "d.h5"), CO_OK);
  co_status status = co_heat_rows(predictor, dataset, &options, &run, take, s);
  co_predictor_close(predictor);
  co_dataset_close(dataset);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
  return status;
}

static void test_convolution(void **state) {
  static seen one, other;
  (void)state;
  train_images("{Conv2D: {filters: 6, kernel_size: 3, padding: same}}, BatchNormalization, ReLU,"
               " {Conv2D: {filters: 6, kernel_size: 3, padding: same, activation: relu}}, Flatten");
  assert_int_equal(look(&one, 0, 1), CO_OK);
  assert_int_equal(one.rows, ROWS);
  assert_true(one.cam);
  assert_true(one.rest < 0.05);
  // A third of the rows are bright: there is far more than a third of each map.
  for (int i = 0; i < 2; i++)
    if (!(one.inside[i] > 0.5 * one.all[i]))
      fail_msg("map %d: %g of %g in the bright rows", i, one.inside[i], one.all[i]);
  assert_int_equal(look(&other, 0, 3), CO_OK);
  assert_memory_equal(&one, &other, sizeof one);
  assert_int_equal(look(&other, 512, 1), CO_OK);
  assert_true(other.rest < 0.005);
}

static void test_without_convolution(void **state) {
  static seen s;
  (void)state;
  train_images("Flatten, {Dense: {units: 8, activation: tanh}}");
  assert_int_equal(look(&s, 0, 1), CO_OK);
  assert_false(s.cam);
  assert_true(s.rest < 0.01);
}

// ---- worked out by hand ------------------------------------------------------------------------

enum { FILTERS = 4 };

typedef struct weights {
  float kernel[FILTERS], bias[FILTERS], logits[PLACES * FILTERS][IMAGE_CLASSES];
  float offsets[IMAGE_CLASSES];
} weights;

static double feature(const weights *w, double pixel, int c) {
  return fmax(pixel * (double)w->kernel[c] + (double)w->bias[c], 0);
}

static double logit(const weights *w, const double *pixels, int32_t class_) {
  double sum = (double)w->offsets[class_];
  for (int i = 0; i < PLACES * FILTERS; i++)
    sum += feature(w, pixels[i / FILTERS], i % FILTERS) * (double)w->logits[i][class_];
  return sum;
}

static void near_map(const seen *s, int which, int64_t row, const double *wanted) {
  for (int i = 0; i < PLACES; i++)
    if (!(fabs(s->maps[which][row][i] - wanted[i]) <= 2e-4))
      fail_msg("map %d of row %lld at %d: %g, not %g", which, (long long)row, i,
               s->maps[which][row][i], wanted[i]);
}

static void check_row(const weights *w, const seen *s, int64_t row, const uint8_t *bytes) {
  const int32_t class_ = s->class_[row];
  double pixels[PLACES], mean = 0, effect[PLACES], cam[PLACES] = {0};
  for (int i = 0; i < PLACES; i++)
    mean += (pixels[i] = bytes[i] / 255.0) / PLACES;
  const double whole = logit(w, pixels, class_);
  for (int i = 0; i < PLACES; i++) { // squares have the side 1
    const double kept = pixels[i];
    pixels[i] = mean;
    effect[i] = whole - logit(w, pixels, class_);
    pixels[i] = kept;
  }
  for (int c = 0; c < FILTERS; c++) {
    double weight = 0;
    for (int i = 0; i < PLACES; i++)
      weight += (double)w->logits[i * FILTERS + c][class_] / PLACES;
    for (int i = 0; i < PLACES; i++)
      cam[i] += weight * feature(w, pixels[i], c);
  }
  for (int i = 0; i < PLACES; i++)
    cam[i] = fmax(cam[i], 0);
  near_map(s, 1, row, effect);
  near_map(s, 2, row, cam);
}

static void read_weights(weights *w) {
  co_context *ctx;
  co_h5 *file;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_h5_open(&file, ctx, "run/model.h5", CO_ERR_MODEL), CO_OK);
  assert_int_equal(co_h5_read(file, "/model_weights/image/conv2d/kernel", CO_F32, NULL, w->kernel),
                   CO_OK);
  assert_int_equal(co_h5_read(file, "/model_weights/image/conv2d/bias", CO_F32, NULL, w->bias),
                   CO_OK);
  assert_int_equal(co_h5_read(file, "/model_weights/label/logits/kernel", CO_F32, NULL, w->logits),
                   CO_OK);
  assert_int_equal(co_h5_read(file, "/model_weights/label/logits/bias", CO_F32, NULL, w->offsets),
                   CO_OK);
  co_h5_abandon(file);
  co_context_free(ctx);
}

static void test_by_hand(void **state) {
  static seen s;
  static weights w;
  (void)state;
  train_images("{Conv2D: {filters: 4, kernel_size: 1, activation: relu}}, Flatten");
  read_weights(&w);
  assert_int_equal(look(&s, 0, 1), CO_OK);
  co_context *ctx;
  co_h5 *file;
  static uint8_t images[360][PLACES];
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_h5_open(&file, ctx, "d.h5", CO_ERR_DATA), CO_OK);
  assert_int_equal(co_h5_read(file, "/entities/images/image", CO_U8, NULL, images), CO_OK);
  for (int64_t row = 0; row < ROWS; row++)
    check_row(&w, &s, row, images[2 * row]);
  co_h5_abandon(file);
  co_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_convolution), TRAINING_TEST(test_by_hand),
                                     TRAINING_TEST(test_without_convolution)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
