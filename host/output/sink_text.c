// SPDX-License-Identifier: Apache-2.0
// Scores as text: separated values, or a JSON object a line.
#include <string.h>
#include <strings.h>

#include "host/core/hash.h"
#include "host/core/json.h"
#include "host/core/output.h"
#include "host/output/sink.h"

typedef struct text_sink {
  co_sink base;   // first
  char separator; // 0 = JSON lines
  co_atomic_file file;
  co_writer *writer;
  co_sha256 hash;
  co_text line;
  co_json json; // of a line
} text_sink;

// ---- rows --------------------------------------------------------------------------------------

static co_status write_line(text_sink *s, co_text *line) {
  co_text_append(line, "\n", 1);
  CO_RETURN_IF_FAILED(line->status);
  co_sha256_update(&s->hash, line->data, line->length);
  return co_writer_write(s->writer, line->data, line->length);
}

static co_status begin(co_sink *sink) {
  text_sink *s = (text_sink *)sink;
  if (!s->separator) return CO_OK;
  s->line.length = 0;
  for (int64_t i = 0; i < sink->columns->count; i++) {
    if (i) co_text_append(&s->line, &s->separator, 1);
    co_score_add_text(&s->line, sink->columns->column[i].name, s->separator);
  }
  return write_line(s, &s->line);
}

static co_status write_separated(text_sink *s, const co_score_cell *cells) {
  s->line.length = 0;
  for (int64_t i = 0; i < s->base.columns->count; i++) {
    if (i) co_text_append(&s->line, &s->separator, 1);
    co_score_add_cell(&s->line, s->base.columns->column[i].type, &cells[i], s->separator);
  }
  return write_line(s, &s->line);
}

static void add_member(co_json *json, const co_score_column *column, const co_score_cell *cell) {
  co_json_key(json, column->name);
  if (column->type == CO_SCORE_TEXT)
    co_json_string(json, cell->text);
  else if (cell->text) // a row's number
    co_json_raw(json, cell->text);
  else if (column->type == CO_SCORE_INTEGER)
    co_json_int(json, (int64_t)cell->number);
  else
    co_json_float(json, (float)cell->number);
}

static co_status write_object(text_sink *s, const co_score_cell *cells) {
  s->json.text.length = 0; // a new document
  s->json.state[0] = 0;
  co_json_open(&s->json, '{');
  for (int64_t i = 0; i < s->base.columns->count; i++)
    add_member(&s->json, &s->base.columns->column[i], &cells[i]);
  co_json_close(&s->json);
  return write_line(s, &s->json.text);
}

static co_status row(co_sink *sink, const co_score_cell *cells) {
  text_sink *s = (text_sink *)sink;
  return s->separator ? write_separated(s, cells) : write_object(s, cells);
}

static co_status commit(co_sink *sink) {
  text_sink *s = (text_sink *)sink;
  co_status status = co_writer_close(s->writer);
  s->writer = NULL;
  if (status == CO_OK && s->file.ctx) status = co_atomic_commit(&s->file);
  if (status == CO_OK) co_sha256_final(&s->hash, sink->sha256);
  return status;
}

static void close_text(co_sink *sink) {
  text_sink *s = (text_sink *)sink;
  co_writer_close(s->writer);
  co_atomic_abort(&s->file);
  co_text_free(&s->line);
  co_json_free(&s->json);
  co_free(sink->ctx, s);
}

// ---- opening -----------------------------------------------------------------------------------

static bool ends_in(const char *name, const char *ending) {
  size_t length = strlen(name), end = strlen(ending);
  return length > end && strcasecmp(name + length - end, ending) == 0;
}

// By its ending; what is named as a file of another kind is not made one of text by silence.
static co_status choose_by_name(char *separator, const char *output) {
  static const char *const others[] = {".h5", ".hdf5", ".parquet", ".gz", ".xlsx", ".json", NULL};
  static const char *const databases[] = {".db", ".sqlite", ".sqlite3", NULL};
  *separator = ends_in(output, ".tsv")                                   ? '\t'
               : ends_in(output, ".jsonl") || ends_in(output, ".ndjson") ? 0
                                                                         : ',';
  for (int i = 0; others[i]; i++) {
    if (!ends_in(output, others[i])) continue;
    co_status status =
        co_fail(CO_ERR_USAGE, "-O %.200s: scores are not written as %s", output, others[i] + 1);
    co_hint("name it .csv, .tsv or .jsonl, or say --format");
    return status;
  }
  for (int i = 0; databases[i]; i++) {
    if (!ends_in(output, databases[i])) continue;
    co_status status = co_fail(CO_ERR_USAGE, "-O %.200s is not said to be a database", output);
    co_hint("-O sqlite:%.200s --table TABLE", output);
    return status;
  }
  return CO_OK;
}

static co_status choose_format(char *separator, const co_sink_options *o) {
  if (!o->format) return choose_by_name(separator, o->output);
  if (strcmp(o->format, "csv") == 0)
    *separator = ',';
  else if (strcmp(o->format, "tsv") == 0)
    *separator = '\t';
  else if (strcmp(o->format, "jsonl") == 0)
    *separator = 0;
  else
    return co_fail(CO_ERR_USAGE, "--format %.200s: there are csv, tsv and jsonl", o->format);
  return CO_OK;
}

static co_status open_file(text_sink *s) {
  const co_sink_options *o = s->base.options;
  const co_output wanted = {o->output, o->replace, o->inputs, o->input_count};
  bool to_file = strcmp(o->output, "-") != 0;
  if (to_file) CO_RETURN_IF_FAILED(co_output_check(s->base.ctx, &wanted));
  CO_RETURN_IF_FAILED(choose_format(&s->separator, o));
  if (!to_file) return co_writer_open(&s->writer, s->base.ctx, "-", true);
  CO_RETURN_IF_FAILED(co_output_begin(&s->file, s->base.ctx, &wanted));
  return co_writer_open(&s->writer, s->base.ctx, s->file.temporary, false);
}

co_status co_text_sink_open(co_sink **out, co_context *ctx, const co_sink_options *options) {
  static const co_sink_class class_ = {
      .begin = begin, .row = row, .commit = commit, .close = close_text};
  text_sink *s = co_alloc_zero(ctx, 1, sizeof *s);
  if (!s) return CO_ERR_MEMORY;
  s->base = (co_sink){.class_ = &class_, .ctx = ctx, .options = options};
  co_text_init(&s->line, ctx);
  co_json_init(&s->json, ctx, 0);
  co_sha256_init(&s->hash);
  co_status status = open_file(s);
  if (status == CO_OK)
    *out = &s->base;
  else
    close_text(&s->base);
  return status;
}
