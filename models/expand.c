// SPDX-License-Identifier: Apache-2.0
// A config for one dataset: `all`, `targets` and selectors become one item a feature, and what
// `defaults` says of its type goes into each.
#include <fnmatch.h>
#include <string.h>

#include "host/config/tree.h"
#include "models/builder.h"

typedef struct selector_options {
  const char *select, *type;
  const co_node *exclude, *preprocessing, *augmentation, *encoder, *loss, *decoder, *normalization;
  bool optional;
} selector_options;

const co_field co_selector_fields[] = {
    {"select", CO_FIELD_STRING, offsetof(selector_options, select), NULL, 0, 0, NULL,
     "Input columns of a type (number, category, …), or whose names match a pattern as 'visit_*'; "
     "not those that have an item of their own.",
     NULL},
    {"exclude", CO_FIELD_NODE, offsetof(selector_options, exclude), "null", 0, 0, NULL,
     "A list of columns, or patterns, that are left out.", NULL},
    {"optional", CO_FIELD_BOOL, offsetof(selector_options, optional), "false", 0, 0, NULL,
     "Whether it may select nothing.", NULL},
    {"type", CO_FIELD_STRING, offsetof(selector_options, type), "null", 0, 0, NULL,
     "How the columns are used; by their types if absent.", NULL},
    {"preprocessing", CO_FIELD_NODE, offsetof(selector_options, preprocessing), "null", 0, 0, NULL,
     "Of each of them; likewise the others.", NULL},
    {"augmentation", CO_FIELD_NODE, offsetof(selector_options, augmentation), "null", 0, 0, NULL,
     "Random changes of images in training.", NULL},
    {"encoder", CO_FIELD_NODE, offsetof(selector_options, encoder), "null", 0, 0, NULL,
     "Layers from the input to features.", NULL},
    {.key = NULL}};

const co_field co_target_selector_fields[] = {
    {"select", CO_FIELD_STRING, offsetof(selector_options, select), NULL, 0, 0, NULL,
     "Targets of a type (number, text, …), or whose names match a pattern; those with an item "
     "of their own are as that says. A dataset without any is refused.",
     NULL},
    {"exclude", CO_FIELD_NODE, offsetof(selector_options, exclude), "null", 0, 0, NULL,
     "A list of columns, or patterns, that are left out.", NULL},
    {"optional", CO_FIELD_BOOL, offsetof(selector_options, optional), "false", 0, 0, NULL,
     "Whether it may select nothing.", NULL},
    {"type", CO_FIELD_STRING, offsetof(selector_options, type), "null", 0, 0, NULL,
     "How the columns are used; by their types if absent.", NULL},
    {"loss", CO_FIELD_NODE, offsetof(selector_options, loss), "null", 0, 0, NULL,
     "Of each of them; likewise the others.", NULL},
    {"decoder", CO_FIELD_NODE, offsetof(selector_options, decoder), "null", 0, 0, NULL,
     "Layers in place of one Dense layer.", NULL},
    {"normalization", CO_FIELD_NODE, offsetof(selector_options, normalization), "null", 0, 0, NULL,
     "Of numbers: none, zscore or auto.", NULL},
    {.key = NULL}};

// What a selector, or `defaults`, says of each feature: of inputs, of outputs.
static const char *const said[2][3] = {{"preprocessing", "augmentation", "encoder"},
                                       {"loss", "decoder", "normalization"}};

typedef struct default_options {
  const co_node *preprocessing, *augmentation, *encoder, *loss, *decoder, *normalization;
} default_options;

