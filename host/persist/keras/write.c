// SPDX-License-Identifier: Apache-2.0
#include "host/persist/keras/write.h"

#include <stdlib.h>
#include <string.h>

#include "host/config/config.h"
#include "host/graph/layer.h"

typedef struct node { // a call of a layer of Keras
  const char *name, *class_;
  int64_t first, call; // the layer's first call, itself where it is that; how many came before
  const co_layer_info *layer; // NULL of inputs and of what is made of the outputs
  const char *options;        // JSON without braces
  const int64_t *in;          // nodes
  int64_t in_count, depth, visit;
  co_value value;
} node;

typedef struct writer {
  co_arena *arena;
  const co_graph *graph;
  node *nodes;
  int64_t count, visits;
  int64_t *outputs;
  int64_t output_count;
  const char *why_not;
} writer;

static co_status give_up(writer *w, const char *what, const char *name) {
  w->why_not = co_arena_format(w->arena, "%s: %s", name, what);
  return w->why_not ? CO_OK : CO_ERR_MEMORY;
}

// Names of Keras' layers have no '/', and in PyTorch no '.'; each is one node's.
static const char *plain_name(const writer *w, const char *name) {
  char *plain = co_arena_strdup(w->arena, name);
  for (char *at = plain; at && *at; at++)
    if (*at == '/' || *at == '#' || *at == '.') *at = '_';
  char *found = plain;
  for (int64_t i = 0, tries = 1; found && i < w->count; i++) {
    if (strcmp(w->nodes[i].name, found) != 0) continue;
    found = co_arena_format(w->arena, "%s_%lld", plain, (long long)tries++);
    i = -1;
  }
  return found;
}

// ---- layers ------------------------------------------------------------------------------------

// Options that mean the same there; of the layers that are not here Keras has no equal.
static const struct {
  const char *class_, *keras, *options;
} known[] = {
    {"Activation", "Activation", " activation "},
    {"Add", "Add", ""},
    {"AveragePooling2D", "AveragePooling2D", " pool_size strides padding "},
    {"BatchNormalization", "BatchNormalization", " momentum epsilon "},
    {"Bidirectional", "Bidirectional",
     " layer units return_sequences activation recurrent_activation merge_mode "},
    {"Concatenate", "Concatenate", " axis "},
    {"Conv2D", "Conv2D",
     " filters kernel_size strides dilation_rate groups padding activation use_bias "},
    {"Conv2DTranspose", "Conv2DTranspose",
     " filters kernel_size strides dilation_rate padding activation use_bias "},
    {"Cropping2D", "Cropping2D", " cropping "},
    {"Dense", "Dense", " units activation use_bias "},
    // Of which Keras has the kernel in another shape.
    {"DepthwiseConv2D", "Conv2D",
     " kernel_size strides dilation_rate padding activation use_bias "},
    {"Dot", "Dot", " axes normalize "},
    {"Dropout", "Dropout", " rate "},
    {"ELU", "ELU", " alpha "},
    {"Embedding", "Embedding", " input_dim output_dim "},
    {"Flatten", "Flatten", ""},
    {"GlobalAveragePooling2D", "GlobalAveragePooling2D", ""},
    {"GroupNormalization", "GroupNormalization", " groups epsilon "},
    {"GRU", "GRU", " units return_sequences go_backwards activation recurrent_activation "},
    {"LayerNormalization", "LayerNormalization", " epsilon "},
    {"LeakyReLU", "LeakyReLU", " negative_slope "},
    {"LSTM", "LSTM", " units return_sequences go_backwards activation recurrent_activation "},
    {"MaxPooling2D", "MaxPooling2D", " pool_size strides padding "},
    {"Multiply", "Multiply", ""},
    {"ReLU", "ReLU", ""},
    {"Rescaling", "Rescaling", " scale offset "},
    {"Reshape", "Reshape", " target_shape "},
    {"RMSNormalization", "RMSNormalization", " epsilon "},
    {"SimpleRNN", "SimpleRNN", " units return_sequences go_backwards activation "},
    {"SpatialDropout1D", "SpatialDropout1D", " rate "},
    {"SpatialDropout2D", "SpatialDropout2D", " rate "},
    {"StochasticDepth", "Dropout", " rate "}, // with the noise's shape of a row
    {"UpSampling2D", "UpSampling2D", " size "},
    {"ZeroPadding2D", "ZeroPadding2D", " padding "},
};

