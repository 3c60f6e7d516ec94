// SPDX-License-Identifier: Apache-2.0
// A session's insides, shared by the files of host/train alone.
#ifndef COHORT_HOST_TRAIN_SESSION_PRIVATE_H
#define COHORT_HOST_TRAIN_SESSION_PRIVATE_H

#include "host/device/choices.h"
#include "host/device/machine.h"
#include "host/eval/calibration.h"
#include "host/eval/drift.h"
#include "host/eval/evaluation.h"
#include "host/eval/golden.h"
#include "host/eval/network.h"
#include "host/eval/opening.h"
#include "host/feed/fit_features.h"
#include "host/feed/resident.h"
#include "host/feed/shape_classes.h"
#include "host/feed/submission_queue.h"
#include "host/train/run.h"
#include "host/train/session.h"
#include "host/train/settings.h"

// Of a training whose operations are timed: what the machine can do, and what there is to tell.
typedef struct co_step_profile {
  double flops_per_second, bytes_per_second;
  co_text text;
} co_step_profile;

// A baseline that is ahead of the model on validation rows, by one metric.
typedef struct co_better_baseline {
  const char *output, *name, *metric;
  double value, own;
} co_better_baseline;

struct co_session {
  co_context *ctx;
  const co_watch *watch;
  const cohort_train_options *options;
  const co_session *first; // of a refit: that whose length it has; else NULL
  co_diagnostics *problems;
  co_arena *arena;
  co_node *config;
  co_trainer_settings settings;
  uint32_t phase_losses[CO_MAX_PHASES]; // as co_phase_options has them
  int64_t *kept;                        // training rows, where some are left out
  co_text config_json;                  // what models store
  char *dataset_path, *run_path;
  const char *initial_path,
      *initial_sha256; // of the model whose weights it begins with, NULL = none
  co_dataset *dataset;
  co_dataset *whole; // of which `dataset` is a view of few rows, else NULL
  bool dataset_is_borrowed;
  co_model *model;
  co_choices *choices; // of ways to compute operations, NULL = none are made
  co_backend *backend;
  co_resident *resident;
  co_program *program;
  co_estimator *estimator;    // what is fitted where it is no network, else NULL
  co_baselines baselines;     // of a network
  co_better_baseline *better; // of outputs, once the model is written
  int64_t better_count;
  co_predictor *predictor; // of the program
  co_predictor *shipped;   // what model.h5 holds: that, or its blend with a baseline
  co_run run;
  co_training_state state;
  co_evaluation interval; // training metrics since the last record
  co_evaluation validation;
  const int64_t *samples[CO_SPLIT_COUNT];
  int64_t sample_count[CO_SPLIT_COUNT];
  int64_t batch_rows, batches_per_epoch, total_steps;
  int64_t evaluation_rows; // of a batch of it, bounded (co_bound_rows)
  int threads;
  const char *threads_why; // for the log
  bool resumed, already_done;
  bool begun; // the run is this process's: run.json tells how it ends
  int64_t resumed_step, checkpoint_step;
  int checkpoints_asked, statuses_asked; // how often, as far as answered
  double called;                         // clock at the start of it all
  double started, wait_seconds, evaluation_seconds, checkpoint_seconds, baseline_seconds;
  double norm;                                 // gradient norm of the last step, NAN before
  double shown_loss;                           // of the last record, for people; NAN before
  double epoch_begun, epoch_apart, epoch_wait; // clocks when log_epoch was last called
  int64_t epoch_step;
  double epoch_rate;  // steps a second of the last epoch
  double epoch_shown; // clock when co_session_show_epoch was last called, 0 = not yet
  co_step_profile profile;
  co_epoch_hook *hook;
  void *hook_user;
  // Steps on their way to the device and back (loop.c).
  co_pipeline *pipeline;
  co_submission_queue queue;
  int64_t next_step, next_batch; // to be submitted; the batch within its epoch
  int64_t pause;                 // no step from this one on is submitted; 0 = all are
  bool waiting;                  // for a decision
  bool rolls_back;               // a gradient was not finite
};

