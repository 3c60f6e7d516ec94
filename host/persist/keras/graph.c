// SPDX-License-Identifier: Apache-2.0
// Sequential and Functional models: which layer reads what, in an order in which each comes after what it
// reads.
#include <string.h>

#include "host/persist/keras/keras_private.h"

typedef struct node { // a call of a layer
  int64_t value;
  bool done, begun;
} node;

typedef struct member {
  keras_layer layer;
  const co_node *inbound; // of Functional models
  node *nodes;
  int64_t node_count;
} member;

typedef struct graph {
  keras_network *net;
  member *members;
  int64_t count;
} graph;

static co_status damaged(const graph *g, const char *what) {
  return co_fail_at(CO_ERR_MODEL, g->net->file->path, 0, 0, "its config is damaged: %s", what);
}

// ---- the input ---------------------------------------------------------------------------------

static co_status read_shape(const graph *g, const keras_layer *layer, const co_node *list,
                            co_shape *out) {
  *out = (co_shape){0};
  if (list->kind != CO_NODE_LIST || list->count < 1)
    return keras_refuse(layer, "its input shape is damaged");
  if (list->count > 4)
    return keras_refuse(layer, "its input has %lld dimensions; there are up to 3",
                        (long long)list->count - 1);
  for (int64_t i = 1; i < list->count; i++) {
    if (list->items[i]->kind == CO_NODE_NULL)
      return keras_refuse(layer, "its input shape is open; there are none but of a fixed size");
    if (!co_node_int(list->items[i], &out->dim[i - 1]) || out->dim[i - 1] < 1 ||
        out->dim[i - 1] > 1 << 20)
      return keras_refuse(layer, "its input shape is damaged");
  }
  out->rank = (int32_t)list->count - 1;
  (void)g;
  return out->rank && co_shape_count(out) <= 1 << 20
             ? CO_OK
             : keras_refuse(layer, "its input is a scalar, or far too large");
}

// The name that is given to an input or output, by Keras' name or by its place; NULL = none.
static const co_keras_name *given(const co_keras_name *names, int64_t count, const char *layer,
                                  int64_t place) {
  for (int64_t i = 0; i < count; i++)
    if (names[i].layer ? strcmp(names[i].layer, layer) == 0 : i == place) return &names[i];
  return NULL;
}

// The value that stands for an input of the model.
static co_status add_input(graph *g, const keras_layer *layer, const char *name,
                           const co_node *shape, int64_t *out) {
  keras_network *net = g->net;
  co_shape read;
  if (net->input_count == CO_KERAS_MOST)
    return keras_refuse(layer, "the model has more than %d inputs", (int)CO_KERAS_MOST);
  if (!shape)
    return keras_refuse(layer, "the shape of its input is unknown: the model was never built");
  CO_RETURN_IF_FAILED(read_shape(g, layer, shape, &read));
  CO_RETURN_IF_FAILED(keras_add_input(net, &read, out));
  const co_keras_name *wanted =
      given(net->options->inputs, net->options->input_count, name, net->input_count);
  keras_port *port = &net->inputs[net->input_count++];
  *port = (keras_port){.layer = name, .value = *out, .any = !wanted};
  port->name = wanted ? wanted->name : name;
  port->scale = wanted ? wanted->scale : 0;
  const char *options;
  if (port->scale != 0) {
    char number[32];
    co_double_print(port->scale, number, sizeof number);
    if (!(options = co_arena_format(net->arena, "\"scale\": %s", number))) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(keras_emit(net, layer, "_scale", "Rescaling", options, out, 1, out));
  }
  if (read.rank != 2) return CO_OK;
  // Rows and columns come as one vector.
  options = co_arena_format(net->arena, "\"target_shape\": [%lld, %lld]", (long long)read.dim[0],
                            (long long)read.dim[1]);
  return options ? keras_emit(net, layer, "_rows", "Reshape", options, out, 1, out) : CO_ERR_MEMORY;
}

static const co_node *shape_option(keras_layer *layer) {
  return keras_option(layer, "batch_input_shape", "batch_shape");
}

static co_status input_layer(graph *g, keras_layer *layer, int64_t *out) {
  const co_node *shape = shape_option(layer);
  CO_RETURN_IF_FAILED(keras_rest(layer));
  return add_input(g, layer, layer->name, shape, out);
}

static co_status add_output(graph *g, const char *name, int64_t value) {
  keras_network *net = g->net;
  if (net->output_count == CO_KERAS_MOST) return damaged(g, "too many outputs");
  const co_keras_name *wanted =
      given(net->options->outputs, net->options->output_count, name, net->output_count);
  net->outputs[net->output_count++] =
      (keras_port){.layer = name, .name = wanted ? wanted->name : name, .value = value};
  return CO_OK;
}

// ---- Sequential --------------------------------------------------------------------------------

