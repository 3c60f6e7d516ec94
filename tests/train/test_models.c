// SPDX-License-Identifier: Apache-2.0
// From stored rows to network inputs: the input section that a model builds; and names of features.
#include "helpers.h"

#include <math.h>
#include <string.h>

#include "host/core/rng.h"
#include "models/feature.h"

enum { TABLE = 7, ROWS = 5, PIXELS = 6 * 6 * 2 };

static const char yaml[] =
    "input_features:\n"
    "  - {name: image, preprocessing: {normalization: zscore}, augmentation: {flip: 0.5}}\n"
    "  - {name: x, preprocessing: {normalization: none, missing: refuse}}\n"
    "combiner: {type: graph, layers: [{Flatten: {}, inputs: [image]}]}\n"
    "output_features: [{name: label}]\n";

static double expected_pixel(const uint8_t *image, int e, bool mirrored) {
  int channel = e % 2, column = e / 2 % 6, row = e / 12;
  if (mirrored) column = 5 - column;
  return (image[(row * 6 + column) * 2 + channel] - (channel ? 20.0 : 10.0)) *
         (channel ? 0.5 : 0.25);
}

static void set_statistics(rig *r) {
  co_fitted *mean = co_feature_fitted(&r->model->inputs[0], "mean");
  co_fitted *scale = co_feature_fitted(&r->model->inputs[0], "scale");
  assert_int_equal(mean->shape.dim[0], 2);
  memcpy(mean->bytes, (float[]){10, 20}, 2 * sizeof(float));
  memcpy(scale->bytes, (float[]){0.25f, 0.5f}, 2 * sizeof(float));
}

// Draws rows of two tables, as a pipeline's slot does.
static void check_input_section(const char *backend, co_mode mode) {
  rig r;
  rig_open(&r, &(setup){.backend = backend, .rows = ROWS, .real = CO_F32});
  rig_model(&r, yaml);
  set_statistics(&r);
  co_section *section;
  OK(co_section_create(&section, r.model, (int64_t[]){TABLE, TABLE}));
  co_graph *graph = section->graph;
  co_store *store;
  OK(co_store_create(&store, r.backend, CO_F32));
  OK(co_store_add_graph(store, graph));
  co_plan *plan;
  OK(co_plan_create(&plan, graph, store,
                    &(co_plan_options){.mode = mode, .shape = {.rows = ROWS}, .real = CO_F32}));
  OK(co_store_allocate(store, false, 0));
  co_step step = {.seed = 6, .epoch = 1};
  co_memory memory = {.arena = co_alloc(r.ctx, plan->arena_bytes), .step = &step};
  co_executor *executor;
  OK(co_executor_create(&executor, plan, store, &memory));

  static const int64_t index[ROWS] = {6, 0, 3, 3, 1}, other[ROWS] = {1, 2, 0, 6, 5};
  static const int64_t ids[ROWS] = {100, 7, 12, 13, 1000};
  uint8_t images[TABLE * PIXELS];
  float vectors[TABLE * 5], out[ROWS * PIXELS];
  for (int i = 0; i < TABLE * PIXELS; i++)
    images[i] = (uint8_t)(37 * i % 251);
  for (int i = 0; i < TABLE * 5; i++)
    vectors[i] = (float)i;
  // Every input has a feed that says what it takes.
  assert_int_equal(graph->input_count, 7);
  assert_int_equal(section->feeds.count, 7);
  const void *tables[] = {images, vectors}, *indices[] = {index, other};
  int table = 0, rows = 0;
  for (int64_t i = 0; i < section->feeds.count; i++) {
    const co_feed *feed = &section->feeds.items[i];
    const void *data = feed->kind == CO_FEED_IDS     ? ids
                       : feed->kind == CO_FEED_TABLE ? tables[table++]
                       : feed->kind == CO_FEED_INDEX ? indices[rows++]
                                                     : feed->fitted[0]->bytes;
    co_executor_bind(executor, feed->input, data);
  }
  assert_int_equal(table, 2);
  assert_int_equal(rows, 2);
  OK(co_executor_run(executor));

  OK(co_executor_read_output(executor, 0, out));
  uint32_t purpose = co_purpose("flip", "image");
  int mirrored = 0;
  for (int n = 0; n < ROWS; n++) {
    float uniform =
        co_uniform_from_bits(co_random_bits(step.seed, (uint64_t)ids[n], step.epoch, purpose));
    bool mirror = mode == CO_MODE_TRAIN && uniform < 0.5f;
    mirrored += mirror;
    for (int e = 0; e < PIXELS; e++)
      assert_true((double)out[n * PIXELS + e] ==
                  expected_pixel(images + index[n] * PIXELS, e, mirror));
  }
  if (mode == CO_MODE_TRAIN) assert_true(mirrored > 0 && mirrored < ROWS);
  OK(co_executor_read_output(executor, 1, out));
  for (int n = 0; n < ROWS; n++)
    for (int k = 0; k < 5; k++)
      assert_true(out[n * 5 + k] == vectors[other[n] * 5 + k]);

  co_executor_free(executor);
  co_plan_free(plan);
  co_store_free(store);
  co_section_free(section);
  co_free(r.ctx, memory.arena);
  rig_free(&r);
}

