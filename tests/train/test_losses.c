// SPDX-License-Identifier: Apache-2.0
// As many losses as a model may have, and one more. With a device's name, on that device alone.
#include "host/core/h5.h"
#include "host/graph/loss/loss.h"
#include "training.h"

// All settings of the four features are there once, so that each weight is learned by itself; rows
// whose settings have an odd sum lack the last target.
enum { FEATURES = 4, ROWS = 1 << FEATURES, TARGETS = CO_MAX_LOSSES + 1 };

static const char *only_device;

static int bit(int row, int feature) {
  return row >> feature & 1;
}

// Target i is `slope` times feature i % FEATURES.
static float slope(int i) {
  return (float)(i % 5 + 1) / 4 * (i % 2 ? -1 : 1);
}

static bool is_missing(int i, int row) {
  return i == CO_MAX_LOSSES - 1 && (bit(row, 0) ^ bit(row, 1) ^ bit(row, 2) ^ bit(row, 3));
}

static void add(co_dataset_writer *w, const char *name, co_role role, int width, const void *data) {
  co_column column = {.name = name,
                      .type = width > 1 ? CO_COLUMN_VECTOR : CO_COLUMN_NUMBER,
                      .role = role,
                      .dtype = CO_F32};
  if (width > 1) column.shape = co_shape_make(1, (int64_t)width);
  assert_int_equal(co_dataset_writer_column(w, "t", &column, ROWS), CO_OK);
  assert_int_equal(co_dataset_writer_rows(w, ROWS, data), CO_OK);
}

static void make_targets(const char *path) {
  float x[ROWS][FEATURES], y[ROWS];
  char name[8];
  co_context *ctx;
  co_dataset_writer *w;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_dataset_writer_create(&w, ctx, path), CO_OK);
  for (int r = 0; r < ROWS; r++)
    for (int k = 0; k < FEATURES; k++)
      x[r][k] = bit(r, k) ? 1 : -1;
  add(w, "x", CO_ROLE_INPUT, FEATURES, x);
  for (int i = 0; i < TARGETS; i++) {
    for (int r = 0; r < ROWS; r++)
      y[r] = is_missing(i, r) ? NAN : slope(i) * x[r][i % FEATURES];
    snprintf(name, sizeof name, "y%d", i);
    add(w, name, CO_ROLE_TARGET, 1, y);
  }
  static const uint8_t split[ROWS];
  assert_int_equal(co_dataset_writer_samples(w, "t", ROWS, NULL, NULL, split), CO_OK);
  assert_int_equal(co_dataset_writer_commit(w, NULL), CO_OK);
  co_dataset_writer_free(w);
  co_context_free(ctx);
}

// Outputs y0, y1, …; every third counts half.
static void write_config(const char *path, int outputs) {
  FILE *stream = fopen(path, "w");
  assert_non_null(stream);
  fprintf(stream, "input_features: [{name: x, preprocessing: {normalization: none}}]\n"
                  "output_features:\n");
  for (int i = 0; i < outputs; i++)
    fprintf(stream, "  - {name: y%d, weight: %s}\n", i, i % 3 ? "1" : "0.5");
  fprintf(stream,
          "trainer: {max_epochs: 32, batch_size: %d, learning_rate: 0.25, precision: 32,\n"
          "  optimizer: {type: sgd, momentum: 0}}\n",
          ROWS);
  assert_int_equal(fclose(stream), 0);
}

