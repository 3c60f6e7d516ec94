// SPDX-License-Identifier: Apache-2.0
// An experiment: several trainings over the folds of one dataset, or with several seeds. experiment.c trains,
// experiment_report.c says what came of it.
#ifndef COHORT_HOST_API_EXPERIMENT_H
#define COHORT_HOST_API_EXPERIMENT_H

#include "datasets/folds.h"
#include "host/api/api.h"
#include "host/eval/comparison.h"
#include "host/eval/evaluation.h"
#include "host/eval/score_columns.h"

// A metric of an output.
typedef struct co_experiment_metric {
  const char *output, *id; // the arena's
  double *value;           // of each fold
} co_experiment_metric;

// A metric of one of the models' baselines, beside the model's.
typedef struct co_experiment_pair {
  const char *baseline, *output, *id; // the arena's
  bool higher_is_better;
  int64_t runs;        // in which both were measured
  double value;        // the baseline's, over these runs; of all sums until co_experiment_pairs_end
  double paired;       // the model's less it
  double *differences; // the same at each draw of rows; NULL where the metric is not over scores
  co_paired found;
} co_experiment_pair;

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
  cohort_config config;                // as given, else the folder's own
  int64_t seed;                        // of the first run
  bool seeds;                          // runs differ by their seeds, not by folds
  int64_t count;                       // runs
  const char *init_from, *init_sha256; // the model that runs begin with, its weights' hash; or NULL
  co_split measured;                   // split that they are measured on
  co_dataset *dataset;
  co_folds folds;
  int64_t (*rows)[CO_SPLIT_COUNT]; // of each fold
  // What came of the folds; filled by the first.
  co_experiment_metric *metrics;
  int64_t metric_count;
  co_experiment_pair *pairs;
  int64_t pair_count, pair_capacity, draws;
  co_experiment_pair *partial; // those that some runs lack: no means of them; the arena's
  int64_t partial_count;
  co_score_columns columns; // of scores, of which the names outlive a fold's model
  co_text cells;            // of all rows scored so far, as CSV with a comma before each
  co_experiment_cells *row_cells;
} co_experiment;

// Measures a run's model on its test rows and keeps their scores, of folds; `dataset` is the run's.
co_status co_experiment_measure(co_experiment *e, int64_t run, co_dataset *dataset);
// Measures the baselines of a run's model on the rows of its evaluation, which keeps scores.
co_status co_experiment_pair_run(co_experiment *e, int64_t run,
                                 const co_comparison_request *request);
// After the last run: means over the runs, and intervals of the differences.
co_status co_experiment_pairs_end(co_experiment *e);
void co_experiment_pairs_render(const co_experiment *e, co_json *json);
void co_experiment_pairs_print(const co_experiment *e, co_text *text);
// Writes experiment.json, of folds also oof.csv.
co_status co_experiment_write(co_experiment *e);
// The members of experiment.json, and the same for people.
void co_experiment_render(const co_experiment *e, co_json *json);
void co_experiment_print(const co_experiment *e, co_text *text);
// A file's path within the experiment's folder, in its arena; NULL = no memory.
char *co_experiment_path(const co_experiment *e, const char *name);
// The name of a run's folder, "fold-0" or "seed-0", and its path.
void co_experiment_run_name(const co_experiment *e, int64_t run, char out[32]);
char *co_experiment_run_path(const co_experiment *e, int64_t run);

#endif
