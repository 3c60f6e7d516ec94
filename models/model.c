// SPDX-License-Identifier: Apache-2.0
#include "models/model.h"

#include <string.h>

#include "host/core/rng.h"
#include "host/graph/metric/metric.h"
#include "models/encoders.h"
#include "models/layers.h"

// ---- features ----------------------------------------------------------------------------------

static const char *const normalizations[] = {"none", "scale", "zscore", "minmax", NULL};

typedef struct input_options {
  const char *name;
  const char *type; // checked against the column
  const co_node *preprocessing, *augmentation, *encoder;
} input_options;

static const co_field input_fields[] = {
    {"name", CO_FIELD_STRING, offsetof(input_options, name), NULL, 0, 0, NULL,
     "A column of the dataset.", "column"},
    {"type", CO_FIELD_STRING, offsetof(input_options, type), "null", 0, 0, NULL,
     "Checked against the column's type.", NULL},
    {"preprocessing", CO_FIELD_NODE, offsetof(input_options, preprocessing), "null", 0, 0, NULL,
     "How stored values become inputs.", NULL},
    {"augmentation", CO_FIELD_NODE, offsetof(input_options, augmentation), "null", 0, 0, NULL,
     "Random changes of images in training.", NULL},
    {"encoder", CO_FIELD_NODE, offsetof(input_options, encoder), "null", 0, 0, NULL,
     "Layers from the input to features: {type: …}; `cohort help encoders`.", NULL},
    {.key = NULL}};

typedef struct preprocessing_options {
  int normalization;
} preprocessing_options;

static const co_field image_preprocessing_fields[] = {
    {"normalization", CO_FIELD_ENUM, offsetof(preprocessing_options, normalization), "scale", 0, 0,
     normalizations, "scale: pixel / 255; zscore and minmax: fitted per channel.", NULL},
    {.key = NULL}};
static const co_field number_preprocessing_fields[] = {
    {"normalization", CO_FIELD_ENUM, offsetof(preprocessing_options, normalization), "zscore", 0, 0,
     normalizations, "zscore and minmax: fitted on the training rows.", NULL},
    {.key = NULL}};

typedef struct augmentation_options {
  double flip;
  int64_t crop;
} augmentation_options;

static const co_field augmentation_fields[] = {
    {"flip", CO_FIELD_DOUBLE, offsetof(augmentation_options, flip), "0.0", 0, 1, NULL,
     "Probability of a left-right mirror image.", NULL},
    {"crop", CO_FIELD_INT, offsetof(augmentation_options, crop), "0", 0, 1024, NULL,
     "Largest random shift in pixels.", NULL},
    {.key = NULL}};

typedef struct output_options {
  const char *name, *type;
  const co_node *loss, *decoder;
  double weight;
} output_options;

static const co_field output_fields[] = {
    {"name", CO_FIELD_STRING, offsetof(output_options, name), NULL, 0, 0, NULL,
     "A target column of the dataset.", "column"},
    {"type", CO_FIELD_STRING, offsetof(output_options, type), "null", 0, 0, NULL,
     "Checked against the column's type.", NULL},
    {"loss", CO_FIELD_NODE, offsetof(output_options, loss), "null", 0, 0, NULL,
     "{type: …}; by the target's type if absent.", NULL},
    {"decoder", CO_FIELD_NODE, offsetof(output_options, decoder), "null", 0, 0, NULL,
     "Layers in place of one Dense layer, as an encoder: {type: graph, layers: […]}.", NULL},
    {"weight", CO_FIELD_DOUBLE, offsetof(output_options, weight), "1.0", 0, 1e9, NULL,
     "Factor of this output in the total loss.", NULL},
    {.key = NULL}};

typedef struct loss_options {
  const char *type;
} loss_options;

static const co_field loss_fields[] = {
    {"type", CO_FIELD_STRING, offsetof(loss_options, type), NULL, 0, 0, NULL, "Which loss.", NULL},
    {.key = NULL}};

// What building needs at hand.
typedef struct builder {
  co_model *model;
  const co_schema *schema;
  co_diagnostics *problems;
} builder;