static co_status build_sequential(graph *g, const co_node *built) {
  keras_network *net = g->net;
  int64_t value = -1;
  const char *last = "";
  for (int64_t i = 0; i < g->count; i++) {
    keras_layer *layer = &g->members[i].layer;
    if (strcmp(layer->class_, "InputLayer") == 0) {
      CO_RETURN_IF_FAILED(input_layer(g, layer, &value));
      continue;
    }
    if (value < 0) {
      const co_node *shape = shape_option(layer);
      const char *name = co_arena_format(net->arena, "%s_input", layer->name);
      if (!name) return CO_ERR_MEMORY;
      CO_RETURN_IF_FAILED(add_input(g, layer, name, shape ? shape : built, &value));
    }
    CO_RETURN_IF_FAILED(keras_map(net, layer, &value, 1, &value));
    net->layer_count++;
    last = layer->name;
  }
  return add_output(g, last, value);
}

// ---- Functional --------------------------------------------------------------------------------

typedef struct tensor { // of a layer's call
  const char *layer;
  int64_t node;
} tensor;

// ["layer", node, tensor], with arguments behind it in Keras 1 and 2; or, in Keras 3, {class_name:
// __keras_tensor__, config: {keras_history: […]}}.
static co_status read_tensor(const graph *g, const co_node *item, tensor *out) {
  const co_node *made = co_node_get(item, "config");
  const co_node *list = made ? co_node_get(made, "keras_history") : item;
  int64_t which = 0;
  bool good = list && list->kind == CO_NODE_LIST && (list->count == 3 || list->count == 4) &&
              list->items[0]->kind == CO_NODE_SCALAR && co_node_int(list->items[1], &out->node) &&
              co_node_int(list->items[2], &which);
  if (!good) return damaged(g, "a layer's input is no [layer, node, tensor]");
  out->layer = list->items[0]->text;
  if (which) return damaged(g, "a layer with several results");
  const co_node *arguments = list->count == 4 ? list->items[3] : NULL;
  for (int64_t i = 0; arguments && i < arguments->count; i++)
    if (arguments->kind != CO_NODE_MAP || arguments->items[i]->kind != CO_NODE_NULL)
      return co_fail_at(CO_ERR_MODEL, g->net->file->path, 0, 0,
                        "layer '%.100s' is called with arguments, as %.60s: there are none",
                        out->layer, arguments->kind == CO_NODE_MAP ? arguments->keys[i] : "a list");
  return CO_OK;
}

static co_status check_keywords(const graph *g, const keras_layer *layer, const co_node *map) {
  (void)g;
  for (int64_t i = 0; map && map->kind == CO_NODE_MAP && i < map->count; i++) {
    bool value;
    const bool training = strcmp(map->keys[i], "training") == 0;
    if (map->items[i]->kind == CO_NODE_NULL ||
        (training && co_node_bool(map->items[i], &value) && !value))
      continue;
    return keras_refuse(layer, "it is called with %.60s: there is no such argument", map->keys[i]);
  }
  return CO_OK;
}

// The tensors of a call: a list of them, or Keras 3's {args: [tensor or list of tensors], kwargs}.
static co_status list_tensors(const graph *g, const keras_layer *layer, const co_node *call,
                              const co_node **out) {
  *out = call;
  if (call->kind == CO_NODE_MAP) {
    CO_RETURN_IF_FAILED(check_keywords(g, layer, co_node_get(call, "kwargs")));
    *out = co_node_get(call, "args");
    if (*out && (*out)->kind == CO_NODE_LIST && (*out)->count == 1 &&
        (*out)->items[0]->kind == CO_NODE_LIST)
      *out = (*out)->items[0];
  }
  if (!*out || (*out)->kind != CO_NODE_LIST || (*out)->count > KERAS_MOST_INPUTS)
    return damaged(g, "the inputs of a layer are no list");
  if ((*out)->count && (*out)->items[0]->kind == CO_NODE_SCALAR)
    return damaged(g, "the inputs of a layer are no list of tensors");
  return CO_OK;
}

static member *find_member(const graph *g, const char *name) {
  for (int64_t i = 0; i < g->count; i++)
    if (strcmp(g->members[i].layer.name, name) == 0) return &g->members[i];
  return NULL;
}

static co_status visit(graph *g, const tensor *wanted, int64_t *out);

static co_status call_layer(graph *g, member *m, int64_t which, int64_t *out) {
  const co_node *tensors;
  if (strcmp(m->layer.class_, "InputLayer") == 0) return input_layer(g, &m->layer, out);
  CO_RETURN_IF_FAILED(list_tensors(g, &m->layer, m->inbound->items[which], &tensors));
  int64_t *in = co_arena_alloc(g->net->arena, (size_t)tensors->count + 1, sizeof *in);
  if (!in) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < tensors->count; i++) {
    tensor from;
    CO_RETURN_IF_FAILED(read_tensor(g, tensors->items[i], &from));
    CO_RETURN_IF_FAILED(visit(g, &from, &in[i]));
  }
  if (!m->layer.call) g->net->layer_count++;
  m->layer.taken = 0;
  CO_RETURN_IF_FAILED(keras_map(g->net, &m->layer, in, tensors->count, out));
  m->layer.call++;
  return CO_OK;
}

