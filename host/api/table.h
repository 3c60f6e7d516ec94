// SPDX-License-Identifier: Apache-2.0
// Tables in text, shared by the verbs that take them: recipes from options and schema files, imports
// on the way to a training, raw rows for a model.
#ifndef COHORT_HOST_API_TABLE_H
#define COHORT_HOST_API_TABLE_H

#include "datasets/import_csv.h"
#include "datasets/raw_rows.h"
#include "host/api/api.h"
#include "host/eval/ensemble.h"
#include "host/persist/model_file.h"

// The files of tables (NULL: one that is not there), of which those that can be read but once lie in temporaries meanwhile. To be
// ended in any case; of a zeroed one that is legal.
typedef struct co_table_files {
  const char **paths, **shown;
  co_atomic_file *spooled; // parallel to them
  int64_t count;
} co_table_files;
// What is read of a server: the options say it of the first file, of another its `rows`, where there are
// some.
co_status co_table_files_begin(co_table_files *files, cohort_context *context, co_arena *arena,
                               const char *const *paths, const co_rows_options *const *rows,
                               int64_t count, const cohort_source_options *options);
void co_table_files_end(co_table_files *files);
// How a file is to be read, if `path` (NULL is legal) names the server that it was read from.
void co_table_files_adapt(co_rows_options *rows, const char *path);

// The recipe that options and their schema file make. `problems` takes what is wrong in the file.
co_status co_table_recipe(co_recipe *out, const cohort_import_csv_options *options, co_arena *arena,
                          co_diagnostics *problems);
// Imports by the options; the result's schema is the arena's. `temporary` and `dataset` as
// of co_import_csv_options; `rejects`: what their file is named after, NULL = the
// output, of a temporary nothing.
co_status co_table_import(co_import_csv_result *out, cohort_context *context, co_arena *arena,
                          const cohort_import_csv_options *options, co_atomic_file *temporary,
                          co_dataset **dataset, const char *rejects, co_diagnostics *problems);
// What is told of it.
void co_table_import_report(cohort_result *result, const char *output,
                            const co_import_csv_result *done, const co_dataset *dataset);
// Adds a schema file's table to a recipe; a file named there becomes recipe->file.
co_status co_table_read_schema(co_recipe *recipe, const char *path, co_arena *arena,
                               co_diagnostics *problems);
// The same of a schema that is text, called `name` in messages.
co_status co_table_parse_schema(co_recipe *recipe, const char *name, const char *text,
                                co_arena *arena, co_diagnostics *problems);
// A column of the recipe, added where it is not listed; NULL = no memory.
co_recipe_column *co_table_column(co_recipe *recipe, co_arena *arena, const char *name);
co_status co_table_set_key(co_recipe *recipe, co_arena *arena, const char *name);
// Adds a joined table, to the first or to one that is there, by so many columns; its key is called as `on`
// where it has none.
co_status co_table_add_join(co_recipe *recipe, co_arena *arena, const co_recipe_join *join,
                            int64_t column_count);
// The table of the items of the log that samples see. CO_ERR_USAGE where there is one, or by its name.
co_status co_table_add_items(co_recipe *recipe, co_arena *arena, const co_recipe_join *join);
// CO_ERR_USAGE for a second source of a table; with `logs`, several are one log.
co_status co_table_check_repeated(const char *const *sources, int64_t count, bool logs);
// The sources "NAME=FILE" of one name.
co_status co_table_list_sources(const char *const **out, int64_t *count, const char *const *sources,
                                int64_t source_count, const char *name, co_arena *arena);
// Rows are samples of the entity in a column, at the date in another (NULL = at none).
co_status co_table_set_samples(co_recipe *recipe, co_arena *arena, const char *entity,
                               const char *as_of);
// What --join, --carry and --source say of tables besides the first; its own source becomes
// recipe->file.
co_status co_table_read_joins(co_recipe *recipe, const cohort_tables *tables, co_arena *arena);
// The first of these options that is given, NULL if none is.
const char *co_table_joins_option(const cohort_tables *tables);
co_status co_table_share_pseudonyms(co_recipe *recipe, co_arena *arena);
// "," or "."; else CO_ERR_USAGE.
co_status co_table_parse_decimal(bool *comma, const char *text);
// All tables and the log have the mark of the first table, where the options give one.
co_status co_table_share_decimal(co_recipe *recipe, const cohort_source_options *options,
                                 co_arena *arena);
