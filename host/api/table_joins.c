// SPDX-License-Identifier: Apache-2.0
// Tables that are joined to another, as options name them.
#include <string.h>

#include "datasets/postgres.h"
#include "host/api/events.h"
#include "host/api/table.h"
#include "host/core/diagnostics.h"

const char *co_table_joins_option(const cohort_tables *t) {
  return t->join_count      ? "--join"
         : t->carried_count ? "--carry"
         : t->source_count  ? "--source"
                            : NULL;
}

static co_recipe *find_table(co_recipe *recipe, const char *name) {
  co_recipe_join *label = recipe->samples.label;
  if (label && strcmp(label->table.table, name) == 0) return &label->table;
  if (recipe->table && strcmp(recipe->table, name) == 0) return recipe;
  if (recipe->items && strcmp(recipe->items->joins[0].table.table, name) == 0)
    return &recipe->items->joins[0].table;
  for (int64_t i = 0; i < recipe->join_count; i++)
    if (strcmp(recipe->joins[i].table.table, name) == 0) return &recipe->joins[i].table;
  return NULL;
}

enum { OF_ROWS = -1, OF_LOG = -2 };

static bool is_before_dot(const char *name, const char *column, size_t length) {
  return name && strlen(name) == length && strncmp(name, column, length) == 0;
}

// What a column of --join is one of: of a table that was joined before, or of the log that samples see, named
// before a dot, else of the first; but what the log calls its items is its own. All of a join are of one.
static co_status find_other(const co_recipe *recipe, const char *text, const char **column,
                            bool begun, int64_t *to, bool *implied) {
  const char *item = recipe->events ? recipe->events->item : NULL;
  const char *dot = strchr(*column, '.');
  size_t length = dot ? (size_t)(dot - *column) : 0;
  int64_t found = item && strcmp(*column, item) == 0 ? OF_LOG : OF_ROWS;
  for (int64_t i = 0; dot && dot[1] && i < recipe->join_count; i++) {
    if (is_before_dot(recipe->joins[i].table.table, *column, length)) found = i;
  }
  const bool of_log = recipe->events && dot && is_before_dot(CO_EVENTS_LOG, *column, length);
  const bool of_rows = recipe->events && dot && is_before_dot(recipe->table, *column, length);
  if (of_log) found = OF_LOG;
  *implied = found < 0 && !of_log && !of_rows;
  if (!*implied) *column = dot + 1;
  if (begun && found != *to)
    return co_fail(CO_ERR_USAGE, "--join %.200s: its columns are of two tables", text);
  *to = found;
  return CO_OK;
}

typedef struct join_columns {
  const char *on[CO_JOIN_MOST_COLUMNS], *key[CO_JOIN_MOST_COLUMNS];
  int64_t count, to;
  bool renamed; // some key has another name
  bool implied; // as of co_recipe_join
} join_columns;

// "COLUMN" or "COLUMN=KEY", several with commas.
static co_status read_join_columns(join_columns *out, const co_recipe *recipe, const char *text,
                                   const char *list, co_arena *arena) {
  for (const char *at = list, *end; at; at = *end ? end + 1 : NULL) {
    end = at + strcspn(at, ",");
    const size_t length = (size_t)(end - at), name = strcspn(at, "=,");
    if (!name || (name < length && name + 1 == length))
      return co_fail(CO_ERR_USAGE, "--join %.200s: a column's name is missing", text);
    if (out->count == CO_JOIN_MOST_COLUMNS)
      return co_fail(CO_ERR_USAGE, "--join %.200s: more than %d columns", text,
                     CO_JOIN_MOST_COLUMNS);
    const char *on = co_arena_strndup(arena, at, name);
    const char *key =
        name < length ? co_arena_strndup(arena, at + name + 1, length - name - 1) : NULL;
    if (!on || (name < length && !key)) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(find_other(recipe, text, &on, out->count > 0, &out->to, &out->implied));
    out->renamed |= key != NULL;
    out->on[out->count] = on;
    out->key[out->count++] = key ? key : on;
  }
  return CO_OK;
}

