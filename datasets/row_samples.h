// SPDX-License-Identifier: Apache-2.0
// Rows of a table that are samples: each is of an entity (a customer) at a date, and sees what a log of
// events says of the entity before that date, if there is a log. In memory are the different texts of
// entities and some 24 bytes a row.
#ifndef COHORT_DATASETS_ROW_SAMPLES_H
#define COHORT_DATASETS_ROW_SAMPLES_H

#include "datasets/import_events.h"
#include "datasets/joined.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_row_samples {
  co_context *ctx;
  co_arena *arena;
  const co_recipe *recipe;
  co_joined_field entity, date; // columns of the rows; date.column -1 = there is none, or:
  const co_joined *dated;       // a joined table has the dates, and of its rows they are:
  int64_t *date_of;
  co_dictionary entities;
  int64_t *row_entity, *row_date;
  int64_t count, room;
  co_joined exists; // of a label: the table that has the keys of positive rows
  co_dictionary exists_keys;
  co_scan_options exists_scan;
  const char *exists_path, *exists_shown;
  co_rejects rejects;
  bool labelled;
} co_row_samples;

// Where the tables beside the rows are. `scan` has the rows' progress; labels are made of `exists`, NULL =
// there are none to be made.
typedef struct co_row_samples_files {
  const co_scan_options *scan;
  const char *exists, *exists_shown;
} co_row_samples_files;

// `names` of the rows' columns. `recipe` and all else must stay.
co_status co_row_samples_begin(co_row_samples *samples, co_context *ctx, co_arena *arena,
                               const co_recipe *recipe, const char *const *names, int64_t count,
                               int64_t rows, const co_row_samples_files *files);
// Which joined table the recipe's dates are in (-1 = the rows themselves, or there are none), and its
// column.
int64_t co_row_samples_dated(const co_recipe *recipe, const char **column);
// Reads that table's dates. `joined`, which finds its rows, must stay.
co_status co_row_samples_dates(co_row_samples *samples, const co_scan_options *table,
                               const co_joined *joined);
// CO_ERR_DATA where a row has no entity, or what should be a date is none.
co_status co_row_samples_block(co_row_samples *samples, const co_scan *scan,
                               const co_scan_block *block);
// After the last block: the entities, and which row is of whom when. `events`, NULL = there is no log,
// has recipe, files and memory; what it says of samples and output is set here.
co_status co_row_samples_write(co_row_samples *samples, co_dataset_writer *writer,
                               const uint8_t *split, co_import_events_options *events,
                               co_import_events_result *found);
void co_row_samples_free(co_row_samples *samples); // legal on a zeroed struct

#ifdef __cplusplus
}
#endif
#endif
