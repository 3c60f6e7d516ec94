// SPDX-License-Identifier: Apache-2.0
// What a graph remembers of its layers, for exporters: options that read back as they were, inputs,
// weights in Keras' order, and whose weights a layer called again uses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/graph/loss/loss.h"
#include "host/persist/keras/write.h"
#include "models/layers.h"

#define OK(expression)                                                                             \
  do {                                                                                             \
    if ((expression) != CO_OK) fail_msg("%s: %s", #expression, co_error_last()->message);          \
  } while (0)

typedef struct fixture {
  co_context *ctx;
  co_arena *arena; // of configs: gone before the graph is looked at
  co_graph *graph;
  co_diagnostics problems;
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  OK(co_context_create(&f->ctx, NULL));
  OK(co_arena_create(&f->arena, f->ctx));
  OK(co_graph_create(&f->graph, f->ctx));
  co_diagnostics_init(&f->problems, f->ctx);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  co_diagnostics_free(&f->problems);
  co_graph_free(f->graph);
  co_arena_free(f->arena);
  int64_t live = co_alloc_get_stats(f->ctx).live_blocks;
  co_context_free(f->ctx);
  free(f);
  assert_int_equal(live, 0);
  return 0;
}

static co_node *parse(fixture *f, const char *text) {
  co_node *node;
  OK(co_yaml_parse(&node, f->arena, "layers.yaml", text, strlen(text), &f->problems));
  return node;
}

// ---- options -----------------------------------------------------------------------------------

enum { VARIANTS = 4 };

// A value that the field may have, not the default in most variants.
static void write_value(co_text *text, const co_field *field, int variant) {
  bool bounded = field->minimum != 0 || field->maximum != 0;
  double low = bounded ? field->minimum : -1, high = bounded ? field->maximum : 1;
  double value = low + (high - low) * (variant + 1) / (VARIANTS + 1.3);
  int words = 0;
  while (field->words && field->words[words])
    words++;
  if (field->type == CO_FIELD_BOOL)
    co_text_printf(text, "%s", variant % 2 ? "true" : "false");
  else if (field->type == CO_FIELD_INT)
    co_text_printf(text, "%lld", (long long)value);
  else if (field->type == CO_FIELD_DOUBLE)
    co_text_printf(text, "%.17g", value);
  else if (field->type == CO_FIELD_ENUM)
    co_text_printf(text, "%s", field->words[(variant + 1) % words]);
  else if (field->type == CO_FIELD_PAIR)
    co_text_printf(text, "[%lld, %lld]", (long long)value, (long long)(value / 2 + 1));
  else if (field->type == CO_FIELD_NODE)
    co_text_printf(text, "[%d, 3, -1]", variant + 2);
  else
    fail_msg("no test for the type of '%s'", field->key);
}

static void check_equal(const co_field *field, const char *a, const char *b) {
  static const size_t sizes[] = {[CO_FIELD_BOOL] = sizeof(bool),
                                 [CO_FIELD_INT] = sizeof(int64_t),
                                 [CO_FIELD_DOUBLE] = sizeof(double),
                                 [CO_FIELD_ENUM] = sizeof(int),
                                 [CO_FIELD_PAIR] = 2 * sizeof(int64_t)};
  if (field->type == CO_FIELD_NODE) {
    co_difference difference;
    assert_false(co_node_differ(&difference, *(const co_node *const *)(a + field->offset),
                                *(const co_node *const *)(b + field->offset)));
    return;
  }
  assert_memory_equal(a + field->offset, b + field->offset, sizes[field->type]);
}

static void *read_options(fixture *f, const co_layer_class *class_, const char *text) {
  void *options = co_arena_alloc(f->arena, 1, class_->options_size);
  assert_non_null(options);
  OK(co_fields_parse(options, class_->fields, parse(f, text), class_->name, f->arena,
                     &f->problems));
  OK(co_diagnostics_result(&f->problems));
  return options;
}

// Options of a layer that stands in a graph, rendered and read again.
static void check_round_trip(fixture *f, const co_layer_class *class_, const char *text) {
  const void *options = read_options(f, class_, text);
  const co_layer_info info = {.name = class_->name, .class_ = class_, .options = options};
  OK(co_graph_add_layer(f->graph, &info));
  co_json json;
  co_json_init(&json, f->ctx, 0);
  co_layer_render_options(&json, &f->graph->layers[f->graph->layer_count - 1]);
  OK(json.text.status);
  const char *again = read_options(f, class_, json.text.data);
  for (const co_field *field = class_->fields; field->key; field++)
    check_equal(field, options, again);
  co_json_free(&json);
}

static void options_of_every_class_read_back(void **state) {
  fixture *f = *state;
  int classes = 0;
  for (const co_layer_class *const *class_ = co_layer_list(); *class_; class_++, classes++)
    for (int variant = 0; variant < VARIANTS; variant++) {
      co_text text;
      co_text_init(&text, f->ctx);
      co_text_printf(&text, "{");
      for (const co_field *field = (*class_)->fields; field->key; field++) {
        co_text_printf(&text, "%s%s: ", field == (*class_)->fields ? "" : ", ", field->key);
        write_value(&text, field, variant);
      }
      co_text_printf(&text, "}");
      OK(text.status);
      check_round_trip(f, *class_, text.data);
      co_text_free(&text);
    }
  assert_true(classes > 10);
}

// What fields point to is copied with them, sections with keys that are null included.
static void copies_stand_alone(void **state) {
  fixture *f = *state;
  typedef struct options {
    const char *text, *none;
    const co_node *section, *absent;
    int64_t number;
  } options;
  static const co_field fields[] = {
      {"text", CO_FIELD_STRING, offsetof(options, text), NULL, 0, 0, NULL, "", NULL},
      {"none", CO_FIELD_STRING, offsetof(options, none), "null", 0, 0, NULL, "", NULL},
      {"section", CO_FIELD_NODE, offsetof(options, section), "null", 0, 0, NULL, "", NULL},
      {"absent", CO_FIELD_NODE, offsetof(options, absent), "null", 0, 0, NULL, "", NULL},
      {"number", CO_FIELD_INT, offsetof(options, number), NULL, 0, 0, NULL, "", NULL},
      {.key = NULL}};
  options read;
  void *out;
  const co_node *node =
      parse(f, "{text: \"a, \\\"b\\\"\", section: {x: [1, {y: null}]}, number: 7}");
  OK(co_fields_parse(&read, fields, node, "", f->arena, &f->problems));
  OK(co_diagnostics_result(&f->problems));
  OK(co_fields_copy(&out, f->graph->arena, fields, &read, sizeof read));
  co_arena_free(f->arena);
  f->arena = NULL;
  co_json json;
  co_json_init(&json, f->ctx, 0);
  co_json_open(&json, '{');
  co_fields_render(&json, fields, out);
  co_json_close(&json);
  assert_string_equal(json.text.data, "{\"text\":\"a, \\\"b\\\"\",\"none\":null,"
                                      "\"section\":{\"x\":[1,{\"y\":null}]},\"number\":7}");
  co_json_free(&json);
}

// ---- inputs and weights ------------------------------------------------------------------------

static void build(fixture *f, const char *layers, const co_named_value *known, int count) {
  co_value out;
  const co_layer_list_options options = {"net", known, count, known->value, NULL, NULL};
  OK(co_layer_list_build(f->graph, parse(f, layers), "layers", &options, f->arena, &f->problems,
                         &out));
  OK(co_diagnostics_result(&f->problems));
  co_arena_free(f->arena); // the graph must not need it
  f->arena = NULL;
}

// One line a layer: id, class, options, inputs, weights and whose they are.
static char *describe(fixture *f) {
  const co_graph *graph = f->graph;
  co_text text;
  co_text_init(&text, f->ctx);
  for (int64_t i = 0; i < graph->layer_count; i++) {
    const co_layer_info *layer = &graph->layers[i];
    co_text_printf(&text, "%s %s (", layer->id, layer->class_->name);
    for (int64_t k = 0; k < layer->input_count; k++) {
      int64_t from = co_graph_find_layer(graph, layer->inputs[k], i);
      co_text_printf(&text, "%s%s", k ? " " : "",
                     from < 0 ? graph->values[layer->inputs[k]].name : graph->layers[from].id);
    }
    co_text_printf(&text, ")");
    for (int64_t k = 0; k < layer->weight_count; k++)
      co_text_printf(&text, " %s", graph->params[layer->weights[k]].name);
    if (layer->weights_of >= 0)
      co_text_printf(&text, " of %s", graph->layers[layer->weights_of].id);
    co_text_printf(&text, "\n");
  }
  OK(text.status);
  char *out = co_arena_strdup(graph->arena, text.data);
  co_text_free(&text);
  return out;
}

static co_named_value add_input(fixture *f, const char *name, co_dtype dtype, co_shape shape) {
  co_named_value out = {.name = name};
  OK(co_graph_add_input(f->graph, name, dtype, &shape, &out.value));
  return out;
}

static void a_residual_network(void **state) {
  fixture *f = *state;
  co_named_value image =
      add_input(f, "image", CO_F32, co_shape_make(4, CO_DIM_N, (int64_t)6, (int64_t)6, (int64_t)2));
  build(f,
        "[{Conv2D: {filters: 3, kernel_size: 3, padding: same}, name: first},\n"
        " {Conv2D: {filters: 3, kernel_size: 3, padding: same, use_bias: false}},\n"
        " BatchNormalization, {Dropout: 0},\n"
        " {Add: {}, inputs: [first, dropout]}, ReLU,\n"
        " {Add: {}, inputs: [first, re_lu]}, GlobalAveragePooling2D]",
        &image, 1);
  assert_string_equal(
      describe(f),
      "net/first Conv2D (image) net/first/kernel net/first/bias\n"
      "net/conv2d Conv2D (net/first) net/conv2d/kernel\n"
      "net/batch_normalization BatchNormalization (net/conv2d) net/batch_normalization/gamma "
      "net/batch_normalization/beta net/batch_normalization/moving_mean "
      "net/batch_normalization/moving_variance\n"
      "net/dropout Dropout (net/batch_normalization)\n"
      "net/add Add (net/first net/dropout)\n"
      "net/re_lu ReLU (net/add)\n"
      "net/add_1 Add (net/first net/re_lu)\n"
      "net/global_average_pooling2d GlobalAveragePooling2D (net/add_1)\n");
  const co_layer_info *layer = &f->graph->layers[1];
  co_json json;
  co_json_init(&json, f->ctx, 0);
  co_layer_render_options(&json, layer);
  assert_string_equal(
      json.text.data,
      "{\"filters\":3,\"kernel_size\":[3,3],\"strides\":[1,1],\"dilation_rate\":"
      "[1,1],\"groups\":1,\"padding\":\"same\",\"activation\":\"linear\",\"use_bias\":"
      "false,"
      "\"kernel_initializer\":\"glorot_uniform\",\"bias_initializer\":\"zeros\"}");
  co_json_free(&json);
}

static void a_decoder_of_images(void **state) {
  fixture *f = *state;
  co_named_value code = add_input(f, "code", CO_F32, co_shape_make(2, CO_DIM_N, (int64_t)24));
  build(f, "[{Reshape: {target_shape: [2, -1, 4]}, name: small}, {UpSampling2D: [3, 2]}]", &code,
        1);
  const co_value last = f->graph->layers[f->graph->layer_count - 1].output;
  const co_shape want = co_shape_make(4, CO_DIM_N, (int64_t)6, (int64_t)6, (int64_t)4);
  assert_true(co_shape_equal(&f->graph->values[last].desc.shape, &want));
  co_json json;
  co_json_init(&json, f->ctx, 0);
  co_layer_render_options(&json, &f->graph->layers[0]);
  assert_string_equal(json.text.data, "{\"target_shape\":[2,-1,4]}");
  co_json_free(&json);
}

static void shapes_that_do_not_fit_are_refused(void **state) {
  fixture *f = *state;
  static const char *const shapes[] = {
      "[5, 5]", "[-1, -1]", "[7, -1]", "[]", "[0, 24]", "24", "[x, 3]", "[2, 2, 2, 2, 2, 2, 2, 2]"};
  co_named_value code = add_input(f, "code", CO_F32, co_shape_make(2, CO_DIM_N, (int64_t)24));
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    char text[96];
    co_value out;
    const co_layer_list_options options = {"net", &code, 1, code.value, NULL, NULL};
    snprintf(text, sizeof text, "[{Reshape: {target_shape: %s}}]", shapes[i]);
    OK(co_layer_list_build(f->graph, parse(f, text), "layers", &options, f->arena, &f->problems,
                           &out));
    assert_int_equal(f->problems.count, (int64_t)i + 1);
    assert_non_null(strstr(f->problems.item[i].message, "target_shape"));
  }
}

