// SPDX-License-Identifier: Apache-2.0
// JSON lines: an object a line (RFC 8259), whose keys are the columns, in the order in which they
// occur first; a key that a row lacks is missing there. Read by jansson, which refuses equal keys,
// NUL and text that is not UTF-8, and bounds the depth.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "datasets/text_rows.h"

typedef struct json_lines {
  co_text_rows text; // first
  bool collecting;   // columns
  const char **names;
  int64_t count, capacity;
} json_lines;

static const unsigned char *find_line_end(const unsigned char *from, const unsigned char *end) {
  const unsigned char *found = from < end ? memchr(from, '\n', (size_t)(end - from)) : NULL;
  return found ? found : end;
}

// The column of a key, which is likely to stand where it stood before.
static int64_t find_column(const json_lines *j, const char *key, int64_t likely) {
  const char *const *names = j->collecting ? j->names : j->text.base.names;
  int64_t count = j->collecting ? j->count : j->text.base.column_count;
  if (likely < count && strcmp(names[likely], key) == 0) return likely;
  for (int64_t i = 0; i < count; i++)
    if (strcmp(names[i], key) == 0) return i;
  return -1;
}

static co_status collect(json_lines *j, const char *key, int64_t likely) {
  if (find_column(j, key, likely) >= 0) return CO_OK;
  if (j->count == CO_ROWS_MAX_COLUMNS)
    return co_fail_at(CO_ERR_DATA, j->text.base.shown, 0, 0, "more than %d keys",
                      (int)CO_ROWS_MAX_COLUMNS);
  CO_RETURN_IF_FAILED(
      co_grow(j->text.base.ctx, (void **)&j->names, &j->capacity, j->count, sizeof *j->names));
  j->names[j->count] = co_arena_strdup(j->text.base.arena, key);
  return j->names[j->count++] ? CO_OK : CO_ERR_MEMORY;
}

// What a value says in a cell; false if it has parts.
static bool write_value(co_text_piece *p, const json_t *value, co_cell *out) {
  char number[40];
  switch (json_typeof(value)) {
  case JSON_STRING:
    *out = (co_cell){json_string_value(value), json_string_length(value)};
    break;
  case JSON_INTEGER:
    snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    *out = (co_cell){number, strlen(number)};
    break;
  case JSON_REAL:
    snprintf(number, sizeof number, "%.17g", json_real_value(value));
    *out = (co_cell){number, strlen(number)};
    break;
  case JSON_TRUE:
    *out = (co_cell){"true", 4};
    return true;
  case JSON_FALSE:
    *out = (co_cell){"false", 5};
    return true;
  case JSON_NULL:
    *out = (co_cell){"", 0};
    return true;
  default:
    return false;
  }
  out->text = co_arena_strndup(p->arena, out->text, out->length);
  if (!out->text) p->status = CO_ERR_MEMORY;
  return true;
}

typedef struct line {
  co_text_piece *piece;
  const unsigned char *begin, *end;
  int64_t number;
} line;

static void reject(const line *l, int64_t column, const char *reason, const char *hint) {
  co_text_piece_reject(l->piece, l->begin, l->end, l->number, column, reason, hint);
}

static void take_object(json_lines *j, const line *l, json_t *object) {
  co_text_piece *p = l->piece;
  int64_t columns = j->text.base.column_count, first = p->cell_count, at = 0;
  const char *key;
  json_t *value;
  for (int64_t i = 0; !j->collecting && i < columns; i++)
    co_text_piece_add(p, "", 0);
  json_object_foreach(object, key, value) {
    char reason[300];
    if (p->status != CO_OK) return;
    if (j->collecting) {
      p->status = collect(j, key, at++);
      continue;
    }
    int64_t column = find_column(j, key, at++);
    if (column < 0) {
      snprintf(reason, sizeof reason, "the key '%.200s' is not among the columns", key);
      reject(l, -1, reason, "give the files in another order, or rows without the key");
      return;
    }
    if (!write_value(p, value, &p->cells[first + column])) {
      reject(l, column, json_is_array(value) ? "a list in a cell" : "an object in a cell",
             "cells are texts, numbers, true, false or null; `jq -c` can take the value apart, or "
             "out: del(.NAME)");
      return;
    }
  }
  co_text_piece_end_row(p, l->begin, l->end, l->number);
}

