// SPDX-License-Identifier: Apache-2.0
// Gradients of whole models: against finite differences in double, with and without fusion, and of
// the fast backend against the reference.
#include "gradient_models.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void make(rig *r, const setup *s, const model *m) {
  rig_open(r, s);
  if (m->yaml) {
    rig_model(r, m->yaml);
  } else {
    OK(co_graph_create(&r->graph, r->ctx));
    m->build(r);
  }
  rig_program(r);
}

// Weights that are not all alike, biases and gammas away from their special values.
static void disturb(rig *r) {
  for (int64_t e = 0; e < r->store->count; e++) {
    if (r->store->entries[e].info.state) continue;
    double *values = entry_read(r, e, CO_BLOCK_PARAM);
    for (int64_t i = 0; i < entry_count(r, e); i++)
      values[i] += 0.0625 * sin(3.0 * (double)(i + e));
    entry_write(r, e, CO_BLOCK_PARAM, values);
  }
}

// A bias in front of a normalisation has no gradient but what rounding leaves of it.
static bool is_cancelled(const rig *r, int64_t entry) {
  return co_store_find(r->store, "image/batch_normalization/beta") >= 0 &&
         strcmp(r->store->entries[entry].info.name, "image/conv2d/bias") == 0;
}

static void check_entry(rig *r, const batch *b, int64_t entry) {
  const double h = 1e-6;
  train(r, 0, b, 3, 0);
  const double *gradient = entry_read(r, entry, CO_BLOCK_GRADIENT);
  double *values = entry_read(r, entry, CO_BLOCK_PARAM), largest = 0;
  for (int64_t i = 0; i < entry_count(r, entry); i++) {
    double was = values[i];
    values[i] = was + h;
    entry_write(r, entry, CO_BLOCK_PARAM, values);
    double up = train(r, 0, b, 3, 0);
    values[i] = was - h;
    entry_write(r, entry, CO_BLOCK_PARAM, values);
    double down = train(r, 0, b, 3, 0);
    values[i] = was;
    entry_write(r, entry, CO_BLOCK_PARAM, values);
    double measured = (up - down) / (2 * h);
    if (fabs(measured) > largest) largest = fabs(measured);
    if (!(fabs(measured - gradient[i]) < 1e-8 * (1 + fabs(measured))))
      fail_msg("%s[%lld]: %.12g, measured %.12g", r->store->entries[entry].info.name, (long long)i,
               gradient[i], measured);
  }
  if (!is_cancelled(r, entry) && !(largest > 1e-4))
    fail_msg("%s: no gradient, at most %g", r->store->entries[entry].info.name, largest);
}

static void gradients_are_derivatives(void **unused) {
  (void)unused;
  for (int m = 0; m < MODELS; m++) {
    rig r;
    make(&r, &(setup){.backend = "ref", .real = CO_F64, .rows = 5}, &models[m]);
    disturb(&r);
    batch b;
    batch_make(&r, &b, 5, 11);
    for (int64_t e = 0; e < r.store->count; e++)
      if (!r.store->entries[e].info.state) check_entry(&r, &b, e);
    batch_free(&r, &b);
    rig_free(&r);
  }
}

// Relative to the largest of the entry; what cancels, to that of the kernel that it is added to.
static double gradient_difference(rig *a, rig *b, int64_t entry) {
  if (!is_cancelled(a, entry)) return entry_difference(a, b, entry, CO_BLOCK_GRADIENT);
  double scale = entry_largest(b, entry_find(b, "image/conv2d/kernel"), CO_BLOCK_GRADIENT);
  return entry_difference_to(a, b, entry, CO_BLOCK_GRADIENT, scale);
}

// Loss, gradients, parameters after one step, and state of two rigs with equal weights.
static void compare_two(const model *m, const model *n, const setup *one, const setup *other,
                        double tolerance) {
  rig a, b;
  make(&a, one, m);
  make(&b, other, n);
  disturb(&a);
  disturb(&b);
  batch p, q;
  batch_make(&a, &p, one->rows, 5);
  batch_make(&b, &q, one->rows, 5);
  for (uint32_t step = 0; step < 3; step++) {
    double x = train(&a, 0, &p, step, 0.01), y = train(&b, 0, &q, step, 0.01);
    if (!(fabs(x - y) <= tolerance * fabs(y))) fail_msg("losses %.9g and %.9g", x, y);
    for (int64_t e = 0; e < a.store->count; e++) {
      bool state = a.store->entries[e].info.state;
      double worst = state ? 0 : gradient_difference(&a, &b, e);
      double values = entry_difference(&a, &b, e, CO_BLOCK_PARAM);
      if (!(worst <= tolerance && values <= tolerance))
        fail_msg("step %u: %s differs by %g, its gradient by %g", step,
                 a.store->entries[e].info.name, values, worst);
    }
  }
  batch_free(&a, &p);
  batch_free(&b, &q);
  rig_free(&a);
  rig_free(&b);
}

