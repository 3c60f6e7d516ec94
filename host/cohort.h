// SPDX-License-Identifier: Apache-2.0
// The public interface of libcohort, unstable until 1.0. Every verb of the command line is one of
// these functions. The library has no globals, reads no environment, installs no signal handler,
// and writes only what it is asked to.
//
// Ownership: cohort_result objects are the caller's (cohort_result_free); strings read from one are
// borrowed from it. Options are only read during the call; zeroed, they mean what is said
// below, and what has no default is required (status 2 without it). Text is UTF-8. A context serves
// one call at a time; several contexts may be used from several threads if HDF5 was built to be
// thread-safe. Nothing aborts or exits; `options` and `out` must not be NULL unless it is said.
//
// Recurrent layers on CUDA have equal bits in each run only in a process whose environment has
// CUBLAS_WORKSPACE_CONFIG=:4096:2 before a device is opened; the program and the Python module set it.
#ifndef COHORT_COHORT_H
#define COHORT_COHORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define COHORT_API __attribute__((visibility("default")))
#else
#define COHORT_API
#endif

// What a function returns: 0, or the exit code of the command line (README, "Exit codes").
typedef int cohort_status;

typedef struct cohort_context cohort_context;
typedef struct cohort_result cohort_result;

// "0.1.0"
COHORT_API const char *cohort_version(void);

typedef enum cohort_log_level {
  COHORT_LOG_ERROR,
  COHORT_LOG_WARN,
  COHORT_LOG_INFO,
  COHORT_LOG_DEBUG,
  COHORT_LOG_TRACE
} cohort_log_level;

// One record; called from any thread, one at a time.
typedef void (*cohort_log_function)(void *user, int level, const char *event, const char *text);
// `done` of `total` units (0 = unknown) of a stage; `detail` may be NULL. `done` < 0 ends a stage.
typedef void (*cohort_progress_function)(void *user, const char *stage, const char *unit,
                                         int64_t done, int64_t total, const char *detail);

// An epoch of a training (or what was done of the last one) and its validation. NAN: there is none.
typedef struct cohort_epoch {
  int64_t step;           // steps done since the run began
  int64_t number, of;     // which epoch, from 1; of how many at most
  double train_loss;      // mean since the last record (trainer.log_every_n_steps)
  double validation_loss; // total loss on the validation split
  const char *metric;     // trainer.validation_metric; "loss" where none is chosen
  double metric_value;    // on the validation split
  bool best;              // no epoch before was better in it
  double learning_rate;   // of the last step
  double rows_per_second; // while training; without validation and checkpoints
  double seconds;         // since the last call, or since training began or went on
} cohort_epoch;
// Called on the thread that trains. `epoch` and its text are borrowed for the call. True ends the
// training there, as early stopping does.
typedef bool (*cohort_epoch_function)(void *user, const cohort_epoch *epoch);

struct cohort_error; // below
// Asked before an HDF5 file without a checksum of Cohort's is opened (datasets/README.md): a damaged
// one can crash the HDF5 library or keep it busy for ever, so whoever can has another process read
// it first, by cohort_probe. 0: it could be read. Else the status to fail with, `failure` where the
// file is at fault, and *error, whose texts are read before the next call.
typedef cohort_status (*cohort_probe_function)(void *user, const char *path, cohort_status failure,
                                               struct cohort_error *error);
// Called from any thread, often, whenever a piece of work was done (an operation, a block of a file):
// the next call comes within `seconds`, or something is stuck. It must return at once. Before the
// first call nothing has been begun that would have to be finished.
typedef void (*cohort_alive_function)(void *user, int seconds);

typedef struct cohort_context_options {
  int threads; // 0 = one for each core that CPU set and container quota leave, within the limit
  const char *threads_why; // in a few words, for the log, where the number comes from; may be NULL
  int thread_limit;        // more threads are refused (status 6); 0 = no limit
  const char *limit_why;   // in a few words, for the error, where the limit comes from; may be NULL
  int log_level;           // cohort_log_level: what is graver or equal is passed on
  cohort_log_function log; // NULL = silent
  void *log_user;
  cohort_progress_function progress; // NULL = none
  void *progress_user;
  // Set to non-zero (a signal's number) to finish the step, save and return 128 + it; NULL = never.
  const volatile int *stop;
  // Each change of the number asks a training, which answers after the step in work and goes on:
  // for a checkpoint; for a line in the log of where it stands. NULL = never.
  const volatile int *checkpoint, *status;
  cohort_epoch_function epoch; // after each epoch of a training; NULL = none
  void *epoch_user;
  cohort_probe_function probe; // NULL = such files are opened as they are
  void *probe_user;
  cohort_alive_function alive; // NULL = nobody asks
  void *alive_user;
  int standard_output; // the descriptor that an output "-" is written to; 0 = 1
} cohort_context_options;

// `options` NULL = all defaults, warnings as the level. Fails only without memory; *out is then NULL.
COHORT_API cohort_status cohort_context_create(cohort_context **out,
                                               const cohort_context_options *options);
