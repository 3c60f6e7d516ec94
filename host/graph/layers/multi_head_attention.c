// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct attention_options {
  int64_t heads, key_dim, distances;
  bool causal;
} attention_options;

static const co_field fields[] = {
    {"num_heads", CO_FIELD_INT, offsetof(attention_options, heads), NULL, 1, 1024, NULL,
     "Attentions side by side.", NULL},
    {"key_dim", CO_FIELD_INT, offsetof(attention_options, key_dim), NULL, 1, 4096, NULL,
     "Features of each.", NULL},
    {"use_causal_mask", CO_FIELD_BOOL, offsetof(attention_options, causal), "false", 0, 0, NULL,
     "An event sees those before it and itself, none after it.", NULL},
    {"relative_positions", CO_FIELD_INT, offsetof(attention_options, distances), "0", 0, 1 << 20,
     NULL, "Distances between events with a learned bias each, the last for all beyond; 0: none.",
     NULL},
    {.key = NULL}};

// x kernel + bias of each event: (N, T, width).
static co_status project(co_graph *graph, const char *const names[2], int table, int64_t width,
                         co_value x, co_value *out) {
  int64_t features = co_value_shape(graph, x)->dim[2];
  co_op_attr attr = {.shape = co_shape_make(2, CO_DIM_NT(table), features)};
  co_value operands[3] = {x};
  co_param_info kernel = {.shape = co_shape_make(2, features, width),
                          .init = CO_INIT_GLOROT_UNIFORM,
                          .fan_in = features,
                          .fan_out = width,
                          .decay = 1};
  co_param_info bias = {.shape = co_shape_make(1, width), .init = CO_INIT_ZEROS};
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_RESHAPE, &attr, 1, &x, &operands[0]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, names[0], &kernel, &operands[1]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, names[1], &bias, &operands[2]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_DENSE, NULL, 3, operands, out));
  attr.shape = co_shape_make(3, CO_DIM_N, CO_DIM_T(table), width);
  return co_emit(graph, CO_OP_RESHAPE, &attr, 1, out, out);
}

static const char *const weights[] = {
    "query_kernel", "query_bias",    "key_kernel",    "key_bias",    "value_kernel",
    "value_bias",   "relative_bias", "output_kernel", "output_bias", NULL};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const attention_options *o = options;
  (void)count;
  const co_shape *x = co_value_shape(graph, in[0]);
  int table = x->rank == 3 && x->dim[2] > 0 ? co_dim_event_table(x->dim[1]) : -1;
  if (table < 0) {
    char have[96];
    co_shape_print(x, have, sizeof have);
    return co_fail(CO_ERR_CONFIG, "input has shape %s, but (rows, events, features) is needed",
                   have);
  }
  int64_t features = x->dim[2], width = o->heads * o->key_dim;
  co_value operands[CO_OP_MAX_OPERANDS], y;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    operands[i] = CO_NO_VALUE;
  for (int i = 0; i < 3; i++)
    CO_RETURN_IF_FAILED(project(graph, weights + 2 * i, table, width, in[0], &operands[i]));
  operands[CO_ATTENTION_lengths] = in[1];
  co_param_info bias = {.shape = co_shape_make(2, o->heads, o->distances), .init = CO_INIT_ZEROS};
  if (o->distances)
    CO_RETURN_IF_FAILED(
        co_graph_add_param(graph, "relative_bias", &bias, &operands[CO_ATTENTION_bias]));
  const co_op_attr attr = {.heads = o->heads, .causal = o->causal};
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_ATTENTION, &attr, CO_ATTENTION_bias + 1, operands, &y));
  return project(graph, weights + 7, table, features, y, out);
}

extern const co_layer_class co_layer_multi_head_attention;
const co_layer_class co_layer_multi_head_attention = {
    .name = "MultiHeadAttention",
    .doc = "Attention of the events of a sequence to each other, by its lengths.",
    .fields = fields,
    .options_size = sizeof(attention_options),
    .inputs_min = 2,
    .inputs_max = 2,
    .build = build,
    .weights = weights};
