// SPDX-License-Identifier: Apache-2.0
// An experiment: several trainings over the folds of one dataset. experiment.c trains,
// experiment_report.c says what came of it.
#ifndef COHORT_HOST_API_EXPERIMENT_H
#define COHORT_HOST_API_EXPERIMENT_H

#include "datasets/folds.h"
#include "host/api/api.h"
#include "host/eval/evaluation.h"
#include "host/eval/score_columns.h"

// A metric of an output.
typedef struct co_experiment_metric {
  const char *output, *id; // the arena's
  double *value;           // of each fold
} co_experiment_metric;

// A row's place in the text of all cells.
typedef struct co_experiment_cells {
  size_t at, length; // length 0 = not scored
} co_experiment_cells;

typedef struct co_experiment {
  cohort_context *context;
  co_context *ctx;
  const cohort_experiment_options *options;
  co_diagnostics *problems;
  co_arena *arena;
  char *path; // of the folder
  int lock;
  bool resumed;
  cohort_config config; // as given, else the folder's own
  int64_t seed;         // of fold 0
  co_dataset *dataset;
  co_folds folds;
  int64_t (*rows)[CO_SPLIT_COUNT]; // of each fold
  // What came of the folds; filled by the first.
  co_experiment_metric *metrics;
  int64_t metric_count;
  co_score_columns columns; // of scores, of which the names outlive a fold's model
  co_text cells;            // of all rows scored so far, as CSV with a comma before each
  co_experiment_cells *row_cells;
} co_experiment;

// Measures a fold's model on its test rows and keeps their scores; `dataset` is the fold's.
co_status co_experiment_measure(co_experiment *e, int64_t fold, co_dataset *dataset);
// Writes oof.csv and experiment.json.
co_status co_experiment_write(co_experiment *e);
// The members of experiment.json, and the same for people.
void co_experiment_render(const co_experiment *e, co_json *json);
void co_experiment_print(const co_experiment *e, co_text *text);
// A file's path within the experiment's folder, in its arena; NULL = no memory.
char *co_experiment_path(const co_experiment *e, const char *name);
// The folder of a fold's run.
char *co_experiment_fold_path(const co_experiment *e, int64_t fold);

#endif