// Layers that sum over events want to know how many each row has.
static void sums_over_events_know_lengths(void **state) {
  fixture *f = *state;
  static const struct {
    const char *layers, *message; // NULL: accepted
  } cases[] = {
      {"{Softmax: {}, inputs: [numbers, lengths]}", NULL},
      {"{Softmax: 1, inputs: [numbers, lengths]}", NULL},
      {"{Softmax: {}, inputs: [numbers]}", "name `lengths`, too"},
      {"{Softmax: {}, inputs: [events, lengths]}", "axis must be 1, not the features"},
      {"{Softmax: 1, inputs: [score]}", "name `lengths`, too"},
      {"{Softmax: 1, inputs: [score, lengths], name: w}, {Dot: 1, inputs: [w, events]}", NULL},
      {"{Softmax: 1, inputs: [score, lengths], name: w}, {Dot: 1, inputs: [events, w]}", NULL},
      {"{Softmax: 1, inputs: [score, lengths], name: w}, {Dot: 2, inputs: [w, score]}",
       "of sequences axes must be 1"},
      {"{Softmax: 1, inputs: [score, lengths], name: w}, {Dot: 1, inputs: [w, others]}",
       "of the same events"},
      {"{Softmax: {}, inputs: [events], name: w}, {Dot: 1, inputs: [w, events]}",
       "one of them what `{Softmax: 1"},
      {"{Softmax: 1, inputs: [score, lengths], name: w}, {Add: {}, inputs: [w, score], name: v}, "
       "{Dot: 1, inputs: [v, events]}",
       "one of them what `{Softmax: 1"},
      {"{Dot: 1, inputs: [events, events]}", "one of them what `{Softmax: 1"}};
  const co_named_value inputs[] = {
      add_input(f, "events", CO_F32, co_shape_make(3, CO_DIM_N, CO_DIM_T(0), (int64_t)4)),
      add_input(f, "score", CO_F32, co_shape_make(3, CO_DIM_N, CO_DIM_T(0), (int64_t)1)),
      add_input(f, "others", CO_F32, co_shape_make(3, CO_DIM_N, CO_DIM_T(1), (int64_t)4)),
      add_input(f, "numbers", CO_F32, co_shape_make(2, CO_DIM_N, CO_DIM_T(0))),
      add_input(f, "lengths", CO_I32, co_shape_make(1, CO_DIM_N))};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const int64_t before = f->problems.count;
    char scope[8], text[256];
    co_value out;
    snprintf(scope, sizeof scope, "net%zu", i);
    snprintf(text, sizeof text, "[%s]", cases[i].layers);
    const co_layer_list_options options = {scope, inputs, 5, inputs[0].value, NULL, NULL};
    OK(co_layer_list_build(f->graph, parse(f, text), "layers", &options, f->arena, &f->problems,
                           &out));
    assert_int_equal(f->problems.count - before, cases[i].message ? 1 : 0);
    if (cases[i].message)
      assert_non_null(strstr(f->problems.item[before].message, cases[i].message));
  }
}

