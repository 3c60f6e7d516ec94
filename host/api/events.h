// SPDX-License-Identifier: Apache-2.0
// Event logs, shared by the verbs that take them.
#ifndef COHORT_HOST_API_EVENTS_H
#define COHORT_HOST_API_EVENTS_H

#include "datasets/import_events.h"
#include "host/api/table.h"
#include "host/config/config.h"
#include "host/persist/model_file.h"

// What sources call the log.
#define CO_EVENTS_LOG "events"
// … and samples that are made of its cut-offs.
#define CO_EVENTS_SAMPLES "samples"

// A time that an option gives: ISO 8601, or as the log's are written (as of co_event_recipe.time_format), also
// without their time of day. CO_ERR_USAGE naming it.
co_status co_events_time(int64_t *out, const char *option, const char *text, const char *format);
// The same of a duration: "90d", "30m"; NULL leaves *out as it is.
co_status co_events_duration(int64_t *out, const char *option, const char *text);
// session_gap of the recipe.
co_status co_events_set_session_gap(co_event_recipe *out,
                                    const cohort_import_events_options *options);

// How the table of a log's items is read: as the log is, with the pseudonyms of `item` in its column `key`.
co_status co_events_item_rows(co_rows_options *out, const co_rows_options *log, const char *item,
                              const char *key, co_arena *arena);

// Where the lines of a log are, and its table of items, as far as a recipe says it.
typedef struct co_event_files {
  const char *const *logs;
  int64_t log_count;
  const char *items; // NULL = not said
} co_event_files;
// CO_ERR_USAGE: `what` is no table of items.
co_status co_events_only_items(const char *what);
// The same where it is called as the log is.
co_status co_events_check_items(const co_recipe_join *join);

// What `node`, a map under the key events, says.
co_status co_event_recipe_parse(co_event_recipe *out, co_event_files *files, const co_node *node,
                                co_arena *arena, co_diagnostics *problems);

// A scoring's table of items.
typedef struct co_event_items {
  const char *path, *shown; // NULL = not given
  bool members;             // as of co_event_scoring
  co_atomic_file *spooled;  // what the model has of it lies there, in a folder
  const char *folder;
} co_event_items;
// Where the columns of items stand that a model's events have: in the table given, else in the model.
co_status co_events_find_items(co_import_events_options *options, const co_event_recipe *recipe,
                               const co_model_file *file, const co_event_items *given,
                               co_context *ctx, co_arena *arena);

// The keys that a table has in column `entity`, in its order. CO_ERR_DATA where one is missing or there twice.
co_status co_events_population(const char *const **out, int64_t *count, co_context *ctx,
                               co_arena *arena, const char *path, const char *entity);
// Whether rows are samples that can be made of one time: their entity is the log's, their date in a column of theirs.
bool co_events_samples_of_time(const co_recipe *recipe);
// CO_ERR_MODEL: nobody could score a log with it.
co_status co_events_no_recipe(const char *model);

// How some of the models read a log, and the temporary dataset that it became for them.
typedef struct co_event_reading {
  co_model_file file; // of the first of these models
  co_event_recipe recipe;
  co_atomic_file dataset;
  co_atomic_file items; // the table of items that the model has, meanwhile
  co_import_events_result result;
} co_event_reading;

// A scoring whose rows may come from an event log: then `options` name a temporary dataset. To be
// ended in any case.
typedef struct co_event_scoring {
  cohort_context *context;
  co_context *ctx;
  co_arena *arena; // NULL where there is no log
  cohort_predict_options options;
  int64_t as_of;
  co_table_files log;
  bool members; // models are not open yet: they may be told what new items look like and say
  const char *const *population; // as of co_import_events_options
  int64_t population_count;
  co_event_reading *readings;
  int64_t count;
} co_event_scoring;
// Sets list->datasets, of which models that read the log in the same way share one.
co_status co_event_scoring_begin(co_event_scoring *scoring, cohort_context *context,
                                 const cohort_predict_options *options, bool members,
                                 co_model_list *list);
void co_event_scoring_report(const co_event_scoring *scoring, co_json *json, co_text *text);
void co_event_scoring_end(co_event_scoring *scoring);

#endif
