// SPDX-License-Identifier: Apache-2.0
#include "host/persist/model_schema.h"

#include <string.h>

#include "host/core/json.h"

// ---- writing -----------------------------------------------------------------------------------

static bool is_of_events(const co_schema *schema, const co_column *column) {
  const co_table *table = co_schema_table(schema, column->table);
  return table && table->kind == CO_TABLE_EVENTS;
}

// Whether columns, those of events aside, are of several tables: these make blocks of their own.
static bool has_several_tables(const co_schema *schema) {
  const char *first = NULL;
  for (int64_t i = 0; i < schema->column_count; i++) {
    const char *table = schema->columns[i].table;
    if (!table || is_of_events(schema, &schema->columns[i])) continue;
    if (first && strcmp(first, table) != 0) return true;
    first = table;
  }
  return false;
}

static void render_column(co_json *json, const co_schema *schema, const co_column *column,
                          bool several) {
  bool events = is_of_events(schema, column);
  co_json_open(json, '{');
  co_json_key(json, "name");
  co_json_string(json, column->name);
  co_column_render(json, column);
  if (column->label.kind) {
    co_json_key(json, "label");
    co_json_string(json, co_label_kind_name(column->label.kind));
    co_json_key(json, "gap");
    co_json_int(json, column->label.gap);
    co_json_key(json, "window");
    co_json_int(json, column->label.window);
  }
  if (column->any) {
    co_json_key(json, "any");
    co_json_bool(json, true);
  }
  if (events || (column->table && several)) {
    co_json_key(json, events ? "events" : "table");
    co_json_string(json, column->table);
  }
  co_json_close(json);
}

co_status co_model_schema_render(co_text *out, co_context *ctx, const co_schema *schema) {
  co_json json;
  bool several = has_several_tables(schema);
  co_json_init(&json, ctx, 0);
  co_json_open(&json, '[');
  for (int64_t i = 0; i < schema->column_count; i++)
    render_column(&json, schema, &schema->columns[i], several);
  co_json_close(&json);
  co_status status = json.text.status;
  if (status == CO_OK) co_text_append(out, json.text.data, json.text.length);
  co_json_free(&json);
  return status == CO_OK ? out->status : status;
}

// ---- reading -----------------------------------------------------------------------------------

static co_status damaged(const char *path) {
  return co_fail_at(CO_ERR_MODEL, path, 0, 0, "its stored schema is damaged");
}

static const char *text_of(const co_node *map, const char *key) {
  const co_node *node = co_node_get(map, key);
  return node && node->kind == CO_NODE_SCALAR ? node->text : "";
}

static bool parse_label(const co_node *node, co_label *out) {
  if (!co_node_get(node, "label")) return true;
  int kind = co_label_kind_parse(text_of(node, "label"));
  const co_node *gap = co_node_get(node, "gap"), *window = co_node_get(node, "window");
  out->kind = kind < 0 ? CO_LABEL_NONE : (co_label_kind)kind;
  return kind > 0 && gap && window && co_node_int(gap, &out->gap) &&
         co_node_int(window, &out->window) && co_label_ok(out);
}

// Of a picture; NULL = there is none.
static bool parse_shape(const co_node *list, co_shape *out) {
  if (!list) return true;
  if (list->kind != CO_NODE_LIST || list->count != 3) return false;
  out->rank = 3;
  for (int i = 0; i < 3; i++)
    if (!co_node_int(list->items[i], &out->dim[i]) || out->dim[i] < 1 || out->dim[i] > 65535)
      return false;
  return true;
}

static co_status parse_column(co_arena *arena, const char *path, const co_node *node,
                              co_column *out) {
  int type = co_column_type_parse(text_of(node, "type")),
      role = co_role_parse(text_of(node, "role"));
  const co_node *shape = co_node_get(node, "shape"), *names = co_node_get(node, "categories");
  int rank = type < 0 || type == CO_COLUMN_TEXT ? 0 : co_column_type_rank((co_column_type)type);
  if (type < 0 || role < 0 || !shape || shape->kind != CO_NODE_LIST || shape->count != rank ||
      !*text_of(node, "name") ||
      (names && (names->kind != CO_NODE_LIST || !names->count ||
                 !co_column_type_has_names((co_column_type)type))) ||
      (type == CO_COLUMN_CATEGORY && !names))
    return damaged(path);
  memset(out, 0, sizeof *out);
  out->name = text_of(node, "name");
  out->type = (co_column_type)type;
  out->role = (co_role)role;
  out->dtype = co_column_type_dtype(out->type);
  out->shape.rank = (int32_t)shape->count;
  for (int64_t i = 0; i < shape->count; i++)
    if (!co_node_int(shape->items[i], &out->shape.dim[i]) || out->shape.dim[i] < 1 ||
        out->shape.dim[i] > 1 << 20)
      return damaged(path);
  if (!parse_label(node, &out->label)) return damaged(path);
  const char *table = text_of(node, *text_of(node, "events") ? "events" : "table");
  if (*table) out->table = table;
  if (!parse_shape(co_node_get(node, "picture"), &out->picture)) return damaged(path);
  const co_node *described = co_node_get(node, "described");
  if (described && !co_node_bool(described, &out->described)) return damaged(path);
  const co_node *any = co_node_get(node, "any");
  if (any && !co_node_bool(any, &out->any)) return damaged(path);
  if (!names) return CO_OK;
  const char **categories = co_arena_alloc(arena, (size_t)names->count + 1, sizeof *categories);
  if (!categories) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < names->count; i++) {
    if (names->items[i]->kind != CO_NODE_SCALAR) return damaged(path);
    categories[i] = names->items[i]->text;
  }
  out->categories = categories;
  out->category_count = names->count;
  return CO_OK;
}

// The tables that columns name.
static co_status list_tables(co_arena *arena, const co_node *list, co_schema *schema) {
  co_table *tables = co_arena_alloc(arena, (size_t)schema->column_count + 1, sizeof *tables);
  if (!tables) return CO_ERR_MEMORY;
  schema->tables = tables;
  for (int64_t i = 0; i < schema->column_count; i++) {
    const char *name = schema->columns[i].table;
    if (name && !co_schema_table(schema, name))
      tables[schema->table_count++] = (co_table){
          .name = name,
          .kind = *text_of(list->items[i], "events") ? CO_TABLE_EVENTS : CO_TABLE_ENTITY};
  }
  return CO_OK;
}

co_status co_model_schema_parse(co_schema *out, co_arena *arena, const char *path,
                                const co_node *list) {
  if (list->kind != CO_NODE_LIST) return damaged(path);
  co_column *columns = co_arena_alloc(arena, (size_t)list->count + 1, sizeof *columns);
  if (!columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < list->count; i++)
    CO_RETURN_IF_FAILED(parse_column(arena, path, list->items[i], &columns[i]));
  *out = (co_schema){.column_count = list->count, .columns = columns};
  return list_tables(arena, list, out);
}
