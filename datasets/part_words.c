// SPDX-License-Identifier: Apache-2.0
#include "datasets/part_words.h"

#include <string.h>

#include "datasets/cell.h"
#include "datasets/dictionary.h"
#include "datasets/short_number.h"

enum { FEWEST_SLOTS = 64, SHORT = 16 };

void co_part_words_free(co_part_words *w, co_context *ctx) {
  co_free(ctx, w->words);
  co_free(ctx, w->slots);
  *w = (co_part_words){0};
}

static co_status make_slots(co_part_words *w, co_context *ctx, uint64_t slots) {
  co_part_slot *made = co_alloc_zero(ctx, slots, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  w->slots = made;
  w->mask = slots - 1;
  return CO_OK;
}

co_status co_part_words_clear(co_part_words *w, co_context *ctx) {
  w->count = 0;
  w->last = NULL;
  if (!w->slots) return make_slots(w, ctx, FEWEST_SLOTS);
  memset(w->slots, 0, (w->mask + 1) * sizeof *w->slots);
  return CO_OK;
}

// What a text is told by. Short ones by all of their bytes, some of them twice. Single words, as a struct
// that is written in parts and read as a whole keeps a processor waiting.
static inline uint64_t told_by(const co_cell *cell, uint64_t *last) {
  const char *text = cell->text;
  size_t n = cell->length;
  uint64_t first = 0;
  *last = 0;
  if (n > SHORT) {
    first = co_dictionary_hash(text, n);
  } else if (n >= 8) {
    memcpy(&first, text, 8);
    memcpy(last, text + n - 8, 8);
  } else if (n >= 4) {
    memcpy(&first, text, 4);
    memcpy(last, text + n - 4, 4);
  } else if (n) {
    first = co_few_bytes(text, n);
  }
  return first;
}

static inline uint64_t hash_of(uint64_t first, uint64_t last, size_t length) {
  uint64_t hash = (first ^ length) * UINT64_C(0x9E3779B97F4A7C15);
  hash = (hash ^ hash >> 32 ^ last) * UINT64_C(0x9E3779B97F4A7C15);
  return hash ^ hash >> 32;
}

static inline co_part_slot *find(const co_part_words *w, uint64_t first, uint64_t last,
                                 const co_cell *cell) {
  uint64_t at = hash_of(first, last, cell->length) & w->mask;
  for (; w->slots[at].word; at = (at + 1) & w->mask) {
    const co_part_slot *s = &w->slots[at];
    if (s->first == first && s->last == last && s->length == cell->length &&
        (cell->length <= SHORT ||
         memcmp(w->words[s->word - 1].cell.text, cell->text, cell->length) == 0))
      break;
  }
  return &w->slots[at];
}

static co_status widen(co_part_words *w, co_context *ctx) {
  co_part_slot *before = w->slots;
  uint64_t slots = w->mask + 1;
  CO_RETURN_IF_FAILED(make_slots(w, ctx, 2 * slots));
  for (uint64_t i = 0; i < slots; i++) {
    if (!before[i].word) continue;
    co_part_slot *to = find(w, before[i].first, before[i].last, &w->words[before[i].word - 1].cell);
    *to = before[i];
    if (w->last == &before[i]) w->last = to;
  }
  co_free(ctx, before);
  return CO_OK;
}

co_status co_part_words_add(co_part_words *w, co_context *ctx, const co_cell *cell, int64_t row,
                            uint32_t *index) {
  uint64_t last, first = told_by(cell, &last);
  co_part_slot *slot = w->last = find(w, first, last, cell);
  if (slot->word) {
    *index = slot->word - 1;
    slot->count++;
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(co_grow(ctx, (void **)&w->words, &w->capacity, w->count, sizeof *w->words));
  *index = (uint32_t)w->count;
  uint64_t hash = co_dictionary_hash(cell->text, cell->length);
  w->words[w->count++] = (co_part_word){.cell = *cell, .hash = hash, .row = row};
  *slot = (co_part_slot){first, last, (uint32_t)cell->length, (uint32_t)w->count, 1};
  return 2 * (uint64_t)w->count > w->mask ? widen(w, ctx) : CO_OK;
}

void co_part_words_end(co_part_words *w) {
  for (uint64_t i = 0; i <= w->mask; i++)
    if (w->slots[i].word) w->words[w->slots[i].word - 1].count = w->slots[i].count;
}
