// SPDX-License-Identifier: Apache-2.0
// Changing a tree; shared by merging and overrides.
#ifndef COHORT_CONFIG_TREE_H
#define COHORT_CONFIG_TREE_H

#include "host/config/config.h"

co_status co_node_copy(co_node **out, co_arena *arena, const co_node *node);
// Position of a key, or -1; of a list item by its "name", or -1.
int64_t co_node_find(const co_node *map, const char *key, size_t length);
int64_t co_node_find_named(const co_node *list, const char *name, size_t length);
// Appends (`key` NULL for a list; it is copied) or takes out an item.
co_status co_node_append(co_node *parent, co_arena *arena, const char *key, co_node *item);
void co_node_remove(co_node *parent, int64_t index);
// Puts `over` into the place of item `index`: maps merge, null removes, all else replaces.
co_status co_node_merge_item(co_node *parent, co_arena *arena, int64_t index, const co_node *over);

#endif
