// SPDX-License-Identifier: Apache-2.0
// How a log of events is read, as models and schema files say it.
#include <string.h>

#include "datasets/date.h"
#include "datasets/text_input.h"
#include "host/api/events.h"
#include "host/api/table.h"

typedef struct recipe_options {
  const char *entity, *time, *time_format, *encoding, *decimal, *item, *basket, *amount, *where;
  int64_t session_gap;
  const co_node *files, *columns, *item_columns;
  const char *items, *items_file, *items_key, *items_picture, *items_fit, *items_text;
  bool rfm;
} recipe_options;

static const co_field recipe_fields[] = {
    {"file", CO_FIELD_NODE, offsetof(recipe_options, files), "null", 0, 0, NULL,
     "Where its lines are: FILE, or [FILE, FILE].", NULL},
    {"entity", CO_FIELD_STRING, offsetof(recipe_options, entity), NULL, 0, 0, NULL,
     "The column that says whose events they are.", NULL},
    {"time", CO_FIELD_STRING, offsetof(recipe_options, time), NULL, 0, 0, NULL,
     "The column with their times.", NULL},
    {"time_format", CO_FIELD_STRING, offsetof(recipe_options, time_format), "null", 0, 0, NULL,
     "How they are written, as of strptime; ms: milliseconds since 1970.", NULL},
    {"encoding", CO_FIELD_STRING, offsetof(recipe_options, encoding), "null", 0, 0, NULL,
     "That of the text, where samples see it.", NULL},
    {"decimal", CO_FIELD_STRING, offsetof(recipe_options, decimal), "null", 0, 0, NULL,
     "The decimal mark of its numbers: . (if absent) or a comma.", NULL},
    {"item", CO_FIELD_STRING, offsetof(recipe_options, item), "null", 0, 0, NULL,
     "The column of what they are about.", NULL},
    {"basket", CO_FIELD_STRING, offsetof(recipe_options, basket), "null", 0, 0, NULL,
     "The column of what is bought at once.", NULL},
    {"session_gap", CO_FIELD_INT, offsetof(recipe_options, session_gap), "0", 0, 1e9, NULL,
     "Seconds: events no further apart are of one purchase; 0: by basket, or time.", NULL},
    {"amount", CO_FIELD_STRING, offsetof(recipe_options, amount), "null", 0, 0, NULL,
     "A number of the columns: Quantity*UnitPrice.", NULL},
    {"where", CO_FIELD_STRING, offsetof(recipe_options, where), "null", 0, 0, NULL,
     "Which lines count, e.g. Quantity > 0.", NULL},
    {"columns", CO_FIELD_NODE, offsetof(recipe_options, columns), "null", 0, 0, NULL,
     "Further columns: [COL, COL:number].", NULL},
    {"items", CO_FIELD_STRING, offsetof(recipe_options, items), "null", 0, 0, NULL,
     "The table of what they are about.", NULL},
    {"items_file", CO_FIELD_STRING, offsetof(recipe_options, items_file), "null", 0, 0, NULL,
     "Where its rows are.", NULL},
    {"items_key", CO_FIELD_STRING, offsetof(recipe_options, items_key), "null", 0, 0, NULL,
     "Its key.", NULL},
    {"item_columns", CO_FIELD_NODE, offsetof(recipe_options, item_columns), "null", 0, 0, NULL,
     "Its columns that events have: [COL:category, COL:number].", NULL},
    {"items_picture", CO_FIELD_STRING, offsetof(recipe_options, items_picture), "null", 0, 0, NULL,
     "Its column of image files.", NULL},
    {"items_fit", CO_FIELD_STRING, offsetof(recipe_options, items_fit), "null", 0, 0, NULL,
     "How images of other sizes are fitted: crop, pad or stretch.", NULL},
    {"items_text", CO_FIELD_STRING, offsetof(recipe_options, items_text), "null", 0, 0, NULL,
     "Its column of texts.", NULL},
    {"rfm", CO_FIELD_BOOL, offsetof(recipe_options, rfm), "true", 0, 0, NULL,
     "Whether samples have recency, frequency, monetary value and tenure.", NULL},
    {.key = NULL}};

