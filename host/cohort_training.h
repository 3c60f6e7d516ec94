// SPDX-License-Identifier: Apache-2.0
// Of libcohort (cohort.h): planning, training, verifying that training is exact.
#ifndef COHORT_COHORT_TRAINING_H
#define COHORT_COHORT_TRAINING_H

#include "cohort_sources.h"

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif
#endif