static void a_layer_of_another_list_is_suggested(void **state) {
  fixture *f = *state;
  co_named_value code = add_input(f, "code", CO_F32, co_shape_make(2, CO_DIM_N, (int64_t)24));
  co_named_value items[] = {{"encoded", code.value}};
  co_named_values outer = {items, 1};
  const co_layer_list_options options = {"net", &code, 1, code.value, &outer, NULL};
  co_value out;
  OK(co_layer_list_build(f->graph, parse(f, "[{Dense: 2, inputs: [encodde]}]"), "layers", &options,
                         f->arena, &f->problems, &out));
  assert_int_equal(f->problems.count, 1);
  assert_non_null(strstr(f->problems.item[0].message, "did you mean 'encoded'?"));
}

// Sizes as Keras has them of transposed convolutions, padding and cropping; what does not fit is refused.
static void images_change_their_size(void **state) {
  fixture *f = *state;
  static const struct {
    const char *layer;
    int64_t height, width; // 0: refused
    const char *what;
  } cases[] = {
      {"Conv2DTranspose: {filters: 2, kernel_size: 3, strides: 2}", 11, 15, NULL},
      {"Conv2DTranspose: {filters: 2, kernel_size: 2, strides: 3}", 15, 21, NULL},
      {"Conv2DTranspose: {filters: 2, kernel_size: 3, strides: 2, padding: same}", 10, 14, NULL},
      {"Conv2DTranspose: {filters: 2, kernel_size: 1, strides: 2, padding: same}", 10, 14, NULL},
      {"Conv2DTranspose: {filters: 2, kernel_size: 3, strides: 2, padding: same, output_padding: "
       "0}",
       9, 13, NULL},
      {"Conv2DTranspose: {filters: 2, kernel_size: 3, strides: 2, output_padding: [1, 0]}", 12, 15,
       NULL},
      {"Conv2DTranspose: {filters: 2, kernel_size: 3, output_padding: 1}", 0, 0, "output_padding"},
      {"Conv2D: {filters: 4, kernel_size: 3, groups: 2}", 0, 0, "groups"},
      {"Conv2D: {filters: 4, kernel_size: 3, groups: 3}", 0, 0, "groups"},
      {"Conv2D: {filters: 6, kernel_size: 3, groups: 3}", 3, 5, NULL},
      {"DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 65536}", 3, 5, NULL},
      {"SeparableConv2D: {filters: 5, kernel_size: 2, padding: same, strides: 2}", 3, 4, NULL},
      {"AveragePooling2D: {pool_size: 2, padding: same}", 3, 4, NULL},
      {"ZeroPadding2D: {}", 7, 9, NULL},
      {"ZeroPadding2D: [0, 3]", 5, 13, NULL},
      {"ZeroPadding2D: [[1, 2], [3, 4]]", 8, 14, NULL},
      {"ZeroPadding2D: -1", 0, 0, "padding"},
      {"ZeroPadding2D: [1, 2, 3]", 0, 0, "padding"},
      {"Cropping2D: [[1, 2], 0]", 2, 7, NULL},
      {"Cropping2D: [[2, 3], 0]", 0, 0, "nothing is left"}};
  co_named_value image =
      add_input(f, "image", CO_F32, co_shape_make(4, CO_DIM_N, (int64_t)5, (int64_t)7, (int64_t)3));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[160];
    co_value out = CO_NO_VALUE;
    const co_layer_list_options options = {"net", &image, 1, image.value, NULL, NULL};
    int64_t before = f->problems.count;
    snprintf(text, sizeof text, "[{%s, name: n%zu}]", cases[i].layer, i);
    OK(co_layer_list_build(f->graph, parse(f, text), "layers", &options, f->arena, &f->problems,
                           &out));
    if (cases[i].what) {
      if (f->problems.count != before + 1) fail_msg("%s is not refused", text);
      assert_non_null(strstr(f->problems.item[before].message, cases[i].what));
      continue;
    }
    if (f->problems.count != before) fail_msg("%s: %s", text, f->problems.item[before].message);
    const co_shape *shape = &f->graph->values[out].desc.shape;
    if (shape->dim[1] != cases[i].height || shape->dim[2] != cases[i].width)
      fail_msg("%s: %lld x %lld", text, (long long)shape->dim[1], (long long)shape->dim[2]);
  }
}