static co_status visit(graph *g, const tensor *wanted, int64_t *out) {
  member *m = find_member(g, wanted->layer);
  if (!m || wanted->node < 0 || wanted->node >= m->node_count)
    return co_fail_at(CO_ERR_MODEL, g->net->file->path, 0, 0,
                      "its config is damaged: there is no call %lld of a layer '%.100s'",
                      (long long)wanted->node, wanted->layer);
  node *called = &m->nodes[wanted->node];
  if (!called->done) {
    if (called->begun) return keras_refuse(&m->layer, "it reads what depends on itself");
    called->begun = true;
    CO_RETURN_IF_FAILED(call_layer(g, m, wanted->node, &called->value));
    called->done = true;
  }
  *out = called->value;
  return CO_OK;
}

// Inputs first, in the order of the file. Of one input or output, Keras 3 may write the triple itself.
static co_status visit_ports(graph *g, const co_node *list, bool outputs) {
  if (!list || list->kind != CO_NODE_LIST || !list->count)
    return damaged(g, "it lists no inputs or outputs");
  const bool one = list->items[0]->kind == CO_NODE_SCALAR;
  for (int64_t i = 0; i < (one ? 1 : list->count); i++) {
    tensor port;
    int64_t value;
    CO_RETURN_IF_FAILED(read_tensor(g, one ? list : list->items[i], &port));
    CO_RETURN_IF_FAILED(visit(g, &port, &value));
    if (outputs) CO_RETURN_IF_FAILED(add_output(g, port.layer, value));
  }
  return CO_OK;
}

static co_status build_functional(graph *g, const co_node *config) {
  CO_RETURN_IF_FAILED(visit_ports(g, co_node_get(config, "input_layers"), false));
  return visit_ports(g, co_node_get(config, "output_layers"), true);
}

// ---- both --------------------------------------------------------------------------------------

static co_status read_member(graph *g, const co_node *layer, member *m) {
  CO_RETURN_IF_FAILED(keras_layer_init(&m->layer, g->net->file, layer));
  const co_node *name = co_node_get(layer, "name"); // Functional models have it here as well
  if (name && name->kind == CO_NODE_SCALAR) m->layer.name = name->text;
  int64_t nth = 0;
  for (const member *before = g->members; before < m; before++)
    nth += strcmp(before->layer.class_, m->layer.class_) == 0;
  CO_RETURN_IF_FAILED(keras_file_arrays(&m->layer, nth));
  m->inbound = co_node_get(layer, "inbound_nodes");
  const bool list = m->inbound && m->inbound->kind == CO_NODE_LIST;
  m->node_count = list && m->inbound->count ? m->inbound->count : 1;
  if (strcmp(m->layer.class_, "InputLayer") == 0)
    m->node_count = 1;
  else if (!list || !m->inbound->count)
    m->node_count = 0;
  m->nodes = co_arena_alloc(g->net->arena, (size_t)m->node_count + 1, sizeof *m->nodes);
  return m->nodes ? CO_OK : CO_ERR_MEMORY;
}

static bool is_functional(const char *class_) {
  return strcmp(class_, "Functional") == 0 || strcmp(class_, "Model") == 0;
}

co_status keras_build(keras_network *net) {
  graph g = {.net = net};
  const co_node *class_ = co_node_get(net->file->model, "class_name");
  const co_node *config = co_node_get(net->file->model, "config");
  if (!class_ || class_->kind != CO_NODE_SCALAR || !config)
    return damaged(&g, "it has no class_name or config");
  const bool functional = is_functional(class_->text);
  if (!functional && strcmp(class_->text, "Sequential") != 0)
    return co_fail_at(CO_ERR_MODEL, net->file->path, 0, 0,
                      "it is a %.100s; Sequential and Functional models are possible",
                      class_->text);
  const co_node *layers = config->kind == CO_NODE_LIST ? config : co_node_get(config, "layers");
  if (!layers || layers->kind != CO_NODE_LIST || !layers->count)
    return damaged(&g, "it has no layers");
  if (layers->count > KERAS_MOST_LAYERS)
    return co_fail_at(CO_ERR_MODEL, net->file->path, 0, 0, "it has more than %d layers",
                      (int)KERAS_MOST_LAYERS);
  g.members = co_arena_alloc(net->arena, (size_t)layers->count, sizeof *g.members);
  if (!g.members) return CO_ERR_MEMORY;
  for (; g.count < layers->count; g.count++)
    CO_RETURN_IF_FAILED(read_member(&g, layers->items[g.count], &g.members[g.count]));
  CO_RETURN_IF_FAILED(functional ? build_functional(&g, config)
                                 : build_sequential(&g, co_node_get(config, "build_input_shape")));
  if (net->item_count) return CO_OK;
  return co_fail_at(CO_ERR_MODEL, net->file->path, 0, 0, "it has no layers but its input");
}