// After the results of its calls have been freed. NULL is legal.
COHORT_API void cohort_context_free(cohort_context *context);

// ---- results -----------------------------------------------------------------------------------
// Functions give a result on success and on failure alike (NULL only without memory), and return the
// status of its first error. What it says stays until it is freed; `result` must not be NULL.
COHORT_API const char *cohort_result_json(const cohort_result *result); // one JSON document
COHORT_API const char *cohort_result_text(const cohort_result *result); // the same for people
typedef struct cohort_error {
  cohort_status status;
  const char *code;    // "config", "data", …
  const char *message; // one line
  const char *file;    // "" if not about a place
  long line, column;   // 1-based, 0 = unknown
  const char *hint;    // "" if none
} cohort_error;
COHORT_API int64_t cohort_result_error_count(const cohort_result *result);
// Fills *out with error i, from 0; false if there is none.
COHORT_API bool cohort_result_error(const cohort_result *result, int64_t i, cohort_error *out);
COHORT_API void cohort_result_free(cohort_result *result); // NULL is legal

// ---- verbs -------------------------------------------------------------------------------------
// Where a config comes from: files merged left to right, then assignments "a.b=c".
typedef struct cohort_config {
  const char *const *files;
  int64_t file_count;
  const char *const *assignments;
  int64_t assignment_count;
} cohort_config;

// How the rows of a raw table are read: text (CSV, JSON lines; plain or gzip; "-" is standard input) or
// a database ("sqlite:FILE"). Zeroed it means what is said here.
typedef struct cohort_source_options {
  const char *encoding; // of text, as iconv names it: "latin1", "utf-16", …; NULL = UTF-8
  bool no_quotes;       // of CSV: a quote is a character as any other
  const char *source_table, *query; // of a database: a table, or SQL that reads rows
  // Rows that cannot be taken: "fail" (the first is the end), "skip", "quarantine" (they go into
  // OUTPUT.rejects.csv). NULL = fail, when scoring quarantine. And how many may be before all fails:
  // "N" rows or "P%" of them; NULL = "1%".
  const char *on_error, *max_errors;
  // Columns whose cells become keyed hashes (datasets/pseudonym.h), under the key in a file. Where the
  // schema, or that of a model, names such columns, they need not be given again.
  const char *const *pseudonymized;
  int64_t pseudonymized_count;
  const char *key_file;
  const char *temporary_folder; // where standard input lies meanwhile; NULL = /tmp
} cohort_source_options;

// Raw tables besides the first, to each of whose rows the one with its key is joined; it lacks their
// columns where none has. Where there is a schema file it names them.
typedef struct cohort_tables {
  // "FILE:COLUMN", or "FILE:COLUMN=KEY" where the key of FILE has another name than the column with
  // it in the first table, or "FILE:TABLE.COLUMN" where that is in a table joined before; several
  // columns have commas between them. The table is called by its file, without folder and ending.
  const char *const *joins;
  int64_t join_count;
  const char *const *carried; // names of those that travel in models
  int64_t carried_count;
  const char *const *sources; // "NAME=SOURCE": where tables of a schema, the first included, are
  int64_t source_count;
} cohort_tables;

typedef struct cohort_train_options {
  cohort_config config;       // of a raw table may be none: then the preset auto
  const char *dataset;        // overrides the config's; NULL = the config's. A raw table in text
                              // is imported, and becomes the run's dataset.h5
  const char *const *targets; // of a raw table
  int64_t target_count;
  const char *key, *schema;     // of a raw table; NULL = none, see cohort_import_csv_options
  cohort_source_options source; // of a raw table
  cohort_tables tables;         // of raw tables; with sources there is no `dataset`
  const char *preset;           // YAML in place of config files; NULL = none
  bool own_dataset;             // `dataset`, a file beside the run's folder, is moved into it
  const char *run_dir;          // exact directory; NULL = one below output_directory
  const char *output_directory; // default "runs"
  const char *experiment;       // default: the first config file's stem
  const char *resume; // a run directory to continue, "auto" (start, continue or nothing to
                      // do), NULL = a new run
  // A run directory or model file of a network: a new run begins with its weights and statistics, where
  // name and shape agree (CO_ERR_MODEL where none does); what is fitted to rows (scales, vocabularies) is
  // fitted to the new ones. A run that goes on has its own weights. NULL = all are drawn.
  const char *init_from;
  const char *device; // "auto", "cpu", "ref", "cuda[:N]"; NULL = "auto". "auto" is the run's where
                      // one goes on
  const char *placement; // where a GPU reads the dataset from: "device" (its own memory), "host"
                         // (each batch brings its rows), "auto" (NULL): device where it fits
  const char *precision; // "tf32", "32" or "bf16" instead of the config's; NULL = the config's
  const char *command;   // recorded in the run; may be NULL
  int threads, workers;  // 0 = the run's where one goes on, else the context's; 0 = 1 loader thread
  // On a GPU, of several ways in which its libraries compute an operation: "off" (NULL) takes each
  // library's first; "auto" those of the run that goes on, else those that were the fastest earlier, with
  // this device and library, else the fastest of eight that are timed now, for 20 seconds at most; "again"
  // times them whatever was chosen. Which way decides roundings: equal bytes need equal choices. A run
  // keeps them (autotune.tsv) and is resumed with them; one that there no longer is, is CO_ERR_DEVICE.
  const char *autotune;
  const char *autotune_cache; // a file for "earlier", made where it is not; NULL = none
  bool dry_run;               // validate and plan only
  bool eager;                 // on a GPU, operation by operation instead of recorded: to debug
  bool refit;                 // as trainer.refit: true in the config
  // Seconds after which the step in work is finished, a checkpoint written and 75 returned; 0 = no
  // limit.
  double max_seconds;
  bool profile; // of a network on the CPU: time by layer, in RUN/profile.json
  // A rehearsal on so many batches for training and validation, with all that a run writes, in a
  // temporary folder that goes; 0 = none.
  int64_t fast_dev_run;
} cohort_train_options;
COHORT_API cohort_status cohort_train(cohort_context *context, const cohort_train_options *options,
                                      cohort_result **out);