// A layer called again, and one whose name looks like such a call.
static void a_tied_network(void **state) {
  fixture *f = *state;
  const co_named_value inputs[] = {
      add_input(f, "left", CO_F32, co_shape_make(2, CO_DIM_N, (int64_t)5)),
      add_input(f, "right", CO_F32, co_shape_make(2, CO_DIM_N, (int64_t)5))};
  build(f,
        "[{Dense: 3, name: \"tower#1\", inputs: [left]}, {Dense: 3, name: tower, inputs: [left]},\n"
        " {shared: tower, name: other, inputs: [right]}, {shared: tower, inputs: [left]},\n"
        " {Concatenate: {}, inputs: [tower, other]}]",
        inputs, 2);
  assert_string_equal(describe(f),
                      "net/tower#1 Dense (left) net/tower#1/kernel net/tower#1/bias\n"
                      "net/tower Dense (left) net/tower/kernel net/tower/bias\n"
                      "net/tower#2 Dense (right) net/tower/kernel net/tower/bias of net/tower\n"
                      "net/tower#3 Dense (left) net/tower/kernel net/tower/bias of net/tower\n"
                      "net/concatenate Concatenate (net/tower net/tower#2)\n");
  assert_int_equal(f->graph->param_count, 4);
}

static void a_network_over_sequences(void **state) {
  fixture *f = *state;
  const co_named_value inputs[] = {
      add_input(f, "visits", CO_I32, co_shape_make(2, CO_DIM_N, CO_DIM_T(0))),
      add_input(f, "lengths", CO_I32, co_shape_make(1, CO_DIM_N))};
  build(f,
        "[{Embedding: {input_dim: 9, output_dim: 4}},\n"
        " {LSTM: {units: 5, return_sequences: true}, inputs: [embedding, lengths], name: below},\n"
        " {LSTM: 6, inputs: [below, lengths]}, {Dense: {units: 1, use_bias: false}}]",
        inputs, 2);
  assert_string_equal(
      describe(f),
      "net/embedding Embedding (visits) net/embedding/embeddings\n"
      "net/below LSTM (net/embedding lengths) net/below/kernel net/below/recurrent_kernel "
      "net/below/bias\n"
      "net/lstm LSTM (net/below lengths) net/lstm/kernel net/lstm/recurrent_kernel "
      "net/lstm/bias\n"
      "net/dense Dense (net/lstm) net/dense/kernel\n");
}

