// SPDX-License-Identifier: Apache-2.0
// A training in work, shared by the files of cohort_train alone.
#ifndef COHORT_HOST_TRAIN_TRAINER_H
#define COHORT_HOST_TRAIN_TRAINER_H

#include "host/api/job.h"
#include "host/device/machine.h"
#include "host/feed/fit_features.h"
#include "host/feed/pipeline.h"
#include "host/feed/resident.h"
#include "host/train/run.h"
#include "host/train/settings.h"

typedef struct co_trainer {
  cohort_context *context;
  co_context *ctx;
  const cohort_train_options *options;
  co_diagnostics *problems;
  co_arena *arena;
  co_node *config;
  co_trainer_settings settings;
  co_text config_json; // what models store
  char *dataset_path, *run_path;
  co_dataset *dataset;
  co_model *model;
  co_backend *backend;
  co_resident *source;
  co_program *program;
  co_run run;
  co_training_state state;
  co_evaluation interval; // training metrics since the last record
  co_evaluation validation;
  const int64_t *samples[CO_SPLIT_COUNT];
  int64_t sample_count[CO_SPLIT_COUNT];
  int64_t batch_rows, batches_per_epoch, total_steps;
  int threads;
  const char *threads_why; // for the log
  bool resumed, already_done;
  bool begun; // the run is this process's: run.json tells how it ends
  int64_t resumed_step, checkpoint_step;
  int checkpoints_asked, statuses_asked; // how often, as far as answered
  double called;                         // clock at the start of it all
  double started, wait_seconds, evaluation_seconds, checkpoint_seconds;
  double norm;                                 // gradient norm of the last step
  double shown_loss;                           // of the last record, for people
  double epoch_begun, epoch_apart, epoch_wait; // clocks when log_epoch was last called
  int64_t epoch_step;
} co_trainer;

// A value of the run's run.json, NULL if there is none.
const char *co_trainer_recorded(co_trainer *t, const char *key);
// Whether the run directory has this file.
bool co_trainer_run_has(co_trainer *t, const char *name);
// Starts the run directory or continues the run that is in it.
co_status co_trainer_begin(co_trainer *t);
// Writes the state. `scheduled`: at a step that an undisturbed run writes one at, too.
co_status co_trainer_checkpoint(co_trainer *t, bool scheduled);
// Writes model.h5.
co_status co_trainer_write_model(co_trainer *t);
// Seconds on a clock that only goes forward.
double co_trainer_now(void);
// Trains until the run is finished or stopped.
co_status co_trainer_loop(co_trainer *t);
// run.json as text.
co_status co_trainer_render_status(co_trainer *t, co_text *out, const char *status_word,
                                   int exit_code);
// Writes run.json.
co_status co_trainer_write_status(co_trainer *t, const char *status_word, int exit_code);
// What the finished run is told by.
co_status co_trainer_report(co_trainer *t, cohort_result *result);
// What would be trained.
co_status co_trainer_report_dry_run(co_trainer *t, cohort_result *result);

#endif
