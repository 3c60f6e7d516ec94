// SPDX-License-Identifier: Apache-2.0
// test_step_plan [DEVICE [unmasked]]: what a training step consists of, and that fewer operations
// compute the same. On ref (which has masks) and cpu (which is better off without), or on the device
// named, whose products may not have masks.
#include "helpers.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char *only_device;
static bool only_masks = true;

static const char mlp[] =
    "input_features:\n"
    "  - name: x\n"
    "    encoder: {type: graph, layers: [{Dense: {units: 8, activation: relu}},\n"
    "      {Dense: {units: 130, activation: relu}}]}\n"
    "output_features: [{name: label}]\n";

// No bias; an activation that two layers read; one behind a dropout.
static const char branched[] =
    "input_features:\n"
    "  - name: x\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Dense: {units: 8, activation: relu}, name: stem},\n"
    "      {Dense: {units: 8, activation: relu, use_bias: false}, name: left},\n"
    "      {Dense: {units: 8, activation: relu}, inputs: [left], name: bottom},\n"
    "      {Add: {}, inputs: [stem, bottom]},\n"
    "      {Dense: {units: 8, activation: relu}}, {Dropout: 0.5}]}\n"
    "output_features: [{name: label}]\n";

// A stage as the presets have it, whose relu and pool cost nothing of their own, and one without a
// normalisation, where the bias gradient is made with the mask.
static const char cnn[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 16, kernel_size: 3, padding: same, use_bias: false}},\n"
    "      BatchNormalization, ReLU, {MaxPooling2D: 2},\n"
    "      {Conv2D: {filters: 16, kernel_size: 2, activation: relu}}, {MaxPooling2D: 2},\n"
    "      Flatten]}\n"
    "output_features: [{name: label}]\n";

// A relu whose gradient its normalisation takes over, and one behind a sum, which two read.
static const char residual[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 16, kernel_size: 3, padding: same, use_bias: false}},\n"
    "      BatchNormalization, {ReLU: {}, name: stem},\n"
    "      {Conv2D: {filters: 16, kernel_size: 3, padding: same, use_bias: false}},\n"
    "      {BatchNormalization: {}, name: branch},\n"
    "      {Add: {}, inputs: [stem, branch]}, ReLU, GlobalAveragePooling2D]}\n"
    "output_features: [{name: label}]\n";

// Names of the operations of a plan, in order.
static void list(const co_plan *plan, char *out, size_t size) {
  size_t at = 0;
  out[0] = '\0';
  for (int64_t i = 0; i < plan->op_count && at < size; i++) {
    int written = snprintf(out + at, size - at, "%s%s", i ? " " : "",
                           co_op_get_info(plan->ops[i].desc.op)->name);
    at += (size_t)written;
  }
}

static const co_plan *find_plan(const rig *r, co_mode mode, bool add) {
  for (int64_t i = 0;; i++) {
    const co_plan *plan = co_program_plan(r->program, i);
    if (!plan) fail_msg("no such plan");
    if (plan->options.mode == mode && plan->options.add_gradients == add) return plan;
  }
}

static void expect(const rig *r, co_mode mode, bool add, const char *wanted) {
  char names[2048];
  list(find_plan(r, mode, add), names, sizeof names);
  assert_string_equal(names, wanted);
}

#define FORWARD "dense dense dense softmax_cross_entropy "
#define UNMASKED                                                                                   \
  FORWARD                                                                                          \
  "dense_backward_data dense_backward_weights relu_bias_backward dense_backward_data "             \
  "dense_backward_weights relu_bias_backward dense_backward_weights"

// With `cast`, which is in front of a network in bf16.
static void expect_step(const rig *r, co_mode mode, bool add, const char *wanted) {
  char names[2048];
  (void)snprintf(names, sizeof names, "%s%s", r->setup.bf16 ? "cast " : "", wanted);
  expect(r, mode, add, names);
}

// Operations of a kind that give a bias gradient.
static int count_biases(const rig *r, co_op op) {
  const co_plan *plan = find_plan(r, CO_MODE_TRAIN, false);
  int count = 0;
  for (int64_t i = 0; i < plan->op_count; i++)
    count += plan->ops[i].desc.op == op && plan->ops[i].out[1] != CO_NO_VALUE;
  return count;
}

