// SPDX-License-Identifier: Apache-2.0
// Text in rows, taken by all threads at once: each reads a piece, parses it and works on it; what came
// of it is merged in the order of the text. So one thread inflates while others parse, and none waits
// for all.
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "datasets/text_rows.h"

// A piece of text with a buffer of its own.
typedef struct chunk {
  co_text_piece *piece;
  unsigned char *buffer;
  size_t begin, end, capacity;
  int64_t turn;
  int64_t position; // of the stored file, up to which it was read
  bool unmerged;
} chunk;

typedef struct each {
  co_text_rows *t;
  const co_rows_visitor *visitor;
  chunk *chunks;
  int count;
  pthread_mutex_t input, order;
  pthread_cond_t moved;
  int64_t given;  // under `input`: pieces
  bool exhausted; // under `input`: no other piece can be cut
  int64_t merged; // under `order`, as are:
  bool ended;     // nothing more is merged
  co_error error;
} each;

// ---- cutting -----------------------------------------------------------------------------------

static bool is_odd(const unsigned char *begin, const unsigned char *end) {
  unsigned char count = 0;
  for (const unsigned char *at = begin; at < end; at++)
    count += *at == '"';
  return count & 1;
}

// Behind the last line end that no quotes enclose, if quotes are as they should be; NULL = there is
// none.
static const unsigned char *last_row_end(const co_text_rows *t, const unsigned char *begin,
                                         const unsigned char *end) {
  bool odd = t->quotes && is_odd(begin, end);
  for (const unsigned char *at = end; at > begin; at--) {
    if (at[-1] == '\n' && !odd) return at;
    odd ^= t->quotes && at[-1] == '"';
  }
  return NULL;
}

// Takes the buffer with whole rows and leaves another with what is behind them.
static co_status take_rows(co_text_rows *t, chunk *c, size_t end) {
  size_t left = t->end - end;
  if (c->capacity < left + CO_TEXT_PADDING) {
    unsigned char *grown = co_realloc(t->base.ctx, c->buffer, left + CO_TEXT_PADDING);
    if (!grown) return CO_ERR_MEMORY;
    c->buffer = grown;
    c->capacity = left + CO_TEXT_PADDING;
  }
  const chunk other = *c;
  c->buffer = t->buffer;
  c->capacity = t->capacity;
  c->begin = t->at;
  c->end = end;
  t->buffer = other.buffer;
  t->capacity = other.capacity;
  t->at = 0;
  t->end = left;
  memcpy(t->buffer, c->buffer + end, left);
  memset(t->buffer + left, 0, CO_TEXT_PADDING);
  memset(c->buffer + end, 0, CO_TEXT_PADDING);
  c->piece->offset = t->offset + (int64_t)c->begin;
  t->offset += (int64_t)end;
  return CO_OK;
}

// The next piece; without rows there is none.
static co_status cut(each *e, chunk *c) {
  co_text_rows *t = e->t;
  c->begin = c->end = 0;
  if (e->exhausted) return CO_OK;
  e->exhausted = true;
  CO_RETURN_IF_FAILED(co_text_rows_read(t, CO_TEXT_PIECE));
  c->position = co_text_rows_position(t);
  if (t->at == t->end) return CO_OK;
  const unsigned char *end =
      t->finished ? t->buffer + t->end : last_row_end(t, t->buffer + t->at, t->buffer + t->end);
  if (!end) return CO_OK;
  c->piece->last = e->exhausted = t->finished;
  return take_rows(t, c, (size_t)(end - t->buffer));
}

// ---- pieces ------------------------------------------------------------------------------------

static co_status parse_and_work(each *e, chunk *c, int slot, co_row_part *part) {
  co_text_piece *p = c->piece;
  p->begin = c->buffer + c->begin;
  p->stop = p->end = c->buffer + c->end;
  p->most = INT64_MAX;
  CO_RETURN_IF_FAILED(co_text_piece_parse(e->t, p));
  *part = (co_row_part){p->count, p->cells, p->places, p->bad_count, p->bad};
  co_alive(e->t->base.ctx, CO_PATIENCE);
  return p->rest == p->stop ? e->visitor->work(e->visitor->user, slot, part) : CO_OK;
}

