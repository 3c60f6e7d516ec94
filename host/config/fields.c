// SPDX-License-Identifier: Apache-2.0
// Options structs from maps, as their field tables say.
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/config/tree.h"

typedef struct parser {
  const co_field *fields;
  const co_node *map; // NULL = none
  const char *path;   // of the map
  co_arena *arena;
  co_diagnostics *problems;
  char *out; // the struct
} parser;

// ---- messages ----------------------------------------------------------------------------------

static co_status bad_value(const parser *p, const co_field *field, const co_node *node,
                           const char *hint, const char *expected) {
  const char *dot = *p->path ? "." : "";
  switch (node->kind) {
  case CO_NODE_SCALAR:
    return co_node_problem(p->problems, node, hint, "%s%s%s: '%s' %s", p->path, dot, field->key,
                           node->text, expected);
  case CO_NODE_LIST:
    return co_node_problem(p->problems, node, hint, "%s%s%s: a list %s", p->path, dot, field->key,
                           expected);
  default:
    return co_node_problem(p->problems, node, hint, "%s%s%s: a section %s", p->path, dot,
                           field->key, expected);
  }
}

static bool is_bounded(const co_field *field) {
  return field->minimum != 0 || field->maximum != 0;
}

static co_status out_of_range(const parser *p, const co_field *field, const co_node *node) {
  enum { BILLION = 1000000000 };
  char expected[128];
  bool above = fabs(field->maximum) < BILLION, below = fabs(field->minimum) < BILLION;
  if (above && below)
    snprintf(expected, sizeof expected, "is not between %.15g and %.15g", field->minimum,
             field->maximum);
  else if (below)
    snprintf(expected, sizeof expected, "is less than %.15g", field->minimum);
  else
    snprintf(expected, sizeof expected, "is more than %.15g", field->maximum);
  return bad_value(p, field, node, NULL, expected);
}

// ---- one value ---------------------------------------------------------------------------------

static bool in_range(const co_field *field, double value) {
  return !is_bounded(field) || (value >= field->minimum && value <= field->maximum);
}

static const char *number_hint(const co_node *node, bool whole) {
  co_node bare = *node;
  double value;
  int64_t integer;
  bare.quoted = false;
  if (node->kind != CO_NODE_SCALAR) return NULL;
  if (node->quoted && (whole ? co_node_int(&bare, &integer) : co_node_double(&bare, &value)))
    return "remove the quotes";
  if (whole && co_node_double(&bare, &value) && value == floor(value))
    return "write all digits, without point or exponent";
  return NULL;
}

static co_status parse_int(const parser *p, const co_field *field, const co_node *node,
                           int64_t *out) {
  int64_t value;
  if (!co_node_int(node, &value))
    return bad_value(p, field, node, number_hint(node, true), "is not a whole number");
  if (!in_range(field, (double)value)) return out_of_range(p, field, node);
  *out = value;
  return CO_OK;
}

static co_status parse_double(const parser *p, const co_field *field, const co_node *node,
                              double *out) {
  double value;
  if (!co_node_double(node, &value))
    return bad_value(p, field, node, number_hint(node, false), "is not a number");
  if (!in_range(field, value)) return out_of_range(p, field, node);
  *out = value;
  return CO_OK;
}

static co_status parse_bool(const parser *p, const co_field *field, const co_node *node,
                            bool *out) {
  if (co_node_bool(node, out)) return CO_OK;
  return bad_value(p, field, node, "write true or false", "is neither true nor false");
}

static co_status parse_string(const parser *p, const co_field *field, const co_node *node,
                              const char **out) {
  if (node->kind != CO_NODE_SCALAR) return bad_value(p, field, node, NULL, "is not a text");
  *out = co_arena_strdup(p->arena, node->text);
  return *out ? CO_OK : CO_ERR_MEMORY;
}