// Operations of a training step that others do not wait for: the weight gradients of all layers but the
// lowest, behind which there is nothing to wait; none where there is one queue.
static void expect_beside(const rig *r, int layers) {
  const co_plan *plan = find_plan(r, CO_MODE_TRAIN, false);
  int beside = 0, waits = plan->joins;
  for (int64_t i = 0; i < plan->op_count; i++) {
    beside += plan->ops[i].beside;
    waits += plan->ops[i].waits;
  }
  assert_int_equal(beside, only_device ? layers - 1 : 0);
  assert_int_equal(waits, beside);
}

static void check_step(const char *device, bool bf16, bool masks) {
  rig r;
  rig_make(&r,
           &(setup){.backend = device,
                    .real = CO_F32,
                    .bf16 = bf16,
                    .rows = 6,
                    .batch = {6, 12},
                    .evaluation_rows = 6,
                    .phase = {{.optimizer = "{adam: {}}", .clip_norm = 1}}},
           mlp);
  expect_step(&r, CO_MODE_TRAIN, false,
              masks ? FORWARD "dense_backward_weights dense_relu_backward dense_backward_weights "
                              "dense_relu_backward dense_backward_weights"
                    : UNMASKED);
  expect_beside(&r, 3);
  // Bias gradients are f32: beside a masked product in bf16, the weights' gradient sums them.
  assert_int_equal(count_biases(&r, CO_OP_DENSE_RELU_BACKWARD), masks && !bf16 ? 2 : 0);
  assert_int_equal(count_biases(&r, CO_OP_DENSE_BACKWARD_WEIGHTS), masks && bf16 ? 3 : 1);
  expect_step(&r, CO_MODE_TRAIN, true, UNMASKED); // a product adds to no bias gradient
  expect(&r, CO_MODE_UPDATE, false, "gradient_norm adam");
  expect_step(&r, CO_MODE_EVALUATE, false, FORWARD "softmax");
  rig_free(&r);
}

static void check_convolutions(const char *device) {
  rig r;
  rig_make(&r, &(setup){.backend = device, .real = CO_F32, .rows = 6}, cnn);
  expect(&r, CO_MODE_TRAIN, false,
         "conv2d batch_norm conv2d max_pool2d dense softmax_cross_entropy "
         "dense_backward_data dense_backward_weights relu_bias_backward max_pool2d_backward "
         "conv2d_backward_data conv2d_backward_weights batch_norm_backward "
         "conv2d_backward_weights");
  expect_beside(&r, 3);
  rig_free(&r);
  rig_make(&r, &(setup){.backend = device, .real = CO_F32, .rows = 6}, residual);
  expect(
      &r, CO_MODE_TRAIN, false,
      "conv2d batch_norm conv2d batch_norm add global_average_pool2d dense "
      "softmax_cross_entropy dense_backward_data dense_backward_weights "
      "global_average_pool2d_backward relu_backward batch_norm_backward conv2d_backward_data add "
      "conv2d_backward_weights batch_norm_backward conv2d_backward_weights");
  expect_beside(&r, 3);
  rig_free(&r);
}

static void a_convolution_step_is_short(void **state) {
  (void)state;
  check_convolutions(only_device ? only_device : "ref");
}

static void a_dense_step_is_short(void **state) {
  (void)state;
  for (int bf16 = 0; bf16 < 2; bf16++) {
    if (only_device) {
      check_step(only_device, bf16, only_masks);
      continue;
    }
    check_step("ref", bf16, true);
    check_step("cpu", bf16, false);
  }
}

// The relu below it knows what a dropout kept, so backward nothing is drawn again.
static void a_dropout_behind_a_relu_is_drawn_once(void **state) {
  (void)state;
  rig r;
  rig_make(&r, &(setup){.backend = only_device ? only_device : "cpu", .real = CO_F32, .rows = 6},
           branched);
  const co_plan *plan = find_plan(&r, CO_MODE_TRAIN, false);
  int drawn = 0;
  for (int64_t i = 0; i < plan->op_count; i++)
    drawn += plan->ops[i].desc.op == CO_OP_DROPOUT;
  assert_int_equal(drawn, 1);
  rig_free(&r);
}