static void compare(const model *m, const setup *one, const setup *other, double tolerance) {
  compare_two(m, m, one, other, tolerance);
}

static void fusion_changes_nothing(void **unused) {
  (void)unused;
  for (int m = 0; m < MODELS; m++) {
    setup fused = {.backend = "ref", .real = CO_F64, .rows = 5}, plain = fused;
    plain.no_fusion = true;
    compare(&models[m], &fused, &plain, 1e-12);
    fused.backend = plain.backend = "cpu";
    fused.real = plain.real = CO_F32;
    compare(&models[m], &fused, &plain, 1e-5);
  }
}

// What is drawn of a step's items is drawn for all of its micro-batches.
static void micro_batches_share_items(void **unused) {
  (void)unused;
  const model m = {"catalogued", NULL, catalogued};
  setup whole = {.backend = "ref", .real = CO_F64, .rows = 5, .batch = {5}}, parts = whole;
  parts.rows = 2;
  compare(&m, &whole, &parts, 1e-12);
  whole.backend = parts.backend = "cpu";
  whole.real = parts.real = CO_F32;
  compare(&m, &whole, &parts, 1e-5);
}

static int64_t count_operations(const model *m, const setup *s, co_op op) {
  rig r;
  make(&r, s, m);
  int64_t count = 0;
  const co_plan *plan = co_program_plan(r.program, 0);
  for (int64_t i = 0; i < plan->op_count; i++)
    count += plan->ops[i].desc.op == op;
  rig_free(&r);
  return count;
}

// Time and plans book such a loss where most of its work belongs.
static void check_backward(const model *m, const setup *s) {
  rig r;
  make(&r, s, m);
  const co_plan *plan = co_program_plan(r.program, 0);
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_LINEAR_CROSS_ENTROPY) assert_true(plan->ops[i].backward);
  rig_free(&r);
}

static void tiles_change_nothing(void **unused) {
  (void)unused;
  int tiled = 0;
  for (int m = 0; m < MODELS; m++) {
    setup tiles = {.backend = "ref", .real = CO_F64, .rows = 5, .logit_bytes = 1}, whole = tiles;
    whole.logit_bytes = 0;
    assert_int_equal(count_operations(&models[m], &whole, CO_OP_LINEAR_CROSS_ENTROPY), 0);
    if (!count_operations(&models[m], &tiles, CO_OP_LINEAR_CROSS_ENTROPY)) continue;
    assert_int_equal(count_operations(&models[m], &tiles, CO_OP_SOFTMAX_CROSS_ENTROPY), 0);
    check_backward(&models[m], &tiles);
    tiled++;
    compare(&models[m], &tiles, &whole, 1e-12);
    tiles.backend = whole.backend = "cpu";
    tiles.real = whole.real = CO_F32;
    compare(&models[m], &tiles, &whole, 1e-5);
  }
  assert_true(tiled >= 3); // a dense layer, a table whose rows are read, too, and copied classes
}

static void fast_backend_agrees(void **unused) {
  (void)unused;
  for (int m = 0; m < MODELS; m++)
    for (int plain = 0; plain < 2; plain++) {
      setup fast = {.backend = "cpu", .real = CO_F32, .rows = 5, .no_fusion = plain};
      setup narrow = {.backend = "ref", .real = CO_F32, .rows = 5};
      setup wide = {.backend = "ref", .real = CO_F64, .rows = 5};
      compare(&models[m], &fast, &narrow, 2e-5);
      compare(&models[m], &fast, &wide, 2e-5);
    }
}

// Wide enough for the fast backend to choose channel blocks.
static const char blocked[] =
    "input_features:\n"
    "  - name: wide_image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 32, kernel_size: 3, padding: same, use_bias: false}},\n"
    "      BatchNormalization, ReLU, {Conv2D: {filters: 24, kernel_size: 3, activation: relu}},\n"
    "      {MaxPooling2D: 2}, {Conv2D: {filters: 32, kernel_size: 3, padding: same}, name: last},\n"
    "      {Conv2D: {filters: 32, kernel_size: 1}}, {Add: {}, inputs: [conv2d_2, last]}, Flatten,\n"
    "      {Dense: {units: 20, activation: relu}}, {Dropout: 0.2}]}\n"
    "output_features: [{name: label}]\n";

