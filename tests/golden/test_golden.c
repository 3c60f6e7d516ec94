// SPDX-License-Identifier: Apache-2.0
// A small CNN trained for ten steps must give PyTorch's losses, gradients and weights (README.md
// has the model): to 1e-9 in double, and to what single precision allows on the fast backend.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/core/h5.h"
#include "host/graph/loss/loss.h"
#include "tests/train/helpers.h"

enum { STEPS = 10, ROWS = 8, CLASSES = 10, PIXELS = 12 * 12 * 3 };

typedef struct lane {
  const char *backend;
  co_dtype real;
  // Of losses; of gradients and weights relative to the largest element. Single precision: 2^-24
  // for each of some hundred roundings in a row; Adam divides by small roots, so its weights drift
  // further apart.
  double loss, gradient, sgd, adam;
} lane;

static const lane lanes[] = {{"ref", CO_F64, 1e-9, 1e-9, 1e-9, 1e-9},
                             {"ref", CO_F32, 1e-5, 1e-5, 1e-5, 1e-3},
                             {"cpu", CO_F32, 1e-5, 1e-5, 1e-5, 1e-3}};
enum { LANES = sizeof lanes / sizeof *lanes };

static void build(rig *r) {
  OK(co_graph_create(&r->graph, r->ctx));
  co_shape image = co_shape_make(4, CO_DIM_N, (int64_t)12, (int64_t)12, (int64_t)3);
  co_shape row = co_shape_make(1, CO_DIM_N);
  co_value x, label, weight;
  OK(co_graph_add_input(r->graph, "x", CO_F32, &image, &x));
  OK(co_graph_add_input(r->graph, "label", CO_I32, &row, &label));
  OK(co_graph_add_input(r->graph, "label.weight", CO_F32, &row, &weight));
  x = layer(r, "Conv2D", "conv1", "{filters: 8, kernel_size: 5, padding: same, activation: relu}",
            &x, 1);
  x = layer(r, "MaxPooling2D", "pool", "{pool_size: 2}", &x, 1);
  x = layer(r, "Conv2D", "conv2", "{filters: 16, kernel_size: 3}", &x, 1);
  x = layer(r, "BatchNormalization", "bn", "{epsilon: 1.0e-3, momentum: 0.99}", &x, 1);
  x = layer(r, "ReLU", "relu", "{}", &x, 1);
  x = layer(r, "Flatten", "flatten", "{}", &x, 1);
  x = layer(r, "Dense", "dense1", "{units: 24, activation: relu}", &x, 1);
  x = layer(r, "Dense", "dense2", "{units: 10}", &x, 1);
  r->graph->layer = "label";
  OK(co_loss_emit(r->graph, co_loss_find("softmax_cross_entropy"), NULL, "label", 1, x, label,
                  weight));
  r->graph->layer = NULL;
  OK(co_graph_add_output(r->graph, "logits", x));
}

// ---- the fixture -------------------------------------------------------------------------------

static const double *fixture(rig *r, co_h5 *file, const char *path, int64_t *count) {
  co_h5_info info;
  OK(co_h5_get_info(file, path, &info));
  int64_t elements = co_shape_count(&info.shape);
  double *values = co_arena_alloc(r->arena, (size_t)elements, sizeof *values);
  assert_non_null(values);
  OK(co_h5_read(file, path, CO_F64, NULL, values));
  if (count) *count = elements;
  return values;
}

// "conv1/kernel" is called "initial/conv1.kernel" there.
static const double *fixture_entry(rig *r, co_h5 *file, const char *group, int64_t entry) {
  char path[128];
  const char *name = r->store->entries[entry].info.name, *slash = strchr(name, '/');
  snprintf(path, sizeof path, "%s/%.*s.%s", group, (int)(slash - name), name, slash + 1);
  int64_t count;
  const double *values = fixture(r, file, path, &count);
  assert_int_equal(count, entry_count(r, entry));
  return values;
}

static double largest(const double *values, int64_t count) {
  double most = 0;
  for (int64_t i = 0; i < count; i++)
    if (fabs(values[i]) > most) most = fabs(values[i]);
  return most;
}

// Largest |got - wanted| relative to `scale`.
static double difference(const double *got, const double *wanted, int64_t count, double scale) {
  double most = 0;
  for (int64_t i = 0; i < count; i++) {
    double apart = fabs(got[i] - wanted[i]);
    if (!(apart <= most)) most = apart;
  }
  return most / scale;
}

static void load(rig *r, co_h5 *file, const char *group) {
  for (int64_t e = 0; e < r->store->count; e++)
    entry_write(r, e, CO_BLOCK_PARAM, fixture_entry(r, file, group, e));
}

