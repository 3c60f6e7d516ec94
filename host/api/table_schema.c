// SPDX-License-Identifier: Apache-2.0
// Schema files: tables: {NAME: {file, key, time, where, carry, columns: {C: {type, role}}, …}}, of
// several also joins: [{table, to, on, kind}].
#include <string.h>

#include "datasets/date.h"
#include "datasets/row_samples.h"
#include "datasets/text_input.h"
#include "host/api/events.h"
#include "host/api/table.h"
#include "host/config/config.h"

typedef struct schema_options {
  const co_node *tables, *joins, *samples, *events;
} schema_options;

static const co_field schema_fields[] = {
    {"tables", CO_FIELD_NODE, offsetof(schema_options, tables), NULL, 0, 0, NULL, "Tables by name.",
     NULL},
    {"joins", CO_FIELD_NODE, offsetof(schema_options, joins), "null", 0, 0, NULL,
     "Which tables are joined to which: [{table, to, on, kind}].", NULL},
    {"samples", CO_FIELD_NODE, offsetof(schema_options, samples), "null", 0, 0, NULL,
     "Rows of a table as samples of entities at dates: {from, entity, as_of, label}.", NULL},
    {"events", CO_FIELD_NODE, offsetof(schema_options, events), "null", 0, 0, NULL,
     "The log of which samples see what is before their dates.", NULL},
    {.key = NULL}};

typedef struct sample_options {
  const char *from, *entity, *as_of;
  const co_node *label;
} sample_options;

static const co_field sample_fields[] = {
    {"from", CO_FIELD_STRING, offsetof(sample_options, from), NULL, 0, 0, NULL,
     "The table whose rows they are.", NULL},
    {"entity", CO_FIELD_STRING, offsetof(sample_options, entity), NULL, 0, 0, NULL,
     "The column there that says of whom; splits part no entity's rows.", NULL},
    {"as_of", CO_FIELD_STRING, offsetof(sample_options, as_of), "null", 0, 0, NULL,
     "The column with their dates, TABLE.COLUMN of a joined table.", NULL},
    {"label", CO_FIELD_NODE, offsetof(sample_options, label), "null", 0, 0, NULL,
     "A target of whether another table has the row's key: {name, exists_in, on}.", NULL},
    {.key = NULL}};

typedef struct label_options {
  const char *name, *exists_in;
  const co_node *on;
} label_options;

static const co_field label_fields[] = {{"name", CO_FIELD_STRING, offsetof(label_options, name),
                                         NULL, 0, 0, NULL, "What the target is called.", NULL},
                                        {"exists_in", CO_FIELD_STRING,
                                         offsetof(label_options, exists_in), NULL, 0, 0, NULL,
                                         "The table that has the keys of positive rows.", NULL},
                                        {"on", CO_FIELD_NODE, offsetof(label_options, on), NULL, 0,
                                         0, NULL, "The columns that both have.", NULL},
                                        {.key = NULL}};

typedef struct join_options {
  const char *table, *to, *kind;
  const co_node *on;
} join_options;

static const co_field join_fields[] = {
    {"table", CO_FIELD_STRING, offsetof(join_options, table), NULL, 0, 0, NULL,
     "The table that is joined; each of its rows has a key of its own.", NULL},
    {"to", CO_FIELD_STRING, offsetof(join_options, to), NULL, 0, 0, NULL,
     "The table to which it is: that with the dataset's rows, or one that is joined itself.", NULL},
    {"on", CO_FIELD_NODE, offsetof(join_options, on), NULL, 0, 0, NULL,
     "The column there with its keys, or a list of the columns.", NULL},
    {"kind", CO_FIELD_STRING, offsetof(join_options, kind), "many_to_one", 0, 0, NULL,
     "many_to_one, or one_to_one: a key must not be there twice.", NULL},
    {.key = NULL}};

