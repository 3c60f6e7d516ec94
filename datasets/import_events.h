// SPDX-License-Identifier: Apache-2.0
// Imports a log of events (datasets/event_log.h) into dataset.h5: a table of entities, their events
// in order of time, and samples, each of which sees the events before its cut-off.
#ifndef COHORT_DATASETS_IMPORT_EVENTS_H
#define COHORT_DATASETS_IMPORT_EVENTS_H

#include "datasets/event_log.h"
#include "datasets/import.h"
#include "datasets/recipe.h"
#include "datasets/split_rows.h"
#include "host/core/file.h"
#include "host/core/schema.h"

#ifdef __cplusplus
extern "C" {
#endif

// How events are made of a log's lines: what a model has to know to score another log.
typedef struct co_event_recipe {
  const char *entity, *time; // columns
  const char *time_format;   // as of co_event_log_options
  bool decimal_comma;   // of the log's numbers, and of those of the items, as of co_rows_options
  const char *encoding; // of the log that samples see; NULL = UTF-8
  const char *item, *basket; // columns, NULL = none
  int64_t
      session_gap; // seconds: events no further apart are of one purchase; 0 = by basket, or time
  const char *amount, *where; // expressions, NULL = none
  const char *const *columns; // further ones, "COL" or "COL:category", "COL:number"
  int64_t column_count;
  // A table of the items: its name, NULL = none; its column with them; its columns that events have,
  // "COL:category" or "COL:number".
  const char *items, *items_key;
  const char *const *item_columns;
  int64_t item_column_count;
  // Its columns with what items look like and say, and how pictures are made; NULL = there is none.
  const char *items_picture, *items_fit, *items_text;
  bool rfm; // samples have recency, frequency, monetary and tenure
} co_event_recipe;

typedef enum co_sampling {
  CO_SAMPLE_CUTOFFS,       // an entity at each cut-off: does an event follow within the window?
  CO_SAMPLE_LEAVE_ONE_OUT, // an event and all before it: the last tests, the last but one validates
  CO_SAMPLE_SESSIONS,      // the same; the last session tests, the last but one validates
  CO_SAMPLE_TIME,          // the same; targets from a time on test
  CO_SAMPLE_AS_OF,         // an entity at one time, without a target: for scoring
  CO_SAMPLE_ROWS           // rows that others write, each of an entity at a time of its own
} co_sampling;

struct co_dataset_writer;
struct co_text;

// Columns of samples that are listed.
#define CO_SAMPLES_TIME "cutoff"
#define CO_SAMPLES_SPLIT "split"

typedef struct co_import_events_options {
  const char *output;
  co_atomic_file *temporary; // not NULL: handed out here, a temporary beside `output`
  const char *const *files;
  const char *const *shown; // what messages call them; NULL = the paths
  int64_t file_count;
  co_rows_options rows; // how files are read
  co_event_recipe recipe;
  co_sampling sampling;
  const int64_t *cutoffs; // seconds; of CO_SAMPLE_TIME and CO_SAMPLE_AS_OF one
  int64_t cutoff_count;
  int64_t gap, window; // seconds: labels are of [cut-off + gap, cut-off + gap + window)
  const char *labels[CO_LABEL_KIND_COUNT]; // names of the targets of cut-offs, NULL = there is none
  bool keep_new_items; // of CO_SAMPLE_TIME: test rows may have targets that were never had before
  bool allow_censored; // windows may end after the last event
  // Of cut-offs and a scoring, not NULL: no dataset is made, what samples there are is appended here, as CSV of
  // the entity and CO_SAMPLES_TIME, of cut-offs with CO_SAMPLES_SPLIT and labels.
  struct co_text *listed;
  int64_t least_events; // entities with fewer are left out; 0 = none are
  co_split_rule split;  // of entities, where one cut-off does not decide it: random
  uint64_t seed;
  bool force;
  const char *temporary_folder; // NULL = beside the output
  size_t memory;                // as of co_event_log_options
  // Of scoring: the model's columns, whose categories are the only ones there are; the entities to be
  // scored, in this order. NULL = what occurs.
  const co_schema *schema;
  // Of the table of items: what is known of it, with one join, where its columns are found out (then the
  // recipe has none); else how it is read. And where it is, and what messages call it.
  const co_recipe *joined;
  co_rows_options item_rows;
  const char *items_path, *items_shown;
  struct co_items *surveyed; // of CO_SAMPLE_ROWS: found out already, taken from here
  bool newcomers;            // of scoring: it may tell of items that the schema has not
  bool members; // … and of what they look like and say, which makes them classes of their own
  const char *
      target; // … that this target of the model has, too, whether the log has them or not; NULL = none
  const char *const *population;
  int64_t population_count;
  // Of CO_SAMPLE_ROWS: the rows' entities, by their place in the population, and times. What is added to
  // `into`, which has the entities and samples, are the events and their ranges; `output` is what
  // temporaries may lie beside.
  struct co_dataset_writer *into;
  const char *entity; // what the entities are called there
  const int64_t *row_entity, *row_date;
  int64_t row_count;
  co_import_progress progress; // in bytes of the files; may be NULL
  void *progress_user;
  const volatile int *stop;
} co_import_events_options;

typedef struct co_import_events_result {
  int64_t rows[3]; // samples per split
  int64_t lines, events, entities, items;
  int64_t no_entity, no_time, no_value, excluded, unseen, unknown_targets;
  int64_t empty,
      late; // of CO_SAMPLE_ROWS: see no event; are of after the last one. Of CO_SAMPLE_AS_OF the former …
  int64_t unknown;          // … and of both, those whose entity has no event at all
  int64_t unlisted;         // items that the table of items lacks
  int64_t newcomers;        // items that the schema lacks and the table has
  co_new_classes new_items; // … as classes, where members are asked for
  int64_t positives;        // of labels
  size_t spilled;
  bool up_to_date;
  char source[65]; // SHA-256 of the files as they were read
  char fingerprint[65];
} co_import_events_result;

// The output appears whole or not at all; an equal one is left alone, another is CO_ERR_IO without
// `force`. CO_ERR_DATA as of co_event_log_read, for cut-offs outside the log, and for windows that
// end after it.
co_status co_import_events(co_import_events_result *out, co_context *ctx, co_arena *arena,
                           const co_import_events_options *options);

// A model's column of events that an import calls `name`; NULL = it has none. Columns of the samples may be called
// so, too.
const co_column *co_event_find(const co_schema *schema, const char *name);
// Whether a model's column is one that events bring: of theirs, or of rfm.
bool co_event_column(const co_schema *schema, const co_column *column);

// Whether events, or their samples, call columns of their own so.
bool co_event_name_reserved(const char *name);

// The recipe as YAML (its texts in quotes as in JSON), under the key `events`.
co_status co_event_recipe_print(co_text *out, const co_event_recipe *recipe);

#ifdef __cplusplus
}
#endif
#endif
