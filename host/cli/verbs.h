// SPDX-License-Identifier: Apache-2.0
// The verbs and the options each hands on to its work.
#ifndef COHORT_CLI_VERBS_H
#define COHORT_CLI_VERBS_H

#include "host/cli/cli.h"

extern const cli_verb cli_verb_import, cli_verb_plan, cli_verb_train, cli_verb_experiment,
    cli_verb_evaluate, cli_verb_predict, cli_verb_export, cli_verb_convert, cli_verb_report,
    cli_verb_verify, cli_verb_inspect, cli_verb_init_config, cli_verb_render, cli_verb_schema,
    cli_verb_doctor, cli_verb_data, cli_verb_select, cli_verb_synthesize, cli_verb_hyperopt,
    cli_verb_compare, cli_verb_watch, cli_verb_bench, cli_verb_explain, cli_verb_similar,
    cli_verb_generate, cli_verb_help;

// Of event logs.
typedef struct cli_event_options {
  cli_list logs, columns, cutoffs, samples;
  const char *as_of; // of samples
  const char *entity, *time, *item, *amount, *where, *basket, *time_format, *session_gap, *gap,
      *label_window, *label, *label_count, *label_amount, *next_item, *temporary_folder;
  int64_t least_events; // CLI_UNSET = 0
  bool allow_censored, no_rfm, keep_new_items;
} cli_event_options;

// Of images in files.
typedef struct cli_image_options {
  const char *size, *fit, *labels;
  int64_t channels, max_pixels; // CLI_UNSET = 0
} cli_image_options;

// How the rows of a raw table are read.
typedef struct cli_source {
  const char *encoding, *decimal, *source_table, *query, *on_error, *max_errors;
  bool no_quotes;
  cli_list pseudonymized;
  const char *key_file;
} cli_source;
cohort_source_options cli_source_options(const cli_source *source);

// Of ways in which a GPU's libraries compute.
typedef struct cli_autotune {
  const char *when, *cache; // NULL = the user's
} cli_autotune;
co_status cli_autotune_cache(const char **out, cli_job *cli, const cli_autotune *autotune);

// Tables that are joined to it.
typedef struct cli_tables {
  cli_list joins, carried, sources;
} cli_tables;
cohort_tables cli_joined_tables(const cli_tables *tables);
// --max-time [[DD:]HH:]MM:SS to seconds.
co_status cli_read_time(const char *text, double *seconds);

typedef struct cli_import_options {
  cli_common common; // --seed, --force
  const char *output;
  int format;                                        // idx, csv, events, images; -1 = not given
  const char *training[2], *validation[2], *test[2]; // images, labels, or a table; NULL = not given
  double validation_fraction;
  cli_list class_names;
  // Of tables.
  cli_list files, targets, ignored, types, strip_suffixes, header;
  const char *key, *split, *positive, *delimiter, *schema, *duplicates;
  cli_list skip_lines;
  bool print_schema;
  cli_event_options events;
  cli_image_options images;
  cli_source source;
  cli_tables tables;
} cli_import_options;
// "64x48", NULL = 0 x 0.
co_status cli_image_size(int64_t *width, int64_t *height, const char *text);
// The import of a folder of images, as cohort_import_images.
co_status cli_import_images(cohort_context *context, const cli_import_options *options,
                            cohort_result **result);
// The import of event logs, as cohort_import_events.
cohort_import_events_options cli_events_request(const cli_import_options *options);
co_status cli_import_events(cohort_context *context, const cli_import_options *options,
                            cohort_result **result);

typedef struct cli_plan_options {
  cli_common common; // -c, -s, --device, --threads
  const char *dataset;
  int mode;           // 0 = train, 1 = infer
  int64_t batch_size; // CLI_UNSET = the config's
  const char *run_dir;
} cli_plan_options;

typedef struct cli_train_options {
  cli_common common;   // -c, -s, --device, --threads, --seed, --dry-run
  const char *dataset; // NULL = the config's
  cli_list targets;
  const char *key, *schema;
  const char *run_dir, *output_directory, *experiment; // NULL = by default
  const char *init_from;                               // NULL = no
  const char *resume; // NULL = no, "" = what is in the run directory, "auto", else a run or file
  const char *placement;
  cli_autotune autotune;
  int64_t workers;
  bool eager, refit, profile, find_learning_rate, find_batch_size;
  const char *fast_dev_run; // NULL = no, "" = one batch, else how many
  int64_t overfit_batches;  // CLI_UNSET = not given
  const char *max_time;     // NULL = no limit
  cli_source source;
  cli_tables tables;
} cli_train_options;