// A range test: 100 steps at rates from 1e-6 to 10; of those the one at which the loss falls most.
// Nothing is kept.
COHORT_API cohort_status cohort_find_learning_rate(cohort_context *context,
                                                   const cohort_train_options *options,
                                                   cohort_result **out);
// The largest power of two, from 16, for which a training fits into memory by its plan, or all training
// rows are one batch. Nothing is trained.
COHORT_API cohort_status cohort_find_batch_size(cohort_context *context,
                                                const cohort_train_options *options,
                                                cohort_result **out);

// A training in the caller's hands. cohort_train opens one, advances it until it is done and closes it;
// whoever does the same in other portions comes to the same bytes. Every call is the context's: one at
// a time. Once one has failed, those that follow give its status again, and closing tells why.
typedef struct cohort_training cohort_training;
typedef struct cohort_training_state {
  int64_t step, steps; // done since the run began; of how many at most
  int64_t epoch,
      epochs;  // in which the last step was, from 1, 0 = none is done; of how many at most
  double loss; // mean of the last record (trainer.log_every_n_steps); NAN = there is none yet
  double gradient_norm,
      learning_rate; // of the last step; NAN before it and where there is none such
  bool done;         // nothing is left but to close it, which writes the model
} cohort_training_state;
// What `options` name is borrowed until the training is closed. *out is NULL only without memory: what
// failed to open is to be closed, too.
COHORT_API cohort_status cohort_training_open(cohort_training **out, cohort_context *context,
                                              const cohort_train_options *options);
// Does so many further steps, or all that are left, and what is due behind them (records, validation,
// checkpoints). What is no network is fitted in one.
COHORT_API cohort_status cohort_training_advance(cohort_training *training, int64_t steps);
COHORT_API void cohort_training_get_state(const cohort_training *training,
                                          cohort_training_state *out);
// Writes a checkpoint of where it stands.
COHORT_API cohort_status cohort_training_save(cohort_training *training);
// Makes the step that was done last the last one, as early stopping does; done already, that is nothing.
COHORT_API cohort_status cohort_training_end(cohort_training *training);
// Frees it, with the result of cohort_train. Where it was not done a checkpoint is written first, from
// which it can go on by `resume`, and the status is 75.
COHORT_API cohort_status cohort_training_close(cohort_training *training, cohort_result **out);

// Trains a model for each of several folds of a dataset's rows, or for each of several seeds, and
// measures it on rows that it did not see. Each fold is a run in a folder of its own, `fold-0`, …, whose trainer.seed is the
// config's + the fold's number; what is fitted is fitted on its training rows. The dataset's stored
// splits do not count. With seeds they do: runs are `seed-0`, …, measured on the test split (on
// validation where there is none), and there are no scores of all rows. The folder also has folds.csv, experiment.json (the result) and oof.csv: the
// scores of all rows, each by the model that did not see it.
typedef struct cohort_experiment_options {
  cohort_config config; // where one goes on may be none: then the one it began with
  const char *dataset;  // overrides the config's; NULL = the config's
  int64_t k_fold;    // so many folds of all rows (datasets/folds.h), seeded by trainer.seed; or …
  const char *folds; // … a table with the columns fold and validation, a line for each row; or …
  int64_t seeds;     // … so many runs over the stored splits, which differ by trainer.seed alone
  const char *run_dir, *output_directory, *experiment, *resume; // as for training
  const char *init_from; // likewise, of every run; one that goes on has its own
  const char *device, *placement, *precision, *command;
  const char *autotune, *autotune_cache;
  int threads, workers;
  bool eager; // these nine too
} cohort_experiment_options;
COHORT_API cohort_status cohort_experiment(cohort_context *context,
                                           const cohort_experiment_options *options,
                                           cohort_result **out);

