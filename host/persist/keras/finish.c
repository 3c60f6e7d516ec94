// SPDX-License-Identifier: Apache-2.0
// The network as a config: the last product of an output, and what follows it, is the output's head, so that another
// head can take its place. What comes before is the encoder of the input; of several inputs or outputs the
// combiner's graph.
#include <string.h>

#include "host/persist/keras/keras_private.h"

enum { TRUNK = -1, LEFT_OUT = -2 };

typedef struct head {
  const char *activation; // that the output makes of its values: softmax, sigmoid, or NULL
  co_column_type type;    // of the target
  int64_t width;
} head;

typedef struct finish {
  keras_network *net;
  co_arena *arena;
  bool joined;      // the combiner has what is no head
  int64_t *owner;   // of each item: the output whose head it is of, TRUNK, LEFT_OUT
  int64_t *readers; // of each item: how many items and outputs read it
  bool *tied;       // of each item: it shares weights
  head heads[CO_KERAS_MOST];
} finish;

static co_status refuse(const finish *f, const char *what) {
  return co_fail_at(CO_ERR_MODEL, f->net->file->path, 0, 0, "%s", what);
}

static bool is_class(const keras_item *item, const char *class_) {
  return strcmp(item->class_, class_) == 0;
}

static int64_t item_of(const finish *f, int64_t value) {
  return f->net->values[value].item;
}

static void count_reader(const finish *f, int64_t value) {
  if (item_of(f, value) >= 0) f->readers[item_of(f, value)]++;
}

static co_status look(finish *f) {
  keras_network *net = f->net;
  const size_t count = (size_t)net->item_count + 1;
  f->joined = net->input_count > 1 || net->output_count > 1;
  f->owner = co_arena_alloc(f->arena, count, sizeof *f->owner);
  f->readers = co_arena_alloc(f->arena, count, sizeof *f->readers);
  f->tied = co_arena_alloc(f->arena, count, sizeof *f->tied);
  if (!f->owner || !f->readers || !f->tied) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < net->item_count; i++) {
    const keras_item *item = &net->items[i];
    f->owner[i] = TRUNK;
    f->tied[i] = f->tied[i] || item->shared;
    for (int64_t k = 0; k < item->in_count; k++)
      count_reader(f, item->in[k]);
    for (int64_t k = 0; item->shared && k < i; k++)
      f->tied[k] = f->tied[k] || strcmp(net->items[k].name, item->shared) == 0;
  }
  for (int64_t i = 0; i < net->output_count; i++) {
    count_reader(f, net->outputs[i].value);
    if (item_of(f, net->outputs[i].value) < 0) return refuse(f, "an output is an input");
  }
  return CO_OK;
}

// Whether an output alone reads an item whose weights are its own: then its function may become the output's.
static bool is_last(const finish *f, int64_t item) {
  return f->readers[item] == 1 && !f->tied[item];
}

// Dropouts behind probabilities do nothing where rows are scored, and have no place before a loss.
static co_status drop_last_dropouts(finish *f, keras_port *output) {
  keras_network *net = f->net;
  const bool one = co_shape_count(&net->values[output->value].shape) == 1;
  int64_t value = output->value;
  while (is_class(&net->items[item_of(f, value)], "Dropout") && is_last(f, item_of(f, value)) &&
         item_of(f, net->items[item_of(f, value)].in[0]) >= 0)
    value = net->items[item_of(f, value)].in[0];
  const char *activation = net->items[item_of(f, value)].activation;
  if (!activation || !is_last(f, item_of(f, value)) ||
      (strcmp(activation, "softmax") != 0 && !(one && strcmp(activation, "sigmoid") == 0)))
    return CO_OK;
  for (; output->value != value; output->value = net->items[item_of(f, output->value)].in[0]) {
    const int64_t at = item_of(f, output->value);
    const keras_layer layer = {.name = net->items[at].layer, .class_ = "Dropout"};
    CO_RETURN_IF_FAILED(keras_leave_out(net, &layer, "stands behind the output"));
    f->owner[at] = LEFT_OUT;
  }
  return CO_OK;
}

