// SPDX-License-Identifier: Apache-2.0
// Which split each row of a raw table falls into: by a hash of what tells it from others, its file, or a
// column. Rows are placed while they are surveyed, by the columns that are then likely to be used; or,
// where others came to be used, while they are written.
#ifndef COHORT_DATASETS_PLACE_ROWS_H
#define COHORT_DATASETS_PLACE_ROWS_H

#include "datasets/split_rows.h"
#include "datasets/survey.h"

#ifdef __cplusplus
extern "C" {
#endif

// Rows in work by one thread.
typedef struct co_placed_part {
  uint64_t *hash;
  int32_t *class_;
  size_t *end; // of each row in `text`
  int64_t room;
  char *text;
  size_t text_room;
} co_placed_part;

typedef struct co_placer {
  co_context *ctx;
  const co_split_rule *rule;
  uint64_t seed;
  const int *file_splits;     // of each file; NULL = by the rule
  bool validates;             // one of them is of validation; else …
  double validation_fraction; // … the share of training rows that validates
  const co_survey *survey;
  int64_t key, split_column, target; // columns of the table, -1 = none; for co_placer_rows
  // Of each row:
  uint64_t *hash;
  uint8_t *split;
  int32_t *class_; // where stratified: of its target
  int64_t rows;
  // For the survey.
  bool *hashed; // columns that were likely to be
  int64_t *hashed_columns, hashed_count;
  int64_t likely_target, capacity;
  co_placed_part parts[CO_ROWS_MAX_SLOTS];
} co_placer;

void co_placer_free(co_placer *placer);
// Places rows while they are surveyed. `placer` must stay.
co_survey_guest co_placer_guest(co_placer *placer);
// Whether those rows are where the columns that are used want them.
bool co_placer_is_done(const co_placer *placer);
// Begins anew, of so many rows.
co_status co_placer_begin(co_placer *placer, int64_t rows);
// Places the rows of a block. CO_ERR_DATA where a cell says no split.
co_status co_placer_block(co_placer *placer, const co_scan *scan, const co_scan_block *block);
// Once all rows are placed.
co_status co_placer_end(co_placer *placer);
// How many rows have the hash of an earlier one; the hashes are gone then. Only CO_ERR_MEMORY.
co_status co_placer_count_repeated(co_placer *placer, int64_t *out);

#ifdef __cplusplus
}
#endif
#endif
