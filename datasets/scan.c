// SPDX-License-Identifier: Apache-2.0
#include "datasets/scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/core/diagnostics.h"
#include "host/core/hash.h"

enum { ROWS_BETWEEN_LOOKS = 4096 };

struct co_scan {
  co_context *ctx;
  co_arena *arena;
  const co_scan_options *options;
  co_csv *csv;
  int64_t file, rows;
  int64_t bytes_before, bytes; // of the files read to their end, and of all so far
  const char **names;          // the table's columns
  int64_t columns;
  int64_t *map; // the file's column for each of the table's; NULL = the same
  co_csv_field *fields;
  co_sha256 hash;
};

static co_status keep_names(co_scan *s) {
  s->columns = co_csv_column_count(s->csv);
  s->names = co_arena_alloc(s->arena, (size_t)s->columns, sizeof *s->names);
  s->fields = co_arena_alloc(s->arena, (size_t)s->columns, sizeof *s->fields);
  if (!s->names || !s->fields) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->columns; i++)
    if (!(s->names[i] = co_arena_strdup(s->arena, co_csv_column_name(s->csv, i))))
      return CO_ERR_MEMORY;
  return CO_OK;
}

static co_status match_names(co_scan *s) {
  const char *path = s->options->paths[s->file], *first = s->options->paths[0];
  int64_t count = co_csv_column_count(s->csv);
  if (!s->map) s->map = co_arena_alloc(s->arena, (size_t)s->columns, sizeof *s->map);
  if (!s->map) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->columns; i++)
    if ((s->map[i] = co_csv_find(s->csv, s->names[i])) < 0)
      return co_fail_at(CO_ERR_DATA, path, 0, 0, "there is no column '%.200s', which '%.200s' has",
                        s->names[i], first);
  for (int64_t i = 0; count != s->columns && i < count; i++) {
    const char *name = co_csv_column_name(s->csv, i);
    bool known = false;
    for (int64_t k = 0; k < s->columns; k++)
      known |= s->map[k] == i;
    if (!known)
      return co_fail_at(CO_ERR_DATA, path, 0, 0, "'%.200s' has no column '%.200s', which is here",
                        first, name);
  }
  return CO_OK;
}

static co_status open_file(co_scan *s) {
  co_csv_options csv = s->options->csv;
  if (s->options->skip_lines) csv.skip_lines = s->options->skip_lines[s->file];
  const char *path = s->options->paths[s->file];
  CO_RETURN_IF_FAILED(co_csv_open(&s->csv, s->ctx, path, &csv));
  if (co_csv_size(s->csv) < 0) {
    co_status status = co_fail_at(CO_ERR_DATA, path, 0, 0, "not a regular file");
    co_hint("it is read more than once; store it in a file first");
    return status;
  }
  s->bytes = s->bytes_before + co_csv_size(s->csv);
  return s->file ? match_names(s) : keep_names(s);
}

co_status co_scan_open(co_scan **out, co_context *ctx, const co_scan_options *options) {
  co_scan *s = *out = co_alloc_zero(ctx, 1, sizeof *s);
  if (!s) return CO_ERR_MEMORY;
  s->ctx = ctx;
  s->options = options;
  co_sha256_init(&s->hash);
  co_status status = co_arena_create(&s->arena, ctx);
  if (status == CO_OK) status = open_file(s);
  if (status == CO_OK) return CO_OK;
  co_scan_close(s);
  *out = NULL;
  return status;
}

void co_scan_close(co_scan *s) {
  if (!s) return;
  co_csv_close(s->csv);
  co_arena_free(s->arena);
  co_free(s->ctx, s);
}

const co_csv *co_scan_csv(const co_scan *s) {
  return s->csv;
}

int64_t co_scan_file(const co_scan *s) {
  return s->file;
}

int64_t co_scan_rows(const co_scan *s) {
  return s->rows;
}

static co_status end_file(co_scan *s, bool *last) {
  char hex[65];
  co_csv_digest(s->csv, hex);
  co_sha256_update(&s->hash, hex, 64);
  *last = s->file + 1 == s->options->path_count;
  if (*last) return CO_OK;
  s->bytes_before += co_csv_size(s->csv);
  co_csv_close(s->csv);
  s->csv = NULL;
  s->file++;
  return open_file(s);
}

static co_status look_up(co_scan *s) {
  const co_scan_options *o = s->options;
  if (o->progress)
    o->progress(o->progress_user, o->stage, s->bytes_before + co_csv_position(s->csv),
                o->path_count == 1 ? s->bytes : 0);
  if (!o->stop || !*o->stop) return CO_OK;
  return co_fail(CO_INTERRUPTED, "stopped; no output was written");
}

co_status co_scan_next(co_scan *s, const co_csv_field **fields) {
  const co_csv_field *row = NULL;
  *fields = NULL;
  for (bool last = false; !row;) {
    CO_RETURN_IF_FAILED(co_csv_next(s->csv, &row));
    if (row) break;
    CO_RETURN_IF_FAILED(end_file(s, &last));
    if (last) return CO_OK;
  }
  if (s->rows++ % ROWS_BETWEEN_LOOKS == 0) CO_RETURN_IF_FAILED(look_up(s));
  for (int64_t i = 0; s->map && i < s->columns; i++)
    s->fields[i] = row[s->map[i]];
  *fields = s->map ? s->fields : row;
  return CO_OK;
}

void co_scan_digest(co_scan *s, char hex[65]) {
  co_sha256 hash = s->hash;
  co_sha256_final(&hash, hex);
}

co_status co_scan_wrong(const co_scan *s, int64_t column, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return co_csv_wrong(s->csv, column >= 0 && s->map ? s->map[column] : column, "%s", text);
}