static co_status list_names(const char *const **out, int64_t *count, const co_node *node,
                            const char *what, co_arena *arena, co_diagnostics *problems) {
  if (!node || node->kind == CO_NODE_NULL) return CO_OK;
  if (node->kind != CO_NODE_LIST)
    return co_node_problem(problems, node, NULL, "events: must be a list of %s", what);
  const char **columns = co_arena_alloc(arena, (size_t)node->count + 1, sizeof *columns);
  if (!columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < node->count; i++)
    columns[i] = node->items[i]->kind == CO_NODE_SCALAR ? node->items[i]->text : "";
  *out = columns;
  *count = node->count;
  return CO_OK;
}

// How the log is written.
static co_status check_text(const recipe_options *o, const co_node *node,
                            co_diagnostics *problems) {
  if (o->time_format && strcmp(o->time_format, "ms") != 0 &&
      co_date_check_format(o->time_format) != CO_OK)
    return co_node_problem(problems, co_node_get(node, "time_format"), NULL,
                           "events.time_format: %s", co_error_last()->message);
  if (o->encoding && co_text_check_encoding(o->encoding) != CO_OK)
    return co_node_problem(problems, co_node_get(node, "encoding"), NULL, "events.encoding: %s",
                           co_error_last()->message);
  bool comma;
  if (o->decimal && co_table_parse_decimal(&comma, o->decimal) != CO_OK)
    return co_node_problem(problems, co_node_get(node, "decimal"), NULL,
                           "events.decimal: must be . or ,");
  return CO_OK;
}

// Columns of items are looked up by them.
static co_status check_items(const recipe_options *o, const co_node *node,
                             co_diagnostics *problems) {
  const bool columns = o->item_columns && o->item_columns->kind != CO_NODE_NULL;
  if (!o->items && !o->items_key && !columns) return CO_OK;
  if (!o->item || !o->items || !o->items_key)
    return co_node_problem(problems, node, NULL,
                           "events: a table of items needs item, items and items_key");
  if (strcmp(o->items, CO_EVENTS_LOG) != 0) return CO_OK;
  return co_node_problem(problems, node, NULL, "events: items cannot be called '%s', as the log is",
                         o->items);
}

static co_status list_logs(co_event_files *files, const co_node *node, co_arena *arena,
                           co_diagnostics *problems) {
  if (!node || node->kind != CO_NODE_SCALAR)
    return list_names(&files->logs, &files->log_count, node, "files", arena, problems);
  const char **one = co_arena_alloc(arena, 1, sizeof *one);
  if (!one) return CO_ERR_MEMORY;
  *one = node->text;
  files->logs = one;
  files->log_count = 1;
  return CO_OK;
}

co_status co_event_recipe_parse(co_event_recipe *out, co_event_files *files, const co_node *node,
                                co_arena *arena, co_diagnostics *problems) {
  recipe_options o;
  CO_RETURN_IF_FAILED(co_fields_parse(&o, recipe_fields, node, "events", arena, problems));
  if (problems->count) return CO_OK;
  CO_RETURN_IF_FAILED(check_text(&o, node, problems));
  CO_RETURN_IF_FAILED(check_items(&o, node, problems));
  if (problems->count) return CO_OK;
  *out = (co_event_recipe){.entity = o.entity,
                           .time = o.time,
                           .time_format = o.time_format,
                           .encoding = o.encoding,
                           .decimal_comma = o.decimal && *o.decimal == ',',
                           .item = o.item,
                           .basket = o.basket,
                           .session_gap = o.session_gap,
                           .amount = o.amount,
                           .where = o.where,
                           .items = o.items,
                           .items_key = o.items_key,
                           .items_picture = o.items_picture,
                           .items_fit = o.items_fit,
                           .items_text = o.items_text,
                           .rfm = o.rfm};
  *files = (co_event_files){.items = o.items_file};
  CO_RETURN_IF_FAILED(list_logs(files, o.files, arena, problems));
  CO_RETURN_IF_FAILED(
      list_names(&out->columns, &out->column_count, o.columns, "columns", arena, problems));
  return list_names(&out->item_columns, &out->item_column_count, o.item_columns, "columns", arena,
                    problems);
}
