// SPDX-License-Identifier: Apache-2.0
// What the verbs of studies share: reading one back.
#ifndef COHORT_HOST_API_HYPEROPT_H
#define COHORT_HOST_API_HYPEROPT_H

#include "datasets/folds.h"
#include "host/api/api.h"
#include "host/tune/goals.h"
#include "host/tune/study.h"
#include "host/tune/tuner.h"

// User attributes of a study, as JSON: the whole config with hyperopt and without dataset; the
// dataset's fingerprint, and where it was; the metric's name.
#define CO_STUDY_CONFIG "cohort:config"
#define CO_STUDY_DATASET "cohort:dataset"
#define CO_STUDY_DATASET_PATH "cohort:dataset_path"
// The model that trials begin with, if any: where it was, its weights' hash.
#define CO_STUDY_INIT_FROM "cohort:init_from"
#define CO_STUDY_INIT_SHA256 "cohort:init_from_sha256"
// What the best trials come to with new seeds: {"first_seed", "seeds", "trials": […]}.
#define CO_STUDY_CONFIRMED "cohort:confirmed"

// In the folder of a study's runs: a file whose lock all processes that work on the study share.
#define CO_STUDY_LOCK "LOCK"

// What a search, or the training of its best trials once more, works with.
typedef struct co_tuning {
  cohort_context *context;
  const cohort_hyperopt_run_options *options;
  co_diagnostics *problems;
  bool there; // the study must be there
  co_arena *arena;
  co_node *config;                        // whole, with hyperopt and without dataset
  const char *dataset_path, *init_sha256; // of search.init_from; NULL = there is none
  co_tune_settings settings;
  co_study *study; // NULL before a new one is made
  int lock;        // shared by all that work on it, -1 = none yet
  co_folds folds;
  co_search search;
} co_tuning;
// Opens the study or begins it, and checks config, dataset and memory. To be freed after failure, too.
co_status co_tuning_prepare(co_tuning *tuning);
void co_tuning_free(co_tuning *tuning);
// hyperopt_begin.c: makes the study; takes one over that Optuna has begun, or tells how it differs.
co_status co_tuning_make(co_tuning *tuning);
co_status co_tuning_adopt(co_tuning *tuning);
// The study has this config, dataset and model to begin with, else it is refused.
co_status co_tuning_check_same(co_tuning *tuning);

typedef struct co_read_study {
  co_study *study;
  co_arena *arena;
  co_node *config; // whole; NULL of a study that Optuna made
  co_tune_settings settings;
  co_trials trials; // with their values on the way
  int64_t best;     // -1 = none, as of two goals
  co_front front;   // of two goals
} co_read_study;

// To be freed after failure, too.
co_status co_read_study_open(co_read_study *out, co_context *ctx, const char *path,
                             const char *name);
void co_read_study_free(co_read_study *read);
// The trials, a line each.
void co_study_print_trials(co_text *text, const co_read_study *read);
// All that there is to show: opens the study, which the caller frees.
co_status co_study_show(co_read_study *read, co_context *ctx, const char *path, const char *name,
                        cohort_result *result);

// The config that trials start from: without hyperopt and dataset, with the study's threads, and
// without baselines where it says nothing of them. The arena's.
co_status co_study_base(co_node **out, const co_node *config, const co_tune_settings *settings,
                        co_arena *arena, co_diagnostics *problems);
// A text attribute; *out is NULL where there is none.
co_status co_study_text(const char **out, co_study *study, co_arena *arena, const char *key);
// The study as Optuna's journal, lines of JSON.
co_status co_study_journal(co_text *journal, co_read_study *read);
// cohort_report of a study.
co_status co_report_study(cohort_context *context, const cohort_report_options *options,
                          cohort_result *result);
// "best":{"number":…,"value":…,"params":{…}}, null where there is none.
void co_render_best(co_json *json, const co_tune_settings *settings, const co_trials *trials,
                    int64_t best);
// hyperopt_front.c: of two goals. "best_trials":[{"number":…,"values":[…],"params":{…}}], and for people.
void co_render_front(co_json *json, const co_space *space, const co_trials *trials,
                     const co_front *front);
void co_print_front(co_text *text, const co_tune_settings *settings, const co_trials *trials,
                    const co_front *front);
bool co_front_has(const co_front *front, int64_t number);

#endif
