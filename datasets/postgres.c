// SPDX-License-Identifier: Apache-2.0
#include "datasets/postgres.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "datasets/sqlite_api.h"
#include "host/core/library.h"
#include "host/core/temporary.h"

#define LIBRARY "libpq.so.5"

enum { TRIES = 5, FIRST_WAIT = 500, FETCH_ROWS = 4096 }; // milliseconds

// ---- the library -------------------------------------------------------------------------------

static co_status load(co_postgres_api *a) {
  void *l = a->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (l && co_library_find(l, "PQconnectdbParams", &a->connectdb_params) &&
      co_library_find(l, "PQstatus", &a->status) &&
      co_library_find(l, "PQerrorMessage", &a->error_message) &&
      co_library_find(l, "PQfinish", &a->finish) && co_library_find(l, "PQexec", &a->exec) &&
      co_library_find(l, "PQgetResult", &a->get_result) &&
      co_library_find(l, "PQresultStatus", &a->result_status) &&
      co_library_find(l, "PQresultErrorField", &a->result_error_field) &&
      co_library_find(l, "PQclear", &a->clear) && co_library_find(l, "PQntuples", &a->ntuples) &&
      co_library_find(l, "PQnfields", &a->nfields) && co_library_find(l, "PQfname", &a->fname) &&
      co_library_find(l, "PQgetvalue", &a->getvalue) &&
      co_library_find(l, "PQgetlength", &a->getlength) &&
      co_library_find(l, "PQgetisnull", &a->getisnull) &&
      co_library_find(l, "PQputCopyData", &a->put_copy_data) &&
      co_library_find(l, "PQputCopyEnd", &a->put_copy_end) &&
      co_library_find(l, "PQsetNoticeProcessor", &a->set_notice_processor))
    return CO_OK;
  co_status status = co_fail(CO_ERR_DEVICE, "%s cannot be used: %s", LIBRARY, dlerror());
  co_hint("PostgreSQL is read and written by it: apt install libpq5");
  return status;
}

void co_postgres_version(char out[64]) {
  int (*version)(void) = NULL;
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library && co_library_find(library, "PQlibVersion", &version))
    snprintf(out, 64, "%d.%d", version() / 10000, version() % 10000);
  else
    snprintf(out, 64, "missing (apt install libpq5)");
  if (library) dlclose(library);
}

bool co_postgres_is_url(const char *path) {
  return strncmp(path, "postgresql://", 13) == 0 || strncmp(path, "postgres://", 11) == 0;
}

char *co_postgres_shown(co_context *ctx, const char *url) {
  const char *host = strstr(url, "://") + 3;
  size_t end = strcspn(host, "?"), user = 0;
  const char *at = NULL;
  for (size_t i = 0; i < end && host[i] != '/'; i++)
    if (host[i] == '@') at = host + i;
  if (at) user = strcspn(host, ":@");
  if (!at) return co_format(ctx, "postgresql://%.*s", (int)end, host);
  return co_format(ctx, "postgresql://%.*s%.*s", (int)user, host, (int)(end - (size_t)(at - host)),
                   at);
}

// ---- connections -------------------------------------------------------------------------------

// In one line.
static void shorten(char out[400], const char *message) {
  size_t length = 0;
  for (; *message && length < 398; message++)
    out[length++] = *message == '\n' || *message == '\t' ? ' ' : *message;
  while (length && out[length - 1] == ' ')
    length--;
  out[length] = 0;
}

// Connections that broke, a server that goes down or comes up, a conflict of transactions.
static bool will_pass(const char *state) {
  static const char *const states[] = {"08", "57P01", "57P02", "57P03", "40001", "40P01", "53300"};
  for (size_t i = 0; state && i < sizeof states / sizeof *states; i++)
    if (strncmp(state, states[i], strlen(states[i])) == 0) return true;
  return false;
}

co_status co_postgres_failed(co_postgres *p, const void *result, co_status failure,
                             const char *doing) {
  char message[400] = "out of memory";
  const char *state = result ? p->api.result_error_field(result, CO_PQ_SQLSTATE) : NULL;
  if (p->connection) shorten(message, p->api.error_message(p->connection));
  p->passing = !p->connection || p->api.status(p->connection) != CO_PQ_OK || will_pass(state);
  return co_fail_at(failure, p->shown, 0, 0, "%s: %s", doing, message);
}