const co_field co_default_fields[] = {
    {"preprocessing", CO_FIELD_NODE, offsetof(default_options, preprocessing), "null", 0, 0, NULL,
     "Of every input of that type; likewise the next two.", NULL},
    {"augmentation", CO_FIELD_NODE, offsetof(default_options, augmentation), "null", 0, 0, NULL,
     "Random changes of images in training.", NULL},
    {"encoder", CO_FIELD_NODE, offsetof(default_options, encoder), "null", 0, 0, NULL,
     "Layers from the input to features.", NULL},
    {"loss", CO_FIELD_NODE, offsetof(default_options, loss), "null", 0, 0, NULL,
     "Of every output of that type; likewise the next two.", NULL},
    {"decoder", CO_FIELD_NODE, offsetof(default_options, decoder), "null", 0, 0, NULL,
     "Layers in place of one Dense layer.", NULL},
    {"normalization", CO_FIELD_NODE, offsetof(default_options, normalization), "null", 0, 0, NULL,
     "Of numbers: none, zscore or auto.", NULL},
    {.key = NULL}};

typedef struct expansion {
  co_model_builder *b;
  co_arena *arena;
  const co_node *from; // the list in the config
  co_node *list;       // what becomes of it
  bool *taken;         // per column: by a selector
  bool output;         // targets are listed, not inputs
} expansion;

// ---- nodes -------------------------------------------------------------------------------------

// A node that stands where `place` does.
static co_node *make(co_arena *arena, co_node_kind kind, const co_node *place) {
  co_node *node = co_arena_alloc(arena, 1, sizeof *node);
  if (!node) return NULL;
  if (place) *node = *place;
  node->kind = kind;
  node->text = NULL;
  node->quoted = false;
  node->count = 0;
  node->keys = NULL;
  node->items = NULL;
  return node;
}

static co_status put(co_node *map, co_arena *arena, const char *key, const co_node *value) {
  co_node *copy;
  if (!value) return CO_OK;
  CO_RETURN_IF_FAILED(co_node_copy(&copy, arena, value));
  return co_node_append(map, arena, key, copy);
}

// {name: COLUMN}
static co_status make_item(co_node **out, const expansion *e, const co_node *place,
                           const char *column) {
  co_node *name = make(e->arena, CO_NODE_SCALAR, place);
  *out = make(e->arena, CO_NODE_MAP, place);
  if (!*out || !name || !(name->text = co_arena_strdup(e->arena, column))) return CO_ERR_MEMORY;
  name->quoted = true; // a string whatever it looks like
  return co_node_append(*out, e->arena, "name", name);
}

static co_role role_of(const expansion *e) {
  return e->output ? CO_ROLE_TARGET : CO_ROLE_INPUT;
}

static co_status add_roles(const expansion *e, const co_node *place) {
  const co_schema *schema = e->b->schema;
  const co_role role = role_of(e);
  for (int64_t i = 0; i < schema->column_count; i++) {
    co_node *item;
    if (schema->columns[i].role != role) continue;
    CO_RETURN_IF_FAILED(make_item(&item, e, place, schema->columns[i].name));
    CO_RETURN_IF_FAILED(co_node_append(e->list, e->arena, NULL, item));
  }
  return CO_OK;
}

// ---- selectors ---------------------------------------------------------------------------------

static const co_feature_class *class_of(const expansion *e, const co_column *column) {
  return co_feature_class_of(column->type, co_model_column_events(e->b, column) != NULL, e->output);
}

// Whether a selector names a type: of inputs their features', of targets their columns'.
static bool is_type(const expansion *e, const char *select) {
  static const co_column_type targets[] = {CO_COLUMN_NUMBER, CO_COLUMN_CATEGORY, CO_COLUMN_BINARY,
                                           CO_COLUMN_TEXT, CO_COLUMN_VECTOR};
  bool found = !e->output && co_feature_class_find(select);
  for (size_t i = 0; e->output && i < sizeof targets / sizeof *targets; i++)
    found |= strcmp(co_column_type_name(targets[i]), select) == 0;
  return found;
}

// Targets are told apart by the types of their columns, as an import gives them.
static bool is_selected(const expansion *e, const char *select, const co_column *column) {
  if (column->role != role_of(e)) return false;
  if (!is_type(e, select)) return fnmatch(select, column->name, 0) == 0;
  if (e->output) return strcmp(co_column_type_name(column->type), select) == 0;
  const co_feature_class *class_ = class_of(e, column);
  return class_ && strcmp(class_->name, select) == 0;
}

