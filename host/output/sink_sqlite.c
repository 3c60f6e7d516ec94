// SPDX-License-Identifier: Apache-2.0
// Scores as a table of an SQLite database. Rows go into one that is there in a single transaction; a
// new one appears by rename when complete, as any file does.
#include <string.h>
#include <sys/stat.h>

#include "datasets/sqlite_api.h"
#include "host/core/output.h"
#include "host/output/sink.h"

enum { PATIENCE = 10000 }; // milliseconds that another's lock is waited for

typedef enum if_exists { FAIL, APPEND, REPLACE, UPSERT } if_exists;
static const char *const if_exists_words[] = {"fail", "append", "replace", "upsert", NULL};

typedef struct sqlite_sink {
  co_sink base; // first
  const char *path;
  if_exists if_exists;
  co_sqlite_api api;
  co_atomic_file file; // of a new database
  void *database, *insert;
} sqlite_sink;

static co_status failed(const sqlite_sink *s, const char *doing, int code) {
  co_status status = co_fail_at(CO_ERR_IO, s->path, 0, 0, "%s: %s", doing,
                                s->database ? s->api.errmsg(s->database) : "out of memory");
  if (code == CO_SQL_BUSY) co_hint("another program holds the database; try again when it is done");
  return status;
}

// Every writing operation may be made to fail.
static co_status write_fault(const sqlite_sink *s) {
  int error = co_io_fault(s->base.ctx);
  return error ? co_fail_errno(CO_ERR_IO, error, "cannot write '%s'", s->path) : CO_OK;
}

static co_status execute(const sqlite_sink *s, const char *sql, const char *doing) {
  CO_RETURN_IF_FAILED(write_fault(s));
  co_alive(s->base.ctx, CO_PATIENCE_DISK);
  int code = s->api.exec(s->database, sql, NULL, NULL, NULL);
  co_alive(s->base.ctx, CO_PATIENCE);
  return code == CO_SQL_OK ? CO_OK : failed(s, doing, code);
}

// ---- the table ---------------------------------------------------------------------------------

// Names of tables have no case; a view stands in the way as well as a table.
static co_status find_table(const sqlite_sink *s, bool *there) {
  static const char query[] = "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND "
                              "lower(name) = lower(?1)";
  void *statement = NULL;
  int code = s->api.prepare_v2(s->database, query, -1, &statement, NULL);
  if (code == CO_SQL_OK) code = s->api.bind_text(statement, 1, s->base.options->table, -1, NULL);
  if (code == CO_SQL_OK) code = s->api.step(statement);
  *there = code == CO_SQL_ROW;
  co_status status = CO_OK;
  if (code == CO_SQL_NOT_A_DATABASE) {
    status = co_fail_at(CO_ERR_IO, s->path, 0, 0, "the output is no SQLite database");
    co_hint("it is left as it is; choose another -O");
  } else if (code != CO_SQL_ROW && code != CO_SQL_DONE) {
    status = failed(s, "cannot read the database", code);
  }
  if (statement) s->api.finalize(statement);
  return status;
}

static co_status check_table(const sqlite_sink *s, bool *there) {
  CO_RETURN_IF_FAILED(find_table(s, there));
  if (!*there || s->if_exists != FAIL) return CO_OK;
  co_status status = co_fail_at(CO_ERR_IO, s->path, 0, 0, "there is a table '%.200s' already",
                                s->base.options->table);
  co_hint("--if-exists append, replace or upsert, or another --table");
  return status;
}

static const co_score_column *key_of(const co_score_columns *columns) {
  for (int64_t i = 0; i < columns->count; i++)
    if (columns->column[i].content == CO_SCORE_KEY) return &columns->column[i];
  return NULL;
}

static void add_create(co_text *sql, const sqlite_sink *s) {
  static const char *const types[] = {
      [CO_SCORE_TEXT] = "TEXT", [CO_SCORE_NUMBER] = "REAL", [CO_SCORE_INTEGER] = "INTEGER"};
  const co_score_columns *columns = s->base.columns;
  co_text_printf(sql, "CREATE TABLE ");
  co_sqlite_add_name(sql, s->base.options->table);
  for (int64_t i = 0; i < columns->count; i++) {
    const co_score_column *column = &columns->column[i];
    co_text_printf(sql, i ? ", " : " (");
    co_sqlite_add_name(sql, column->name);
    bool primary = s->if_exists == UPSERT && column == key_of(columns);
    co_text_printf(sql, " %s NOT NULL%s", types[column->type], primary ? " PRIMARY KEY" : "");
  }
  co_text_printf(sql, ")");
}