static void ignore(void *user, const char *message) {
  (void)user;
  (void)message;
}

co_status co_postgres_connect(co_postgres *p, co_status failure) {
  // What stands behind the URL counts more than it, what stands before it less.
  static const char *const keys[] = {"connect_timeout", "tcp_user_timeout", "application_name",
                                     "dbname",          "client_encoding",  NULL};
  const char *const values[] = {"10", "60000", "cohort", p->url, "UTF8", NULL};
  if (p->connection) p->api.finish(p->connection);
  co_alive(p->ctx, CO_PATIENCE_DISK);
  p->connection = p->api.connectdb_params(keys, values, 1);
  co_alive(p->ctx, CO_PATIENCE);
  if (!p->connection || p->api.status(p->connection) != CO_PQ_OK)
    return co_postgres_failed(p, NULL, failure, "cannot connect");
  p->api.set_notice_processor(p->connection, ignore, NULL);
  return CO_OK;
}

co_status co_postgres_open(co_postgres *p, co_context *ctx, const char *url, co_status failure) {
  *p = (co_postgres){.ctx = ctx, .url = url, .shown = co_postgres_shown(ctx, url)};
  if (!p->shown) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(load(&p->api));
  return co_postgres_connect(p, failure);
}

void co_postgres_close(co_postgres *p) {
  if (p->connection) p->api.finish(p->connection);
  if (p->api.library) dlclose(p->api.library);
  if (p->ctx) co_free(p->ctx, p->shown);
  *p = (co_postgres){0};
}

bool co_postgres_wait(const co_postgres *p, int attempt, const volatile int *stop) {
  const struct timespec step = {.tv_nsec = 50000000};
  if (!p->passing || attempt > TRIES) return false;
  co_log(p->ctx, CO_LOG_WARN, "postgres", "%s; try %d of %d follows", co_error_last()->message,
         attempt, TRIES);
  for (int64_t left = (int64_t)FIRST_WAIT << (attempt - 1); left > 0; left -= 50) {
    if (stop && *stop) return false;
    nanosleep(&step, NULL);
    co_alive(p->ctx, CO_PATIENCE);
  }
  return true;
}

co_status co_postgres_execute(co_postgres *p, const char *sql, void **result, co_status failure,
                              const char *doing) {
  co_alive(p->ctx, CO_PATIENCE_DISK);
  void *got = p->connection ? p->api.exec(p->connection, sql) : NULL;
  co_alive(p->ctx, CO_PATIENCE);
  int code = got ? p->api.result_status(got) : -1;
  co_status status = code == CO_PQ_COMMAND_OK || code == CO_PQ_TUPLES_OK || code == CO_PQ_COPY_IN
                         ? CO_OK
                         : co_postgres_failed(p, got, failure, doing);
  if (status == CO_OK && result)
    *result = got;
  else if (got)
    p->api.clear(got);
  return status;
}

// ---- reading -----------------------------------------------------------------------------------

static co_status write_cell(co_writer *w, const char *text, size_t length) {
  CO_RETURN_IF_FAILED(co_writer_write(w, "\"", 1));
  while (length) {
    const char *quote = memchr(text, '"', length);
    size_t run = quote ? (size_t)(quote - text) + 1 : length;
    CO_RETURN_IF_FAILED(co_writer_write(w, text, run));
    if (quote) CO_RETURN_IF_FAILED(co_writer_write(w, "\"", 1));
    text += run;
    length -= run;
  }
  return co_writer_write(w, "\"", 1);
}

static co_status write_rows(const co_postgres *p, co_writer *w, const void *result) {
  const co_postgres_api *a = &p->api;
  for (int row = 0; row < a->ntuples(result); row++)
    for (int i = 0; i < a->nfields(result); i++) {
      bool last = i + 1 == a->nfields(result);
      if (!a->getisnull(result, row, i))
        CO_RETURN_IF_FAILED(
            write_cell(w, a->getvalue(result, row, i), (size_t)a->getlength(result, row, i)));
      CO_RETURN_IF_FAILED(co_writer_write(w, last ? "\n" : ",", 1));
    }
  return CO_OK;
}

