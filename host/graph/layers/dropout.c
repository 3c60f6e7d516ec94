// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct dropout_options {
  double rate;
} dropout_options;

static const co_field fields[] = {{"rate", CO_FIELD_DOUBLE, offsetof(dropout_options, rate), NULL,
                                   0, 0.999, NULL, "Share of what is set to zero in training.",
                                   NULL},
                                  {.key = NULL}};

// Of members, random numbers are counted in rows of the batch: a row's members as one row.
static co_status fold(co_graph *graph, bool back, int64_t members, int64_t features, co_value *x) {
  co_op_attr attr = {.shape = co_shape_make(2, CO_DIM_N, members * features)};
  if (back) attr.shape = co_shape_make(2, CO_DIM_MEMBERS(members), features);
  return co_emit(graph, CO_OP_RESHAPE, &attr, 1, x, x);
}

// (N T, …), events as rows, as (N, T, features), and back.
static co_status fold_events(co_graph *graph, const co_shape *rows, bool back, co_value *x) {
  co_op_attr attr = {.shape = *rows};
  int64_t features = 1;
  for (int i = 1; i < rows->rank; i++)
    features *= rows->dim[i];
  if (!back)
    attr.shape = co_shape_make(3, CO_DIM_N, CO_DIM_T(co_dim_event_table(rows->dim[0])), features);
  return co_emit(graph, CO_OP_RESHAPE, &attr, 1, x, x);
}

// `draws` of each row, which its elements take in turn; 0 = one each.
static co_status drop(co_graph *graph, const dropout_options *options, co_value x, int64_t draws,
                      co_value *out) {
  co_op_attr attr = {.rate = options->rate, .draws = draws};
  CO_RETURN_IF_FAILED(co_purpose_of_call(graph, CO_OP_DROPOUT, "dropout", &attr.purpose));
  if (attr.rate == 0) {
    *out = x;
    return CO_OK;
  }
  co_value operands[2] = {x, CO_NO_VALUE};
  const co_shape shape = *co_value_shape(graph, x);
  const bool events = co_dim_event_table(shape.dim[0]) >= 0;
  if (events && draws)
    return co_fail(CO_ERR_CONFIG, "what is looked up of each event takes Dropout alone");
  if (events) CO_RETURN_IF_FAILED(fold_events(graph, &shape, false, &operands[0]));
  if (!draws) CO_RETURN_IF_FAILED(co_greatest_length(graph, operands[0], &attr.max_length));
  const int64_t members = shape.rank == 2 ? co_dim_members(shape.dim[0]) : 0;
  if (members) CO_RETURN_IF_FAILED(fold(graph, false, members, shape.dim[1], &operands[0]));
  CO_RETURN_IF_FAILED(co_graph_get_step(graph, &operands[1]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_DROPOUT, &attr, 2, operands, out));
  if (events) return fold_events(graph, &shape, true, out);
  return members ? fold(graph, true, members, shape.dim[1], out) : CO_OK;
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  return drop(graph, options, in[0], 0, out);
}

static co_status drop_channels(co_graph *graph, const void *options, const co_value *in, int rank,
                               co_value *out) {
  const co_shape *shape = co_value_shape(graph, in[0]);
  if (shape->rank != rank)
    return co_fail(CO_ERR_CONFIG, "the input has %d dimensions, rows included; %d are needed",
                   shape->rank, rank);
  return drop(graph, options, in[0], shape->dim[rank - 1], out);
}

static co_status build_spatial1d(co_graph *graph, const void *options, const co_value *in,
                                 int count, co_value *out) {
  (void)count;
  return drop_channels(graph, options, in, 3, out);
}

static co_status build_spatial2d(co_graph *graph, const void *options, const co_value *in,
                                 int count, co_value *out) {
  (void)count;
  return drop_channels(graph, options, in, 4, out);
}

static co_status build_depth(co_graph *graph, const void *options, const co_value *in, int count,
                             co_value *out) {
  (void)count;
  return drop(graph, options, in[0], 1, out);
}

#define DROPOUT_LAYER(symbol, name_, doc_, build_)                                                 \
  extern const co_layer_class symbol;                                                              \
  const co_layer_class symbol = {.name = name_,                                                    \
                                 .doc = doc_,                                                      \
                                 .fields = fields,                                                 \
                                 .options_size = sizeof(dropout_options),                          \
                                 .shorthand = "rate",                                              \
                                 .inputs_min = 1,                                                  \
                                 .inputs_max = 1,                                                  \
                                 .build = build_}

DROPOUT_LAYER(co_layer_dropout, "Dropout", "Sets random elements to zero in training.", build);
DROPOUT_LAYER(co_layer_spatial_dropout1d, "SpatialDropout1D",
              "Sets random channels of each sequence to zero in training.", build_spatial1d);
DROPOUT_LAYER(co_layer_spatial_dropout2d, "SpatialDropout2D",
              "Sets random channels of each image to zero in training.", build_spatial2d);
DROPOUT_LAYER(co_layer_stochastic_depth, "StochasticDepth",
              "Sets random rows to zero in training: a residual branch, before it is added.",
              build_depth);
