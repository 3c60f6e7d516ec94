// SPDX-License-Identifier: Apache-2.0
// Which columns and classes a config's features name.
#include <string.h>

#include "models/builder.h"

co_status co_model_only_networks(co_model_builder *b, const co_node *node, const char *what) {
  return co_node_problem(b->problems, node, "remove it, or leave `predictor` out",
                         "%s: only networks have it, not a predictor of type %s", what,
                         b->model->predictor);
}

co_status co_model_copy_column(co_model *model, const co_column *from, const co_column **out) {
  co_column *made = co_arena_alloc(model->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = *from;
  made->name = co_arena_strdup(model->arena, from->name);
  const char **names =
      co_arena_alloc(model->arena, (size_t)from->category_count + 1, sizeof *names);
  if (!made->name || !names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < from->category_count; i++) {
    names[i] = co_arena_strdup(model->arena, from->categories[i]);
    if (!names[i]) return CO_ERR_MEMORY;
  }
  made->categories = names;
  if (from->table && !(made->table = co_arena_strdup(model->arena, from->table)))
    return CO_ERR_MEMORY;
  *out = made;
  return CO_OK;
}

const co_table *co_model_column_events(const co_model_builder *b, const co_column *column) {
  const co_table *table = co_schema_table(b->schema, column->table);
  return table && table->kind == CO_TABLE_EVENTS ? table : NULL;
}

static const co_node *key_of(const co_node *item, const char *key) {
  return co_node_get(item, key) ? co_node_get(item, key) : item;
}

co_status co_model_find_column(co_model_builder *b, const co_node *item, const char *path,
                               const char *name, const co_column **out) {
  *out = NULL;
  const co_column *column = co_schema_find(b->schema, name);
  const co_node *at = key_of(item, "name");
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
  // Layers are named after their feature: equal names would tie weights that have nothing to do
  // with each other.
  if (strcmp(name, "combiner") == 0)
    return co_node_problem(b->problems, at, "give the column another name in the dataset",
                           "%s.name: a feature cannot be called 'combiner', the joining layers are",
                           path);
  *out = column;
  return CO_OK;
}

// What `type:` may say for a column of this type, or for an output that is no column.
static char *list_classes(co_context *ctx, const co_column *column, bool output) {
  co_text text;
  co_text_init(&text, ctx);
  for (int i = 0; co_feature_class_list()[i]; i++) {
    const co_feature_class *class_ = co_feature_class_list()[i];
    bool fits = column ? class_->columns >> column->type & 1 : !class_->columns;
    if (fits && (output ? class_->output != NULL : class_->input != NULL))
      co_text_printf(&text, "%s%s", text.length ? ", " : "known here: ", class_->name);
  }
  char *list = text.status == CO_OK && text.length ? co_strdup(ctx, text.data) : NULL;
  co_text_free(&text);
  return list;
}

co_status co_model_find_class(co_model_builder *b, const co_node *item, const char *path,
                              const char *type, const co_column *column, bool output,
                              const co_feature_class **out) {
  co_context *ctx = b->model->ctx;
  bool of_events = column && co_model_column_events(b, column) != NULL;
  *out = type ? co_feature_class_find(type) : co_feature_class_of(column->type, of_events, output);
  bool fits = *out && (output ? (*out)->output != NULL : (*out)->input != NULL) &&
              (column ? (*out)->columns >> column->type & 1 && (*out)->of_events == of_events
                      : !(*out)->columns);
  if (fits) return CO_OK;
  const co_feature_class *found = *out;
  *out = NULL;
  char *known = list_classes(ctx, column, output);
  co_status status;
  if (!type)
    status = co_node_problem(b->problems, item, "name the columns to use one by one",
                             "%s: '%s' is a %s%s; such %s are not there yet", path, column->name,
                             co_column_type_name(column->type), of_events ? " of events" : "",
                             output ? "targets" : "inputs");
  else if (!found)
    status = co_node_problem(b->problems, key_of(item, "type"), known, "%s.type: unknown type '%s'",
                             path, type);
  else
    status = co_node_problem(b->problems, key_of(item, "type"), known,
                             "%s.type: column '%s' is of type %s, not %s", path,
                             column ? column->name : "",
                             column ? co_column_type_name(column->type) : "none", type);
  co_free(ctx, known);
  return status;
}