static bool is_excluded(const co_node *exclude, const char *name) {
  for (int64_t i = 0; exclude && i < exclude->count; i++)
    if (fnmatch(exclude->items[i]->text, name, 0) == 0) return true;
  return false;
}

static co_status check_exclude(const expansion *e, const char *path, const co_node *exclude) {
  const co_schema *schema = e->b->schema;
  bool list = !exclude || exclude->kind == CO_NODE_LIST;
  for (int64_t i = 0; exclude && list && i < exclude->count; i++) {
    const co_node *item = exclude->items[i];
    bool found = false;
    if (item->kind != CO_NODE_SCALAR) list = false;
    for (int64_t k = 0; list && !found && k < schema->column_count; k++)
      found = fnmatch(item->text, schema->columns[k].name, 0) == 0;
    if (list && !found)
      return co_node_problem(e->b->problems, item, "`cohort inspect DATASET` lists the columns",
                             "%s.exclude: the dataset has no column '%s'", path, item->text);
  }
  if (list) return CO_OK;
  return co_node_problem(e->b->problems, exclude, "for example [age, 'visit_*']",
                         "%s.exclude: must be a list of columns", path);
}

// Neither a type nor a pattern, nor what any column is called.
static bool is_unknown(const expansion *e, const char *select) {
  const co_schema *schema = e->b->schema;
  bool known = is_type(e, select) || strpbrk(select, "*?[");
  for (int64_t i = 0; i < schema->column_count; i++)
    known |= strcmp(schema->columns[i].name, select) == 0;
  return !known;
}

// How a log comes by a target of that type; NULL = not at all.
static const char *way_of_events(const char *type) {
  return strcmp(type, "category") == 0 ? "--next-item"
         : strcmp(type, "binary") == 0 ? "--label"
         : strcmp(type, "number") == 0 ? "--label-amount or --label-count"
                                       : NULL;
}

// How a dataset comes by a target of that type, where `first` is what it has. Vectors are no cells.
static void print_way(const expansion *e, co_text *out, const char *first, const char *type) {
  for (int64_t i = 0; i < e->b->schema->table_count; i++) {
    if (e->b->schema->tables[i].kind != CO_TABLE_EVENTS) continue;
    const char *way = way_of_events(type);
    if (way) co_text_printf(out, "; of events, `cohort import` makes one by %s", way);
    return;
  }
  if (first && strcmp(type, "vector") != 0)
    co_text_printf(out, "; `cohort import --target %s --type %s=%s` makes it one", first, first,
                   type);
}

// Texts that an import took as classes make the most of them.
static void print_way_to_text(const expansion *e, co_text *out) {
  const co_schema *schema = e->b->schema;
  const co_column *most = NULL;
  for (int64_t i = 0; i < schema->column_count; i++) {
    const co_column *column = &schema->columns[i];
    if (column->role == CO_ROLE_INPUT && column->type == CO_COLUMN_CATEGORY &&
        (!most || column->category_count > most->category_count))
      most = column;
  }
  co_text_printf(out, "; `cohort import --type %s=text` reads a column as text, also one left out",
                 most ? most->name : "COL");
}

