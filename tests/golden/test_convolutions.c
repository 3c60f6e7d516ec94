// SPDX-License-Identifier: Apache-2.0
// Ten steps of a small network around each layer of images must give PyTorch's losses, first gradients
// and weights (scripts/gen_convolutions has the network): to 1e-9 in double, and to what single
// precision allows.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/core/h5.h"
#include "tests/train/helpers.h"

enum { STEPS = 10, ROWS = 4, H = 6, W = 5, C = 4, OUT = 3, MOST = 1300 };

typedef struct variant {
  const char *name, *layer, *options; // in the fixture; ours
  const char *weights[5];             // of the layer, NULL after the last
} variant;

static const variant variants[] = {
    {"groups",
     "Conv2D",
     "{filters: 6, kernel_size: 3, groups: 2, padding: symmetric}",
     {"kernel", "bias"}},
    {"dilated",
     "Conv2D",
     "{filters: 3, kernel_size: 2, dilation_rate: [2, 3]}",
     {"kernel", "bias"}},
    {"depthwise",
     "DepthwiseConv2D",
     "{kernel_size: 3, strides: 2, depth_multiplier: 2, padding: symmetric}",
     {"kernel", "bias"}},
    {"separable",
     "SeparableConv2D",
     "{filters: 5, kernel_size: [3, 2], depth_multiplier: 2}",
     {"depthwise_kernel", "pointwise_kernel", "bias"}},
    {"transposed",
     "Conv2DTranspose",
     "{filters: 3, kernel_size: 3, strides: 2}",
     {"kernel", "bias"}},
    {"transposed_same",
     "Conv2DTranspose",
     "{filters: 3, kernel_size: 3, strides: 2, padding: same, output_padding: 1}",
     {"kernel", "bias"}},
    {"average", "AveragePooling2D", "{pool_size: 3, strides: 2, padding: symmetric}", {NULL}},
    {"padded", "ZeroPadding2D", "{padding: [[1, 2], [0, 3]]}", {NULL}},
    {"cropped", "Cropping2D", "{cropping: [[1, 2], [0, 1]]}", {NULL}},
    {"group_normalization", "GroupNormalization", "{groups: 2}", {"gamma", "beta"}},
    {"squeeze_excitation",
     "SqueezeExcitation",
     "{ratio: 2}",
     {"squeeze_kernel", "squeeze_bias", "excite_kernel", "excite_bias"}},
    {"frozen", "BatchNormalization", "{}", {NULL}},
};

static void build(rig *r, const variant *v) {
  const co_shape image = co_shape_make(4, CO_DIM_N, (int64_t)H, (int64_t)W, (int64_t)C);
  const co_shape rows = co_shape_make(1, CO_DIM_N);
  co_value x, target, weight;
  co_op_attr attr;
  OK(co_graph_create(&r->graph, r->ctx));
  OK(co_graph_add_input(r->graph, "x", CO_F32, &image, &x));
  x = layer(r, "Conv2D", "before", "{filters: 4, kernel_size: 1}", &x, 1); // a gradient goes to it
  r->graph->frozen = strcmp(v->name, "frozen") == 0;
  x = layer(r, v->layer, "layer", v->options, &x, 1);
  r->graph->frozen = false;
  x = layer(r, "Flatten", "flatten", "{}", &x, 1);
  x = layer(r, "Dense", "behind", "{units: 3}", &x, 1);
  target = input(r, "target", OUT);
  OK(co_graph_add_input(r->graph, "target.weight", CO_F32, &rows, &weight));
  OK(co_loss_attributes(co_loss_find("mean_squared_error"), NULL, &attr));
  r->graph->layer = "target";
  OK(co_loss_emit(r->graph, co_loss_find("mean_squared_error"), &attr, "target", 1, x, target,
                  weight));
  r->graph->layer = NULL;
}

