// SPDX-License-Identifier: Apache-2.0
// LSTM, GRU, SimpleRNN, and Bidirectional over one of them, over sequences of a fixed length.
#include <string.h>

#include "host/persist/keras/keras_private.h"

typedef struct cell {
  const char *class_;
  int64_t gates;
  int64_t units;
  bool sequences, backwards, use_bias;
  bool apart; // the arrays of its gates stand each by itself, as Keras 1 keeps them
  const char *activation,
      *recurrent; // words of Cohort's layers; `recurrent` NULL = it has no gates
} cell;

// One of the functions that cells have here, `own` by default.
static co_status read_function(keras_layer *layer, const char *key, const char *also,
                               const char *own, const char *fallback, const char **out) {
  const char *text;
  CO_RETURN_IF_FAILED(keras_text(layer, key, also, &text));
  if (!text) text = fallback;
  const bool hard = layer->file->major < 3 && strcmp(text, "hard_sigmoid") == 0;
  *out = strcmp(text, own) == 0 ? own : hard ? "hard_sigmoid" : "relu";
  if (hard || strcmp(text, own) == 0 || strcmp(text, "relu") == 0) return CO_OK;
  return keras_refuse(layer, "there is no %s '%.60s'", key, text);
}

// Dropout within a layer is of training alone.
static co_status leave_out_dropout(keras_network *net, keras_layer *layer) {
  static const char *const keys[] = {"dropout", "recurrent_dropout", "dropout_W", "dropout_U"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    double rate;
    CO_RETURN_IF_FAILED(keras_double(layer, keys[i], NULL, 0, &rate));
    if (rate != 0) {
      const char *what = co_arena_format(net->arena, "%s %g", keys[i], rate);
      if (!what) return CO_ERR_MEMORY;
      CO_RETURN_IF_FAILED(keras_leave_out(net, layer, what));
    }
  }
  return CO_OK;
}

static co_status read_cell(keras_network *net, keras_layer *layer, cell *c) {
  c->class_ = layer->class_;
  c->gates = strcmp(c->class_, "LSTM") == 0 ? 4 : strcmp(c->class_, "GRU") == 0 ? 3 : 1;
  CO_RETURN_IF_FAILED(keras_int(layer, "units", "output_dim", 0, &c->units));
  CO_RETURN_IF_FAILED(keras_bool(layer, "return_sequences", NULL, false, &c->sequences));
  CO_RETURN_IF_FAILED(keras_bool(layer, "go_backwards", NULL, false, &c->backwards));
  CO_RETURN_IF_FAILED(keras_bool(layer, "use_bias", NULL, true, &c->use_bias));
  CO_RETURN_IF_FAILED(read_function(layer, "activation", NULL, "tanh", "tanh", &c->activation));
  if (c->gates > 1)
    CO_RETURN_IF_FAILED(read_function(layer, "recurrent_activation", "inner_activation", "sigmoid",
                                      layer->file->major < 3 ? "hard_sigmoid" : "sigmoid",
                                      &c->recurrent));
  if (c->gates == 3) {
    bool after;
    CO_RETURN_IF_FAILED(keras_bool(layer, "reset_after", NULL, layer->file->major == 3, &after));
    if (!after) return keras_refuse(layer, "there is no GRU but with reset_after: true");
  }
  if (layer->file->major == 1 && c->gates == 4) {
    const char *how;
    CO_RETURN_IF_FAILED(keras_text(layer, "consume_less", NULL, &how));
    c->apart = !how || strcmp(how, "gpu") != 0;
  }
  CO_RETURN_IF_FAILED(leave_out_dropout(net, layer));
  return keras_rest(layer);
}

