// SPDX-License-Identifier: Apache-2.0
// Scores as a table of a PostgreSQL database, always by the way of a part (sink_sql.h): rows are kept here
// until a position is saved, then copied (COPY) in one transaction with it. So a connection that breaks
// costs nothing: another is opened, it is asked whether that transaction came through, and if not it is
// done again. An advisory lock of the session keeps other jobs off the table.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/postgres.h"
#include "datasets/sqlite_api.h"
#include "host/core/hash.h"
#include "host/output/sink_sql.h"

static const char *const types[] = {
    [CO_SCORE_TEXT] = "TEXT", [CO_SCORE_NUMBER] = "REAL", [CO_SCORE_INTEGER] = "BIGINT"};

typedef struct postgres_sink {
  co_sink base; // first
  co_sql_sink sql;
  co_postgres server;
  char *bare;   // name of the table in quotes, without a schema
  char *copy;   // statement
  co_text rows; // not yet sent, as COPY takes them
  bool begun, saved;
  int64_t rows_done; // when all are in
} postgres_sink;

static co_status execute(postgres_sink *s, const char *sql, const char *doing) {
  int error = co_io_fault(s->base.ctx);
  if (error) return co_fail_errno(CO_ERR_IO, error, "cannot write '%s'", s->server.shown);
  return co_postgres_execute(&s->server, sql, NULL, CO_ERR_IO, doing);
}

// The first row of a query, at most `count` of its cells, each to be freed; *found where there is one.
static co_status query_row(postgres_sink *s, const char *sql, char **cells, int count,
                           bool *found) {
  void *result = NULL;
  const co_postgres_api *a = &s->server.api;
  CO_RETURN_IF_FAILED(
      co_postgres_execute(&s->server, sql, &result, CO_ERR_IO, "cannot read the database"));
  co_status status = CO_OK;
  *found = a->ntuples(result) > 0;
  for (int i = 0; *found && i < count; i++)
    if (!(cells[i] = co_strdup(s->base.ctx, a->getvalue(result, 0, i)))) status = CO_ERR_MEMORY;
  a->clear(result);
  return status;
}

static void free_cells(const postgres_sink *s, char **cells, int count) {
  for (int i = 0; i < count; i++)
    co_free(s->base.ctx, cells[i]);
}

// ---- the table ---------------------------------------------------------------------------------

static co_status find_table(postgres_sink *s, bool *there) {
  co_text sql;
  char *cell = NULL;
  bool found = false;
  co_text_init(&sql, s->base.ctx);
  co_text_printf(&sql, "SELECT to_regclass(");
  co_sql_add_text(&sql, s->sql.table);
  co_text_printf(&sql, ") IS NOT NULL");
  co_status status = sql.status;
  if (status == CO_OK) status = query_row(s, sql.data, &cell, 1, &found);
  *there = status == CO_OK && found && cell[0] == 't';
  co_free(s->base.ctx, cell);
  co_text_free(&sql);
  return status;
}

static co_status check_table(postgres_sink *s, bool *there) {
  CO_RETURN_IF_FAILED(find_table(s, there));
  if (!*there || s->sql.if_exists != CO_EXISTS_FAIL) return CO_OK;
  return co_sql_table_exists(s->server.shown, s->base.options->table);
}

static co_status lock_table(postgres_sink *s) {
  co_text sql;
  char *cell = NULL;
  bool found = false;
  co_text_init(&sql, s->base.ctx);
  co_text_printf(&sql, "SELECT pg_try_advisory_lock(hashtext('cohort'), hashtext(");
  co_sql_add_text(&sql, s->sql.table);
  co_text_printf(&sql, "))");
  co_status status = sql.status;
  if (status == CO_OK) status = query_row(s, sql.data, &cell, 1, &found);
  if (status == CO_OK && cell[0] != 't') {
    status = co_fail_at(CO_ERR_IO, s->server.shown, 0, 0,
                        "another job is writing the table '%.200s'", s->base.options->table);
    s->server.passing = false;
    co_hint("wait until it is done, or choose another --table");
  }
  co_free(s->base.ctx, cell);
  co_text_free(&sql);
  return status;
}

// ---- transactions that are repeated ------------------------------------------------------------