// How the log of a recipe is read: with its pseudonyms.
co_rows_options co_table_log_rows(const co_recipe *recipe);
// --dataset and --source.
co_status co_table_refuse_both(void);
// CO_ERR_DATA: nobody said where the table is.
co_status co_table_no_source(const co_recipe *recipe, const char *table);
// CO_ERR_DATA where a joined table has no file.
co_status co_table_check_sources(const co_recipe *recipe);
// Of a joined table in a database, where nothing says which, the one of its name there.
void co_table_name_sources(co_recipe *recipe);
// One character, or "tab". CO_ERR_USAGE.
co_status co_table_parse_delimiter(char *out, const char *text);

// A training whose dataset may be a raw table: then `options` are the session's, over the imported
// dataset. To be ended in any case.
typedef struct co_table_training {
  co_context *ctx;
  co_arena *arena; // NULL where the dataset is none
  cohort_train_options options;
  char *output;        // the dataset of a run that goes on, else what `file` is beside
  co_atomic_file file; // the dataset until it moves into the run
  bool resumed;
  int64_t training_rows;
  co_text preset;
} co_table_training;
co_status co_table_training_begin(co_table_training *training, cohort_context *context,
                                  const cohort_train_options *options, co_diagnostics *problems);
void co_table_training_end(co_table_training *training);

// Whether rows become the same dataset for both.
bool co_table_same_columns(const co_model_file *a, const co_model_file *b);

// The models of a scoring.
typedef struct co_model_list {
  const char **names, **paths; // what columns call them, where there are several; their files
  int64_t count;
  co_ensemble_kind ensemble;
  // Of raw rows: which of a part's datasets is each model's; NULL = the first. Of a log of events they
  // are these.
  const int64_t *dataset_of;
  const char *const *datasets;
  int64_t dataset_count;
  const co_new_classes *const *new_classes; // that they have beside the models'; NULL = none
} co_model_list;

// What "NAME=MODEL" or MODEL names: of the latter its folder or file.
co_status co_model_name(const char **name, const char **path, co_arena *arena, const char *text);
// CO_ERR_USAGE where two have one name.
co_status co_model_list_check(const co_model_list *list);

// A scoring whose dataset may be a raw table: then its rows lie in `parts`. Models that take in the same
// columns share datasets. To be ended in any case.
struct co_scored_table;
typedef struct co_table_scoring {
  cohort_context *context;
  co_context *ctx;
  co_arena *arena; // NULL where the dataset is none
  cohort_predict_options options;
  co_raw_parts parts;
  struct co_scored_table *tables; // one for each of a part's datasets
  int64_t table_count;
  co_table_files files;
  co_raw_rows_result result;
  co_reject_rule reject;
  char first_reject[240]; // of those some model cannot take: its row and why
  co_reject_file
      *reject_file; // rows that some model cannot take may follow; NULL = there is none yet
  bool members;
  bool measured;
  co_split_rule rule; // of a model that is measured
  uint64_t seed;
} co_table_scoring;
// Sets list->dataset_of. `members` as of co_event_scoring.
co_status co_table_scoring_begin(co_table_scoring *scoring, cohort_context *context,
                                 const cohort_predict_options *options, bool members,
                                 co_model_list *list);
// The same to measure one model on a split of the rows, "all" being all of them; it then is "test". Then
// `options` name the dataset.
co_status co_table_measuring_begin(co_table_scoring *scoring, cohort_context *context,
                                   const cohort_predict_options *options);
// A row of a part that no model can take after all, for `reason`; with `on_error` fail that is an error.
co_status co_table_scoring_reject(co_table_scoring *scoring, const co_raw_part *part, int64_t at,
                                  const char *key, const char *reason);
// Once all are known: CO_ERR_DATA if there are more than may be. Their file appears.
co_status co_table_scoring_settle(co_table_scoring *scoring);
void co_table_scoring_report(const co_table_scoring *scoring, co_json *json, co_text *text);
void co_table_scoring_end(co_table_scoring *scoring);

// Whether a dataset is raw: standard input, a database, a file of text, or gzip.
bool co_table_is_raw(const char *path, const cohort_source_options *options);

// An option of raw tables beside a dataset that is none: CO_ERR_USAGE, with what it is.
co_status co_table_refuse_option(const char *option, const char *path);

// What of these options is about reading; the recipe has what it says of them otherwise.
// Opens the key of pseudonyms, if one is given; the arena's.
co_status co_table_read_options(co_rows_options *out, const cohort_source_options *options,
                                co_arena *arena);
// The first option of raw tables that is given, NULL if none is.
const char *co_table_source_option(const cohort_source_options *options);

#endif
