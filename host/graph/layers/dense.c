// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct dense_options {
  int64_t units;
  int activation;
  bool use_bias;
  int kernel_initializer, bias_initializer;
} dense_options;

static const co_field fields[] = {
    {"units", CO_FIELD_INT, offsetof(dense_options, units), NULL, 1, 1 << 24, NULL,
     "Number of output features.", "output_size"},
    {"activation", CO_FIELD_ENUM, offsetof(dense_options, activation), "linear", 0, 0,
     co_activation_words, "Applied to the result.", NULL},
    {"use_bias", CO_FIELD_BOOL, offsetof(dense_options, use_bias), "true", 0, 0, NULL,
     "Adds a trained offset per output feature.", NULL},
    {"kernel_initializer", CO_FIELD_ENUM, offsetof(dense_options, kernel_initializer),
     "glorot_uniform", 0, 0, co_initializer_words, CO_INITIALIZER_DOC, NULL},
    {"bias_initializer", CO_FIELD_ENUM, offsetof(dense_options, bias_initializer), "zeros", 0, 0,
     co_initializer_words, "Likewise.", NULL},
    {.key = NULL}};

// Events are rows of their own: (N, T, I) as (N T, I), and the result back as (N, T, O).
static co_status fold(co_graph *graph, bool back, int table, int64_t features, co_value *x) {
  co_op_attr attr = {.shape = co_shape_make(2, CO_DIM_NT(table), features)};
  if (back) attr.shape = co_shape_make(3, CO_DIM_N, CO_DIM_T(table), features);
  return co_emit(graph, CO_OP_RESHAPE, &attr, 1, x, x);
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const dense_options *dense = options;
  (void)count;
  const co_shape *shape = co_value_shape(graph, in[0]);
  int events = shape->rank == 3 && shape->dim[2] > 0 ? co_dim_event_table(shape->dim[1]) : -1;
  if (events < 0) CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 2));
  int64_t features = shape->dim[shape->rank - 1];
  co_value operands[3] = {in[0], CO_NO_VALUE, CO_NO_VALUE};
  if (events >= 0) CO_RETURN_IF_FAILED(fold(graph, false, events, features, &operands[0]));
  co_param_info kernel = {.shape = co_shape_make(2, features, dense->units),
                          .init = co_initializer_kind(dense->kernel_initializer),
                          .fan_in = features,
                          .fan_out = dense->units,
                          .decay = 1};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "kernel", &kernel, &operands[1]));
  co_param_info bias = {.shape = co_shape_make(1, dense->units),
                        .init = co_initializer_kind(dense->bias_initializer),
                        .fan_in = features,
                        .fan_out = dense->units};
  if (dense->use_bias) CO_RETURN_IF_FAILED(co_graph_add_param(graph, "bias", &bias, &operands[2]));
  co_value y;
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_DENSE, NULL, 3, operands, &y));
  CO_RETURN_IF_FAILED(co_emit_activation(graph, dense->activation, y, out));
  return events >= 0 ? fold(graph, true, events, dense->units, out) : CO_OK;
}

static const char *const weights[] = {"kernel", "bias", NULL};

extern const co_layer_class co_layer_dense;
const co_layer_class co_layer_dense = {
    .name = "Dense",
    .doc = "Fully connected: y = activation(x kernel + bias); of each event of a sequence.",
    .fields = fields,
    .options_size = sizeof(dense_options),
    .shorthand = "units",
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