// The weights of fields pick element d of each; what cannot be cut into fields is refused.
static void fields_of_a_factorization_machine(void **state) {
  fixture *f = *state;
  const co_named_value x = add_input(f, "x", CO_F32, co_shape_make(2, CO_DIM_N, (int64_t)6));
  build(f, "[{FactorizationMachine: {field_size: 2}}]", &x, 1);
  static const float want[6][2] = {{1, 0}, {0, 1}, {1, 0}, {0, 1}, {1, 0}, {0, 1}};
  assert_int_equal(f->graph->param_count, 0);
  assert_int_equal(f->graph->constant_count, 1);
  assert_int_equal(f->graph->constants[0].size, sizeof want);
  assert_memory_equal(f->graph->constants[0].bytes, want, sizeof want);
  const int64_t options[2] = {8, 4};
  co_value out;
  const co_layer_class *class_ = co_layer_find("FactorizationMachine");
  assert_int_equal(co_layer_apply(f->graph, class_, "net/uneven", options, &x.value, 1, &out),
                   CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "6 features are no fields of 4"));
}

// ---- lists of weights --------------------------------------------------------------------------

static co_status build_two(co_graph *graph, const void *options, const co_value *in, int count,
                           co_value *out) {
  const co_param_info info = {.shape = co_shape_make(1, (int64_t)3)};
  co_value value;
  (void)options, (void)count;
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "a", &info, &value));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "b", &info, &value));
  return co_emit(graph, CO_OP_RELU, NULL, 1, in, out);
}

