// SPDX-License-Identifier: Apache-2.0
// The `input_features` of a config.
#include <fnmatch.h>
#include <string.h>

#include "models/builder.h"

typedef struct input_options {
  const char *name, *column, *type;
  const co_node *columns, *preprocessing, *augmentation, *encoder;
} input_options;

const co_field co_input_fields[] = {
    {"name", CO_FIELD_STRING, offsetof(input_options, name), "null", 0, 0, NULL,
     "A column of the dataset; beside `column` or `columns`, any name.", NULL},
    {"column", CO_FIELD_STRING, offsetof(input_options, column), "null", 0, 0, NULL,
     "The column, where the feature has another name: one column may be several features.", NULL},
    {"columns", CO_FIELD_NODE, offsetof(input_options, columns), "null", 0, 0, NULL,
     "A list, for types that are made of several.", NULL},
    {"type", CO_FIELD_STRING, offsetof(input_options, type), "null", 0, 0, NULL,
     "How the column is used; by its type if absent.", NULL},
    {"preprocessing", CO_FIELD_NODE, offsetof(input_options, preprocessing), "null", 0, 0, NULL,
     "How stored values become inputs.", NULL},
    {"augmentation", CO_FIELD_NODE, offsetof(input_options, augmentation), "null", 0, 0, NULL,
     "Random changes of images in training.", NULL},
    {"encoder", CO_FIELD_NODE, offsetof(input_options, encoder), "null", 0, 0, NULL,
     "Layers from the input to features: {type: …}; `cohort help encoders`.", NULL},
    {.key = NULL}};

// The number of the table of events that a feature's column belongs to; a text is one for itself.
static co_status number_event_table(co_model_builder *b, const co_node *item, const char *path,
                                    co_input_feature *feature) {
  co_model *model = b->model;
  feature->event_table = -1;
  if (!feature->class_->input->most_events) return CO_OK;
  const bool events = feature->class_->of_events;
  const char *name = events ? feature->column->table : feature->name;
  int64_t i = 0, most = feature->class_->input->most_events(feature);
  while (i < model->event_table_count &&
         (model->event_tables[i].of_text != !events || strcmp(model->event_tables[i].name, name)))
    i++;
  if (i == CO_MAX_EVENT_TABLES)
    return co_node_problem(b->problems, item, NULL,
                           "%s: inputs of more than %d tables of events and texts as sequences",
                           path, (int)CO_MAX_EVENT_TABLES);
  if (i == model->event_table_count) {
    model->event_tables[i] =
        (co_event_table){.name = name, .of_text = !events, .joined = CO_NO_VALUE};
    model->event_table_count++;
  }
  if (most > model->event_tables[i].most_events) model->event_tables[i].most_events = most;
  feature->event_table = (int32_t)i;
  return CO_OK;
}

// Options by a class's table; `fields` NULL takes none. What the struct does not use stays zero, so
// that equal options are equal bytes.
static co_status read_options(co_model_builder *b, const co_node *node, const char *path,
                              const co_field *fields, size_t size, void **out) {
  static const co_field none[] = {{.key = NULL}};
  if (!path || !(*out = co_arena_alloc(b->model->arena, 1, size + 1))) return CO_ERR_MEMORY;
  return co_fields_parse(*out, fields ? fields : none, node, path, b->model->arena, b->problems);
}

// ---- columns -----------------------------------------------------------------------------------

// A feature with a name of its own must not be taken for a column, nor be no name of a layer.
static co_status check_name(co_model_builder *b, const co_node *item, const char *path,
                            const char *name) {
  if (co_schema_find(b->schema, name))
    return co_node_problem(b->problems, item, "choose another name",
                           "%s.name: the dataset has a column '%s' itself", path, name);
  if (!*name || strchr(name, '/') || strcmp(name, "combiner") == 0)
    return co_node_problem(b->problems, item, NULL, "%s.name: a feature cannot be called '%s'",
                           path, name);
  return CO_OK;
}

static co_status add_column(co_model_builder *b, const co_node *item, const char *path,
                            const char *name, const co_column **columns,
                            co_input_feature *feature) {
  const co_column *column;
  CO_RETURN_IF_FAILED(co_model_find_column(b, item, path, name, &column));
  if (!column) return CO_OK;
  if (column->role == CO_ROLE_TARGET)
    return co_node_problem(b->problems, item, NULL, "%s: '%s' is a target, it cannot be an input",
                           path, column->name);
  if (feature->column_count++ >= CO_DERIVED_COLUMNS) return CO_OK; // too many, as will be said
  return co_model_copy_column(b->model, column, &columns[feature->column_count - 1]);
}