static bool is_listed(const char *options, const char *key) {
  const char *at = strstr(options, key);
  const size_t length = strlen(key);
  return at && at > options && at[-1] == ' ' && at[length] == ' ';
}

static bool is_of_training(const char *key) {
  return co_text_ends_in(key, "_initializer") || strcmp(key, "zero_first") == 0 ||
         strcmp(key, "update") == 0 || strcmp(key, "unknown_rate") == 0;
}

// `strides: 0` of pooling is what Keras calls null.
static bool is_zero(const co_node *given) {
  int64_t value;
  while (given->kind == CO_NODE_LIST && given->count)
    given = given->items[0];
  return co_node_int(given, &value) && value == 0;
}

// That it is read once, and turned around there.
static bool is_reversed(const writer *w, co_value value) {
  const co_graph *g = w->graph;
  int64_t readers = 0;
  bool reversed = false;
  for (int64_t k = 0; k < g->op_count; k++)
    for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
      if (g->ops[k].in[i] == value) {
        readers++;
        reversed = g->ops[k].op == CO_OP_REVERSE_EVENTS;
      }
  return readers == 1 && reversed;
}

// Words that mean something else there, or nothing. Keras leaves states in the order in which they came: a
// layer and the Reverse behind it, which alone reads it, are one there.
static bool is_unknown(const writer *w, const co_layer_info *layer, const co_node *options,
                       const char *key, const char *text) {
  bool sequences;
  const co_node *all = co_node_get(options, "return_sequences");
  if (strcmp(key, "go_backwards") == 0 && strcmp(text, "true") == 0 && all &&
      co_node_bool(all, &sequences) && sequences)
    return !is_reversed(w, layer->output);
  return strcmp(text, "symmetric") == 0 || strcmp(text, "hard_sigmoid") == 0;
}

static co_status check_options(writer *w, const co_layer_info *layer, const char *listed,
                               const co_node *options) {
  for (int64_t i = 0; options->kind == CO_NODE_MAP && i < options->count && !w->why_not; i++) {
    const char *key = options->keys[i];
    const co_node *value = options->items[i];
    const char *text = value->kind == CO_NODE_SCALAR ? value->text : "";
    if (is_of_training(key) || value->kind == CO_NODE_NULL || strcmp(key, "depth_multiplier") == 0)
      continue;
    if (!is_listed(listed, key) || is_unknown(w, layer, options, key, text))
      CO_RETURN_IF_FAILED(
          give_up(w, co_arena_format(w->arena, "Keras has no %s: %s", key, text), layer->name));
  }
  return CO_OK;
}

static void render_listed(const co_node *options, const char *listed, co_json *json) {
  for (int64_t i = 0; options->kind == CO_NODE_MAP && i < options->count; i++) {
    const char *key = options->keys[i];
    const co_node *value = options->items[i];
    if (value->kind == CO_NODE_NULL || !is_listed(listed, key)) continue;
    if (strcmp(key, "strides") == 0 && is_zero(value)) continue;
    co_json_key(json, key);
    co_node_render(json, value);
  }
}

// There it wraps a layer, which has the options of what goes each way.
static void render_wrapped(const co_node *options, co_json *json) {
  const char *class_ = co_node_get(options, "layer")->text;
  co_json_key(json, "layer");
  co_json_open(json, '{');
  co_json_key(json, "module");
  co_json_string(json, "keras.layers");
  co_json_key(json, "class_name");
  co_json_string(json, class_);
  co_json_key(json, "config");
  co_json_open(json, '{');
  render_listed(options,
                strcmp(class_, "SimpleRNN") == 0
                    ? " units return_sequences activation "
                    : " units return_sequences activation recurrent_activation ",
                json);
  co_json_close(json);
  co_json_key(json, "registered_name");
  co_json_null(json);
  co_json_close(json);
}

