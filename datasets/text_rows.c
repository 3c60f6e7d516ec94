// SPDX-License-Identifier: Apache-2.0
#include "datasets/text_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datasets/text_input.h"
#include "host/core/utf8.h"

enum {
  LEAST_PIECE = 1 << 16,
  FIRST_BYTES = 1 << 18 // what delimiters are found out from
};

// ---- pieces ------------------------------------------------------------------------------------

void co_text_piece_widen(co_text_piece *p) {
  co_context *ctx = p->rows->base.ctx;
  if (p->status == CO_OK)
    p->status =
        co_grow(ctx, (void **)&p->cells, &p->cell_capacity, p->cell_count, sizeof *p->cells);
  if (p->status == CO_OK)
    p->status = co_grow(ctx, (void **)&p->places, &p->capacity, p->count, sizeof *p->places);
}

static co_row_place place_of(co_text_piece *p, const unsigned char *begin, const unsigned char *end,
                             int64_t line) {
  return (co_row_place){
      .row = ++p->rows_seen, .line = line, .raw = {(const char *)begin, (size_t)(end - begin)}};
}

void co_text_piece_reject(co_text_piece *p, const unsigned char *begin, const unsigned char *end,
                          int64_t line, int64_t column, const char *reason, const char *hint) {
  co_context *ctx = p->rows->base.ctx;
  co_row_place place = place_of(p, begin, end, line);
  p->cell_count = p->count * p->rows->base.column_count;
  if (p->status == CO_OK)
    p->status = co_grow(ctx, (void **)&p->bad, &p->bad_capacity, p->bad_count, sizeof *p->bad);
  if (p->status != CO_OK) return;
  char *text = co_arena_strdup(p->arena, reason);
  char *way = hint ? co_arena_strdup(p->arena, hint) : NULL;
  if (!text || (hint && !way)) p->status = CO_ERR_MEMORY;
  p->bad[p->bad_count++] = (co_bad_row){place, column, text, way};
}

void co_text_piece_explain(const co_text_piece *p, const unsigned char *at, char reason[160],
                           const char **hint) {
  int64_t byte = p->offset + (at - p->begin);
  const char *encoding = p->rows->options->encoding;
  if (!*at) {
    snprintf(reason, 160, "a NUL byte, byte %" PRId64 " of the text", byte);
  } else if (encoding) {
    snprintf(reason, 160, "the text is not %.40s at byte %" PRId64 " of what was converted",
             encoding, byte);
    *hint = "give its encoding by --encoding";
  } else {
    snprintf(reason, 160, "the text is not UTF-8 at 0x%02X, byte %" PRId64 " of the text", *at,
             byte);
    *hint = "give its encoding, for example --encoding latin1 or windows-1252";
  }
}

static co_status begin_piece(const co_text_rows *t, co_text_piece *p) {
  p->rows = t;
  p->cell_count = p->count = p->bad_count = p->lines = p->rows_seen = 0;
  p->rest = p->begin;
  p->status = CO_OK;
  co_arena_free(p->arena);
  p->arena = NULL;
  return co_arena_create(&p->arena, t->base.ctx);
}

co_status co_text_piece_parse(const co_text_rows *t, co_text_piece *p) {
  CO_RETURN_IF_FAILED(begin_piece(t, p));
  t->parse(p);
  return p->status;
}

// Of the buffer.
static co_status parse_piece(const co_text_rows *t, co_text_piece *p) {
  p->offset = t->offset + (p->begin - t->buffer);
  return co_text_piece_parse(t, p);
}

// ---- text --------------------------------------------------------------------------------------

co_status co_text_rows_read(co_text_rows *t, size_t wanted) {
  size_t got, unread = t->end - t->at;
  if (t->finished) return CO_OK;
  if (t->capacity < unread + wanted + CO_TEXT_PADDING) {
    unsigned char *grown = co_realloc(t->base.ctx, t->buffer, unread + wanted + CO_TEXT_PADDING);
    if (!grown) return CO_ERR_MEMORY;
    t->buffer = grown;
    t->capacity = unread + wanted + CO_TEXT_PADDING;
  }
  memmove(t->buffer, t->buffer + t->at, unread);
  t->offset += (int64_t)t->at;
  t->at = 0;
  t->end = unread;
  CO_RETURN_IF_FAILED(co_text_input_read(t->input, t->buffer + t->end, wanted, &got, &t->finished));
  t->end += got;
  memset(t->buffer + t->end, 0, CO_TEXT_PADDING);
  return CO_OK;
}

