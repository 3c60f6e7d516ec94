// SPDX-License-Identifier: Apache-2.0
// Of libcohort (cohort.h): making datasets and looking at them.
#ifndef COHORT_COHORT_DATA_H
#define COHORT_COHORT_DATA_H

#include "cohort_sources.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cohort_import_idx_options {
  const char *output;      // an existing one is kept if these inputs and options made it,
                           // and made again if it is damaged
  const char *training[2]; // images, labels
  const char *validation[2], *test[2]; // NULL = not given
  double validation_fraction; // of the training rows where no validation files are given; < 0 = 0.1
  uint64_t seed;
  const char *const *class_names; // of labels 0, 1, …; NULL = the numbers
  int64_t class_name_count;
  bool force; // replace an existing output; only regular files are, and none that is read
} cohort_import_idx_options;
COHORT_API cohort_status cohort_import_idx(cohort_context *context,
                                           const cohort_import_idx_options *options,
                                           cohort_result **out);

// A folder or an archive (tar, zip) of images (JPEG, PNG, WebP): folders below it are classes, or train, validation and test
// with classes below. They become images of one size, upright, in grey or colour, named by their files.
typedef struct cohort_import_images_options {
  const char *output;
  const char *folder;
  // A table (CSV, JSON lines) that names files of the folder, in its column `file` (else the first), and
  // their splits, in `split`; its other columns are targets. NULL = all files, of the classes of their folders.
  const char *labels;
  int64_t image_width, image_height; // 0 = all have one size, which it is
  const char *fit;   // "crop" (NULL): fills the size; "pad": lies within, on white; "stretch"
  int64_t channels;  // 1 (grey), 3; 0 = 1 where all are grey, else 3
  const char *split; // of folders that say none: "random:0.7,0.1,0.2" (NULL), "stratified:…"
  double validation_fraction; // of folders train and test without validation; < 0 = 0.1
  const char *on_error;       // files that cannot be read: "fail" (NULL), "skip"
  const char *max_errors;     // how many of these may be: "100", "1%" (NULL)
  int64_t max_pixels;         // of an image, as stored; 0 = 100,000,000
  uint64_t seed;
  bool force; // as for idx
} cohort_import_images_options;
COHORT_API cohort_status cohort_import_images(cohort_context *context,
                                              const cohort_import_images_options *options,
                                              cohort_result **out);

// A log of events in text, in any order and of any size: lines that name an entity (a customer), a
// time, and what happened. The dataset has their events in order, and samples: an entity at a
// cut-off with the events before it, and whether another one follows within the label's window; or
// the next item. Times without a zone are UTC.
typedef struct cohort_import_events_options {
  const char *output;
  const char *const *files; // one log, in one or several files with the same columns
  int64_t file_count;
  const char *entity, *time, *item; // columns; item NULL = none
  const char
      *time_format;   // of times, as of strptime: "%d/%m/%Y", or "ms"; NULL = ISO 8601, or seconds
  const char *amount; // a number of the columns: "Quantity*UnitPrice"; NULL = none
  const char *where;  // which lines count: "Quantity > 0"; NULL = all
  const char *basket; // column of what is bought at once; NULL = what has one time,
  const char *session_gap;    // or by "30m": events no further apart; NULL = none
  const char *const *columns; // further ones: "COL" (a category), "COL:number"
  int64_t column_count;
  const char *const *cutoffs; // "2011-09-01"; of several the last one tests
  int64_t cutoff_count;
  const char *gap, *label_window; // "7d", "90d": after the cut-off; gap NULL = none
  // Names of targets, of which there is one at least: whether an event falls into the window, how
  // many purchases do, and the sum of their amounts.
  const char *label, *label_count, *label_amount;
  bool allow_censored; // windows may end after the last event
  // Instead of labels: "leave-one-out", "session", or "time:T" (from T on is test).
  const char *next_item;
  bool keep_new_items;  // of "time:T": items never bought before T are targets of test rows, too
  int64_t least_events; // entities with fewer before a cut-off are left out
  bool no_rfm;          // without recency, frequency, monetary value and tenure as columns
  // A table of the items, of which there is one join, by `item`: its numbers and categories become columns of
  // the events, a column of images ("TABLE.COLUMN=image"), and one of texts, what items look like and say.
  // Types and ignored columns, image_width … as of cohort_import_csv_options.
  cohort_tables tables;
  const char *const *types, *const *ignored;
  int64_t type_count, ignored_count;
  int64_t image_width, image_height, channels;
  const char *fit;
  const char *delimiter;        // one character, or "tab" (default: found out)
  cohort_source_options source; // but for on_error and max_errors
  const char *temporary_folder; // for what does not fit into memory; NULL = beside the output
  uint64_t seed;
  bool force; // as for idx
} cohort_import_events_options;
COHORT_API cohort_status cohort_import_events(cohort_context *context,
                                              const cohort_import_events_options *options,
                                              cohort_result **out);

