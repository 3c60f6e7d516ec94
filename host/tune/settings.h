// SPDX-License-Identifier: Apache-2.0
// The section `hyperopt` of a config: what is searched for, where and how.
#ifndef COHORT_HOST_TUNE_SETTINGS_H
#define COHORT_HOST_TUNE_SETTINGS_H

#include "host/tune/space.h"

typedef enum co_goal { CO_GOAL_METRIC, CO_GOAL_MINIMIZE, CO_GOAL_MAXIMIZE } co_goal;

typedef enum co_sampler_kind {
  CO_SAMPLER_AUTO,
  CO_SAMPLER_RANDOM,
  CO_SAMPLER_GRID,
  CO_SAMPLER_SOBOL,
  CO_SAMPLER_TPE,
  CO_SAMPLER_GP
} co_sampler_kind;

typedef enum co_pruner_kind {
  CO_PRUNER_NONE,
  CO_PRUNER_MEDIAN,
  CO_PRUNER_SUCCESSIVE_HALVING,
  CO_PRUNER_HYPERBAND,
  CO_PRUNER_WILCOXON
} co_pruner_kind;

typedef struct co_pruner_settings {
  int type;                               // co_pruner_kind
  int64_t startup_trials, warmup_epochs;  // of the median
  int64_t min_resource, reduction_factor; // of the halving: epochs, and by what they grow
  int64_t startup_steps;                  // of Wilcoxon: folds and seeds
  double p_threshold;
  bool thaw;
} co_pruner_settings;

// What a second goal may be besides a metric: what a trial's model costs. None is measured by a clock, so
// all are the same in every repetition.
typedef enum co_tune_cost {
  CO_COST_NONE,
  CO_COST_PARAMETERS, // of the network
  CO_COST_BYTES,      // of model.h5
  CO_COST_FLOPS       // that scoring a row takes, by the plan
} co_tune_cost;

typedef struct co_tune_settings {
  const char *metric; // "[OUTPUT.]ID", canonical; NULL = the loss
  int goal;           // co_goal: of METRIC as the metric has it
  const char *second; // the second goal, likewise, or the name of a cost; NULL = there is none
  int second_goal;    // co_goal; of METRIC costs are minimised
  co_tune_cost cost;  // that `second` is
  int sampler;        // co_sampler_kind
  int64_t lag;        // a suggestion sees the results of trials up to so many before it
  int64_t threads;    // of a trial
  int64_t k_fold;     // folds that each trial is trained over; 0 = the dataset's own splits
  int64_t seeds;      // and so many times each
  co_pruner_settings pruner;
  co_space space;
} co_tune_settings;

// Trainings of a trial: folds times seeds. Part p is of fold p modulo folds.
static inline int64_t co_tune_parts(const co_tune_settings *s) {
  return (s->k_fold ? s->k_fold : 1) * s->seeds;
}

// Whether those are trained together, epoch by epoch: then a trial's value at an epoch is their mean.
static inline bool co_tune_is_together(const co_tune_settings *s) {
  return co_tune_parts(s) > 1 && s->pruner.type != CO_PRUNER_NONE &&
         s->pruner.type != CO_PRUNER_WILCOXON;
}

// Whether results of trials decide on others, so that only `lag` of them can run at once.
static inline bool co_tune_looks_back(const co_tune_settings *s) {
  return s->pruner.type != CO_PRUNER_NONE || s->sampler == CO_SAMPLER_AUTO ||
         s->sampler == CO_SAMPLER_TPE || s->sampler == CO_SAMPLER_GP;
}

// Field tables by where they stand in a config, for help: the i-th, false past the end.
bool co_tune_describe(int i, const char **path, const char **doc, const co_field **fields);
// Of the whole config `root`; its `hyperopt` must be there.
co_status co_tune_settings_parse(co_tune_settings *out, const co_node *root, co_arena *arena,
                                 co_diagnostics *problems);

#endif