static co_status render_options(writer *w, const co_layer_info *layer, const char *listed,
                                const co_node *options, co_json *json) {
  const bool wraps = strcmp(layer->class_->name, "Bidirectional") == 0;
  CO_RETURN_IF_FAILED(check_options(w, layer, listed, options));
  if (w->why_not) return CO_OK;
  co_json_open(json, '{');
  render_listed(options, wraps ? " merge_mode " : listed, json);
  if (wraps) render_wrapped(options, json);
  if (strcmp(layer->class_->name, "StochasticDepth") == 0) {
    co_json_key(json, "noise_shape");
    co_json_open(json, '[');
    co_json_null(json);
    for (int i = 1; i < w->graph->values[layer->output].desc.shape.rank; i++)
      co_json_int(json, 1);
    co_json_close(json);
  }
  if (strcmp(layer->class_->name, "DepthwiseConv2D") == 0) {
    const co_value_info *values = w->graph->values;
    const co_shape *x = &values[layer->inputs[0]].desc.shape,
                   *y = &values[layer->output].desc.shape;
    co_json_key(json, "filters");
    co_json_int(json, y->dim[3]);
    co_json_key(json, "groups");
    co_json_int(json, x->dim[3]);
  }
  co_json_close(json);
  return json->text.status;
}

static co_status read_options(writer *w, const co_layer_info *layer, const co_node **out) {
  co_json json;
  co_diagnostics problems;
  co_node *tree = NULL;
  co_json_init(&json, co_arena_context(w->arena), 0);
  co_diagnostics_init(&problems, co_arena_context(w->arena));
  co_layer_render_options(&json, layer);
  co_status status = json.text.status;
  if (status == CO_OK)
    status =
        co_yaml_parse(&tree, w->arena, layer->name, json.text.data, json.text.length, &problems);
  *out = tree;
  co_diagnostics_free(&problems);
  co_json_free(&json);
  return status;
}

static co_status name_options(writer *w, node *n, const char *listed) {
  const co_node *options;
  co_json json;
  CO_RETURN_IF_FAILED(read_options(w, n->layer, &options));
  co_json_init(&json, co_arena_context(w->arena), 0);
  co_status status = render_options(w, n->layer, listed, options, &json);
  if (status == CO_OK && !w->why_not) {
    char *text = co_arena_strdup(w->arena, json.text.data);
    if (text) text[strlen(text) - 1] = '\0';
    n->options = text ? text + 1 : NULL;
    if (!text) status = CO_ERR_MEMORY;
  }
  co_json_free(&json);
  return status;
}

// ---- nodes -------------------------------------------------------------------------------------

static co_status add_node(writer *w, const node *made) {
  w->nodes[w->count] = *made;
  if (!made->call) w->nodes[w->count].first = w->count;
  w->nodes[w->count++].visit = -1;
  return made->name ? CO_OK : CO_ERR_MEMORY;
}

// The node that gives a value: the last one so far; an input becomes one. -1: nothing that Keras has.
static co_status find_node(writer *w, co_value value, int64_t *out) {
  const co_value_info *info = &w->graph->values[value];
  *out = -1;
  for (int64_t i = w->count; i-- > 0 && *out < 0;)
    if (w->nodes[i].value == value) *out = i;
  if (*out >= 0 || info->storage != CO_STORAGE_INPUT) return CO_OK;
  *out = w->count;
  const node input = {.name = plain_name(w, info->name), .class_ = "InputLayer", .value = value};
  return add_node(w, &input);
}

static bool is_open(const co_shape *shape) {
  for (int i = 1; i < shape->rank; i++)
    if (shape->dim[i] < 1) return true;
  return shape->rank < 2 || shape->dim[0] != CO_DIM_N;
}

// Part of the recurrent layer before it, where that goes backwards through events of a fixed number.
static co_status add_reverse(writer *w, const co_layer_info *layer) {
  int64_t from;
  CO_RETURN_IF_FAILED(find_node(w, layer->inputs[0], &from));
  const char *options = from >= 0 ? w->nodes[from].options : NULL;
  if (!options || !strstr(options, "\"go_backwards\":true") || layer->input_count > 1 ||
      w->nodes[from].layer->output != layer->inputs[0]) // its own is behind it already
    return give_up(w, "Keras has no such layer", layer->class_->name);
  w->nodes[from].value = layer->output;
  return CO_OK;
}