int64_t co_text_rows_position(const co_text_rows *t) {
  return co_source_position(co_text_input_source(t->input));
}

static co_status top_up(co_text_rows *t, size_t wanted) {
  co_status status = co_text_rows_read(t, wanted);
  if (status == CO_ERR_DATA && t->row) co_note("after row %" PRId64, t->row);
  t->base.position = co_text_rows_position(t);
  return status;
}

static co_status skip_mark(co_text_rows *t) {
  const unsigned char *p = t->buffer;
  if (t->end >= 2 && ((p[0] == 0xFF && p[1] == 0xFE) || (p[0] == 0xFE && p[1] == 0xFF))) {
    co_status status =
        co_fail_at(CO_ERR_DATA, t->base.shown, 1, 0, "the text is UTF-16, not UTF-8");
    co_hint("--encoding utf-16 reads it");
    return status;
  }
  if (t->end >= 3 && p[0] == 0xEF && p[1] == 0xBB && p[2] == 0xBF) t->at = 3;
  return CO_OK;
}

static co_status begin(co_text_rows *t) {
  const co_rows_options *o = t->options;
  co_text_input_close(t->input);
  t->input = NULL;
  t->at = t->end = 0;
  t->finished = false;
  t->offset = t->lines = t->row = 0;
  CO_RETURN_IF_FAILED(
      co_text_input_open(&t->input, t->base.ctx, t->base.path, o->encoding, !o->unhashed));
  t->base.size = co_source_size(co_text_input_source(t->input));
  CO_RETURN_IF_FAILED(top_up(t, FIRST_BYTES));
  return skip_mark(t);
}

co_status co_text_rows_open(co_text_rows *t, const char *path, const co_rows_options *options) {
  t->options = options;
  t->base.path = path;
  t->base.shown = options->shown ? options->shown : path;
  CO_RETURN_IF_FAILED(co_arena_create(&t->base.arena, t->base.ctx));
  int64_t threads = co_context_threads(t->base.ctx);
  t->piece_capacity = threads < 1 ? 1 : threads > CO_ROWS_MAX_SLOTS ? CO_ROWS_MAX_SLOTS : threads;
  t->pieces = co_arena_alloc(t->base.arena, (size_t)t->piece_capacity, sizeof *t->pieces);
  t->parts = co_arena_alloc(t->base.arena, (size_t)t->piece_capacity, sizeof *t->parts);
  if (!t->pieces || !t->parts) return CO_ERR_MEMORY;
  return begin(t);
}

co_status co_text_rows_rewind(co_text_rows *t) {
  return begin(t);
}

void co_text_rows_digest(co_rows *rows, char hex[65]) {
  co_text_input_digest(((co_text_rows *)rows)->input, hex);
}

void co_text_rows_close(co_text_rows *t) {
  co_context *ctx = t->base.ctx;
  co_text_input_close(t->input);
  for (int64_t i = 0; i < t->piece_capacity && t->pieces; i++) {
    co_arena_free(t->pieces[i].arena);
    co_free(ctx, t->pieces[i].cells);
    co_free(ctx, t->pieces[i].places);
    co_free(ctx, t->pieces[i].bad);
  }
  co_free(ctx, t->buffer);
  co_arena_free(t->base.arena);
}

// ---- rows --------------------------------------------------------------------------------------

// Counts from the text's beginning instead of the piece's.
static void place_rows(co_text_rows *t, co_text_piece *p) {
  for (int64_t i = 0; i < p->count; i++) {
    p->places[i].row += t->row;
    p->places[i].line += t->lines;
  }
  for (int64_t i = 0; i < p->bad_count; i++) {
    p->bad[i].place.row += t->row;
    p->bad[i].place.line += t->lines;
  }
  t->row += p->rows_seen;
  t->lines += p->lines;
  t->at = (size_t)(p->rest - t->buffer);
}

