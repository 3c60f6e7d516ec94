// SPDX-License-Identifier: Apache-2.0
#include "datasets/values.h"

#include <math.h>
#include <string.h>

#include "host/core/scratch.h"

// A column of a block: what follows its header is at `at` of the block.
typedef struct packed {
  co_value_kind kind;
  int width; // bytes of a value; of numbers 4 = float, 8 = double
  size_t at, map;
  int64_t words;
} packed;

// Some rows; a header for each column, then values.
typedef struct block {
  int64_t rows;
  size_t bytes;
  unsigned char *data; // NULL = in the file
  int64_t place;
} block;

struct co_values {
  co_context *ctx;
  size_t most;
  co_value_kind *kinds;
  packed *plans;
  int64_t column_count, rows;
  block *blocks;
  int64_t count, capacity;
  size_t held;
  co_scratch scratch;
  int64_t written;
  int64_t next;
  unsigned char *read; // of the file; the block at hand
  size_t room;
  const unsigned char *at_hand;
};

co_status co_values_create(co_values **out, co_context *ctx, const char *beside, size_t most) {
  co_values *v = *out = co_alloc_zero(ctx, 1, sizeof *v);
  if (!v) return CO_ERR_MEMORY;
  *v = (co_values){.ctx = ctx, .scratch = co_scratch_make(ctx, beside), .most = most};
  return CO_OK;
}

static void drop_blocks(co_values *v) {
  for (int64_t i = 0; i < v->count; i++)
    co_free(v->ctx, v->blocks[i].data);
  v->count = v->next = v->rows = v->written = 0;
  v->held = 0;
}

void co_values_free(co_values *v) {
  if (!v) return;
  drop_blocks(v);
  co_scratch_close(&v->scratch);
  co_free(v->ctx, v->blocks);
  co_free(v->ctx, v->kinds);
  co_free(v->ctx, v->plans);
  co_free(v->ctx, v->read);
  co_free(v->ctx, v);
}

co_status co_values_clear(co_values *v, int64_t columns) {
  drop_blocks(v);
  co_free(v->ctx, v->kinds);
  co_free(v->ctx, v->plans);
  v->kinds = co_alloc_zero(v->ctx, (size_t)columns, sizeof *v->kinds);
  v->plans = co_alloc_zero(v->ctx, (size_t)columns, sizeof *v->plans);
  v->column_count = columns;
  return v->kinds && v->plans ? CO_OK : CO_ERR_MEMORY;
}

co_value_kind co_values_kind(const co_values *v, int64_t column) {
  return v->kinds[column];
}

int64_t co_values_rows(const co_values *v) {
  return v->rows;
}

// ---- packing -----------------------------------------------------------------------------------

static packed plan(const co_column_values *c, int64_t rows, size_t *bytes) {
  packed p = {.kind = c->kind, .width = c->kind == CO_VALUES_ENCODED ? c->width : 0};
  if (c->kind == CO_VALUES_WORDS) {
    p.words = c->word_count;
    p.width = c->word_count < UINT8_MAX ? 1 : c->word_count < UINT16_MAX ? 2 : 4;
    p.map = *bytes;
    *bytes += (size_t)p.words * sizeof(uint32_t);
  } else if (c->kind == CO_VALUES_NUMBERS || c->kind == CO_VALUES_DATES) {
    p.width = c->wide ? 8 : 4;
  }
  p.at = *bytes;
  *bytes += ((size_t)p.width * (size_t)rows + 7) / 8 * 8;
  return p;
}

static void pack_words(const packed *p, const uint32_t *words, int64_t rows, void *out) {
  if (p->width == 1)
    for (int64_t i = 0; i < rows; i++)
      ((uint8_t *)out)[i] = (uint8_t)words[i];
  else if (p->width == 2)
    for (int64_t i = 0; i < rows; i++)
      ((uint16_t *)out)[i] = (uint16_t)words[i];
  else
    memcpy(out, words, (size_t)rows * sizeof *words);
}

static void pack(const packed *p, const co_column_values *c, int64_t rows, unsigned char *data) {
  const double *numbers = c->values;
  if (c->kind == CO_VALUES_WORDS) {
    memcpy(data + p->map, c->word_of, (size_t)p->words * sizeof(uint32_t));
    pack_words(p, c->values, rows, data + p->at);
  } else if (p->width == 4 && c->kind != CO_VALUES_ENCODED) {
    for (int64_t i = 0; i < rows; i++)
      ((float *)(void *)(data + p->at))[i] = (float)numbers[i];
  } else if (p->width) {
    memcpy(data + p->at, numbers, (size_t)rows * (size_t)p->width);
  }
}