static void fill(rig *r, co_h5 *file, batch *b, int64_t index) {
  const double *x = fixture(r, file, "inputs", NULL) + index * ROWS * PIXELS;
  const double *weight = fixture(r, file, "weights", NULL) + index * ROWS;
  int32_t label[STEPS * ROWS];
  OK(co_h5_read(file, "labels", CO_I32, NULL, label));
  for (int64_t i = 0; i < ROWS * PIXELS; i++)
    batch_set(r, b, "x", i, x[i]);
  for (int64_t i = 0; i < ROWS; i++)
    batch_set(r, b, "label", i, label[index * ROWS + i]);
  for (int64_t i = 0; i < ROWS; i++)
    batch_set(r, b, "label.weight", i, weight[i]);
}

// What an entry is measured against: the largest of it in the fixture. A bias before a
// normalisation has a gradient of rounding errors only: that of its layer's kernel.
static double scale_of(rig *r, co_h5 *file, const char *group, int64_t entry) {
  bool cancelled = strcmp(r->store->entries[entry].info.name, "conv2/bias") == 0;
  if (cancelled) entry = entry_find(r, "conv2/kernel");
  return largest(fixture_entry(r, file, group, entry), entry_count(r, entry));
}

// ---- tests -------------------------------------------------------------------------------------

static void check_gradients(rig *r, co_h5 *file, double tolerance) {
  for (int64_t e = 0; e < r->store->count; e++) {
    if (r->store->entries[e].info.state) continue;
    double apart =
        difference(entry_read(r, e, CO_BLOCK_GRADIENT), fixture_entry(r, file, "first/gradient", e),
                   entry_count(r, e), scale_of(r, file, "first/gradient", e));
    if (!(apart <= tolerance))
      fail_msg("gradient of %s: %g", r->store->entries[e].info.name, apart);
  }
}

static void check_weights(rig *r, co_h5 *file, const char *group, bool adam, double tolerance) {
  for (int64_t e = 0; e < r->store->count; e++) {
    const char *name = r->store->entries[e].info.name;
    // A bias before a normalisation has a gradient of rounding errors, which Adam blows up.
    if (adam && r->setup.real == CO_F32 && strcmp(name, "conv2/bias") == 0) continue;
    double apart = difference(entry_read(r, e, CO_BLOCK_PARAM), fixture_entry(r, file, group, e),
                              entry_count(r, e), scale_of(r, file, group, e));
    if (!(apart <= tolerance)) fail_msg("%s: %s: %g", group, name, apart);
  }
}

static void check_training(const lane *l, bool adam) {
  rig r;
  setup s = {
      .backend = l->backend,
      .real = l->real,
      .rows = ROWS,
      .evaluation_rows = ROWS,
      .phase = {{.optimizer = adam ? "{adam: {epsilon: 1.0e-7}}" : "{sgd: {momentum: 0.9}}"}}};
  rig_open(&r, &s);
  build(&r);
  rig_program(&r);
  co_h5 *file;
  OK(co_h5_open(&file, r.ctx, COHORT_TEST_SOURCE_DIR "/tests/golden/cnn_small.h5", CO_ERR_DATA));
  load(&r, file, "initial");
  batch b;
  batch_make(&r, &b, ROWS, 0);
  const double *losses = fixture(&r, file, adam ? "adam/losses" : "sgd/losses", NULL);
  for (uint32_t step = 0; step < STEPS; step++) {
    fill(&r, file, &b, step);
    double loss = train(&r, 0, &b, step, adam ? 1e-3 : 0.05);
    if (!(fabs(loss - losses[step]) <= l->loss * losses[step]))
      fail_msg("step %u: loss %.12g, not %.12g", step, loss, losses[step]);
    if (step == 0) check_gradients(&r, file, l->gradient);
  }
  check_weights(&r, file, adam ? "adam/final" : "sgd/final", adam, adam ? l->adam : l->sgd);
  if (!adam) {
    fill(&r, file, &b, 0);
    OK(co_program_evaluate(r.program, b.inputs));
    double out[ROWS * CLASSES];
    OK(co_executor_read_output(co_program_evaluator(r.program), 0, out));
    if (l->real == CO_F32)
      for (int i = ROWS * CLASSES - 1; i >= 0; i--)
        out[i] = (double)((float *)out)[i];
    const double *logits = fixture(&r, file, "evaluate/logits", NULL);
    const int64_t count = ROWS * CLASSES;
    assert_true(difference(out, logits, count, largest(logits, count)) <= l->sgd);
  }
  batch_free(&r, &b);
  OK(co_h5_close(file));
  rig_free(&r);
}

static void momentum_is_pytorchs(void **unused) {
  (void)unused;
  for (int l = 0; l < LANES; l++)
    check_training(&lanes[l], false);
}

static void adam_is_pytorchs(void **unused) {
  (void)unused;
  for (int l = 0; l < LANES; l++)
    check_training(&lanes[l], true);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(momentum_is_pytorchs),
                                     cmocka_unit_test(adam_is_pytorchs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
