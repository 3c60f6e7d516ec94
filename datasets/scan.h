// SPDX-License-Identifier: Apache-2.0
// One table in one or several files with the same columns, in whatever order: its rows from the first
// file to the last, in blocks, less those that cannot be taken.
#ifndef COHORT_DATASETS_SCAN_H
#define COHORT_DATASETS_SCAN_H

#include "datasets/import.h"
#include "datasets/rejects.h"
#include "datasets/rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_duplicates {
  CO_DUPLICATES_KEEP,
  CO_DUPLICATES_DROP,
  CO_DUPLICATES_FAIL
} co_duplicates;

typedef struct co_scan_options {
  const char *const *paths;
  const char *const *shown; // what messages call them; NULL = the paths
  int64_t path_count;
  co_rows_options rows;
  const int64_t *skip_lines; // of each file; NULL = as `rows` says
  co_rejects *rejects;       // rows to pass over; counts damaged ones. NULL = the first is an error
  co_reject_file *file;      // where they go; NULL = nowhere …
  const char *key;           // … with their cell of this column, NULL = none
  co_duplicates duplicates;  // what becomes of rows that repeat an earlier one, cell by cell
  const char *stage;         // what progress calls it
  co_import_progress progress;
  void *progress_user;
  const volatile int *stop; // non-zero: end with CO_INTERRUPTED; NULL = never
} co_scan_options;

typedef struct co_scan co_scan;

// Rows of one file that follow each other; until the next block is read.
typedef struct co_scan_block {
  int64_t file;
  int64_t first; // number of its first row among all that were handed out, from 0
  int64_t count; // of rows; 0 = after the last
  int64_t part_count;
  const co_row_part *parts;
  int64_t stride;     // cells of a row
  const int64_t *map; // the cell of each column; NULL = the same
} co_scan_block;

static inline const co_cell *co_block_cell(const co_scan_block *block, const co_row_part *part,
                                           int64_t row, int64_t column) {
  return &part->cells[row * block->stride + (block->map ? block->map[column] : column)];
}

// Opens the first file, whose columns are the table's. `options` and what they point to must stay.
co_status co_scan_open(co_scan **out, co_context *ctx, const co_scan_options *options);
void co_scan_close(co_scan *scan); // NULL is legal
// The file that is being read; its columns are the table's for the first one.
const co_rows *co_scan_file(const co_scan *scan);
const char *co_scan_shown(const co_scan_options *options, int64_t file);
co_status co_scan_next(co_scan *scan, co_scan_block *block);
int64_t co_scan_rows(const co_scan *scan);     // handed out so far
int64_t co_scan_dropped(const co_scan *scan);  // copies so far
int64_t co_scan_excluded(const co_scan *scan); // rows so far that its condition does not take
// SHA-256 over the files' hashes once all rows have been read.
void co_scan_digest(co_scan *scan, char hex[65]);
void co_scan_file_digest(co_scan *scan, char hex[65]); // of the last file alone
// As co_rows_wrong, by the table's column.
co_status co_scan_wrong(const co_scan *scan, const co_row_place *place, int64_t column,
                        const char *format, ...) CO_PRINTF(4, 5);

// Runs `work` for each of `count` columns, on the context's threads. Of several that fail the one
// counts whose row comes first: `row` is where it failed, in the block.
typedef co_status (*co_column_work)(void *user, const co_scan *scan, const co_scan_block *block,
                                    int64_t column, int64_t *row);
co_status co_scan_columns(const co_scan *scan, const co_scan_block *block, int64_t count,
                          co_column_work work, void *user);

// Rows of one file that follow each other, in work by one thread, which may change the cells.
typedef struct co_scan_part {
  int64_t file;
  co_row_part rows;  // their places count from:
  int64_t row, line; // known only when the part is merged
  int64_t stride;
  const int64_t *map;
  bool decimal_comma; // as of the file
} co_scan_part;

static inline co_cell *co_part_cell(const co_scan_part *part, int64_t row, int64_t column) {
  return (co_cell *)&part->rows
      .cells[row * part->stride + (part->map ? part->map[column] : column)];
}

// When it is merged.
static inline co_row_place co_part_place(const co_scan_part *part, int64_t row) {
  co_row_place place = part->rows.places[row];
  place.row += part->row;
  if (place.line) place.line += part->line;
  return place;
}

// Goes through all rows that are left, in parts: `work` on all threads, each part with one of
// `slots` of its own until it is merged; `merge` one part at a time, in the order of the rows.
// How rows are divided depends on the threads. What `work` finds wrong with rows is for `merge` to
// tell; other errors end all.
typedef co_status (*co_part_function)(void *user, int slot, const co_scan *scan,
                                      const co_scan_part *part);
co_status co_scan_each(co_scan *scan, int slots, co_part_function work, co_part_function merge,
                       void *user);
int co_scan_slots(co_context *ctx); // as many as help; fewer are fine

#ifdef __cplusplus
}
#endif
#endif