static co_status send_rows(postgres_sink *s) {
  enum { PIECE = 1 << 16 };
  const co_postgres_api *a = &s->server.api;
  void *connection = s->server.connection, *result;
  co_status status = CO_OK;
  if (!s->rows.length) return CO_OK;
  CO_RETURN_IF_FAILED(execute(s, s->copy, "cannot copy rows"));
  for (size_t at = 0; at < s->rows.length; at += PIECE) {
    size_t some = s->rows.length - at < PIECE ? s->rows.length - at : PIECE;
    co_alive(s->base.ctx, CO_PATIENCE_DISK);
    if (a->put_copy_data(connection, s->rows.data + at, (int)some) != 1)
      return co_postgres_failed(&s->server, NULL, CO_ERR_IO, "cannot copy rows");
  }
  if (a->put_copy_end(connection, NULL) != 1)
    return co_postgres_failed(&s->server, NULL, CO_ERR_IO, "cannot copy rows");
  while ((result = a->get_result(connection)) != NULL) {
    if (status == CO_OK && a->result_status(result) != CO_PQ_COMMAND_OK)
      status = co_postgres_failed(&s->server, result, CO_ERR_IO, "cannot copy rows");
    a->clear(result);
  }
  co_alive(s->base.ctx, CO_PATIENCE);
  return status;
}

static co_status try_transaction(postgres_sink *s, const char *sql, const char *doing) {
  CO_RETURN_IF_FAILED(execute(s, "BEGIN", doing));
  co_status status = send_rows(s);
  if (status == CO_OK) status = execute(s, sql, doing);
  if (status == CO_OK) return execute(s, "COMMIT", doing);
  co_error error;
  co_error_copy(&error);
  bool passing = s->server.passing;
  if (co_postgres_execute(&s->server, "ROLLBACK", NULL, CO_ERR_IO, doing) != CO_OK) passing = true;
  s->server.passing = passing;
  return co_error_raise(&error);
}

// Whether the job stands where a transaction was to bring it, of which no answer came.
static co_status came_through(postgres_sink *s, int64_t rows, bool done, bool *out) {
  co_text sql;
  char *cells[4] = {0};
  bool found = false;
  co_text_init(&sql, s->base.ctx);
  co_sql_add_find_job(&sql, &s->sql);
  co_status status = sql.status;
  if (status == CO_OK) status = query_row(s, sql.data, cells, 4, &found);
  *out = status == CO_OK && found && strtoll(cells[1], NULL, 10) == rows &&
         (cells[3][0] == '1') == done;
  free_cells(s, cells, 4);
  co_text_free(&sql);
  return status;
}

static co_status try_again(postgres_sink *s, const char *sql, const char *doing,
                           const co_position *at, bool done) {
  bool through = false;
  CO_RETURN_IF_FAILED(co_postgres_connect(&s->server, CO_ERR_IO));
  CO_RETURN_IF_FAILED(lock_table(s));
  if (at) CO_RETURN_IF_FAILED(came_through(s, at->rows, done, &through));
  return through ? CO_OK : try_transaction(s, sql, doing);
}

// Rows that are kept, and statements. `at`: what it notes of the job, NULL = it may be done twice.
static co_status transact(postgres_sink *s, co_text *sql, const char *doing, const co_position *at,
                          bool done) {
  CO_RETURN_IF_FAILED(sql->status);
  CO_RETURN_IF_FAILED(s->rows.status);
  s->server.passing = false;
  co_status status = try_transaction(s, sql->data, doing);
  for (int attempt = 1; status == CO_ERR_IO; attempt++) {
    if (!co_postgres_wait(&s->server, attempt, s->base.options->stop)) break;
    status = try_again(s, sql->data, doing, at, done);
  }
  if (status == CO_OK) s->rows.length = 0;
  return status;
}

// ---- a job -------------------------------------------------------------------------------------

// Of rows that would be there twice.
static co_status refuse_repeated(postgres_sink *s, char **cells, const co_sink_job *job) {
  char print[200];
  bool there = false, same = cells[3][0] == '1' && s->sql.if_exists == CO_EXISTS_APPEND;
  co_sink_job_print(print, job);
  if (!same || strcmp(cells[0], print) != 0) return CO_OK;
  CO_RETURN_IF_FAILED(find_table(s, &there));
  if (!there) return CO_OK;
  return co_sql_appended(s->server.shown, s->base.options->table);
}

static co_status take_job(postgres_sink *s, char **cells, const co_sink_job *job, bool *begun) {
  char print[200];
  bool done = cells[3][0] == '1';
  co_sink_job_print(print, job);
  s->base.complete = done && strcmp(cells[0], print) == 0;
  int64_t rows = strtoll(cells[1], NULL, 10);
  if (done || !rows) return CO_OK; // if it was another, this is a new one
  CO_RETURN_IF_FAILED(co_sink_job_check(cells[0], job, s->server.shown));
  *begun = true;
  s->base.at.rows = rows;
  s->base.at.state = cells[2];
  cells[2] = NULL;
  return CO_OK;
}

