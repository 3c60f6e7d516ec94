// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

enum { MOST_LAYERS = 8 };

typedef struct cross_options {
  int64_t layers;
} cross_options;

static const co_field fields[] = {{"layers", CO_FIELD_INT, offsetof(cross_options, layers), "2", 1,
                                   MOST_LAYERS, NULL, "How many layers.", NULL},
                                  {.key = NULL}};

static const char *const weights[2 * MOST_LAYERS + 1] = {
    "kernel_0", "bias_0", "kernel_1", "bias_1", "kernel_2", "bias_2",
    "kernel_3", "bias_3", "kernel_4", "bias_4", "kernel_5", "bias_5",
    "kernel_6", "bias_6", "kernel_7", "bias_7", NULL};

// x = x0 (x W + b) + x, products element by element.
static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 2));
  const int64_t features = co_value_shape(graph, in[0])->dim[1];
  co_param_info kernel = {.shape = co_shape_make(2, features, features),
                          .init = CO_INIT_GLOROT_UNIFORM,
                          .fan_in = features,
                          .fan_out = features,
                          .decay = 1};
  co_param_info bias = {.shape = co_shape_make(1, features), .init = CO_INIT_ZEROS};
  co_value x = in[0];
  for (int64_t i = 0; i < ((const cross_options *)options)->layers; i++) {
    co_value operands[3] = {x}, y[2] = {in[0], CO_NO_VALUE};
    CO_RETURN_IF_FAILED(co_graph_add_param(graph, weights[2 * i], &kernel, &operands[CO_DENSE_w]));
    CO_RETURN_IF_FAILED(
        co_graph_add_param(graph, weights[2 * i + 1], &bias, &operands[CO_DENSE_b]));
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_DENSE, NULL, 3, operands, &y[1]));
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_MULTIPLY, NULL, 2, y, &y[1]));
    y[0] = x;
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_ADD, NULL, 2, y, &x));
  }
  *out = x;
  return CO_OK;
}

extern const co_layer_class co_layer_cross_network;
const co_layer_class co_layer_cross_network = {
    .name = "CrossNetwork",
    .doc = "Products of features up to a degree: x = x0 (x kernel + bias) + x, layer after layer "
           "(DCNv2, Wang et al. 2021).",
    .fields = fields,
    .options_size = sizeof(cross_options),
    .shorthand = "layers",
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
