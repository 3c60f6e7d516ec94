// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

#include <string.h>

#define CO_LAYER(symbol) extern const co_layer_class symbol;
#include "host/graph/layers/layers.def"
#undef CO_LAYER

static const co_layer_class *const all[] = {
#define CO_LAYER(symbol) &symbol,
#include "host/graph/layers/layers.def"
#undef CO_LAYER
    NULL};

const char *const co_activation_words[] = {"linear", "relu", "sigmoid", "tanh", NULL};

const co_layer_class *co_layer_find(const char *name) {
  for (int i = 0; all[i]; i++)
    if (strcmp(all[i]->name, name) == 0) return all[i];
  return NULL;
}

const co_layer_class *const *co_layer_list(void) {
  return all;
}

static co_status build(co_graph *graph, const co_layer_class *class_, const void *options,
                       const co_value *in, int count, co_value *out) {
  if (count < class_->inputs_min || count > class_->inputs_max)
    return co_fail(CO_ERR_CONFIG, "%s takes %s%d input%s, not %d", class_->name,
                   class_->inputs_max > class_->inputs_min ? "at least " : "", class_->inputs_min,
                   class_->inputs_min == 1 ? "" : "s", count);
  return class_->build(graph, options, in, count, out);
}

co_status co_layer_apply(co_graph *graph, const co_layer_class *class_, const char *path,
                         const void *options, const co_value *in, int count, co_value *out) {
  const char *outer = graph->layer;
  graph->layer = co_arena_strdup(graph->arena, path);
  if (!graph->layer) return CO_ERR_MEMORY;
  int64_t operations = graph->op_count;
  co_status status = build(graph, class_, options, in, count, out);
  if (status == CO_OK) status = co_graph_add_layer(graph, path, class_->name, *out);
  // co_graph_add_op names the layer itself; only checks before the first operation do not.
  else if (graph->op_count == operations && !strstr(co_error_last()->message, "layer '"))
    co_note("layer '%s'", path);
  graph->layer = outer;
  return status;
}

co_status co_emit(co_graph *graph, co_op op, const co_op_attr *attr, int count, const co_value *in,
                  co_value *out) {
  co_value operands[CO_OP_MAX_OPERANDS], results[CO_OP_MAX_OPERANDS];
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    operands[i] = i < count ? in[i] : CO_NO_VALUE;
    results[i] = CO_NO_VALUE;
  }
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, op, attr, operands, results));
  *out = results[0];
  return CO_OK;
}

co_status co_emit_activation(co_graph *graph, int activation, co_value x, co_value *out) {
  static const co_op operations[] = {CO_OP_RELU, CO_OP_SIGMOID, CO_OP_TANH};
  *out = x;
  if (activation == 0) return CO_OK;
  return co_emit(graph, operations[activation - 1], NULL, 1, &x, out);
}

const co_shape *co_value_shape(const co_graph *graph, co_value value) {
  return &graph->values[value].desc.shape;
}

co_status co_refuse_sequences(const co_graph *graph, co_value value) {
  const co_shape *shape = co_value_shape(graph, value);
  char have[96];
  for (int i = 0; i < shape->rank; i++) {
    if (co_dim_event_table(shape->dim[i]) < 0) continue;
    co_shape_print(shape, have, sizeof have);
    return co_fail(CO_ERR_CONFIG, "input has shape %s, sequences of events; put an LSTM before it",
                   have);
  }
  return CO_OK;
}

co_status co_require_rank(const co_graph *graph, co_value value, int rank) {
  const co_shape *shape = co_value_shape(graph, value);
  CO_RETURN_IF_FAILED(co_refuse_sequences(graph, value));
  if (shape->rank == rank) return CO_OK;
  char have[96];
  co_shape_print(shape, have, sizeof have);
  return co_fail(CO_ERR_CONFIG, "input has shape %s, but %d dimensions are needed%s", have, rank,
                 rank == 2 && shape->rank > 2 ? "; put a Flatten before it" : "");
}
