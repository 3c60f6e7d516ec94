// SPDX-License-Identifier: Apache-2.0
// A run directory: config, metrics stream, events, checkpoints, model, status; and the same metrics for
// TensorBoard in tb/train and tb/validation, with histograms and pictures (details.c), its hyperparameters in tb/; the chosen model's scores of
// validation rows (eval/kept_scores.h); of a generator samples/, a picture at the end of each epoch. It
// appears whole (a folder prepared aside and renamed), is locked while in use, and everything in it but
// metrics.jsonl, events.jsonl and tb/ is replaced atomically.
#ifndef COHORT_HOST_TRAIN_RUN_H
#define COHORT_HOST_TRAIN_RUN_H

#include "host/core/context.h"
#include "host/core/file.h"
#include "host/core/json.h"
#include "host/train/tensorboard.h"

#define CO_SELECTED_MODEL "selected.h5" // the first's, where another is trained on more rows

// Folders of event files: RUN/tb/train, RUN/tb/validation, RUN/tb.
typedef enum co_tb { CO_TB_TRAIN, CO_TB_VALIDATION, CO_TB_RUN, CO_TB_COUNT } co_tb;

typedef struct co_run {
  co_context *ctx;
  char *path; // owned
  int lock;   // descriptor
  co_writer *metrics, *events;
  co_writer *tb[CO_TB_COUNT]; // events.out.tfevents of each
} co_run;

// What a new run directory holds from the start.
typedef struct co_run_start {
  const char *config_json; // full config; becomes config.full.yaml
  const char *config_yaml; // as given, merged
  const char *command;     // may be NULL
  const char *status;      // run.json
  const char *choices;     // of ways to compute, autotune.tsv; NULL = none
  const char *dataset;     // a file that becomes its dataset.h5; NULL = none
} co_run_start;

// Whether a new run may have the name `path`: nothing is there, or an empty folder. CO_ERR_IO else.
co_status co_run_check_free(co_context *ctx, const char *path);
// Creates `path`, for which the same holds, and locks it. A link to an empty folder stays one.
co_status co_run_create(co_run *run, co_context *ctx, const char *path, const co_run_start *start);
// Opens and locks an existing one for continuing; removes what dead
// processes of Cohort left half-written in it, and nothing else.
co_status co_run_open(co_run *run, co_context *ctx, const char *path);
// Whether config.full.yaml says something else than this config.
co_status co_run_config_differs(co_run *run, const char *config_json, bool *differs);
// Opens metrics.jsonl, cut to `metrics_bytes`, events.jsonl, and tb/, cut behind `step`, for appending; what is
// of the run as a whole (CO_TB_RUN) begins anew.
co_status co_run_start_metrics(co_run *run, int64_t metrics_bytes, int64_t step);
void co_run_close(co_run *run); // legal on a zeroed struct

// A default path: <root>/<experiment>/<UTC time>-<6 hex>; co_free it.
// Of a run, or an experiment, with such a path, which is done: `latest` beside it leads there. What is
// called so and is no link is left alone.
void co_run_mark_latest(co_context *ctx, const char *path);
char *co_run_default_path(co_context *ctx, const char *root, const char *experiment);

// A PNG of the run's samples at a step. co_free the path; NULL = no memory.
co_status co_run_write_samples(co_run *run, int64_t step, const void *bytes, size_t length);
char *co_run_samples_path(co_context *ctx, const char *run, int64_t step);

// One line each. Metrics hold no clock (they must be equal between equal runs); events carry time, and
// nothing is cut off them: start, resume, rollback (with step, steps, epochs), epoch (what a terminal
// shows of it), checkpoint, diverged, end (status, exit, message). cohort_watch reads both.
co_status co_run_write_metrics(co_run *run, const char *json);
// For TensorBoard, with a clock; frees the summary.
co_status co_run_write_summary(co_run *run, co_tb folder, int64_t step, co_text *summary);
co_status co_run_write_event(co_run *run, const char *event, const char *json_fields);
co_status co_run_sync_metrics(co_run *run, int64_t *position);

co_status co_run_write_status(co_run *run, const char *json);  // run.json
co_status co_run_write_choices(co_run *run, const char *text); // autotune.tsv

// checkpoints/step-%08d.h5, or stop-%08d.h5 for one outside the schedule: written because of a
// signal, it goes when the next regular one is there, so that a resumed run ends with the files of
// one never stopped. Owned by the caller; NULL = no memory.
char *co_run_checkpoint_path(co_run *run, int64_t step, bool scheduled);
// Gives the checkpoints to `load`, newest first, while they turn out *damaged (with CO_ERR_MODEL),
// which is reported as a warning; any other failure ends it. *step = -1 if none is left. Changes
// nothing.
typedef co_status (*co_run_loader)(void *user, const char *path, bool *damaged);
co_status co_run_load_newest(co_run *run, co_run_loader load, void *user, int64_t *step,
                             bool *scheduled);
// Only those that an undisturbed run writes, too; *step is -1 where there is none.
co_status co_run_load_scheduled(co_run *run, co_run_loader load, void *user, int64_t *step);
// Renames the checkpoints that were passed over (those newer than the one that was loaded, or all if
// `step` is -1) to NAME.damaged, with a warning: they are evidence, and no longer in the way.
co_status co_run_set_damaged_aside(co_run *run, int64_t step, bool scheduled);
// Points last.h5 (and best.h5 if best_step >= 0) at their files and removes checkpoints that are
// neither among the newest `keep` nor the best, and any of a later step. step = -1: all of them.
co_status co_run_settle_checkpoints(co_run *run, int64_t step, bool scheduled, int64_t best_step,
                                    int64_t keep);

#endif
