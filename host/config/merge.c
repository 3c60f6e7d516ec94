// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "host/config/tree.h"

// ---- copies ------------------------------------------------------------------------------------

// `file` caches the last file name copied: neighbours nearly always share it.
typedef struct copier {
  co_arena *arena;
  const char *from, *file;
} copier;

static co_status copy(copier *c, co_node **out, const co_node *node) {
  co_node *made = co_arena_alloc(c->arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = *node;
  *out = made;
  if (node->file && node->file != c->from) {
    c->from = node->file;
    c->file = co_arena_strdup(c->arena, node->file);
    if (!c->file) return CO_ERR_MEMORY;
  }
  if (node->file) made->file = c->file;
  if (node->text && !(made->text = co_arena_strdup(c->arena, node->text))) return CO_ERR_MEMORY;
  if (node->kind != CO_NODE_LIST && node->kind != CO_NODE_MAP) return CO_OK;
  made->items = co_arena_alloc(c->arena, (size_t)node->count, sizeof *made->items);
  if (!made->items) return CO_ERR_MEMORY;
  if (node->kind == CO_NODE_MAP) {
    made->keys = co_arena_alloc(c->arena, (size_t)node->count, sizeof *made->keys);
    if (!made->keys) return CO_ERR_MEMORY;
  }
  for (int64_t i = 0; i < node->count; i++) {
    CO_RETURN_IF_FAILED(copy(c, &made->items[i], node->items[i]));
    if (made->keys && !(made->keys[i] = co_arena_strdup(c->arena, node->keys[i])))
      return CO_ERR_MEMORY;
  }
  return CO_OK;
}

co_status co_node_copy(co_node **out, co_arena *arena, const co_node *node) {
  return copy(&(copier){.arena = arena}, out, node);
}

// ---- items -------------------------------------------------------------------------------------

static bool equals(const char *text, const char *name, size_t length) {
  return strlen(text) == length && memcmp(text, name, length) == 0;
}

int64_t co_node_find(const co_node *map, const char *key, size_t length) {
  if (!map || map->kind != CO_NODE_MAP) return -1;
  for (int64_t i = 0; i < map->count; i++)
    if (equals(map->keys[i], key, length)) return i;
  return -1;
}

int64_t co_node_find_named(const co_node *list, const char *name, size_t length) {
  if (!list || list->kind != CO_NODE_LIST) return -1;
  for (int64_t i = 0; i < list->count; i++) {
    const co_node *own = co_node_get(list->items[i], "name");
    if (own && own->kind == CO_NODE_SCALAR && equals(own->text, name, length)) return i;
  }
  return -1;
}

// The arrays are made anew: trees of configs are small, and an arena cannot grow a block.
co_status co_node_append(co_node *parent, co_arena *arena, const char *key, co_node *item) {
  size_t count = (size_t)parent->count;
  co_node **items = co_arena_alloc(arena, count + 1, sizeof *items);
  if (!items) return CO_ERR_MEMORY;
  if (count) memcpy(items, parent->items, count * sizeof *items);
  items[count] = item;
  if (key) {
    const char **keys = co_arena_alloc(arena, count + 1, sizeof *keys);
    if (!keys) return CO_ERR_MEMORY;
    if (count) memcpy(keys, parent->keys, count * sizeof *keys);
    if (!(keys[count] = co_arena_strdup(arena, key))) return CO_ERR_MEMORY;
    parent->keys = keys;
  }
  parent->items = items;
  parent->count++;
  return CO_OK;
}

void co_node_remove(co_node *parent, int64_t index) {
  for (int64_t i = index + 1; i < parent->count; i++) {
    parent->items[i - 1] = parent->items[i];
    if (parent->keys) parent->keys[i - 1] = parent->keys[i];
  }
  parent->count--;
}

// ---- merging -----------------------------------------------------------------------------------

static co_status merge_maps(co_node *base, co_arena *arena, const co_node *over, bool root);

co_status co_node_merge_item(co_node *parent, co_arena *arena, int64_t index, const co_node *over) {
  co_node *old = parent->items[index];
  if (over->kind == CO_NODE_NULL) {
    co_node_remove(parent, index);
    return CO_OK;
  }
  if (over->kind == CO_NODE_MAP && old->kind == CO_NODE_MAP)
    return merge_maps(old, arena, over, false);
  return co_node_copy(&parent->items[index], arena, over);
}

// Items without a name of their own (selectors) cannot be told apart and are appended.
static co_status merge_features(co_node *base, co_arena *arena, const co_node *over) {
  for (int64_t i = 0; i < over->count; i++) {
    const co_node *item = over->items[i], *name = co_node_get(item, "name");
    int64_t at = name && name->kind == CO_NODE_SCALAR
                     ? co_node_find_named(base, name->text, strlen(name->text))
                     : -1;
    if (at >= 0) {
      CO_RETURN_IF_FAILED(co_node_merge_item(base, arena, at, item));
      continue;
    }
    co_node *made;
    CO_RETURN_IF_FAILED(co_node_copy(&made, arena, item));
    CO_RETURN_IF_FAILED(co_node_append(base, arena, NULL, made));
  }
  return CO_OK;
}

// Targets by selectors are what is predicted unless a later config says what, as `targets` is.
static void drop_selectors(co_node *list) {
  for (int64_t i = list->count; i-- > 0;)
    if (co_node_get(list->items[i], "select")) co_node_remove(list, i);
}

static bool is_feature_list(const char *key) {
  return strcmp(key, "input_features") == 0 || strcmp(key, "output_features") == 0;
}

static co_status merge_maps(co_node *base, co_arena *arena, const co_node *over, bool root) {
  for (int64_t i = 0; i < over->count; i++) {
    const char *key = over->keys[i];
    const co_node *item = over->items[i];
    int64_t at = co_node_find(base, key, strlen(key));
    if (at < 0) {
      co_node *made;
      CO_RETURN_IF_FAILED(co_node_copy(&made, arena, item));
      CO_RETURN_IF_FAILED(co_node_append(base, arena, key, made));
    } else if (root && is_feature_list(key) && item->kind == CO_NODE_LIST &&
               base->items[at]->kind == CO_NODE_LIST) {
      if (strcmp(key, "output_features") == 0) drop_selectors(base->items[at]);
      CO_RETURN_IF_FAILED(merge_features(base->items[at], arena, item));
    } else {
      CO_RETURN_IF_FAILED(co_node_merge_item(base, arena, at, item));
    }
  }
  return CO_OK;
}

co_status co_node_merge(co_node **base, co_arena *arena, const co_node *over) {
  if (*base && (*base)->kind == CO_NODE_MAP && over->kind == CO_NODE_MAP)
    return merge_maps(*base, arena, over, true);
  return co_node_copy(base, arena, over);
}
