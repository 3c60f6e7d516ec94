// SPDX-License-Identifier: Apache-2.0
// What a network has to beat: the training rows' mean, a linear or logistic regression, boosted
// trees; of next items what is popular, was bought before or goes with it. They are fitted to the same training rows and input columns when a network's training ends,
// stored in its model file, and measured beside it.
#ifndef COHORT_HOST_EVAL_BASELINES_H
#define COHORT_HOST_EVAL_BASELINES_H

#include "host/eval/estimator.h"
#include "host/eval/predictor.h"

enum { CO_MOST_BASELINES = 16 };

// `baselines:` and `blend:` of a config.
typedef struct co_baseline_settings {
  bool automatic; // those that can be had, where all inputs and outputs are columns of a table
  const co_estimator_class *classes[CO_MOST_BASELINES];
  int64_t count;
  const co_estimator_class *blend; // `blend:`, one of them; NULL = none
} co_baseline_settings;
co_status co_baseline_settings_parse(co_baseline_settings *out, const co_node *root,
                                     co_diagnostics *problems);
// Into an open object; nothing where they are automatic.
void co_baseline_settings_render(co_json *json, const co_baseline_settings *settings);

typedef struct co_baselines {
  co_context *ctx;
  co_model *model; // scored, with the inputs and outputs of the network's
  co_estimator *items[CO_MOST_BASELINES];
  int64_t count;
  co_model_baseline stored[CO_MOST_BASELINES]; // what a model file keeps
} co_baselines;

// Those of a network's model, not yet fitted; none is legal. CO_ERR_CONFIG, CO_ERR_DEVICE where one
// that is named cannot be had.
co_status co_baselines_create(co_baselines *out, const co_model *network,
                              const co_baseline_settings *settings);
co_estimator *co_baselines_find(const co_baselines *baselines, const char *name); // NULL if absent
void co_baselines_free(co_baselines *baselines); // legal on a zeroed struct

typedef struct co_baseline_request {
  const int64_t *training, *validation; // samples
  int64_t training_count, validation_count;
  int workers, threads;
  uint64_t seed;
  const co_watch *watch;
} co_baseline_request;
// Once the network's preprocessing is fitted. Of very many rows, evenly chosen ones. One that cannot
// be fitted is left out with a warning.
co_status co_baselines_fit(co_baselines *baselines, const co_model *network, co_dataset *dataset,
                           const co_baseline_request *request);
// What a model file has; one whose library is missing is left out with a warning.
co_status co_baselines_read(co_baselines *out, const co_model *network, const char *path);

// Of an output: "logistic" of a linear model that is one, else the class's name.
const char *co_baseline_name(const co_estimator *baseline, const co_output_feature *output);

#endif