typedef struct cli_experiment_options {
  cli_common common;   // -c, -s, --device, --threads, --seed
  const char *dataset; // NULL = the config's
  int64_t k_fold;      // CLI_UNSET = not given
  int64_t seeds;       // CLI_UNSET = not given
  const char *folds;
  const char *run_dir, *output_directory, *experiment, *resume; // as for training
  const char *placement, *init_from;
  cli_autotune autotune;
  int64_t workers;
} cli_experiment_options;

typedef struct cli_hyperopt_options {
  cli_common common;   // -c, -s, --device, --threads, --seed, --force
  cli_list operands;   // what to do; a study, but of run
  const char *dataset; // NULL = the config's, else the study's
  const char *output;  // run: the study; best: a config
  const char *name, *placement, *max_time, *init_from;
  int64_t trials, jobs, k_fold, seeds, top, trial; // CLI_UNSET = not given
  cli_autotune autotune;
  int64_t workers;
  bool retry_failed, follow;
} cli_hyperopt_options;

typedef struct cli_evaluate_options {
  cli_common common; // --device, --threads
  cli_list models;
  const char *dataset, *split;
  cli_list requirements; // "accuracy>=0.9"
  int64_t batch_size;    // CLI_UNSET = the model's
  int64_t workers, draws;
  cli_autotune autotune;
  cli_source source;
  cli_list sources;
  const char *by;
  cli_list profit; // "tp=10", …
  bool exclude_seen;
} cli_evaluate_options;

typedef struct cli_predict_options {
  cli_common common; // --device, --threads, --force
  cli_list models;
  const char *ensemble, *temporary_folder, *dataset, *split, *output, *key;
  bool calibrated, exclude_seen;
  cli_autotune autotune;
  int64_t batch_size; // CLI_UNSET = the model's
  int64_t workers;
  cli_source source;
  cli_list sources;
  const char *as_of, *population;
  int64_t top_k;   // CLI_UNSET = all classes
  int64_t reasons; // CLI_UNSET = none
  const char *format, *table, *if_exists, *shard;
  const char *manifest;
  bool resume;
  int64_t save_rows, require_rows; // CLI_UNSET = by default
  const char *max_drift, *scored_at, *holdout;
  cli_list passthrough;
  cli_list columns;
} cli_predict_options;

typedef struct cli_explain_options {
  cli_common common; // --device, --threads, --force
  const char *model, *dataset, *split, *key, *output, *target, *class_, *as_of;
  cli_source source;
  cli_list sources, keys;
  int64_t rows, steps, events; // CLI_UNSET = by default
  int64_t workers;
} cli_explain_options;

typedef struct cli_generate_options {
  cli_common common; // --device, --precision, --threads, --seed, --force
  const char *model, *output;
  int64_t count;
} cli_generate_options;

typedef struct cli_similar_options {
  cli_common common; // --device, --threads
  const char *model, *dataset, *split, *measure;
  cli_list keys;
  int64_t top; // CLI_UNSET = by default
  int64_t workers;
} cli_similar_options;

typedef struct cli_export_options {
  cli_common common; // --force
  cli_list formats;  // exactly one: "c", "onnx"
  const char *model, *output;
} cli_export_options;

typedef struct cli_report_options {
  cli_common common; // --device, --threads, --force
  cli_list runs;     // exactly one
  const char *output, *dataset, *split, *study;
  cli_list profit;
  int64_t workers;
} cli_report_options;

typedef struct cli_watch_options {
  cli_common common;
  cli_list runs;
} cli_watch_options;

typedef struct cli_bench_options {
  cli_common common; // -c, -s, --device, --precision, --threads, --seed
  const char *dataset;
  int64_t rounds, workers; // CLI_UNSET = the default
  double seconds;          // NAN likewise
} cli_bench_options;

typedef struct cli_compare_options {
  cli_common common; // --device, --threads, --seed
  cli_list runs;
  const char *dataset, *split;
  int64_t draws, workers;
  bool csv;
} cli_compare_options;

typedef struct cli_verify_options {
  cli_common common;   // -c, -s, --seed, --device, --threads
  cli_list properties; // exactly one: "parity", "resume", "determinism"
  const char *dataset;
  // Of parity.
  const char *model, *split;
  int64_t batch_size; // CLI_UNSET = the model's, at most 16
  double tolerance;
  // Of the others.
  const char *run_dir;
  int64_t kills, workers; // CLI_UNSET = not given
} cli_verify_options;