static void add_insert(co_text *sql, const sqlite_sink *s) {
  const co_score_columns *columns = s->base.columns;
  const co_score_column *key = key_of(columns);
  co_text_printf(sql, "INSERT INTO ");
  co_sqlite_add_name(sql, s->base.options->table);
  for (int64_t i = 0; i < columns->count; i++) {
    co_text_printf(sql, i ? ", " : " (");
    co_sqlite_add_name(sql, columns->column[i].name);
  }
  for (int64_t i = 0; i < columns->count; i++)
    co_text_printf(sql, i ? ", ?" : ") VALUES (?");
  co_text_printf(sql, ")");
  if (s->if_exists != UPSERT) return;
  co_text_printf(sql, " ON CONFLICT (");
  co_sqlite_add_name(sql, key->name);
  co_text_printf(sql, ") DO %s", columns->count == 1 ? "NOTHING" : "UPDATE SET ");
  const char *comma = "";
  for (int64_t i = 0; i < columns->count; i++) {
    if (&columns->column[i] == key) continue;
    co_text_printf(sql, "%s", comma);
    co_sqlite_add_name(sql, columns->column[i].name);
    co_text_printf(sql, " = excluded.");
    co_sqlite_add_name(sql, columns->column[i].name);
    comma = ", ";
  }
}

static co_status make_table(const sqlite_sink *s, co_text *sql) {
  bool there;
  CO_RETURN_IF_FAILED(check_table(s, &there));
  if (there && s->if_exists == REPLACE) {
    co_text_printf(sql, "DROP TABLE ");
    co_sqlite_add_name(sql, s->base.options->table);
    CO_RETURN_IF_FAILED(sql->status);
    CO_RETURN_IF_FAILED(execute(s, sql->data, "cannot replace the table"));
    there = false;
  }
  if (there) return CO_OK;
  sql->length = 0;
  add_create(sql, s);
  CO_RETURN_IF_FAILED(sql->status);
  return execute(s, sql->data, "cannot make the table");
}

static co_status prepare_insert(sqlite_sink *s, co_text *sql) {
  sql->length = 0;
  add_insert(sql, s);
  CO_RETURN_IF_FAILED(sql->status);
  int code = s->api.prepare_v2(s->database, sql->data, -1, &s->insert, NULL);
  if (code == CO_SQL_OK) return CO_OK;
  co_status status = failed(s, "rows do not fit the table that is there", code);
  if (code == CO_SQL_BUSY) return status;
  co_hint("%s; or --if-exists replace makes it anew",
          s->if_exists == UPSERT ? "upsert needs the columns, and the key as PRIMARY KEY"
                                 : "it needs the columns of the output, which --columns names");
  return status;
}

// ---- rows --------------------------------------------------------------------------------------

static co_status begin(co_sink *sink) {
  sqlite_sink *s = (sqlite_sink *)sink;
  if (s->if_exists == UPSERT && !key_of(sink->columns))
    return co_fail(CO_ERR_USAGE, "--if-exists upsert needs the key among the --columns");
  CO_RETURN_IF_FAILED(execute(s, "BEGIN IMMEDIATE", "cannot write the database"));
  co_text sql;
  co_text_init(&sql, sink->ctx);
  co_status status = make_table(s, &sql);
  if (status == CO_OK) status = prepare_insert(s, &sql);
  co_text_free(&sql);
  return status;
}

static int bind(const sqlite_sink *s, int at, co_score_type type, const co_score_cell *cell) {
  if (cell->text) return s->api.bind_text(s->insert, at, cell->text, -1, NULL);
  if (type == CO_SCORE_INTEGER) return s->api.bind_int64(s->insert, at, (long long)cell->number);
  return s->api.bind_double(s->insert, at, cell->number);
}

