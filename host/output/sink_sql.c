// SPDX-License-Identifier: Apache-2.0
#include "host/output/sink_sql.h"

#include <inttypes.h>
#include <string.h>

#include "datasets/sqlite_api.h"

static const char *const words[] = {"fail", "append", "replace", "upsert", NULL};

co_status co_sql_check_options(co_if_exists *out, const co_sink_options *o) {
  *out = CO_EXISTS_FAIL;
  if (!o->table || !*o->table) {
    co_status status = co_fail(CO_ERR_USAGE, "a database as output needs --table TABLE");
    co_hint("-O %.200s --table scores", o->output);
    return status;
  }
  for (int i = 0; o->if_exists && words[i]; i++)
    if (strcmp(words[i], o->if_exists) == 0) {
      *out = (co_if_exists)i;
      return CO_OK;
    }
  if (!o->if_exists) return CO_OK;
  return co_fail(CO_ERR_USAGE, "--if-exists %.200s: there are fail, append, replace and upsert",
                 o->if_exists);
}

static const co_score_column *key_of(const co_score_columns *columns) {
  for (int64_t i = 0; i < columns->count; i++)
    if (columns->column[i].content == CO_SCORE_KEY) return &columns->column[i];
  return NULL;
}

co_status co_sql_check_key(const co_sql_sink *s) {
  if (s->if_exists != CO_EXISTS_UPSERT || key_of(s->columns)) return CO_OK;
  return co_fail(CO_ERR_USAGE, "--if-exists upsert needs the key among the --columns");
}

co_status co_sql_table_exists(const char *where, const char *table) {
  co_status status = co_fail_at(CO_ERR_IO, where, 0, 0, "there is a table '%.200s' already", table);
  co_hint("--if-exists append, replace or upsert, or another --table");
  return status;
}

co_status co_sql_appended(const char *where, const char *table) {
  co_status status =
      co_fail_at(CO_ERR_IO, where, 0, 0,
                 "this very job has added its rows to the table '%.200s' already", table);
  co_hint("--resume takes it as done; --scored-at tells one night from another");
  return status;
}

void co_sql_hint_mismatch(co_if_exists if_exists) {
  co_hint("%s; or --if-exists replace makes it anew",
          if_exists == CO_EXISTS_UPSERT
              ? "upsert needs the columns, and the key as PRIMARY KEY"
              : "it needs the columns of the output, which --columns names");
}

void co_sql_sink_free(co_sql_sink *s, co_context *ctx) {
  co_free(ctx, s->name);
  co_free(ctx, s->table);
  co_free(ctx, s->part);
  co_free(ctx, s->jobs);
}

// ---- statements --------------------------------------------------------------------------------

void co_sql_add_text(co_text *sql, const char *text) {
  co_text_append(sql, "'", 1);
  for (; *text; text++)
    co_text_append(sql, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
  co_text_append(sql, "'", 1);
}

static void add_names(co_text *sql, const co_score_columns *columns) {
  for (int64_t i = 0; i < columns->count; i++) {
    if (i) co_text_printf(sql, ", ");
    co_sqlite_add_name(sql, columns->column[i].name);
  }
}

void co_sql_add_columns(co_text *sql, const co_sql_sink *s) {
  co_text_printf(sql, " (");
  add_names(sql, s->columns);
  co_text_printf(sql, ")");
}

void co_sql_add_create(co_text *sql, const co_sql_sink *s, const char *table) {
  const co_score_columns *columns = s->columns;
  co_text_printf(sql, "CREATE TABLE %s", table);
  for (int64_t i = 0; i < columns->count; i++) {
    const co_score_column *column = &columns->column[i];
    co_text_printf(sql, i ? ", " : " (");
    co_sqlite_add_name(sql, column->name);
    bool primary = s->if_exists == CO_EXISTS_UPSERT && column == key_of(columns);
    co_text_printf(sql, " %s NOT NULL%s", s->types[column->type], primary ? " PRIMARY KEY" : "");
  }
  co_text_printf(sql, ");");
}

void co_sql_add_conflict(co_text *sql, const co_sql_sink *s) {
  const co_score_columns *columns = s->columns;
  const co_score_column *key = key_of(columns);
  const char *comma = "";
  if (s->if_exists != CO_EXISTS_UPSERT) return;
  co_text_printf(sql, " ON CONFLICT (");
  co_sqlite_add_name(sql, key->name);
  co_text_printf(sql, ") DO %s", columns->count == 1 ? "NOTHING" : "UPDATE SET ");
  for (int64_t i = 0; i < columns->count; i++) {
    if (&columns->column[i] == key) continue;
    co_text_printf(sql, "%s", comma);
    co_sqlite_add_name(sql, columns->column[i].name);
    co_text_printf(sql, " = excluded.");
    co_sqlite_add_name(sql, columns->column[i].name);
    comma = ", ";
  }
}

void co_sql_add_move(co_text *sql, const co_sql_sink *s) {
  co_text_printf(sql, "INSERT INTO %s", s->table);
  co_sql_add_columns(sql, s);
  co_text_printf(sql, " SELECT ");
  add_names(sql, s->columns);
  co_text_printf(sql, " FROM %s WHERE true", s->part); // without it, ON is taken for a join's
  co_sql_add_conflict(sql, s);
  co_text_printf(sql, ";");
}

void co_sql_add_publish(co_text *sql, const co_sql_sink *s, const char *target, bool there) {
  bool replaced = there && s->if_exists == CO_EXISTS_REPLACE;
  if (replaced) co_text_printf(sql, "DROP TABLE %s;", s->table);
  if (!there || replaced) {
    co_text_printf(sql, "ALTER TABLE %s RENAME TO %s;", s->part, target);
    return;
  }
  co_sql_add_move(sql, s);
  co_text_printf(sql, "DROP TABLE %s;", s->part);
}

// ---- jobs --------------------------------------------------------------------------------------

void co_sql_add_jobs_table(co_text *sql, const co_sql_sink *s) {
  co_text_printf(sql,
                 "CREATE TABLE IF NOT EXISTS %s (output TEXT PRIMARY KEY, job TEXT NOT NULL, "
                 "rows_saved BIGINT NOT NULL, state TEXT NOT NULL, done INTEGER NOT NULL);",
                 s->jobs);
}

void co_sql_add_begin_job(co_text *sql, const co_sql_sink *s, const co_sink_job *job) {
  char print[200];
  co_sink_job_print(print, job);
  co_text_printf(sql, "DELETE FROM %s WHERE output = ", s->jobs);
  co_sql_add_text(sql, s->name);
  co_text_printf(sql, ";INSERT INTO %s VALUES (", s->jobs);
  co_sql_add_text(sql, s->name);
  co_text_printf(sql, ", '%s', 0, '', 0);", print);
}

void co_sql_add_position(co_text *sql, const co_sql_sink *s, const co_position *at, bool done) {
  co_text_printf(sql, "UPDATE %s SET rows_saved = %" PRId64 ", done = %d, state = ", s->jobs,
                 at->rows, done);
  co_sql_add_text(sql, at->state && !done ? at->state : "");
  co_text_printf(sql, " WHERE output = ");
  co_sql_add_text(sql, s->name);
  co_text_printf(sql, ";");
}

void co_sql_add_find_job(co_text *sql, const co_sql_sink *s) {
  co_text_printf(sql, "SELECT job, rows_saved, state, done FROM %s WHERE output = ", s->jobs);
  co_sql_add_text(sql, s->name);
}
