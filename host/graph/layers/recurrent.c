// SPDX-License-Identifier: Apache-2.0
// LSTM, GRU, SimpleRNN, and Bidirectional over one of them: one operation each way.
#include "host/graph/layer.h"

typedef struct recurrent_options {
  int64_t units;
  bool return_sequences, go_backwards;
  int activation, recurrent_activation; // co_rnn_function
} recurrent_options;

typedef struct bidirectional_options {
  int layer; // co_rnn_cell
  int64_t units;
  bool return_sequences;
  int merge;
  int activation, recurrent_activation; // co_rnn_function
} bidirectional_options;

#define SEQUENCES_DOC "The state after each event, not only after the last one."

// As co_rnn_function.
static const char *const gate_words[] = {"sigmoid", "hard_sigmoid", "relu", NULL};
static const char *const state_words[] = {"tanh", "hard_sigmoid", "relu", NULL};

#define ACTIVATION_FIELD(options)                                                                  \
  {                                                                                                \
    "activation", CO_FIELD_ENUM, offsetof(options, activation), "tanh", 0, 0, state_words,         \
        "Of states; others than tanh are slower on CPUs.", NULL                                    \
  }
#define RECURRENT_ACTIVATION_FIELD(options)                                                        \
  {                                                                                                \
    "recurrent_activation", CO_FIELD_ENUM, offsetof(options, recurrent_activation), "sigmoid", 0,  \
        0, gate_words,                                                                             \
        "Of gates; hard_sigmoid is that of Keras 1 and 2, 0.2 x + 0.5 within 0 and 1; slower on "  \
        "CPUs.",                                                                                   \
        NULL                                                                                       \
  }
#define CELL_FIELDS                                                                                \
  {"units",                                                                                        \
   CO_FIELD_INT,                                                                                   \
   offsetof(recurrent_options, units),                                                             \
   NULL,                                                                                           \
   1,                                                                                              \
   CO_RECURRENT_UNITS,                                                                             \
   NULL,                                                                                           \
   "Number of output features.",                                                                   \
   "output_size"},                                                                                 \
      {"return_sequences",                                                                         \
       CO_FIELD_BOOL,                                                                              \
       offsetof(recurrent_options, return_sequences),                                              \
       "false",                                                                                    \
       0,                                                                                          \
       0,                                                                                          \
       NULL,                                                                                       \
       SEQUENCES_DOC,                                                                              \
       NULL},                                                                                      \
      {"go_backwards",                                                                             \
       CO_FIELD_BOOL,                                                                              \
       offsetof(recurrent_options, go_backwards),                                                  \
       "false",                                                                                    \
       0,                                                                                          \
       0,                                                                                          \
       NULL,                                                                                       \
       "From the last event to the first; states of events stay where these are.",                 \
       NULL},                                                                                      \
      ACTIVATION_FIELD(recurrent_options)

static const co_field simple_fields[] = {CELL_FIELDS, {.key = NULL}};
static const co_field fields[] = {
    CELL_FIELDS, RECURRENT_ACTIVATION_FIELD(recurrent_options), {.key = NULL}};

static const char *const cells[] = {"LSTM", "GRU", "SimpleRNN", NULL}; // as co_rnn_cell
enum { MERGE_CONCAT, MERGE_SUM };
static const char *const merges[] = {"concat", "sum", NULL};

static const co_field bidirectional_fields[] = {
    {"layer", CO_FIELD_ENUM, offsetof(bidirectional_options, layer), "LSTM", 0, 0, cells,
     "What goes through the events, once each way.", NULL},
    {"units", CO_FIELD_INT, offsetof(bidirectional_options, units), NULL, 1, CO_RECURRENT_UNITS,
     NULL, "Number of output features each way.", "output_size"},
    {"return_sequences", CO_FIELD_BOOL, offsetof(bidirectional_options, return_sequences), "false",
     0, 0, NULL, SEQUENCES_DOC, NULL},
    {"merge_mode", CO_FIELD_ENUM, offsetof(bidirectional_options, merge), "concat", 0, 0, merges,
     "Both ways side by side, or added.", NULL},
    ACTIVATION_FIELD(bidirectional_options),
    RECURRENT_ACTIVATION_FIELD(bidirectional_options),
    {.key = NULL}};

static const char *const weights[] = {"kernel", "recurrent_kernel", "bias", NULL};
static const char *const both_weights[] = {"forward_kernel",
                                           "forward_recurrent_kernel",
                                           "forward_bias",
                                           "backward_kernel",
                                           "backward_recurrent_kernel",
                                           "backward_bias",
                                           NULL};