static co_status parse_enum(const parser *p, const co_field *field, const co_node *node, int *out) {
  int64_t count = 0;
  char list[512] = "";
  size_t used = 0;
  for (; field->words[count]; count++) {
    if (node->kind == CO_NODE_SCALAR && strcmp(node->text, field->words[count]) == 0) {
      *out = (int)count;
      return CO_OK;
    }
    int n =
        snprintf(list + used, sizeof list - used, "%s%s", count ? ", " : "", field->words[count]);
    if (n > 0 && (size_t)n < sizeof list - used) used += (size_t)n;
  }
  list[used] = '\0';
  const char *near =
      node->kind == CO_NODE_SCALAR ? co_nearest(node->text, field->words, count) : NULL;
  char hint[160], expected[560];
  if (near) snprintf(hint, sizeof hint, "did you mean '%s'?", near);
  snprintf(expected, sizeof expected, "is not one of: %s", list);
  return bad_value(p, field, node, near ? hint : NULL, expected);
}

static co_status parse_pair(const parser *p, const co_field *field, const co_node *node,
                            int64_t out[2]) {
  if (node->kind == CO_NODE_SCALAR) {
    CO_RETURN_IF_FAILED(parse_int(p, field, node, &out[0]));
    out[1] = out[0];
    return CO_OK;
  }
  if (node->kind != CO_NODE_LIST || node->count != 2)
    return bad_value(p, field, node, "for example 3 or [3, 5]",
                     "is neither a whole number nor two of them");
  CO_RETURN_IF_FAILED(parse_int(p, field, node->items[0], &out[0]));
  return parse_int(p, field, node->items[1], &out[1]);
}

static co_status parse_value(const parser *p, const co_field *field, const co_node *node) {
  void *out = p->out + field->offset;
  switch (field->type) {
  case CO_FIELD_BOOL:
    return parse_bool(p, field, node, out);
  case CO_FIELD_INT:
    return parse_int(p, field, node, out);
  case CO_FIELD_DOUBLE:
    return parse_double(p, field, node, out);
  case CO_FIELD_STRING:
    return parse_string(p, field, node, out);
  case CO_FIELD_ENUM:
    return parse_enum(p, field, node, out);
  case CO_FIELD_PAIR:
    return parse_pair(p, field, node, out);
  case CO_FIELD_NODE:
    *(const co_node **)out = node;
    return CO_OK;
  }
  return co_fail(CO_ERR_INTERNAL, "field '%s' has no type", field->key);
}

// ---- defaults ----------------------------------------------------------------------------------

// What a field holds without a default, and while its value is faulty.
static void clear(const parser *p, const co_field *field) {
  void *out = p->out + field->offset;
  switch (field->type) {
  case CO_FIELD_BOOL:
    *(bool *)out = false;
    break;
  case CO_FIELD_INT:
    *(int64_t *)out = 0;
    break;
  case CO_FIELD_DOUBLE:
    *(double *)out = 0;
    break;
  case CO_FIELD_STRING:
    *(const char **)out = NULL;
    break;
  case CO_FIELD_ENUM:
    *(int *)out = 0;
    break;
  case CO_FIELD_PAIR:
    memset(out, 0, 2 * sizeof(int64_t));
    break;
  case CO_FIELD_NODE:
    *(const co_node **)out = NULL;
    break;
  }
}

static co_status set_default(const parser *p, const co_field *field) {
  clear(p, field);
  const char *text = field->fallback;
  if (!text || strcmp(text, "null") == 0) return CO_OK;
  int64_t before = p->problems->count;
  // A default may be out of the range that is allowed to users: it then says "not set".
  co_field free_field = *field;
  free_field.minimum = free_field.maximum = 0;
  co_node *node = NULL;
  if (*text && !strchr("[{\"'", *text)) { // the common case needs no YAML
    node = co_arena_alloc(p->arena, 1, sizeof *node);
    if (!node) return CO_ERR_MEMORY;
    *node = (co_node){.kind = CO_NODE_SCALAR, .text = text, .file = "default"};
  } else {
    CO_RETURN_IF_FAILED(co_yaml_parse(&node, p->arena, "default", text, strlen(text), p->problems));
  }
  CO_RETURN_IF_FAILED(parse_value(p, &free_field, node));
  assert(p->problems->count == before && "a field's default is faulty");
  (void)before;
  return CO_OK;
}