// Joins of what convolutions leave, of widths that fill the blocks and that do not.
static const char blocked_branches[] =
    "input_features:\n"
    "  - name: wide_image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 32, kernel_size: 1, activation: relu}, name: one},\n"
    "      {Conv2D: {filters: 20, kernel_size: 3, padding: same}, name: two},\n"
    "      {Concatenate: {}, inputs: [one, two, wide_image]}, ReLU,\n"
    "      {Conv2D: {filters: 16, kernel_size: 3}}, MaxPooling2D, GlobalAveragePooling2D]}\n"
    "output_features: [{name: label}]\n";

// A decoder of images, of widths that fill the blocks.
static const char blocked_decoder[] =
    "input_features:\n"
    "  - name: wide_image\n"
    "    encoder: {type: stacked_cnn, filters: [16, 32], output_size: 20}\n"
    "bottleneck: {size: 8}\n"
    "output_features: [{name: back, type: reconstruction, of: all,\n"
    "                   decoder: {type: stacked_cnn_decoder, filters: [32, 16]}}]\n";

static int64_t count_layouts(const rig *r) {
  int64_t count = 0;
  const co_plan *plan = co_program_plan(r->program, 0);
  for (int64_t i = 0; i < plan->value_count; i++)
    count += plan->values[i].info.desc.layout != CO_LAYOUT_CANONICAL;
  return count;
}

static void blocked_layouts_agree(void **unused) {
  (void)unused;
  const model wide_models[] = {{"blocked", blocked, NULL},
                               {"branches", blocked_branches, NULL},
                               {"decoder", blocked_decoder, NULL}};
  bool blocks = true;
  for (int m = 0; m < 3; m++) {
    rig r;
    setup fast = {.backend = "cpu", .real = CO_F32, .rows = 6};
    make(&r, &fast, &wide_models[m]);
    blocks = blocks && count_layouts(&r) > 0;
    rig_free(&r);
    setup wide = {.backend = "ref", .real = CO_F64, .rows = 6};
    compare(&wide_models[m], &fast, &wide, 1e-4);
    fast.no_fusion = true;
    compare(&wide_models[m], &fast, &wide, 1e-4);
  }
#ifdef __x86_64__
  assert_true(blocks); // oneDNN blocks channels on every one of them
#endif
  if (blocks) return;
  print_message("NOT RUN: this processor's layouts are all canonical\n");
  skip();
}

// ---- joining -----------------------------------------------------------------------------------

enum { JOINED = 70 }; // more than four operations take

// A model that joins two layers' results in turns, `count` of them, at once or two by two.
static void write_join(char *out, size_t size, int count, bool at_once) {
  static const char *const parts[] = {"one", "one", "two"};
  int used = snprintf(out, size,
                      "input_features:\n"
                      "  - name: x\n"
                      "    encoder: {type: graph, layers: [\n"
                      "      {Dense: {units: 3, activation: relu}, name: one},\n"
                      "      {Dense: 2, inputs: [x], name: two},\n");
  if (at_once) {
    used += snprintf(out + used, size - (size_t)used, "      {Concatenate: {}, inputs: [one");
    for (int i = 1; i < count; i++)
      used += snprintf(out + used, size - (size_t)used, ", %s", parts[i % 3]);
    used += snprintf(out + used, size - (size_t)used, "]},\n");
  }
  for (int i = 1; !at_once && i < count; i++) {
    used += snprintf(out + used, size - (size_t)used, "      {Concatenate: {}, inputs: [");
    used += i == 1 ? snprintf(out + used, size - (size_t)used, "one")
                   : snprintf(out + used, size - (size_t)used, "join%d", i - 1);
    used += snprintf(out + used, size - (size_t)used, ", %s], name: join%d},\n", parts[i % 3], i);
  }
  used += snprintf(out + used, size - (size_t)used,
                   "      {Dense: {units: 4}, name: head}]}\n"
                   "output_features: [{name: label}]\n");
  assert_true(used < (int)size);
}

static int64_t count_joins(const char *yaml) {
  rig r;
  rig_make(&r, &(setup){.backend = "ref", .real = CO_F32, .rows = 5}, yaml);
  int64_t count = 0;
  for (int64_t i = 0; i < r.graph->op_count; i++)
    count += r.graph->ops[i].op == CO_OP_CONCAT;
  rig_free(&r);
  return count;
}

static void joins_at_once_equal_joins_two_by_two(void **unused) {
  (void)unused;
  static const int counts[] = {2, 3, 4, 5, CO_OP_MAX_OPERANDS, CO_OP_MAX_OPERANDS + 1, JOINED};
  static const int joins[] = {1, 1, 1, 1, 1, 2, 6};
  static const char *const backends[] = {"ref", "cpu"};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    char one[8192], several[8192];
    write_join(one, sizeof one, counts[i], true);
    write_join(several, sizeof several, counts[i], false);
    assert_int_equal(count_joins(one), joins[i]);
    assert_int_equal(count_joins(several), counts[i] - 1);
    for (int b = 0; b < 2; b++) {
      setup plain = {.backend = backends[b], .real = CO_F32, .rows = 5};
      // Several operations add the gradients of what stands there more than once in another order.
      compare_two(&(model){"one", one, NULL}, &(model){"several", several, NULL}, &plain, &plain,
                  joins[i] > 1 ? 1e-6 : 0);
    }
  }
}

