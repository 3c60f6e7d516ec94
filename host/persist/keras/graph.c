// SPDX-License-Identifier: Apache-2.0
// Sequential and Functional models: which layer reads what, in an order in which each comes after what it
// reads. A layer may be a model itself: its layers take its place, called MODEL/LAYER.
#include <string.h>

#include "host/persist/keras/keras_private.h"

enum { DEEPEST = 16 }; // models within models

typedef struct node {    // a call of a layer
  const int64_t *values; // its results
  int64_t count;
  bool done, begun;
} node;

typedef struct member {
  keras_layer layer;
  const char *name;       // in its model
  const co_node *inbound; // of Functional models
  node *nodes;
  int64_t node_count;
  int64_t first;       // the number that the others have for its first call
  struct graph *model; // that it is; NULL = a layer
} member;

typedef struct graph {
  keras_network *net;
  const co_node *config; // a list of layers in old Sequential models
  bool functional;
  const char *prefix;   // of its layers' names
  const char *root;     // the group that their weights are in
  bool frozen;          // whatever its layers say
  int depth;            // of models around it
  const int64_t *given; // what a model within another is called with; NULL = the model's own inputs
  int64_t given_count;
  member *members;
  int64_t count;
  int64_t results[CO_KERAS_MOST];
  const char *result_names[CO_KERAS_MOST]; // of the layers
  int64_t result_count;
} graph;

static co_status damaged(const graph *g, const char *what) {
  return co_fail_at(CO_ERR_MODEL, g->net->file->path, 0, 0, "its config is damaged: %s", what);
}

// ---- the input ---------------------------------------------------------------------------------

// The name that is given to an input or output, by Keras' name or by its place; NULL = none.
static const co_keras_name *given(const co_keras_name *names, int64_t count, const char *layer,
                                  int64_t place) {
  for (int64_t i = 0; i < count; i++)
    if (names[i].layer ? strcmp(names[i].layer, layer) == 0 : i == place) return &names[i];
  return NULL;
}

// 32x32x3, with `open` where an extent is.
static const char *shape_text(const keras_layer *layer, const co_node *list, const char *open) {
  const char *text = "";
  for (int64_t i = 1; text && i < list->count; i++)
    text = co_arena_format(layer->file->arena, "%s%s%s", text, i > 1 ? "x" : "",
                           list->items[i]->kind == CO_NODE_NULL ? open
                                                                : co_node_brief(list->items[i]));
  return text ? text : "";
}

// With the way out, an example.
static co_status refuse_shape(const keras_layer *layer, const co_node *list, const char *name,
                              const co_keras_name *given) {
  const char *has = shape_text(layer, list, "?");
  co_status status =
      given ? co_fail(CO_ERR_USAGE, "--input-shape %.60s: the shape of input '%.100s' is %.60s",
                      given->name, name, has)
            : keras_refuse(layer, "the shape of its input is open: %.60s", has);
  co_hint("--input-shape %s=%s", name, shape_text(layer, list, "32"));
  return status;
}

