// SPDX-License-Identifier: Apache-2.0
// Scores as HDF5: at the root one dataset a column, by its name, with a value a row: float32, int64, texts
// of variable length. The root's attributes: format = "cohort-scores", version = 1, columns = their names in
// order. A job that was killed begins anew.
#include <stdlib.h>
#include <string.h>

#include "datasets/source.h"
#include "host/core/h5.h"
#include "host/core/output.h"
#include "host/output/sink.h"

enum { BLOCK_ROWS = 4096 };

typedef struct h5_sink {
  co_sink base; // first
  co_atomic_file file;
  co_h5 *h5;
  co_arena *arena;
  char **paths;    // per column
  float **numbers; // rows of a block, per column; of integers:
  int64_t **integers;
  co_text *texts; // …, each with a NUL behind it
  const char **pointers;
  int64_t rows, filled; // in the file, in the block
} h5_sink;

static co_status make_column(h5_sink *s, int64_t i) {
  const co_score_column *column = &s->base.columns->column[i];
  const co_shape shape = co_shape_make(1, s->base.options->rows);
  if (!*column->name || strchr(column->name, '/') || strcmp(column->name, ".") == 0) {
    co_status status =
        co_fail(CO_ERR_USAGE, "'%.200s' is no name of a dataset in HDF5", column->name);
    co_hint("--columns WHAT=NAME gives the column another name");
    return status;
  }
  s->paths[i] = co_arena_format(s->arena, "/%s", column->name);
  if (!s->paths[i]) return CO_ERR_MEMORY;
  switch (column->type) {
  case CO_SCORE_TEXT:
    return co_h5_create_strings(s->h5, s->paths[i], s->base.options->rows);
  case CO_SCORE_INTEGER:
    s->integers[i] = co_arena_alloc(s->arena, BLOCK_ROWS, sizeof **s->integers);
    return s->integers[i] ? co_h5_create_dataset(s->h5, s->paths[i], CO_I64, &shape, NULL)
                          : CO_ERR_MEMORY;
  default:
    s->numbers[i] = co_arena_alloc(s->arena, BLOCK_ROWS, sizeof **s->numbers);
    return s->numbers[i] ? co_h5_create_dataset(s->h5, s->paths[i], CO_F32, &shape, NULL)
                         : CO_ERR_MEMORY;
  }
}

static co_status describe(h5_sink *s) {
  int64_t count = s->base.columns->count;
  const char **names = co_arena_alloc(s->arena, (size_t)count + 1, sizeof *names);
  if (!names) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++)
    names[i] = s->base.columns->column[i].name;
  CO_RETURN_IF_FAILED(co_h5_set_string(s->h5, "/", "format", "cohort-scores"));
  CO_RETURN_IF_FAILED(co_h5_set_int(s->h5, "/", "version", 1));
  return co_h5_set_strings(s->h5, "/", "columns", names, count);
}

static co_status begin(co_sink *sink, const co_sink_job *job) {
  h5_sink *s = (h5_sink *)sink;
  size_t count = (size_t)sink->columns->count + 1;
  (void)job;
  CO_RETURN_IF_FAILED(co_arena_create(&s->arena, sink->ctx));
  s->paths = co_arena_alloc(s->arena, count, sizeof *s->paths);
  s->numbers = co_arena_alloc(s->arena, count, sizeof *s->numbers);
  s->integers = co_arena_alloc(s->arena, count, sizeof *s->integers);
  s->texts = co_arena_alloc(s->arena, count, sizeof *s->texts);
  s->pointers = co_arena_alloc(s->arena, BLOCK_ROWS, sizeof *s->pointers);
  if (!s->paths || !s->numbers || !s->integers || !s->texts || !s->pointers) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < sink->columns->count; i++)
    co_text_init(&s->texts[i], sink->ctx);
  CO_RETURN_IF_FAILED(co_h5_create(&s->h5, sink->ctx, s->file.temporary));
  CO_RETURN_IF_FAILED(describe(s));
  for (int64_t i = 0; i < sink->columns->count; i++)
    CO_RETURN_IF_FAILED(make_column(s, i));
  return CO_OK;
}

static co_status write_texts(h5_sink *s, int64_t i) {
  const char *at = s->texts[i].data;
  CO_RETURN_IF_FAILED(s->texts[i].status);
  for (int64_t k = 0; k < s->filled; k++, at += strlen(at) + 1)
    s->pointers[k] = at;
  s->texts[i].length = 0;
  return co_h5_write_string_rows(s->h5, s->paths[i], s->rows, s->filled, s->pointers);
}

static co_status flush(h5_sink *s) {
  for (int64_t i = 0; s->filled && i < s->base.columns->count; i++) {
    co_score_type type = s->base.columns->column[i].type;
    const void *block = type == CO_SCORE_INTEGER ? (const void *)s->integers[i] : s->numbers[i];
    CO_RETURN_IF_FAILED(type == CO_SCORE_TEXT
                            ? write_texts(s, i)
                            : co_h5_write_rows(s->h5, s->paths[i], s->rows, s->filled, block));
  }
  s->rows += s->filled;
  s->filled = 0;
  return CO_OK;
}

static co_status row(co_sink *sink, const co_score_cell *cells) {
  h5_sink *s = (h5_sink *)sink;
  for (int64_t i = 0; i < sink->columns->count; i++) {
    co_score_type type = sink->columns->column[i].type;
    if (type == CO_SCORE_TEXT)
      co_text_append(&s->texts[i], cells[i].text, strlen(cells[i].text) + 1);
    else if (type == CO_SCORE_INTEGER) // the number of a row is a text
      s->integers[i][s->filled] =
          cells[i].text ? strtoll(cells[i].text, NULL, 10) : (int64_t)cells[i].number;
    else
      s->numbers[i][s->filled] = (float)cells[i].number;
  }
  return ++s->filled == BLOCK_ROWS ? flush(s) : CO_OK;
}

static co_status finish(co_sink *sink, const co_position *position) {
  h5_sink *s = (h5_sink *)sink;
  (void)position;
  CO_RETURN_IF_FAILED(flush(s));
  co_h5 *h5 = s->h5;
  s->h5 = NULL;
  CO_RETURN_IF_FAILED(co_h5_close(h5));
  return co_source_hash_file(sink->ctx, s->file.temporary, sink->sha256);
}

static co_status commit(co_sink *sink) {
  return co_atomic_commit(&((h5_sink *)sink)->file);
}

static void close_h5(co_sink *sink) {
  h5_sink *s = (h5_sink *)sink;
  co_h5_abandon(s->h5);
  for (int64_t i = 0; s->texts && i < sink->columns->count; i++)
    co_text_free(&s->texts[i]);
  co_arena_free(s->arena);
  co_atomic_abort(&s->file);
  co_free(sink->ctx, s);
}

co_status co_h5_sink_open(co_sink **out, co_context *ctx, const co_sink_options *o) {
  static const co_sink_class class_ = {
      .begin = begin, .row = row, .finish = finish, .commit = commit, .close = close_h5};
  const co_output wanted = {o->output, o->replace || o->resume, o->inputs, o->input_count};
  CO_RETURN_IF_FAILED(co_output_check(ctx, &wanted));
  h5_sink *s = co_alloc_zero(ctx, 1, sizeof *s);
  if (!s) return CO_ERR_MEMORY;
  s->base = (co_sink){.class_ = &class_, .ctx = ctx, .options = o};
  co_status status = co_atomic_begin_part(&s->file, ctx, o->output);
  s->file.keep_existing = !o->replace;
  if (status == CO_OK)
    *out = &s->base;
  else
    close_h5(&s->base);
  return status;
}
