// SPDX-License-Identifier: Apache-2.0
// Of libcohort (cohort.h): searching for good values of a config's parameters.
#ifndef COHORT_COHORT_HYPEROPT_H
#define COHORT_COHORT_HYPEROPT_H

#include "cohort_sources.h"

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif
#endif