typedef struct cli_data_options {
  cli_common common; // --seed, --force
  cli_list operands; // what to do, and the dataset
  cli_list targets;  // of a raw table, as are the next two
  const char *schema, *split_rule;
  cli_list keys;         // of a raw table the key column; erase: customers
  const char *keys_file; // erase: NULL = none
  const char *split;     // profile, show: NULL = all rows
  int64_t rows;          // show: CLI_UNSET = 10
  bool strict, csv;      // check; show
  const char *sheet;     // show: NULL = none
  bool allow_missing;    // erase
  cli_source source;
  cli_tables tables;
} cli_data_options;

typedef struct cli_select_options {
  cli_common common; // -c, -s, --force
  const char *dataset, *method, *model, *metric, *output;
  int64_t top;      // CLI_UNSET = by score
  double min_score; // NAN = beyond chance
} cli_select_options;

typedef struct cli_synthesize_options {
  cli_common common; // --seed, --threads, --force
  const char *output, *truth;
  int64_t rows;
  bool leak;
} cli_synthesize_options;

typedef struct cli_inspect_options {
  cli_common common;
  cli_list files; // exactly one
} cli_inspect_options;

typedef struct cli_init_config_options {
  cli_common common;                              // -c, -s, --force
  const char *dataset, *preset, *target, *output; // NULL = none, stdout
} cli_init_config_options;

typedef struct cli_render_options {
  cli_common common;                    // -c, -s, --force
  const char *model, *dataset, *output; // NULL = none, none, stdout
} cli_render_options;

typedef struct cli_doctor_options {
  cli_common common;
} cli_doctor_options;

typedef struct cli_help_options {
  cli_common common;
  cli_list verbs; // at most two
} cli_help_options;

// Rows that several verbs' tables share; `struct_` is the verb's options struct, which has the
// member that the row fills.
#define CLI_ROW_MODEL(struct_)                                                                     \
  {                                                                                                \
    .name = "model", .letter = 'm', .kind = CLI_TEXT, .offset = offsetof(struct_, model),          \
    .value = "MODEL", .doc = "run directory, checkpoint or model file", .aliases = "model-path",   \
    .required = true                                                                               \
  }
#define CLI_ROW_DATASET(struct_)                                                                   \
  {                                                                                                \
    .name = "dataset", .kind = CLI_TEXT, .offset = offsetof(struct_, dataset), .value = "FILE",    \
    .doc = "dataset.h5", .required = true                                                          \
  }
// Of verbs that have a config, which may name one.
#define CLI_ROW_CONFIG_DATASET(struct_)                                                            \
  {                                                                                                \
    .name = "dataset", .kind = CLI_TEXT, .offset = offsetof(struct_, dataset), .value = "FILE",    \
    .doc = "dataset.h5; overrides the config's"                                                    \
  }
#define CLI_ROW_SPLIT(struct_, doc_, fallback_)                                                    \
  {                                                                                                \
    .name = "split", .kind = CLI_TEXT, .offset = offsetof(struct_, split), .value = "NAME",        \
    .doc = doc_, .fallback = fallback_                                                             \
  }
#define CLI_ROW_BATCH_SIZE(struct_, doc_)                                                          \
  {                                                                                                \
    .name = "batch-size", .kind = CLI_INT, .offset = offsetof(struct_, batch_size), .value = "N",  \
    .doc = doc_, .minimum = 1, .maximum = 1 << 24                                                  \
  }
#define CLI_ROW_WORKERS(struct_)                                                                   \
  {                                                                                                \
    .name = "workers", .kind = CLI_INT, .offset = offsetof(struct_, workers), .value = "N",        \
    .doc = "threads that prepare batches", .fallback = "2", .minimum = 0, .maximum = 256           \
  }

#define CLI_ROW_PLACEMENT(struct_)                                                                 \
  {                                                                                                \
    .name = "dataset-placement", .kind = CLI_TEXT, .offset = offsetof(struct_, placement),         \
    .value = "WHERE",                                                                              \
    .doc = "where a GPU reads rows: device (its memory) or host (with each batch)",                \
    .fallback = "auto"                                                                             \
  }
// Of verbs that compute on a GPU; `autotune` is a cli_autotune.
#define CLI_ROWS_AUTOTUNE(struct_, fallback_)                                                      \
  {.name = "autotune",                                                                             \
   .kind = CLI_TEXT,                                                                               \
   .offset = offsetof(struct_, autotune.when),                                                     \
   .value = "WHEN",                                                                                \
   .doc = "on a GPU, time its libraries' ways and take the fastest: auto, again or off",           \
   .fallback = fallback_},                                                                         \
  {                                                                                                \
    .name = "autotune-cache", .kind = CLI_TEXT, .offset = offsetof(struct_, autotune.cache),       \
    .value = "FILE", .doc = "where they are kept; by default autotune.tsv in ~/.cache/cohort"      \
  }
