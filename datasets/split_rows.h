// SPDX-License-Identifier: Apache-2.0
// Which rows of a table train, validate and test. Rows are told apart by a seeded hash of their key,
// or of their contents without one, so that copies stay together and old rows stay where they are as
// a table grows.
#ifndef COHORT_DATASETS_SPLIT_ROWS_H
#define COHORT_DATASETS_SPLIT_ROWS_H

#include "datasets/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_split_kind {
  CO_SPLIT_RANDOM,     // by the hash alone
  CO_SPLIT_STRATIFIED, // each class of the target by itself, in exact shares
  CO_SPLIT_HASH,       // by the hash of a column's text
  CO_SPLIT_COLUMN,     // as a column says: train, validation, test (or training, val, valid)
  CO_SPLIT_TIME        // by dates: before the first training, before the second validation
} co_split_kind;

typedef struct co_split_rule {
  co_split_kind kind;
  double share[CO_SPLIT_COUNT];
  const char *column; // of hash, column and time; of time NULL = the only one of dates
  double since[2];    // of time: when validation and test begin, seconds since 1970-01-01 UTC
} co_split_rule;

// "random:0.7,0.1,0.2", "stratified:…", "hash:COLUMN[:…]", "time:[COLUMN:]DATE,DATE",
// "column:COLUMN"; NULL = random. Shares left out are 0.7, 0.1, 0.2. CO_ERR_USAGE with what is known.
co_status co_split_rule_parse(co_split_rule *out, co_arena *arena, const char *text);
// The same as text, which reads as the rule.
co_status co_split_rule_print(co_text *out, const co_split_rule *rule);
// The split of a hash, for random and hash.
co_split co_split_of_hash(const co_split_rule *rule, uint64_t hash);
// The split of a time, for time.
co_split co_split_of_time(const co_split_rule *rule, double seconds);
// Of a cell of a column of splits; -1 if it says none.
int co_split_of_cell(const char *text, size_t length);
// Fills `split` of `rows` rows by hash and class: each class in shares as exact as rows of equal
// hash, which stay together, allow.
co_status co_split_stratified(const co_split_rule *rule, co_context *ctx, int64_t rows,
                              const uint64_t *hash, const int32_t *class_, uint8_t *split);

#ifdef __cplusplus
}
#endif
#endif
