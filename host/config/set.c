// SPDX-License-Identifier: Apache-2.0
// Overrides from the command line: --set path=value.
#include <string.h>

#include "host/config/tree.h"

enum { MAX_DEPTH = 56 }; // leaves room below the parser's limit for the lists of features

typedef struct setter {
  co_arena *arena;
  co_diagnostics *problems;
  const char *origin;   // "--set trainer.max_steps"
  const char *path;     // the whole dotted path
  const co_node *value; // what goes there
} setter;

static co_node *make(const setter *s, co_node_kind kind) {
  co_node *node = co_arena_alloc(s->arena, 1, sizeof *node);
  if (node) *node = (co_node){.kind = kind, .file = s->origin};
  return node;
}

static co_status refuse(const setter *s, const char *hint, const char *message) {
  co_node place = {.file = s->origin};
  CO_RETURN_IF_FAILED(co_node_problem(s->problems, &place, hint, "%s", message));
  return co_error_raise(&s->problems->item[s->problems->count - 1]);
}

// "0", "1", … as an index of `list`, or -1.
static int64_t index_of(const co_node *list, const char *step, size_t length) {
  int64_t value = 0;
  if (length == 0 || length > 9) return -1;
  for (size_t i = 0; i < length; i++) {
    if (step[i] < '0' || step[i] > '9') return -1;
    value = value * 10 + (step[i] - '0');
  }
  return value < list->count ? value : -1;
}

// Names may hold dots, so the longest beginning of the path that exists wins. Gives the item's
// position and the length of its step, or -1.
static int64_t find_step(const co_node *parent, const char *path, size_t *length) {
  for (size_t n = strlen(path);;) {
    int64_t at = parent->kind == CO_NODE_MAP ? co_node_find(parent, path, n)
                                             : co_node_find_named(parent, path, n);
    if (at < 0 && parent->kind == CO_NODE_LIST) at = index_of(parent, path, n);
    if (at >= 0) {
      *length = n;
      return at;
    }
    while (n > 0 && path[n - 1] != '.')
      n--;
    if (n == 0) return -1;
    n--; // the dot
  }
}

// Makes the maps that `path` still lacks below `parent`, and puts the value there.
static co_status create(const setter *s, co_node *parent, const char *path) {
  if (s->value->kind == CO_NODE_NULL) return CO_OK; // nothing to remove
  for (;;) {
    size_t length = strcspn(path, ".");
    bool last = !path[length];
    char *key = co_arena_strndup(s->arena, path, length);
    co_node *child = NULL;
    if (!key) return CO_ERR_MEMORY;
    if (last)
      CO_RETURN_IF_FAILED(co_node_copy(&child, s->arena, s->value));
    else if (!(child = make(s, CO_NODE_MAP)))
      return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(co_node_append(parent, s->arena, key, child));
    if (last) return CO_OK;
    parent = child;
    path += length + 1;
  }
}

static co_status missing_item(const setter *s, const co_node *list, const char *path) {
  char *name = co_arena_strndup(s->arena, path, strcspn(path, "."));
  const char **names = co_arena_alloc(s->arena, (size_t)list->count, sizeof *names);
  if (!name || !names) return CO_ERR_MEMORY;
  int64_t count = 0;
  for (int64_t i = 0; i < list->count; i++) {
    const co_node *own = co_node_get(list->items[i], "name");
    if (own && own->kind == CO_NODE_SCALAR) names[count++] = own->text;
  }
  const char *near = co_nearest(name, names, count);
  char *hint = near ? co_arena_format(s->arena, "did you mean '%s'?", near) : NULL;
  char *message = co_arena_format(s->arena, "%s: the list has no item '%s'", s->path, name);
  if (!message || (near && !hint)) return CO_ERR_MEMORY;
  return refuse(s, hint, message);
}

static co_status no_section(const setter *s, const co_node *node, size_t used) {
  const char *value = node->kind == CO_NODE_SCALAR ? node->text : "";
  char *message = co_arena_format(s->arena, "%s: '%.*s' is the value '%s', not a section", s->path,
                                  (int)used, s->path, value);
  return message ? refuse(s, NULL, message) : CO_ERR_MEMORY;
}