static co_status add_layer(writer *w, const co_layer_info *layer) {
  const char *name = layer->class_->name, *listed = NULL;
  if (strcmp(name, "Reverse") == 0) return add_reverse(w, layer);
  node made = {.layer = layer, .value = layer->output, .in_count = layer->input_count};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i].class_, name) == 0) {
      made.class_ = known[i].keras;
      listed = known[i].options;
    }
  if (!listed) return give_up(w, "Keras has no such layer", name);
  if (is_open(&w->graph->values[layer->output].desc.shape))
    return give_up(w, "events are not written for Keras", layer->name);
  int64_t *in = co_arena_alloc(w->arena, (size_t)layer->input_count, sizeof *in);
  if (!in) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < layer->input_count; i++) {
    CO_RETURN_IF_FAILED(find_node(w, layer->inputs[i], &in[i]));
    if (in[i] < 0) return give_up(w, "it reads what is no layer's", layer->name);
  }
  made.in = in;
  for (int64_t i = 0; layer->weights_of >= 0 && i < w->count; i++)
    if (w->nodes[i].layer && strcmp(w->nodes[i].layer->name, layer->name) == 0) {
      if (!made.call++) made.first = i;
      made.name = w->nodes[made.first].name;
    }
  if (!made.name) made.name = plain_name(w, layer->id);
  CO_RETURN_IF_FAILED(name_options(w, &made, listed));
  return w->why_not ? CO_OK : add_node(w, &made);
}

// Of an output that is normalised, the way back (models/heads.c): in every place by the same numbers.
static co_status add_rescaling(writer *w, const co_loss_info *loss) {
  const co_graph *g = w->graph;
  const co_graph_op *op = NULL;
  for (int64_t k = 0; loss->scale && k < g->op_count; k++)
    if (g->ops[k].out[0] == loss->prediction) op = &g->ops[k];
  int64_t *in = co_arena_alloc(w->arena, 1, sizeof *in);
  if (!in) return CO_ERR_MEMORY;
  if (!op || op->op != CO_OP_BATCH_NORM_INFERENCE) return CO_OK;
  CO_RETURN_IF_FAILED(find_node(w, op->in[0], in));
  if (*in < 0) return CO_OK;
  const float *const values[2] = {
      g->constants[g->values[op->in[CO_BATCH_NORM_INFERENCE_gamma]].index].bytes,
      g->constants[g->values[op->in[CO_BATCH_NORM_INFERENCE_beta]].index].bytes};
  const node made = {.name = plain_name(w, loss->name),
                     .class_ = "Rescaling",
                     .options = co_arena_format(w->arena, "\"scale\": %.9g, \"offset\": %.9g",
                                                (double)*values[0], (double)*values[1]),
                     .in = in,
                     .in_count = 1,
                     .value = loss->prediction};
  return made.options ? add_node(w, &made) : CO_ERR_MEMORY;
}

// What is shown of a loss's prediction: itself, or its sigmoid or softmax.
static co_status add_output(writer *w, const co_loss_info *loss) {
  const co_graph *g = w->graph;
  int64_t from;
  CO_RETURN_IF_FAILED(add_rescaling(w, loss));
  CO_RETURN_IF_FAILED(find_node(w, loss->prediction, &from));
  if (from < 0) return give_up(w, "what it predicts is no layer's", loss->name);
  for (int64_t i = 0; i < g->output_count; i++) {
    if (g->outputs[i].value == loss->prediction) {
      w->outputs[w->output_count++] = from;
      return CO_OK;
    }
    for (int64_t k = 0; k < g->op_count; k++) {
      const co_graph_op *op = &g->ops[k];
      if (op->out[0] != g->outputs[i].value || op->in[0] != loss->prediction) continue;
      if (op->op != CO_OP_SIGMOID && op->op != CO_OP_SOFTMAX) continue;
      int64_t *in = co_arena_alloc(w->arena, 1, sizeof *in);
      if (!in) return CO_ERR_MEMORY;
      *in = from;
      const node made = {.name = plain_name(w, loss->name),
                         .class_ = "Activation",
                         .options = op->op == CO_OP_SIGMOID ? "\"activation\": \"sigmoid\""
                                                            : "\"activation\": \"softmax\"",
                         .in = in,
                         .in_count = 1,
                         .value = op->out[0]};
      w->outputs[w->output_count++] = w->count;
      return add_node(w, &made);
    }
  }
  return give_up(w, "what it predicts is no layer's", loss->name);
}