static co_status copy_column(co_model *model, const co_column *from, co_column *out) {
  *out = *from;
  out->name = co_arena_strdup(model->arena, from->name);
  const char **names =
      co_arena_alloc(model->arena, (size_t)from->category_count + 1, sizeof *names);
  if (!out->name || !names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < from->category_count; i++) {
    names[i] = co_arena_strdup(model->arena, from->categories[i]);
    if (!names[i]) return CO_ERR_MEMORY;
  }
  out->categories = names;
  return CO_OK;
}

// Finds a feature's column and checks type and role; a problem leaves *out NULL.
static co_status find_column(builder *b, const co_node *item, const char *path, const char *name,
                             const char *type, const co_column **out) {
  *out = NULL;
  const co_column *column = co_schema_find(b->schema, name);
  const co_node *at = co_node_get(item, "name") ? co_node_get(item, "name") : item;
  if (!column) {
    const char *names[256];
    int64_t count = b->schema->column_count < 256 ? b->schema->column_count : 256;
    for (int64_t i = 0; i < count; i++)
      names[i] = b->schema->columns[i].name;
    const char *near = co_nearest(name, names, count);
    return co_node_problem(b->problems, at, "`cohort inspect DATASET` lists the columns",
                           "%s.name: the dataset has no column '%s'%s%s%s", path, name,
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
  }
  if (column->role == CO_ROLE_IGNORE)
    return co_node_problem(b->problems, at, "give the column another role in the dataset",
                           "%s.name: column '%s' has role ignore", path, name);
  if (type && strcmp(type, co_column_type_name(column->type)) != 0)
    return co_node_problem(b->problems, at, NULL, "%s.type: column '%s' is of type %s, not %s",
                           path, name, co_column_type_name(column->type), type);
  // Layers are named after their feature: equal names would tie weights that have nothing to do
  // with each other.
  if (strcmp(name, "combiner") == 0)
    return co_node_problem(b->problems, at, "give the column another name in the dataset",
                           "%s.name: a feature cannot be called 'combiner', the joining layers are",
                           path);
  *out = column;
  return CO_OK;
}

// The list behind `input_features` or `output_features`: `word` (all, targets) stands for one item
// per column of `role`.
static co_status list_features(builder *b, const char *key, const char *word, co_role role,
                               const co_node **out) {
  const co_node *node = co_node_get(b->model->config, key);
  if (node && node->kind == CO_NODE_LIST) {
    *out = node;
    return CO_OK;
  }
  *out = NULL;
  if (node && !(node->kind == CO_NODE_SCALAR && strcmp(node->text, word) == 0))
    return co_node_problem(b->problems, node, NULL, "%s: must be a list, or `%s`", key, word);
  co_text text;
  co_text_init(&text, b->model->ctx);
  co_text_printf(&text, "[");
  for (int64_t i = 0; i < b->schema->column_count; i++) {
    if (b->schema->columns[i].role != role) continue;
    co_json name; // a JSON string is a YAML string
    co_json_init(&name, b->model->ctx, 0);
    co_json_string(&name, b->schema->columns[i].name);
    if (name.text.status != CO_OK) text.status = name.text.status;
    co_text_printf(&text, "{name: %s}, ", name.text.data ? name.text.data : "");
    co_json_free(&name);
  }
  co_text_printf(&text, "]");
  co_node *made = NULL;
  co_status status = text.status;
  if (status == CO_OK)
    status = co_yaml_parse(&made, b->model->arena, key, text.data, text.length, b->problems);
  co_text_free(&text);
  *out = made;
  return status;
}

static co_status read_input(builder *b, const co_node *item, const char *path,
                            co_input_feature *feature) {
  input_options options;
  int64_t before = b->problems->count;
  if (co_node_get(item, "select"))
    return co_node_problem(b->problems, item, "name the columns one by one",
                           "%s.select: selectors are not there yet", path);
  CO_RETURN_IF_FAILED(
      co_fields_parse(&options, input_fields, item, path, b->model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  const co_column *column;
  CO_RETURN_IF_FAILED(find_column(b, item, path, options.name, options.type, &column));
  if (!column) return CO_OK;
  if (column->role == CO_ROLE_TARGET || column->type == CO_COLUMN_CATEGORY)
    return co_node_problem(b->problems, item, NULL,
                           column->role == CO_ROLE_TARGET
                               ? "%s: '%s' is a target, it cannot be an input"
                               : "%s: '%s' is a category; category inputs are not there yet",
                           path, column->name);
  CO_RETURN_IF_FAILED(copy_column(b->model, column, &feature->column));
  feature->name = feature->column.name;
  feature->encoder = options.encoder;
  bool image = column->type == CO_COLUMN_IMAGE;
  feature->channels = column->shape.rank ? column->shape.dim[column->shape.rank - 1] : 1;
  preprocessing_options preprocessing;
  augmentation_options augmentation;
  char *sub = co_arena_format(b->model->arena, "%s.preprocessing", path);
  char *random = co_arena_format(b->model->arena, "%s.augmentation", path);
  if (!sub || !random) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_fields_parse(
      &preprocessing, image ? image_preprocessing_fields : number_preprocessing_fields,
      options.preprocessing, sub, b->model->arena, b->problems));
  CO_RETURN_IF_FAILED(co_fields_parse(&augmentation, augmentation_fields, options.augmentation,
                                      random, b->model->arena, b->problems));
  feature->normalization = preprocessing.normalization;
  feature->flip = augmentation.flip;
  feature->crop = augmentation.crop;
  if (!image && feature->normalization == CO_NORMALIZATION_SCALE)
    return co_node_problem(b->problems, options.preprocessing, NULL,
                           "%s.normalization: scale is for images; use zscore or minmax", sub);
  if (!image && (feature->flip > 0 || feature->crop > 0))
    return co_node_problem(b->problems, options.augmentation, NULL,
                           "%s: only images can be flipped and cropped", random);
  return CO_OK;
}

static co_status read_inputs(builder *b) {
  const co_node *list;
  CO_RETURN_IF_FAILED(list_features(b, "input_features", "all", CO_ROLE_INPUT, &list));
  co_model *model = b->model;
  int64_t count = list ? list->count : 0;
  model->inputs = co_arena_alloc(model->arena, (size_t)count + 1, sizeof *model->inputs);
  if (!model->inputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    char *path = co_arena_format(model->arena, "input_features[%lld]", (long long)i);
    if (!path) return CO_ERR_MEMORY;
    int64_t before = b->problems->count;
    co_input_feature *feature = &model->inputs[model->input_count];
    CO_RETURN_IF_FAILED(read_input(b, list->items[i], path, feature));
    for (int64_t k = 0; b->problems->count == before && k < model->input_count; k++)
      if (strcmp(model->inputs[k].name, feature->name) == 0)
        CO_RETURN_IF_FAILED(co_node_problem(b->problems, list->items[i], NULL,
                                            "%s: '%s' is listed twice", path, feature->name));
    if (b->problems->count == before) model->input_count++;
  }
  if (list && !count)
    return co_node_problem(b->problems, list, NULL, "input_features: there is no input");
  return CO_OK;
}

// The network takes the weights of a target's rows by a name of their own.
static co_status check_input_names(builder *b) {
  static const char end[] = ".weight";
  const co_model *model = b->model;
  for (int64_t i = 0; i < model->input_count; i++)
    for (int64_t k = 0; k < model->output_count; k++) {
      const char *input = model->inputs[i].name, *output = model->outputs[k].name;
      size_t length = strlen(output);
      if (strncmp(input, output, length) == 0 && strcmp(input + length, end) == 0)
        CO_RETURN_IF_FAILED(co_node_problem(
            b->problems, NULL, "give the column another name in the dataset",
            "input_features: an input cannot be called '%s', beside a target '%s'", input, output));
    }
  return CO_OK;
}

static bool loss_takes(const co_loss_class *loss, co_column_type type) {
  return (type == CO_COLUMN_CATEGORY && loss->category) ||
         (type == CO_COLUMN_NUMBER && loss->number) || (type == CO_COLUMN_VECTOR && loss->vector);
}

// What another program calls a loss is no edit away from what it is called here.
static const char *nearest_loss(const char *name) {
  const char *names[64];
  int64_t count = 0;
  for (; co_loss_list()[count] && count < 64; count++) {
    names[count] = co_loss_list()[count]->name;
    for (int k = 0; co_loss_list()[count]->elsewhere && co_loss_list()[count]->elsewhere[k]; k++)
      if (strcmp(co_loss_list()[count]->elsewhere[k], name) == 0) return names[count];
  }
  return co_nearest(name, names, count);
}

static co_status unknown_loss(builder *b, const co_node *node, const char *path, const char *name) {
  const char *near = nearest_loss(name);
  co_text known;
  co_text_init(&known, b->model->ctx);
  for (int i = 0; co_loss_list()[i]; i++)
    co_text_printf(&known, "%s%s", i ? ", " : "known: ", co_loss_list()[i]->name);
  const co_node *type = co_node_get(node, "type");
  co_status status = co_node_problem(
      b->problems, type ? type : node, known.data, "%s.type: unknown loss '%s'%s%s%s", path, name,
      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
  co_text_free(&known);
  return status;
}

static co_status read_loss(builder *b, const co_node *node, const char *path,
                           co_output_feature *feature) {
  feature->loss = co_loss_default(feature->column.type);
  if (!node || node->kind == CO_NODE_NULL) return CO_OK;
  loss_options options;
  int64_t before = b->problems->count;
  CO_RETURN_IF_FAILED(
      co_fields_parse(&options, loss_fields, node, path, b->model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  const co_loss_class *loss = co_loss_find(options.type);
  if (!loss) return unknown_loss(b, node, path, options.type);
  feature->loss = loss;
  if (loss_takes(loss, feature->column.type)) return CO_OK;
  return co_node_problem(b->problems, node, NULL, "%s.type: %s does not fit the %s target '%s'",
                         path, loss->name, co_column_type_name(feature->column.type),
                         feature->name);
}

static co_status read_output(builder *b, const co_node *item, const char *path,
                             co_output_feature *feature) {
  output_options options;
  int64_t before = b->problems->count;
  CO_RETURN_IF_FAILED(
      co_fields_parse(&options, output_fields, item, path, b->model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  const co_column *column;
  CO_RETURN_IF_FAILED(find_column(b, item, path, options.name, options.type, &column));
  if (!column) return CO_OK;
  if (column->role != CO_ROLE_TARGET)
    return co_node_problem(b->problems, item, NULL, "%s: '%s' is not a target but has role %s",
                           path, column->name, co_role_name(column->role));
  if (column->type == CO_COLUMN_IMAGE)
    return co_node_problem(b->problems, item, NULL, "%s: image targets are not there yet", path);
  CO_RETURN_IF_FAILED(copy_column(b->model, column, &feature->column));
  feature->name = feature->column.name;
  feature->decoder = options.decoder;
  feature->weight = options.weight;
  char *loss = co_arena_format(b->model->arena, "%s.loss", path);
  return loss ? read_loss(b, options.loss, loss, feature) : CO_ERR_MEMORY;
}

static co_status read_outputs(builder *b) {
  const co_node *list;
  CO_RETURN_IF_FAILED(list_features(b, "output_features", "targets", CO_ROLE_TARGET, &list));
  co_model *model = b->model;
  int64_t count = list ? list->count : 0;
  model->outputs = co_arena_alloc(model->arena, (size_t)count + 1, sizeof *model->outputs);
  if (!model->outputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    char *path = co_arena_format(model->arena, "output_features[%lld]", (long long)i);
    if (!path) return CO_ERR_MEMORY;
    int64_t before = b->problems->count;
    co_output_feature *feature = &model->outputs[model->output_count];
    CO_RETURN_IF_FAILED(read_output(b, list->items[i], path, feature));
    for (int64_t k = 0; b->problems->count == before && k < model->output_count; k++)
      if (strcmp(model->outputs[k].name, feature->name) == 0)
        CO_RETURN_IF_FAILED(co_node_problem(b->problems, list->items[i], NULL,
                                            "%s: '%s' is listed twice", path, feature->name));
    if (b->problems->count == before) model->output_count++;
  }
  if (list && !count)
    return co_node_problem(b->problems, list, NULL, "output_features: there is no output");
  return CO_OK;
}

// ---- network -----------------------------------------------------------------------------------

static co_status network_input(co_model *model, co_input_feature *feature) {
  co_shape shape = {.rank = feature->column.shape.rank + 1, .dim = {CO_DIM_N}};
  for (int i = 0; i < feature->column.shape.rank; i++)
    shape.dim[i + 1] = feature->column.shape.dim[i];
  if (shape.rank == 1) shape = co_shape_make(2, CO_DIM_N, (int64_t)1); // a number is one feature
  return co_graph_add_input(model->network, feature->name, CO_F32, &shape, &feature->network_input);
}

static co_status encode(builder *b, int64_t i, co_value *out) {
  co_model *model = b->model;
  co_input_feature *feature = &model->inputs[i];
  const co_node *layers;
  int64_t before = b->problems->count;
  char *path = co_arena_format(model->arena, "input_features.%s.encoder", feature->name);
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(network_input(model, feature));
  *out = feature->network_input;
  CO_RETURN_IF_FAILED(co_encoder_expand(&layers, feature->encoder, path, feature->column.type,
                                        model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  char *layers_path = co_arena_format(model->arena, "%s.layers", path);
  if (!layers_path) return CO_ERR_MEMORY;
  co_named_value self = {feature->name, feature->network_input};
  co_layer_list_options options = {feature->name, &self, 1, feature->network_input};
  return co_layer_list_build(model->network, layers, layers_path, &options, model->arena,
                             b->problems, out);
}

typedef struct combiner_options {
  int type;
  const co_node *layers;
} combiner_options;

static const char *const combiner_words[] = {"concat", "add", "graph", NULL};

static const co_field combiner_fields[] = {
    {"type", CO_FIELD_ENUM, offsetof(combiner_options, type), "concat", 0, 0, combiner_words,
     "How encoded inputs are joined.", NULL},
    {"layers", CO_FIELD_NODE, offsetof(combiner_options, layers), "null", 0, 0, NULL,
     "Layers after joining; for graph, layers that name the inputs.", NULL},
    {.key = NULL}};

static co_status combine_layers(builder *b, const co_node *layers, const co_value *encoded,
                                co_value input, co_value *out) {
  co_model *model = b->model;
  co_named_value *known =
      co_arena_alloc(model->arena, (size_t)model->input_count + 1, sizeof *known);
  if (!known) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < model->input_count; i++)
    known[i] = (co_named_value){model->inputs[i].name, encoded[i]};
  co_layer_list_options options = {"combiner", known, model->input_count, input};
  return co_layer_list_build(model->network, layers, "combiner.layers", &options, model->arena,
                             b->problems, out);
}

static co_status combine(builder *b, const co_value *encoded, co_value *out) {
  co_model *model = b->model;
  const co_node *node = co_node_get(model->config, "combiner");
  combiner_options options;
  int64_t before = b->problems->count;
  CO_RETURN_IF_FAILED(
      co_fields_parse(&options, combiner_fields, node, "combiner", model->arena, b->problems));
  *out = model->input_count ? encoded[0] : CO_NO_VALUE;
  if (b->problems->count > before || !model->input_count) return CO_OK;
  const char *type = combiner_words[options.type];
  if (strcmp(type, "graph") == 0)
    return combine_layers(b, options.layers, encoded,
                          model->input_count == 1 ? encoded[0] : CO_NO_VALUE, out);
  if (model->input_count > 1) {
    const co_layer_class *layer = co_layer_find(strcmp(type, "add") == 0 ? "Add" : "Concatenate");
    void *defaults = co_arena_alloc(model->arena, 1, layer->options_size);
    if (!defaults) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(
        co_fields_parse(defaults, layer->fields, NULL, "combiner", model->arena, b->problems));
    co_status status = co_layer_apply(model->network, layer, "combiner/join", defaults, encoded,
                                      (int)model->input_count, out);
    if (status == CO_ERR_CONFIG)
      return co_node_problem(b->problems, node, NULL, "combiner: %s", co_error_last()->message);
    CO_RETURN_IF_FAILED(status);
  }
  return options.layers ? combine_layers(b, options.layers, encoded, *out, out) : CO_OK;
}

// Features from an encoder may still be images or windows: the head wants (N, features).
static co_status flatten(co_model *model, const char *output, co_value *value) {
  if (co_value_shape(model->network, *value)->rank == 2) return CO_OK;
  char *path = co_arena_format(model->arena, "%s/flatten", output);
  if (!path) return CO_ERR_MEMORY;
  char none[1] = {0};
  return co_layer_apply(model->network, co_layer_find("Flatten"), path, none, value, 1, value);
}

static int64_t output_width(const co_output_feature *feature) {
  if (feature->column.type == CO_COLUMN_CATEGORY) return feature->column.category_count;
  return feature->column.shape.rank ? feature->column.shape.dim[0] : 1;
}

static co_status default_head(builder *b, const co_output_feature *feature, co_value in,
                              co_value *out) {
  co_model *model = b->model;
  const co_layer_class *dense = co_layer_find("Dense");
  void *options = co_arena_alloc(model->arena, 1, dense->options_size);
  char *text = co_arena_format(model->arena, "units: %lld", (long long)output_width(feature));
  char *path = co_arena_format(model->arena, "%s/%s", feature->name,
                               feature->column.type == CO_COLUMN_CATEGORY ? "logits" : "value");
  if (!options || !text || !path) return CO_ERR_MEMORY;
  co_node *node;
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&node, model->arena, "decoder", text, strlen(text), b->problems));
  CO_RETURN_IF_FAILED(
      co_fields_parse(options, dense->fields, node, "decoder", model->arena, b->problems));
  CO_RETURN_IF_FAILED(flatten(model, feature->name, &in));
  return co_layer_apply(model->network, dense, path, options, &in, 1, out);
}

static co_status written_head(builder *b, const co_output_feature *feature, co_value in,
                              co_value *out) {
  co_model *model = b->model;
  char *path = co_arena_format(model->arena, "output_features.%s.decoder", feature->name);
  if (!path) return CO_ERR_MEMORY;
  const co_node *layers;
  int64_t before = b->problems->count;
  CO_RETURN_IF_FAILED(co_encoder_expand(&layers, feature->decoder, path, feature->column.type,
                                        model->arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  co_named_value combined = {"combiner", in};
  co_layer_list_options options = {feature->name, &combined, 1, in};
  char *layers_path = co_arena_format(model->arena, "%s.layers", path);
  if (!layers_path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_layer_list_build(model->network, layers, layers_path, &options,
                                          model->arena, b->problems, out));
  const co_shape *shape = co_value_shape(model->network, *out);
  if (b->problems->count == before && (shape->rank != 2 || shape->dim[1] != output_width(feature)))
    return co_node_problem(b->problems, feature->decoder, NULL,
                           "%s: must end in %lld units for '%s'", path,
                           (long long)output_width(feature), feature->name);
  return CO_OK;
}

static co_status add_targets(co_model *model, co_output_feature *feature) {
  bool category = feature->column.type == CO_COLUMN_CATEGORY;
  co_shape rows = co_shape_make(1, CO_DIM_N);
  co_shape values = category ? rows : co_shape_make(2, CO_DIM_N, output_width(feature));
  char *weight = co_arena_format(model->arena, "%s.weight", feature->name);
  if (!weight) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_graph_add_input(model->network, feature->name, category ? CO_I32 : CO_F32,
                                         &values, &feature->target));
  return co_graph_add_input(model->network, weight, CO_F32, &rows, &feature->row_weight);
}

static co_status add_output(builder *b, int64_t i, co_value combined) {
  co_model *model = b->model;
  co_output_feature *feature = &model->outputs[i];
  int64_t before = b->problems->count;
  co_value prediction;
  CO_RETURN_IF_FAILED(feature->decoder ? written_head(b, feature, combined, &prediction)
                                       : default_head(b, feature, combined, &prediction));
  if (b->problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(add_targets(model, feature));
  model->network->layer = feature->name;
  CO_RETURN_IF_FAILED(co_loss_emit(model->network, feature->loss, feature->name, feature->weight,
                                   prediction, feature->target, feature->row_weight));
  CO_RETURN_IF_FAILED(co_metrics_emit(model->network, feature->name, feature->column.type,
                                      prediction, feature->target, feature->row_weight));
  co_value shown = prediction;
  bool category = feature->column.type == CO_COLUMN_CATEGORY;
  if (category)
    CO_RETURN_IF_FAILED(co_emit(model->network, CO_OP_SOFTMAX, NULL, 1, &prediction, &shown));
  model->network->layer = NULL;
  char *name = co_arena_format(model->arena, "%s/%s", feature->name,
                               category ? "probability" : "prediction");
  if (!name) return CO_ERR_MEMORY;
  feature->prediction = model->network->output_count;
  return co_graph_add_output(model->network, name, shown);
}

static co_status build_network(builder *b) {
  co_model *model = b->model;
  co_value *encoded = co_arena_alloc(model->arena, (size_t)model->input_count + 1, sizeof *encoded);
  if (!encoded) return CO_ERR_MEMORY;
  int64_t before = b->problems->count;
  for (int64_t i = 0; i < model->input_count; i++)
    CO_RETURN_IF_FAILED(encode(b, i, &encoded[i]));
  co_value combined;
  if (b->problems->count == before) CO_RETURN_IF_FAILED(combine(b, encoded, &combined));
  if (b->problems->count > before || !model->input_count) return CO_OK;
  for (int64_t i = 0; i < model->output_count; i++)
    CO_RETURN_IF_FAILED(add_output(b, i, combined));
  return CO_OK;
}

co_status co_model_create(co_model **out, co_context *ctx, const co_node *config,
                          const co_schema *schema, co_diagnostics *problems) {
  *out = NULL;
  co_model *model = co_alloc_zero(ctx, 1, sizeof *model);
  if (!model) return CO_ERR_MEMORY;
  model->ctx = ctx;
  model->config = config;
  builder b = {model, schema, problems};
  int64_t before = problems->count;
  co_status status;
  CO_TRY(co_arena_create(&model->arena, ctx));
  CO_TRY(co_graph_create(&model->network, ctx));
  CO_TRY(read_inputs(&b));
  CO_TRY(read_outputs(&b));
  CO_TRY(check_input_names(&b));
  CO_TRY(build_network(&b));
  if (problems->count > before) CO_TRY(co_diagnostics_result(problems));
  *out = model;
  return CO_OK;
cleanup:
  // Callers look at the problems: what no part of the config was blamed for is among them too.
  if (status == CO_ERR_CONFIG && problems->count == before) co_diagnostics_add_last(problems);
  co_model_free(model);
  return status;
}

void co_model_free(co_model *model) {
  if (!model) return;
  co_graph_free(model->network);
  co_arena_free(model->arena);
  co_free(model->ctx, model);
}

bool co_model_describe(int i, const char **path, const char **doc, const co_field **fields) {
  static const struct {
    const char *path, *doc;
    const co_field *fields;
  } tables[] = {
      {"input_features", "Columns that go in.", input_fields},
      {"input_features.preprocessing", "Of images.", image_preprocessing_fields},
      {"input_features.preprocessing", "Of numbers and vectors.", number_preprocessing_fields},
      {"input_features.augmentation", "Of images, in training.", augmentation_fields},
      {"combiner", "What joins the encoded inputs.", combiner_fields},
      {"output_features", "Columns that are predicted.", output_fields},
      {"output_features.loss", "`cohort help losses` lists them.", loss_fields}};
  if (i < 0 || (size_t)i >= sizeof tables / sizeof *tables) return false;
  *path = tables[i].path;
  *doc = tables[i].doc;
  *fields = tables[i].fields;
  return true;
}

// ---- input section -----------------------------------------------------------------------------

co_status co_model_make_statistics(co_model *model, int64_t input) {
  co_input_feature *feature = &model->inputs[input];
  feature->mean = co_arena_alloc(model->arena, (size_t)feature->channels, sizeof(float));
  feature->scale = co_arena_alloc(model->arena, (size_t)feature->channels, sizeof(float));
  if (!feature->mean || !feature->scale) return CO_ERR_MEMORY;
  for (int64_t c = 0; c < feature->channels; c++)
    feature->scale[c] = feature->normalization == CO_NORMALIZATION_SCALE ? 1.0f / 255 : 1;
  return CO_OK;
}

static co_status add_input(co_graph *graph, const co_input_feature *feature, const char *what,
                           co_dtype dtype, const co_shape *shape, int32_t *position,
                           co_value *out) {
  char *name = co_arena_format(graph->arena, "%s.%s", feature->name, what);
  if (!name) return CO_ERR_MEMORY;
  *position = (int32_t)graph->input_count;
  return co_graph_add_input(graph, name, dtype, shape, out);
}

// The stored rows of a batch: picked from the table, or delivered.
static co_status add_rows(co_graph *graph, const co_input_feature *feature, int64_t rows,
                          co_input_positions *at, co_value *out) {
  bool delivered = rows == CO_DIM_N;
  co_shape shape = {.rank = feature->column.shape.rank + 1, .dim = {rows}};
  for (int i = 0; i < feature->column.shape.rank; i++)
    shape.dim[i + 1] = feature->column.shape.dim[i];
  if (shape.rank == 1) shape = co_shape_make(2, rows, (int64_t)1);
  if (delivered)
    return add_input(graph, feature, "rows", feature->column.dtype, &shape, &at->rows, out);
  co_shape ids = co_shape_make(1, CO_DIM_N);
  co_value in[2];
  CO_RETURN_IF_FAILED(
      add_input(graph, feature, "table", feature->column.dtype, &shape, &at->table, &in[0]));
  CO_RETURN_IF_FAILED(add_input(graph, feature, "index", CO_I64, &ids, &at->index, &in[1]));
  return co_emit(graph, CO_OP_GATHER, NULL, 2, in, out);
}

static co_status cast(co_graph *graph, const co_input_feature *feature, co_value *value) {
  co_op_attr attr = {.dtype = CO_F32};
  if (feature->column.dtype == CO_F32) return CO_OK;
  return co_emit(graph, CO_OP_CAST, &attr, 1, value, value);
}

static co_status normalize(co_graph *graph, const co_input_feature *feature, co_input_positions *at,
                           co_value *value) {
  co_shape channels = co_shape_make(1, feature->channels);
  co_value in[3] = {*value};
  if (feature->normalization == CO_NORMALIZATION_NONE) return CO_OK;
  CO_RETURN_IF_FAILED(add_input(graph, feature, "mean", CO_F32, &channels, &at->mean, &in[1]));
  CO_RETURN_IF_FAILED(add_input(graph, feature, "scale", CO_F32, &channels, &at->scale, &in[2]));
  return co_emit(graph, CO_OP_NORMALIZE, NULL, 3, in, value);
}

// Before normalising: the pixels that a crop vacates are black, whatever the channel's statistics.
static co_status augment(co_graph *graph, const co_input_feature *feature, co_value ids,
                         co_value *value) {
  co_value in[3] = {*value, ids, CO_NO_VALUE};
  if (feature->flip > 0 || feature->crop > 0) CO_RETURN_IF_FAILED(co_graph_get_step(graph, &in[2]));
  if (feature->flip > 0) {
    co_op_attr flip = {.rate = feature->flip, .purpose = co_purpose("flip", feature->name)};
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_FLIP, &flip, 3, in, &in[0]));
  }
  if (feature->crop > 0) {
    co_op_attr crop = {.pad = feature->crop, .purpose = co_purpose("crop", feature->name)};
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_SHIFTED_CROP, &crop, 3, in, &in[0]));
  }
  *value = in[0];
  return CO_OK;
}

co_status co_model_build_input(co_graph **out, const co_model *model, const int64_t *rows,
                               co_input_positions *positions) {
  *out = NULL;
  co_graph *graph;
  CO_RETURN_IF_FAILED(co_graph_create(&graph, model->ctx));
  co_status status;
  co_value ids;
  co_shape shape = co_shape_make(1, CO_DIM_N);
  CO_TRY(co_graph_add_input(graph, "ids", CO_I64, &shape, &ids));
  for (int64_t i = 0; i < model->input_count; i++) {
    const co_input_feature *feature = &model->inputs[i];
    co_value value;
    positions[i] = (co_input_positions){-1, -1, -1, -1, -1};
    graph->layer = feature->name;
    CO_TRY(add_rows(graph, feature, rows[i], &positions[i], &value));
    CO_TRY(cast(graph, feature, &value));
    CO_TRY(augment(graph, feature, ids, &value));
    CO_TRY(normalize(graph, feature, &positions[i], &value));
    CO_TRY(co_graph_add_output(graph, feature->name, value));
  }
  *out = graph;
  return CO_OK;
cleanup:
  co_graph_free(graph);
  return status;
}