// Of verbs that read what a model scores: several tables, or a log as of a day.
#define CLI_ROWS_EVENTS(struct_)                                                                   \
  {.name = "source",                                                                               \
   .kind = CLI_LIST,                                                                               \
   .offset = offsetof(struct_, sources),                                                           \
   .value = "NAME=SOURCE",                                                                         \
   .doc = "in place of --dataset: of a model of several tables each, repeatable; of one of "       \
          "events events=LOG, and ITEMS=FILE, a newer table of its items, called as in training: " \
          "those that are new are then known by their rows"},                                      \
  {                                                                                                \
    .name = "as-of", .kind = CLI_TEXT, .offset = offsetof(struct_, as_of), .value = "T",           \
    .doc = "of a log: events before T count"                                                       \
  }

#define CLI_ROWS_TABLES(struct_)                                                                   \
  {.name = "join",                                                                                 \
   .kind = CLI_LIST,                                                                               \
   .offset = offsetof(struct_, tables.joins),                                                      \
   .value = "FILE:COL",                                                                            \
   .doc =                                                                                          \
       "join table FILE, whose key COL the rows have as well (COL=KEY if it has another "          \
       "name, COL,COL2 if it has several columns, TABLE.COL to one joined before); repeatable"},   \
      {.name = "source",                                                                           \
       .kind = CLI_LIST,                                                                           \
       .offset = offsetof(struct_, tables.sources),                                                \
       .value = "NAME=SOURCE",                                                                     \
       .doc = "raw tables: where table NAME of the schema is; repeatable"},                        \
  {                                                                                                \
    .name = "carry", .kind = CLI_LIST, .offset = offsetof(struct_, tables.carried),                \
    .value = "NAME", .doc = "a joined table that models take along, so that scoring needs none"    \
  }

#define CLI_ROWS_SOURCE(struct_)                                                                   \
  {.name = "encoding",                                                                             \
   .kind = CLI_TEXT,                                                                               \
   .offset = offsetof(struct_, source.encoding),                                                   \
   .value = "NAME",                                                                                \
   .doc = "raw text: its encoding (latin1, windows-1252, utf-16, ...); default UTF-8"},            \
      {.name = "no-quotes",                                                                        \
       .kind = CLI_FLAG,                                                                           \
       .offset = offsetof(struct_, source.no_quotes),                                              \
       .doc = "raw CSV: a quote is a character as any other"},                                     \
      {.name = "decimal",                                                                          \
       .kind = CLI_TEXT,                                                                           \
       .offset = offsetof(struct_, source.decimal),                                                \
       .value = "C",                                                                               \
       .doc =                                                                                      \
           "raw CSV: the decimal mark of numbers, . (default) or , as in 9,38; then a . parts\n"   \
           "thousands (1.234,56), and 9.38 is none"},                                              \
      {.name = "source-table",                                                                     \
       .kind = CLI_TEXT,                                                                           \
       .offset = offsetof(struct_, source.source_table),                                           \
       .value = "TABLE",                                                                           \
       .doc = "of a database: the table to read"},                                                 \
      {.name = "query",                                                                            \
       .kind = CLI_TEXT,                                                                           \
       .offset = offsetof(struct_, source.query),                                                  \
       .value = "SQL",                                                                             \
       .doc = "of a database: the rows to read"},                                                  \
      {.name = "on-error",                                                                         \
       .kind = CLI_TEXT,                                                                           \
       .offset = offsetof(struct_, source.on_error),                                               \
       .value = "WHAT",                                                                            \
       .doc = "rows that cannot be taken: fail, skip, quarantine (into OUTPUT.rejects.csv)"},      \
      {.name = "pseudonymize",                                                                     \
       .kind = CLI_LIST,                                                                           \
       .offset = offsetof(struct_, source.pseudonymized),                                          \
       .value = "COL",                                                                             \
       .doc = "keep hashes under a secret key of a column's values; repeatable"},                  \
      {.name = "key-file",                                                                         \
       .kind = CLI_TEXT,                                                                           \
       .offset = offsetof(struct_, source.key_file),                                               \
       .value = "FILE",                                                                            \
       .doc = "that key, 16 to 64 bytes"},                                                         \
  {                                                                                                \
    .name = "max-errors", .kind = CLI_TEXT, .offset = offsetof(struct_, source.max_errors),        \
    .value = "N|P%", .doc = "how many of them may be (default 1%)"                                 \
  }

#endif