static void take_line(json_lines *j, const line *l) {
  char reason[256];
  json_error_t error;
  const char *text = (const char *)l->begin;
  size_t length = (size_t)(l->end - l->begin);
  if (length > CO_ROWS_MAX_ROW) {
    reject(l, -1, "a line of more than 64 MiB", NULL);
    return;
  }
  json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
  if (!object) {
    snprintf(reason, sizeof reason, "no JSON: %.160s, at byte %d of the line", error.text,
             error.position);
    reject(l, -1, reason, "each line holds one object, as {\"customer\": \"C-1\", \"spend\": 2.5}");
  } else if (!json_is_object(object)) {
    reject(l, -1, "the line holds no object",
           "each line holds one, as {\"customer\": \"C-1\", \"spend\": 2.5}");
  } else {
    take_object(j, l, object);
  }
  json_decref(object);
}

static bool is_blank(const unsigned char *at, const unsigned char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
    at++;
  return at == end;
}

static void parse(co_text_piece *p) {
  json_lines *j = (json_lines *)p->rows;
  while (p->rest < p->stop && p->rows_seen < p->most && p->status == CO_OK) {
    const unsigned char *end = find_line_end(p->rest, p->end);
    if (end == p->end && !p->last && end - p->rest <= CO_ROWS_MAX_ROW) return;
    const line l = {p, p->rest, end > p->rest && end[-1] == '\r' ? end - 1 : end, p->lines + 1};
    if (!is_blank(l.begin, l.end)) take_line(j, &l);
    p->rest = end < p->end ? end + 1 : end;
    p->lines += end < p->end;
  }
}

// All keys of all rows.
static co_status collect_names(json_lines *j) {
  co_text_rows *t = &j->text;
  co_text_piece *p;
  j->collecting = true;
  do {
    CO_RETURN_IF_FAILED(co_text_rows_take(t, INT64_MAX, &p));
  } while (p->rows_seen);
  j->collecting = false;
  if (!j->count) return co_fail_at(CO_ERR_DATA, t->base.shown, 0, 0, "there is no row with a key");
  co_cell *names = co_arena_alloc(t->base.arena, (size_t)j->count, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < j->count; i++)
    names[i] = (co_cell){j->names[i], strlen(j->names[i])};
  CO_RETURN_IF_FAILED(co_text_rows_rewind(t));
  return co_rows_take_names(&t->base, names, j->count);
}

static co_status open_json(json_lines *j, const char *path, const co_rows_options *options) {
  co_text_rows *t = &j->text;
  CO_RETURN_IF_FAILED(co_text_rows_open(t, path, options));
  if (options->header)
    return co_fail_at(CO_ERR_USAGE, t->base.shown, 0, 0,
                      "JSON lines have names of their own: leave --header out");
  if (!options->keys) return collect_names(j);
  t->base.names = options->keys;
  t->base.column_count = options->key_count;
  return CO_OK;
}

const char *co_jansson_version(void) {
  return JANSSON_VERSION;
}

static void close_json(co_rows *rows) {
  json_lines *j = (json_lines *)rows;
  co_free(rows->ctx, j->names);
  co_text_rows_close(&j->text);
  co_free(rows->ctx, rows);
}

co_status co_json_lines_open(co_rows **out, co_context *ctx, const char *path,
                             const co_rows_options *options) {
  static const co_rows_class class_ = {.name = "JSON lines",
                                       .next = co_text_rows_next,
                                       .each = co_text_rows_each,
                                       .digest = co_text_rows_digest,
                                       .close = close_json};
  json_lines *j = co_alloc_zero(ctx, 1, sizeof *j);
  *out = NULL;
  if (!j) return CO_ERR_MEMORY;
  j->text.base.class_ = &class_;
  j->text.base.ctx = ctx;
  j->text.parse = parse;
  co_status status = open_json(j, path, options);
  if (status == CO_OK)
    *out = &j->text.base;
  else
    close_json(&j->text.base);
  return status;
}