typedef struct table_options {
  const char *file, *delimiter, *encoding, *source_table, *query, *where, *time;
  bool quotes, carry;
  const char *decimal;
  int64_t skip_lines;
  const co_node *key, *header, *columns, *pseudonymized;
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
    {"decimal", CO_FIELD_STRING, offsetof(table_options, decimal), "null", 0, 0, NULL,
     "The decimal mark of numbers: . (if absent) or a comma.", NULL},
    {"source_table", CO_FIELD_STRING, offsetof(table_options, source_table), "null", 0, 0, NULL,
     "Of a database: its table.", NULL},
    {"query", CO_FIELD_STRING, offsetof(table_options, query), "null", 0, 0, NULL,
     "Of a database: SQL that reads rows.", NULL},
    {"key", CO_FIELD_NODE, offsetof(table_options, key), "null", 0, 0, NULL,
     "The column that names rows; of a joined table also a list of columns.", NULL},
    {"where", CO_FIELD_STRING, offsetof(table_options, where), "null", 0, 0, NULL,
     "Which rows count, e.g. Quantity > 0; all if absent.", NULL},
    {"time", CO_FIELD_STRING, offsetof(table_options, time), "null", 0, 0, NULL,
     "The column of dates that a split by time goes by.", NULL},
    {"carry", CO_FIELD_BOOL, offsetof(table_options, carry), "false", 0, 0, NULL,
     "Of a joined table: it travels in models, which need no source for it.", NULL},
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
  const char *type, *role, *positive, *format, *strip_suffix, *fit;
  int64_t height, width, channels;
} column_options;

static const co_field column_fields[] = {
    {"type", CO_FIELD_STRING, offsetof(column_options, type), "null", 0, 0, NULL,
     "number, binary, category, date, text, image or id; found out if absent.", NULL},
    {"role", CO_FIELD_STRING, offsetof(column_options, role), "null", 0, 0, NULL,
     "input, target, key, weight, split or ignore.", NULL},
    {"positive", CO_FIELD_STRING, offsetof(column_options, positive), "null", 0, 0, NULL,
     "Of a binary: the positive value.", NULL},
    {"format", CO_FIELD_STRING, offsetof(column_options, format), "null", 0, 0, NULL,
     "Of a date, as of strptime: \"%d/%m/%Y\"; ISO 8601 if absent.", NULL},
    {"strip_suffix", CO_FIELD_STRING, offsetof(column_options, strip_suffix), "null", 0, 0, NULL,
     "Taken off the ends of cells.", NULL},
    {"height", CO_FIELD_INT, offsetof(column_options, height), "0", 0, CO_IMAGE_MAX_EXTENT, NULL,
     "Of images: what all get; as they are if absent.", NULL},
    {"width", CO_FIELD_INT, offsetof(column_options, width), "0", 0, CO_IMAGE_MAX_EXTENT, NULL,
     "Of images, beside height.", NULL},
    {"channels", CO_FIELD_INT, offsetof(column_options, channels), "0", 0, 3, NULL,
     "Of images: 1 (grey) or 3; 1 if absent and all are grey.", NULL},
    {"fit", CO_FIELD_STRING, offsetof(column_options, fit), "null", 0, 0, NULL,
     "Of images: crop, pad or stretch.", NULL},
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
                                        "known: number, binary, category, date, text, image, id",
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
  if (co_image_recipe_make(&column->image, options.width, options.height, options.channels,
                           options.fit) == CO_OK)
    return CO_OK;
  return co_node_problem(problems, node, NULL, "%s: %s", path, co_error_last()->message);
}

