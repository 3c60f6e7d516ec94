// SPDX-License-Identifier: Apache-2.0
#include "models/layers.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

// A layer that was built, for `inputs:` and `shared:`.
typedef struct built {
  const char *name, *path;
  const co_layer_class *class_;
  void *options;
  co_value value;
} built;

typedef struct list {
  co_graph *graph;
  const co_layer_list_options *options;
  co_arena *arena;
  co_diagnostics *problems;
  built *done;
  int64_t count;
} list;

// `shared` stands in the place of a layer's name and comes last.
const co_field co_layer_item_fields[] = {
    {"name", CO_FIELD_STRING, 0, "null", 0, 0, NULL, "As Keras would number it if absent.", NULL},
    {"inputs", CO_FIELD_NODE, 0, "null", 0, 0, NULL,
     "List of names: layers and inputs to read; the layer before if absent.", NULL},
    {"trainable", CO_FIELD_BOOL, 0, "true", 0, 0, NULL, "false: its weights stay as they are.",
     NULL},
    {"group", CO_FIELD_STRING, 0, "null", 0, 0, NULL,
     "What trainer.phases calls its parameters; the feature that it belongs to if absent.", NULL},
    {"shared", CO_FIELD_STRING, 0, "null", 0, 0, NULL,
     "In place of a class: calls this earlier layer again, with its weights.", NULL},
    {.key = NULL}};

static bool is_item_key(const char *key) {
  for (int i = 0; strcmp(co_layer_item_fields[i].key, "shared") != 0; i++)
    if (strcmp(key, co_layer_item_fields[i].key) == 0) return true;
  return false;
}

// "MaxPooling2D" -> "max_pooling2d", Keras' rule for automatic names.
static char *snake_case(co_arena *arena, const char *name) {
  char *out = co_arena_alloc(arena, 2 * strlen(name) + 1, 1);
  if (!out) return NULL;
  size_t length = 0;
  for (size_t i = 0; name[i]; i++) {
    unsigned char c = (unsigned char)name[i];
    bool word = i && isupper(c) &&
                (islower((unsigned char)name[i - 1]) || islower((unsigned char)name[i + 1]));
    if (word && !isdigit((unsigned char)name[i - 1])) out[length++] = '_';
    out[length++] = (char)tolower(c);
  }
  return out;
}

static built *find_built(list *l, const char *name) {
  for (int64_t i = 0; i < l->count; i++)
    if (strcmp(l->done[i].name, name) == 0) return &l->done[i];
  return NULL;
}

// `conv2d`, `conv2d_1`, … as Keras numbers them.
static const char *automatic_name(list *l, const co_layer_class *class_) {
  char *base = snake_case(l->arena, class_->name), *name = base;
  for (int i = 1; name && find_built(l, name); i++)
    name = co_arena_format(l->arena, "%s_%d", base, i);
  return name;
}

static co_value find_value(list *l, const char *name) {
  built *layer = find_built(l, name);
  if (layer) return layer->value;
  for (int64_t i = 0; i < l->options->known_count; i++)
    if (strcmp(l->options->known[i].name, name) == 0) return l->options->known[i].value;
  return CO_NO_VALUE;
}

static co_value find_anywhere(list *l, const char *name) {
  const co_named_values *outer = l->options->outer;
  const co_value value = find_value(l, name);
  for (int64_t i = 0; value == CO_NO_VALUE && outer && i < outer->count; i++)
    if (strcmp(outer->items[i].name, name) == 0) return outer->items[i].value;
  return value;
}