static co_status find_job(postgres_sink *s, const co_sink_job *job, bool *begun) {
  co_text sql;
  char *cells[4] = {0};
  bool found = false;
  co_text_init(&sql, s->base.ctx);
  co_sql_add_jobs_table(&sql, &s->sql);
  co_status status = transact(s, &sql, "cannot write the database", NULL, false);
  sql.length = 0;
  co_sql_add_find_job(&sql, &s->sql);
  if (status == CO_OK) status = sql.status;
  if (status == CO_OK) status = query_row(s, sql.data, cells, 4, &found);
  if (status == CO_OK && found)
    status =
        s->base.options->resume ? take_job(s, cells, job, begun) : refuse_repeated(s, cells, job);
  free_cells(s, cells, 4);
  co_text_free(&sql);
  return status;
}

// Whether the part's rows will fit is known before there are any.
static co_status try_move(postgres_sink *s, co_text *sql) {
  bool there;
  CO_RETURN_IF_FAILED(check_table(s, &there));
  if (!there || s->sql.if_exists == CO_EXISTS_REPLACE) return CO_OK;
  co_text_printf(sql, "EXPLAIN ");
  co_sql_add_move(sql, &s->sql);
  CO_RETURN_IF_FAILED(sql->status);
  co_status status = execute(s, sql->data, "rows do not fit the table that is there");
  if (status != CO_OK && !s->server.passing) co_sql_hint_mismatch(s->sql.if_exists);
  return status;
}

static co_status begin_part(postgres_sink *s, co_text *sql, const co_sink_job *job) {
  bool begun = false;
  CO_RETURN_IF_FAILED(find_job(s, job, &begun));
  if (s->base.complete) return CO_OK;
  s->saved = begun;
  if (!begun) {
    co_text_printf(sql, "DROP TABLE IF EXISTS %s;", s->sql.part);
    co_sql_add_create(sql, &s->sql, s->sql.part);
    co_sql_add_begin_job(sql, &s->sql, job);
    CO_RETURN_IF_FAILED(transact(s, sql, "cannot make a table", NULL, false));
  }
  s->begun = true;
  sql->length = 0;
  CO_RETURN_IF_FAILED(try_move(s, sql));
  sql->length = 0;
  co_text_printf(sql, "COPY %s", s->sql.part);
  co_sql_add_columns(sql, &s->sql);
  co_text_printf(sql, " FROM STDIN");
  CO_RETURN_IF_FAILED(sql->status);
  s->copy = co_strdup(s->base.ctx, sql->data);
  return s->copy ? CO_OK : CO_ERR_MEMORY;
}

static co_status begin(co_sink *sink, const co_sink_job *job) {
  postgres_sink *s = (postgres_sink *)sink;
  s->sql.columns = sink->columns;
  CO_RETURN_IF_FAILED(co_sql_check_key(&s->sql));
  co_text sql;
  co_text_init(&sql, sink->ctx);
  co_status status = begin_part(s, &sql, job);
  co_text_free(&sql);
  return status;
}

static void add_text(co_text *out, const char *text) {
  static const char special[] = "\\\t\n\r", letter[] = "\\tnr";
  while (*text) {
    size_t run = strcspn(text, special);
    co_text_append(out, text, run);
    text += run;
    if (!*text) break;
    const char both[] = {'\\', letter[strchr(special, *text) - special]};
    co_text_append(out, both, 2);
    text++;
  }
}

static co_status row(co_sink *sink, const co_score_cell *cells) {
  postgres_sink *s = (postgres_sink *)sink;
  for (int64_t i = 0; i < sink->columns->count; i++) {
    if (i) co_text_append(&s->rows, "\t", 1);
    if (cells[i].text)
      add_text(&s->rows, cells[i].text);
    else
      co_score_add_cell(&s->rows, sink->columns->column[i].type, &cells[i], '\t');
  }
  co_text_append(&s->rows, "\n", 1);
  return s->rows.status;
}

static co_status save(co_sink *sink, const co_position *position) {
  postgres_sink *s = (postgres_sink *)sink;
  co_text sql;
  co_text_init(&sql, sink->ctx);
  co_sql_add_position(&sql, &s->sql, position, false);
  co_status status = transact(s, &sql, "cannot save rows", position, false);
  co_text_free(&sql);
  s->saved = s->saved || status == CO_OK;
  return status;
}

static co_status commit(co_sink *sink) {
  postgres_sink *s = (postgres_sink *)sink;
  const co_position at = {.rows = s->rows_done};
  bool there;
  co_text sql;
  s->server.passing = false;
  co_status status = check_table(s, &there);
  for (int i = 1; status == CO_ERR_IO && co_postgres_wait(&s->server, i, sink->options->stop);
       i++) {
    status = co_postgres_connect(&s->server, CO_ERR_IO);
    if (status == CO_OK) status = lock_table(s);
    if (status == CO_OK) status = check_table(s, &there);
  }
  CO_RETURN_IF_FAILED(status);
  co_text_init(&sql, sink->ctx);
  co_sql_add_publish(&sql, &s->sql, s->bare, there);
  co_sql_add_position(&sql, &s->sql, &at, true);
  status = transact(s, &sql, "cannot write the table", &at, true);
  co_text_free(&sql);
  s->begun = s->begun && status != CO_OK;
  return status;
}