// `names`: of kernel, recurrent kernel and bias.
static co_status add_params(co_graph *graph, const char *const *names, co_rnn_cell cell,
                            int64_t features, int64_t units, co_value *operands) {
  const int64_t width = co_rnn_gates(cell) * units;
  co_param_info kernel = {.shape = co_shape_make(2, features, width),
                          .init = CO_INIT_GLOROT_UNIFORM,
                          .fan_in = features,
                          .fan_out = width,
                          .decay = 1};
  co_param_info recurrent = {
      .shape = co_shape_make(2, units, width), .init = CO_INIT_ORTHOGONAL, .decay = 1};
  co_param_info bias = {.shape = co_shape_make(1, width),
                        .init = cell == CO_CELL_LSTM ? CO_INIT_FORGET_GATE : CO_INIT_ZEROS};
  if (cell == CO_CELL_GRU) bias.shape = co_shape_make(2, (int64_t)2, width);
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, names[0], &kernel, &operands[CO_RECURRENT_kernel]));
  CO_RETURN_IF_FAILED(
      co_graph_add_param(graph, names[1], &recurrent, &operands[CO_RECURRENT_recurrent]));
  return co_graph_add_param(graph, names[2], &bias, &operands[CO_RECURRENT_bias]);
}

// Without lengths all rows have as many events as the shape says.
static co_status emit(co_graph *graph, co_rnn_cell cell, const recurrent_options *o,
                      const char *const *names, const co_value *in, int count, co_value *out) {
  const co_shape *x = co_value_shape(graph, in[0]);
  if (x->rank != 3 || x->dim[2] < 1) {
    char have[96];
    co_shape_print(x, have, sizeof have);
    return co_fail(CO_ERR_CONFIG, "input has shape %s, but (rows, events, features) is needed",
                   have);
  }
  if (count < 2 && x->dim[1] < 1)
    return co_fail(CO_ERR_CONFIG, "rows have different numbers of events: name `lengths`, too");
  co_value operands[CO_OP_MAX_OPERANDS], results[CO_OP_MAX_OPERANDS];
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    operands[i] = results[i] = CO_NO_VALUE;
  operands[CO_RECURRENT_x] = in[0];
  if (count > 1) operands[CO_RECURRENT_lengths] = in[1];
  CO_RETURN_IF_FAILED(add_params(graph, names, cell, x->dim[2], o->units, operands));
  const co_op_attr attr = {.cell = cell,
                           .reverse = o->go_backwards,
                           .gates = (co_rnn_function)o->recurrent_activation,
                           .states = (co_rnn_function)o->activation};
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, CO_OP_RECURRENT, &attr, operands, results));
  *out = results[o->return_sequences ? CO_RECURRENT_y : CO_RECURRENT_last];
  return CO_OK;
}

static co_status build_lstm(co_graph *graph, const void *options, const co_value *in, int count,
                            co_value *out) {
  return emit(graph, CO_CELL_LSTM, options, weights, in, count, out);
}

static co_status build_gru(co_graph *graph, const void *options, const co_value *in, int count,
                           co_value *out) {
  return emit(graph, CO_CELL_GRU, options, weights, in, count, out);
}

static co_status build_simple(co_graph *graph, const void *options, const co_value *in, int count,
                              co_value *out) {
  return emit(graph, CO_CELL_SIMPLE_RNN, options, weights, in, count, out);
}

static co_status build_bidirectional(co_graph *graph, const void *options, const co_value *in,
                                     int count, co_value *out) {
  const bidirectional_options *o = options;
  co_value ways[2];
  for (int way = 0; way < 2; way++) {
    const recurrent_options each = {o->units, o->return_sequences, way == 1, o->activation,
                                    o->recurrent_activation};
    CO_RETURN_IF_FAILED(
        emit(graph, (co_rnn_cell)o->layer, &each, both_weights + 3 * way, in, count, &ways[way]));
  }
  return co_emit(graph, o->merge == MERGE_SUM ? CO_OP_ADD : CO_OP_CONCAT, NULL, 2, ways, out);
}

#define RECURRENT_LAYER(symbol, name_, doc_, fields_, build_)                                      \
  extern const co_layer_class symbol;                                                              \
  const co_layer_class symbol = {.name = name_,                                                    \
                                 .doc = doc_,                                                      \
                                 .fields = fields_,                                                \
                                 .options_size = sizeof(recurrent_options),                        \
                                 .shorthand = "units",                                             \
                                 .inputs_min = 1,                                                  \
                                 .inputs_max = 2,                                                  \
                                 .build = build_,                                                  \
                                 .weights = weights}

RECURRENT_LAYER(co_layer_lstm, "LSTM",
                "Long short-term memory over a sequence and its lengths, if these differ.", fields,
                build_lstm);
RECURRENT_LAYER(co_layer_gru, "GRU",
                "Gated recurrent unit over a sequence and its lengths, with Keras' reset_after (as "
                "PyTorch and cuDNN).",
                fields, build_gru);
RECURRENT_LAYER(co_layer_simple_rnn, "SimpleRNN",
                "A plain recurrent layer over a sequence and its lengths, if these differ.",
                simple_fields, build_simple);

extern const co_layer_class co_layer_bidirectional;
const co_layer_class co_layer_bidirectional = {
    .name = "Bidirectional",
    .doc = "A recurrent layer over a sequence and its lengths, forwards and backwards.",
    .fields = bidirectional_fields,
    .options_size = sizeof(bidirectional_options),
    .shorthand = "units",
    .inputs_min = 1,
    .inputs_max = 2,
    .build = build_bidirectional,
    .weights = both_weights};