// `given`: what stands for open extents, and agrees with the others; rank 0 = nothing.
static co_status read_shape(const keras_layer *layer, const co_node *list, const char *name,
                            const co_keras_name *given, co_shape *out) {
  *out = (co_shape){0};
  if (list->kind != CO_NODE_LIST || list->count < 1)
    return keras_refuse(layer, "its input shape is damaged");
  if (list->count > 4)
    return keras_refuse(layer, "its input has %lld dimensions; there are up to 3",
                        (long long)list->count - 1);
  for (int64_t i = 1; i < list->count; i++) {
    int64_t *extent = &out->dim[i - 1];
    const bool open = list->items[i]->kind == CO_NODE_NULL;
    if (open && !given) return refuse_shape(layer, list, name, NULL);
    if (open && i <= given->shape.rank) *extent = given->shape.dim[i - 1];
    if (!open && (!co_node_int(list->items[i], extent) || *extent < 1 || *extent > 1 << 20))
      return keras_refuse(layer, "its input shape is damaged");
  }
  out->rank = (int32_t)list->count - 1;
  if (given && !co_shape_equal(out, &given->shape)) return refuse_shape(layer, list, name, given);
  return out->rank && co_shape_count(out) <= 1 << 20
             ? CO_OK
             : keras_refuse(layer, "its input is a scalar, or far too large");
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
  const co_keras_options *o = net->options;
  CO_RETURN_IF_FAILED(read_shape(layer, shape, name,
                                 given(o->shapes, o->shape_count, name, net->input_count), &read));
  CO_RETURN_IF_FAILED(keras_add_input(net, &read, out));
  const co_keras_name *wanted = given(o->inputs, o->input_count, name, net->input_count);
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

// Whether a value may go into a model whose input has this shape, null where it is open.
static bool fits(const co_shape *shape, const co_node *list) {
  bool good = !list || (list->kind == CO_NODE_LIST && list->count == shape->rank + 1);
  for (int64_t i = 1; good && list && i < list->count; i++) {
    int64_t extent;
    good = list->items[i]->kind == CO_NODE_NULL ||
           (co_node_int(list->items[i], &extent) && extent == shape->dim[i - 1]);
  }
  return good;
}

// What stands for the `place`-th input: of a model within another what it is called with.
static co_status input_layer(graph *g, keras_layer *layer, int64_t place, int64_t *out) {
  const co_node *shape = shape_option(layer);
  CO_RETURN_IF_FAILED(keras_rest(layer));
  if (!g->given) return add_input(g, layer, layer->name, shape, out);
  if (place < 0 || place >= g->given_count)
    return keras_refuse(layer, "its model is called without it");
  *out = g->given[place];
  if (fits(keras_shape(g->net, *out), shape)) return CO_OK;
  char has[96];
  co_shape_print(keras_shape(g->net, *out), has, sizeof has);
  return keras_refuse(layer, "its model is called with values of shape %s", has);
}

static co_status add_result(graph *g, const char *layer, int64_t value) {
  if (g->result_count == CO_KERAS_MOST) return damaged(g, "too many outputs");
  g->result_names[g->result_count] = layer;
  g->results[g->result_count++] = value;
  return CO_OK;
}

// ---- calls ---------------------------------------------------------------------------------------

static co_status call_model(graph *g, member *m, const int64_t *in, int64_t count, node *out);

static co_status call_layer(graph *g, member *m, const int64_t *in, int64_t count, node *out) {
  keras_layer *layer = &m->layer;
  if (++g->net->call_count > KERAS_MOST_CALLS)
    return keras_refuse(layer, "the model has more than %d calls of layers", (int)KERAS_MOST_CALLS);
  if (m->model) return call_model(g, m, in, count, out);
  int64_t *value = co_arena_alloc(g->net->arena, 1, sizeof *value);
  if (!value) return CO_ERR_MEMORY;
  if (!layer->call) g->net->layer_count++;
  layer->taken = 0;
  CO_RETURN_IF_FAILED(keras_map(g->net, layer, in, count, value));
  layer->call++;
  out->values = value;
  out->count = 1;
  return CO_OK;
}

// ---- Sequential --------------------------------------------------------------------------------

static member *find_member(const graph *g, const char *name) {
  for (int64_t i = 0; i < g->count; i++)
    if (strcmp(g->members[i].name, name) == 0) return &g->members[i];
  return NULL;
}

// What a layer that comes first says of its input; a model, what its first layer says.
static const co_node *first_shape(member *m) {
  while (m && m->model) {
    const co_node *port = co_node_get(m->model->config, "input_layers");
    while (port && port->kind == CO_NODE_LIST && port->count &&
           port->items[0]->kind == CO_NODE_LIST)
      port = port->items[0];
    if (!m->model->functional)
      m = &m->model->members[0];
    else if (port && port->kind == CO_NODE_LIST && port->count &&
             port->items[0]->kind == CO_NODE_SCALAR)
      m = find_member(m->model, port->items[0]->text);
    else
      m = NULL;
  }
  return m ? shape_option(&m->layer) : NULL;
}

static co_status run_sequential(graph *g) {
  keras_network *net = g->net;
  int64_t value = g->given ? g->given[0] : -1;
  const char *last = "";
  if (g->given && g->given_count != 1) return damaged(g, "a Sequential model of several inputs");
  for (int64_t i = 0; i < g->count; i++) {
    member *m = &g->members[i];
    node called = {0};
    if (strcmp(m->layer.class_, "InputLayer") == 0) {
      CO_RETURN_IF_FAILED(input_layer(g, &m->layer, 0, &value));
      continue;
    }
    if (value < 0) {
      const co_node *shape = first_shape(m);
      const char *name = co_arena_format(net->arena, "%s_input", m->name);
      if (!name) return CO_ERR_MEMORY;
      if (!shape) shape = co_node_get(g->config, "build_input_shape");
      CO_RETURN_IF_FAILED(add_input(g, &m->layer, name, shape, &value));
    }
    CO_RETURN_IF_FAILED(call_layer(g, m, &value, 1, &called));
    if (called.count != 1) return keras_refuse(&m->layer, "it has several results");
    value = called.values[0];
    last = m->name;
  }
  return value < 0 ? damaged(g, "it has no layers") : add_result(g, last, value);
}

// ---- Functional --------------------------------------------------------------------------------

typedef struct tensor { // of a layer's call
  const char *layer;
  int64_t node, which; // of its results
} tensor;

static bool is_nothing(const co_node *value) {
  if (value->kind == CO_NODE_NULL) return true;
  for (int64_t i = 0; value->kind == CO_NODE_LIST && i < value->count; i++)
    if (!is_nothing(value->items[i])) return false;
  return value->kind == CO_NODE_LIST;
}

// Arguments of a call besides tensors: there are none but `training: false`.
static co_status check_keywords(const graph *g, const char *layer, const co_node *map) {
  if (map && map->kind != CO_NODE_MAP && !is_nothing(map))
    return damaged(g, "the arguments of a layer are no map");
  for (int64_t i = 0; map && map->kind == CO_NODE_MAP && i < map->count; i++) {
    bool value;
    const bool training = strcmp(map->keys[i], "training") == 0;
    if (is_nothing(map->items[i]) || (training && co_node_bool(map->items[i], &value) && !value))
      continue;
    return co_fail_at(CO_ERR_MODEL, g->net->file->path, 0, 0,
                      "layer '%.100s' is called with %.60s: there is no such argument", layer,
                      map->keys[i]);
  }
  return CO_OK;
}

// ["layer", node, tensor], with arguments behind it in Keras 1 and 2; or, in Keras 3, {class_name:
// __keras_tensor__, config: {keras_history: […]}}.
static co_status read_tensor(const graph *g, const co_node *item, tensor *out) {
  const co_node *made = co_node_get(item, "config");
  const co_node *list = made ? co_node_get(made, "keras_history") : item;
  bool good = list && list->kind == CO_NODE_LIST && (list->count == 3 || list->count == 4) &&
              list->items[0]->kind == CO_NODE_SCALAR && co_node_int(list->items[1], &out->node) &&
              co_node_int(list->items[2], &out->which) && out->node >= 0 && out->which >= 0;
  if (!good) return damaged(g, "a layer's input is no [layer, node, tensor]");
  out->layer = list->items[0]->text;
  return list->count == 4 ? check_keywords(g, out->layer, list->items[3]) : CO_OK;
}

// The tensors of a call: a list of them, or Keras 3's {args: [tensor or list of tensors], kwargs}.
static co_status list_tensors(const graph *g, const keras_layer *layer, const co_node *call,
                              const co_node **out) {
  *out = call;
  if (call->kind == CO_NODE_MAP) {
    CO_RETURN_IF_FAILED(check_keywords(g, layer->name, co_node_get(call, "kwargs")));
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

static co_status visit(graph *g, const tensor *wanted, int64_t *out);

static co_status call_node(graph *g, member *m, int64_t which, node *out) {
  const co_node *tensors;
  CO_RETURN_IF_FAILED(list_tensors(g, &m->layer, m->inbound->items[which], &tensors));
  int64_t *in = co_arena_alloc(g->net->arena, (size_t)tensors->count + 1, sizeof *in);
  if (!in) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < tensors->count; i++) {
    tensor from;
    CO_RETURN_IF_FAILED(read_tensor(g, tensors->items[i], &from));
    CO_RETURN_IF_FAILED(visit(g, &from, &in[i]));
  }
  return call_layer(g, m, in, tensors->count, out);
}

static co_status visit(graph *g, const tensor *wanted, int64_t *out) {
  member *m = find_member(g, wanted->layer);
  const int64_t which = m ? wanted->node - m->first : -1;
  if (!m || which < 0 || which >= m->node_count)
    return co_fail_at(CO_ERR_MODEL, g->net->file->path, 0, 0,
                      "its config is damaged: there is no call %lld of a layer '%.100s'",
                      (long long)wanted->node, wanted->layer);
  node *called = &m->nodes[which];
  if (!called->done) {
    if (called->begun) return keras_refuse(&m->layer, "it reads what depends on itself");
    if (strcmp(m->layer.class_, "InputLayer") == 0)
      return keras_refuse(&m->layer, "it is none of its model's inputs");
    if (g->net->open_count == KERAS_MOST_LAYERS)
      return keras_refuse(&m->layer, "more than %d layers wait for it", (int)KERAS_MOST_LAYERS);
    called->begun = true;
    g->net->open_count++;
    CO_RETURN_IF_FAILED(call_node(g, m, which, called));
    g->net->open_count--;
    called->done = true;
  }
  if (wanted->which < 0 || wanted->which >= called->count)
    return keras_refuse(&m->layer, "it has no result %lld", (long long)wanted->which);
  *out = called->values[wanted->which];
  return CO_OK;
}

static co_status set_input(graph *g, const tensor *port, int64_t place) {
  member *m = find_member(g, port->layer);
  int64_t *value = co_arena_alloc(g->net->arena, 1, sizeof *value);
  if (!value) return CO_ERR_MEMORY;
  if (!m || strcmp(m->layer.class_, "InputLayer") != 0 || m->nodes[0].done)
    return damaged(g, "one of its inputs is no InputLayer, or listed twice");
  CO_RETURN_IF_FAILED(input_layer(g, &m->layer, place, value));
  m->nodes[0] = (node){.values = value, .count = 1, .done = true};
  return CO_OK;
}

static co_status add_port(graph *g, tensor *port) {
  const member *m = find_member(g, port->layer);
  int64_t value;
  // Keras 3 counts the calls of Functional models from 1 here, and from 0 elsewhere.
  if (m && m->model && m->model->functional && g->net->file->major == 3) port->node--;
  CO_RETURN_IF_FAILED(visit(g, port, &value));
  return add_result(g, port->layer, value);
}

// In the order of the file: a list or map of triples, or, of one input or output, Keras 3's triple itself.
static co_status visit_ports(graph *g, const co_node *list, bool outputs) {
  if (!list || list->kind == CO_NODE_SCALAR || !list->count)
    return damaged(g, "it lists no inputs or outputs");
  const bool one = list->kind == CO_NODE_LIST && list->items[0]->kind == CO_NODE_SCALAR;
  const int64_t count = one ? 1 : list->count;
  if (!outputs && g->given && g->given_count != count)
    return damaged(g, "a model is called with more or fewer values than it has inputs");
  for (int64_t i = 0; i < count; i++) {
    tensor port;
    CO_RETURN_IF_FAILED(read_tensor(g, one ? list : list->items[i], &port));
    CO_RETURN_IF_FAILED(outputs ? add_port(g, &port) : set_input(g, &port, i));
  }
  return CO_OK;
}

static co_status run(graph *g) {
  g->result_count = 0;
  for (int64_t i = 0; i < g->count; i++)
    memset(g->members[i].nodes, 0, (size_t)g->members[i].node_count * sizeof(node));
  if (!g->functional) return run_sequential(g);
  CO_RETURN_IF_FAILED(visit_ports(g, co_node_get(g->config, "input_layers"), false));
  return visit_ports(g, co_node_get(g->config, "output_layers"), true);
}

// ---- models within models ------------------------------------------------------------------------

static void set_network(graph *g, keras_network *net, keras_trial *trial) {
  g->net = net;
  for (int64_t i = 0; i < g->count; i++) {
    keras_layer *layer = &g->members[i].layer;
    layer->trial = trial;
    layer->call = 0;
    if (g->members[i].model) set_network(g->members[i].model, net, trial);
  }
}

static int64_t count_arrays(const graph *g) {
  int64_t count = 0;
  for (int64_t i = 0; i < g->count; i++)
    count +=
        g->members[i].model ? count_arrays(g->members[i].model) : g->members[i].layer.array_count;
  return count;
}

static co_status deal(graph *g, keras_layer *whole, bool trained) {
  for (int64_t i = 0; i < g->count; i++) {
    keras_layer *layer = &g->members[i].layer;
    if (g->members[i].model) CO_RETURN_IF_FAILED(deal(g->members[i].model, whole, trained));
    const int64_t count = g->members[i].model ? 0 : layer->array_count;
    const int64_t first = layer->trainable ? count - layer->statistics : 0;
    if (trained)
      layer->arrays = co_arena_alloc(g->net->arena, (size_t)count + 1, sizeof *layer->arrays);
    if (!layer->arrays) return CO_ERR_MEMORY;
    for (int64_t k = trained ? 0 : first; k < (trained ? first : count); k++)
      layer->arrays[k] = whole->arrays[whole->taken++];
  }
  return CO_OK;
}

// HDF5 files have the weights of a model within another in one list: those that train, layer by layer, then the others.
// How many each layer has is what it takes on trial.
static co_status deal_arrays(graph *g, member *m, const int64_t *in, int64_t count) {
  keras_network *net = g->net, *counted = co_arena_alloc(net->arena, 1, sizeof *counted);
  int64_t *given = co_arena_alloc(net->arena, (size_t)count + 1, sizeof *given);
  keras_trial trial = {.total = 0};
  for (int64_t i = 0; i < m->layer.array_count; i++)
    trial.total += co_shape_count(&m->layer.arrays[i].shape);
  trial.zeros = co_arena_alloc(net->arena, (size_t)trial.total + 1, sizeof *trial.zeros);
  trial.room = trial.total;
  if (!counted || !given || !trial.zeros) return CO_ERR_MEMORY;
  *counted = (keras_network){.file = net->file,
                             .arena = net->arena,
                             .options = net->options,
                             .open_count = net->open_count};
  for (; counted->input_count < count; counted->input_count++)
    CO_RETURN_IF_FAILED(keras_add_input(counted, keras_shape(net, in[counted->input_count]),
                                        &given[counted->input_count]));
  set_network(m->model, counted, &trial);
  m->model->given = given;
  m->model->given_count = count;
  CO_RETURN_IF_FAILED(run(m->model));
  set_network(m->model, net, NULL);
  const int64_t taken = count_arrays(m->model);
  if (taken != m->layer.array_count)
    return keras_refuse(&m->layer, "the file has %lld weights of it instead of %lld",
                        (long long)m->layer.array_count, (long long)taken);
  CO_RETURN_IF_FAILED(deal(m->model, &m->layer, true));
  return deal(m->model, &m->layer, false);
}

static co_status call_model(graph *g, member *m, const int64_t *in, int64_t count, node *out) {
  graph *model = m->model;
  if (!count) return keras_refuse(&m->layer, "it has no input");
  if (!m->layer.call++ && !g->depth && !g->net->file->archive)
    CO_RETURN_IF_FAILED(deal_arrays(g, m, in, count));
  model->given = in;
  model->given_count = count;
  CO_RETURN_IF_FAILED(run(model));
  int64_t *values = co_arena_alloc(g->net->arena, (size_t)model->result_count + 1, sizeof *values);
  if (!values) return CO_ERR_MEMORY;
  memcpy(values, model->results, (size_t)model->result_count * sizeof *values);
  out->values = values;
  out->count = model->result_count;
  return CO_OK;
}

// ---- reading the config --------------------------------------------------------------------------

static co_status open_graph(graph *g, const co_node *model);

static bool is_model(const co_node *class_) {
  return class_ && class_->kind == CO_NODE_SCALAR &&
         (strcmp(class_->text, "Functional") == 0 || strcmp(class_->text, "Model") == 0 ||
          strcmp(class_->text, "Sequential") == 0);
}

// Whether somebody reads the result of call 0 of a layer: [name, 0, …], wherever it stands.
static bool is_called(const co_node *tree, const char *name) {
  if (!tree || (tree->kind != CO_NODE_LIST && tree->kind != CO_NODE_MAP)) return false;
  int64_t call;
  if (tree->kind == CO_NODE_LIST && tree->count >= 3 && tree->items[0]->kind == CO_NODE_SCALAR &&
      strcmp(tree->items[0]->text, name) == 0)
    return co_node_int(tree->items[1], &call) && call == 0;
  for (int64_t i = 0; i < tree->count; i++)
    if (is_called(tree->items[i], name)) return true;
  return false;
}

static const co_node *layers_of(const graph *g) {
  return g->config->kind == CO_NODE_LIST ? g->config : co_node_get(g->config, "layers");
}

// Keras 1 and 2 number the calls of most models from 1: the first made the model itself.
static int64_t first_call(const graph *g, const char *name) {
  const co_node *layers = layers_of(g);
  bool called =
      g->net->file->major == 3 || is_called(co_node_get(g->config, "output_layers"), name);
  for (int64_t i = 0; !called && i < layers->count; i++)
    called = is_called(co_node_get(layers->items[i], "inbound_nodes"), name);
  return !called;
}

static co_status read_model(graph *g, const co_node *layer, member *m) {
  m->model = co_arena_alloc(g->net->arena, 1, sizeof *m->model);
  if (!m->model) return CO_ERR_MEMORY;
  *m->model = (graph){.net = g->net,
                      .depth = g->depth + 1,
                      .frozen = !m->layer.trainable && g->net->file->major == 3};
  if (m->model->depth > DEEPEST) return keras_refuse(&m->layer, "it stands in too many models");
  m->model->prefix = co_arena_format(g->net->arena, "%s%s/", g->prefix, m->name);
  if (!m->model->prefix) return CO_ERR_MEMORY;
  if (g->net->file->archive) CO_RETURN_IF_FAILED(keras_file_inner(&m->layer, &m->model->root));
  if (g->functional) m->first = first_call(g, m->name);
  return open_graph(m->model, layer);
}

// The name stands in the config, of Functional models beside it as well; of old Sequential models, whose
// config is a list, in neither, but in the file's list of layers.
static co_status name_member(const graph *g, const co_node *layer, member *m) {
  const co_node *name = co_node_get(layer, "name");
  m->name = m->layer.name;
  if (name && name->kind == CO_NODE_SCALAR)
    m->name = name->text;
  else if (m->layer.config->kind == CO_NODE_LIST && !g->depth)
    CO_RETURN_IF_FAILED(keras_file_layer_name(g->net->file, g->count, &m->name));
  if (strlen(g->prefix) + strlen(m->name) > KERAS_MOST_NAME)
    return co_fail_at(CO_ERR_MODEL, g->net->file->path, 0, 0,
                      "the name '%s%.100s' of a layer has more than %d bytes", g->prefix, m->name,
                      (int)KERAS_MOST_NAME);
  m->layer.name = co_arena_format(g->net->arena, "%s%s", g->prefix, m->name);
  return m->layer.name ? CO_OK : CO_ERR_MEMORY;
}

static co_status read_member(graph *g, const co_node *layer, member *m) {
  CO_RETURN_IF_FAILED(keras_layer_init(&m->layer, g->net->file, layer));
  CO_RETURN_IF_FAILED(name_member(g, layer, m));
  m->layer.trainable = m->layer.trainable && !g->frozen;
  int64_t nth = 0;
  for (const member *before = g->members; before < m; before++)
    nth += strcmp(before->layer.class_, m->layer.class_) == 0;
  if (g->root) CO_RETURN_IF_FAILED(keras_file_arrays(&m->layer, m->name, g->root, nth));
  m->inbound = co_node_get(layer, "inbound_nodes");
  const bool list = m->inbound && m->inbound->kind == CO_NODE_LIST;
  m->node_count = list && m->inbound->count ? m->inbound->count : 1;
  if (strcmp(m->layer.class_, "InputLayer") == 0)
    m->node_count = 1;
  else if (!list || !m->inbound->count)
    m->node_count = 0;
  m->nodes = co_arena_alloc(g->net->arena, (size_t)m->node_count + 1, sizeof *m->nodes);
  if (!m->nodes) return CO_ERR_MEMORY;
  return is_model(co_node_get(layer, "class_name")) ? read_model(g, layer, m) : CO_OK;
}

static co_status open_graph(graph *g, const co_node *model) {
  const co_node *class_ = co_node_get(model, "class_name");
  g->config = co_node_get(model, "config");
  if (!class_ || class_->kind != CO_NODE_SCALAR || !g->config)
    return damaged(g, "it has no class_name or config");
  if (!is_model(class_))
    return co_fail_at(CO_ERR_MODEL, g->net->file->path, 0, 0,
                      "it is a %.100s; Sequential and Functional models are possible",
                      class_->text);
  g->functional = strcmp(class_->text, "Sequential") != 0;
  const co_node *layers = layers_of(g);
  if (!layers || layers->kind != CO_NODE_LIST || !layers->count)
    return damaged(g, "it has no layers");
  if (layers->count > KERAS_MOST_LAYERS)
    return co_fail_at(CO_ERR_MODEL, g->net->file->path, 0, 0, "it has more than %d layers",
                      (int)KERAS_MOST_LAYERS);
  g->members = co_arena_alloc(g->net->arena, (size_t)layers->count, sizeof *g->members);
  if (!g->members) return CO_ERR_MEMORY;
  for (; g->count < layers->count; g->count++)
    CO_RETURN_IF_FAILED(read_member(g, layers->items[g->count], &g->members[g->count]));
  return CO_OK;
}

co_status keras_build(keras_network *net) {
  graph *g = co_arena_alloc(net->arena, 1, sizeof *g);
  if (!g) return CO_ERR_MEMORY;
  *g = (graph){.net = net, .prefix = "", .root = net->file->weights};
  CO_RETURN_IF_FAILED(open_graph(g, net->file->model));
  CO_RETURN_IF_FAILED(run(g));
  for (; net->output_count < g->result_count; net->output_count++) {
    const char *layer = g->result_names[net->output_count];
    const co_keras_name *wanted =
        given(net->options->outputs, net->options->output_count, layer, net->output_count);
    net->outputs[net->output_count] = (keras_port){.layer = layer,
                                                   .name = wanted ? wanted->name : layer,
                                                   .value = g->results[net->output_count]};
  }
  if (net->item_count) return CO_OK;
  return co_fail_at(CO_ERR_MODEL, net->file->path, 0, 0, "it has no layers but its input");
}