// ---- order -------------------------------------------------------------------------------------

// Keras' order of layers: by the longest way to an output, longest first; where that is equal, by the first
// visit on a walk from the outputs.
static void deepen(writer *w) {
  for (int64_t i = w->count; i-- > 0;)
    for (int64_t k = 0; k < w->nodes[i].in_count; k++) {
      node *from = &w->nodes[w->nodes[i].in[k]];
      if (w->nodes[i].depth + 1 > from->depth) from->depth = w->nodes[i].depth + 1;
    }
}

// Each is behind what it reads, so that a stack of so many suffices.
static co_status walk(writer *w) {
  int64_t edges = w->output_count, top = 0;
  for (int64_t i = 0; i < w->count; i++)
    edges += w->nodes[i].in_count;
  int64_t *stack = co_arena_alloc(w->arena, (size_t)edges + 1, sizeof *stack);
  if (!stack) return CO_ERR_MEMORY;
  for (int64_t i = w->output_count; i-- > 0;)
    stack[top++] = w->outputs[i];
  while (top > 0) {
    node *n = &w->nodes[stack[--top]];
    if (n->visit >= 0) continue;
    n->visit = w->visits++;
    for (int64_t k = n->in_count; k-- > 0;)
      stack[top++] = n->in[k];
  }
  return CO_OK;
}

static int compare(const void *a, const void *b) {
  const node *x = *(node *const *)a, *y = *(node *const *)b;
  if (x->depth != y->depth) return x->depth > y->depth ? -1 : 1;
  return (x->visit > y->visit) - (x->visit < y->visit);
}

// Those with weights. What leads nowhere Keras would not have.
static co_status list_weighted(writer *w, co_keras_config *out) {
  const node **order = co_arena_alloc(w->arena, (size_t)w->count + 1, sizeof *order);
  out->weighted = co_arena_alloc(w->arena, (size_t)w->count + 1, sizeof *out->weighted);
  int64_t count = 0;
  if (!order || !out->weighted) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < w->count; i++) {
    const node *n = &w->nodes[i];
    node *first = &w->nodes[n->first];
    if (n->layer && n->visit < 0) return give_up(w, "no output depends on it", n->layer->name);
    // A layer is as deep as its deepest call.
    if (n->depth > first->depth) first->depth = n->depth;
    if (n->visit < first->visit) first->visit = n->visit;
    if (n->layer && n->layer->weight_count && n == first) order[count++] = n;
  }
  qsort(order, (size_t)count, sizeof *order, compare);
  for (int64_t i = 0; i < count; i++)
    out->weighted[i] = order[i]->layer->name;
  out->weighted_count = count;
  return CO_OK;
}

// ---- the config --------------------------------------------------------------------------------

static void render_tensor(co_json *json, const node *n, bool arguments) {
  co_json_open(json, '[');
  co_json_string(json, n->name);
  co_json_int(json, n->call);
  co_json_int(json, 0);
  if (arguments) co_json_raw(json, "{}");
  co_json_close(json);
}

static void render_input(const writer *w, co_json *json, const node *n) {
  const co_tensor_desc *desc = &w->graph->values[n->value].desc;
  co_json_key(json, "batch_input_shape");
  co_json_open(json, '[');
  co_json_null(json);
  for (int i = 1; i < desc->shape.rank; i++)
    co_json_int(json, desc->shape.dim[i]);
  co_json_close(json);
  co_json_key(json, "dtype");
  co_json_string(json, desc->dtype == CO_I32 ? "int32" : "float32");
}

static bool is_frozen(const writer *w, const node *n) {
  return n->layer && n->layer->weight_count && !w->graph->params[n->layer->weights[0]].trainable;
}

