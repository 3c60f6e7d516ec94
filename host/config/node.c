// SPDX-License-Identifier: Apache-2.0
// Looking into a tree: keys, and scalars read strictly.
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/config/config.h"

const co_node *co_node_get(const co_node *map, const char *key) {
  if (!map || map->kind != CO_NODE_MAP) return NULL;
  for (int64_t i = 0; i < map->count; i++)
    if (strcmp(map->keys[i], key) == 0) return map->items[i];
  return NULL;
}

static const char *plain_text(const co_node *node) {
  return node && node->kind == CO_NODE_SCALAR && !node->quoted ? node->text : NULL;
}

bool co_node_bool(const co_node *node, bool *out) {
  const char *text = plain_text(node);
  if (!text) return false;
  bool yes = strcmp(text, "true") == 0;
  if (!yes && strcmp(text, "false") != 0) return false;
  *out = yes;
  return true;
}

static const char *skip_digits(const char *p) {
  while (*p >= '0' && *p <= '9')
    p++;
  return p;
}

static const char *skip_sign(const char *p) {
  return *p == '+' || *p == '-' ? p + 1 : p;
}

bool co_node_int(const co_node *node, int64_t *out) {
  const char *text = plain_text(node);
  if (!text) return false;
  const char *digits = skip_sign(text), *end = skip_digits(digits);
  if (end == digits || *end) return false;
  errno = 0;
  long long value = strtoll(text, NULL, 10);
  if (errno) return false;
  *out = value;
  return true;
}

// [+-] digits [. digits] [e [+-] digits], at least one digit before the exponent.
static bool is_decimal(const char *p) {
  p = skip_sign(p);
  const char *end = skip_digits(p);
  ptrdiff_t digits = end - p;
  if (*end == '.') {
    p = end + 1;
    end = skip_digits(p);
    digits += end - p;
  }
  if (!digits) return false;
  if (*end == 'e' || *end == 'E') {
    p = skip_sign(end + 1);
    end = skip_digits(p);
    if (end == p) return false;
  }
  return !*end;
}

bool co_node_double(const co_node *node, double *out) {
  const char *text = plain_text(node);
  char local[512];
  if (!text || !is_decimal(text)) return false;
  // strtod expects the point of the program's locale, which is not ours to change.
  const char *point = localeconv()->decimal_point, *dot = strchr(text, '.');
  size_t head = dot ? (size_t)(dot - text) : strlen(text);
  int written = snprintf(local, sizeof local, "%.*s%s%s", (int)head, text, dot ? point : "",
                         dot ? dot + 1 : "");
  if (written < 0 || (size_t)written >= sizeof local) return false;
  double value = strtod(local, NULL);
  if (!isfinite(value)) return false;
  *out = value;
  return true;
}

// ---- differences -------------------------------------------------------------------------------

static void extend(char *path, size_t size, size_t length, const char *key, int64_t index) {
  if (key)
    snprintf(path + length, size - length, "%s%s", length ? "." : "", key);
  else
    snprintf(path + length, size - length, "[%lld]", (long long)index);
}

// An absent node and an explicit null say the same.
static bool is_nothing(const co_node *node) {
  return !node || node->kind == CO_NODE_NULL;
}

static bool differ(co_difference *d, size_t length, const co_node *a, const co_node *b) {
  if (is_nothing(a) && is_nothing(b)) return false;
  d->a = a;
  d->b = b;
  if (is_nothing(a) || is_nothing(b) || a->kind != b->kind) return true;
  if (a->kind == CO_NODE_SCALAR) return strcmp(a->text, b->text) != 0;
  bool map = a->kind == CO_NODE_MAP;
  for (int64_t i = 0; i < a->count || (!map && i < b->count); i++) {
    const co_node *in_a = i < a->count ? a->items[i] : NULL;
    const co_node *in_b = map ? co_node_get(b, a->keys[i]) : i < b->count ? b->items[i] : NULL;
    extend(d->path, sizeof d->path, length, map ? a->keys[i] : NULL, i);
    if (differ(d, strlen(d->path), in_a, in_b)) return true;
  }
  for (int64_t i = 0; map && i < b->count; i++) {
    if (co_node_get(a, b->keys[i])) continue;
    extend(d->path, sizeof d->path, length, b->keys[i], 0);
    if (differ(d, strlen(d->path), NULL, b->items[i])) return true;
  }
  d->path[length] = '\0';
  return false;
}

bool co_node_differ(co_difference *out, const co_node *a, const co_node *b) {
  *out = (co_difference){.a = NULL};
  return differ(out, 0, a, b);
}

const char *co_node_brief(const co_node *node) {
  static const char *const names[] = {"not given", "", "a list", "a section"};
  if (!node) return names[CO_NODE_NULL];
  return node->kind == CO_NODE_SCALAR ? node->text : names[node->kind];
}

co_status co_node_problem(co_diagnostics *problems, const co_node *node, const char *hint,
                          const char *format, ...) {
  enum { ENOUGH = 1000 }; // messages of one run
  // Who reports a problem counts on the list to grow; so nobody goes on where it does not.
  if (problems->count >= ENOUGH)
    return co_fail(CO_ERR_CONFIG, "more than %d mistakes; the first ones are listed", ENOUGH);
  char message[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return co_diagnostics_add(problems, CO_ERR_CONFIG, node ? node->file : NULL,
                            node ? node->line : 0, node ? node->column : 0, hint, "%s", message);
}

co_status co_node_without(const co_node **out, co_arena *arena, const co_node *map,
                          const char *const *keys) {
  *out = NULL;
  if (!map || map->kind != CO_NODE_MAP) return CO_OK;
  co_node *made = co_arena_alloc(arena, 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  *made = *map;
  made->keys = co_arena_alloc(arena, (size_t)map->count + 1, sizeof *made->keys);
  made->items = co_arena_alloc(arena, (size_t)map->count + 1, sizeof *made->items);
  if (!made->keys || !made->items) return CO_ERR_MEMORY;
  made->count = 0;
  for (int64_t i = 0; i < map->count; i++) {
    bool left = true;
    for (int k = 0; keys[k]; k++)
      left = left && strcmp(map->keys[i], keys[k]) != 0;
    if (!left) continue;
    made->keys[made->count] = map->keys[i];
    made->items[made->count++] = map->items[i];
  }
  *out = made;
  return CO_OK;
}