static void stored_rows_become_inputs(void **unused) {
  (void)unused;
  check_input_section("ref", CO_MODE_TRAIN);
  check_input_section("ref", CO_MODE_INFER);
  check_input_section("cpu", CO_MODE_TRAIN);
  check_input_section("cpu", CO_MODE_INFER);
}

// What crops bring in from outside is black, in every channel.
static void cropped_borders_are_black(void **unused) {
  (void)unused;
  static const char text[] = "input_features:\n"
                             "  - {name: image, augmentation: {crop: 2},\n"
                             "     preprocessing: {normalization: zscore}}\n"
                             "output_features: [{name: label}]\n";
  rig r;
  rig_open(&r, &(setup){.backend = "ref", .rows = ROWS, .real = CO_F32});
  rig_model(&r, text);
  set_statistics(&r);
  co_section *section;
  co_store *store;
  co_plan *plan;
  co_executor *executor;
  OK(co_section_create(&section, r.model, (int64_t[]){TABLE}));
  const co_graph *graph = section->graph;
  OK(co_store_create(&store, r.backend, CO_F32));
  OK(co_plan_create(
      &plan, graph, store,
      &(co_plan_options){.mode = CO_MODE_TRAIN, .shape = {.rows = ROWS}, .real = CO_F32}));
  OK(co_store_allocate(store, false, 0));
  co_step step = {.seed = 6, .epoch = 1};
  co_memory memory = {.arena = co_alloc(r.ctx, plan->arena_bytes), .step = &step};
  OK(co_executor_create(&executor, plan, store, &memory));
  static const int64_t index[ROWS] = {6, 0, 3, 3, 1}, ids[ROWS] = {100, 7, 12, 13, 1000};
  uint8_t images[TABLE * PIXELS];
  float out[ROWS * PIXELS];
  memset(images, 200, sizeof images);
  const void *inputs[] = {ids, images, index, co_feature_fitted(r.model->inputs, "mean")->bytes,
                          co_feature_fitted(r.model->inputs, "scale")->bytes};
  for (int i = 0; i < 5; i++)
    co_executor_bind(executor, i, inputs[i]);
  OK(co_executor_run(executor));
  OK(co_executor_read_output(executor, 0, out));
  int black = 0;
  for (int i = 0; i < ROWS * PIXELS; i++) {
    float dark = i % 2 ? -10.0f : -2.5f, bright = i % 2 ? 90.0f : 47.5f;
    assert_true(out[i] == dark || out[i] == bright);
    black += out[i] == dark;
  }
  assert_true(black > 0 && black < ROWS * PIXELS);
  co_executor_free(executor);
  co_plan_free(plan);
  co_store_free(store);
  co_section_free(section);
  co_free(r.ctx, memory.arena);
  rig_free(&r);
}