// A value of the run's run.json, NULL if there is none.
const char *co_session_recorded(co_session *t, const char *key);
// Whether the run directory has this file.
bool co_session_run_has(co_session *t, const char *name);
// Which model it begins with (`init_from`, of a run that goes on as run.json says), and that it fits.
co_status co_session_find_initial(co_session *t);
// Weights and statistics as they are before the first step: drawn, then those of that model.
co_status co_session_initial_weights(co_session *t);
// Starts the run directory or continues the run that is in it.
co_status co_session_begin(co_session *t);
// Writes the state. `scheduled`: at a step that an undisturbed run writes one at, too.
co_status co_session_checkpoint(co_session *t, bool scheduled);
// Goes back to the last checkpoint of the schedule (else to the beginning) with half the learning
// rate. No batches are open.
co_status co_session_roll_back(co_session *t);
// Where it is no network: fits it, then records how it does.
co_status co_session_fit(co_session *t);
// Once a network is trained: fits what stands beside it.
co_status co_session_fit_baselines(co_session *t);
// … and, once the model is written, tells of which outputs one of them is ahead of it on validation rows:
// of few enough rows that it costs little.
co_status co_session_compare_baselines(co_session *t);
// A record in metrics.jsonl; of steps of training, with rate and gradient.
co_status co_session_record(co_session *t, const char *split, const co_evaluation *evaluation,
                            bool training);
// Measures on validation rows, where there are any, and keeps the best.
co_status co_session_validate(co_session *t, double *value);
// Of a model that generates images: what it makes now, as a picture in the run.
co_status co_session_write_samples(co_session *t);
// For TensorBoard (details.c), at the ends of some epochs: of training rows; of validation rows, by a sink of
// scores (*out NULL = none now; freed with all it has); a picture of samples.
bool co_session_details_due(const co_session *t);
co_status co_session_write_details(co_session *t);
typedef struct co_validation_pictures co_validation_pictures;
co_status co_validation_pictures_open(co_validation_pictures **out, co_session *t);
co_score_sink co_validation_pictures_take;
co_status co_validation_pictures_write(const co_validation_pictures *pictures);
void co_validation_pictures_free(co_validation_pictures *pictures); // NULL is legal
co_status co_session_show_samples(co_session *t, const char *output, const co_text *png);
// … and of the run its hyperparameters, when it begins or goes on, and that it ended.
co_status co_session_write_hparams(co_session *t);
co_status co_session_end_hparams(co_session *t, bool success);
// Writes model.h5; selected.h5, where another is to be trained on more rows.
co_status co_session_write_model(co_session *t);
// Opens a refit of a session.
co_status co_session_open_refit(co_session **out, co_session *first,
                                const cohort_train_options *options, co_dataset *dataset);
// Whether there can be one; problems of the config are added.
co_status co_session_check_refit(co_session *t);
// Of a refit: temperature and threshold of outputs, and (not NULL) the weight of a blend.
co_status co_session_take_decisions(co_session *t, co_estimator *blended);
int64_t co_session_refit_epochs(const co_session *t); // how long one is
// Which run goes on where this one is stopped.
const char *co_session_resumable(const co_session *t);
// Where it is asked for: begins to time operations, and measures the machine; writes RUN/profile.json.
co_status co_session_start_profile(co_session *t);
co_status co_session_write_profile(co_session *t);
// Seconds on a clock that only goes forward.
double co_session_now(void);
// Opens the batches; closes them again, waiting for what is in flight.
co_status co_session_open_batches(co_session *t);
void co_session_close_batches(co_session *t);
// Tells whoever watches, in this process or by events.jsonl, of the epoch that ended, after its
// validation. *last: he wants it to be the last.
co_status co_session_show_epoch(co_session *t, double learning_rate, bool *last);
// In events.jsonl: that it begins, goes on or goes back, and where; how it ended (`error` of a failure).
co_status co_session_record_begin(co_session *t, const char *event);
co_status co_session_record_end(co_session *t, const char *status_word, int exit_code,
                                const co_error *error);
// run.json as text.
co_status co_session_render_status(co_session *t, co_text *out, const char *status_word,
                                   int exit_code);
// Writes run.json.
co_status co_session_write_status(co_session *t, const char *status_word, int exit_code);

#endif
