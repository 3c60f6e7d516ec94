// SPDX-License-Identifier: Apache-2.0
// Schema files: tables: {NAME: {file, delimiter, skip_lines, header, columns: {C: {type, role}}}}.
#include <string.h>

#include "datasets/date.h"
#include "host/api/table.h"
#include "host/config/config.h"

typedef struct schema_options {
  const co_node *tables;
} schema_options;

static const co_field schema_fields[] = {{"tables", CO_FIELD_NODE, offsetof(schema_options, tables),
                                          NULL, 0, 0, NULL, "Tables by name.", NULL},
                                         {.key = NULL}};

typedef struct table_options {
  const char *file, *delimiter, *encoding, *source_table, *query, *key;
  bool quotes;
  int64_t skip_lines;
  const co_node *header, *columns, *pseudonymized;
  const char *key_check;
} table_options;

static const co_field table_fields[] = {
    {"file", CO_FIELD_STRING, offsetof(table_options, file), "null", 0, 0, NULL,
     "Where its rows are.", NULL},
    {"delimiter", CO_FIELD_STRING, offsetof(table_options, delimiter), "null", 0, 0, NULL,
     "One character between fields, or tab.", NULL},
    {"encoding", CO_FIELD_STRING, offsetof(table_options, encoding), "null", 0, 0, NULL,
     "Of text, as iconv names it; UTF-8 if absent.", NULL},
    {"quotes", CO_FIELD_BOOL, offsetof(table_options, quotes), "true", 0, 0, NULL,
     "Whether a field may stand in quotes.", NULL},
    {"source_table", CO_FIELD_STRING, offsetof(table_options, source_table), "null", 0, 0, NULL,
     "Of a database: its table.", NULL},
    {"query", CO_FIELD_STRING, offsetof(table_options, query), "null", 0, 0, NULL,
     "Of a database: SQL that reads rows.", NULL},
    {"key", CO_FIELD_STRING, offsetof(table_options, key), "null", 0, 0, NULL,
     "The column that names rows.", NULL},
    {"skip_lines", CO_FIELD_INT, offsetof(table_options, skip_lines), "0", 0, 1e9, NULL,
     "Lines before the header.", NULL},
    {"pseudonymized", CO_FIELD_NODE, offsetof(table_options, pseudonymized), "null", 0, 0, NULL,
     "Columns whose cells are keyed hashes in the dataset.", NULL},
    {"key_check", CO_FIELD_STRING, offsetof(table_options, key_check), "null", 0, 0, NULL,
     "What their key is told by.", NULL},
    {"header", CO_FIELD_NODE, offsetof(table_options, header), "null", 0, 0, NULL,
     "Names of columns, where the file has none.", NULL},
    {"columns", CO_FIELD_NODE, offsetof(table_options, columns), "null", 0, 0, NULL,
     "Columns by name; others are ignored.", NULL},
    {.key = NULL}};

typedef struct column_options {
  const char *type, *role, *positive, *format, *strip_suffix;
} column_options;

static const co_field column_fields[] = {
    {"type", CO_FIELD_STRING, offsetof(column_options, type), "null", 0, 0, NULL,
     "number, binary, category, date, text or id; found out if absent.", NULL},
    {"role", CO_FIELD_STRING, offsetof(column_options, role), "null", 0, 0, NULL,
     "input, target, key, weight, split or ignore.", NULL},
    {"positive", CO_FIELD_STRING, offsetof(column_options, positive), "null", 0, 0, NULL,
     "Of a binary: the positive value.", NULL},
    {"format", CO_FIELD_STRING, offsetof(column_options, format), "null", 0, 0, NULL,
     "Of a date, as of strptime: \"%d/%m/%Y\"; ISO 8601 if absent.", NULL},
    {"strip_suffix", CO_FIELD_STRING, offsetof(column_options, strip_suffix), "null", 0, 0, NULL,
     "Taken off the ends of cells.", NULL},
    {.key = NULL}};

co_recipe_column *co_table_column(co_recipe *recipe, co_arena *arena, const char *name) {
  co_recipe_column *found = co_recipe_find(recipe, name);
  if (found) return found;
  co_recipe_column *grown = co_arena_alloc(arena, (size_t)recipe->column_count + 1, sizeof *grown);
  if (!grown) return NULL;
  if (recipe->column_count)
    memcpy(grown, recipe->columns, (size_t)recipe->column_count * sizeof *grown);
  grown[recipe->column_count].name = name;
  recipe->columns = grown;
  return &grown[recipe->column_count++];
}

static co_status read_column(co_recipe_column *column, const co_node *node, const char *path,
                             co_arena *arena, co_diagnostics *problems) {
  column_options options;
  CO_RETURN_IF_FAILED(co_fields_parse(&options, column_fields, node, path, arena, problems));
  int type = options.type ? co_recipe_type_parse(options.type) : 0;
  int role = options.role ? co_recipe_role_parse(options.role) : 0;
  if (type < 0)
    CO_RETURN_IF_FAILED(co_node_problem(problems, co_node_get(node, "type"),
                                        "known: number, binary, category, date, text, id",
                                        "%s.type: unknown type '%s'", path, options.type));
  if (role < 0)
    CO_RETURN_IF_FAILED(co_node_problem(problems, co_node_get(node, "role"),
                                        "known: input, target, key, weight, split, ignore",
                                        "%s.role: unknown role '%s'", path, options.role));
  if (options.format && co_date_check_format(options.format) != CO_OK)
    CO_RETURN_IF_FAILED(co_node_problem(problems, co_node_get(node, "format"), NULL,
                                        "%s.format: %s", path, co_error_last()->message));
  *column = (co_recipe_column){.name = column->name,
                               .type = type > 0 ? (co_recipe_type)type : CO_RECIPE_TYPE_ANY,
                               .role = role > 0 ? (co_recipe_role)role : CO_RECIPE_ROLE_ANY,
                               .positive = options.positive,
                               .format = options.format,
                               .strip_suffix = options.strip_suffix};
  return CO_OK;
}

