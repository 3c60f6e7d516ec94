// SPDX-License-Identifier: Apache-2.0
// The network as a config: what comes before the last product is the encoder of the input, that and what
// follows the head of the output, so that another head can take its place.
#include <string.h>

#include "host/persist/keras/keras_private.h"

typedef struct finish {
  keras_network *net;
  co_arena *arena;
  const co_keras_options *options;
  const char *input, *output; // names of the columns
  int64_t head;               // the first item of the head
  const char *activation;     // that the output makes of its values: softmax, sigmoid, or NULL
  co_column_type type;        // of the target
  int64_t width;
} finish;

static co_status refuse(const finish *f, const char *what) {
  return co_fail_at(CO_ERR_MODEL, f->net->file->path, 0, 0, "%s", what);
}

static bool is_class(const keras_item *item, const char *class_) {
  return strcmp(item->class_, class_) == 0;
}

// Dropouts behind probabilities do nothing where rows are scored, and have no place before a loss.
static co_status drop_last_dropouts(finish *f) {
  keras_network *net = f->net;
  int64_t last = net->item_count - 1;
  while (last > 0 && is_class(&net->items[last], "Dropout"))
    last--;
  const char *activation = net->items[last].activation;
  const bool one = co_shape_count(&net->values[net->output].shape) == 1;
  if (last == net->item_count - 1 || !activation ||
      (strcmp(activation, "softmax") != 0 && !(one && strcmp(activation, "sigmoid") == 0)))
    return CO_OK;
  for (int64_t i = last + 1; i < net->item_count; i++) {
    const keras_layer layer = {.name = net->items[i].layer, .class_ = "Dropout"};
    CO_RETURN_IF_FAILED(keras_leave_out(net, &layer, "stands behind the output"));
  }
  net->item_count = last + 1;
  for (int64_t v = 0; v < net->value_count; v++)
    if (net->values[v].item == last) net->output = v;
  return CO_OK;
}

// What the target is, by the network's last function.
static co_status choose_target(finish *f) {
  keras_network *net = f->net;
  keras_item *last = &net->items[net->item_count - 1];
  const co_shape *shape = &net->values[net->output].shape;
  f->width = co_shape_count(shape);
  const bool flat = shape->rank == 1;
  const bool softmax = last->activation && strcmp(last->activation, "softmax") == 0;
  const bool sigmoid = last->activation && strcmp(last->activation, "sigmoid") == 0;
  if (net->values[net->output].item != net->item_count - 1)
    return refuse(f, "its output is not its last layer");
  f->type = flat && softmax && f->width > 1    ? CO_COLUMN_CATEGORY
            : flat && sigmoid && f->width == 1 ? CO_COLUMN_BINARY
            : f->width == 1                    ? CO_COLUMN_NUMBER
                                               : CO_COLUMN_VECTOR;
  if (f->type != CO_COLUMN_CATEGORY && f->type != CO_COLUMN_BINARY) return CO_OK;
  f->activation = last->activation;
  last->activation = is_class(last, "Activation") ? "linear" : NULL;
  return CO_OK;
}

static co_status check_activations(const finish *f) {
  for (int64_t i = 0; i < f->net->item_count; i++) {
    const keras_item *item = &f->net->items[i];
    if (item->activation && strcmp(item->activation, "softmax") == 0)
      return co_fail_at(
          CO_ERR_MODEL, f->net->file->path, 0, 0,
          "layer '%.100s': a softmax is possible of several units at the output alone",
          item->layer);
  }
  return CO_OK;
}

// From the last Dense on, where nothing but functions follow and each reads the one before.
static void choose_head(finish *f) {
  const keras_network *net = f->net;
  int64_t at = net->item_count - 1;
  for (f->head = net->item_count; at > 0; at--) {
    const keras_item *item = &net->items[at];
    if (item->in_count != 1 || net->values[item->in[0]].item != at - 1 || item->shared) return;
    if (is_class(item, "Dense")) {
      f->head = at;
      return;
    }
    if (!is_class(item, "Activation") && !is_class(item, "Dropout") && !is_class(item, "ReLU") &&
        !is_class(item, "LeakyReLU") && !is_class(item, "ELU"))
      return;
  }
  if (net->item_count && is_class(&net->items[0], "Dense") && !net->items[0].shared) f->head = 0;
}

// ---- names -------------------------------------------------------------------------------------

// A name of a column: no path.
static const char *column_name(const finish *f, const char *given, const char *otherwise) {
  char *name = co_arena_strdup(f->arena, given ? given : otherwise);
  for (char *at = name; at && !given && *at; at++)
    if (*at == '/') *at = '.';
  return name;
}

static co_status choose_names(finish *f) {
  f->input = column_name(f, f->options->column, f->net->input);
  f->output = column_name(f, f->options->output, f->net->output_name);
  if (!f->input || !f->output) return CO_ERR_MEMORY;
  if (strcmp(f->input, f->output) != 0) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "input and output are both called '%.100s'", f->input);
  co_hint("--output NAME");
  return status;
}

// ---- the config --------------------------------------------------------------------------------

static void key(co_json *json, const char *name, const char *text) {
  co_json_key(json, name);
  co_json_string(json, text);
}

static const char *value_name(const finish *f, int64_t value) {
  const int64_t item = f->net->values[value].item;
  return item < 0 ? f->input : f->net->items[item].name;
}

