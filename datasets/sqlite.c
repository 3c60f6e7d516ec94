// SPDX-License-Identifier: Apache-2.0
// Rows of a table or a query of an SQLite database, which is only read.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datasets/rows.h"
#include "datasets/sqlite_api.h"
#include "host/core/hash.h"
#include "host/core/utf8.h"

enum { BLOCK_ROWS = 4096, BLOCK_BYTES = 4 << 20 };

typedef struct sqlite_rows {
  co_rows base; // first
  co_sqlite_api api;
  void *database, *statement;
  bool unhashed, finished;
  int64_t row;
  co_sha256 hash; // of the query and what it gave
  co_arena *texts;
  co_cell *cells; // of a block
  int64_t cell_count, cell_capacity;
  co_row_place places[BLOCK_ROWS];
  co_bad_row bad[BLOCK_ROWS];
  co_row_part part;
} sqlite_rows;

static co_status failed(const sqlite_rows *s, const char *doing) {
  return co_fail_at(CO_ERR_DATA, s->base.shown, 0, 0, "%s: %s", doing,
                    s->database ? s->api.errmsg(s->database) : "out of memory");
}

// ---- opening -----------------------------------------------------------------------------------

static co_status write_query(co_text *out, const char *table) {
  co_text_printf(out, "SELECT * FROM ");
  co_sqlite_add_name(out, table);
  return out->status;
}

static co_status prepare(sqlite_rows *s, const char *query) {
  const char *rest = NULL;
  if (s->api.prepare_v2(s->database, query, -1, &s->statement, &rest) != CO_SQL_OK)
    return failed(s, "the query cannot be used");
  while (rest && *rest && strchr(" \t\r\n;", *rest))
    rest++;
  if (!s->statement || (rest && *rest) || !s->api.stmt_readonly(s->statement) ||
      s->api.column_count(s->statement) < 1)
    return co_fail_at(CO_ERR_USAGE, s->base.shown, 0, 0,
                      "the query must be one statement that reads rows");
  co_sha256_update(&s->hash, query, strlen(query) + 1);
  return CO_OK;
}

static co_status check_options(const char *path, const co_rows_options *o) {
  if (!o->table != !o->query) return CO_OK;
  co_status status = co_fail_at(CO_ERR_USAGE, path, 0, 0, "a database needs %s",
                                o->table ? "--source-table or --query, not both"
                                         : "--source-table TABLE or --query SQL");
  co_hint("--source-table customers, or --query 'SELECT * FROM customers WHERE country = 1'");
  return status;
}

static co_status take_columns(sqlite_rows *s) {
  int count = s->api.column_count(s->statement);
  co_cell *names = co_arena_alloc(s->base.arena, (size_t)count, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int i = 0; i < count; i++) {
    const char *name = s->api.column_name(s->statement, i);
    if (!name) return CO_ERR_MEMORY;
    names[i] = (co_cell){name, strlen(name)};
  }
  return co_rows_take_names(&s->base, names, count);
}

// What a killed writer left half-done is rolled back by whoever opens the database to write; one that
// is opened to be read only cannot be read then.
static co_status open_database(sqlite_rows *s, const char *path) {
  static const char any[] = "SELECT 1 FROM sqlite_master LIMIT 1";
  int code = s->api.open_v2(path, &s->database, CO_SQL_OPEN_READONLY, NULL);
  if (code == CO_SQL_OK &&
      s->api.exec(s->database, any, NULL, NULL, NULL) == CO_SQL_READONLY_DATABASE) {
    s->api.close(s->database);
    s->database = NULL;
    code = s->api.open_v2(path, &s->database, CO_SQL_OPEN_READWRITE, NULL);
  }
  return code == CO_SQL_OK ? CO_OK : failed(s, "cannot open the database");
}

static co_status open_sqlite(sqlite_rows *s, const char *path, const co_rows_options *o) {
  co_text query;
  s->base.path = path;
  s->base.shown = o->shown ? o->shown : path;
  s->base.position = s->base.size = -1;
  s->unhashed = o->unhashed;
  co_sha256_init(&s->hash);
  CO_RETURN_IF_FAILED(check_options(s->base.shown, o));
  CO_RETURN_IF_FAILED(co_arena_create(&s->base.arena, s->base.ctx));
  CO_RETURN_IF_FAILED(co_sqlite_load(&s->api));
  CO_RETURN_IF_FAILED(open_database(s, co_rows_file(path)));
  co_text_init(&query, s->base.ctx);
  co_status status = o->table ? write_query(&query, o->table) : CO_OK;
  if (status == CO_OK) status = prepare(s, o->table ? query.data : o->query);
  co_text_free(&query);
  return status == CO_OK ? take_columns(s) : status;
}

// ---- rows --------------------------------------------------------------------------------------