// Keras 1 has each gate's arrays by themselves, kernel, recurrent kernel and bias, in the order i c f o.
static co_status take_gates(keras_network *net, keras_layer *layer, const cell *c, int64_t features,
                            const char *const *names) {
  static const int places[] = {0, 2, 1, 3};
  const int64_t U = c->units, rows[] = {features, U, 1};
  float *from[4][3], *to[3];
  for (int gate = 0; gate < 4; gate++)
    for (int k = 0; k < 3; k++) {
      const co_shape shape = k < 2 ? co_shape_make(2, rows[k], U) : co_shape_make(1, U);
      CO_RETURN_IF_FAILED(keras_take(layer, names[k], &shape, &from[gate][k]));
    }
  if (layer->call) return CO_OK; // the first call's are the weights
  for (int k = 0; k < 3; k++) {  // sizes that the file bears out
    to[k] = co_arena_alloc(net->arena, (size_t)(rows[k] * 4 * U), sizeof **to);
    if (!to[k]) return CO_ERR_MEMORY;
    for (int64_t row = 0; row < rows[k]; row++)
      for (int gate = 0; gate < 4; gate++)
        memcpy(to[k] + (row * 4 + places[gate]) * U, from[gate][k] + row * U,
               (size_t)U * sizeof **to);
  }
  for (int k = 0; k < 3; k++) {
    const co_shape shape = k < 2 ? co_shape_make(2, rows[k], 4 * U) : co_shape_make(1, 4 * U);
    CO_RETURN_IF_FAILED(keras_add_weight(net, layer, names[k], &shape, to[k]));
  }
  return CO_OK;
}

// Kernel, recurrent kernel, bias of one way.
static co_status take_way(keras_network *net, keras_layer *layer, const cell *c, int64_t features,
                          const char *const *names) {
  const int64_t width = c->gates * c->units;
  if (c->apart) return take_gates(net, layer, c, features, names);
  const co_shape bias =
      c->gates == 3 ? co_shape_make(2, (int64_t)2, width) : co_shape_make(1, width);
  const co_shape shapes[] = {co_shape_make(2, features, width), co_shape_make(2, c->units, width),
                             bias};
  for (int k = 0; k < 3; k++) {
    float *values = NULL;
    if (k == 2 && !c->use_bias)
      values = co_arena_alloc(net->arena, (size_t)co_shape_count(&bias), sizeof *values);
    else
      CO_RETURN_IF_FAILED(keras_take(layer, names[k], &shapes[k], &values));
    if (!values) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(keras_add_weight(net, layer, names[k], &shapes[k], values));
  }
  if (c->use_bias) return CO_OK;
  return keras_leave_out(net, layer, "a bias that it has not is 0, and trained here");
}

static const char *cell_options(const keras_network *net, const cell *c, const char *more) {
  return co_arena_format(
      net->arena, "\"units\": %lld, \"return_sequences\": %s, \"activation\": \"%s\"%s%s%s%s",
      (long long)c->units, c->sequences ? "true" : "false", c->activation,
      c->recurrent ? ", \"recurrent_activation\": \"" : "", c->recurrent ? c->recurrent : "",
      c->recurrent ? "\"" : "", more);
}

static void set_result(keras_network *net, int64_t value, int64_t events, const cell *c,
                       int64_t ways) {
  const int64_t width = ways * c->units;
  keras_set_shape(net, value,
                  c->sequences ? co_shape_make(2, events, width) : co_shape_make(1, width));
  net->values[value].row = false;
}

static co_status one_way(keras_network *net, keras_layer *layer, const keras_call *call,
                         int64_t *out) {
  static const char *const names[] = {"kernel", "recurrent_kernel", "bias"};
  cell c = {0};
  int64_t in = call->in[0];
  CO_RETURN_IF_FAILED(read_cell(net, layer, &c));
  CO_RETURN_IF_FAILED(keras_need_rank(net, layer, in, 2));
  CO_RETURN_IF_FAILED(keras_as_is(net, layer, in, &in));
  const co_shape x = *keras_shape(net, in);
  const char *options = cell_options(net, &c, c.backwards ? ", \"go_backwards\": true" : "");
  if (!options) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", layer->class_, options, &in, 1, out));
  CO_RETURN_IF_FAILED(take_way(net, layer, &c, x.dim[1], names));
  set_result(net, *out, x.dim[0], &c, 1);
  if (!c.backwards || !c.sequences) return CO_OK;
  // Keras leaves states in the order in which they came.
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "_reversed", "Reverse", NULL, out, 1, out));
  set_result(net, *out, x.dim[0], &c, 1);
  return CO_OK;
}