static co_status nothing_selected(const expansion *e, const co_node *item, const char *path,
                                  const char *select) {
  co_text have;
  co_text_init(&have, e->b->model->ctx);
  const co_schema *schema = e->b->schema;
  const bool of_type = is_type(e, select);
  const char *first = NULL, *what = e->output ? "target" : "column";
  int64_t listed = 0;
  for (int64_t i = 0; i < schema->column_count && listed < 40; i++) {
    const co_column *column = &schema->columns[i];
    if (column->role != role_of(e)) continue;
    co_text_printf(&have, "%s%s (%s)", listed++ ? ", " : "the dataset has ", column->name,
                   co_column_type_name(column->type));
    if (!first) first = column->name;
  }
  if (listed == 40) co_text_printf(&have, ", …");
  if (!listed) co_text_printf(&have, "the dataset has no %s", e->output ? "target" : "input");
  if (e->output && of_type) print_way(e, &have, first, select);
  if (!e->output && strcmp(select, "text") == 0) print_way_to_text(e, &have);
  co_status status = co_node_problem(
      e->b->problems, item, have.data,
      e->output && of_type ? "%s: no %s is left for 'select: %s': it is for such targets"
      : is_unknown(e, select)
          ? "%s: no %s is left for 'select: %s', which is neither a type nor a column; "
            "'*' selects all"
          : "%s: no %s is left for 'select: %s'; `optional: true` allows that",
      path, what, select);
  co_text_free(&have);
  return status;
}

static co_status add_selected(expansion *e, const co_node *item, const char *path) {
  const co_schema *schema = e->b->schema;
  selector_options options;
  int64_t before = e->b->problems->count, added = 0;
  CO_RETURN_IF_FAILED(co_fields_parse(&options,
                                      e->output ? co_target_selector_fields : co_selector_fields,
                                      item, path, e->arena, e->b->problems));
  if (e->b->problems->count > before) return CO_OK;
  CO_RETURN_IF_FAILED(check_exclude(e, path, options.exclude));
  for (int64_t i = 0; e->b->problems->count == before && i < schema->column_count; i++) {
    const char *name = schema->columns[i].name;
    co_node *made;
    if (!is_selected(e, options.select, &schema->columns[i]) || is_excluded(options.exclude, name))
      continue;
    if (co_node_find_named(e->from, name, strlen(name)) >= 0) {
      added += e->output; // it is predicted
      continue;
    }
    if (e->taken[i])
      return co_node_problem(e->b->problems, item, "exclude it in one of them",
                             "%s: column '%s' is selected twice", path, name);
    e->taken[i] = true;
    added++;
    CO_RETURN_IF_FAILED(make_item(&made, e, item, name));
    CO_RETURN_IF_FAILED(put(made, e->arena, "type", co_node_get(item, "type")));
    for (int k = 0; k < 3; k++)
      CO_RETURN_IF_FAILED(
          put(made, e->arena, said[e->output][k], co_node_get(item, said[e->output][k])));
    CO_RETURN_IF_FAILED(co_node_append(e->list, e->arena, NULL, made));
  }
  if (added || options.optional || e->b->problems->count > before) return CO_OK;
  return nothing_selected(e, item, path, options.select);
}

// ---- defaults ----------------------------------------------------------------------------------

static co_status check_defaults(const expansion *e, const co_node *defaults) {
  if (!defaults || defaults->kind == CO_NODE_NULL) return CO_OK;
  if (defaults->kind != CO_NODE_MAP)
    return co_node_problem(e->b->problems, defaults, "for example {category: {encoder: …}}",
                           "defaults: must be a map of types");
  for (int64_t i = 0; i < defaults->count; i++) {
    char *path = co_arena_format(e->arena, "defaults.%s", defaults->keys[i]);
    default_options ignored;
    if (!path) return CO_ERR_MEMORY;
    if (!co_feature_class_find(defaults->keys[i]))
      CO_RETURN_IF_FAILED(co_node_problem(e->b->problems, defaults->items[i],
                                          "`cohort help features` lists the types",
                                          "%s: there is no such type", path));
    else
      CO_RETURN_IF_FAILED(co_fields_parse(&ignored, co_default_fields, defaults->items[i], path,
                                          e->arena, e->b->problems));
  }
  return CO_OK;
}

