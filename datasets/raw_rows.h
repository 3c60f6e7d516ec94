// SPDX-License-Identifier: Apache-2.0
// Rows of a table in text as datasets for models that are there already: columns are what a model says,
// not what the cells look like. The rows are divided into parts of so many that follow each other, each a
// dataset (of several models one each), so that no more than a part is ever in memory. The file is read
// once, in the hope that all rows can be taken. Where some cannot, or there are texts or joined tables,
// it is read again to find the rows that can be taken, and to write them. Each part has all rows of the
// joined tables, and at least four times as many of its own.
#ifndef COHORT_DATASETS_RAW_ROWS_H
#define COHORT_DATASETS_RAW_ROWS_H

#include "datasets/import_events.h"
#include "datasets/recipe.h"
#include "datasets/rejects.h"
#include "datasets/split_rows.h"
#include "host/core/file.h"
#include "host/core/schema.h"

#ifdef __cplusplus
extern "C" {
#endif

// Whom rows are read for.
typedef struct co_raw_model {
  const co_schema *schema;   // the model's columns; inputs must be there, others need not
  const co_recipe *recipe;   // what is known of them
  const char *const *joined; // the file of each of the recipe's joined tables; NULL = none is there
  const char *const *joined_shown; // what messages call them
  // The log that the recipe's samples see: files and memory, and its items' table. NULL = none.
  const co_import_events_options *events;
} co_raw_model;

// From a row of a part on, rows have these numbers in the table, until the next one.
typedef struct co_raw_place {
  int64_t at, row;
} co_raw_place;

typedef struct co_raw_part {
  int64_t first, rows;
  co_atomic_file *files; // the datasets, temporaries, one for each model
  co_raw_place *places;  // ascending, where rows are passed over
  int64_t place_count, place_capacity;
} co_raw_part;
// The number of one of its rows in the table, from 1.
int64_t co_raw_part_row(const co_raw_part *part, int64_t at);

typedef struct co_raw_parts {
  co_context *ctx;
  co_raw_part *items;
  int64_t count, capacity, models;
} co_raw_parts;
void co_raw_parts_free(co_raw_parts *parts); // removes the files; legal on a zeroed struct

typedef struct co_raw_rows_options {
  const char *path;  // of the table
  const char *shown; // what messages call it; NULL = its path
  // How its rows are read, and what names them, says the recipe of the first one.
  const co_raw_model *models;
  int64_t model_count;
  const char *output;  // the datasets are temporaries beside it …
  co_raw_parts *parts; // … and handed out here, to be freed in any case
  size_t part_bytes;   // of all models' columns in a part, about; 0 = there is one part
  // To measure one model: targets are written and must be there, the recipe's condition holds, and rows
  // are split by a rule, NULL = all test. Else rows are only scored.
  bool measured;
  const co_split_rule *split;
  uint64_t seed;
  const char *const
      *passed; // columns of the table that are kept as texts, called "passthrough:NAME"
  int64_t passed_count;
  const char *key;       // column that names rows; NULL = the recipe's, if it is there
  co_reject_rule reject; // rows that cannot be taken by all models …
  const char *rejects;   // … the output that their file is named after; NULL = there is none
  co_reject_file *
      *reject_file; // handed out if there is one, to be committed; NULL = it is committed
  bool replace_rejects;
  co_import_progress progress; // in bytes of the file; may be NULL
  void *progress_user;
  const volatile int *stop;
} co_raw_rows_options;

typedef struct co_raw_rows_column {
  int64_t model;
  const char *name;
  int64_t missing;
  int64_t unseen; // values that the model does not know, counted as missing
} co_raw_rows_column;

typedef struct co_raw_rows_result {
  int64_t rows, rejected;
  char sha256[65];             // of the file as it is stored, or of what a query gave
  co_raw_rows_column *columns; // of the inputs, in the arena
  int64_t column_count;
  co_import_events_result events;   // of the first model with a log
  const co_new_classes **new_items; // of each model, in the arena; NULL = none
} co_raw_rows_result;

// Every row has split test, but where a model is measured. Keys, and what is passed through, are in the
// first model's datasets. Columns that are missing, keys that are missing or repeated, and cells that are
// no numbers where a model wants some are CO_ERR_DATA with file and line. Unknown values, and columns
// that are not used, are logged.
co_status co_raw_rows_write(co_raw_rows_result *out, co_context *ctx, co_arena *arena,
                            const co_raw_rows_options *options);

#ifdef __cplusplus
}
#endif
#endif
