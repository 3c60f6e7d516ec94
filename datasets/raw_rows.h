// SPDX-License-Identifier: Apache-2.0
// Rows of a table in text as a dataset for a model that is there already: columns are what the model
// says, not what the cells look like. The file is read once, in the hope that all rows can be taken, and
// what becomes of them is kept (datasets/values.h). Where some cannot, or there are texts or joined
// tables, it is read to find the rows that can be taken, for their keys, where there are some, and to
// write them. In memory are the keys, 64 MB of values and a block of rows.
#ifndef COHORT_DATASETS_RAW_ROWS_H
#define COHORT_DATASETS_RAW_ROWS_H

#include "datasets/import.h"
#include "datasets/recipe.h"
#include "datasets/rejects.h"
#include "datasets/split_rows.h"
#include "host/core/file.h"
#include "host/core/schema.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_raw_rows_options {
  const char *path;          // of the table
  const char *shown;         // what messages call it; NULL = its path
  const char *const *joined; // the file of each of the recipe's joined tables; NULL = none is there
  const char *const *joined_shown; // what messages call them
  const char *output;              // the dataset is a temporary beside it …
  co_atomic_file *temporary;       // … and handed out here
  const co_schema *schema;         // the model's columns; inputs must be there, others need not
  // To measure the model: targets are written and must be there, the recipe's condition holds, and rows
  // are split by a rule, NULL = all test. Else rows are only scored.
  bool measured;
  const co_split_rule *split;
  uint64_t seed;
  const char *const
      *passed; // columns of the table that are kept as texts, called "passthrough:NAME"
  int64_t passed_count;
  const char *key;         // column that names rows; NULL = the recipe's, if it is there
  const co_recipe *recipe; // how its rows are read, and what is known of its columns
  co_reject_rule reject;   // rows that cannot be taken …
  const char *rejects;     // … the output that their file is named after; NULL = there is none
  bool replace_rejects;
  co_import_progress progress; // in bytes of the file; may be NULL
  void *progress_user;
  const volatile int *stop;
} co_raw_rows_options;

typedef struct co_raw_rows_column {
  const char *name;
  int64_t missing;
  int64_t unseen; // values that the model does not know, counted as missing
} co_raw_rows_column;

typedef struct co_raw_rows_result {
  int64_t rows, rejected;
  char sha256[65];             // of the file as it is stored, or of what a query gave
  co_raw_rows_column *columns; // of the inputs, in the arena
  int64_t column_count;
} co_raw_rows_result;

// Every row has split test, but where the model is measured. Columns that are missing, keys that are missing or repeated, and cells
// that are no numbers where the model wants some are CO_ERR_DATA with file and line; then there is no
// output. Unknown values, and columns that are not used, are logged.
co_status co_raw_rows_write(co_raw_rows_result *out, co_context *ctx, co_arena *arena,
                            const co_raw_rows_options *options);

#ifdef __cplusplus
}
#endif
#endif