// Searches for good values of a config's parameters, as its section `hyperopt` says: trials, several at
// once in this process, over one dataset in memory; the test split is never opened. A study is a
// database in Optuna's own form, with the trials' runs in the folder STUDY.trials. What is there goes on,
// where it is of the same config, dataset and seed; else status 9. The same study, seed and number of
// trials have the same trials and the same best model, whatever `jobs` is. A study that Optuna began goes
// on, too, if its goals and parameters are the config's; its trials count, and what it has enqueued runs.
typedef struct cohort_hyperopt_run_options {
  cohort_config config; // where a study goes on may be none: then its own
  const char *dataset;  // overrides the config's; NULL = the config's, else the study's
  const char *study;    // file
  const char *name;     // of the study; NULL = the only one of the file, of a new one the file's
                        // name without folder and ending
  int64_t trials;       // in all, those included that are there
  int64_t jobs;         // at once; 0 = 1
  // A model that each trial begins with, as for training; a study that goes on has its own.
  const char *init_from;
  const char *device, *placement, *command; // as for training
  const char *autotune, *autotune_cache;    // these two too
  int threads;                              // of each trial; 0 = hyperopt.threads
  int workers;
  double max_seconds;    // as for training
  int64_t k_fold, seeds; // in place of hyperopt.k_fold and hyperopt.seeds; 0 = as they are
  bool retry_failed;     // trials that have failed run once more
} cohort_hyperopt_run_options;
COHORT_API cohort_status cohort_hyperopt_run(cohort_context *context,
                                             const cohort_hyperopt_run_options *options,
                                             cohort_result **out);
// What the best trials are worth: they are trained again with seeds that had no part in the choice, in the
// folder STUDY.confirmed; of each the mean over those seeds and its 95 % t-interval. Kept in the study.
typedef struct cohort_hyperopt_confirm_options {
  const char *study;
  const char *name;                         // of one of several in the file; NULL = the only one
  const char *dataset;                      // NULL = the study's
  const char *init_from;                    // where the study's is now, NULL = where it was
  int64_t top, seeds;                       // trials, seeds of each (at least 2); 0 = 3, 5
  const char *device, *placement, *command; // as for training
  const char *autotune, *autotune_cache;    // these two too
  int workers;
} cohort_hyperopt_confirm_options;
COHORT_API cohort_status cohort_hyperopt_confirm(cohort_context *context,
                                                 const cohort_hyperopt_confirm_options *options,
                                                 cohort_result **out);
// What a study holds, of Optuna's making, too. `name`: of one of several in the file; NULL = the only one.
COHORT_API cohort_status cohort_hyperopt_show(cohort_context *context, const char *study,
                                              const char *name, cohort_result **out);
// The same once no process works on the study any more. Until then `shown` gets its trials as text, whenever
// they change; NULL = trials go to the log as they end.
typedef void (*cohort_text_function)(void *user, const char *text);
COHORT_API cohort_status cohort_hyperopt_follow(cohort_context *context, const char *study,
                                                const char *name, cohort_text_function shown,
                                                void *user, cohort_result **out);
// The complete config of the best trial: trained with it, the trial's model comes out byte for byte. Of a
// study that Optuna made, which has no config, only the trial's values, and no output.
typedef struct cohort_hyperopt_best_options {
  const char *study;
  const char *name;   // as for show
  const char *output; // YAML file; NULL = only in the result
  bool force;
  bool has_trial; // `trial` in place of the best, which a study with two goals has not
  int64_t trial;
} cohort_hyperopt_best_options; // and of an export, without a trial
COHORT_API cohort_status cohort_hyperopt_best(cohort_context *context,
                                              const cohort_hyperopt_best_options *options,
                                              cohort_result **out);
// A study as CSV, a line a trial, with columns as pandas has them of Optuna: number, value,
// datetime_start, datetime_complete, params_PATH, user_attrs_KEY, system_attrs_KEY, state. Without an output it is the result's text. Into a
// file that ends in .log or .jsonl as Optuna's journal, a line of JSON an operation.
COHORT_API cohort_status cohort_hyperopt_export(cohort_context *context,
                                                const cohort_hyperopt_best_options *options,
                                                cohort_result **out);