// Three steps with and without fusion; 12 rows are two micro-batches.
static void check_fused(const setup *s, const char *yaml, double tolerance) {
  const char *device = s->backend;
  rig fused, apart;
  rig_make(&fused, s, yaml);
  setup unfused = *s;
  unfused.no_fusion = true;
  rig_make(&apart, &unfused, yaml);
  for (uint32_t step = 0; step < 3; step++) {
    batch one, other;
    int64_t rows = step == 1 ? 12 : 6;
    batch_make(&fused, &one, rows, step + 1);
    batch_make(&apart, &other, rows, step + 1);
    double difference = train(&fused, 0, &one, step, 0.05) - train(&apart, 0, &other, step, 0.05);
    assert_true(difference <= tolerance && -difference <= tolerance);
    for (int64_t i = 0; i < fused.store->count; i++) {
      if (fused.store->entries[i].info.state) continue;
      const co_block blocks[] = {CO_BLOCK_PARAM, CO_BLOCK_GRADIENT};
      for (int k = 0; k < 2; k++) {
        double found = entry_difference(&fused, &apart, i, blocks[k]);
        if (!(found <= tolerance))
          fail_msg("%s: %s differs by %g", device, fused.store->entries[i].info.name, found);
      }
    }
    batch_free(&fused, &one);
    batch_free(&apart, &other);
  }
  rig_free(&fused);
  rig_free(&apart);
}

static void check_numbers(const char *device, co_dtype real, bool bf16, const char *yaml,
                          double tolerance) {
  check_fused(&(setup){.backend = device, .real = real, .bf16 = bf16, .rows = 6, .batch = {6, 12}},
              yaml, tolerance);
}

static void a_short_step_computes_the_same(void **state) {
  (void)state;
  const char *const models[] = {mlp, branched, cnn};
  for (int i = 0; i < 3; i++) {
    if (only_device) {
      check_numbers(only_device, CO_F32, false, models[i], 1e-5);
      continue;
    }
    check_numbers("ref", CO_F64, false, models[i], 1e-13);
    check_numbers("ref", CO_F32, false, models[i], 1e-5);
    check_numbers("cpu", CO_F32, false, models[i], 1e-5);
  }
}

// In bf16 a result is rounded where an operation ends; behind relu and masks it is the same, so that
// only the order of sums differs.
static void a_short_step_in_bf16_computes_the_same(void **state) {
  (void)state;
  if (only_device) {
    check_numbers(only_device, CO_F32, true, mlp, 1e-5);
    return;
  }
  check_numbers("ref", CO_F32, true, mlp, 1e-5);
  check_numbers("cpu", CO_F32, true, mlp, 1e-5);
}

// Logits of which none are held: products, loss and their gradients are one operation. In bf16 whole
// ones and their gradients are rounded, those in tiles are not.
static void logits_in_tiles_compute_the_same(void **state) {
  (void)state;
  for (int bf16 = 0; bf16 < 2; bf16++) {
    setup s = {.backend = only_device ? only_device : "cpu",
               .real = CO_F32,
               .bf16 = bf16,
               .rows = 6,
               .batch = {6, 12},
               .logit_bytes = 1};
    rig r;
    rig_make(&r, &s, mlp);
    for (int add = 0; add < 2; add++) {
      char names[2048];
      list(find_plan(&r, CO_MODE_TRAIN, add), names, sizeof names);
      assert_non_null(strstr(names, "linear_cross_entropy"));
      assert_null(strstr(names, "softmax_cross_entropy"));
    }
    rig_free(&r);
    check_fused(&s, mlp, bf16 ? 0x1p-6 : 1e-5);
  }
}

static const char convolutions[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 8, kernel_size: 3, padding: same, use_bias: false}},\n"
    "      BatchNormalization, ReLU,\n"
    "      {Conv2D: {filters: 8, kernel_size: 1}, name: twice}, {shared: twice},\n"
    "      {Conv2DTranspose: {filters: 8, kernel_size: 2}},\n"
    "      GlobalAveragePooling2D, {Dense: {units: 8}, trainable: false}]}\n"
    "output_features: [{name: label}]\n";

static int64_t count_narrow(const rig *r) {
  int64_t count = 0;
  for (int64_t i = 0; i < r->store->count; i++)
    count += r->store->entries[i].narrow;
  return count;
}

static bool has_gradient(const rig *r, int64_t i) {
  return r->store->entries[i].info.trainable && !r->store->entries[i].info.state;
}