static co_status read_columns(co_recipe *recipe, const co_node *node, const char *path,
                              co_arena *arena, co_diagnostics *problems) {
  if (!node || node->kind != CO_NODE_MAP)
    return co_node_problem(problems, node, NULL, "%s.columns: must be a map of columns", path);
  recipe->whole = true;
  recipe->columns = co_arena_alloc(arena, (size_t)node->count + 1, sizeof *recipe->columns);
  if (!recipe->columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < node->count; i++) {
    char *at = co_arena_format(arena, "%s.columns.%s", path, node->keys[i]);
    if (!at) return CO_ERR_MEMORY;
    recipe->columns[i].name = node->keys[i];
    CO_RETURN_IF_FAILED(read_column(&recipe->columns[i], node->items[i], at, arena, problems));
    recipe->column_count++;
  }
  return CO_OK;
}

static co_status read_names(const char *const **out, int64_t *count, const co_node *node,
                            const char *path, const char *what, co_arena *arena,
                            co_diagnostics *problems) {
  if (!node || node->kind == CO_NODE_NULL) return CO_OK;
  const char **names = co_arena_alloc(arena, (size_t)node->count + 1, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  bool good = node->kind == CO_NODE_LIST && node->count > 0;
  for (int64_t i = 0; good && i < node->count; i++) {
    good = node->items[i]->kind == CO_NODE_SCALAR;
    names[i] = node->items[i]->text;
  }
  if (!good)
    return co_node_problem(problems, node, NULL, "%s.%s: must be a list of names", path, what);
  *out = names;
  *count = node->count;
  return CO_OK;
}

static co_status read_table(co_recipe *recipe, const char *name, const co_node *node,
                            co_arena *arena, co_diagnostics *problems) {
  table_options options;
  char *path = co_arena_format(arena, "tables.%s", name);
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_fields_parse(&options, table_fields, node, path, arena, problems));
  recipe->table = name;
  recipe->file = options.file;
  recipe->rows.skip_lines = options.skip_lines;
  recipe->rows.encoding = options.encoding;
  recipe->rows.no_quotes = !options.quotes;
  recipe->rows.table = options.source_table;
  recipe->rows.query = options.query;
  if (options.delimiter && co_table_parse_delimiter(&recipe->rows.delimiter, options.delimiter))
    CO_RETURN_IF_FAILED(co_node_problem(problems, co_node_get(node, "delimiter"), NULL,
                                        "%s.delimiter: must be one character, or tab", path));
  recipe->rows.key_check = options.key_check;
  CO_RETURN_IF_FAILED(read_names(&recipe->rows.header, &recipe->rows.header_count, options.header,
                                 path, "header", arena, problems));
  CO_RETURN_IF_FAILED(read_names(&recipe->rows.pseudonymized, &recipe->rows.pseudonymized_count,
                                 options.pseudonymized, path, "pseudonymized", arena, problems));
  CO_RETURN_IF_FAILED(read_columns(recipe, options.columns, path, arena, problems));
  if (!options.key) return CO_OK;
  co_recipe_column *key = co_table_column(recipe, arena, options.key);
  if (!key) return CO_ERR_MEMORY;
  key->role = CO_RECIPE_KEY;
  return CO_OK;
}

static co_status read_schema(co_recipe *recipe, const co_node *root, co_arena *arena,
                             co_diagnostics *problems) {
  schema_options options;
  if (problems->count) return co_diagnostics_result(problems);
  CO_RETURN_IF_FAILED(co_fields_parse(&options, schema_fields, root, "schema", arena, problems));
  const co_node *tables = options.tables;
  if (!problems->count && (tables->kind != CO_NODE_MAP || tables->count != 1))
    CO_RETURN_IF_FAILED(co_node_problem(problems, tables, NULL,
                                        "tables: must name one table; several are not there yet"));
  if (!problems->count)
    CO_RETURN_IF_FAILED(read_table(recipe, tables->keys[0], tables->items[0], arena, problems));
  return co_diagnostics_result(problems);
}

co_status co_table_read_schema(co_recipe *recipe, const char *path, co_arena *arena,
                               co_diagnostics *problems) {
  co_node *root;
  CO_RETURN_IF_FAILED(co_yaml_read_file(&root, arena, path, problems));
  return read_schema(recipe, root, arena, problems);
}

co_status co_table_parse_schema(co_recipe *recipe, const char *name, const char *text,
                                co_arena *arena, co_diagnostics *problems) {
  co_node *root;
  CO_RETURN_IF_FAILED(co_yaml_parse(&root, arena, name, text, strlen(text), problems));
  return read_schema(recipe, root, arena, problems);
}