// A piece whose last row does not end with it was not cut where a row ends: it is given back.
static co_status merge(each *e, chunk *c, int slot, co_row_part *part) {
  co_text_piece *p = c->piece;
  co_text_rows *t = e->t;
  if (p->rest != p->stop) {
    e->ended = true;
    return CO_OK;
  }
  t->base.position = c->position;
  CO_RETURN_IF_FAILED(e->visitor->merge(e->visitor->user, slot, part, t->row, t->lines));
  t->row += p->rows_seen;
  t->lines += p->lines;
  c->unmerged = false;
  return CO_OK;
}

static void take_turn(each *e, chunk *c, int slot, co_row_part *part, co_status status) {
  pthread_mutex_lock(&e->order);
  while (e->merged != c->turn && !e->ended)
    pthread_cond_wait(&e->moved, &e->order);
  if (!e->ended) {
    if (status == CO_OK)
      status = merge(e, c, slot, part);
    else if (status == CO_ERR_DATA && e->t->row)
      co_note("after row %" PRId64, e->t->row);
    if (status != CO_OK) {
      co_error_copy(&e->error);
      e->ended = true;
    }
    e->merged++;
  }
  pthread_cond_broadcast(&e->moved);
  pthread_mutex_unlock(&e->order);
}

static void run(each *e, int slot) {
  chunk *c = &e->chunks[slot];
  for (bool more = true; more;) {
    co_row_part part = {0};
    pthread_mutex_lock(&e->input);
    co_status status = cut(e, c);
    more = status == CO_OK && c->end > c->begin;
    c->turn = e->given;
    e->given += more || status != CO_OK;
    pthread_mutex_unlock(&e->input);
    if (!more && status == CO_OK) break;
    c->unmerged = more;
    if (more) status = parse_and_work(e, c, slot, &part);
    take_turn(e, c, slot, &part, status);
    more &= !c->unmerged;
  }
}

// ---- all ---------------------------------------------------------------------------------------

// Puts what was read but not merged in front of what is unread.
static co_status give_back(each *e) {
  co_text_rows *t = e->t;
  size_t bytes = t->end - t->at;
  for (int i = 0; i < e->count; i++)
    if (e->chunks[i].unmerged) bytes += e->chunks[i].end - e->chunks[i].begin;
  if (bytes == t->end - t->at) return CO_OK;
  unsigned char *whole = co_alloc(t->base.ctx, bytes + CO_TEXT_PADDING);
  if (!whole) return CO_ERR_MEMORY;
  size_t at = 0;
  for (int64_t turn = e->merged - 1; turn < e->given; turn++)
    for (int i = 0; i < e->count; i++) {
      const chunk *c = &e->chunks[i];
      if (!c->unmerged || c->turn != turn) continue;
      memcpy(whole + at, c->buffer + c->begin, c->end - c->begin);
      at += c->end - c->begin;
    }
  memcpy(whole + at, t->buffer + t->at, t->end - t->at);
  memset(whole + bytes, 0, CO_TEXT_PADDING);
  t->offset += (int64_t)t->at - (int64_t)at;
  co_free(t->base.ctx, t->buffer);
  t->buffer = whole;
  t->capacity = bytes + CO_TEXT_PADDING;
  t->at = 0;
  t->end = bytes;
  return CO_OK;
}

co_status co_text_rows_each(co_rows *rows, const co_rows_visitor *visitor) {
  co_text_rows *t = (co_text_rows *)rows;
  each e = {.t = t, .visitor = visitor};
  e.count = visitor->slots < t->piece_capacity ? visitor->slots : (int)t->piece_capacity;
  e.chunks = co_alloc_zero(rows->ctx, (size_t)e.count, sizeof *e.chunks);
  if (!e.chunks) return CO_ERR_MEMORY;
  for (int i = 0; i < e.count; i++)
    e.chunks[i].piece = &t->pieces[i];
  pthread_mutex_init(&e.input, NULL);
  pthread_mutex_init(&e.order, NULL);
  pthread_cond_init(&e.moved, NULL);
#pragma omp parallel for schedule(static, 1) num_threads(e.count)
  for (int slot = 0; slot < e.count; slot++)
    run(&e, slot);
  pthread_cond_destroy(&e.moved);
  pthread_mutex_destroy(&e.order);
  pthread_mutex_destroy(&e.input);
  co_status status = e.error.status == CO_OK ? give_back(&e) : co_error_raise(&e.error);
  for (int i = 0; i < e.count; i++)
    co_free(rows->ctx, e.chunks[i].buffer);
  co_free(rows->ctx, e.chunks);
  return status;
}