// Of Keras' layers the first Reverse behind one that goes backwards is its own; no other is.
static void a_second_reverse_is_none_of_keras(void **state) {
  fixture *f = *state;
  for (int times = 1; times <= 3; times++) {
    co_text layers;
    co_keras_config config;
    co_graph_free(f->graph);
    OK(co_graph_create(&f->graph, f->ctx));
    if (!f->arena) OK(co_arena_create(&f->arena, f->ctx));
    const co_named_value x =
        add_input(f, "x", CO_F32, co_shape_make(3, CO_DIM_N, (int64_t)4, (int64_t)2));
    co_text_init(&layers, f->ctx);
    co_text_printf(&layers, "[{GRU: {units: 2, return_sequences: true, go_backwards: true}}");
    for (int i = 0; i < times; i++)
      co_text_printf(&layers, ", Reverse");
    co_text_printf(&layers, ", Flatten]");
    build(f, layers.data, &x, 1);
    co_text_free(&layers);
    const co_value out = f->graph->layers[f->graph->layer_count - 1].output;
    const co_value target = add_input(f, "y", CO_F32, co_shape_make(2, CO_DIM_N, (int64_t)8)).value;
    const co_value weight = add_input(f, "w", CO_F32, co_shape_make(1, CO_DIM_N)).value;
    OK(co_loss_emit(f->graph, co_loss_find("mean_squared_error"), NULL, "y", 1, out, target,
                    weight));
    OK(co_graph_add_output(f->graph, "y", out));
    OK(co_keras_describe(&config, f->graph->arena, f->graph));
    if (times == 1) assert_null(config.why_not);
    if (times > 1) assert_string_equal(config.why_not, "Reverse: Keras has no such layer");
  }
}

