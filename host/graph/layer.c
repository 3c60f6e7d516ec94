// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

#include <string.h>

#include "host/config/config.h"
#include "host/core/rng.h"

#define CO_LAYER(symbol) extern const co_layer_class symbol;
#include "host/graph/layers/layers.def"
#undef CO_LAYER

static const co_layer_class *const all[] = {
#define CO_LAYER(symbol) &symbol,
#include "host/graph/layers/layers.def"
#undef CO_LAYER
    NULL};

const char *const co_activation_words[] = {"linear", "relu", "sigmoid",    "tanh", "gelu",
                                           "silu",   "elu",  "leaky_relu", NULL};

const char *const co_initializer_words[] = {
    "zeros",      "ones",      "glorot_uniform", "glorot_normal",
    "he_uniform", "he_normal", "lecun_uniform",  "lecun_normal",
    "orthogonal", "uniform",   "normal",         "fan_in_uniform",
    NULL};

co_init_kind co_initializer_kind(int word) {
  static const co_init_kind kinds[] = {
      CO_INIT_ZEROS,      CO_INIT_ONES,      CO_INIT_GLOROT_UNIFORM, CO_INIT_GLOROT_NORMAL,
      CO_INIT_HE_UNIFORM, CO_INIT_HE_NORMAL, CO_INIT_LECUN_UNIFORM,  CO_INIT_LECUN_NORMAL,
      CO_INIT_ORTHOGONAL, CO_INIT_UNIFORM,   CO_INIT_NORMAL,         CO_INIT_FAN_IN_UNIFORM};
  return kinds[word];
}

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
  const int least = class_->inputs_min, most = class_->inputs_max;
  const int bound = count < least ? least : most;
  if (count < least || count > most)
    return co_fail(CO_ERR_CONFIG, "%s takes %s%d input%s, not %d", class_->name,
                   least == most   ? ""
                   : bound == most ? "at most "
                                   : "at least ",
                   bound, bound == 1 ? "" : "s", count);
  return class_->build(graph, options, in, count, out);
}

// That the class lists the parameters which the layer declared, from `first` on: whoever reads weights
// by that list must find them.
static co_status check_weights(const co_graph *graph, const co_layer_class *class_, int64_t first) {
  static const char *const none[] = {NULL};
  const char *const *listed = class_->weights ? class_->weights : none;
  for (int64_t i = first; i < graph->declared_count; i++) {
    const co_param_info *param = &graph->params[graph->declared[i]];
    const char *name = param->name + strlen(param->layer) + (*param->layer != 0);
    while (*listed && strcmp(*listed, name) != 0)
      listed++;
    if (!*listed)
      return co_fail(CO_ERR_INTERNAL, "%s declares '%s', which its list of weights has not%s",
                     class_->name, name, i > first ? ", or not in this place" : "");
    listed++;
  }
  return CO_OK;
}

static co_status record(co_graph *graph, const co_layer_class *class_, const char *path,
                        const void *options, const co_value *in, int count, int64_t first,
                        co_value output) {
  CO_RETURN_IF_FAILED(check_weights(graph, class_, first));
  co_layer_info layer = {.name = path,
                         .class_ = class_,
                         .inputs = in,
                         .input_count = count,
                         .weights = graph->declared + first,
                         .weight_count = graph->declared_count - first,
                         .output = output};
  void *copy;
  CO_RETURN_IF_FAILED(
      co_fields_copy(&copy, graph->arena, class_->fields, options, class_->options_size));
  layer.options = copy;
  return co_graph_add_layer(graph, &layer);
}

co_status co_layer_apply(co_graph *graph, const co_layer_class *class_, const char *path,
                         const void *options, const co_value *in, int count, co_value *out) {
  const char *outer = graph->layer;
  graph->layer = co_arena_strdup(graph->arena, path);
  co_value *read = co_arena_alloc(graph->arena, (size_t)count + 1, sizeof *read);
  if (!graph->layer || !read) return CO_ERR_MEMORY;
  memcpy(read, in, (size_t)count * sizeof *read); // `out` may be where an input stands
  int64_t operations = graph->op_count, first = graph->declared_count;
  co_status status = build(graph, class_, options, read, count, out);
  if (status == CO_OK) status = record(graph, class_, path, options, read, count, first, *out);
  // co_graph_add_op names the layer itself; only checks before the first operation do not.
  else if (graph->op_count == operations && !strstr(co_error_last()->message, "layer '"))
    co_note("layer '%s'", path);
  graph->declared_count = first;
  graph->layer = outer;
  return status;
}

void co_layer_render_options(co_json *json, const co_layer_info *layer) {
  co_json_open(json, '{');
  co_fields_render(json, layer->class_->fields, layer->options);
  co_json_close(json);
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
  // With Keras' defaults; the layers ELU and LeakyReLU have options.
  static const struct {
    co_op op;
    co_op_attr attr;
  } operations[] = {
      {.op = CO_OP_RELU},
      {.op = CO_OP_SIGMOID},
      {.op = CO_OP_TANH},
      {CO_OP_ACTIVATION, {.function = CO_FUNCTION_GELU}},
      {CO_OP_ACTIVATION, {.function = CO_FUNCTION_SILU}},
      {CO_OP_ACTIVATION, {.function = CO_FUNCTION_ELU, .alpha = 1}},
      {CO_OP_ACTIVATION, {.function = CO_FUNCTION_LEAKY_RELU, .alpha = 0.2}},
  };
  *out = x;
  if (activation == 0) return CO_OK;
  return co_emit(graph, operations[activation - 1].op, &operations[activation - 1].attr, 1, &x,
                 out);
}

const co_shape *co_value_shape(const co_graph *graph, co_value value) {
  return &graph->values[value].desc.shape;
}

co_status co_purpose_of_call(const co_graph *graph, co_op op, const char *kind, uint32_t *out) {
  int calls = 0;
  for (int64_t i = 0; i < graph->op_count; i++) {
    const co_graph_op *emitted = &graph->ops[i];
    calls += emitted->op == op && emitted->layer && strcmp(emitted->layer, graph->layer) == 0;
  }
  char *path = calls ? co_arena_format(graph->arena, "%s#%d", graph->layer, calls)
                     : co_arena_strdup(graph->arena, graph->layer);
  if (!path) return CO_ERR_MEMORY;
  *out = co_purpose(kind, path);
  return CO_OK;
}

const co_graph_op *co_value_maker(const co_graph *graph, co_value value) {
  for (int64_t i = 0; i < graph->op_count; i++)
    if (graph->ops[i].out[0] == value) return &graph->ops[i];
  return NULL;
}

co_status co_greatest_length(const co_graph *graph, co_value x, int64_t *out) {
  const co_shape *shape = co_value_shape(graph, x);
  int table = shape->rank > 1 ? co_dim_event_table(shape->dim[1]) : -1;
  *out = table < 0 ? 0 : graph->max_length[table];
  if (table < 0 || *out) return CO_OK;
  return co_fail(CO_ERR_INTERNAL, "event table %d has no greatest length", table);
}

co_status co_refuse_sequences(const co_graph *graph, co_value value) {
  const co_shape *shape = co_value_shape(graph, value);
  char have[96];
  for (int i = 1; i < shape->rank; i++) { // (N T, …) are rows
    if (co_dim_event_table(shape->dim[i]) < 0) continue;
    co_shape_print(shape, have, sizeof have);
    return co_fail(CO_ERR_CONFIG,
                   "input has shape %s, sequences of events; put a recurrent layer before it",
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