// A table (CSV, JSON lines, SQLite; cohort_source_options): types of columns are found out, or given; the result
// tells the schema, which is stored in the dataset. Lists are pointers with a count.
typedef struct cohort_import_csv_options {
  const char *output;       // NULL = only the schema, as the result's text
  const char *const *files; // one table, in one or several files …
  int64_t file_count;
  const char *training, *validation, *test; // … or one file for each split; NULL = not given
  const char *schema;                       // YAML file; what is given below has the last word
  const char *const *targets, *const *ignored, *const *types, *const *strip_suffixes,
                                                                  *const *header;
  int64_t target_count, ignored_count, type_count, strip_suffix_count, header_count;
  const char *key;      // column of texts that name rows; NULL = none
  const char *positive; // of binary targets: the positive value; NULL = by its text, else the rarer
  const char *delimiter;     // one character, or "tab"; NULL = found out
  const int64_t *skip_lines; // before the header: of each file, the last for all that follow
  int64_t skip_line_count;
  const char *
      split; // "random:0.7,0.1,0.2" (NULL), "stratified:…", "hash:COL:…", "column:COL", "time:[COL:]DATE,DATE"
  double validation_fraction; // of `training` without `validation`; < 0 = 0.1
  uint64_t seed;
  bool force;             // as for idx
  const char *duplicates; // rows that repeat an earlier one: "keep" (NULL), "drop", "fail"
  const char *where;      // condition of the rows that count: "Quantity > 0"; NULL = all
  // Of columns of type image, whose cells name files from the table's folder: as for images; 0, NULL =
  // as they are, or as the schema says.
  int64_t image_width, image_height, channels;
  const char *fit;
  cohort_source_options source;
  cohort_tables tables;
  // Rows as samples of the entity that a column names: splits part no entity's rows. With a column of
  // dates (of a joined table TABLE.COLUMN) and a log each sees the events of its entity before its date.
  // Of `events` count its files and what lines are: entity, time, item, amount, where, basket, columns,
  // no_rfm. NULL = not samples, none.
  const char *entity, *as_of;
  const cohort_import_events_options *events;
} cohort_import_csv_options; // types are "COLUMN=TYPE", suffixes "COLUMN=TEXT"
COHORT_API cohort_status cohort_import_csv(cohort_context *context,
                                           const cohort_import_csv_options *options,
                                           cohort_result **out);

// A dataset.h5, or a raw table in text, which becomes a temporary dataset for the call.
typedef struct cohort_data {
  const char *dataset;
  // Of a raw table, as of cohort_import_csv_options.
  const char *const *targets;
  int64_t target_count;
  const char *key, *schema, *split;
  uint64_t seed;
  cohort_source_options source; // of a raw table; the temporary dataset lies in its folder, too
  cohort_tables tables;
} cohort_data;

// What makes a model's figures look better than they are, or can teach it nothing: "findings", each
// with id, severity ("error", "warning"), column or rows, message and way_out.
typedef struct cohort_data_check_options {
  cohort_data data;
  bool strict; // a finding is status 10
} cohort_data_check_options;
COHORT_API cohort_status cohort_data_check(cohort_context *context,
                                           const cohort_data_check_options *options,
                                           cohort_result **out);

// What every column holds, over all rows and by split.
typedef struct cohort_data_profile_options {
  cohort_data data;
  const char *rows_of; // the split that the text shows; NULL = all rows
  int width;           // columns of the text; 0 = 100
} cohort_data_profile_options;
COHORT_API cohort_status cohort_data_profile(cohort_context *context,
                                             const cohort_data_profile_options *options,
                                             cohort_result **out);

// The first rows, with names of classes in place of codes.
typedef struct cohort_data_show_options {
  cohort_data data;
  const char *rows_of; // split; NULL = all rows
  int64_t rows;        // at most 100,000; 0 = 10
  bool csv;            // text as CSV, every column, instead of a table
  int width;           // of the table; 0 = 100
  // Instead of rows, a PNG file with images of as many of them (0 = 100), evenly spaced; NULL = none.
  const char *sheet;
  bool force; // replace it
} cohort_data_show_options;
COHORT_API cohort_status cohort_data_show(cohort_context *context,
                                          const cohort_data_show_options *options,
                                          cohort_result **out);

// Removes customers from a dataset.h5, which is written anew without their rows, events and values,
// verified, and takes the old one's place. Models trained on it before keep what they learned.
typedef struct cohort_data_erase_options {
  const char *dataset;
  const char *const *keys;
  int64_t key_count;
  const char *keys_file; // one a line; NULL = none
  const char *key_file;  // the keys become pseudonyms under the key in it; NULL = as they are
  bool allow_missing;    // keys that no row has; else status 4
} cohort_data_erase_options;
COHORT_API cohort_status cohort_data_erase(cohort_context *context,
                                           const cohort_data_erase_options *options,
                                           cohort_result **out);

// A config with the inputs that tell of the targets by themselves, judged on training rows.
typedef struct cohort_select_options {
  cohort_config config;
  const char *dataset;
  const char *method; // "mutual_information" (NULL), "correlation", "permutation", "l1"
  // Of permutation: a run, checkpoint or model file; by how much worse its metric becomes on validation
  // rows, "[OUTPUT.]ID"; NULL = its loss.
  const char *model, *metric;
  int64_t top;        // so many of the best; 0 = by score
  double min_score;   // < 0 = beyond what chance gives
  const char *output; // YAML
  bool force;
} cohort_select_options;
COHORT_API cohort_status cohort_select(cohort_context *context,
                                       const cohort_select_options *options, cohort_result **out);

// Customers from a known process (datasets/synthesize.h), as CSV.
typedef struct cohort_synthesize_options {
  const char *output; // "-" = standard output
  const char *truth;  // CSV of true probabilities; NULL = none
  int64_t rows;
  uint64_t seed;
  bool leak; // one more column, which is known after the fact alone
  bool force;
} cohort_synthesize_options;
COHORT_API cohort_status cohort_synthesize(cohort_context *context,
                                           const cohort_synthesize_options *options,
                                           cohort_result **out);

#ifdef __cplusplus
}
#endif
#endif