// A step takes a half of the error away, or a quarter where the loss counts half: if each loss was
// divided by the rows that have its own target, the slopes are found.
static void check_slopes(const char *run) {
  char path[128];
  co_context *ctx;
  co_h5 *file;
  float kernel[FEATURES];
  const co_shape shape = co_shape_make(2, (int64_t)FEATURES, (int64_t)1);
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  snprintf(path, sizeof path, "%s/model.h5", run);
  assert_int_equal(co_h5_open(&file, ctx, path, CO_ERR_MODEL), CO_OK);
  for (int i = 0; i < CO_MAX_LOSSES; i++) {
    snprintf(path, sizeof path, "/model_weights/y%d/value/kernel", i);
    assert_int_equal(co_h5_read(file, path, CO_F32, &shape, kernel), CO_OK);
    for (int k = 0; k < FEATURES; k++) {
      float wanted = k == i % FEATURES ? slope(i) : 0;
      // 0.75^32 of what was there at first is left.
      if (!(fabsf(kernel[k] - wanted) < 0.001f))
        fail_msg("y%d, feature %d: %g, not %g", i, k, (double)kernel[k], (double)wanted);
    }
  }
  assert_int_equal(co_h5_close(file), CO_OK);
  co_context_free(ctx);
}

static void as_many_losses_as_there_may_be(void **state) {
  (void)state;
  static const char *const devices[] = {"ref", "cpu"};
  make_targets("t.h5");
  write_config("c.yaml", CO_MAX_LOSSES);
  for (int i = 0; i < (only_device ? 1 : 2); i++) {
    training t = {.run_dir = only_device ? "run" : devices[i],
                  .config = "c.yaml",
                  .dataset = "t.h5",
                  .device = only_device ? only_device : devices[i]};
    assert_int_equal(train_apart(&t), 0);
    check_slopes(t.run_dir);
  }
}

static void one_loss_more(void **state) {
  (void)state;
  make_targets("t.h5");
  write_config("c.yaml", CO_MAX_LOSSES + 1);
  training t = {.run_dir = "run", .config = "c.yaml", .dataset = "t.h5", .records = "records"};
  assert_int_equal(train_apart(&t), CO_ERR_CONFIG);
  assert_false(co_path_exists("run"));
  if (!file_has("records", "output_features[32]: 'y32' is one output too many; a model has at most "
                           "32, each with its loss"))
    fail_msg("%s", read_whole("records", NULL));
}

// Whoever builds a graph without a model.
static void one_loss_more_in_a_graph(void **state) {
  (void)state;
  const co_shape rows = co_shape_make(1, CO_DIM_N), values = co_shape_make(2, CO_DIM_N, (int64_t)1);
  co_context *ctx;
  co_graph *graph;
  co_value x, target, weight;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_graph_create(&graph, ctx), CO_OK);
  assert_int_equal(co_graph_add_input(graph, "x", CO_F32, &values, &x), CO_OK);
  assert_int_equal(co_graph_add_input(graph, "target", CO_F32, &values, &target), CO_OK);
  assert_int_equal(co_graph_add_input(graph, "weight", CO_F32, &rows, &weight), CO_OK);
  const co_loss_class *loss = co_loss_find("mean_squared_error");
  for (int i = 0; i < CO_MAX_LOSSES; i++)
    assert_int_equal(co_loss_emit(graph, loss, NULL, "y", 1, x, target, weight), CO_OK);
  assert_int_equal(co_loss_emit(graph, loss, NULL, "y", 1, x, target, weight), CO_ERR_CONFIG);
  assert_string_equal(co_error_last()->message, "a model has at most 32 losses");
  assert_int_equal(graph->loss_count, CO_MAX_LOSSES);
  co_error_clear();
  co_graph_free(graph);
  co_context_free(ctx);
}

int main(int argc, char **argv) {
  only_device = argc > 1 ? argv[1] : NULL;
  const struct CMUnitTest tests[] = {TRAINING_TEST(as_many_losses_as_there_may_be),
                                     TRAINING_TEST(one_loss_more),
                                     TRAINING_TEST(one_loss_more_in_a_graph)};
  const struct CMUnitTest on_device[] = {TRAINING_TEST(as_many_losses_as_there_may_be)};
  return only_device ? cmocka_run_group_tests(on_device, NULL, NULL)
                     : cmocka_run_group_tests(tests, NULL, NULL);
}