// NULL is missing; numbers are written so that all of their digits come back.
static co_status take_cell(sqlite_rows *s, int column, co_cell *out, const char **wrong) {
  char number[40];
  int type = s->api.column_type(s->statement, column);
  *out = (co_cell){"", 0};
  if (type == CO_SQL_FLOAT) {
    snprintf(number, sizeof number, "%.17g", s->api.column_double(s->statement, column));
    *out = (co_cell){number, strlen(number)};
  } else if (type == CO_SQL_INTEGER || type == CO_SQL_TEXT) {
    const char *text = (const char *)s->api.column_text(s->statement, column);
    if (!text) return CO_ERR_MEMORY;
    *out = (co_cell){text, (size_t)s->api.column_bytes(s->statement, column)};
    if (strlen(text) != out->length)
      *wrong = "a NUL byte";
    else if (out->length > CO_ROWS_MAX_CELL)
      *wrong = "a cell of more than 10 MiB";
    else if (co_utf8_find_bad(text) >= 0)
      *wrong = "the text is not UTF-8";
  } else if (type == CO_SQL_BLOB) {
    *wrong = "a blob, which is no cell";
  }
  if (!s->unhashed) {
    co_sha256_update(&s->hash, (const char[]){(char)type}, 1);
    co_sha256_update(&s->hash, out->text, out->length);
    co_sha256_update(&s->hash, "", 1);
  }
  if (*wrong) return CO_OK;
  out->text = co_arena_strndup(s->texts, out->text, out->length);
  return out->text ? CO_OK : CO_ERR_MEMORY;
}

static co_status take_row(sqlite_rows *s, size_t *bytes) {
  int64_t first = s->cell_count;
  const co_row_place place = {.row = ++s->row};
  for (int64_t i = 0; i < s->base.column_count; i++) {
    const char *wrong = NULL;
    CO_RETURN_IF_FAILED(co_grow(s->base.ctx, (void **)&s->cells, &s->cell_capacity, s->cell_count,
                                sizeof *s->cells));
    CO_RETURN_IF_FAILED(take_cell(s, (int)i, &s->cells[s->cell_count], &wrong));
    if (wrong) {
      s->bad[s->part.bad_count++] = (co_bad_row){place, i, wrong, "leave it out by --query"};
      s->cell_count = first;
      return CO_OK;
    }
    *bytes += s->cells[s->cell_count++].length;
  }
  s->places[s->part.count++] = place;
  return CO_OK;
}

static co_status next(co_rows *rows, co_row_block *block) {
  sqlite_rows *s = (sqlite_rows *)rows;
  size_t bytes = 0;
  co_arena_free(s->texts);
  s->texts = NULL;
  CO_RETURN_IF_FAILED(co_arena_create(&s->texts, rows->ctx));
  s->cell_count = 0;
  s->part = (co_row_part){.places = s->places, .bad = s->bad};
  while (!s->finished && s->part.count + s->part.bad_count < BLOCK_ROWS && bytes < BLOCK_BYTES) {
    int result = s->api.step(s->statement);
    if (result == CO_SQL_DONE)
      s->finished = true;
    else if (result != CO_SQL_ROW)
      return failed(s, "cannot read the database");
    else
      CO_RETURN_IF_FAILED(take_row(s, &bytes));
  }
  co_alive(rows->ctx, CO_PATIENCE);
  s->part.cells = s->cells;
  block->parts = &s->part;
  block->part_count = s->part.count + s->part.bad_count > 0;
  return CO_OK;
}

static void digest(co_rows *rows, char hex[65]) {
  co_sha256 hash = ((sqlite_rows *)rows)->hash;
  co_sha256_final(&hash, hex);
}

static void close_sqlite(co_rows *rows) {
  sqlite_rows *s = (sqlite_rows *)rows;
  if (s->statement) s->api.finalize(s->statement);
  if (s->database) s->api.close(s->database);
  co_sqlite_unload(&s->api);
  co_arena_free(s->texts);
  co_free(rows->ctx, s->cells);
  co_arena_free(rows->arena);
  co_free(rows->ctx, s);
}

co_status co_sqlite_open(co_rows **out, co_context *ctx, const char *path,
                         const co_rows_options *options) {
  static const co_rows_class class_ = {
      .name = "SQLite", .next = next, .digest = digest, .close = close_sqlite};
  sqlite_rows *s = co_alloc_zero(ctx, 1, sizeof *s);
  *out = NULL;
  if (!s) return CO_ERR_MEMORY;
  s->base.class_ = &class_;
  s->base.ctx = ctx;
  co_status status = open_sqlite(s, path, options);
  if (status == CO_OK)
    *out = &s->base;
  else
    close_sqlite(&s->base);
  return status;
}