static void fill(rig *r, batch *out, int b) {
  for (int n = 0; n < ROWS; n++) {
    for (int i = 0; i < H * W * C; i++)
      batch_set(r, out, "x", n * H * W * C + i, ((7 * b + 3 * n + 5 * i) % 17 - 8) / 8.0);
    for (int k = 0; k < OUT; k++)
      batch_set(r, out, "target", n * OUT + k, ((5 * b + 3 * n + 7 * k) % 13 - 6) / 4.0);
  }
}

static void start(rig *r) {
  for (int64_t e = 0; e < r->store->count; e++) {
    const bool variance = strstr(r->store->entries[e].info.name, "variance");
    double values[MOST];
    assert_true(entry_count(r, e) <= MOST);
    for (int64_t j = 0; j < entry_count(r, e); j++)
      values[j] = (double)((11 * j + 3) % 23 - 11) / 64 + variance;
    entry_write(r, e, CO_BLOCK_PARAM, values);
  }
}

typedef struct lane {
  const char *backend;
  co_dtype real;
  double tolerance; // relative to the largest; single precision: some hundred roundings in a row
} lane;

static const lane lanes[] = {{"ref", CO_F64, 1e-9}, {"cpu", CO_F32, 3e-5}};

static void close_to(co_h5 *file, const char *path, const double *got, int64_t count,
                     double tolerance) {
  double wanted[MOST], most = 0;
  co_h5_info info;
  OK(co_h5_get_info(file, path, &info));
  assert_int_equal(co_shape_count(&info.shape), count);
  OK(co_h5_read(file, path, CO_F64, NULL, wanted));
  for (int64_t i = 0; i < count; i++)
    most = fmax(most, fabs(wanted[i]));
  for (int64_t i = 0; i < count; i++)
    if (!(fabs(got[i] - wanted[i]) <= tolerance * most))
      fail_msg("%s[%lld]: %.12g, not %.12g", path, (long long)i, got[i], wanted[i]);
}

// Weights or first gradients of the layer and of the one before it.
static void compare(rig *r, co_h5 *file, const variant *v, const char *what, co_block block,
                    double tolerance) {
  const char *const before[] = {"kernel", "bias", NULL};
  for (int own = 0; own < 2; own++)
    for (const char *const *name = own ? v->weights : before; *name; name++) {
      char entry_name[64], path[96];
      snprintf(entry_name, sizeof entry_name, "%s/%s", own ? "layer" : "before", *name);
      snprintf(path, sizeof path, "%s/%s/%s", v->name, what, entry_name);
      const int64_t entry = entry_find(r, entry_name);
      close_to(file, path, entry_read(r, entry, block), entry_count(r, entry), tolerance);
    }
}

static void check(const lane *l, const variant *v) {
  rig r;
  batch b;
  co_h5 *file;
  char path[96];
  double losses[STEPS];
  rig_open(&r, &(setup){.backend = l->backend,
                        .real = l->real,
                        .rows = ROWS,
                        .phase = {{.optimizer = "{sgd: {momentum: 0.9}}"}}});
  OK(co_h5_open(&file, r.ctx, COHORT_TEST_SOURCE_DIR "/tests/golden/convolutions.h5", CO_ERR_DATA));
  build(&r, v);
  rig_program(&r);
  start(&r);
  batch_make(&r, &b, ROWS, 0);
  for (int step = 0; step < STEPS; step++) {
    fill(&r, &b, step);
    losses[step] = train(&r, 0, &b, (uint32_t)step, 0.02);
    if (step == 0) compare(&r, file, v, "gradient", CO_BLOCK_GRADIENT, l->tolerance);
  }
  snprintf(path, sizeof path, "%s/losses", v->name);
  close_to(file, path, losses, STEPS, l->tolerance);
  compare(&r, file, v, "final", CO_BLOCK_PARAM, l->tolerance);
  OK(co_h5_close(file));
  batch_free(&r, &b);
  rig_free(&r);
}

static void layers_are_pytorchs(void **unused) {
  (void)unused;
  for (size_t l = 0; l < sizeof lanes / sizeof *lanes; l++)
    for (size_t k = 0; k < sizeof variants / sizeof *variants; k++)
      check(&lanes[l], &variants[k]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(layers_are_pytorchs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