// The layer that is wrapped, which has the weights of the wrapper's one after the other.
static co_status read_inner(keras_network *net, keras_layer *layer, const char *key,
                            keras_layer *inner, cell *c) {
  const co_node *node = keras_option(layer, key, NULL);
  if (!node || node->kind != CO_NODE_MAP) return keras_refuse(layer, "it wraps no layer");
  CO_RETURN_IF_FAILED(keras_layer_init(inner, layer->file, node));
  if (strcmp(inner->class_, "LSTM") != 0 && strcmp(inner->class_, "GRU") != 0 &&
      strcmp(inner->class_, "SimpleRNN") != 0)
    return keras_refuse(layer, "there is none around a %.60s", inner->class_);
  return read_cell(net, inner, c);
}

static bool is_same_but_for_the_way(const cell *a, const cell *b) {
  return strcmp(a->class_, b->class_) == 0 && a->units == b->units &&
         a->sequences == b->sequences && a->use_bias == b->use_bias &&
         a->activation == b->activation && a->recurrent == b->recurrent;
}

static co_status bidirectional(keras_network *net, keras_layer *layer, const keras_call *call,
                               int64_t *out) {
  static const char *const names[] = {
      "forward_kernel",  "forward_recurrent_kernel",  "forward_bias",
      "backward_kernel", "backward_recurrent_kernel", "backward_bias"};
  static const char *const merges[] = {"concat", "sum", NULL};
  keras_layer inner, other;
  cell c = {0}, back = {0};
  int merge;
  int64_t in = call->in[0];
  CO_RETURN_IF_FAILED(keras_word(layer, "merge_mode", NULL, merges, 0, &merge));
  CO_RETURN_IF_FAILED(read_inner(net, layer, "layer", &inner, &c));
  if (c.backwards) return keras_refuse(layer, "the layer that it wraps goes backwards");
  if (keras_option(layer, "backward_layer", NULL)) {
    CO_RETURN_IF_FAILED(read_inner(net, layer, "backward_layer", &other, &back));
    if (!back.backwards || !is_same_but_for_the_way(&c, &back))
      return keras_refuse(layer, "its backward_layer is another layer than its layer");
  }
  CO_RETURN_IF_FAILED(keras_rest(layer));
  CO_RETURN_IF_FAILED(keras_need_rank(net, layer, in, 2));
  CO_RETURN_IF_FAILED(keras_as_is(net, layer, in, &in));
  const co_shape x = *keras_shape(net, in);
  const char *more = co_arena_format(net->arena, ", \"layer\": \"%s\", \"merge_mode\": \"%s\"",
                                     inner.class_, merges[merge]);
  const char *options = more ? cell_options(net, &c, more) : NULL;
  if (!options) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(keras_emit(net, layer, "", "Bidirectional", options, &in, 1, out));
  for (int way = 0; way < 2; way++)
    CO_RETURN_IF_FAILED(take_way(net, layer, &c, x.dim[1], names + 3 * way));
  set_result(net, *out, x.dim[0], &c, merge == 0 ? 2 : 1);
  return CO_OK;
}

const keras_mapping keras_recurrent_mappings[] = {{"LSTM", one_way},
                                                  {"GRU", one_way},
                                                  {"SimpleRNN", one_way},
                                                  {"Bidirectional", bidirectional},
                                                  {NULL, NULL}};
