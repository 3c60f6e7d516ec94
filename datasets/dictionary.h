// SPDX-License-Identifier: Apache-2.0
// The different texts of a column, each kept once, with how often it occurs and where first.
#ifndef COHORT_DATASETS_DICTIONARY_H
#define COHORT_DATASETS_DICTIONARY_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_word {
  const char *text; // the arena's
  uint32_t length;
  int32_t code; // after sorting: its place
  int64_t count;
  int64_t line; // of its first occurrence
} co_word;

typedef struct co_dictionary {
  co_context *ctx;
  co_arena *arena;
  co_word *words;
  int64_t count, capacity;
  uint32_t *slots; // index + 1 of a word, 0 = free
  uint64_t mask;
} co_dictionary;

co_status co_dictionary_create(co_dictionary *out, co_context *ctx);
void co_dictionary_free(co_dictionary *dictionary); // legal on a zeroed struct
// Counts one occurrence; *repeated (may be NULL) is the word's first line where it occurred before,
// else 0. Words are at most 10 MiB long, and fewer than 2^31.
co_status co_dictionary_add(co_dictionary *dictionary, const char *text, size_t length,
                            int64_t line, int64_t *repeated);
// The same for `count` occurrences, the first of which is on `line`, of a text whose hash is known;
// *index is the word's.
co_status co_dictionary_take(co_dictionary *dictionary, const char *text, size_t length,
                             uint64_t hash, int64_t count, int64_t line, int64_t *index);
uint64_t co_dictionary_hash(const char *text, size_t length);
// The word of that text, NULL if there is none. Any thread once all are added.
const co_word *co_dictionary_find(const co_dictionary *dictionary, const char *text, size_t length);
// Numbers the words in the order of their bytes; *texts, the arena's, are then in that order. The
// words themselves stay where they are.
co_status co_dictionary_sort(co_dictionary *dictionary, const char *const **texts);

#ifdef __cplusplus
}
#endif
#endif