static co_status add_join(co_recipe *recipe, co_recipe_join *join, const join_columns *columns,
                          co_arena *arena) {
  const char **names = co_arena_alloc(arena, 2 * CO_JOIN_MOST_COLUMNS, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  memcpy(names, columns->on, sizeof columns->on);
  memcpy(names + CO_JOIN_MOST_COLUMNS, columns->key, sizeof columns->key);
  join->on = names;
  join->to = columns->to;
  if (columns->count > 1) {
    join->table.key = names + CO_JOIN_MOST_COLUMNS;
    join->table.key_count = columns->count;
  } else if (columns->renamed) {
    CO_RETURN_IF_FAILED(co_table_set_key(&join->table, arena, columns->key[0]));
  }
  return co_table_add_join(recipe, arena, join, columns->count);
}

co_status co_events_only_items(const char *what) {
  co_status status = co_fail(CO_ERR_USAGE, "%s: events take one table, that of their items", what);
  co_hint("--item COL --join FILE:COL, and TABLE.COL of its columns; of --cutoff FILE:ENTITY, too");
  return status;
}

co_status co_events_check_items(const co_recipe_join *join) {
  if (strcmp(join->table.table, CO_EVENTS_LOG) != 0) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--join %.200s: a table of items cannot be called '%s'",
                             join->table.file, CO_EVENTS_LOG);
  co_hint("rename the file: tables are called by theirs, and the log is called that");
  return status;
}

co_status co_table_add_items(co_recipe *recipe, co_arena *arena, const co_recipe_join *join) {
  if (recipe->items) return co_events_only_items(join->table.table);
  CO_RETURN_IF_FAILED(co_events_check_items(join));
  recipe->items = co_arena_alloc(arena, 1, sizeof *recipe->items);
  return recipe->items ? co_table_add_join(recipe->items, arena, join, 1) : CO_ERR_MEMORY;
}

static co_status add_items(co_recipe *recipe, co_recipe_join *join, const join_columns *columns,
                           co_arena *arena) {
  const char *item = recipe->events->item;
  const char **on = co_arena_alloc(arena, 1, sizeof *on);
  if (!on) return CO_ERR_MEMORY;
  if (!item || columns->count != 1 || strcmp(columns->on[0], item) != 0)
    return co_events_only_items(join->table.table);
  on[0] = item;
  join->on = on;
  join->to = OF_ROWS;
  join->implied = columns->implied;
  if (columns->renamed) CO_RETURN_IF_FAILED(co_table_set_key(&join->table, arena, columns->key[0]));
  return co_table_add_items(recipe, arena, join);
}

// "FILE:COLUMN", where both tables have the column, or "FILE:COLUMN=KEY"; of a key of several columns
// with commas between them.
static co_status read_join(co_recipe *recipe, const char *text, co_arena *arena) {
  const char *colon = strrchr(text, ':');
  join_columns columns = {.to = -1};
  if (!colon || colon == text || !colon[1]) {
    co_status status = co_fail(CO_ERR_USAGE, "--join %.200s: must be FILE:COLUMN", text);
    co_hint("FILE:COLUMN=KEY where the key of FILE has another name");
    return status;
  }
  CO_RETURN_IF_FAILED(read_join_columns(&columns, recipe, text, colon + 1, arena));
  char *file = co_arena_strndup(arena, text, (size_t)(colon - text));
  if (!file) return CO_ERR_MEMORY;
  co_recipe_join join = {.table.file = file};
  join.table.table = co_recipe_table_name(arena, file);
  if (!join.table.table) return CO_ERR_MEMORY;
  if (find_table(recipe, join.table.table)) {
    co_status status = co_fail(CO_ERR_USAGE, "--join %.200s: another table is called '%s', too",
                               text, join.table.table);
    co_hint("tables are called by their files; a schema file gives them other names");
    return status;
  }
  return columns.to == OF_LOG ? add_items(recipe, &join, &columns, arena)
                              : add_join(recipe, &join, &columns, arena);
}

static co_status no_table(const co_recipe *recipe, const char *option, const char *name) {
  co_status status = co_fail(CO_ERR_USAGE, "%s %.200s: there is no such table", option, name);
  if (recipe->join_count)
    co_hint("tables: %.100s, %.100s%s", recipe->table ? recipe->table : "",
            recipe->joins[0].table.table, recipe->join_count > 1 ? ", …" : "");
  else
    co_hint("--schema FILE names tables, --join FILE:COLUMN joins one");
  return status;
}

static co_status read_source(co_recipe *recipe, const char *text, co_arena *arena) {
  const char *equals = strchr(text, '=');
  char *name = equals ? co_arena_strndup(arena, text, (size_t)(equals - text)) : NULL;
  if (!equals || equals == text || !equals[1])
    return co_fail(CO_ERR_USAGE, "--source %.200s: must be NAME=SOURCE", text);
  if (!name) return CO_ERR_MEMORY;
  if (recipe->events && strcmp(name, CO_EVENTS_LOG) == 0) return CO_OK; // which are read together
  co_recipe *table = find_table(recipe, name);
  if (!table) return no_table(recipe, "--source", name);
  table->file = equals + 1;
  return CO_OK;
}

static co_status set_carry(co_recipe *recipe, const char *name) {
  co_recipe *table = find_table(recipe, name);
  if (!table || table == recipe) return no_table(recipe, "--carry", name);
  table->carry = true;
  return CO_OK;
}