// A class whose list has not, or not in this order, what its layers declare is a bug, found at once.
static void lists_of_weights_are_checked(void **state) {
  fixture *f = *state;
  static const co_field none[] = {{.key = NULL}};
  static const char *const lists[][4] = {{"b", "a"}, {"a"}, {NULL}, {"a", "c", "b"}};
  co_value x = add_input(f, "x", CO_F32, co_shape_make(2, CO_DIM_N, (int64_t)3)).value, y;
  char options[1] = {0}, path[8];
  for (int i = 0; i < 5; i++) {
    const co_layer_class class_ = {.name = "Two",
                                   .fields = none,
                                   .options_size = 1,
                                   .inputs_min = 1,
                                   .inputs_max = 1,
                                   .build = build_two,
                                   .weights = i < 4 ? lists[i] : NULL};
    snprintf(path, sizeof path, "two%d", i);
    co_status status = co_layer_apply(f->graph, &class_, path, options, &x, 1, &y);
    assert_int_equal(status, i == 3 ? CO_OK : CO_ERR_INTERNAL);
    if (i == 3) continue;
    assert_non_null(strstr(co_error_last()->message, "Two declares '"));
    co_error_clear();
  }
  assert_int_equal(f->graph->layer_count, 1);
  assert_int_equal(f->graph->layers[0].weight_count, 2);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {TEST(options_of_every_class_read_back),
                                     TEST(copies_stand_alone),
                                     TEST(a_residual_network),
                                     TEST(a_decoder_of_images),
                                     TEST(a_layer_of_another_list_is_suggested),
                                     TEST(images_change_their_size),
                                     TEST(shapes_that_do_not_fit_are_refused),
                                     TEST(sums_over_events_know_lengths),
                                     TEST(a_tied_network),
                                     TEST(a_network_over_sequences),
                                     TEST(fields_of_a_factorization_machine),
                                     TEST(a_second_reverse_is_none_of_keras),
                                     TEST(lists_of_weights_are_checked)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