// ---- tables ------------------------------------------------------------------------------------

// The gradient of the table that is read twice is summed in two parts, one of which joins others.
static void tables_share_operations(void **unused) {
  (void)unused;
  const model m = {"embedded", NULL, embedded};
  setup s = {.backend = "cpu", .real = CO_F32, .rows = 5};
  assert_int_equal(count_operations(&m, &s, CO_OP_EMBEDDING), 3);
  assert_int_equal(count_operations(&m, &s, CO_OP_EMBEDDING_BACKWARD), 4);
  s.no_fusion = true;
  assert_int_equal(count_operations(&m, &s, CO_OP_EMBEDDING), 2 + FURTHER);
  assert_int_equal(count_operations(&m, &s, CO_OP_EMBEDDING_BACKWARD), 2 + FURTHER);
}

// ---- observed values ---------------------------------------------------------------------------

static const char watched[] =
    "input_features:\n"
    "  - name: wide_image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 16, kernel_size: 3, activation: relu}}, MaxPooling2D, Flatten,\n"
    "      {Dense: {units: 8, activation: relu}}]}\n"
    "output_features: [{name: label}]\n";

// Reports what fusion would do away with: pre-activations and the flattened image.
static void watch(rig *r) {
  for (int64_t i = 0; i < r->graph->op_count; i++) {
    const co_graph_op *op = &r->graph->ops[i];
    if (op->op == CO_OP_CONV2D || op->op == CO_OP_RESHAPE || op->op == CO_OP_DENSE)
      OK(co_graph_add_output(r->graph, r->graph->values[op->out[0]].name, op->out[0]));
  }
}

static float *read_output(rig *r, int64_t output, int64_t *count) {
  co_executor *executor = co_program_evaluator(r->program);
  const co_plan *plan = co_executor_plan(executor);
  const co_tensor_desc *desc = &plan->values[plan->outputs[output]].info.desc;
  assert_int_equal(desc->layout, CO_LAYOUT_CANONICAL);
  *count = co_shape_count(&desc->shape);
  float *values = co_arena_alloc(r->arena, (size_t)*count, sizeof *values);
  assert_non_null(values);
  OK(co_executor_read_output(executor, output, values));
  return values;
}

static void observed_values_are_kept(void **unused) {
  (void)unused;
  rig r[2];
  batch b[2];
  for (int i = 0; i < 2; i++) {
    rig_open(&r[i], &(setup){.backend = i ? "cpu" : "ref",
                             .real = CO_F32,
                             .rows = 4,
                             .evaluation_rows = 4,
                             .no_fusion = !i});
    rig_model(&r[i], watched);
    watch(&r[i]);
    rig_program(&r[i]);
    batch_make(&r[i], &b[i], 4, 1);
    train(&r[i], 0, &b[i], 0, 0.01); // what is reported does not disturb training
    OK(co_program_evaluate(r[i].program, b[i].inputs));
  }
  assert_int_equal(r[0].graph->output_count, 5);
  for (int64_t output = 0; output < 5; output++) {
    int64_t count;
    const float *plain = read_output(&r[0], output, &count);
    const float *fused = read_output(&r[1], output, &count);
    bool negative = false;
    for (int64_t i = 0; i < count; i++) {
      negative = negative || fused[i] < 0;
      assert_true(fabsf(plain[i] - fused[i]) <= 1e-5f);
    }
    // Pre-activations show it.
    assert_int_equal(negative, strstr(r[0].graph->outputs[output].name, "conv2d.y") ||
                                   strstr(r[0].graph->outputs[output].name, "dense.y"));
  }
  for (int i = 0; i < 2; i++) {
    batch_free(&r[i], &b[i]);
    rig_free(&r[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_are_derivatives),
                                     cmocka_unit_test(fusion_changes_nothing),
                                     cmocka_unit_test(micro_batches_share_items),
                                     cmocka_unit_test(tiles_change_nothing),
                                     cmocka_unit_test(fast_backend_agrees),
                                     cmocka_unit_test(blocked_layouts_agree),
                                     cmocka_unit_test(joins_at_once_equal_joins_two_by_two),
                                     cmocka_unit_test(tables_share_operations),
                                     cmocka_unit_test(observed_values_are_kept)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