// What the target is, by the network's last function.
static void choose_target(finish *f, const keras_port *output, head *made) {
  keras_network *net = f->net;
  const int64_t at = item_of(f, output->value);
  keras_item *last = &net->items[at];
  const co_shape *shape = &net->values[output->value].shape;
  const bool flat = shape->rank == 1 && is_last(f, at) && last->activation;
  const bool softmax = flat && strcmp(last->activation, "softmax") == 0;
  const bool sigmoid = flat && strcmp(last->activation, "sigmoid") == 0;
  made->width = co_shape_count(shape);
  made->type = softmax && made->width > 1    ? CO_COLUMN_CATEGORY
               : sigmoid && made->width == 1 ? CO_COLUMN_BINARY
               : made->width == 1            ? CO_COLUMN_NUMBER
                                             : CO_COLUMN_VECTOR;
  if (made->type != CO_COLUMN_CATEGORY && made->type != CO_COLUMN_BINARY) return;
  made->activation = last->activation;
  last->activation = is_class(last, "Activation") ? "linear" : NULL;
}

// Numbers of rows are read by tables alone; a softmax stands at an output.
static co_status check_items(const finish *f) {
  for (int64_t i = 0; i < f->net->item_count; i++) {
    const keras_item *item = &f->net->items[i];
    if (item->activation && strcmp(item->activation, "softmax") == 0)
      return co_fail_at(
          CO_ERR_MODEL, f->net->file->path, 0, 0,
          "layer '%.100s': a softmax is possible of several units at the output alone",
          item->layer);
    for (int64_t k = 0; k < item->in_count; k++) {
      const int64_t from = item_of(f, item->in[k]);
      if (from < 0 && f->net->inputs[-1 - from].indices && !is_class(item, "Embedding"))
        return co_fail_at(
            CO_ERR_MODEL, f->net->file->path, 0, 0,
            "layer '%.100s' reads an input of which an Embedding reads numbers of rows",
            item->layer);
    }
  }
  return CO_OK;
}