// ---- keys --------------------------------------------------------------------------------------

static bool spells(const co_field *field, const char *key) {
  return strcmp(field->key, key) == 0 || (field->alias && strcmp(field->alias, key) == 0);
}

static co_status unknown_key(const parser *p, int64_t index) {
  const char *names[256];
  int64_t count = 0;
  for (const co_field *f = p->fields; f->key && count < 255; f++) {
    names[count++] = f->key;
    if (f->alias) names[count++] = f->alias;
  }
  const char *key = p->map->keys[index], *dot = *p->path ? "." : "";
  const char *near = co_nearest(key, names, count);
  char hint[512];
  if (near) snprintf(hint, sizeof hint, "did you mean %s%s%s?", p->path, dot, near);
  co_node place = *p->map->items[index];
  place.line = place.key_line;
  place.column = place.key_column;
  return co_node_problem(p->problems, &place, near ? hint : NULL, "%s%s%s: unknown key", p->path,
                         dot, key);
}

static co_status check_keys(const parser *p) {
  for (int64_t i = 0; i < p->map->count; i++) {
    const co_field *f = p->fields;
    while (f->key && !spells(f, p->map->keys[i]))
      f++;
    if (!f->key) CO_RETURN_IF_FAILED(unknown_key(p, i));
  }
  return CO_OK;
}

static co_status parse_field(const parser *p, const co_field *field) {
  CO_RETURN_IF_FAILED(set_default(p, field));
  const char *dot = *p->path ? "." : "";
  const co_node *node = co_node_get(p->map, field->key);
  const co_node *other = field->alias ? co_node_get(p->map, field->alias) : NULL;
  if (node && other)
    CO_RETURN_IF_FAILED(co_node_problem(p->problems, other, NULL,
                                        "%s%s%s: given twice, also as '%s'", p->path, dot,
                                        field->key, field->alias));
  if (!node) node = other;
  if (node && node->kind != CO_NODE_NULL) return parse_value(p, field, node);
  if (field->fallback) return CO_OK;
  return co_node_problem(p->problems, node ? node : p->map, NULL, "%s%s%s: required, but not given",
                         p->path, dot, field->key);
}

co_status co_fields_parse(void *out, const co_field *fields, const co_node *map, const char *path,
                          co_arena *arena, co_diagnostics *problems) {
  if (map && map->kind == CO_NODE_NULL) map = NULL;
  parser p = {fields, map, path, arena, problems, out};
  bool is_map = !map || map->kind == CO_NODE_MAP;
  if (!is_map) {
    p.map = NULL;
    CO_RETURN_IF_FAILED(co_node_problem(problems, map, NULL, "%s%sexpected a section of keys", path,
                                        *path ? ": " : ""));
  }
  if (p.map) CO_RETURN_IF_FAILED(check_keys(&p));
  for (const co_field *f = fields; f->key; f++)
    CO_RETURN_IF_FAILED(is_map ? parse_field(&p, f) : set_default(&p, f));
  return CO_OK;
}

// ---- copies ------------------------------------------------------------------------------------

static co_status copy_field(co_arena *arena, const co_field *field, void *at) {
  if (field->type == CO_FIELD_STRING) {
    const char **text = at;
    if (*text && !(*text = co_arena_strdup(arena, *text))) return CO_ERR_MEMORY;
  } else if (field->type == CO_FIELD_NODE) {
    const co_node **section = at;
    co_node *copy;
    if (!*section) return CO_OK;
    CO_RETURN_IF_FAILED(co_node_copy(&copy, arena, *section));
    *section = copy;
  }
  return CO_OK;
}

co_status co_fields_copy(void **out, co_arena *arena, const co_field *fields, const void *options,
                         size_t size) {
  char *copy = co_arena_alloc(arena, 1, size);
  if (!copy) return CO_ERR_MEMORY;
  memcpy(copy, options, size);
  for (const co_field *f = fields; f->key; f++)
    CO_RETURN_IF_FAILED(copy_field(arena, f, copy + f->offset));
  *out = copy;
  return CO_OK;
}
