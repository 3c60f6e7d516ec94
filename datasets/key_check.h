// SPDX-License-Identifier: Apache-2.0
// Whether the keys of any number of rows differ, in bounded memory: 128 bits of a hash of each are kept
// (datasets/copies.h says what that means), in a temporary file where they are many, and compared bucket
// by bucket.
#ifndef COHORT_DATASETS_KEY_CHECK_H
#define COHORT_DATASETS_KEY_CHECK_H

#include "datasets/copies.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_key_check co_key_check;
// `memory`: bytes that may be held, but for a 256th of all; `beside`: a file in whose folder a temporary
// may lie.
co_status co_key_check_create(co_key_check **out, co_context *ctx, size_t memory,
                              const char *beside);
void co_key_check_free(co_key_check *check); // NULL is legal
// Takes the key of the next row.
co_status co_key_check_add(co_key_check *check, const co_cell *key, int64_t row, int64_t line);

typedef struct co_repeated_key {
  int64_t row, line;         // as they were added; row 0 = all keys differ
  int64_t first, first_line; // the row that has it before
} co_repeated_key;
// The first row whose key an earlier one has, once all are in.
co_status co_key_check_find(co_key_check *check, co_repeated_key *out);

#ifdef __cplusplus
}
#endif
#endif