static bool is_function(const keras_item *item) {
  static const char *const names[] = {"Activation", "Dropout", "ReLU", "LeakyReLU", "ELU"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (is_class(item, names[i])) return true;
  return false;
}

// From the last Dense on, where nothing but functions follow and each alone reads the one before.
static void choose_head(finish *f, int64_t output) {
  const keras_network *net = f->net;
  const int64_t last = item_of(f, net->outputs[output].value);
  int64_t first = last;
  while (first >= 0 && is_last(f, first) && is_function(&net->items[first]))
    first = item_of(f, net->items[first].in[0]);
  if (first < 0 || !is_last(f, first) || !is_class(&net->items[first], "Dense")) return;
  if (f->joined && item_of(f, net->items[first].in[0]) < 0) return; // heads read no inputs
  for (int64_t at = last; at != first; at = item_of(f, net->items[at].in[0]))
    f->owner[at] = output;
  f->owner[first] = output;
}

// ---- names -------------------------------------------------------------------------------------

// A name of a column that is Keras': no path.
static co_status name_port(const finish *f, keras_port *port) {
  if (port->name != port->layer) return CO_OK;
  char *name = co_arena_strdup(f->arena, port->layer);
  for (char *at = name; at && *at; at++)
    if (*at == '/') *at = '.';
  port->name = name;
  return name ? CO_OK : CO_ERR_MEMORY;
}

static co_status check_given(const co_keras_name *names, int64_t count, const keras_port *ports,
                             int64_t port_count, const char *option) {
  for (int64_t i = 0; i < count; i++) {
    bool found = !names[i].layer && i < port_count;
    for (int64_t k = 0; names[i].layer && k < port_count; k++)
      found = found || strcmp(ports[k].layer, names[i].layer) == 0;
    if (found) continue;
    co_status status =
        co_fail(CO_ERR_USAGE, "%s %s%s%s: the model has %lld, from '%.100s' on", option,
                names[i].layer ? names[i].layer : "", names[i].layer ? "=" : "", names[i].name,
                (long long)port_count, ports[0].layer);
    co_hint("NAME=COLUMN, NAME as Keras calls it, or the columns in their order");
    return status;
  }
  return CO_OK;
}

static co_status choose_names(finish *f) {
  keras_network *net = f->net;
  const co_keras_options *o = net->options;
  const int64_t count = net->input_count + net->output_count;
  CO_RETURN_IF_FAILED(
      check_given(o->inputs, o->input_count, net->inputs, net->input_count, "--input"));
  CO_RETURN_IF_FAILED(
      check_given(o->shapes, o->shape_count, net->inputs, net->input_count, "--input-shape"));
  CO_RETURN_IF_FAILED(
      check_given(o->outputs, o->output_count, net->outputs, net->output_count, "--output"));
  for (int64_t i = 0; i < count; i++) {
    keras_port *port = i < net->input_count ? &net->inputs[i] : &net->outputs[i - net->input_count];
    CO_RETURN_IF_FAILED(name_port(f, port));
    for (int64_t k = 0; k < i; k++) {
      const keras_port *other =
          k < net->input_count ? &net->inputs[k] : &net->outputs[k - net->input_count];
      if (strcmp(port->name, other->name) != 0) continue;
      co_status status = co_fail(CO_ERR_USAGE, "two columns are called '%.100s'", port->name);
      co_hint("--output NAME");
      return status;
    }
  }
  return CO_OK;
}

// ---- the config --------------------------------------------------------------------------------

static void key(co_json *json, const char *name, const char *text) {
  co_json_key(json, name);
  co_json_string(json, text);
}

static const char *value_name(const finish *f, int64_t value) {
  const int64_t item = item_of(f, value);
  return item < 0 ? f->net->inputs[-1 - item].name : f->net->items[item].name;
}

static void render_inputs(const finish *f, co_json *json, const int64_t *in, int64_t count) {
  co_json_key(json, "inputs");
  co_json_open(json, '[');
  for (int64_t k = 0; k < count; k++)
    co_json_string(json, value_name(f, in[k]));
  co_json_close(json);
}

// `before`: the item that stands before it in its list, -1 if it is the first.
static co_status render_item(const finish *f, co_json *json, int64_t i, int64_t before) {
  const keras_item *item = &f->net->items[i];
  const bool next =
      before < 0 ? !f->joined : item->in_count == 1 && item_of(f, item->in[0]) == before;
  co_json_open(json, '{');
  co_json_key(json, item->shared ? "shared" : item->class_);
  if (item->shared) {
    co_json_string(json, item->shared);
  } else {
    char *options = co_arena_strdup(f->arena, item->options);
    if (item->activation)
      options = co_arena_format(f->arena, "%s%s\"activation\": \"%s\"", item->options,
                                *item->options ? ", " : "", item->activation);
    options = options ? co_arena_format(f->arena, "{%s}", options) : NULL;
    if (!options) return CO_ERR_MEMORY;
    co_json_raw(json, options);
  }
  key(json, "name", item->name);
  if (!next) render_inputs(f, json, item->in, item->in_count);
  if (!item->trainable && !item->shared) {
    co_json_key(json, "trainable");
    co_json_bool(json, false);
  }
  co_json_close(json);
  return CO_OK;
}

// The items of an owner; of an output without any, one that gives on what it gets.
static co_status render_layers(const finish *f, co_json *json, int64_t owner) {
  int64_t before = -1;
  co_json_key(json, "type");
  co_json_string(json, "graph");
  co_json_key(json, "layers");
  co_json_open(json, '[');
  for (int64_t i = 0; i < f->net->item_count; i++) {
    if (f->owner[i] != owner) continue;
    CO_RETURN_IF_FAILED(render_item(f, json, i, before));
    before = i;
  }
  if (before < 0 && owner >= 0) {
    const keras_port *output = &f->net->outputs[owner];
    const char *name = co_arena_format(f->arena, "%s.given", output->name);
    if (!name) return CO_ERR_MEMORY;
    co_json_open(json, '{');
    key(json, "Activation", "linear");
    if (f->joined) key(json, "name", name);
    if (f->joined) render_inputs(f, json, &output->value, 1);
    co_json_close(json);
  }
  co_json_close(json);
  return CO_OK;
}

static bool has_items(const finish *f, int64_t owner) {
  for (int64_t i = 0; i < f->net->item_count; i++)
    if (f->owner[i] == owner) return true;
  return false;
}

static const char *input_type(const finish *f, const keras_port *input) {
  const co_shape *shape = &f->net->values[input->value].shape;
  return shape->rank == 3 ? "image" : co_shape_count(shape) > 1 ? "vector" : "number";
}

static co_status render_input(const finish *f, co_json *json, const keras_port *input) {
  const char *indices = co_arena_format(f->arena, "{\"size\": %lld}", (long long)input->indices);
  if (!indices) return CO_ERR_MEMORY;
  co_json_open(json, '{');
  key(json, "name", input->name);
  key(json, "type", input->indices ? "index" : input_type(f, input));
  co_json_key(json, "preprocessing");
  co_json_raw(json, input->indices ? indices : "{\"normalization\": \"none\"}");
  co_json_key(json, "encoder");
  if (!f->joined && has_items(f, TRUNK)) {
    co_json_open(json, '{');
    CO_RETURN_IF_FAILED(render_layers(f, json, TRUNK));
    co_json_close(json);
  } else { // passthrough makes vectors of images
    co_json_raw(json, strcmp(input_type(f, input), "image") == 0
                          ? "{\"type\": \"graph\", \"layers\": [{\"Activation\": \"linear\"}]}"
                          : "{\"type\": \"passthrough\"}");
  }
  co_json_close(json);
  return CO_OK;
}

static co_status render(const finish *f, co_json *json) {
  const keras_network *net = f->net;
  co_json_open(json, '{');
  co_json_key(json, "input_features");
  co_json_open(json, '[');
  for (int64_t i = 0; i < net->input_count; i++)
    CO_RETURN_IF_FAILED(render_input(f, json, &net->inputs[i]));
  co_json_close(json);
  if (f->joined) {
    co_json_key(json, "combiner");
    co_json_open(json, '{');
    CO_RETURN_IF_FAILED(render_layers(f, json, TRUNK));
    co_json_close(json);
  }
  co_json_key(json, "output_features");
  co_json_open(json, '[');
  for (int64_t i = 0; i < net->output_count; i++) {
    co_json_open(json, '{');
    key(json, "name", net->outputs[i].name);
    co_json_key(json, "decoder");
    co_json_open(json, '{');
    CO_RETURN_IF_FAILED(render_layers(f, json, i));
    co_json_close(json);
    co_json_close(json);
  }
  co_json_close(json);
  co_json_close(json);
  return json->text.status;
}

// ---- schema and weights ------------------------------------------------------------------------

static co_column input_column(const finish *f, const keras_port *input) {
  const co_shape *shape = &f->net->values[input->value].shape;
  co_column column = {.name = input->name,
                      .type = (co_column_type)co_column_type_parse(input_type(f, input)),
                      .role = CO_ROLE_INPUT,
                      .any = input->any && f->net->input_count == 1};
  if (column.type == CO_COLUMN_IMAGE) column.shape = *shape;
  if (column.type == CO_COLUMN_VECTOR) column.shape = co_shape_make(1, co_shape_count(shape));
  return column;
}

// Classes are called 0, 1, ….
static co_status output_column(const finish *f, int64_t output, co_column *out) {
  const head *made = &f->heads[output];
  *out =
      (co_column){.name = f->net->outputs[output].name, .type = made->type, .role = CO_ROLE_TARGET};
  if (made->type == CO_COLUMN_VECTOR) out->shape = co_shape_make(1, made->width);
  if (made->type != CO_COLUMN_CATEGORY) return CO_OK;
  if (made->width > KERAS_MOST_WIDTH) return refuse(f, "an output has far too many classes");
  const char **names = co_arena_alloc(f->arena, (size_t)made->width, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < made->width; i++)
    if (!(names[i] = co_arena_format(f->arena, "%lld", (long long)i))) return CO_ERR_MEMORY;
  out->categories = names;
  out->category_count = made->width;
  return CO_OK;
}

static co_status make_schema(const finish *f, co_schema *out) {
  const int64_t inputs = f->net->input_count, count = inputs + f->net->output_count;
  co_column *columns = co_arena_alloc(f->arena, (size_t)count, sizeof *columns);
  if (!columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    if (i < inputs)
      columns[i] = input_column(f, &f->net->inputs[i]);
    else
      CO_RETURN_IF_FAILED(output_column(f, i - inputs, &columns[i]));
    columns[i].dtype = co_column_type_dtype(columns[i].type);
  }
  *out = (co_schema){.column_count = count, .columns = columns};
  return CO_OK;
}

static const char *scope_of(const finish *f, int64_t item) {
  if (f->owner[item] >= 0) return f->net->outputs[f->owner[item]].name;
  return f->joined ? "combiner" : f->net->inputs[0].name;
}

static co_status name_weights(const finish *f, co_keras_model *out) {
  const keras_network *net = f->net;
  co_keras_weight *made = co_arena_alloc(f->arena, (size_t)net->weight_count + 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < net->weight_count; i++) {
    const keras_item_weight *weight = &net->weights[i];
    const keras_item *item = &net->items[weight->item];
    made[i] =
        (co_keras_weight){.name = co_arena_format(f->arena, "%s/%s/%s", scope_of(f, weight->item),
                                                  item->name, weight->name),
                          .shape = weight->shape,
                          .values = weight->values,
                          .layer = item->layer};
    if (!made[i].name) return CO_ERR_MEMORY;
  }
  out->weights = made;
  out->weight_count = net->weight_count;
  return CO_OK;
}

co_status keras_finish(keras_network *net, co_keras_model *out) {
  finish f = {.net = net, .arena = net->arena};
  co_json json;
  CO_RETURN_IF_FAILED(choose_names(&f));
  CO_RETURN_IF_FAILED(look(&f));
  for (int64_t i = 0; i < net->output_count; i++) {
    CO_RETURN_IF_FAILED(drop_last_dropouts(&f, &net->outputs[i]));
    choose_target(&f, &net->outputs[i], &f.heads[i]);
  }
  CO_RETURN_IF_FAILED(check_items(&f));
  for (int64_t i = 0; i < net->output_count; i++)
    choose_head(&f, i);
  co_json_init(&json, co_arena_context(net->arena), 0);
  co_status status = render(&f, &json);
  if (status == CO_OK && !(out->config = co_arena_strdup(net->arena, json.text.data)))
    status = CO_ERR_MEMORY;
  co_json_free(&json);
  CO_RETURN_IF_FAILED(status);
  out->version = net->file->version;
  out->layer_count = net->layer_count;
  out->left_out = net->left_out;
  out->left_out_count = net->left_out_count;
  CO_RETURN_IF_FAILED(make_schema(&f, &out->schema));
  return name_weights(&f, out);
}

co_status co_keras_read(co_keras_model *out, co_arena *arena, const char *path,
                        const co_keras_options *options) {
  keras_file file = {.h5 = NULL};
  *out = (co_keras_model){.version = NULL};
  co_status status = keras_file_open(&file, arena, path);
  keras_network *net = co_arena_alloc(arena, 1, sizeof *net);
  if (!net) status = CO_ERR_MEMORY;
  if (status == CO_OK) {
    *net = (keras_network){.file = &file, .arena = arena, .options = options};
    status = keras_build(net);
  }
  if (status == CO_OK) status = keras_finish(net, out);
  keras_file_close(&file);
  return status;
}
