// SPDX-License-Identifier: Apache-2.0
// check_json [PATH=VALUE]...: succeeds if standard input is one JSON object in one line (as far as
// our parser can tell) with these values. A step of a path is a key, or an index from 0.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/config/config.h"
#include "host/core/file.h"

static const co_node *find(const co_node *node, const char *path, size_t length) {
  char key[128];
  while (node && length) {
    size_t step = 0;
    while (step < length && path[step] != '.')
      step++;
    snprintf(key, sizeof key, "%.*s", (int)step, path);
    char *end;
    long item = strtol(key, &end, 10);
    if (node->kind == CO_NODE_LIST && step && !*end && item >= 0 && item < node->count)
      node = node->items[item];
    else
      node = co_node_get(node, key);
    path += step + (step < length);
    length -= step + (step < length);
  }
  return node;
}

static int check(co_arena *arena, int count, char **assignments) {
  char *text;
  size_t length;
  co_node *root;
  co_diagnostics problems;
  co_context *ctx = co_arena_context(arena);
  co_diagnostics_init(&problems, ctx);
  if (co_read_file(ctx, "-", 1 << 24, CO_ERR_DATA, &text, &length) != CO_OK) return 1;
  bool good = co_yaml_parse(&root, arena, "stdin", text, length, &problems) == CO_OK &&
              text[0] == '{' && length > 1 && strchr(text, '\n') == text + length - 1;
  if (!good) printf("not one JSON document: %s\n", text);
  for (int i = 0; good && i < count; i++) {
    size_t path = strcspn(assignments[i], "=");
    const co_node *node = find(root, assignments[i], path);
    const char *value = node && node->kind == CO_NODE_SCALAR ? node->text : "null";
    good = strcmp(value, assignments[i] + path + 1) == 0;
    if (!good) printf("expected %s, found '%s' in %s", assignments[i], value, text);
  }
  co_free(ctx, text);
  co_diagnostics_free(&problems);
  return good ? 0 : 1;
}

int main(int argc, char **argv) {
  co_context *ctx;
  co_arena *arena;
  if (co_context_create(&ctx, NULL) != CO_OK || co_arena_create(&arena, ctx) != CO_OK) return 1;
  int code = check(arena, argc - 1, argv + 1);
  co_arena_free(arena);
  co_context_free(ctx);
  return code;
}