// Walks down from the container `parent`.
static co_status put(const setter *s, co_node *parent, const char *path) {
  for (;;) {
    size_t length;
    int64_t at = find_step(parent, path, &length);
    if (at < 0)
      return parent->kind == CO_NODE_LIST ? missing_item(s, parent, path) : create(s, parent, path);
    if (!path[length]) return co_node_merge_item(parent, s->arena, at, s->value);
    co_node *child = parent->items[at];
    path += length + 1;
    if (child->kind == CO_NODE_NULL) {
      if (!(child = make(s, CO_NODE_MAP))) return CO_ERR_MEMORY;
      parent->items[at] = child;
    }
    if (child->kind == CO_NODE_SCALAR) return no_section(s, child, (size_t)(path - s->path) - 1);
    parent = child;
  }
}

// The list of features with an item that begins `path`, unless the root has such a key itself.
static co_node *feature_list(co_node *root, const char **path) {
  static const char *const lists[] = {"input_features", "output_features"};
  static const char prefix[] = "features.";
  size_t length;
  if (find_step(root, *path, &length) >= 0) return NULL;
  const char *name = *path;
  if (strncmp(name, prefix, sizeof prefix - 1) == 0) name += sizeof prefix - 1;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    int64_t at = co_node_find(root, lists[i], strlen(lists[i]));
    if (at < 0 || root->items[at]->kind != CO_NODE_LIST) continue;
    int64_t item = find_step(root->items[at], name, &length);
    if (item < 0 || index_of(root->items[at], name, length) == item) continue;
    *path = name;
    return root->items[at];
  }
  return NULL;
}

// The value's own line and column say nothing to somebody who typed it on the command line.
static void forget_places(co_node *node) {
  node->line = node->column = node->key_line = node->key_column = 0;
  if (node->kind == CO_NODE_LIST || node->kind == CO_NODE_MAP)
    for (int64_t i = 0; i < node->count; i++)
      forget_places(node->items[i]);
}

static int64_t depth_of(const co_node *node) {
  int64_t deepest = 0;
  if (node->kind != CO_NODE_LIST && node->kind != CO_NODE_MAP) return 0;
  for (int64_t i = 0; i < node->count; i++) {
    int64_t depth = depth_of(node->items[i]);
    if (depth > deepest) deepest = depth;
  }
  return deepest + 1;
}

static int64_t count_steps(const char *path) {
  int64_t steps = 1;
  for (; *path; path++)
    steps += *path == '.';
  return steps;
}

static bool is_path(const char *path) {
  if (!*path || *path == '.') return false;
  for (const char *p = path; *p; p++)
    if ((unsigned char)*p < 0x20 || (*p == '.' && (p[1] == '.' || !p[1]))) return false;
  return strlen(path) <= 1000;
}

static co_status no_feature(const setter *s) {
  char *message = co_arena_format(s->arena, "%s: there is no feature of that name", s->path);
  return message ? refuse(s, "features.NAME is one that input_features or output_features lists",
                          message)
                 : CO_ERR_MEMORY;
}

co_status co_node_set(co_node **root, co_arena *arena, const char *assignment,
                      co_diagnostics *problems) {
  const char *equal = strchr(assignment, '=');
  size_t length = equal ? (size_t)(equal - assignment) : strlen(assignment);
  setter s = {.arena = arena, .problems = problems, .origin = "--set"};
  if (!(s.path = co_arena_strndup(arena, assignment, length))) return CO_ERR_MEMORY;
  if (!equal || !is_path(s.path)) {
    char *message = co_arena_format(arena, "'%s' is not PATH=VALUE", assignment);
    return message ? refuse(&s, "for example trainer.max_steps=100", message) : CO_ERR_MEMORY;
  }
  if (!(s.origin = co_arena_format(arena, "--set %s", s.path))) return CO_ERR_MEMORY;
  co_node *value = NULL;
  if (equal[1]) {
    CO_RETURN_IF_FAILED(
        co_yaml_parse(&value, arena, s.origin, equal + 1, strlen(equal + 1), problems));
    forget_places(value);
  } else if (!(value = make(&s, CO_NODE_NULL))) {
    return CO_ERR_MEMORY;
  }
  s.value = value;
  if (count_steps(s.path) + depth_of(value) > MAX_DEPTH)
    return refuse(&s, NULL, "nested too deeply");
  if (!*root && !(*root = make(&s, CO_NODE_MAP))) return CO_ERR_MEMORY;
  if ((*root)->kind != CO_NODE_MAP) return refuse(&s, NULL, "the config is not a map of sections");
  const char *path = s.path;
  co_node *list = feature_list(*root, &path);
  if (!list && strncmp(path, "features.", 9) == 0 && !co_node_get(*root, "features"))
    return no_feature(&s);
  return put(&s, list ? list : *root, path);
}
