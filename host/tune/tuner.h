// SPDX-License-Identifier: Apache-2.0
// A search: trials of a study, several at once, each a session over the one dataset in memory and a
// run in a folder of its own, which resumes exactly.
//
// Where results decide, trial n is begun when all trials up to n - lag are over, and chosen by their
// results alone, however many others have ended by then: so a study has the same trials whatever the number of workers. What
// a killed process left running goes on; it may be of another process of the same study, too: a file
// beside the run that is locked says that somebody works on it.
#ifndef COHORT_HOST_TUNE_TUNER_H
#define COHORT_HOST_TUNE_TUNER_H

#include "datasets/dataset.h"
#include "host/core/watch.h"
#include "host/tune/pruner.h"
#include "host/tune/sampler.h"
#include "host/tune/study.h"

typedef struct co_search {
  co_context *ctx;
  const co_watch *watch;
  const co_tune_settings *settings;
  const co_node *base; // the trials' config, without hyperopt
  uint64_t seed;
  bool maximize, maximize_second;
  co_dataset *dataset;
  co_dataset *const *folds; // as each fold sees it, of settings->k_fold; else not read
  co_study *study;
  const char *folder; // of the runs
  const char *device, *placement, *command, *autotune, *autotune_cache;
  const char *init_from; // a model that trials begin with; NULL = none
  int workers;
  int64_t trials, jobs; // trials there will be in all, begun before or now
  bool retry;           // what has failed runs once more
  int64_t max_epochs;   // of a trial
  double max_seconds;   // 0 = no limit
} co_search;

// CO_STOPPED where the time was over, CO_INTERRUPTED where that was asked: it can be called again.
co_status co_search_run(const co_search *search);
// The config of a trial: `base` with its values. *out is the arena's. A schema is needed only of
// spaces with features (co_space_has_features).
co_status co_trial_config(co_node **out, const co_node *base, const co_space *space,
                          const double *values, const co_schema *schema, co_arena *arena,
                          co_diagnostics *problems);
// The best of the trials that are complete and break no constraint, the first of equals; -1 = none.
int64_t co_trials_best(const co_trials *trials, bool maximize);
// Of a trial, its run below the folder, and the lock beside it; the arena's.
char *co_trial_run_path(co_arena *arena, const char *folder, int64_t number);

// ---- parts.c -----------------------------------------------------------------------------------
// A trial is one run, or one for each fold and seed, in folders of its own: one after the other, or, where
// a pruner compares by epochs, together, epoch by epoch.

typedef struct co_trial_job {
  int64_t id, number;
  const double *values;
  int64_t first_seed, seeds; // what is added to trainer.seed, from … so many
  const char *path;          // the run's, or the folder of several
  const co_watch *watch;
  double max_seconds;
  const co_pruner_view *pruner;
  // Called after each epoch, of several runs one after the other after each, in the thread that trains.
  co_status (*report)(void *user, int64_t step, double value);
  void *user;
} co_trial_job;

typedef struct co_trial_outcome {
  co_trial_state state;
  double value, second; // of the goals
  char reason[1200];    // of a failure
  const co_trial_value
      *steps; // the metric by epoch, of several runs one after the other by run; the
              // arena's
  int64_t step_count;
} co_trial_outcome;

// Trains, or goes on. What is the trial's own fault (it diverges, does not fit into memory, its config
// is none) is an outcome; what would befall all others too is an error.
co_status co_trial_train(co_trial_outcome *out, const co_search *search, const co_trial_job *job,
                         co_arena *arena);

// ---- trial.c -----------------------------------------------------------------------------------

typedef struct co_trial_part {
  const char *run; // its folder
  co_dataset *dataset;
  int64_t seed; // what is added to trainer.seed
} co_trial_part;
// One of its trainings: open, advance, close; several may be open.
typedef struct co_training co_training;
// Goes on where it was. To be closed after failure, too. `search` and `job` are borrowed.
co_status co_training_open(co_training **out, const co_search *search, const co_trial_job *job,
                           const co_trial_part *part);
// Trains up to that epoch's value, or until it is done or the job's pruner gives it up.
co_status co_training_advance(co_training *training, int64_t epoch);
bool co_training_is_done(const co_training *training);
int64_t co_training_epochs(const co_training *training); // with a value
// After so many epochs, or after the last of fewer; NaN before the first.
double co_training_value(const co_training *training, int64_t epoch);
// Writes a checkpoint, from which it goes on exactly, unless it is done.
co_status co_training_pause(co_training *training);
// What it came to: done, pruned where it was paused, or failed by its own fault. Frees it; NULL is legal.
co_status co_training_close(co_training *training, co_trial_outcome *out, co_status status,
                            co_arena *arena);
// All of that for one run.
co_status co_trial_train_part(co_trial_outcome *out, const co_search *search,
                              const co_trial_job *job, const co_trial_part *part, co_arena *arena);
// Whether a trial with these values has a config at all; problems with their places in the config.
co_status co_trial_check(const co_search *search, const double *values, co_diagnostics *problems);
// Plans it, and trains nothing: the bytes it will take, and what each goal's metric is better for (of a
// cost less).
co_status co_trial_plan(size_t *bytes, bool higher_is_better[2], const co_search *search,
                        const double *values, co_diagnostics *problems);

#endif
