// SPDX-License-Identifier: Apache-2.0
// Imports a raw table (datasets/rows.h) into dataset.h5. The files are read once, while it is found out
// what the columns are (datasets/survey.h) and their values are kept (datasets/values.h); a second time
// where not all that is written could be kept; and once more where a column of texts begins with
// numbers. Held in memory are the different texts of columns that are no numbers (of a key: all), 9
// bytes a row for the split (13 where stratified), 64 MB of values, and a block of rows.
#ifndef COHORT_DATASETS_IMPORT_CSV_H
#define COHORT_DATASETS_IMPORT_CSV_H

#include "datasets/import.h"
#include "datasets/import_events.h"
#include "datasets/joined.h"
#include "datasets/personal.h"
#include "datasets/recipe.h"
#include "datasets/rejects.h"
#include "datasets/scan.h"
#include "datasets/split_rows.h"
#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_import_csv_options {
  // Not NULL: the dataset is not published but handed out here, a temporary beside `output`.
  co_atomic_file *temporary;
  co_dataset *
      *dataset; // where it goes, open, once it is read back; the caller closes it; NULL = nowhere
  const char *output;        // NULL = only find out the schema
  const char *const *files;  // one at least, of one table
  const char *const *shown;  // what messages call them; NULL = as they are
  const int *file_splits;    // the split of each file's rows; NULL = by `split`
  const int64_t *skip_lines; // of each file; NULL = as the recipe says
  int64_t file_count;
  const char *const *joined;         // the file of each of the recipe's joined tables …
  const char *const *joined_shown;   // … and what messages call them; NULL = as they are
  const char *exists, *exists_shown; // of the recipe's samples: the table of their label
  // The log that they see: files and memory, and where its items' table is; the recipe has the rest. NULL =
  // none.
  const co_import_events_options *events;
  const co_recipe *recipe; // how files are read, and what is known of columns
  co_split_rule split;     // the recipe gives its column, if it is of one, the role split
  // Where files have splits and none is of validation: the share of training rows that validates.
  double validation_fraction;
  uint64_t seed;
  co_reject_rule reject; // rows that cannot be taken …
  co_duplicates duplicates;
  const char *rejects; // … and the output that their file is named after; NULL = there is none
  bool force;
  co_import_progress progress; // in bytes of the files; may be NULL
  void *progress_user;
  const volatile int *stop; // as of co_import_idx_options
} co_import_csv_options;

// A column that enters the dataset and in which so many cells look like something personal.
typedef struct co_personal_column {
  const char *column;
  co_personal kind;
  int64_t count;
} co_personal_column;

typedef struct co_import_csv_result {
  int64_t rows[3];      // per split
  int64_t dropped;      // copies of earlier rows
  int64_t rejected;     // rows that could not be taken; of one that is up to date 0
  int64_t excluded;     // rows that the recipe's condition does not take
  co_join_count *joins; // what was joined, the arena's; of one that is up to date none
  int64_t join_count;
  co_import_events_result events; // of one that is up to date nothing
  int64_t entities;               // of samples
  int64_t duplicates; // rows whose inputs and targets occurred before; -1 = not counted (a key)
  bool up_to_date;
  char fingerprint[65];
  const char *schema;                 // the recipe as YAML, in the arena
  const co_personal_column *personal; // the arena's; of one that is up to date none
  int64_t personal_count;
} co_import_csv_result;

// The output appears whole or not at all. An existing one that equal files and options made is left
// alone; another is CO_ERR_IO without `force`. Other errors as of co_survey_run.
co_status co_import_csv(co_import_csv_result *out, co_context *ctx, co_arena *arena,
                        const co_import_csv_options *options);

#ifdef __cplusplus
}
#endif
#endif
