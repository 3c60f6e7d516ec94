// SPDX-License-Identifier: Apache-2.0
// The different texts of a column in one part of a table's rows, numbered in the order in which they
// occur. Small enough for a core's cache; the texts stay where they are.
#ifndef COHORT_DATASETS_PART_WORDS_H
#define COHORT_DATASETS_PART_WORDS_H

#include "datasets/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_part_word {
  co_cell cell;
  uint64_t hash; // co_dictionary_hash
  int64_t count; // after co_part_words_end
  int64_t row;   // of the part, where it occurs first
} co_part_word;

// Where a word is looked up; one with 16 bytes at most without its text.
typedef struct co_part_slot {
  uint64_t first, last; // 8 bytes, or the hash and 0
  uint32_t length;
  uint32_t word;  // index + 1, 0 = free
  uint32_t count; // of occurrences
} co_part_slot;

typedef struct co_part_words {
  co_part_word *words;
  int64_t count, capacity;
  co_part_slot *slots, *last; // that of the word added last
  uint64_t mask;
} co_part_words;

void co_part_words_free(co_part_words *words, co_context *ctx); // legal on a zeroed struct
// Forgets all words; to be called first.
co_status co_part_words_clear(co_part_words *words, co_context *ctx);
// Counts one occurrence; *index is the word's. Texts of 2^32 bytes do not come here.
co_status co_part_words_add(co_part_words *words, co_context *ctx, const co_cell *cell, int64_t row,
                            uint32_t *index);
// Another one of the word added last.
static inline void co_part_words_repeat(co_part_words *words) {
  words->last->count++;
}
void co_part_words_end(co_part_words *words); // after the last: fills the counts in

#ifdef __cplusplus
}
#endif
#endif
