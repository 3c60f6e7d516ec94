// SPDX-License-Identifier: Apache-2.0
// Runs beside each other: compare.c measures, compare_print.c tells.
#ifndef COHORT_HOST_API_COMPARE_H
#define COHORT_HOST_API_COMPARE_H

#include "host/api/api.h"
#include "host/config/config.h"
#include "host/eval/comparison.h"

typedef struct co_compared_run {
  const char *path;
  co_node *status, *config; // run.json, config.full.yaml
  const co_model *model;
  co_model *opened;        // owned, where its scores were kept: nothing is scored
  co_predictor *predictor; // else
  co_evaluation evaluation;
} co_compared_run;

// What stands at a path in each run's config; NULL = nothing.
typedef struct co_config_difference {
  const char *path;
  const co_node **values; // per run
} co_config_difference;

// A run's metric less that of the first run.
typedef struct co_compared_pair {
  int64_t run;
  const char *output;
  const co_metric_class *metric;
  co_paired found;
} co_compared_pair;

typedef struct co_compared {
  cohort_context *context;
  co_context *ctx;
  const cohort_compare_options *options;
  co_arena *arena;
  co_compared_run *runs;
  int64_t count;
  co_dataset *dataset; // NULL where no run needs it
  const char *dataset_path, *fingerprint;
  const char *outdated; // scores that another version kept; NULL = none
  co_split split;
  co_bootstrap_options bootstrap;
  co_config_difference *differences;
  int64_t difference_count, difference_capacity;
  co_compared_pair *pairs;
  int64_t pair_count, pair_capacity;
} co_compared;

// A difference in words.
typedef struct co_pair_named {
  const char *of, *than, *output;
  const co_metric_class *metric;
  const co_paired *found;
} co_pair_named;
// An object; `key`: "run", "model", whose value is `of`.
void co_pair_render(co_json *json, const char *key, const co_pair_named *pair);
void co_pair_print(co_text *text, const co_paired *pair, bool higher_is_better);

void co_compared_render(const co_compared *compared, co_json *json);
void co_compared_print(const co_compared *compared, co_text *text);
// A line for each run: what differs in its config, then its metrics.
void co_compared_print_csv(const co_compared *compared, co_text *text);

#endif