// ---- the file ----------------------------------------------------------------------------------

static co_status write_block(co_values *v, block *b) {
  CO_RETURN_IF_FAILED(co_scratch_write(&v->scratch, b->data, b->bytes, v->written));
  b->place = v->written;
  v->written += (int64_t)b->bytes;
  co_free(v->ctx, b->data);
  b->data = NULL;
  return CO_OK;
}

static co_status read_block(co_values *v, const block *b) {
  if (b->bytes > v->room) {
    unsigned char *grown = co_realloc(v->ctx, v->read, b->bytes);
    if (!grown) return CO_ERR_MEMORY;
    v->read = grown;
    v->room = b->bytes;
  }
  return co_scratch_read(&v->scratch, v->read, b->bytes, b->place);
}

// ---- rows --------------------------------------------------------------------------------------

co_status co_values_append(co_values *v, int64_t rows, const co_column_values *columns) {
  size_t bytes = (size_t)v->column_count * sizeof(packed);
  CO_RETURN_IF_FAILED(
      co_grow(v->ctx, (void **)&v->blocks, &v->capacity, v->count, sizeof *v->blocks));
  for (int64_t i = 0; i < v->column_count; i++)
    v->plans[i] = plan(&columns[i], rows, &bytes);
  block *b = &v->blocks[v->count];
  *b = (block){.rows = rows, .bytes = bytes, .data = co_alloc(v->ctx, bytes)};
  if (!b->data) return CO_ERR_MEMORY;
  v->count++;
  v->rows += rows;
  memcpy(b->data, v->plans, (size_t)v->column_count * sizeof *v->plans);
  for (int64_t i = 0; i < v->column_count; i++) {
    co_value_kind kind = columns[i].kind, *known = &v->kinds[i];
    pack(&v->plans[i], &columns[i], rows, b->data);
    if (kind != CO_VALUES_NONE)
      *known = *known == CO_VALUES_NONE || *known == kind ? kind : CO_VALUES_UNKNOWN;
  }
  v->held += b->bytes;
  return v->held > v->most ? write_block(v, b) : CO_OK;
}

co_status co_values_next(co_values *v, int64_t *rows) {
  *rows = 0;
  if (v->next) { // what was handed out is not needed any more
    block *last = &v->blocks[v->next - 1];
    co_free(v->ctx, last->data);
    last->data = NULL;
  }
  if (v->next == v->count) return CO_OK;
  const block *b = &v->blocks[v->next++];
  if (!b->data) CO_RETURN_IF_FAILED(read_block(v, b));
  v->at_hand = b->data ? b->data : v->read;
  *rows = b->rows;
  return CO_OK;
}

void co_values_numbers(const co_values *v, int64_t column, double *out) {
  const packed *p = (const packed *)(const void *)v->at_hand + column;
  const unsigned char *from = v->at_hand + p->at;
  int64_t rows = v->blocks[v->next - 1].rows;
  if (p->width == 8)
    memcpy(out, from, (size_t)rows * sizeof *out);
  else if (p->width == 4)
    for (int64_t i = 0; i < rows; i++)
      out[i] = ((const float *)(const void *)from)[i];
  else
    for (int64_t i = 0; i < rows; i++)
      out[i] = NAN;
}

void co_values_words(const co_values *v, int64_t column, int32_t *out) {
  const packed *p = (const packed *)(const void *)v->at_hand + column;
  const unsigned char *from = v->at_hand + p->at;
  const uint32_t *map = (const uint32_t *)(const void *)(v->at_hand + p->map);
  int64_t rows = v->blocks[v->next - 1].rows;
  for (int64_t i = 0; i < rows; i++) {
    uint32_t word = p->width == 1   ? from[i]
                    : p->width == 2 ? ((const uint16_t *)(const void *)from)[i]
                    : p->width == 4 ? ((const uint32_t *)(const void *)from)[i]
                                    : CO_NO_WORD;
    out[i] = word < (uint64_t)p->words ? (int32_t)map[word] : -1;
  }
}

const void *co_values_encoded(const co_values *v, int64_t column) {
  return v->at_hand + ((const packed *)(const void *)v->at_hand + column)->at;
}