static co_status row(co_sink *sink, const co_score_cell *cells) {
  sqlite_sink *s = (sqlite_sink *)sink;
  int code = CO_SQL_OK;
  CO_RETURN_IF_FAILED(write_fault(s));
  for (int64_t i = 0; code == CO_SQL_OK && i < sink->columns->count; i++)
    code = bind(s, (int)i + 1, sink->columns->column[i].type, &cells[i]);
  if (code == CO_SQL_OK) code = s->api.step(s->insert);
  if (code == CO_SQL_DONE) code = s->api.reset(s->insert);
  if (code == CO_SQL_OK) return CO_OK;
  return failed(s, "cannot insert a row", code);
}

static void close_database(sqlite_sink *s) {
  if (s->insert) s->api.finalize(s->insert);
  if (s->database) s->api.close(s->database); // which rolls an open transaction back
  s->insert = s->database = NULL;
}

static co_status commit(co_sink *sink) {
  sqlite_sink *s = (sqlite_sink *)sink;
  CO_RETURN_IF_FAILED(execute(s, "COMMIT", "cannot commit the rows"));
  close_database(s);
  return s->file.ctx ? co_atomic_commit(&s->file) : CO_OK;
}

static void close_sqlite(co_sink *sink) {
  sqlite_sink *s = (sqlite_sink *)sink;
  close_database(s);
  co_atomic_abort(&s->file);
  co_sqlite_unload(&s->api);
  co_free(sink->ctx, s);
}

// ---- opening -----------------------------------------------------------------------------------

static co_status check_options(sqlite_sink *s) {
  const co_sink_options *o = s->base.options;
  if (!o->table || !*o->table) {
    co_status status = co_fail(CO_ERR_USAGE, "a database as output needs --table TABLE");
    co_hint("-O %.200s --table scores", o->output);
    return status;
  }
  for (int i = 0; o->if_exists && if_exists_words[i]; i++)
    if (strcmp(if_exists_words[i], o->if_exists) == 0) {
      s->if_exists = (if_exists)i;
      return CO_OK;
    }
  if (!o->if_exists) return CO_OK;
  return co_fail(CO_ERR_USAGE, "--if-exists %.200s: there are fail, append, replace and upsert",
                 o->if_exists);
}

static co_status open_database(sqlite_sink *s, const char *path) {
  bool there;
  int code = s->api.open_v2(path, &s->database, CO_SQL_OPEN_READWRITE, NULL);
  if (code == CO_SQL_OK) code = s->api.busy_timeout(s->database, PATIENCE);
  if (code != CO_SQL_OK) return failed(s, "cannot open the database", code);
  return check_table(s, &there);
}

// A source may lie in the same database: its rows are read before the first is written. What else is
// read is no database.
static co_status open_file(sqlite_sink *s) {
  struct stat info;
  const co_sink_options *o = s->base.options;
  CO_RETURN_IF_FAILED(check_options(s));
  s->path = co_sink_file(o->output);
  if (stat(s->path, &info) == 0) {
    const co_output wanted = {.path = s->path, .replace = true};
    CO_RETURN_IF_FAILED(co_output_check(s->base.ctx, &wanted));
    CO_RETURN_IF_FAILED(co_sqlite_load(&s->api));
    return open_database(s, s->path);
  }
  const co_output wanted = {.path = s->path};
  CO_RETURN_IF_FAILED(co_sqlite_load(&s->api));
  CO_RETURN_IF_FAILED(co_output_begin(&s->file, s->base.ctx, &wanted));
  CO_RETURN_IF_FAILED(open_database(s, s->file.temporary));
  // Of a temporary there is nothing to roll back; it is synced before it gets its name.
  return execute(s, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF",
                 "cannot make the database");
}

co_status co_sqlite_sink_open(co_sink **out, co_context *ctx, const co_sink_options *options) {
  static const co_sink_class class_ = {
      .begin = begin, .row = row, .commit = commit, .close = close_sqlite};
  sqlite_sink *s = co_alloc_zero(ctx, 1, sizeof *s);
  if (!s) return CO_ERR_MEMORY;
  s->base = (co_sink){.class_ = &class_, .ctx = ctx, .options = options};
  co_status status = open_file(s);
  if (status == CO_OK)
    *out = &s->base;
  else
    close_sqlite(&s->base);
  return status;
}
