// SPDX-License-Identifier: Apache-2.0
// A table joined to another (left outer): for each row of the other the row with its key, or one in
// which all is missing. Held in memory are the joined table's keys and 8 bytes for each row of the other.
#ifndef COHORT_DATASETS_JOINED_H
#define COHORT_DATASETS_JOINED_H

#include "datasets/encode.h"
#include "datasets/recipe.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_JOINED_MOST_CARRIED = 64 << 20 }; // bytes of a table in a model

// What a join found, for reports.
typedef struct co_join_count {
  const char *table, *on;            // `on`: with commas between several columns
  int64_t rows;                      // of the joined table
  int64_t matched, unknown, missing; // of the other: with a key of its, with another, with none
} co_join_count;

// A column of the other table with (a part of) the keys.
typedef struct co_joined_field {
  int64_t column;
  const char *suffix; // which is taken off its cells
} co_joined_field;

typedef struct co_joined {
  co_context *ctx;
  const co_recipe_join *join;
  const co_scan_options *scan;              // of its rows
  const co_dictionary *keys;                // in the order of its rows
  co_joined_field on[CO_JOIN_MOST_COLUMNS]; // one for each column of the key
  int64_t *row;                             // for each row of the other
  int64_t count, room;                      // of them
  int64_t *user; // of one-to-one: line (or row) of the other's row that has it, 0 = none
  co_join_count found;
  char first_unknown[48];
} co_joined;

// Finds columns with (parts of) keys of `table`. CO_ERR_DATA where one is not there.
co_status co_joined_on(co_joined_field *on, const co_rows *rows, const co_recipe *recipe,
                       const char *const *names, int64_t count, const char *table);
// Makes *keys, those of a joined table, in the order of its rows. CO_ERR_DATA where one is missing, or
// there twice.
co_status co_joined_keys(co_dictionary *keys, co_context *ctx, const co_recipe *table,
                         co_scan *scan);
// The same of a table in which keys may be missing, or there more than once: each is listed once.
co_status co_joined_any_keys(co_dictionary *keys, co_context *ctx, const co_recipe *table,
                             co_scan *scan);
// `rows` is how many the other table has. `keys` and all else must stay.
co_status co_joined_begin(co_joined *joined, co_context *ctx, const co_recipe_join *join,
                          const co_scan_options *scan, const co_dictionary *keys, int64_t rows);
// Finds the rows for those of a block of the other table. CO_ERR_DATA where a one-to-one join has a
// key twice.
co_status co_joined_block(co_joined *joined, const co_scan *scan, const co_scan_block *block);
// The same for all rows of the other, which are what `scan` reads.
co_status co_joined_find(co_joined *joined, const co_scan_options *other);
// Along a chain: `out` is to rows of a third table, which `parent` joins the other to, what `joined` is to
// the other's. It counts as `joined` does.
co_status co_joined_follow(co_joined *out, const co_joined *joined, const co_joined *parent);
// Writes its columns, and the pointers to them in entity `other`.
co_status co_joined_write(co_joined *joined, co_dataset_writer *writer, const char *other,
                          co_encoded_column *columns, int64_t column_count);
// Logs as `event` that rows have no key of its.
void co_joined_tell(const co_joined *joined, const char *event);
// A cell of CSV, and the comma or the line's end behind it.
void co_joined_print_cell(co_text *out, const char *text, size_t length, bool last);
// Columns of its rows as CSV, to be carried by models.
co_status co_joined_print(const co_joined *joined, co_text *out, const int64_t *columns,
                          int64_t column_count);
void co_joined_free(co_joined *joined); // legal on a zeroed struct

#ifdef __cplusplus
}
#endif
#endif
