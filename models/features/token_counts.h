// SPDX-License-Identifier: Apache-2.0
// How often tokens occur, told apart by their hashes.
#ifndef COHORT_MODELS_FEATURES_TOKEN_COUNTS_H
#define COHORT_MODELS_FEATURES_TOKEN_COUNTS_H

#include "host/core/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_token_count {
  uint64_t hash;
  int64_t count, first; // count 0: an empty place; `first`: its number among all, as they were met
  const char *text;     // where it was met first, borrowed …
  int64_t length;       // … in bytes
} co_token_count;

typedef struct co_token_counts {
  co_context *ctx;
  co_token_count *places; // by hash, where it is free from there on
  int64_t capacity, used;
} co_token_counts;

co_status co_token_counts_create(co_token_counts *out, co_context *ctx);
void co_token_counts_free(co_token_counts *counts); // legal on a zeroed struct
co_status co_token_counts_add(co_token_counts *counts, uint64_t hash, const char *text,
                              int64_t length);
// The most frequent first, of equally frequent ones the one that was met first; then nothing can be added.
void co_token_counts_sort(co_token_counts *counts);

#ifdef __cplusplus
}
#endif
#endif
