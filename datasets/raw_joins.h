// SPDX-License-Identifier: Apache-2.0
// The tables that are joined to raw rows: those of which a model has columns.
#ifndef COHORT_DATASETS_RAW_JOINS_H
#define COHORT_DATASETS_RAW_JOINS_H

#include "datasets/joined.h"
#include "datasets/raw_columns.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_raw_join {
  co_recipe_join join;      // many to one: which rows are scored is the caller's choice
  const char *path, *shown; // NULL = not there
  bool used;                // the model has columns of it
  co_scan_options scan;
  co_raw_columns columns;
  co_dictionary keys;
  co_joined_field on[CO_JOIN_MOST_COLUMNS]; // of the rows, where it is joined to them
  co_joined link;   // along a chain: the rows for those of the table that it is joined to
  co_joined joined; // of the part in work
  co_joined found;  // of all parts what was found, and no more
} co_raw_join;

typedef struct co_raw_joins {
  co_context *ctx;
  co_arena *arena;
  const co_recipe *recipe;
  co_raw_join *items; // as the recipe's joins
  int64_t count;
} co_raw_joins;

// `scan` is that of the rows; `paths` as of co_raw_rows_options.
co_status co_raw_joins_begin(co_raw_joins *joins, co_context *ctx, co_arena *arena,
                             const co_recipe *recipe, const char *const *paths,
                             const char *const *shown, const co_scan_options *scan);
void co_raw_joins_free(co_raw_joins *joins); // legal on a zeroed struct
// Says that one is used whatever columns the model has.
void co_raw_joins_use(co_raw_joins *joins, int64_t index);
// Reads the keys of those that are used, and plans their columns. `rows`: the table that they are
// joined to. CO_ERR_DATA where one is not there, or has a key twice.
co_status co_raw_joins_read(co_raw_joins *joins, const co_schema *schema, const co_rows *rows);
// Whether a column of the rows has the keys of one that is used.
bool co_raw_joins_by(const co_raw_joins *joins, const char *column);
// How many rows all of them have that are used.
int64_t co_raw_joins_rows(const co_raw_joins *joins);
// A part of the rows, and how many there are, before its first block.
co_status co_raw_joins_begin_rows(co_raw_joins *joins, int64_t rows);
co_status co_raw_joins_block(co_raw_joins *joins, const co_scan *scan, const co_scan_block *block);
co_status co_raw_joins_write(co_raw_joins *joins, co_dataset_writer *writer, const char *table);
// Logs which keys were not found, in all parts.
void co_raw_joins_tell(const co_raw_joins *joins);

#ifdef __cplusplus
}
#endif
#endif
