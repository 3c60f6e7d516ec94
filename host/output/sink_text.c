// SPDX-License-Identifier: Apache-2.0
// Scores as text: separated values, or a JSON object a line.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/core/hash.h"
#include "host/core/json.h"
#include "host/core/output.h"
#include "host/output/sink.h"

typedef struct text_sink {
  co_sink base;        // first
  char separator;      // 0 = JSON lines
  co_atomic_file file; // of standard output none
  co_writer *writer;
  co_journal *journal;
  bool saved; // there is a position to go on from
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

static co_status write_header(text_sink *s) {
  if (!s->separator) return CO_OK;
  s->line.length = 0;
  for (int64_t i = 0; i < s->base.columns->count; i++) {
    if (i) co_text_append(&s->line, &s->separator, 1);
    co_score_add_text(&s->line, s->base.columns->column[i].name, s->separator);
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

// Reasons are a list of objects.
static const char *begin_reason(co_json *json, const co_score_column *column) {
  static const char *const keys[] = {"column", "value", "effect"};
  if (column->content == CO_SCORE_REASON) {
    if (!column->index) {
      co_json_key(json, column->list);
      co_json_open(json, '[');
    }
    co_json_open(json, '{');
  }
  return keys[column->content - CO_SCORE_REASON];
}

static void end_reason(co_json *json, const co_score_columns *columns,
                       const co_score_column *column) {
  if (column->content != CO_SCORE_REASON_EFFECT) return;
  co_json_close(json);
  if (column->index == columns->reasons - 1) co_json_close(json);
}

static void add_member(co_json *json, const co_score_column *column, const co_score_cell *cell) {
  co_json_key(json, column->list ? begin_reason(json, column) : column->name);
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
  for (int64_t i = 0; i < s->base.columns->count; i++) {
    add_member(&s->json, &s->base.columns->column[i], &cells[i]);
    if (s->base.columns->column[i].list)
      end_reason(&s->json, s->base.columns, &s->base.columns->column[i]);
  }
  co_json_close(&s->json);
  return write_line(s, &s->json.text);
}

static co_status row(co_sink *sink, const co_score_cell *cells) {
  text_sink *s = (text_sink *)sink;
  return s->separator ? write_separated(s, cells) : write_object(s, cells);
}

// ---- what outlives the process -----------------------------------------------------------------

// Hashes what is there of the file, and cuts off what was written after the last position.
static co_status take_up(text_sink *s) {
  char block[1 << 14];
  int64_t left = s->base.at.bytes;
  FILE *file = fopen(s->file.temporary, "rbe");
  if (!file) return co_fail_errno(CO_ERR_IO, errno, "cannot read '%s'", s->file.temporary);
  while (left > 0) {
    size_t some = left < (int64_t)sizeof block ? (size_t)left : sizeof block;
    size_t got = fread(block, 1, some, file);
    if (!got) break;
    co_sha256_update(&s->hash, block, got);
    left -= (int64_t)got;
  }
  fclose(file);
  if (left) {
    co_status status =
        co_fail_at(CO_ERR_IO, s->file.temporary, 0, 0, "the file is shorter than its journal says");
    co_hint("without --resume the job is begun anew");
    return status;
  }
  return co_truncate_file(s->base.ctx, s->file.temporary, s->base.at.bytes);
}

static co_status begin(co_sink *sink, const co_sink_job *job) {
  text_sink *s = (text_sink *)sink;
  if (!s->file.ctx) return write_header(s);
  const char *path = s->file.path;
  s->saved = sink->options->resume; // whatever is wrong with it, it stays
  if (s->saved) {
    CO_RETURN_IF_FAILED(co_journal_read(&sink->at, sink->ctx, path, job));
    s->saved = sink->at.rows > 0;
  }
  if (s->saved)
    CO_RETURN_IF_FAILED(take_up(s));
  else
    CO_RETURN_IF_FAILED(co_truncate_file(sink->ctx, s->file.temporary, 0));
  CO_RETURN_IF_FAILED(co_journal_begin(&s->journal, sink->ctx, path, job, &sink->at));
  CO_RETURN_IF_FAILED(co_writer_open(&s->writer, sink->ctx, s->file.temporary, true));
  return s->saved ? CO_OK : write_header(s);
}

static co_status save(co_sink *sink, const co_position *position) {
  text_sink *s = (text_sink *)sink;
  if (!s->file.ctx) return CO_OK;
  co_position at = *position;
  CO_RETURN_IF_FAILED(co_writer_sync(s->writer));
  at.bytes = co_writer_position(s->writer);
  CO_RETURN_IF_FAILED(co_journal_add(s->journal, &at));
  s->saved = true;
  return CO_OK;
}

static co_status finish(co_sink *sink, const co_position *position) {
  text_sink *s = (text_sink *)sink;
  CO_RETURN_IF_FAILED(save(sink, position));
  co_status status = co_writer_close(s->writer);
  s->writer = NULL;
  co_sha256_final(&s->hash, sink->sha256);
  return status;
}

static co_status commit(co_sink *sink) {
  text_sink *s = (text_sink *)sink;
  if (!s->file.ctx) return CO_OK;
  char *path = co_strdup(sink->ctx, s->file.path);
  s->file.keep = true;
  co_status status = path ? co_atomic_commit(&s->file) : CO_ERR_MEMORY;
  if (status == CO_OK) status = co_journal_remove(sink->ctx, path);
  co_free(sink->ctx, path);
  return status;
}

static void close_text(co_sink *sink) {
  text_sink *s = (text_sink *)sink;
  co_writer_close(s->writer);
  co_journal_close(s->journal);
  s->saved = s->saved && !sink->discard;
  s->file.keep = s->saved;
  // A journal that stays may tell of a position: then so does the part.
  if (s->file.ctx && s->journal && !s->saved)
    s->file.keep = co_journal_remove(sink->ctx, s->file.path) != CO_OK;
  co_atomic_abort(&s->file);
  co_text_free(&s->line);
  co_json_free(&s->json);
  co_free(sink->ctx, s);
}

// ---- opening -----------------------------------------------------------------------------------

// By its ending; what is named as a file of another kind is not made one of text by silence.
static co_status choose_by_name(char *separator, const char *output) {
  static const char *const others[] = {".parquet", ".gz", ".xlsx", ".json", NULL};
  static const char *const databases[] = {".db", ".sqlite", ".sqlite3", NULL};
  *separator = co_output_ends_in(output, ".tsv")                                             ? '\t'
               : co_output_ends_in(output, ".jsonl") || co_output_ends_in(output, ".ndjson") ? 0
                                                                                             : ',';
  for (int i = 0; others[i]; i++) {
    if (!co_output_ends_in(output, others[i])) continue;
    co_status status =
        co_fail(CO_ERR_USAGE, "-O %.200s: scores are not written as %s", output, others[i] + 1);
    co_hint("name it .csv, .tsv, .jsonl or .h5, or say --format");
    return status;
  }
  for (int i = 0; databases[i]; i++) {
    if (!co_output_ends_in(output, databases[i])) continue;
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
    return co_fail(CO_ERR_USAGE, "--format %.200s: there are csv, tsv, jsonl and h5", o->format);
  return CO_OK;
}

static co_status open_file(text_sink *s) {
  const co_sink_options *o = s->base.options;
  // With `resume` it may be that of the same job, which is complete.
  const co_output wanted = {o->output, o->replace || o->resume, o->inputs, o->input_count};
  bool to_file = strcmp(o->output, "-") != 0;
  if (to_file) CO_RETURN_IF_FAILED(co_output_check(s->base.ctx, &wanted));
  CO_RETURN_IF_FAILED(choose_format(&s->separator, o));
  if (!to_file) return co_writer_open(&s->writer, s->base.ctx, "-", true);
  CO_RETURN_IF_FAILED(co_atomic_begin_part(&s->file, s->base.ctx, o->output));
  s->saved = lseek(s->file.lock, 0, SEEK_END) > 0; // by a job before
  s->file.keep_existing = !o->replace;
  return CO_OK;
}

co_status co_text_sink_open(co_sink **out, co_context *ctx, const co_sink_options *options) {
  static const co_sink_class class_ = {.begin = begin,
                                       .row = row,
                                       .save = save,
                                       .finish = finish,
                                       .commit = commit,
                                       .close = close_text};
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