static co_status write_names(const co_postgres *p, co_writer *w, const void *result) {
  int count = p->api.nfields(result);
  for (int i = 0; i < count; i++) {
    const char *name = p->api.fname(result, i);
    CO_RETURN_IF_FAILED(write_cell(w, name, strlen(name)));
    CO_RETURN_IF_FAILED(co_writer_write(w, i + 1 == count ? "\n" : ",", 1));
  }
  return CO_OK;
}

static co_status fetch_all(co_postgres *p, co_writer *w, const volatile int *stop) {
  char fetch[64];
  snprintf(fetch, sizeof fetch, "FETCH FORWARD %d FROM cohort_rows", FETCH_ROWS);
  for (bool first = true, more = true; more; first = false) {
    void *result = NULL;
    if (stop && *stop) return co_fail(CO_INTERRUPTED, "stopped; no output was written");
    CO_RETURN_IF_FAILED(
        co_postgres_execute(p, fetch, &result, CO_ERR_DATA, "cannot read the rows"));
    co_status status = first ? write_names(p, w, result) : CO_OK;
    if (status == CO_OK) status = write_rows(p, w, result);
    more = p->api.ntuples(result) > 0;
    p->api.clear(result);
    CO_RETURN_IF_FAILED(status);
  }
  return CO_OK;
}

static co_status read_all(co_postgres *p, const char *declare, const char *path,
                          const volatile int *stop) {
  co_writer *w;
  CO_RETURN_IF_FAILED(co_postgres_execute(
      p, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL datestyle = ISO",
      NULL, CO_ERR_DATA, "cannot read the rows"));
  CO_RETURN_IF_FAILED(
      co_postgres_execute(p, declare, NULL, CO_ERR_DATA, "the query cannot be run"));
  CO_RETURN_IF_FAILED(co_writer_open(&w, p->ctx, path, false));
  co_status status = fetch_all(p, w, stop);
  co_status closed = co_writer_close(w);
  return status == CO_OK ? closed : status;
}

void co_postgres_add_table(co_text *sql, const char *table) {
  const char *dot = strchr(table, '.');
  if (dot) {
    char schema[128] = "";
    snprintf(schema, sizeof schema, "%.*s", (int)(dot - table), table);
    co_sqlite_add_name(sql, schema);
    co_text_printf(sql, ".");
  }
  co_sqlite_add_name(sql, dot ? dot + 1 : table);
}

static co_status check(const co_postgres_read *r) {
  if (!r->table == !r->query) {
    co_status status = co_fail(CO_ERR_USAGE, "a database as source needs %s",
                               r->table ? "--source-table or --query, not both"
                                        : "--source-table TABLE or --query SQL");
    co_hint("--query 'SELECT * FROM customers'");
    return status;
  }
  return CO_OK;
}

static co_status read_retrying(co_postgres *p, const co_postgres_read *r, const char *path) {
  co_text declare;
  co_text_init(&declare, p->ctx);
  co_text_printf(&declare, "DECLARE cohort_rows NO SCROLL CURSOR FOR %s",
                 r->query ? r->query : "SELECT * FROM ");
  if (r->table) co_postgres_add_table(&declare, r->table);
  co_status status = declare.status;
  if (status == CO_OK) status = read_all(p, declare.data, path, r->stop);
  for (int attempt = 1; status == CO_ERR_DATA && co_postgres_wait(p, attempt, r->stop); attempt++) {
    status = co_postgres_connect(p, CO_ERR_DATA);
    if (status == CO_OK) status = read_all(p, declare.data, path, r->stop);
  }
  co_text_free(&declare);
  return status;
}

co_status co_postgres_spool(co_atomic_file *out, co_context *ctx, const co_postgres_read *r) {
  co_postgres p = {0};
  CO_RETURN_IF_FAILED(check(r));
  char *name = co_format(ctx, "%s/cohort.input", r->folder);
  if (!name) return CO_ERR_MEMORY;
  co_remove_stale_temporaries(ctx, name);
  co_status status = co_atomic_begin(out, ctx, name);
  co_free(ctx, name);
  CO_RETURN_IF_FAILED(status);
  status = co_postgres_open(&p, ctx, r->url, CO_ERR_DATA);
  if (status == CO_OK) status = read_retrying(&p, r, out->temporary);
  co_postgres_close(&p);
  if (status != CO_OK) co_atomic_abort(out);
  return status;
}
