// SPDX-License-Identifier: Apache-2.0
#include "datasets/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datasets/text_input.h"

// ---- formats -----------------------------------------------------------------------------------

static const char database_prefix[] = "sqlite:";

const char *co_rows_file(const char *path) {
  size_t length = sizeof database_prefix - 1;
  return strncmp(path, database_prefix, length) == 0 ? path + length : path;
}

static bool begins_as_database(const char *path) {
  static const char magic[16] = "SQLite format 3";
  char begin[sizeof magic];
  FILE *file = fopen(path, "rbe");
  if (!file) return false; // whoever opens it says why
  size_t got = fread(begin, 1, sizeof begin, file);
  fclose(file);
  return got == sizeof magic && memcmp(begin, magic, sizeof magic) == 0;
}

bool co_rows_is_database(const char *path) {
  return co_rows_file(path) != path || begins_as_database(path);
}

// Whether the text's first character, blanks aside, opens an object.
static co_status begins_as_json(co_context *ctx, const char *path, const char *encoding,
                                bool *out) {
  co_text_input *input;
  unsigned char begin[256];
  size_t got, at = 0;
  bool ended;
  CO_RETURN_IF_FAILED(co_text_input_open(&input, ctx, path, encoding, false));
  co_status status = co_text_input_read(input, begin, sizeof begin, &got, &ended);
  co_text_input_close(input);
  if (status == CO_OK && got >= 3 && memcmp(begin, "\xEF\xBB\xBF", 3) == 0) at = 3;
  while (status == CO_OK && at < got && strchr(" \t\r\n", begin[at]) && begin[at])
    at++;
  *out = status == CO_OK && at < got && begin[at] == '{';
  return status;
}

static co_status refuse_query(const co_rows_options *options) {
  if ((!options->table && !options->query) || options->queried) return CO_OK;
  co_status status =
      co_fail(CO_ERR_USAGE, "%s is for a database", options->table ? "--source-table" : "--query");
  co_hint("a database is sqlite:FILE, or postgresql://HOST/DATABASE");
  return status;
}

co_status co_rows_open(co_rows **out, co_context *ctx, const char *path,
                       const co_rows_options *options) {
  static const co_rows_options none;
  bool json = false;
  if (!options) options = &none;
  *out = NULL;
  if (options->queried) return co_csv_open(out, ctx, path, options);
  if (co_rows_is_database(path)) return co_sqlite_open(out, ctx, path, options);
  CO_RETURN_IF_FAILED(refuse_query(options));
  CO_RETURN_IF_FAILED(begins_as_json(ctx, path, options->encoding, &json));
  return json ? co_json_lines_open(out, ctx, path, options) : co_csv_open(out, ctx, path, options);
}

void co_rows_close(co_rows *rows) {
  if (rows) rows->class_->close(rows);
}

co_status co_rows_next(co_rows *rows, co_row_block *block) {
  *block = (co_row_block){0};
  return rows->class_->next(rows, block);
}

void co_rows_digest(co_rows *rows, char hex[65]) {
  rows->class_->digest(rows, hex);
}

co_status co_rows_hash(co_context *ctx, const char *path, const co_rows_options *options,
                       char hex[65]) {
  co_rows *rows;
  co_row_block block;
  if (!co_rows_is_database(path)) return co_source_hash_file(ctx, path, hex);
  CO_RETURN_IF_FAILED(co_rows_open(&rows, ctx, path, options));
  co_status status;
  do
    status = co_rows_next(rows, &block);
  while (status == CO_OK && block.part_count);
  if (status == CO_OK) co_rows_digest(rows, hex);
  co_rows_close(rows);
  return status;
}

// ---- columns -----------------------------------------------------------------------------------

int64_t co_rows_find(const co_rows *rows, const char *name) {
  for (int64_t i = 0; i < rows->column_count; i++)
    if (strcmp(rows->names[i], name) == 0) return i;
  return -1;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char *take_name(co_arena *arena, const co_cell *name, int64_t i) {
  size_t length = name->length;
  const char *from = name->text;
  for (; length && is_blank(*from); length--)
    from++;
  while (length && is_blank(from[length - 1]))
    length--;
  return length ? co_arena_strndup(arena, from, length)
                : co_arena_format(arena, "column_%" PRId64, i + 1);
}

co_status co_rows_take_names(co_rows *rows, const co_cell *names, int64_t count) {
  const char **made = co_arena_alloc(rows->arena, (size_t)count + 1, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++) {
    if (!(made[i] = take_name(rows->arena, &names[i], i))) return CO_ERR_MEMORY;
    for (int64_t k = 0; k < i; k++)
      if (strcmp(made[k], made[i]) == 0) {
        co_status status =
            co_fail_at(CO_ERR_DATA, rows->shown, (long)rows->header_line, 0,
                       "header: columns %" PRId64 " and %" PRId64 " are both called '%.200s'",
                       k + 1, i + 1, made[i]);
        co_hint(
            "give other names by --header NAMES, and skip this line by --skip-lines 1; of a log, "
            "rename one in the file");
        return status;
      }
  }
  rows->column_count = count;
  rows->names = made;
  return CO_OK;
}

// ---- errors ------------------------------------------------------------------------------------

co_status co_rows_wrong(const co_rows *rows, const co_row_place *place, int64_t column,
                        const char *format, ...) {
  char text[512], name[224] = "";
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (column >= 0 && column < rows->column_count)
    snprintf(name, sizeof name, ", column '%.200s'", rows->names[column]);
  else if (column >= 0)
    snprintf(name, sizeof name, ", column %" PRId64, column + 1);
  return co_fail_at(CO_ERR_DATA, rows->shown, (long)place->line, 0, "row %" PRId64 "%s: %s",
                    place->row, name, text);
}

co_status co_rows_raise(const co_rows *rows, const co_bad_row *bad) {
  co_status status = co_rows_wrong(rows, &bad->place, bad->column, "%s", bad->reason);
  if (bad->hint) co_hint("%s", bad->hint);
  return status;
}
