// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct lstm_options {
  int64_t units;
  bool return_sequences;
} lstm_options;

static const co_field fields[] = {
    {"units", CO_FIELD_INT, offsetof(lstm_options, units), NULL, 1, CO_LSTM_UNITS, NULL,
     "Number of output features.", "output_size"},
    {"return_sequences", CO_FIELD_BOOL, offsetof(lstm_options, return_sequences), "false", 0, 0,
     NULL, "The state after each event, not only after the last one.", NULL},
    {.key = NULL}};

static co_status add_params(co_graph *graph, int64_t features, int64_t units, co_value *operands) {
  const int64_t width = 4 * units;
  co_param_info kernel = {.shape = co_shape_make(2, features, width),
                          .init = CO_INIT_GLOROT_UNIFORM,
                          .fan_in = features,
                          .fan_out = width,
                          .decay = 1};
  co_param_info recurrent = {
      .shape = co_shape_make(2, units, width), .init = CO_INIT_ORTHOGONAL, .decay = 1};
  co_param_info bias = {.shape = co_shape_make(1, width), .init = CO_INIT_FORGET_GATE};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "kernel", &kernel, &operands[CO_LSTM_kernel]));
  CO_RETURN_IF_FAILED(
      co_graph_add_param(graph, "recurrent_kernel", &recurrent, &operands[CO_LSTM_recurrent]));
  return co_graph_add_param(graph, "bias", &bias, &operands[CO_LSTM_bias]);
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const lstm_options *lstm = options;
  (void)count;
  const co_shape *x = co_value_shape(graph, in[0]);
  if (x->rank != 3 || x->dim[2] < 1) {
    char have[96];
    co_shape_print(x, have, sizeof have);
    return co_fail(CO_ERR_CONFIG, "input has shape %s, but (rows, events, features) is needed",
                   have);
  }
  co_value operands[CO_OP_MAX_OPERANDS], results[CO_OP_MAX_OPERANDS];
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    operands[i] = results[i] = CO_NO_VALUE;
  operands[CO_LSTM_x] = in[0];
  operands[CO_LSTM_lengths] = in[1];
  CO_RETURN_IF_FAILED(add_params(graph, x->dim[2], lstm->units, operands));
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, CO_OP_LSTM, NULL, operands, results));
  *out = results[lstm->return_sequences ? CO_LSTM_y : CO_LSTM_last];
  return CO_OK;
}

static const char *const weights[] = {"kernel", "recurrent_kernel", "bias", NULL};

extern const co_layer_class co_layer_lstm;
const co_layer_class co_layer_lstm = {
    .name = "LSTM",
    .doc = "Long short-term memory over a sequence and its lengths; tanh, sigmoid gates.",
    .fields = fields,
    .options_size = sizeof(lstm_options),
    .shorthand = "units",
    .inputs_min = 2,
    .inputs_max = 2,
    .build = build,
    .weights = weights};
