// SPDX-License-Identifier: Apache-2.0
// The tables that an import joins to its own.
#ifndef COHORT_DATASETS_IMPORT_JOINS_H
#define COHORT_DATASETS_IMPORT_JOINS_H

#include "datasets/joined.h"
#include "datasets/survey.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_import_join {
  const co_recipe_join *given;
  const char *path, *shown;
  co_rejects rejects;
  co_scan_options scan;
  co_survey survey;
  co_dictionary several; // the keys, where they are of several columns
  co_joined link;        // along a chain: the rows for those of the table that it is joined to
  co_joined joined;      // … for those of the first
  co_encoded_column *columns;
  int64_t column_count;
  char digest[65]; // as co_scan_digest
} co_import_join;

typedef struct co_import_joins {
  co_context *ctx;
  co_arena *arena;
  co_import_join *items;
  int64_t count;
} co_import_joins;

// `paths` and `shown` of the tables in the order of the recipe's joins; `scan` has the import's
// progress and duplicates.
co_status co_import_joins_begin(co_import_joins *joins, co_context *ctx, co_arena *arena,
                                const co_recipe *recipe, const char *const *paths,
                                const char *const *shown, const co_scan_options *scan);
void co_import_joins_free(co_import_joins *joins); // legal on a zeroed struct
// Finds out their columns; found->joins becomes what they are. Paths are left out if `placeless`.
co_status co_import_joins_survey(co_import_joins *joins, co_recipe *found, bool placeless);
// Plans their columns, and the finding of rows for the `table` to which they are joined.
co_status co_import_joins_plan(co_import_joins *joins, const co_recipe *found,
                               const co_survey *table);
co_status co_import_joins_block(co_import_joins *joins, const co_scan *scan,
                                const co_scan_block *block);
// After the last block. *out, the arena's, tells what was found.
co_status co_import_joins_write(co_import_joins *joins, co_dataset_writer *writer,
                                const char *table, co_join_count **out);

#ifdef __cplusplus
}
#endif
#endif