// Steps whose updates read gradients of kernels in bf16, as the backend makes them, beside those of a
// program that also cuts batches in two and so adds to gradients, which are f32 then.
static void check_narrow(const char *optimizer) {
  const int64_t narrow = 2; // not of the layer that is called twice
  rig direct, wide;
  setup s = {.backend = only_device,
             .real = CO_F32,
             .bf16 = true,
             .rows = 6,
             .batch = {6, 4},
             .phase = {{.optimizer = optimizer, .clip_norm = 0.5}}};
  rig_make(&direct, &s, convolutions);
  s.batch[1] = 12;
  rig_make(&wide, &s, convolutions);
  assert_int_equal(count_narrow(&direct), narrow);
  assert_int_equal(count_narrow(&wide), 0);
  assert_int_equal(co_plan_launches(find_plan(&wide, CO_MODE_TRAIN, false)) -
                       co_plan_launches(find_plan(&direct, CO_MODE_TRAIN, false)),
                   narrow);
  for (uint32_t step = 0; step < 2; step++) {
    batch one, other;
    batch_make(&direct, &one, 6, step + 1);
    batch_make(&wide, &other, 6, step + 1);
    assert_true(train(&direct, 0, &one, step, 0.05) == train(&wide, 0, &other, step, 0.05));
    for (int64_t i = 0; i < direct.store->count; i++)
      for (int k = 0; k < (has_gradient(&direct, i) ? 2 : 1); k++)
        if (entry_difference(&direct, &wide, i, k ? CO_BLOCK_GRADIENT : CO_BLOCK_PARAM) != 0)
          fail_msg("%s differs", direct.store->entries[i].info.name);
    batch_free(&direct, &one);
    batch_free(&wide, &other);
  }
  rig_free(&direct);
  rig_free(&wide);
}

static void gradients_in_bf16_train_the_same(void **state) {
  (void)state;
  check_narrow("{adam: {}}");
  check_narrow("{sgd: {momentum: 0.9}}");
  check_narrow("{rmsprop: {}}");
}

// What the doubles of the CUDA libraries have run, -1 on real ones (tests/cudasim/doubles).
typedef struct counters {
  size_t live_bytes, peak_bytes;
  long allocations, launches, graph_launches, live_objects;
} counters;

static long launches(void) {
  void *library = dlopen("libcudart.so.13", RTLD_LAZY | RTLD_NOLOAD);
  if (!library) return -1;
  union {
    void *object;
    counters (*function)(void);
  } count = {dlsym(library, "co_double_count")};
  long found = count.object ? count.function().launches : -1;
  (void)dlclose(library);
  return found;
}

// An operation is a launch; here without the input section.
static void check_launches(bool bf16) {
  rig r;
  batch b;
  rig_make(&r, &(setup){.backend = only_device, .real = CO_F32, .bf16 = bf16, .rows = 600}, mlp);
  batch_make(&r, &b, 600, 1);
  train(&r, 0, &b, 0, 0.05);
  if (launches() < 0) {
    (void)printf("NOT RUN: these are no doubles\n");
    skip();
  }
  long before = launches();
  train(&r, 0, &b, 1, 0.05);
  // A network in bf16 casts what it is given here.
  assert_int_equal(launches() - before, (only_masks ? 11 : 13) + (bf16 ? 1 : 0));
  batch_free(&r, &b);
  rig_free(&r);
}

static void an_operation_is_one_launch(void **state) {
  (void)state;
  check_launches(false);
  check_launches(true);
}

int main(int argc, char **argv) {
  only_device = argc > 1 ? argv[1] : NULL;
  only_masks = argc <= 2;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_dense_step_is_short),
      cmocka_unit_test(a_convolution_step_is_short),
      cmocka_unit_test(a_dropout_behind_a_relu_is_drawn_once),
      cmocka_unit_test(a_short_step_computes_the_same),
      cmocka_unit_test(a_short_step_in_bf16_computes_the_same),
      cmocka_unit_test(logits_in_tiles_compute_the_same),
  };
  const struct CMUnitTest on_device[] = {
      cmocka_unit_test(a_dense_step_is_short),
      cmocka_unit_test(a_convolution_step_is_short),
      cmocka_unit_test(a_dropout_behind_a_relu_is_drawn_once),
      cmocka_unit_test(a_short_step_computes_the_same),
      cmocka_unit_test(a_short_step_in_bf16_computes_the_same),
      cmocka_unit_test(logits_in_tiles_compute_the_same),
      cmocka_unit_test(gradients_in_bf16_train_the_same),
      cmocka_unit_test(an_operation_is_one_launch),
  };
  return only_device ? cmocka_run_group_tests(on_device, NULL, NULL)
                     : cmocka_run_group_tests(tests, NULL, NULL);
}