typedef struct cohort_evaluate_options {
  const char *model; // run directory, checkpoint or model file
  // A raw table is split as that of the training was, and must have the targets.
  const char *dataset;
  const char *split; // "train", "validation", "test"; NULL = "test"; of a raw table also "all"
  cohort_source_options source; // of a raw table
  const char *const *sources;   // in its place, of a model of several: as for scoring
  int64_t source_count;
  const char *device;    // "auto", "cpu", "ref", "cuda[:N]"; NULL = "auto"
  const char *precision; // "tf32", "32" or "bf16"; NULL = "tf32", however it was trained
  int threads, workers;  // 0 = the context's; 0 = 1 loader thread
  // As for training, but "auto" takes what the model's run has chosen first, where device and library are
  // the same, and what is timed now goes into the cache alone.
  const char *autotune, *autotune_cache;
  int64_t batch_size;         // rows, at most 2^24; 0 = the model's
  const char *const *require; // gates such as "accuracy>=0.9"
  int64_t require_count;
  int64_t draws;  // of the bootstrap behind the intervals; 0 = 1000, fewer of many rows, < 0 = none
  uint64_t seed;  // of those
  const char *by; // column by whose values metrics are told, too; NULL = none
  const char *const *profit; // what rows of binary targets bring: "tp=10", "fp=-1", "fn=…", "tn=…"
  int64_t profit_count;      // 0 = as the model's config says
  bool exclude_seen;         // of next items, rank only those that a sample's own history has not
  // Further models, measured on the same rows: "NAME=MODEL" or MODEL, as `model` then may be, too. The
  // document has a list "models" and "pairs", the differences of each from the first. Gates are for all.
  const char *const *more_models;
  int64_t more_model_count;
} cohort_evaluate_options;
COHORT_API cohort_status cohort_evaluate(cohort_context *context,
                                         const cohort_evaluate_options *options,
                                         cohort_result **out);

// Some scored rows, by columns, in their order. Borrowed for the call.
typedef enum cohort_score_type {
  COHORT_SCORE_TEXT,   // const char *
  COHORT_SCORE_NUMBER, // float
  COHORT_SCORE_INTEGER // int64_t
} cohort_score_type;
typedef struct cohort_scores {
  int64_t first, rows; // how many came before; how many these are, at most 4,096
  int64_t column_count;
  const char *const *names;
  const cohort_score_type *types;
  const void *const *values; // of each column as many as rows
} cohort_scores;
// Called on the thread that scores; at least once.
typedef void (*cohort_scores_function)(void *user, const cohort_scores *scores);

typedef struct cohort_predict_options {
  // The dataset: a dataset.h5, a raw table, or a folder or archive (tar, zip) of images, named by their files, of which those
  // that cannot be read are left out (source.on_error "skip" or "fail", source.max_errors).
  const char *model, *dataset;
  const char *split; // NULL = all rows
  // A file, by `format` "csv", "tsv" (values in quotes where they need them), "jsonl" or "h5", NULL = by its
  // name, else csv; "-" = standard output; "sqlite:FILE", "postgresql://…": a table of a database, made if it is not
  // there. If it is, "fail" (NULL), "append", "replace" (made anew) or "upsert" (rows in place of those
  // with their key). All rows are committed at once.
  const char *output, *format, *table, *if_exists;
  // What is written of each row, in this order: "WHAT", "OUTPUT.WHAT" (else of the first output),
  // "WHAT=NAME" to rename it, WHAT being key, prediction, score, label, probabilities, top3 (the likeliest
  // classes with their scores), reasons (or reasons5: the three, or five, columns of the source with the
  // largest shares in the score, what the row has there, and the share, of log-odds), rank, percentile, decile, reconstruction_error, embedding, kl (of a variational
  // bottleneck, of each of its numbers), model (its
  // weights_sha256), scored_at, holdout. Rank 1, the first percentile and decile have the highest scores; rows of equal
  // scores share them. They are of all rows scored. None = the key, and
  // what the outputs' types have.
  const char *const *columns;
  int64_t column_count;
  // What was done: rows, columns, hashes, time. NULL = beside a file, OUTPUT.manifest.json, beside a
  // database in a file, FILE.TABLE.manifest.json; of standard output none.
  const char *manifest;
  // Goes on where the same job was killed, to the same result; begins where there was none, and does
  // nothing where it is complete. A job of other rows, of another model or with other options is
  // refused. `save_rows`: rows between two positions that are safe on disk, 0 = 65,536.
  bool resume;
  int64_t save_rows;
  // Gates, status 10: nothing is written. "psi=0.25": the most that an input or the scores may differ from
  // those of the training, by psi, ks, the share that is missing beyond that of the training, or the
  // share unseen; several by commas. Rows that have to be scored, at least.
  const char *max_drift;
  int64_t require_rows;
  // Columns that follow the others: of the source, as they are; `scored_at`, the caller's; `holdout`, "10%"
  // or "10%:NAME": 1 for so many rows, by a hash of NAME and the key, who stay the same from job to job.
  const char *const *passthrough;
  int64_t passthrough_count;
  const char *scored_at, *holdout;
  const char *shard; // "I/N": the I-th of N contiguous parts of the rows; NULL = all
  const char *device, *precision;
  int threads, workers;
  const char *autotune, *autotune_cache; // these six as for evaluation
  int64_t batch_size;
  bool force;      // replace an existing output; only regular files are, and none that is read
  bool calibrated; // probabilities after temperature scaling; else as the network gives them
  const char *key; // of a raw table as dataset: the column that names rows; NULL = as
                   // where the model was trained, else their number
  // Of a raw table; its rows lie meanwhile in source.temporary_folder if the output is "-".
  cohort_source_options source;
  // In place of a dataset: raw tables "NAME=SOURCE", by the names that the model was trained with; of
  // joined ones that it carries they need not be given. Of models of event logs it is events=LOG: of
  // the events before `as_of` ("2011-09-01") each entity is scored that has some, in ascending order,
  // or those of `population`, a table with their column, in its order.
  const char *const *sources;
  int64_t source_count;
  const char *as_of, *population;
  int64_t top_k;     // of outputs of one of several classes only the so many likeliest; 0 = all
  int64_t reasons;   // columns with so many reasons of the first output follow; 0 = none
  bool exclude_seen; // of next items, those of a sample's own history have the score 0
  cohort_scores_function take; // gets the rows in place of `output`; there is no manifest then
  void *take_user;
  // Further models, which score the same rows, read once: "NAME=MODEL" or MODEL, called as its folder or
  // file (as `model` is, too). Their outputs, NAME_OUTPUT, stand side by side; or `ensemble` makes one
  // score of all: "mean" of theirs, "rank_mean" of the share of rows that score no higher. Of an
  // experiment, as any of them, all models are members; NULL is then "mean". Tables are scored so.
  const char *const *more_models;
  int64_t more_model_count;
  const char *ensemble;
  // Where rows and scores lie meanwhile; NULL = beside the output.
  const char *temporary_folder;
} cohort_predict_options;
COHORT_API cohort_status cohort_predict(cohort_context *context,
                                        const cohort_predict_options *options, cohort_result **out);