static co_status finish(co_sink *sink, const co_position *position) {
  CO_RETURN_IF_FAILED(save(sink, position));
  ((postgres_sink *)sink)->rows_done = position->rows;
  return CO_OK;
}

// What is of no use to who goes on.
static void drop_part(postgres_sink *s) {
  co_text sql;
  co_error error;
  co_error_copy(&error);
  co_text_init(&sql, s->base.ctx);
  co_text_printf(&sql, "DROP TABLE IF EXISTS %s;DELETE FROM %s WHERE output = ", s->sql.part,
                 s->sql.jobs);
  co_sql_add_text(&sql, s->sql.name);
  if (sql.status == CO_OK)
    co_postgres_execute(&s->server, sql.data, NULL, CO_ERR_IO, "cannot write the database");
  co_text_free(&sql);
  if (error.status != CO_OK) co_error_raise(&error);
}

static void close_postgres(co_sink *sink) {
  postgres_sink *s = (postgres_sink *)sink;
  if (s->begun && (!s->saved || sink->discard)) drop_part(s);
  co_postgres_close(&s->server);
  co_text_free(&s->rows);
  co_free(sink->ctx, s->bare);
  co_free(sink->ctx, s->copy);
  co_sql_sink_free(&s->sql, sink->ctx);
  co_free(sink->ctx, s);
}

// ---- opening -----------------------------------------------------------------------------------

// "SCHEMA"."NAME" of a table; the part and the jobs are in the same schema.
static char *quote(const postgres_sink *s, const char *name) {
  const char *table = s->base.options->table, *dot = strchr(table, '.');
  co_text out;
  co_text_init(&out, s->base.ctx);
  char *whole = dot ? co_format(s->base.ctx, "%.*s.%s", (int)(dot - table), table, name)
                    : co_strdup(s->base.ctx, name);
  if (whole) co_postgres_add_table(&out, whole);
  char *quoted = whole && out.status == CO_OK ? co_strdup(s->base.ctx, out.data) : NULL;
  co_free(s->base.ctx, whole);
  co_text_free(&out);
  return quoted;
}

static co_status name_tables(postgres_sink *s) {
  co_context *ctx = s->base.ctx;
  const char *table = s->base.options->table, *dot = strchr(table, '.');
  const char *bare = dot ? dot + 1 : table;
  char part[32];
  co_text name;
  co_text_init(&name, ctx);
  co_sqlite_add_name(&name, bare);
  snprintf(part, sizeof part, "cohort_part_%08" PRIx32, co_crc32c(0, bare, strlen(bare)));
  s->bare = name.status == CO_OK ? co_strdup(ctx, name.data) : NULL;
  co_text_free(&name);
  s->sql.name = co_strdup(ctx, bare);
  s->sql.table = quote(s, bare);
  s->sql.part = quote(s, part);
  s->sql.jobs = quote(s, "cohort_jobs");
  s->sql.types = types;
  return s->bare && s->sql.name && s->sql.table && s->sql.part && s->sql.jobs ? CO_OK
                                                                              : CO_ERR_MEMORY;
}

static co_status open_server(postgres_sink *s) {
  const co_sink_options *o = s->base.options;
  bool there;
  CO_RETURN_IF_FAILED(co_sql_check_options(&s->sql.if_exists, o));
  CO_RETURN_IF_FAILED(name_tables(s));
  CO_RETURN_IF_FAILED(co_postgres_open(&s->server, s->base.ctx, o->output, CO_ERR_IO));
  CO_RETURN_IF_FAILED(lock_table(s));
  // With `resume` it may be that of the same job, which is complete.
  return o->resume ? find_table(s, &there) : check_table(s, &there);
}

co_status co_postgres_sink_open(co_sink **out, co_context *ctx, const co_sink_options *options) {
  static const co_sink_class class_ = {.begin = begin,
                                       .row = row,
                                       .save = save,
                                       .finish = finish,
                                       .commit = commit,
                                       .close = close_postgres};
  postgres_sink *s = co_alloc_zero(ctx, 1, sizeof *s);
  if (!s) return CO_ERR_MEMORY;
  s->base = (co_sink){.class_ = &class_, .ctx = ctx, .options = options};
  co_text_init(&s->rows, ctx);
  co_status status = open_server(s);
  if (status == CO_OK)
    *out = &s->base;
  else
    close_postgres(&s->base);
  return status;
}