// Beside numbers of which some are missing, the network reads which.
static void check_indicator(const char *backend) {
  enum { WIDTH = 5 };
  static const char text[] =
      "input_features:\n"
      "  - {name: x, preprocessing: {normalization: zscore, missing: indicator}}\n"
      "output_features: [{name: label}]\n";
  rig r;
  rig_open(&r, &(setup){.backend = backend, .rows = ROWS, .real = CO_F32});
  rig_model(&r, text);
  for (int i = 0; i < WIDTH; i++)
    ((float *)co_feature_fitted(r.model->inputs, "fill")->bytes)[i] = (float)(10 * i);
  co_section *section;
  co_store *store;
  co_plan *plan;
  co_executor *executor;
  OK(co_section_create(&section, r.model, (int64_t[]){CO_DIM_N}));
  OK(co_store_create(&store, r.backend, CO_F32));
  OK(co_plan_create(
      &plan, section->graph, store,
      &(co_plan_options){.mode = CO_MODE_INFER, .shape = {.rows = ROWS}, .real = CO_F32}));
  OK(co_store_allocate(store, false, 0));
  co_step step = {.seed = 6};
  co_memory memory = {.arena = co_alloc(r.ctx, plan->arena_bytes), .step = &step};
  OK(co_executor_create(&executor, plan, store, &memory));
  static const int64_t ids[ROWS];
  float vectors[ROWS * WIDTH], out[ROWS * 2 * WIDTH];
  for (int i = 0; i < ROWS * WIDTH; i++)
    vectors[i] = i % 3 ? (float)i : NAN;
  for (int64_t i = 0; i < section->feeds.count; i++) {
    const co_feed *feed = &section->feeds.items[i];
    co_executor_bind(executor, feed->input,
                     feed->kind == CO_FEED_IDS      ? (const void *)ids
                     : feed->kind == CO_FEED_FITTED ? feed->fitted[0]->bytes
                                                    : vectors);
  }
  OK(co_executor_run(executor));
  OK(co_executor_read_output(executor, 0, out));
  for (int i = 0; i < ROWS * WIDTH; i++) {
    const float *row = out + i / WIDTH * 2 * WIDTH;
    assert_true(row[i % WIDTH] == (i % 3 ? (float)i : (float)(10 * (i % WIDTH))));
    assert_true(row[WIDTH + i % WIDTH] == (i % 3 ? 0 : 1));
  }
  co_executor_free(executor);
  co_plan_free(plan);
  co_store_free(store);
  co_section_free(section);
  co_free(r.ctx, memory.arena);
  rig_free(&r);
}

static void missing_numbers_are_told(void **unused) {
  (void)unused;
  check_indicator("ref");
  check_indicator("cpu");
}

// A column called like a part of the model must not share that part's weights unnoticed.
static void features_cannot_be_called_combiner(void **unused) {
  (void)unused;
  static const co_column columns[] = {
      {.name = "combiner",
       .type = CO_COLUMN_VECTOR,
       .role = CO_ROLE_INPUT,
       .dtype = CO_F32,
       .shape = {1, {5}}},
      {.name = "score", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_TARGET, .dtype = CO_F32}};
  static const char text[] = "input_features: [{name: combiner, encoder: {type: graph, layers: [\n"
                             "  {Dense: 5}]}}]\n"
                             "combiner: {layers: [{Dense: 5}]}\n";
  rig r;
  rig_open(&r, &(setup){.backend = "ref", .real = CO_F32});
  co_node *config;
  OK(co_yaml_parse(&config, r.arena, "test.yaml", text, strlen(text), &r.problems));
  assert_int_equal(co_model_create(&r.model, r.ctx, config,
                                   &(co_schema){.column_count = 2, .columns = columns},
                                   &r.problems),
                   CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "cannot be called 'combiner'"));
  rig_free(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(stored_rows_become_inputs),
                                     cmocka_unit_test(cropped_borders_are_black),
                                     cmocka_unit_test(missing_numbers_are_told),
                                     cmocka_unit_test(features_cannot_be_called_combiner)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