static co_status read_columns(co_recipe *recipe, const co_node *node, const char *path,
                              co_arena *arena, co_diagnostics *problems) {
  if (!node || node->kind == CO_NODE_NULL) return CO_OK; // they are found out
  if (node->kind != CO_NODE_MAP)
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

// A name, or a list of them.
static co_status read_name_or_names(const char *const **out, int64_t *count, const co_node *node,
                                    const char *path, const char *what, co_arena *arena,
                                    co_diagnostics *problems) {
  *count = 0;
  if (node && node->kind == CO_NODE_SCALAR) {
    const char **name = co_arena_alloc(arena, 1, sizeof *name);
    if (!name) return CO_ERR_MEMORY;
    *name = node->text;
    *out = name;
    *count = 1;
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(read_names(out, count, node, path, what, arena, problems));
  if (*count <= CO_JOIN_MOST_COLUMNS) return CO_OK;
  return co_node_problem(problems, node, NULL, "%s.%s: has %lld columns, more than %d", path, what,
                         (long long)*count, CO_JOIN_MOST_COLUMNS);
}

// A key of several columns is for joins alone.
static co_status read_key(co_recipe *recipe, const co_node *node, const char *path, co_arena *arena,
                          co_diagnostics *problems) {
  const char *const *names = NULL;
  int64_t count;
  CO_RETURN_IF_FAILED(read_name_or_names(&names, &count, node, path, "key", arena, problems));
  if (count == 1) return co_table_set_key(recipe, arena, names[0]);
  recipe->key = names;
  recipe->key_count = count;
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
  if (options.decimal && co_table_parse_decimal(&recipe->rows.decimal_comma, options.decimal))
    CO_RETURN_IF_FAILED(co_node_problem(problems, co_node_get(node, "decimal"), NULL,
                                        "%s.decimal: must be . or ,", path));
  recipe->rows.table = options.source_table;
  recipe->rows.query = options.query;
  if (options.delimiter && co_table_parse_delimiter(&recipe->rows.delimiter, options.delimiter))
    CO_RETURN_IF_FAILED(co_node_problem(problems, co_node_get(node, "delimiter"), NULL,
                                        "%s.delimiter: must be one character, or tab", path));
  if (options.encoding && co_text_check_encoding(options.encoding) != CO_OK)
    CO_RETURN_IF_FAILED(co_node_problem(problems, co_node_get(node, "encoding"), NULL,
                                        "%s.encoding: %s", path, co_error_last()->message));
  recipe->rows.key_check = options.key_check;
  CO_RETURN_IF_FAILED(read_names(&recipe->rows.header, &recipe->rows.header_count, options.header,
                                 path, "header", arena, problems));
  CO_RETURN_IF_FAILED(read_names(&recipe->rows.pseudonymized, &recipe->rows.pseudonymized_count,
                                 options.pseudonymized, path, "pseudonymized", arena, problems));
  CO_RETURN_IF_FAILED(read_columns(recipe, options.columns, path, arena, problems));
  recipe->rows.where = options.where;
  recipe->carry = options.carry;
  recipe->time = options.time;
  if (options.time) {
    co_recipe_column *time = co_table_column(recipe, arena, options.time);
    if (!time) return CO_ERR_MEMORY;
    if (!time->type) time->type = CO_RECIPE_DATE;
    if (!time->role) time->role = CO_RECIPE_IGNORE;
  }
  return read_key(recipe, options.key, path, arena, problems);
}

co_status co_table_set_key(co_recipe *recipe, co_arena *arena, const char *name) {
  co_recipe_column *key = co_table_column(recipe, arena, name);
  if (key) key->role = CO_RECIPE_KEY;
  return key ? CO_OK : CO_ERR_MEMORY;
}

// ---- joins -------------------------------------------------------------------------------------

static const co_recipe_column *key_of(const co_recipe *recipe) {
  for (int64_t i = 0; i < recipe->column_count; i++)
    if (recipe->columns[i].role == CO_RECIPE_KEY) return &recipe->columns[i];
  return NULL;
}

// Columns by which tables are joined are keys, whatever they look like.
static co_status mark_reference(co_recipe *recipe, co_arena *arena, const char *name) {
  bool known = co_recipe_find(recipe, name) != NULL;
  co_recipe_column *column = co_table_column(recipe, arena, name);
  if (!column) return CO_ERR_MEMORY;
  column->reference = true;
  if (!known && recipe->whole) column->role = CO_RECIPE_IGNORE;
  return CO_OK;
}

// Its key: as its table says, else the columns' of the other. Those of several are no inputs unless the
// schema says so: the other has them, too.
static co_status set_join_key(co_recipe *table, co_arena *arena, const char *const *on) {
  if (table->key_count == 1) {
    const co_recipe_column *key = key_of(table);
    const char **name = co_arena_alloc(arena, 1, sizeof *name);
    if (!name) return CO_ERR_MEMORY;
    *name = key ? key->name : on[0];
    table->key = name;
    return key ? CO_OK : co_table_set_key(table, arena, *name);
  }
  if (!table->key) table->key = on;
  for (int64_t i = 0; i < table->key_count; i++) {
    CO_RETURN_IF_FAILED(mark_reference(table, arena, table->key[i]));
    co_recipe_column *column = co_recipe_find(table, table->key[i]);
    if (!column->role) column->role = CO_RECIPE_IGNORE;
  }
  return CO_OK;
}

co_status co_table_add_join(co_recipe *recipe, co_arena *arena, const co_recipe_join *join,
                            int64_t column_count) {
  co_recipe_join *grown = co_arena_alloc(arena, (size_t)recipe->join_count + 1, sizeof *grown);
  if (!grown) return CO_ERR_MEMORY;
  if (recipe->join_count) memcpy(grown, recipe->joins, (size_t)recipe->join_count * sizeof *grown);
  recipe->joins = grown;
  co_recipe_join *added = &grown[recipe->join_count++];
  *added = *join;
  added->table.key_count = column_count;
  CO_RETURN_IF_FAILED(set_join_key(&added->table, arena, added->on));
  co_recipe *other = join->to < 0 ? recipe : &grown[join->to].table;
  added->shown = added->on[0];
  for (int64_t i = 0; i < column_count; i++) {
    if (i) added->shown = co_arena_format(arena, "%s, %s", added->shown, added->on[i]);
    if (!added->shown) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(mark_reference(other, arena, added->on[i]));
  }
  return CO_OK;
}

static co_recipe *find_table(co_recipe *tables, int64_t count, const char *name) {
  for (int64_t i = 0; i < count; i++)
    if (strcmp(tables[i].table, name) == 0) return &tables[i];
  return NULL;
}

// Columns of a joined table are inputs, or nothing.
static co_status check_roles(const co_recipe *table, const co_node *node,
                             co_diagnostics *problems) {
  for (int64_t i = 0; i < table->column_count; i++) {
    co_recipe_role role = table->columns[i].role;
    if (role == CO_RECIPE_TARGET || role == CO_RECIPE_WEIGHT || role == CO_RECIPE_SPLIT)
      return co_node_problem(problems, node,
                             "such a column must be in the table that it is joined to",
                             "tables.%s: column '%s' of a joined table cannot be the %s",
                             table->table, table->columns[i].name, co_recipe_role_name(role));
  }
  return CO_OK;
}

typedef struct schema_join {
  join_options options;
  const co_node *node;
  const char *const *on;
  int64_t on_count;
  bool added;
} schema_join;

typedef struct schema_tables {
  co_recipe *recipes; // in the order of the file
  int64_t count;
  schema_join *joins;
  int64_t join_count;
  sample_options samples; // from NULL = there are none
  label_options label;    // name NULL = there is none
  const char *first;      // to which the others are joined, by way of each other or not
} schema_tables;

static co_status read_join(schema_tables *t, schema_join *join, co_arena *arena,
                           co_diagnostics *problems) {
  join_options *o = &join->options;
  CO_RETURN_IF_FAILED(co_fields_parse(o, join_fields, join->node, "joins", arena, problems));
  if (problems->count) return CO_OK;
  const co_recipe *table = find_table(t->recipes, t->count, o->table);
  const char *unknown = !table ? o->table : find_table(t->recipes, t->count, o->to) ? NULL : o->to;
  if (unknown)
    return co_node_problem(problems, join->node, NULL, "joins: there is no table '%s'", unknown);
  if (strcmp(o->kind, "one_to_one") != 0 && strcmp(o->kind, "many_to_one") != 0)
    return co_node_problem(problems, join->node, "known: many_to_one, one_to_one",
                           "joins.kind: unknown kind '%s'", o->kind);
  for (const schema_join *before = t->joins; before < join; before++)
    if (strcmp(before->options.table, o->table) == 0)
      return co_node_problem(problems, join->node, NULL, "joins: table '%s' is joined twice",
                             o->table);
  CO_RETURN_IF_FAILED(check_roles(table, join->node, problems));
  CO_RETURN_IF_FAILED(
      read_name_or_names(&join->on, &join->on_count, o->on, "joins", "on", arena, problems));
  if (problems->count || join->on_count) return CO_OK;
  return co_node_problem(problems, join->node, NULL,
                         "joins.on: must be a column, or a list of some");
}

// The one that is joined to no other while others are to it.
static const char *find_first(const schema_tables *t) {
  if (t->samples.from) return t->samples.from;
  for (int64_t i = 0; i < t->join_count; i++) {
    bool joined = false;
    for (int64_t k = 0; k < t->join_count; k++)
      joined |= strcmp(t->joins[k].options.table, t->joins[i].options.to) == 0;
    if (!joined) return t->joins[i].options.to;
  }
  return t->recipes[0].table;
}

// Which table of the recipe has the name: a join, -1 = the first, -2 = none so far.
static int64_t find_added(const co_recipe *recipe, const char *name) {
  int64_t at = recipe->join_count - 1;
  while (at >= 0 && strcmp(recipe->joins[at].table.table, name) != 0)
    at--;
  return at < 0 && strcmp(recipe->table, name) != 0 ? -2 : at;
}

// Those to tables that are in the recipe already, until none is left: of a chain the nearest first.
static co_status add_joins(co_recipe *recipe, schema_tables *t, co_arena *arena,
                           co_diagnostics *problems) {
  for (int64_t i = 0; i < t->join_count;) {
    schema_join *join = &t->joins[i++];
    const join_options *o = &join->options;
    int64_t to = find_added(recipe, o->to);
    if (join->added || to == -2) continue;
    const co_recipe_join made = {.table = *find_table(t->recipes, t->count, o->table),
                                 .to = to,
                                 .on = join->on,
                                 .one_to_one = strcmp(o->kind, "one_to_one") == 0};
    int64_t keys = made.table.key_count ? made.table.key_count : key_of(&made.table) != NULL;
    if (keys && keys != join->on_count)
      return co_node_problem(problems, join->node, NULL,
                             "joins: '%s' is joined by %lld, but its key has %lld columns",
                             o->table, (long long)join->on_count, (long long)keys);
    CO_RETURN_IF_FAILED(co_table_add_join(recipe, arena, &made, join->on_count));
    join->added = true;
    i = 0;
  }
  return CO_OK;
}

static co_status check_joined(const co_recipe *recipe, const schema_tables *t,
                              const schema_options *o, co_diagnostics *problems) {
  for (int64_t i = 0; i < t->count; i++)
    if (find_added(recipe, t->recipes[i].table) == -2 &&
        (!t->label.name || strcmp(t->label.exists_in, t->recipes[i].table) != 0))
      return co_node_problem(problems, o->tables->items[i],
                             "joins: [{table: NAME, to: NAME, on: COLUMN}]",
                             "tables: '%s' is joined to no other that leads to '%s'",
                             t->recipes[i].table, recipe->table);
  for (int64_t i = 0; i < t->join_count; i++)
    if (!t->joins[i].added)
      return co_node_problem(problems, t->joins[i].node, NULL, "joins: '%s' to '%s' is a circle",
                             t->joins[i].options.table, t->joins[i].options.to);
  if (recipe->carry)
    return co_node_problem(problems, o->tables, NULL,
                           "tables.%s.carry: is for a table that is joined to another",
                           recipe->table);
  if (recipe->key_count)
    return co_node_problem(
        problems, o->tables, NULL,
        "tables.%s.key: several columns are for a table that is joined to another", recipe->table);
  return CO_OK;
}

// ---- samples -----------------------------------------------------------------------------------

static bool is_given(const co_node *node) {
  return node && node->kind != CO_NODE_NULL;
}

static co_status read_samples(schema_tables *t, const schema_options *o, co_arena *arena,
                              co_diagnostics *problems) {
  if (!is_given(o->samples)) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_fields_parse(&t->samples, sample_fields, o->samples, "samples", arena, problems));
  if (!problems->count && is_given(t->samples.label))
    CO_RETURN_IF_FAILED(co_fields_parse(&t->label, label_fields, t->samples.label, "samples.label",
                                        arena, problems));
  if (problems->count) return CO_OK;
  const char *names[] = {t->samples.from, t->label.exists_in};
  for (int i = 0; i < 2; i++)
    if (names[i] && !find_table(t->recipes, t->count, names[i]))
      return co_node_problem(problems, o->samples, NULL, "samples: there is no table '%s'",
                             names[i]);
  return CO_OK;
}

co_status co_table_set_samples(co_recipe *recipe, co_arena *arena, const char *entity,
                               const char *as_of) {
  co_recipe_column *column = co_table_column(recipe, arena, entity);
  if (!column) return CO_ERR_MEMORY;
  column->reference = true;
  column->role = CO_RECIPE_IGNORE; // it is the key of the entities
  recipe->samples.entity = entity;
  recipe->samples.as_of = as_of;
  const char *local;
  int64_t dated = co_row_samples_dated(recipe, &local);
  if (!as_of) return CO_OK;
  column = co_table_column(dated < 0 ? recipe : &recipe->joins[dated].table, arena, local);
  if (!column) return CO_ERR_MEMORY;
  if (!column->type) column->type = CO_RECIPE_DATE;
  if (!column->role) column->role = CO_RECIPE_IGNORE;
  return CO_OK;
}

static co_status add_label(co_recipe *recipe, schema_tables *t, const schema_options *o,
                           co_arena *arena, co_diagnostics *problems) {
  co_recipe_join *label = co_arena_alloc(arena, 1, sizeof *label);
  if (!label) return CO_ERR_MEMORY;
  *label = (co_recipe_join){
      .table = *find_table(t->recipes, t->count, t->label.exists_in), .to = -1, .shown = "label"};
  if (strcmp(t->label.exists_in, t->samples.from) == 0 ||
      find_added(recipe, t->label.exists_in) != -2)
    return co_node_problem(problems, o->samples, "name the file as a table of its own",
                           "samples.label: table '%s' is joined, too", t->label.exists_in);
  CO_RETURN_IF_FAILED(read_name_or_names(&label->on, &label->table.key_count, t->label.on,
                                         "samples.label", "on", arena, problems));
  if (problems->count) return CO_OK;
  if (!label->table.key_count)
    return co_node_problem(problems, o->samples, NULL, "samples.label.on: must name a column");
  label->table.key = label->on;
  recipe->samples.label = label;
  recipe->samples.label_name = t->label.name;
  for (int64_t i = 0; i < label->table.key_count; i++)
    CO_RETURN_IF_FAILED(mark_reference(recipe, arena, label->on[i]));
  return CO_OK;
}

static co_status add_samples(co_recipe *recipe, schema_tables *t, const schema_options *o,
                             co_arena *arena, co_diagnostics *problems) {
  CO_RETURN_IF_FAILED(co_table_set_samples(recipe, arena, t->samples.entity, t->samples.as_of));
  return t->label.name ? add_label(recipe, t, o, arena, problems) : CO_OK;
}

static co_status type_item_column(co_recipe *table, const char *name, co_recipe_type type,
                                  co_arena *arena) {
  co_recipe_column *column = name ? co_table_column(table, arena, name) : NULL;
  if (!column) return name ? CO_ERR_MEMORY : CO_OK;
  column->type = type;
  column->role = CO_RECIPE_INPUT;
  return CO_OK;
}

// Of the table of items no columns but those named, if some are.
static co_status list_item_columns(co_recipe *table, const co_event_recipe *events,
                                   co_arena *arena) {
  table->whole = events->item_column_count > 0;
  for (int64_t i = 0; i < events->item_column_count; i++) {
    const char *text = events->item_columns[i], *colon = strrchr(text, ':');
    const bool number = colon && strcmp(colon, ":number") == 0;
    const char *name = colon ? co_arena_strndup(arena, text, (size_t)(colon - text)) : text;
    if (!name) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(
        type_item_column(table, name, number ? CO_RECIPE_NUMBER : CO_RECIPE_CATEGORY, arena));
  }
  CO_RETURN_IF_FAILED(type_item_column(table, events->items_picture, CO_RECIPE_IMAGE, arena));
  return type_item_column(table, events->items_text, CO_RECIPE_TEXT, arena);
}

static co_status add_items(co_recipe *recipe, const co_event_recipe *events, const char *file,
                           const co_node *node, co_arena *arena, co_diagnostics *problems) {
  co_recipe_join join = {.table = {.table = events->items, .file = file}, .to = -1};
  const char **on = co_arena_alloc(arena, 1, sizeof *on);
  if (!on) return CO_ERR_MEMORY;
  on[0] = events->item;
  join.on = on;
  if (find_added(recipe, events->items) != -2)
    return co_node_problem(problems, node, NULL, "events: '%s' is a table of the samples",
                           events->items);
  CO_RETURN_IF_FAILED(list_item_columns(&join.table, events, arena));
  CO_RETURN_IF_FAILED(co_table_set_key(&join.table, arena, events->items_key));
  return co_table_add_items(recipe, arena, &join);
}

static co_status add_events(co_recipe *recipe, const schema_options *o, co_arena *arena,
                            co_diagnostics *problems) {
  if (!is_given(o->events)) return CO_OK;
  co_event_recipe *events = co_arena_alloc(arena, 1, sizeof *events);
  co_event_files files = {0};
  if (!events) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_event_recipe_parse(events, &files, o->events, arena, problems));
  recipe->events = events;
  recipe->logs = files.logs;
  recipe->log_count = files.log_count;
  if (!problems->count && events->items)
    CO_RETURN_IF_FAILED(add_items(recipe, events, files.items, o->events, arena, problems));
  if (problems->count || recipe->samples.as_of) return CO_OK;
  return co_node_problem(problems, o->events, NULL,
                         "events: samples need as_of, before which they see them");
}

