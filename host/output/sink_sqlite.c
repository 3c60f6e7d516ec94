// SPDX-License-Identifier: Apache-2.0
// Scores as a table of an SQLite database. Rows go into one that is there in a single transaction; a
// new one appears by rename when complete, as any file does. With `resume` they go by the way of a part
// (sink_sql.h), in a database that is there, or in FILE.part.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/sqlite_api.h"
#include "host/core/hash.h"
#include "host/core/output.h"
#include "host/output/sink_sql.h"

enum { PATIENCE = 10000 }; // milliseconds that another's lock is waited for

static const char *const types[] = {
    [CO_SCORE_TEXT] = "TEXT", [CO_SCORE_NUMBER] = "REAL", [CO_SCORE_INTEGER] = "INTEGER"};

typedef struct sqlite_sink {
  co_sink base; // first
  const char *path;
  co_sql_sink sql;
  co_sqlite_api api;
  // A new database; of one that is there and goes by the way of a part, an empty file that is its lock.
  co_atomic_file file;
  bool made, saved; // it is new; the file outlives the process
  bool fresh;       // the table was not there
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
static co_status find_table(const sqlite_sink *s, const char *table, bool *there) {
  static const char query[] = "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND "
                              "lower(name) = lower(?1)";
  void *statement = NULL;
  int code = s->api.prepare_v2(s->database, query, -1, &statement, NULL);
  if (code == CO_SQL_OK) code = s->api.bind_text(statement, 1, table, -1, NULL);
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
  CO_RETURN_IF_FAILED(find_table(s, s->base.options->table, there));
  if (!*there || s->sql.if_exists != CO_EXISTS_FAIL) return CO_OK;
  return co_sql_table_exists(s->path, s->base.options->table);
}

// Runs statements that were added to an empty text, and empties it again.
static co_status execute_text(const sqlite_sink *s, co_text *sql, const char *doing) {
  CO_RETURN_IF_FAILED(sql->status);
  co_status status = execute(s, sql->length ? sql->data : "", doing);
  sql->length = 0;
  return status;
}

static co_status make_table(sqlite_sink *s, co_text *sql) {
  bool there;
  CO_RETURN_IF_FAILED(check_table(s, &there));
  if (there && s->sql.if_exists == CO_EXISTS_REPLACE) {
    co_text_printf(sql, "DROP TABLE %s;", s->sql.table);
    CO_RETURN_IF_FAILED(execute_text(s, sql, "cannot replace the table"));
    there = false;
  }
  s->fresh = !there;
  if (!there) co_sql_add_create(sql, &s->sql, s->sql.table);
  return execute_text(s, sql, "cannot make the table");
}

static co_status prepare(const sqlite_sink *s, co_text *sql, void **statement) {
  CO_RETURN_IF_FAILED(sql->status);
  int code = s->api.prepare_v2(s->database, sql->data, -1, statement, NULL);
  sql->length = 0;
  if (code == CO_SQL_OK) return CO_OK;
  co_status status = failed(s, "rows do not fit the table that is there", code);
  if (code != CO_SQL_BUSY) co_sql_hint_mismatch(s->sql.if_exists);
  return status;
}

static co_status prepare_insert(sqlite_sink *s, co_text *sql, const char *table) {
  co_text_printf(sql, "INSERT INTO %s", table);
  co_sql_add_columns(sql, &s->sql);
  for (int64_t i = 0; i < s->base.columns->count; i++)
    co_text_printf(sql, i ? ", ?" : " VALUES (?");
  co_text_printf(sql, ")");
  co_sql_add_conflict(sql, &s->sql);
  return prepare(s, sql, &s->insert);
}

// ---- a job that goes on --------------------------------------------------------------------------

static const char *column_text(const sqlite_sink *s, void *statement, int column) {
  const char *text = (const char *)s->api.column_text(statement, column);
  return text ? text : "";
}

// Of a job before: its position, or that it is done; else nothing.
static co_status take_job(sqlite_sink *s, void *statement, const co_sink_job *job, bool *begun) {
  co_sink *sink = &s->base;
  bool done = strtoll(column_text(s, statement, 3), NULL, 10);
  char print[200];
  co_sink_job_print(print, job);
  sink->complete = done && strcmp(column_text(s, statement, 0), print) == 0;
  int64_t rows = strtoll(column_text(s, statement, 1), NULL, 10);
  if (done || !rows) return CO_OK; // if it was another, this is a new one
  CO_RETURN_IF_FAILED(co_sink_job_check(column_text(s, statement, 0), job, s->path));
  *begun = true;
  sink->at.rows = rows;
  sink->at.state = co_strdup(sink->ctx, column_text(s, statement, 2));
  return sink->at.state ? CO_OK : CO_ERR_MEMORY;
}

// Rows that are added by one transaction are noted, too.
static bool is_noted(const sqlite_sink *s) {
  return !s->base.options->resume && s->sql.if_exists == CO_EXISTS_APPEND;
}

static co_status find_job(sqlite_sink *s, co_text *sql, const co_sink_job *job, bool *begun) {
  void *statement = NULL;
  co_sql_add_jobs_table(sql, &s->sql);
  CO_RETURN_IF_FAILED(execute_text(s, sql, "cannot write the database"));
  co_sql_add_find_job(sql, &s->sql);
  CO_RETURN_IF_FAILED(prepare(s, sql, &statement));
  int code = s->api.step(statement);
  co_status status = CO_OK;
  if (code == CO_SQL_ROW)
    status = take_job(s, statement, job, begun);
  else if (code != CO_SQL_DONE)
    status = failed(s, "cannot read the database", code);
  s->api.finalize(statement);
  return status;
}

// Whether the part's rows will fit is known before there are any.
static co_status try_move(const sqlite_sink *s, co_text *sql) {
  bool there;
  void *statement = NULL;
  CO_RETURN_IF_FAILED(check_table(s, &there));
  if (!there || s->sql.if_exists == CO_EXISTS_REPLACE) return CO_OK;
  co_sql_add_move(sql, &s->sql);
  co_status status = prepare(s, sql, &statement);
  if (statement) s->api.finalize(statement);
  return status;
}

static co_status begin_part(sqlite_sink *s, co_text *sql, const co_sink_job *job) {
  bool begun = false;
  CO_RETURN_IF_FAILED(find_job(s, sql, job, &begun));
  if (s->base.complete) return execute(s, "COMMIT", "cannot write the database");
  if (!begun) {
    co_text_printf(sql, "DROP TABLE IF EXISTS %s;", s->sql.part);
    co_sql_add_create(sql, &s->sql, s->sql.part);
    co_sql_add_begin_job(sql, &s->sql, job);
    CO_RETURN_IF_FAILED(execute_text(s, sql, "cannot make the table"));
  }
  CO_RETURN_IF_FAILED(try_move(s, sql));
  CO_RETURN_IF_FAILED(execute(s, "COMMIT; BEGIN IMMEDIATE", "cannot write the database"));
  return prepare_insert(s, sql, s->sql.part);
}

// In the transaction of its rows, which may be the same job's as the last one's.
static co_status note_append(sqlite_sink *s, co_text *sql, const co_sink_job *job) {
  void *statement = NULL;
  char print[200];
  co_sink_job_print(print, job);
  co_sql_add_jobs_table(sql, &s->sql);
  CO_RETURN_IF_FAILED(execute_text(s, sql, "cannot write the database"));
  co_sql_add_find_job(sql, &s->sql);
  CO_RETURN_IF_FAILED(prepare(s, sql, &statement));
  bool same = s->api.step(statement) == CO_SQL_ROW &&
              strcmp(column_text(s, statement, 0), print) == 0 &&
              strtoll(column_text(s, statement, 3), NULL, 10);
  s->api.finalize(statement);
  if (same && !s->fresh) return co_sql_appended(s->path, s->base.options->table);
  co_text_printf(sql, "DROP TABLE IF EXISTS %s;", s->sql.part);
  co_sql_add_begin_job(sql, &s->sql, job);
  return execute_text(s, sql, "cannot write the database");
}

// What a job that was killed left is of no use once a table is written otherwise.
static co_status drop_part(const sqlite_sink *s, co_text *sql) {
  bool there;
  CO_RETURN_IF_FAILED(find_table(s, "cohort_jobs", &there));
  if (!there) return CO_OK;
  co_text_printf(sql, "DROP TABLE IF EXISTS %s;DELETE FROM %s WHERE output = ", s->sql.part,
                 s->sql.jobs);
  co_sql_add_text(sql, s->sql.name);
  return execute_text(s, sql, "cannot write the database");
}

// ---- rows --------------------------------------------------------------------------------------

static co_status begin_rows(sqlite_sink *s, co_text *sql, const co_sink_job *job) {
  CO_RETURN_IF_FAILED(execute(s, "BEGIN IMMEDIATE", "cannot write the database"));
  if (s->base.options->resume) return begin_part(s, sql, job);
  CO_RETURN_IF_FAILED(make_table(s, sql));
  CO_RETURN_IF_FAILED(is_noted(s) ? note_append(s, sql, job) : drop_part(s, sql));
  return prepare_insert(s, sql, s->sql.table);
}

static co_status begin(co_sink *sink, const co_sink_job *job) {
  sqlite_sink *s = (sqlite_sink *)sink;
  s->sql.columns = sink->columns;
  CO_RETURN_IF_FAILED(co_sql_check_key(&s->sql));
  co_text sql;
  co_text_init(&sql, sink->ctx);
  co_status status = begin_rows(s, &sql, job);
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

static co_status save(co_sink *sink, const co_position *position) {
  sqlite_sink *s = (sqlite_sink *)sink;
  co_text sql;
  if (!sink->options->resume) return CO_OK;
  co_text_init(&sql, sink->ctx);
  co_sql_add_position(&sql, &s->sql, position, false);
  co_text_printf(&sql, "COMMIT; BEGIN IMMEDIATE");
  co_status status = execute_text(s, &sql, "cannot commit rows");
  co_text_free(&sql);
  s->saved = s->saved || status == CO_OK;
  return status;
}

static co_status publish(sqlite_sink *s, co_text *sql, const co_position *position) {
  bool there;
  if (s->insert) s->api.finalize(s->insert); // the part can be renamed only then
  s->insert = NULL;
  CO_RETURN_IF_FAILED(check_table(s, &there));
  co_sql_add_publish(sql, &s->sql, s->sql.table, there);
  co_sql_add_position(sql, &s->sql, position, true);
  return execute_text(s, sql, "cannot write the table");
}

static co_status note_done(const sqlite_sink *s, co_text *sql, const co_position *position) {
  co_sql_add_position(sql, &s->sql, position, true);
  return execute_text(s, sql, "cannot write the database");
}

static co_status finish(co_sink *sink, const co_position *position) {
  sqlite_sink *s = (sqlite_sink *)sink;
  if (!sink->options->resume && !is_noted(s)) return CO_OK;
  co_text sql;
  co_text_init(&sql, sink->ctx);
  co_status status = is_noted(s) ? note_done(s, &sql, position) : publish(s, &sql, position);
  co_text_free(&sql);
  return status;
}

static co_status commit(co_sink *sink) {
  sqlite_sink *s = (sqlite_sink *)sink;
  CO_RETURN_IF_FAILED(execute(s, "COMMIT", "cannot commit the rows"));
  close_database(s);
  s->file.keep = sink->options->resume;
  return s->made ? co_atomic_commit(&s->file) : CO_OK;
}

// Best effort: what is left is of no use, but in nobody's way.
static void discard(sqlite_sink *s) {
  co_text sql;
  co_error error;
  co_error_copy(&error);
  co_text_init(&sql, s->base.ctx);
  s->api.exec(s->database, "ROLLBACK", NULL, NULL, NULL);
  if (execute(s, "BEGIN IMMEDIATE", "") == CO_OK && drop_part(s, &sql) == CO_OK)
    (void)execute(s, "COMMIT", "");
  co_text_free(&sql);
  if (error.status != CO_OK) co_error_raise(&error);
}

static void close_sqlite(co_sink *sink) {
  sqlite_sink *s = (sqlite_sink *)sink;
  if (sink->discard && s->database && sink->options->resume) discard(s);
  close_database(s);
  s->file.keep = s->made && s->saved && !sink->discard;
  co_atomic_abort(&s->file);
  co_sql_sink_free(&s->sql, sink->ctx);
  co_sqlite_unload(&s->api);
  co_free(sink->ctx, s);
}

// ---- opening -----------------------------------------------------------------------------------

// Names of tables have no case.
static co_status name_tables(sqlite_sink *s) {
  co_context *ctx = s->base.ctx;
  co_text quoted, part;
  co_text_init(&quoted, ctx);
  co_text_init(&part, ctx);
  s->sql.name = co_strdup(ctx, s->base.options->table);
  for (char *c = s->sql.name; c && *c; c++)
    *c = (char)tolower((unsigned char)*c);
  co_sqlite_add_name(&quoted, s->base.options->table);
  co_text_printf(&part, "\"cohort_part_%08x\"",
                 s->sql.name ? co_crc32c(0, s->sql.name, strlen(s->sql.name)) : 0);
  if (quoted.status == CO_OK) s->sql.table = co_strdup(ctx, quoted.data);
  if (part.status == CO_OK) s->sql.part = co_strdup(ctx, part.data);
  s->sql.jobs = co_strdup(ctx, "cohort_jobs");
  s->sql.types = types;
  co_text_free(&quoted);
  co_text_free(&part);
  return s->sql.name && s->sql.table && s->sql.part && s->sql.jobs ? CO_OK : CO_ERR_MEMORY;
}

static co_status open_database(sqlite_sink *s, const char *path) {
  bool there;
  int code = s->api.open_v2(path, &s->database, CO_SQL_OPEN_READWRITE | CO_SQL_OPEN_NOMUTEX, NULL);
  if (code == CO_SQL_OK) code = s->api.busy_timeout(s->database, PATIENCE);
  if (code != CO_SQL_OK) return failed(s, "cannot open the database", code);
  // With `resume` it may be that of the same job, which is complete.
  return s->base.options->resume ? find_table(s, s->base.options->table, &there)
                                 : check_table(s, &there);
}

// A lock of its own for each table, since SQLite's are free between two transactions.
static co_status lock_table(sqlite_sink *s) {
  char *path =
      co_format(s->base.ctx, "%s.%08x", s->path, co_crc32c(0, s->sql.name, strlen(s->sql.name)));
  co_status status = path ? co_atomic_begin_part(&s->file, s->base.ctx, path) : CO_ERR_MEMORY;
  co_free(s->base.ctx, path);
  return status;
}

static co_status open_new(sqlite_sink *s, const co_output *wanted) {
  s->made = true;
  if (!s->base.options->resume) {
    CO_RETURN_IF_FAILED(co_output_begin(&s->file, s->base.ctx, wanted));
    CO_RETURN_IF_FAILED(open_database(s, s->file.temporary));
    // Of a temporary there is nothing to roll back; it is synced before it gets its name.
    return execute(s, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF",
                   "cannot make the database");
  }
  CO_RETURN_IF_FAILED(co_output_check(s->base.ctx, wanted));
  CO_RETURN_IF_FAILED(co_atomic_begin_part(&s->file, s->base.ctx, s->path));
  s->file.keep_existing = true;
  s->saved = lseek(s->file.lock, 0, SEEK_END) > 0;
  return open_database(s, s->file.temporary);
}

// A source may lie in the same database: its rows are read before the first is written. What else is
// read is no database.
static co_status open_file(sqlite_sink *s) {
  struct stat info;
  const co_sink_options *o = s->base.options;
  CO_RETURN_IF_FAILED(co_sql_check_options(&s->sql.if_exists, o));
  s->path = co_sink_file(o->output);
  CO_RETURN_IF_FAILED(name_tables(s));
  bool there = stat(s->path, &info) == 0;
  const co_output wanted = {.path = s->path, .replace = there};
  if (there) CO_RETURN_IF_FAILED(co_output_check(s->base.ctx, &wanted));
  CO_RETURN_IF_FAILED(co_sqlite_load(&s->api));
  if (!there) return open_new(s, &wanted);
  if (o->resume) CO_RETURN_IF_FAILED(lock_table(s));
  return open_database(s, s->path);
}

co_status co_sqlite_sink_open(co_sink **out, co_context *ctx, const co_sink_options *options) {
  static const co_sink_class class_ = {.begin = begin,
                                       .row = row,
                                       .save = save,
                                       .finish = finish,
                                       .commit = commit,
                                       .close = close_sqlite};
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