// A column, or the input columns whose names match a pattern; more than there is room for are counted.
static co_status add_named(co_model_builder *b, const co_node *name, const char *path,
                           const co_column **columns, co_input_feature *feature) {
  const co_schema *schema = b->schema;
  bool pattern = !co_schema_find(schema, name->text) && strpbrk(name->text, "*?[");
  for (int64_t i = 0; pattern && i < schema->column_count; i++) {
    if (schema->columns[i].role != CO_ROLE_INPUT ||
        fnmatch(name->text, schema->columns[i].name, 0) != 0)
      continue;
    CO_RETURN_IF_FAILED(add_column(b, name, path, schema->columns[i].name, columns, feature));
  }
  return pattern ? CO_OK : add_column(b, name, path, name->text, columns, feature);
}

static co_status add_columns(co_model_builder *b, const co_node *list, const char *path,
                             const co_column **columns, co_input_feature *feature) {
  int64_t before = b->problems->count;
  bool names = list->kind == CO_NODE_LIST;
  for (int64_t i = 0; names && i < list->count; i++)
    names = list->items[i]->kind == CO_NODE_SCALAR;
  for (int64_t i = 0; names && i < list->count; i++)
    CO_RETURN_IF_FAILED(add_named(b, list->items[i], path, columns, feature));
  if (b->problems->count > before) return CO_OK;
  if (names && feature->column_count >= 2 && feature->column_count <= CO_DERIVED_COLUMNS)
    return CO_OK;
  return co_node_problem(b->problems, list, "for example [city, device], or ['visits_*']",
                         "%s.columns: must be a list of 2 to %d columns", path,
                         (int)CO_DERIVED_COLUMNS);
}

// The columns that an item names, and the feature's name.
static co_status read_columns(co_model_builder *b, const co_node *item, const char *path,
                              const input_options *options, co_input_feature *feature) {
  const co_column **columns = co_arena_alloc(b->model->arena, CO_DERIVED_COLUMNS, sizeof *columns);
  if (!columns || !(feature->name = co_arena_strdup(b->model->arena, options->name)))
    return CO_ERR_MEMORY;
  feature->columns = columns;
  feature->column_count = 0;
  if (options->column && options->columns)
    return co_node_problem(b->problems, item, NULL, "%s: either column or columns", path);
  bool own_name = options->columns || (options->column && strcmp(options->column, options->name));
  if (own_name) CO_RETURN_IF_FAILED(check_name(b, item, path, options->name));
  if (options->columns)
    CO_RETURN_IF_FAILED(add_columns(b, options->columns, path, columns, feature));
  else
    CO_RETURN_IF_FAILED(add_column(b, item, path, options->column ? options->column : options->name,
                                   columns, feature));
  feature->column = columns[0];
  return CO_OK;
}

// ---- features ----------------------------------------------------------------------------------

static co_status read_input(co_model_builder *b, const co_node *item, const char *path,
                            co_input_feature *feature) {
  co_arena *arena = b->model->arena;
  input_options options;
  int64_t before = b->problems->count;
  CO_RETURN_IF_FAILED(co_fields_parse(&options, co_input_fields, item, path, arena, b->problems));
  if (b->problems->count > before) return CO_OK;
  if (!options.name && !(options.name = options.column))
    return co_node_problem(b->problems, item, NULL, "%s.name: is required", path);
  CO_RETURN_IF_FAILED(read_columns(b, item, path, &options, feature));
  for (int64_t i = 0; b->problems->count == before && i < feature->column_count; i++)
    CO_RETURN_IF_FAILED(co_model_find_class(b, item, path, options.type, feature->columns[i], false,
                                            &feature->class_));
  if (b->problems->count > before) return CO_OK;
  const co_input_class *class_ = feature->class_->input;
  if (class_->several != (feature->column_count > 1))
    return co_node_problem(b->problems, item, NULL, "%s: an input of type %s takes %s", path,
                           feature->class_->name,
                           class_->several ? "several `columns`" : "one column");
  if (options.augmentation && options.augmentation->kind != CO_NODE_NULL && !class_->augmentation)
    return co_node_problem(b->problems, options.augmentation, NULL,
                           "%s.augmentation: there is none for inputs of type %s", path,
                           feature->class_->name);
  feature->encoder = options.encoder;
  CO_RETURN_IF_FAILED(
      read_options(b, options.preprocessing, co_arena_format(arena, "%s.preprocessing", path),
                   class_->preprocessing, class_->preprocessing_size, &feature->preprocessing));
  if (b->problems->count == before && class_->read)
    CO_RETURN_IF_FAILED(class_->read(b, item, path, feature));
  CO_RETURN_IF_FAILED(number_event_table(b, item, path, feature));
  void *augmentation;
  CO_RETURN_IF_FAILED(read_options(b, options.augmentation,
                                   co_arena_format(arena, "%s.augmentation", path),
                                   class_->augmentation, class_->augmentation_size, &augmentation));
  feature->augmentation = augmentation;
  return CO_OK;
}

co_status co_model_read_inputs(co_model_builder *b) {
  co_model *model = b->model;
  const co_node *list = co_node_get(model->config, "input_features");
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
