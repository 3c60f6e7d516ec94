// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct pooling_options {
  int pooling; // co_event_pooling, then MAX, ATTENTION
  int64_t units;
} pooling_options;

enum { MAX = CO_POOL_MEAN + 1, ATTENTION };
static const char *const poolings[] = {"last", "sum", "mean", "max", "attention", NULL};

static const co_field fields[] = {
    {"pooling", CO_FIELD_ENUM, offsetof(pooling_options, pooling), "mean", 0, 0, poolings,
     "What is left of a sequence; 0 of one without events. attention: a mean by trained weights.",
     NULL},
    {"units", CO_FIELD_INT, offsetof(pooling_options, units), "0", 0, 1 << 16, NULL,
     "Of attention: features that an event is weighed by; 0: as many as it has.", NULL},
    {.key = NULL}};

static co_status reshape(co_graph *graph, co_shape shape, co_value *x) {
  const co_op_attr attr = {.shape = shape};
  return co_emit(graph, CO_OP_RESHAPE, &attr, 1, x, x);
}

static co_status add_param(co_graph *graph, const char *name, int64_t rows, int64_t columns,
                           co_value *out) {
  const co_param_info info = {.shape = co_shape_make(2, rows, columns),
                              .init = CO_INIT_GLOROT_UNIFORM,
                              .fan_in = rows,
                              .fan_out = columns,
                              .decay = 1};
  return co_graph_add_param(graph, name, &info, out);
}

// Additive attention (Bahdanau et al. 2015) by a query that all rows share (Yang et al. 2016,
// "Hierarchical Attention Networks for Document Classification", eq. 5 to 7): a = softmax over a row's
// events t of query . tanh(kernel x[t] + bias), and the sum of a[t] x[t]. Padding has a = 0.
static co_status attend(co_graph *graph, int64_t units, const co_value *in, co_value *out) {
  const co_shape *x = co_value_shape(graph, in[0]);
  const int table = x->rank == 3 && x->dim[2] > 0 ? co_dim_event_table(x->dim[1]) : -1;
  if (table < 0) {
    char have[96];
    co_shape_print(x, have, sizeof have);
    return co_fail(CO_ERR_CONFIG, "input has shape %s, but (rows, events, features) is needed",
                   have);
  }
  const int64_t events = x->dim[1], features = x->dim[2], width = units ? units : features;
  co_value hidden[3] = {in[0]}, score[2], weighted[2] = {CO_NO_VALUE, in[0]};
  const co_param_info bias = {
      .shape = co_shape_make(1, width), .fan_in = features, .fan_out = width};
  CO_RETURN_IF_FAILED(add_param(graph, "kernel", features, width, &hidden[CO_DENSE_w]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "bias", &bias, &hidden[CO_DENSE_b]));
  CO_RETURN_IF_FAILED(add_param(graph, "query", width, 1, &score[CO_DENSE_w]));
  CO_RETURN_IF_FAILED(
      reshape(graph, co_shape_make(2, CO_DIM_NT(table), features), &hidden[CO_DENSE_x]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_DENSE, NULL, 3, hidden, &score[CO_DENSE_x]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_TANH, NULL, 1, &score[CO_DENSE_x], &score[CO_DENSE_x]));
  co_value masked[2] = {CO_NO_VALUE, in[1]};
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_DENSE, NULL, 2, score, &masked[CO_MASKED_SOFTMAX_x]));
  CO_RETURN_IF_FAILED(
      reshape(graph, co_shape_make(3, CO_DIM_N, (int64_t)1, events), &masked[CO_MASKED_SOFTMAX_x]));
  CO_RETURN_IF_FAILED(
      co_emit(graph, CO_OP_MASKED_SOFTMAX, NULL, 2, masked, &weighted[CO_MATMUL_a]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_MATMUL, NULL, 2, weighted, out));
  return reshape(graph, co_shape_make(2, CO_DIM_N, features), out);
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  const pooling_options *o = options;
  const int pooling = o->pooling;
  if (pooling == ATTENTION) return attend(graph, o->units, in, out);
  if (o->units > 0) return co_fail(CO_ERR_CONFIG, "units go with pooling: attention only");
  if (pooling == MAX) return co_emit(graph, CO_OP_MAX_EVENTS, NULL, 2, in, out);
  const co_op_attr attr = {.pooling = pooling};
  return co_emit(graph, CO_OP_POOL_EVENTS, &attr, 2, in, out);
}

static const char *const weights[] = {"kernel", "bias", "query", NULL};

extern const co_layer_class co_layer_pool_events;
const co_layer_class co_layer_pool_events = {
    .name = "GlobalPooling1D",
    .doc = "A sequence and its lengths to one row of features: of the last event, sum, mean, "
           "maximum, or by attention.",
    .fields = fields,
    .options_size = sizeof(pooling_options),
    .shorthand = "pooling",
    .inputs_min = 2,
    .inputs_max = 2,
    .build = build,
    .weights = weights};
