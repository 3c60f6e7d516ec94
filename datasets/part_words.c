// SPDX-License-Identifier: Apache-2.0
#include "datasets/part_words.h"

#include <string.h>

#include "datasets/dictionary.h"

enum { FEWEST_SLOTS = 64 };

void co_part_words_free(co_part_words *w, co_context *ctx) {
  co_free(ctx, w->words);
  co_free(ctx, w->slots);
  *w = (co_part_words){0};
}

static co_status make_slots(co_part_words *w, co_context *ctx, uint64_t slots) {
  uint32_t *made = co_alloc_zero(ctx, slots, sizeof *made);
  if (!made) return CO_ERR_MEMORY;
  co_free(ctx, w->slots);
  w->slots = made;
  w->mask = slots - 1;
  return CO_OK;
}

co_status co_part_words_clear(co_part_words *w, co_context *ctx) {
  w->count = 0;
  if (!w->slots) return make_slots(w, ctx, FEWEST_SLOTS);
  memset(w->slots, 0, (w->mask + 1) * sizeof *w->slots);
  return CO_OK;
}

static uint64_t slot_of(const co_part_words *w, const co_cell *cell, uint64_t hash) {
  uint64_t at = hash & w->mask;
  for (; w->slots[at]; at = (at + 1) & w->mask) {
    const co_part_word *word = &w->words[w->slots[at] - 1];
    if (word->hash == hash && word->cell.length == cell->length &&
        memcmp(word->cell.text, cell->text, cell->length) == 0)
      break;
  }
  return at;
}

static co_status widen(co_part_words *w, co_context *ctx) {
  CO_RETURN_IF_FAILED(make_slots(w, ctx, 2 * (w->mask + 1)));
  for (int64_t i = 0; i < w->count; i++)
    w->slots[slot_of(w, &w->words[i].cell, w->words[i].hash)] = (uint32_t)i + 1;
  return CO_OK;
}

co_status co_part_words_add(co_part_words *w, co_context *ctx, const co_cell *cell, int64_t row,
                            uint32_t *index) {
  uint64_t hash = co_dictionary_hash(cell->text, cell->length), at = slot_of(w, cell, hash);
  if (w->slots[at]) {
    *index = w->slots[at] - 1;
    w->words[*index].count++;
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(co_grow(ctx, (void **)&w->words, &w->capacity, w->count, sizeof *w->words));
  *index = (uint32_t)w->count;
  w->words[w->count++] = (co_part_word){.cell = *cell, .hash = hash, .count = 1, .row = row};
  w->slots[at] = (uint32_t)w->count;
  return 2 * (uint64_t)w->count > w->mask ? widen(w, ctx) : CO_OK;
}
