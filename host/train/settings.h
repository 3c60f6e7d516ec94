// SPDX-License-Identifier: Apache-2.0
// The whole config of a job: files and overrides merged into one tree, top-level keys checked, and
// the `trainer` section as a struct.
#ifndef COHORT_HOST_TRAIN_SETTINGS_H
#define COHORT_HOST_TRAIN_SETTINGS_H

#include "host/config/config.h"
#include "host/device/precision.h"
#include "host/eval/baselines.h"
#include "host/graph/schedule/schedule.h"
#include "host/train/param_groups.h"
#include "host/train/phases.h"

// What becomes of a step whose gradient is not finite.
typedef enum co_nan_policy { CO_NAN_STOP, CO_NAN_SKIP, CO_NAN_ROLLBACK } co_nan_policy;

typedef struct co_trainer_settings {
  int64_t max_epochs, max_steps, min_steps, batch_size, eval_batch_size, accumulate_grad_batches;
  double learning_rate, clip_norm, clip_value, ema_decay;
  double early_stop_min_delta;
  int64_t overfit_batches, seed, threads, steps_per_checkpoint, keep_last, early_stop,
      log_every_n_steps, tensorboard_details, golden_rows;
  co_precision precision;
  bool deterministic;
  bool refit;                    // once its length is chosen, train on validation rows as well
  int on_nan;                    // co_nan_policy
  const char *validation_metric; // "[OUTPUT.]ID", NULL = loss
  co_optimizer_settings optimizer;
  co_schedule_options schedule;
  co_phases phases;
  co_param_groups param_groups;
  co_predictor_settings predictor; // what is trained
  co_baseline_settings baselines;  // beside it, if it is a network
} co_trainer_settings;

// Field tables by where they stand in a config ("trainer.checkpoint"; "" for the top level), for
// help: the i-th, false past the end. Optimizers and schedules have tables of their own.
bool co_settings_describe(int i, const char **path, const char **doc, const co_field **fields);

// Reads and merges `files` (may be none), then applies `assignments` ("a.b=c"). Unknown top-level
// sections are problems. *root is never NULL on CO_OK.
co_status co_settings_read(co_node **root, co_arena *arena, const char *const *files,
                           int64_t file_count, const char *const *assignments,
                           int64_t assignment_count, co_diagnostics *problems);
// The same of a config that comes as text.
co_status co_settings_read_text(co_node **root, co_arena *arena, const char *name, const char *text,
                                const char *const *assignments, int64_t assignment_count,
                                co_diagnostics *problems);
co_status co_settings_parse_trainer(co_trainer_settings *out, const co_node *root, co_arena *arena,
                                    co_diagnostics *problems);
// The phases of a program over the graph of such a model; `out` has room for CO_MAX_PHASES.
co_status co_settings_phases(co_phase_options *out, int64_t *count,
                             const co_trainer_settings *settings, const co_graph *graph,
                             co_diagnostics *problems);
// The dataset path a config names, NULL if none.
const char *co_settings_dataset(const co_node *root);
// The config with all defaults of the trainer section filled in, as a JSON object without anything
// that must not influence bytes (paths). This is what models and checkpoints store.
co_status co_settings_render(co_json *json, const co_node *root,
                             const co_trainer_settings *settings);

#endif