co_status co_text_rows_take(co_text_rows *t, int64_t most, co_text_piece **out) {
  co_text_piece *p = *out = &t->pieces[0];
  for (;;) {
    p->begin = t->buffer + t->at;
    p->stop = p->end = t->buffer + t->end;
    p->last = t->finished;
    p->most = most;
    CO_RETURN_IF_FAILED(parse_piece(t, p));
    if (p->rows_seen || t->finished) break;
    CO_RETURN_IF_FAILED(top_up(t, t->end - t->at + FIRST_BYTES)); // a row that is longer
  }
  place_rows(t, p);
  return CO_OK;
}

// The beginning of the first line behind `from`.
static const unsigned char *line_behind(const unsigned char *from, const unsigned char *end) {
  const unsigned char *found = from < end ? memchr(from, '\n', (size_t)(end - from)) : NULL;
  return found ? found + 1 : end;
}

static int64_t cut(co_text_rows *t) {
  const unsigned char *begin = t->buffer + t->at, *end = t->buffer + t->end;
  int64_t bytes = end - begin, count = bytes / LEAST_PIECE;
  if (count > t->piece_capacity) count = t->piece_capacity;
  if (count < 1) count = 1;
  const unsigned char *from = begin;
  for (int64_t k = 0; k < count; k++) {
    const unsigned char *stop =
        k + 1 < count ? line_behind(begin + bytes * (k + 1) / count, end) : end;
    co_text_piece *p = &t->pieces[k];
    p->begin = from;
    p->stop = stop > from ? stop : from;
    p->end = end;
    p->last = t->finished;
    p->most = INT64_MAX;
    from = p->stop;
  }
  return count;
}

static co_status parse_all(co_text_rows *t, int64_t count) {
  co_status failed = CO_OK;
  co_error error;
  if (count == 1) return parse_piece(t, &t->pieces[0]);
#pragma omp parallel for schedule(static, 1) num_threads((int)count)
  for (int64_t k = 0; k < count; k++) {
    co_status status = parse_piece(t, &t->pieces[k]);
    if (status == CO_OK) continue;
#pragma omp critical(co_text_rows)
    {
      failed = status;
      co_error_copy(&error);
    }
  }
  return failed == CO_OK ? CO_OK : co_error_raise(&error);
}

// Rows in the order of the text: what a piece took from a wrong beginning is parsed again.
static co_status join(co_text_rows *t, int64_t count, int64_t *parts) {
  *parts = 0;
  for (int64_t k = 0; k < count; k++) {
    co_text_piece *p = &t->pieces[k];
    const unsigned char *at = t->buffer + t->at;
    if (at >= p->stop && k + 1 < count) continue; // a row reached beyond it
    if (at != p->begin) {
      p->begin = at;
      if (p->stop < at) p->stop = at;
      CO_RETURN_IF_FAILED(parse_piece(t, p));
    }
    place_rows(t, p);
    if (p->count || p->bad_count)
      t->parts[(*parts)++] = (co_row_part){p->count, p->cells, p->places, p->bad_count, p->bad};
    if (p->rest < p->stop) break; // a row that does not end here
  }
  return CO_OK;
}

co_status co_text_rows_next(co_rows *rows, co_row_block *block) {
  co_text_rows *t = (co_text_rows *)rows;
  size_t wanted = CO_TEXT_PIECE * (size_t)t->piece_capacity;
  for (;;) {
    CO_RETURN_IF_FAILED(top_up(t, wanted));
    if (t->at == t->end && t->finished) return CO_OK;
    int64_t count = cut(t);
    CO_RETURN_IF_FAILED(parse_all(t, count));
    CO_RETURN_IF_FAILED(join(t, count, &block->part_count));
    block->parts = t->parts;
    co_alive(t->base.ctx, CO_PATIENCE);
    if (block->part_count) return CO_OK;
    wanted =
        t->end - t->at + CO_TEXT_PIECE; // a row that is longer than what is there, or blank lines
  }
}