static co_status suggest_value(list *l, const co_node *node, const char *path) {
  const co_named_values *outer = l->options->outer;
  const int64_t outer_count = outer ? outer->count : 0;
  size_t most = (size_t)(l->count + l->options->known_count + outer_count);
  const char **names = co_arena_alloc(l->arena, most + 1, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  int64_t count = 0;
  for (int64_t i = 0; i < l->count; i++)
    names[count++] = l->done[i].name;
  for (int64_t i = 0; i < l->options->known_count; i++)
    names[count++] = l->options->known[i].name;
  for (int64_t i = 0; i < outer_count; i++)
    names[count++] = outer->items[i].name;
  const char *near = co_nearest(node->text, names, count);
  return co_node_problem(l->problems, node, near, "%s: no layer or input is called '%s'%s%s%s",
                         path, node->text, near ? "; did you mean '" : "", near ? near : "",
                         near ? "'?" : "");
}

// Reads `inputs: [a, b]`; without it the value before.
static co_status find_inputs(list *l, const co_node *item, const char *path, co_value **out,
                             int *count) {
  const co_node *inputs = co_node_get(item, "inputs");
  const bool listed = inputs && inputs->kind == CO_NODE_LIST && inputs->count < INT_MAX;
  co_value *in = *out =
      co_arena_alloc(l->arena, listed ? (size_t)inputs->count + 1 : 1, sizeof *in);
  *count = 0;
  if (!in) return CO_ERR_MEMORY;
  if (!inputs) {
    in[0] = l->count ? l->done[l->count - 1].value : l->options->input;
    *count = in[0] == CO_NO_VALUE ? 0 : 1;
    if (*count) return CO_OK;
    return co_node_problem(l->problems, item, NULL, "%s: the first layer needs `inputs:` here",
                           path);
  }
  if (!listed)
    return co_node_problem(l->problems, inputs, NULL, "%s.inputs: must be a list of names", path);
  for (int64_t i = 0; i < inputs->count; i++) {
    const co_node *name = inputs->items[i];
    if (name->kind != CO_NODE_SCALAR)
      return co_node_problem(l->problems, name, NULL, "%s.inputs: must be a list of names", path);
    in[i] = find_anywhere(l, name->text);
    if (in[i] == CO_NO_VALUE) return suggest_value(l, name, path);
  }
  *count = (int)inputs->count;
  return CO_OK;
}

static const char *class_key(const co_node *item) {
  for (int64_t i = 0; item->kind == CO_NODE_MAP && i < item->count; i++)
    if (!is_item_key(item->keys[i])) return item->keys[i];
  return item->kind == CO_NODE_SCALAR ? item->text : NULL;
}

static co_status unknown_layer(list *l, const co_node *item, const char *path, const char *name) {
  const char *names[128];
  int64_t count = 0;
  for (; co_layer_list()[count] && count < 128; count++)
    names[count] = co_layer_list()[count]->name;
  const char *near = co_nearest(name, names, count);
  return co_node_problem(l->problems, item, "`cohort help layers` lists them",
                         "%s: unknown layer '%s'%s%s%s", path, name, near ? "; did you mean '" : "",
                         near ? near : "", near ? "'?" : "");
}

static co_status check_extra_keys(list *l, const co_node *item, const char *path) {
  int classes = 0;
  for (int64_t i = 0; item->kind == CO_NODE_MAP && i < item->count; i++)
    if (!is_item_key(item->keys[i]) && ++classes > 1)
      return co_node_problem(l->problems, item->items[i], NULL,
                             "%s.%s: unknown key (options of a layer stand inside its braces)",
                             path, item->keys[i]);
  return CO_OK;
}

// `Dense: 64` becomes `Dense: {units: 64}`.
static const co_node *options_node(list *l, const co_layer_class *class_, const co_node *item) {
  const co_node *value = item->kind == CO_NODE_MAP ? co_node_get(item, class_->name) : NULL;
  if (!value || value->kind == CO_NODE_NULL || value->kind == CO_NODE_MAP || !class_->shorthand)
    return value && value->kind == CO_NODE_NULL ? NULL : value;
  co_node *map = co_arena_alloc(l->arena, 1, sizeof *map);
  const char **keys = co_arena_alloc(l->arena, 1, sizeof *keys);
  co_node **items = co_arena_alloc(l->arena, 1, sizeof *items);
  if (!map || !keys || !items) return value;
  *map = *value;
  map->kind = CO_NODE_MAP;
  map->count = 1;
  map->keys = keys;
  map->items = items;
  keys[0] = class_->shorthand;
  items[0] = (co_node *)(uintptr_t)value;
  return map;
}

static co_status apply(list *l, const co_node *item, const char *path, built *layer) {
  co_value *in;
  int count;
  int64_t before = l->problems->count;
  CO_RETURN_IF_FAILED(find_inputs(l, item, path, &in, &count));
  if (l->problems->count > before) return CO_OK;
  bool frozen = l->graph->frozen;
  const char *group = l->graph->group;
  bool trainable = true;
  const co_node *node = co_node_get(item, "trainable");
  if (node && !co_node_bool(node, &trainable))
    CO_RETURN_IF_FAILED(
        co_node_problem(l->problems, node, NULL, "%s.trainable: must be true or false", path));
  node = co_node_get(item, "group");
  if (node && node->kind != CO_NODE_SCALAR && node->kind != CO_NODE_NULL)
    CO_RETURN_IF_FAILED(co_node_problem(l->problems, node, NULL, "%s.group: must be a name", path));
  l->graph->frozen = frozen || !trainable;
  if (node && node->kind == CO_NODE_SCALAR) l->graph->group = node->text;
  co_status status = co_layer_apply(l->graph, layer->class_, layer->path, layer->options, in, count,
                                    &layer->value);
  l->graph->frozen = frozen;
  l->graph->group = group;
  if (status != CO_ERR_CONFIG) return status;
  const co_error *error = co_error_last();
  return co_node_problem(l->problems, item, error->hint[0] ? error->hint : NULL, "%s: %s", path,
                         error->message);
}

// Names become names in model files, so a path has no place in one. An absent name is automatic.
static co_status read_name(list *l, const co_node *item, const char *path, const char *automatic,
                           built *layer) {
  enum { LONGEST = 255 };
  const co_node *name = co_node_get(item, "name");
  if (name && name->kind == CO_NODE_NULL) name = NULL;
  layer->name = name && name->kind == CO_NODE_SCALAR ? name->text : automatic;
  if (!layer->name) return CO_ERR_MEMORY;
  bool good = !name || name->kind == CO_NODE_SCALAR;
  size_t length = strlen(layer->name);
  for (size_t i = 0; i < length; i++)
    good = good && !iscntrl((unsigned char)layer->name[i]) && layer->name[i] != '/';
  if (!good || !length || length > LONGEST || !strcmp(layer->name, ".") ||
      !strcmp(layer->name, ".."))
    return co_node_problem(l->problems, name, NULL,
                           "%s.name: must be a name of at most %d bytes without '/'", path,
                           (int)LONGEST);
  if (find_value(l, layer->name) == CO_NO_VALUE) return CO_OK;
  return co_node_problem(l->problems, name ? name : item, NULL,
                         "%s: the name '%s' is taken; `shared: %s` calls that layer again", path,
                         layer->name, layer->name);
}

static co_status build_new(list *l, const co_node *item, const char *path, const char *key,
                           built *layer) {
  layer->class_ = co_layer_find(key);
  if (!layer->class_) return unknown_layer(l, item, path, key);
  layer->options = co_arena_alloc(l->arena, 1, layer->class_->options_size);
  if (!layer->options) return CO_ERR_MEMORY;
  int64_t before = l->problems->count;
  char *options_path = co_arena_format(l->arena, "%s.%s", path, key);
  if (!options_path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_fields_parse(layer->options, layer->class_->fields,
                                      options_node(l, layer->class_, item), options_path, l->arena,
                                      l->problems));
  CO_RETURN_IF_FAILED(read_name(l, item, path, automatic_name(l, layer->class_), layer));
  layer->path = co_arena_format(l->arena, "%s/%s", l->options->scope, layer->name);
  if (!layer->path) return CO_ERR_MEMORY;
  return l->problems->count == before ? apply(l, item, path, layer) : CO_OK;
}

static co_status build_shared(list *l, const co_node *item, const char *path, built *layer) {
  const co_node *shared = co_node_get(item, "shared");
  built *first = shared->kind == CO_NODE_SCALAR ? find_built(l, shared->text) : NULL;
  if (!first) return suggest_value(l, shared, path);
  static const char *const firsts[] = {"trainable", "group"};
  for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
    if (co_node_get(item, firsts[i]))
      return co_node_problem(l->problems, co_node_get(item, firsts[i]), NULL,
                             "%s.%s: belongs to the first call, whose weights these are", path,
                             firsts[i]);
  *layer = *first;
  int64_t before = l->problems->count;
  CO_RETURN_IF_FAILED(read_name(
      l, item, path, co_arena_format(l->arena, "%s_again_%lld", first->name, (long long)l->count),
      layer));
  return l->problems->count == before ? apply(l, item, path, layer) : CO_OK;
}

static co_status build_item(list *l, const co_node *item, const char *path) {
  built *layer = &l->done[l->count];
  layer->value = CO_NO_VALUE;
  const char *key = class_key(item);
  int64_t before = l->problems->count;
  CO_RETURN_IF_FAILED(check_extra_keys(l, item, path));
  if (l->problems->count > before) return CO_OK;
  if (!key)
    CO_RETURN_IF_FAILED(co_node_problem(l->problems, item, "for example {Dense: {units: 64}}",
                                        "%s: names no layer", path));
  else if (strcmp(key, "shared") == 0)
    CO_RETURN_IF_FAILED(build_shared(l, item, path, layer));
  else
    CO_RETURN_IF_FAILED(build_new(l, item, path, key, layer));
  if (l->problems->count == before) l->count++;
  return CO_OK;
}

static co_status keep_built(const list *l) {
  co_named_value *items = co_arena_alloc(l->arena, (size_t)l->count + 1, sizeof *items);
  if (!items) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < l->count; i++)
    items[i] = (co_named_value){l->done[i].name, l->done[i].value};
  *l->options->built = (co_named_values){items, l->count};
  return CO_OK;
}

co_status co_layer_list_build(co_graph *graph, const co_node *layers, const char *path,
                              const co_layer_list_options *options, co_arena *arena,
                              co_diagnostics *problems, co_value *out) {
  *out = options->input;
  if (!layers || layers->kind != CO_NODE_LIST)
    return co_node_problem(problems, layers, NULL, "%s: must be a list of layers", path);
  list l = {.graph = graph, .options = options, .arena = arena, .problems = problems};
  l.done = co_arena_alloc(arena, (size_t)layers->count + 1, sizeof *l.done);
  if (!l.done) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < layers->count; i++) {
    char *item_path = co_arena_format(arena, "%s[%lld]", path, (long long)i);
    if (!item_path) return CO_ERR_MEMORY;
    int64_t before = problems->count;
    CO_RETURN_IF_FAILED(build_item(&l, layers->items[i], item_path));
    // Shapes after a broken layer are unknown: later complaints would be noise.
    if (problems->count > before) return CO_OK;
  }
  if (l.count) *out = l.done[l.count - 1].value;
  return options->built ? keep_built(&l) : CO_OK;
}
