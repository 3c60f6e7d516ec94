// SPDX-License-Identifier: Apache-2.0
// Folds for cross-validation: which rows of a dataset each of several trainings tests, and which rows
// tell the others when to stop. They come from a file, or are made of the rows.
#ifndef COHORT_DATASETS_FOLDS_H
#define COHORT_DATASETS_FOLDS_H

#include "datasets/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_MAX_FOLDS = 1000 };

typedef struct co_folds {
  co_context *ctx;
  int64_t rows, count;
  int32_t *fold;       // of each row, 0 … count - 1; -1 = it trains in all of them; -2 = in none
  uint8_t *validation; // 1 = where the row is not tested, it stops training early
  bool validates;      // a fold's rows are validation rows, and there are no test rows
} co_folds;

// `count` folds, from 2, of all rows. What belongs together stays together: the samples of an entity,
// else the rows of a key, else (of tables without events) rows whose inputs and targets are all
// equal. Groups are dealt out by size and seeded hash, those of a class of the first binary or
// category target at a time, each to the fold that has the fewest rows of the class, of these to the
// smallest. A tenth of the groups, by another hash, stops training early. CO_ERR_DATA if there are
// fewer groups than folds.
co_status co_folds_make(co_folds *out, co_context *ctx, co_dataset *dataset, int64_t count,
                        uint64_t seed);
// The same of all rows but those of the dataset's test split, which are in no fold and have no say:
// for a search, each fold's rows validate what all others train.
co_status co_folds_make_validating(co_folds *out, co_context *ctx, co_dataset *dataset,
                                   int64_t count, uint64_t seed);
// Reads a table in text with the columns `fold` (-1, 0, 1, …) and, if any row stops training early,
// `validation` (0 or 1): a line for each of `rows` rows, in their order. Other columns are passed
// over. CO_ERR_DATA at the line; also where the numbers of folds are not 0, 1, … without a gap.
co_status co_folds_read(co_folds *out, co_context *ctx, const char *path, int64_t rows);
// Writes such a table; it appears whole.
co_status co_folds_write(const co_folds *folds, const char *path);
void co_folds_free(co_folds *folds); // legal on a zeroed struct

bool co_folds_equal(const co_folds *a, const co_folds *b);
// The dataset as fold `fold` sees it: its rows are the test split; of all others those of
// `validation` are that split, and the rest trains. Of folds that validate its rows are that split, and
// all others train. Borrows the dataset.
co_status co_folds_view(co_dataset **out, const co_folds *folds, co_dataset *dataset, int64_t fold);

#ifdef __cplusplus
}
#endif
#endif