// Several runs over one dataset, beside each other: in what their configs differ, their metrics with
// intervals, and of each run but the first the paired differences from it, with a p-value. Validation rows
// are not scored anew where a run has kept its scores of them (RUN/scores.h5).
typedef struct cohort_compare_options {
  const char *const *runs; // directories; at least two
  int64_t run_count;
  const char *dataset;  // NULL = the one that their run.json name
  const char *split;    // NULL = "validation"
  const char *device;   // as for evaluation
  int threads, workers; // these two too
  int64_t draws;        // of the bootstrap, as for evaluation
  uint64_t seed;        // of it
  bool csv;             // text as CSV, a line for each run
} cohort_compare_options;
COHORT_API cohort_status cohort_compare(cohort_context *context,
                                        const cohort_compare_options *options, cohort_result **out);

// Follows a run that another process trains to its end, by what it writes: epochs go to the context's
// `epoch` (and the log), where it stands to `progress`. Returns as the run ended: 0, 75 where it was stopped,
// its own status where it failed, 137 where its process is gone. Nothing is changed.
COHORT_API cohort_status cohort_watch(cohort_context *context, const char *run,
                                      cohort_result **out);

// How fast a config trains and scores the rows of a dataset: medians and ranges of rounds, beside what the
// machine can do. Nothing is kept.
typedef struct cohort_bench_options {
  cohort_config config;
  const char *dataset; // NULL = the config's
  const char *device, *precision;
  int threads, workers; // as for a training
  int64_t rounds;       // 0 = 5, at most 100
  double seconds;       // of a round, about; 0 = 1
} cohort_bench_options;
COHORT_API cohort_status cohort_bench(cohort_context *context, const cohort_bench_options *options,
                                      cohort_result **out);

// What made the scores of rows: effects of columns, in log-odds of a binary target (of one of several classes
// the logit of the likeliest, or of `class_`; of a number its unit), against the mean training row; they
// add up to what the row's value is above that row's. Integrated gradients of networks at `steps` points,
// exact shares of linear models and SVMs, SHAP values of trees. Of other models exit code 3.
typedef struct cohort_explain_options {
  const char *model, *dataset; // as cohort_predict_options has these …
  const char *split, *key;
  cohort_source_options source;
  const char *const *sources;
  int64_t source_count;
  const char *as_of;       // … seven
  const char *const *keys; // the rows of these keys; none = the first
  int64_t key_count, rows; // `rows` of them; 0 = all into a file, else five
  const char *target;      // which output; NULL = the first
  const char *class_;      // of one of several classes; NULL = of each row the likeliest
  // A CSV file with the key, column, value and effect, a line for each column, the reference's value before
  // them; or JSON lines (.jsonl). NULL = the result has the rows. Of a network
  // whose only input is an image also a page (.html) with maps: integrated gradients of pixels, occlusion,
  // Grad-CAM; `rows` 0 = 24 images.
  const char *output;
  int64_t steps; // 0 = 32
  // Of a model of events: in place of columns the last so many events of each row, at most 1000, and the
  // score as they came. The file then has the key, event, values, effect and score. 0 = columns.
  int64_t events;
  const char *device;
  int threads, workers;
  bool force;
} cohort_explain_options;
COHORT_API cohort_status cohort_explain(cohort_context *context,
                                        const cohort_explain_options *options, cohort_result **out);