static co_status read_joins(co_recipe *recipe, schema_tables *t, const schema_options *o,
                            co_arena *arena, co_diagnostics *problems) {
  bool none = !o->joins || o->joins->kind == CO_NODE_NULL;
  int64_t count = none ? 0 : o->joins->count;
  if (!none && o->joins->kind != CO_NODE_LIST)
    return co_node_problem(problems, o->joins, NULL, "joins: must be a list");
  t->joins = co_arena_alloc(arena, (size_t)count + 1, sizeof *t->joins);
  if (!t->joins) return CO_ERR_MEMORY;
  for (; t->join_count < count && !problems->count; t->join_count++) {
    t->joins[t->join_count].node = o->joins->items[t->join_count];
    CO_RETURN_IF_FAILED(read_join(t, &t->joins[t->join_count], arena, problems));
  }
  CO_RETURN_IF_FAILED(read_samples(t, o, arena, problems));
  if (problems->count) return CO_OK;
  *recipe = *find_table(t->recipes, t->count, find_first(t));
  CO_RETURN_IF_FAILED(add_joins(recipe, t, arena, problems));
  if (!problems->count) CO_RETURN_IF_FAILED(check_joined(recipe, t, o, problems));
  if (!problems->count && t->samples.from)
    CO_RETURN_IF_FAILED(add_samples(recipe, t, o, arena, problems));
  return problems->count ? CO_OK : add_events(recipe, o, arena, problems);
}

static co_status read_schema(co_recipe *recipe, const co_node *root, co_arena *arena,
                             co_diagnostics *problems) {
  schema_options options;
  schema_tables tables = {.recipes = NULL};
  if (problems->count) return co_diagnostics_result(problems);
  CO_RETURN_IF_FAILED(co_fields_parse(&options, schema_fields, root, "schema", arena, problems));
  if (!problems->count && (options.tables->kind != CO_NODE_MAP || !options.tables->count))
    CO_RETURN_IF_FAILED(
        co_node_problem(problems, options.tables, NULL, "tables: must be a map of tables"));
  if (problems->count) return co_diagnostics_result(problems);
  tables.recipes = co_arena_alloc(arena, (size_t)options.tables->count, sizeof *tables.recipes);
  if (!tables.recipes) return CO_ERR_MEMORY;
  for (; tables.count < options.tables->count; tables.count++)
    CO_RETURN_IF_FAILED(read_table(&tables.recipes[tables.count],
                                   options.tables->keys[tables.count],
                                   options.tables->items[tables.count], arena, problems));
  if (!problems->count) CO_RETURN_IF_FAILED(read_joins(recipe, &tables, &options, arena, problems));
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
