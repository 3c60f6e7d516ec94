// SPDX-License-Identifier: Apache-2.0
// Scores for a caller who takes them from memory, block by block. Nothing outlives the process.
#include <stdlib.h>
#include <string.h>

#include "host/output/sink.h"

enum { BLOCK_ROWS = 4096 };

typedef struct memory_sink {
  co_sink base; // first
  co_arena *arena;
  const char **names;
  cohort_score_type *types;
  void **values;  // of a block, per column …
  co_text *texts; // … whose texts lie here, each with a NUL behind it
  int64_t rows, filled;
} memory_sink;

static size_t value_bytes(co_score_type type) {
  return type == CO_SCORE_TEXT      ? sizeof(const char *)
         : type == CO_SCORE_INTEGER ? sizeof(int64_t)
                                    : sizeof(float);
}

static co_status begin(co_sink *sink, const co_sink_job *job) {
  static const cohort_score_type types[] = {[CO_SCORE_TEXT] = COHORT_SCORE_TEXT,
                                            [CO_SCORE_NUMBER] = COHORT_SCORE_NUMBER,
                                            [CO_SCORE_INTEGER] = COHORT_SCORE_INTEGER};
  memory_sink *s = (memory_sink *)sink;
  size_t count = (size_t)sink->columns->count + 1;
  (void)job;
  CO_RETURN_IF_FAILED(co_arena_create(&s->arena, sink->ctx));
  s->names = co_arena_alloc(s->arena, count, sizeof *s->names);
  s->types = co_arena_alloc(s->arena, count, sizeof *s->types);
  s->values = co_arena_alloc(s->arena, count, sizeof *s->values);
  s->texts = co_arena_alloc(s->arena, count, sizeof *s->texts);
  if (!s->names || !s->types || !s->values || !s->texts) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < sink->columns->count; i++)
    co_text_init(&s->texts[i], sink->ctx);
  for (int64_t i = 0; i < sink->columns->count; i++) {
    const co_score_column *column = &sink->columns->column[i];
    s->names[i] = column->name;
    s->types[i] = types[column->type];
    s->values[i] = co_arena_alloc(s->arena, BLOCK_ROWS, value_bytes(column->type));
    if (!s->values[i]) return CO_ERR_MEMORY;
  }
  return CO_OK;
}

static co_status hand_out(memory_sink *s) {
  for (int64_t i = 0; i < s->base.columns->count; i++) {
    const char *at = s->texts[i].data, **texts = s->values[i];
    if (s->types[i] != COHORT_SCORE_TEXT) continue;
    CO_RETURN_IF_FAILED(s->texts[i].status);
    for (int64_t k = 0; k < s->filled; k++, at += strlen(at) + 1)
      texts[k] = at;
    s->texts[i].length = 0;
  }
  const cohort_scores block = {.first = s->rows,
                               .rows = s->filled,
                               .column_count = s->base.columns->count,
                               .names = s->names,
                               .types = s->types,
                               .values = (const void *const *)s->values};
  s->base.options->take(s->base.options->take_user, &block);
  s->rows += s->filled;
  s->filled = 0;
  return CO_OK;
}

static co_status row(co_sink *sink, const co_score_cell *cells) {
  memory_sink *s = (memory_sink *)sink;
  for (int64_t i = 0; i < sink->columns->count; i++) {
    if (s->types[i] == COHORT_SCORE_TEXT)
      co_text_append(&s->texts[i], cells[i].text, strlen(cells[i].text) + 1);
    else if (s->types[i] == COHORT_SCORE_INTEGER) // the number of a row is a text
      ((int64_t *)s->values[i])[s->filled] =
          cells[i].text ? strtoll(cells[i].text, NULL, 10) : (int64_t)cells[i].number;
    else
      ((float *)s->values[i])[s->filled] = (float)cells[i].number;
  }
  return ++s->filled == BLOCK_ROWS ? hand_out(s) : CO_OK;
}

// Of no rows there is one block, too: it tells the columns.
static co_status finish(co_sink *sink, const co_position *position) {
  memory_sink *s = (memory_sink *)sink;
  (void)position;
  return s->filled || !s->rows ? hand_out(s) : CO_OK;
}

static co_status commit(co_sink *sink) {
  (void)sink;
  return CO_OK;
}

static void close_memory(co_sink *sink) {
  memory_sink *s = (memory_sink *)sink;
  for (int64_t i = 0; s->texts && i < sink->columns->count; i++)
    co_text_free(&s->texts[i]);
  co_arena_free(s->arena);
  co_free(sink->ctx, s);
}

co_status co_memory_sink_open(co_sink **out, co_context *ctx, const co_sink_options *o) {
  static const co_sink_class class_ = {
      .begin = begin, .row = row, .finish = finish, .commit = commit, .close = close_memory};
  memory_sink *s = co_alloc_zero(ctx, 1, sizeof *s);
  if (!s) return CO_ERR_MEMORY;
  s->base = (co_sink){.class_ = &class_, .ctx = ctx, .options = o};
  *out = &s->base;
  return CO_OK;
}