static co_status render_item(const finish *f, co_json *json, int64_t i, int64_t first) {
  const keras_item *item = &f->net->items[i];
  const bool next = item->in_count == 1 && f->net->values[item->in[0]].item == i - 1;
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
  if (!next && i > first) {
    co_json_key(json, "inputs");
    co_json_open(json, '[');
    for (int64_t k = 0; k < item->in_count; k++)
      co_json_string(json, value_name(f, item->in[k]));
    co_json_close(json);
  }
  if (!item->trainable && !item->shared) {
    co_json_key(json, "trainable");
    co_json_bool(json, false);
  }
  co_json_close(json);
  return CO_OK;
}

static co_status render_layers(const finish *f, co_json *json, const char *where, int64_t begin,
                               int64_t end) {
  co_json_key(json, where);
  co_json_open(json, '{');
  key(json, "type", "graph");
  co_json_key(json, "layers");
  co_json_open(json, '[');
  for (int64_t i = begin; i < end; i++)
    CO_RETURN_IF_FAILED(render_item(f, json, i, begin));
  if (begin == end) { // a head that gives on what it gets
    co_json_open(json, '{');
    key(json, "Activation", "linear");
    co_json_close(json);
  }
  co_json_close(json);
  co_json_close(json);
  return CO_OK;
}

static const char *input_type(const finish *f) {
  const co_shape *shape = &f->net->values[0].shape;
  return shape->rank == 3 ? "image" : co_shape_count(shape) > 1 ? "vector" : "number";
}

static co_status render(const finish *f, co_json *json) {
  co_json_open(json, '{');
  co_json_key(json, "input_features");
  co_json_open(json, '[');
  co_json_open(json, '{');
  key(json, "name", f->input);
  key(json, "type", input_type(f));
  co_json_key(json, "preprocessing");
  co_json_raw(json, "{\"normalization\": \"none\"}");
  if (f->head > 0) {
    CO_RETURN_IF_FAILED(render_layers(f, json, "encoder", 0, f->head));
  } else {
    co_json_key(json, "encoder");
    co_json_raw(json, "{\"type\": \"passthrough\"}");
  }
  co_json_close(json);
  co_json_close(json);
  co_json_key(json, "output_features");
  co_json_open(json, '[');
  co_json_open(json, '{');
  key(json, "name", f->output);
  CO_RETURN_IF_FAILED(render_layers(f, json, "decoder", f->head, f->net->item_count));
  co_json_close(json);
  co_json_close(json);
  co_json_close(json);
  return json->text.status;
}

// ---- schema and weights ------------------------------------------------------------------------

static co_status make_schema(const finish *f, co_schema *out) {
  co_column *columns = co_arena_alloc(f->arena, 2, sizeof *columns);
  if (!columns) return CO_ERR_MEMORY;
  const co_shape *shape = &f->net->values[0].shape;
  const char *type = input_type(f);
  columns[0] = (co_column){.name = f->input,
                           .type = (co_column_type)co_column_type_parse(type),
                           .role = CO_ROLE_INPUT,
                           .any = !f->options->column};
  if (columns[0].type == CO_COLUMN_IMAGE) columns[0].shape = *shape;
  if (columns[0].type == CO_COLUMN_VECTOR)
    columns[0].shape = co_shape_make(1, co_shape_count(shape));
  columns[1] = (co_column){.name = f->output, .type = f->type, .role = CO_ROLE_TARGET};
  if (f->type == CO_COLUMN_VECTOR) columns[1].shape = co_shape_make(1, f->width);
  if (f->type == CO_COLUMN_CATEGORY) {
    const char **names = co_arena_alloc(f->arena, (size_t)f->width, sizeof *names);
    if (!names) return CO_ERR_MEMORY;
    for (int64_t i = 0; i < f->width; i++)
      if (!(names[i] = co_arena_format(f->arena, "%lld", (long long)i))) return CO_ERR_MEMORY;
    columns[1].categories = names;
    columns[1].category_count = f->width;
  }
  for (int i = 0; i < 2; i++)
    columns[i].dtype = co_column_type_dtype(columns[i].type);
  *out = (co_schema){.column_count = 2, .columns = columns};
  return CO_OK;
}

static co_status name_weights(const finish *f, co_keras_model *out) {
  const keras_network *net = f->net;
  co_keras_weight *made = co_arena_alloc(f->arena, (size_t)net->weight_count + 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < net->weight_count; i++) {
    const keras_item_weight *weight = &net->weights[i];
    const keras_item *item = &net->items[weight->item];
    made[i] = (co_keras_weight){
        .name = co_arena_format(f->arena, "%s/%s/%s", weight->item < f->head ? f->input : f->output,
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

co_status keras_finish(keras_network *net, const co_keras_options *options, co_keras_model *out) {
  finish f = {.net = net, .arena = net->arena, .options = options};
  co_json json;
  CO_RETURN_IF_FAILED(choose_names(&f));
  CO_RETURN_IF_FAILED(drop_last_dropouts(&f));
  CO_RETURN_IF_FAILED(choose_target(&f));
  CO_RETURN_IF_FAILED(check_activations(&f));
  choose_head(&f);
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
  keras_network net = {.file = &file, .arena = arena, .scale = options->scale};
  if (status == CO_OK) status = keras_build(&net);
  if (status == CO_OK) status = keras_finish(&net, options, out);
  keras_file_close(&file);
  return status;
}
