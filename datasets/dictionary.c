// SPDX-License-Identifier: Apache-2.0
#include "datasets/dictionary.h"

#include <stdlib.h>
#include <string.h>

#include "datasets/cell.h"

co_status co_dictionary_create(co_dictionary *out, co_context *ctx) {
  *out = (co_dictionary){.ctx = ctx, .mask = 15};
  CO_RETURN_IF_FAILED(co_arena_create(&out->arena, ctx));
  out->slots = co_alloc_zero(ctx, out->mask + 1, sizeof *out->slots);
  return out->slots ? CO_OK : CO_ERR_MEMORY;
}

void co_dictionary_free(co_dictionary *d) {
  if (!d->ctx) return;
  co_free(d->ctx, d->words);
  co_free(d->ctx, d->slots);
  co_arena_free(d->arena);
  *d = (co_dictionary){0};
}

static uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
  return hash ^ hash >> 32;
}

static uint64_t word_at(const char *text, size_t bytes) {
  uint64_t word = 0;
  memcpy(&word, text, bytes);
  return word;
}

// Eight bytes at a time; the last ones may be taken twice. The low bits choose the slot.
uint64_t co_dictionary_hash(const char *text, size_t length) {
  uint64_t hash = length;
  if (length < 4) {
    for (size_t i = 0; i < length; i++)
      hash = hash << 8 ^ (unsigned char)text[i];
    return mix(mix(hash, 0), 1);
  }
  if (length < 8) return mix(mix(hash, word_at(text, 4) << 32 | word_at(text + length - 4, 4)), 1);
  for (size_t at = 0; at + 8 < length; at += 8)
    hash = mix(hash, word_at(text + at, 8));
  return mix(mix(hash, word_at(text + length - 8, 8)), 1);
}

// The slot of a text, or the free one where it belongs.
static uint64_t slot_of(const co_dictionary *d, const char *text, size_t length, uint64_t hash) {
  uint64_t at = hash & d->mask;
  for (; d->slots[at]; at = (at + 1) & d->mask) {
    const co_word *word = &d->words[d->slots[at] - 1];
    if (word->length == length && co_cell_same_bytes(word->text, text, length)) break;
  }
  return at;
}

static co_status widen(co_dictionary *d) {
  uint64_t slots = 2 * (d->mask + 1);
  uint32_t *made = co_alloc_zero(d->ctx, slots, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  co_free(d->ctx, d->slots);
  d->slots = made;
  d->mask = slots - 1;
  for (int64_t i = 0; i < d->count; i++) {
    const co_word *word = &d->words[i];
    uint64_t hash = co_dictionary_hash(word->text, word->length);
    d->slots[slot_of(d, word->text, word->length, hash)] = (uint32_t)i + 1;
  }
  return CO_OK;
}

co_status co_dictionary_take(co_dictionary *d, const char *text, size_t length, uint64_t hash,
                             int64_t count, int64_t line, int64_t *index) {
  uint64_t at = slot_of(d, text, length, hash);
  *index = (int64_t)d->slots[at] - 1;
  if (*index >= 0) {
    d->words[*index].count += count;
    return CO_OK;
  }
  if (d->count == INT32_MAX) return co_fail(CO_ERR_DATA, "more than 2^31 different texts");
  CO_RETURN_IF_FAILED(
      co_grow(d->ctx, (void **)&d->words, &d->capacity, d->count, sizeof *d->words));
  char *copy = co_arena_strndup(d->arena, text, length);
  if (!copy) return CO_ERR_MEMORY;
  *index = d->count;
  d->words[d->count++] =
      (co_word){.text = copy, .length = (uint32_t)length, .count = count, .line = line};
  d->slots[at] = (uint32_t)d->count;
  return 2 * (uint64_t)d->count > d->mask ? widen(d) : CO_OK;
}

co_status co_dictionary_add(co_dictionary *d, const char *text, size_t length, int64_t line,
                            int64_t *repeated) {
  int64_t index, before = d->count;
  CO_RETURN_IF_FAILED(
      co_dictionary_take(d, text, length, co_dictionary_hash(text, length), 1, line, &index));
  if (repeated) *repeated = d->count == before ? d->words[index].line : 0;
  return CO_OK;
}

const co_word *co_dictionary_find(const co_dictionary *d, const char *text, size_t length) {
  uint32_t slot = d->slots[slot_of(d, text, length, co_dictionary_hash(text, length))];
  return slot ? &d->words[slot - 1] : NULL;
}

static int by_text(const void *a, const void *b) {
  return strcmp((*(const co_word *const *)a)->text, (*(const co_word *const *)b)->text);
}

co_status co_dictionary_sort(co_dictionary *d, const char *const **texts) {
  const char **sorted = co_arena_alloc(d->arena, (size_t)d->count + 1, sizeof *sorted);
  co_word **order = co_alloc(d->ctx, ((size_t)d->count + 1) * sizeof *order);
  if (sorted && order) {
    for (int64_t i = 0; i < d->count; i++)
      order[i] = &d->words[i];
    qsort(order, (size_t)d->count, sizeof *order, by_text);
    for (int64_t i = 0; i < d->count; i++) {
      order[i]->code = (int32_t)i;
      sorted[i] = order[i]->text;
    }
  }
  co_free(d->ctx, order);
  *texts = sorted;
  return sorted && order ? CO_OK : CO_ERR_MEMORY;
}