// The rows of a dataset whose embeddings are nearest to those of some: look-alikes. Of a model with a
// bottleneck; of others exit code 3.
typedef struct cohort_similar_options {
  const char *model, *dataset; // a dataset.h5, a folder or an archive of images
  const char *split;           // among whose rows; NULL = all. The row itself is left out.
  const char *const *keys;     // of the rows that others are compared to
  int64_t key_count, top;      // so many of each; 0 = 10
  const char *measure;         // "cosine" (also NULL) or "euclidean"
  const char *device;
  int threads, workers;
} cohort_similar_options;
COHORT_API cohort_status cohort_similar(cohort_context *context,
                                        const cohort_similar_options *options, cohort_result **out);

// Images that a model's output of type generator, or a variational autoencoder, makes of noise, by the seed and
// the number of each alone. A model without one is exit code 5.
typedef struct cohort_generate_options {
  const char *model;
  const char *output; // a picture of all of them (.png), or a dataset (.h5)
  int64_t count;      // 0 = 64
  uint64_t seed;
  const char *device, *precision; // as cohort_predict_options has them
  int threads;
  bool force; // replace an existing output
} cohort_generate_options;
COHORT_API cohort_status cohort_generate(cohort_context *context,
                                         const cohort_generate_options *options,
                                         cohort_result **out);

// A model as something else: "c", a program of one C11 file that scores tables (CSV) or images (IDX) as
// cohort_predict does, to rounding, and needs libc and libm alone. Exit code 5 names what there
// is no such thing of: predictors of trees, inputs of events. "onnx": ONNX, IR version 8, opset 17, with an
// input for each column, and what can be computed of the preprocessing in the graph; of sequences, too.
typedef struct cohort_export_options {
  const char *model, *format, *output;
  bool force; // replace an existing output
} cohort_export_options;
COHORT_API cohort_status cohort_export(cohort_context *context,
                                       const cohort_export_options *options, cohort_result **out);

// A model of Keras 1 to 3 (`file`, HDF5 or a .keras archive) as a model of Cohort's that scores the
// same. What there is no equal layer or option for is exit code 5, by its name.
typedef struct cohort_convert_options {
  const char *file, *output;
  // [NAME=]COLUMN[:SCALE], NAME as Keras calls the input, of each or of none: in order; without any, one input is
  // the only input column, several are called as in Keras.
  const char *const *inputs;
  const char *const *outputs; // [NAME=]TARGET; without any, called as Keras' layers
  // [NAME=]20x3: the whole shape of an input, without the batch, where the file leaves lengths or sizes open.
  const char *const *input_shapes;
  int64_t input_count, output_count, input_shape_count;
  bool force; // replace an existing output
} cohort_convert_options;
COHORT_API cohort_status cohort_convert(cohort_context *context,
                                        const cohort_convert_options *options, cohort_result **out);

// A run as one page of HTML that asks for nothing else: how good its model is, on what it relies, how
// it learned, what its data are like. Rows of the split are scored; of no other is more than the
// profile shown.
typedef struct cohort_report_options {
  const char *run; // its directory, with run.json, metrics.jsonl and a model or checkpoint; or
      // the file of a study, of which only these count: `study_name`, `output`, `force`
  const char *study_name; // of one of several in the file; NULL = the only one
  const char *output;     // HTML file
  const char *dataset;    // NULL = the one that run.json names
  const char *split;      // NULL = "validation"
  const char *device;     // as for evaluation
  int threads, workers;
  const char *const *profit; // as for evaluation
  int64_t profit_count;
  bool force; // replace an existing output
} cohort_report_options;
COHORT_API cohort_status cohort_report(cohort_context *context,
                                       const cohort_report_options *options, cohort_result **out);

typedef struct cohort_plan_options {
  cohort_config config;
  const char *dataset;   // overrides the config's; NULL = the config's
  const char *device;    // as for training; CUDA is planned for without a device, driver or GPU
  const char *precision; // as for training
  bool inference;        // plan scoring instead of training
  int64_t batch_size;    // rows, at most 2^24; 0 = the config's
  int threads;           // 0 = the context's
  const char
      *run_dir; // tell in which ways this run computes on its GPU; NULL = in the libraries' first
} cohort_plan_options;
COHORT_API cohort_status cohort_plan(cohort_context *context, const cohort_plan_options *options,
                                     cohort_result **out);

