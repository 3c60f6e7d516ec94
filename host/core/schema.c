// SPDX-License-Identifier: Apache-2.0
#include "host/core/schema.h"

#include <string.h>

static const char *const type_names[CO_COLUMN_TYPE_COUNT] = {
    [CO_COLUMN_NUMBER] = "number", [CO_COLUMN_VECTOR] = "vector", [CO_COLUMN_CATEGORY] = "category",
    [CO_COLUMN_BINARY] = "binary", [CO_COLUMN_IMAGE] = "image",   [CO_COLUMN_DATE] = "date",
    [CO_COLUMN_TEXT] = "text",
};
static const char *const role_names[CO_ROLE_COUNT] = {
    [CO_ROLE_INPUT] = "input",   [CO_ROLE_TARGET] = "target", [CO_ROLE_KEY] = "key",
    [CO_ROLE_WEIGHT] = "weight", [CO_ROLE_IGNORE] = "ignore",
};

static const char *const label_names[CO_LABEL_KIND_COUNT] = {[CO_LABEL_NONE] = "none",
                                                             [CO_LABEL_ANY] = "any",
                                                             [CO_LABEL_COUNT] = "count",
                                                             [CO_LABEL_SUM] = "sum"};

static int find(const char *const *names, int count, const char *name) {
  for (int i = 0; name && i < count; i++)
    if (!strcmp(names[i], name)) return i;
  return -1;
}

const co_column *co_schema_find(const co_schema *schema, const char *name) {
  for (int64_t i = 0; i < schema->column_count; i++)
    if (!strcmp(schema->columns[i].name, name)) return &schema->columns[i];
  return NULL;
}

const co_table *co_schema_table(const co_schema *schema, const char *name) {
  for (int64_t i = 0; name && i < schema->table_count; i++)
    if (!strcmp(schema->tables[i].name, name)) return &schema->tables[i];
  return NULL;
}

const co_table *co_schema_entity(const co_schema *schema) {
  for (int64_t i = 0; i < schema->table_count; i++)
    if (schema->tables[i].kind == CO_TABLE_ENTITY) return &schema->tables[i];
  return NULL;
}

const char *co_table_kind_name(co_table_kind kind) {
  return kind == CO_TABLE_SAMPLES ? "samples" : kind == CO_TABLE_ENTITY ? "entity" : "events";
}

const char *co_column_type_name(co_column_type type) {
  return (unsigned)type < CO_COLUMN_TYPE_COUNT ? type_names[type] : "unknown";
}

const char *co_role_name(co_role role) {
  return (unsigned)role < CO_ROLE_COUNT ? role_names[role] : "unknown";
}

void co_column_render(co_json *json, const co_column *column) {
  co_json_key(json, "type");
  co_json_string(json, co_column_type_name(column->type));
  co_json_key(json, "role");
  co_json_string(json, co_role_name(column->role));
  co_json_key(json, "shape");
  co_json_open(json, '[');
  for (int i = 0; i < column->shape.rank; i++)
    co_json_int(json, column->shape.dim[i]);
  co_json_close(json);
  if (column->category_count) {
    co_json_key(json, "categories");
    co_json_open(json, '[');
    for (int64_t i = 0; i < column->category_count; i++)
      co_json_string(json, column->categories[i]);
    co_json_close(json);
  }
  if (column->picture.rank) {
    co_json_key(json, "picture");
    co_json_open(json, '[');
    for (int i = 0; i < column->picture.rank; i++)
      co_json_int(json, column->picture.dim[i]);
    co_json_close(json);
  }
  if (column->described) {
    co_json_key(json, "described");
    co_json_bool(json, true);
  }
}

const char *co_label_kind_name(co_label_kind kind) {
  return (unsigned)kind < CO_LABEL_KIND_COUNT ? label_names[kind] : "unknown";
}

bool co_label_ok(const co_label *label) {
  const int64_t most = INT64_C(10000) * 366 * 86400;
  return label->gap >= 0 && label->gap < most && label->window > 0 && label->window < most;
}

int co_label_kind_parse(const char *name) {
  int kind = find(label_names, CO_LABEL_KIND_COUNT, name);
  return kind == CO_LABEL_NONE ? -1 : kind;
}

int co_column_type_parse(const char *name) {
  return find(type_names, CO_COLUMN_TYPE_COUNT, name);
}

int co_role_parse(const char *name) {
  return find(role_names, CO_ROLE_COUNT, name);
}

co_dtype co_column_type_dtype(co_column_type type) {
  return type == CO_COLUMN_IMAGE ? CO_U8 : type == CO_COLUMN_CATEGORY ? CO_I32 : CO_F32;
}

int co_column_type_rank(co_column_type type) {
  static const int ranks[CO_COLUMN_TYPE_COUNT] = {
      [CO_COLUMN_VECTOR] = 1, [CO_COLUMN_IMAGE] = 3, [CO_COLUMN_TEXT] = -1};
  return ranks[type];
}

bool co_column_type_has_names(co_column_type type) {
  return type == CO_COLUMN_CATEGORY || type == CO_COLUMN_BINARY;
}