co_status co_table_list_sources(const char *const **out, int64_t *count, const char *const *sources,
                                int64_t source_count, const char *name, co_arena *arena) {
  const size_t length = strlen(name);
  const char **found = co_arena_alloc(arena, (size_t)source_count + 1, sizeof *found);
  if (!found) return CO_ERR_MEMORY;
  *count = 0;
  for (int64_t i = 0; i < source_count; i++)
    if (strncmp(sources[i], name, length) == 0 && sources[i][length] == '=' &&
        sources[i][length + 1])
      found[(*count)++] = sources[i] + length + 1;
  *out = found;
  return CO_OK;
}

co_status co_table_check_repeated(const char *const *sources, int64_t count, bool logs) {
  const size_t log = strlen(CO_EVENTS_LOG);
  for (int64_t i = 0; i < count; i++) {
    const size_t length = strcspn(sources[i], "=");
    if (logs && length == log && strncmp(sources[i], CO_EVENTS_LOG, length) == 0) continue;
    for (int64_t k = 0; k < i; k++)
      if (strcspn(sources[k], "=") == length && strncmp(sources[i], sources[k], length) == 0)
        return co_fail(CO_ERR_USAGE, "--source %.200s: table '%.*s' has a source already",
                       sources[i], (int)(length < 100 ? length : 100), sources[i]);
  }
  return CO_OK;
}

// Several sources are one log.
static co_status read_logs(co_recipe *recipe, const cohort_tables *tables, co_arena *arena) {
  const char *const *logs;
  int64_t count;
  if (!recipe->events) return CO_OK;
  CO_RETURN_IF_FAILED(co_table_list_sources(&logs, &count, tables->sources, tables->source_count,
                                            CO_EVENTS_LOG, arena));
  if (!count) return CO_OK;
  recipe->logs = logs;
  recipe->log_count = count;
  return CO_OK;
}

co_status co_table_read_joins(co_recipe *recipe, const cohort_tables *tables, co_arena *arena) {
  for (int64_t i = 0; i < tables->join_count; i++)
    CO_RETURN_IF_FAILED(read_join(recipe, tables->joins[i], arena));
  for (int64_t i = 0; i < tables->carried_count; i++)
    CO_RETURN_IF_FAILED(set_carry(recipe, tables->carried[i]));
  CO_RETURN_IF_FAILED(
      co_table_check_repeated(tables->sources, tables->source_count, recipe->events != NULL));
  for (int64_t i = 0; i < tables->source_count; i++)
    CO_RETURN_IF_FAILED(read_source(recipe, tables->sources[i], arena));
  return read_logs(recipe, tables, arena);
}

co_status co_table_refuse_both(void) {
  co_status status = co_fail(CO_ERR_USAGE, "--dataset and --source do not go together");
  co_hint("a source of one table is --dataset FILE; of several each is --source NAME=FILE");
  return status;
}

co_status co_table_no_source(const co_recipe *recipe, const char *table) {
  co_status status = co_fail(CO_ERR_DATA, "there is no source of table '%.200s'", table);
  const char *more[] = {recipe->items ? recipe->items->joins[0].table.table : NULL,
                        recipe->events ? CO_EVENTS_LOG : NULL};
  char all[256];
  size_t used = (size_t)snprintf(all, sizeof all, "%s", recipe->table ? recipe->table : "");
  for (int64_t i = 0; i < recipe->join_count + 2 && used < sizeof all; i++) {
    const char *name =
        i < recipe->join_count ? recipe->joins[i].table.table : more[i - recipe->join_count];
    if (name) used += (size_t)snprintf(all + used, sizeof all - used, ", %s", name);
  }
  co_hint("--source %s=FILE%s%s", table, strchr(all, ',') ? "; its tables: " : "",
          strchr(all, ',') ? all : "");
  return status;
}

co_status co_table_check_sources(const co_recipe *recipe) {
  for (int64_t i = 0; i < recipe->join_count; i++)
    if (!recipe->joins[i].table.file)
      return co_table_no_source(recipe, recipe->joins[i].table.table);
  if (recipe->items && !recipe->items->joins[0].table.file)
    return co_table_no_source(recipe, recipe->items->joins[0].table.table);
  return recipe->events && !recipe->log_count ? co_table_no_source(recipe, CO_EVENTS_LOG) : CO_OK;
}

void co_table_name_sources(co_recipe *recipe) {
  if (recipe->items) co_table_name_sources(recipe->items);
  for (int64_t i = 0; i < recipe->join_count; i++) {
    co_recipe *table = &recipe->joins[i].table;
    const bool database =
        table->file && (co_rows_is_database(table->file) || co_postgres_is_url(table->file));
    if (database && !table->rows.table && !table->rows.query) table->rows.table = table->table;
  }
}
