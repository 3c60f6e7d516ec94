// SPDX-License-Identifier: Apache-2.0
// Tables that are joined to another, as options name them.
#include <string.h>

#include "datasets/postgres.h"
#include "host/api/table.h"
#include "host/core/diagnostics.h"

const char *co_table_joins_option(const cohort_tables *t) {
  return t->join_count      ? "--join"
         : t->carried_count ? "--carry"
         : t->source_count  ? "--source"
                            : NULL;
}

static co_recipe *find_table(co_recipe *recipe, const char *name) {
  if (recipe->table && strcmp(recipe->table, name) == 0) return recipe;
  for (int64_t i = 0; i < recipe->join_count; i++)
    if (strcmp(recipe->joins[i].table.table, name) == 0) return &recipe->joins[i].table;
  return NULL;
}

// "FILE:COLUMN", where both tables have the column, or "FILE:COLUMN=KEY".
static co_status read_join(co_recipe *recipe, const char *text, co_arena *arena) {
  const char *colon = strrchr(text, ':');
  if (!colon || colon == text || !colon[1]) {
    co_status status = co_fail(CO_ERR_USAGE, "--join %.200s: must be FILE:COLUMN", text);
    co_hint("FILE:COLUMN=KEY where the key of FILE has another name");
    return status;
  }
  char *file = co_arena_strndup(arena, text, (size_t)(colon - text));
  const char *equals = strchr(colon, '=');
  char *on = co_arena_strndup(arena, colon + 1, equals ? (size_t)(equals - colon) - 1 : SIZE_MAX);
  if (!file || !on) return CO_ERR_MEMORY;
  co_recipe_join join = {.on = on};
  join.table.file = file;
  join.table.table = co_recipe_table_name(arena, file);
  if (!join.table.table) return CO_ERR_MEMORY;
  if (find_table(recipe, join.table.table)) {
    co_status status = co_fail(CO_ERR_USAGE, "--join %.200s: another table is called '%s', too",
                               text, join.table.table);
    co_hint("tables are called by their files; a schema file gives them other names");
    return status;
  }
  if (equals) CO_RETURN_IF_FAILED(co_table_set_key(&join.table, arena, equals + 1));
  return co_table_add_join(recipe, arena, &join);
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

co_status co_table_read_joins(co_recipe *recipe, const cohort_tables *tables, co_arena *arena) {
  for (int64_t i = 0; i < tables->join_count; i++)
    CO_RETURN_IF_FAILED(read_join(recipe, tables->joins[i], arena));
  for (int64_t i = 0; i < tables->carried_count; i++)
    CO_RETURN_IF_FAILED(set_carry(recipe, tables->carried[i]));
  for (int64_t i = 0; i < tables->source_count; i++)
    CO_RETURN_IF_FAILED(read_source(recipe, tables->sources[i], arena));
  return CO_OK;
}

co_status co_table_refuse_both(void) {
  co_status status = co_fail(CO_ERR_USAGE, "--dataset and --source do not go together");
  co_hint("a source of one table is --dataset FILE; of several each is --source NAME=FILE");
  return status;
}

co_status co_table_no_source(const co_recipe *recipe, const char *table) {
  co_status status = co_fail(CO_ERR_DATA, "there is no source of table '%.200s'", table);
  co_hint("--source %s=FILE%s%s", table, recipe->join_count ? "; its tables: " : "",
          recipe->join_count ? recipe->table : "");
  return status;
}

co_status co_table_check_sources(const co_recipe *recipe) {
  for (int64_t i = 0; i < recipe->join_count; i++)
    if (!recipe->joins[i].table.file)
      return co_table_no_source(recipe, recipe->joins[i].table.table);
  return CO_OK;
}

void co_table_name_sources(co_recipe *recipe) {
  for (int64_t i = 0; i < recipe->join_count; i++) {
    co_recipe *table = &recipe->joins[i].table;
    const bool database =
        table->file && (co_rows_is_database(table->file) || co_postgres_is_url(table->file));
    if (database && !table->rows.table && !table->rows.query) table->rows.table = table->table;
  }
}