// The type of feature that an item asks for, or that its column has; NULL = found out to be wrong
// where it is read.
static const co_feature_class *class_of_item(const expansion *e, const co_node *item) {
  const co_node *type = co_node_get(item, "type"), *column = co_node_get(item, "column");
  if (type && type->kind == CO_NODE_SCALAR) return co_feature_class_find(type->text);
  if (!column) column = co_node_get(item, "name");
  if (!column || column->kind != CO_NODE_SCALAR) return NULL;
  const co_column *found = co_schema_find(e->b->schema, column->text);
  return found ? class_of(e, found) : NULL;
}

static co_status add_defaults(const expansion *e, co_node **item) {
  const co_node *defaults = co_node_get(e->b->model->config, "defaults");
  const co_feature_class *class_ = class_of_item(e, *item);
  const co_node *own = class_ ? co_node_get(defaults, class_->name) : NULL;
  if (!own || (*item)->kind != CO_NODE_MAP) return CO_OK;
  co_node *merged = make(e->arena, CO_NODE_MAP, *item);
  if (!merged) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(put(merged, e->arena, "name", co_node_get(*item, "name")));
  for (int k = 0; k < 3; k++)
    CO_RETURN_IF_FAILED(
        put(merged, e->arena, said[e->output][k], co_node_get(own, said[e->output][k])));
  CO_RETURN_IF_FAILED(co_node_merge(&merged, e->arena, *item));
  *item = merged;
  return CO_OK;
}

// ---- the config --------------------------------------------------------------------------------

static co_status add_items(expansion *e, const char *key) {
  for (int64_t i = 0; i < e->from->count; i++) {
    const co_node *item = e->from->items[i];
    char *path = co_arena_format(e->arena, "%s[%lld]", key, (long long)i);
    co_node *made;
    if (!path) return CO_ERR_MEMORY;
    if (co_node_get(item, "select")) {
      CO_RETURN_IF_FAILED(add_selected(e, item, path));
      continue;
    }
    CO_RETURN_IF_FAILED(co_node_copy(&made, e->arena, item));
    CO_RETURN_IF_FAILED(co_node_append(e->list, e->arena, NULL, made));
  }
  return CO_OK;
}

static co_status expand_list(expansion *e, co_node *root, const char *key, const char *word) {
  const co_node *node = co_node_get(e->b->model->config, key);
  e->from = node;
  if (!(e->list = make(e->arena, CO_NODE_LIST, node))) return CO_ERR_MEMORY;
  if (node && node->kind == CO_NODE_LIST)
    CO_RETURN_IF_FAILED(add_items(e, key));
  else if (!node || (node->kind == CO_NODE_SCALAR && strcmp(node->text, word) == 0))
    CO_RETURN_IF_FAILED(add_roles(e, node));
  else
    return co_node_problem(e->b->problems, node, NULL, "%s: must be a list, or `%s`", key, word);
  for (int64_t i = 0; i < e->list->count; i++)
    CO_RETURN_IF_FAILED(add_defaults(e, &e->list->items[i]));
  int64_t at = co_node_find(root, key, strlen(key));
  if (at < 0) return co_node_append(root, e->arena, key, e->list);
  root->items[at] = e->list;
  return CO_OK;
}

co_status co_model_expand_config(co_model_builder *b) {
  const co_node *config = b->model->config;
  expansion e = {.b = b, .arena = b->model->arena};
  co_node *root = make(e.arena, CO_NODE_MAP, config);
  e.taken = co_arena_alloc(e.arena, (size_t)b->schema->column_count + 1, sizeof *e.taken);
  if (!root || !e.taken) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < config->count; i++)
    if (strcmp(config->keys[i], "defaults") != 0)
      CO_RETURN_IF_FAILED(co_node_append(root, e.arena, config->keys[i], config->items[i]));
  CO_RETURN_IF_FAILED(check_defaults(&e, co_node_get(config, "defaults")));
  CO_RETURN_IF_FAILED(expand_list(&e, root, "input_features", "all"));
  e.output = true;
  CO_RETURN_IF_FAILED(expand_list(&e, root, "output_features", "targets"));
  b->model->config = root;
  return CO_OK;
}