// Whether a device calculates what the reference does: one batch through inference, and through
// training with its gradients, on the device in float and on the reference in double, from the same
// weights, inputs and dropout masks. Compared are every layer's output, predictions, losses, every
// gradient and running statistics, each by max |a - b| / max |b| over the tensor, b being the
// reference's. (What is zero but for rounding is told in the size of the terms that cancel.) By
// default as much is allowed as rounding makes of the tensor, which is measured by rounding at
// random after each operation of the reference, and a little besides: 1e-4, in tf32 1e-3, in bf16
// 0.25 for gradients and 0.05 for all else. A gradient out of tolerance, or uncertain because ReLU
// or max pooling may decide otherwise within rounding, is looked at in up to three further batches;
// the one that tells most counts.
// Status 10 if a tensor is out of tolerance: the error names the first one's layer.
typedef struct cohort_verify_parity_options {
  const char *model; // run directory, checkpoint or model file
  const char *dataset;
  const char *split;     // whose first rows are taken; NULL = "train"
  const char *device;    // as for training
  const char *precision; // of the device; NULL = "32"
  int threads;
  int64_t batch_size; // 0 = the model's, at most 16; never more than the split has
  double tolerance;   // largest difference allowed; 0 = what rounding allows
} cohort_verify_parity_options;
COHORT_API cohort_status cohort_verify_parity(cohort_context *context,
                                              const cohort_verify_parity_options *options,
                                              cohort_result **out);

// Whether two trainings of one config end with the same bytes. Compared are every tensor and byte of
// model.h5, every line of metrics.jsonl and the checkpoints. Status 10 if something differs; the
// error names the first tensor or line, the result "first_difference".
typedef struct cohort_verify_runs_options {
  cohort_train_options training; // of both, over a dataset file; how a run begins, goes on, ends by
                                 // time, and its folder are left alone
  const char *run_dir;           // new folder for the runs, which stay; NULL = a temporary one …
  const char *temporary_folder;  // … in this; NULL = /tmp
  int64_t kills;                 // of cohort_verify_resume: how often the second run is killed …
  uint64_t seed;                 // … at different steps that are drawn from this
  // Begins or continues the run in `run_dir`, by the same options, in another process, which is
  // killed by SIGKILL when it has done `step` steps. 0 if it was; else the exit code.
  int (*train_and_kill)(void *user, const char *run_dir, int64_t step);
  void *kill_user;
} cohort_verify_runs_options;
// The first run undisturbed, the second killed and resumed.
COHORT_API cohort_status cohort_verify_resume(cohort_context *context,
                                              const cohort_verify_runs_options *options,
                                              cohort_result **out);
// The first with one loader thread, the second with three.
COHORT_API cohort_status cohort_verify_determinism(cohort_context *context,
                                                   const cohort_verify_runs_options *options,
                                                   cohort_result **out);

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
  const char *amount;               // a number of the columns: "Quantity*UnitPrice"; NULL = none
  const char *where;                // which lines count: "Quantity > 0"; NULL = all
  const char *basket;               // column of what is bought at once; NULL = what has one time,
  const char *session_gap;          // or by "30m": events no further apart; NULL = none
  const char *const *columns;       // further ones: "COL" (a category), "COL:number"
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

COHORT_API cohort_status cohort_import_events(cohort_context *context,
                                              const cohort_import_events_options *options,
                                              cohort_result **out);

// ---- looking at data ---------------------------------------------------------------------------
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

typedef struct cohort_render_options {
  cohort_config config;
  const char *model; // a run, checkpoint or model, whose config it is instead of files; NULL = none
  const char *dataset; // NULL = leave features as written
  const char *output;  // YAML file; NULL = only in the result
  bool force;
} cohort_render_options;
COHORT_API cohort_status cohort_render_config(cohort_context *context,
                                              const cohort_render_options *options,
                                              cohort_result **out);

typedef struct cohort_init_config_options {
  cohort_config config; // a preset; without files one is chosen by the dataset
  const char *dataset;  // dataset.h5
  const char *target;   // the one to predict; NULL = all of the dataset's targets
  const char *output;   // YAML file; NULL = only in the result
  bool force;
} cohort_init_config_options;
// A config to begin with: the preset with a line for each column of the dataset, and comments that say
// what the column holds and which ones had better be left out.
COHORT_API cohort_status cohort_init_config(cohort_context *context,
                                            const cohort_init_config_options *options,
                                            cohort_result **out);

// A dataset, model, checkpoint or run directory.
COHORT_API cohort_status cohort_inspect(cohort_context *context, const char *path,
                                        cohort_result **out);
// Does all the reading through HDF5 that the others do of a dataset, model or checkpoint, and fails
// where they would for what is in it. Its result says nothing else.
COHORT_API cohort_status cohort_probe(cohort_context *context, const char *path,
                                      cohort_result **out);
// What configs may say, as JSON Schema (draft 2020-12): the result's text, and its key `schema`.
COHORT_API cohort_status cohort_schema(cohort_context *context, cohort_result **out);
// This machine: processor, memory, libraries, devices.
COHORT_API cohort_status cohort_doctor(cohort_context *context, cohort_result **out);
// What configs may say, with options, by topic: "config", "features", "encoders", "layers",
// "losses", "metrics", "predictors", "trainer", "optimizers"; "topics" lists them. Of one entry alone:
// "layers.Dense". Else CO_ERR_USAGE.
COHORT_API cohort_status cohort_describe(cohort_context *context, const char *topic,
                                         cohort_result **out);

#ifdef __cplusplus
}
#endif
#endif