static co_status render_config(const writer *w, co_json *json, const node *n) {
  co_json name;
  if (!n->in_count) {
    co_json_open(json, '{');
    co_json_key(json, "name");
    co_json_string(json, n->name);
    render_input(w, json, n);
    co_json_close(json);
    return json->text.status;
  }
  co_json_init(&name, co_arena_context(w->arena), 0);
  co_json_string(&name, n->name);
  const char *text =
      name.text.status != CO_OK
          ? NULL
          : co_arena_format(w->arena, "{\"name\":%s%s%s%s}", name.text.data,
                            is_frozen(w, n) ? ",\"trainable\":false" : "",
                            n->options && *n->options ? "," : "", n->options ? n->options : "");
  co_json_free(&name);
  if (!text) return CO_ERR_MEMORY;
  co_json_raw(json, text);
  return json->text.status;
}

static co_status render_node(const writer *w, co_json *json, const node *n) {
  co_json_open(json, '{');
  co_json_key(json, "class_name");
  co_json_string(json, n->class_);
  co_json_key(json, "name");
  co_json_string(json, n->name);
  co_json_key(json, "config");
  CO_RETURN_IF_FAILED(render_config(w, json, n));
  co_json_key(json, "inbound_nodes");
  co_json_open(json, '[');
  for (int64_t i = n->first; n->in_count && i < w->count; i++) {
    const node *call = &w->nodes[i];
    if (call->first != n->first || call->visit < 0) continue;
    co_json_open(json, '[');
    for (int64_t k = 0; k < call->in_count; k++)
      render_tensor(json, &w->nodes[call->in[k]], true);
    co_json_close(json);
  }
  co_json_close(json);
  co_json_close(json);
  return json->text.status;
}

static co_status render(const writer *w, co_json *json) {
  co_json_open(json, '{');
  co_json_key(json, "class_name");
  co_json_string(json, "Functional");
  co_json_key(json, "config");
  co_json_open(json, '{');
  co_json_key(json, "name");
  co_json_string(json, "cohort");
  co_json_key(json, "trainable");
  co_json_bool(json, true);
  co_json_key(json, "layers");
  co_json_open(json, '[');
  for (int64_t i = 0; i < w->count; i++)
    if (w->nodes[i].visit >= 0 && !w->nodes[i].call)
      CO_RETURN_IF_FAILED(render_node(w, json, &w->nodes[i]));
  co_json_close(json);
  co_json_key(json, "input_layers");
  co_json_open(json, '[');
  for (int64_t i = 0; i < w->count; i++)
    if (w->nodes[i].visit >= 0 && !w->nodes[i].in_count) render_tensor(json, &w->nodes[i], false);
  co_json_close(json);
  co_json_key(json, "output_layers");
  co_json_open(json, '[');
  for (int64_t i = 0; i < w->output_count; i++)
    render_tensor(json, &w->nodes[w->outputs[i]], false);
  co_json_close(json);
  co_json_close(json);
  co_json_close(json);
  return json->text.status;
}

static co_status make_nodes(writer *w) {
  const co_graph *g = w->graph;
  const size_t most = (size_t)(g->layer_count + g->input_count + g->loss_count) + 1;
  w->nodes = co_arena_alloc(w->arena, most, sizeof *w->nodes);
  w->outputs = co_arena_alloc(w->arena, (size_t)g->loss_count + 1, sizeof *w->outputs);
  if (!w->nodes || !w->outputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < g->layer_count && !w->why_not; i++)
    CO_RETURN_IF_FAILED(add_layer(w, &g->layers[i]));
  for (int64_t i = 0; i < g->loss_count && !w->why_not; i++)
    CO_RETURN_IF_FAILED(add_output(w, &g->losses[i]));
  return CO_OK;
}

co_status co_keras_describe(co_keras_config *out, co_arena *arena, const co_graph *network) {
  writer w = {.arena = arena, .graph = network};
  co_json json;
  *out = (co_keras_config){.json = NULL};
  CO_RETURN_IF_FAILED(make_nodes(&w));
  if (!w.why_not && !network->layer_count) w.why_not = "it is no network";
  if (!w.why_not) {
    deepen(&w);
    CO_RETURN_IF_FAILED(walk(&w));
    CO_RETURN_IF_FAILED(list_weighted(&w, out));
  }
  out->why_not = w.why_not;
  if (w.why_not) return CO_OK;
  co_json_init(&json, co_arena_context(arena), 0);
  co_status status = render(&w, &json);
  if (status == CO_OK && !(out->json = co_arena_strdup(arena, json.text.data)))
    status = CO_ERR_MEMORY;
  co_json_free(&json);
  return status;
}
