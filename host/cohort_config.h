// SPDX-License-Identifier: Apache-2.0
// Of libcohort (cohort.h): what configs may say, what files hold, what the machine has.
#ifndef COHORT_COHORT_CONFIG_H
#define COHORT_COHORT_CONFIG_H

#include "cohort_sources.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cohort_render_options {
  cohort_config config;
  const char *model; // a run, checkpoint or model, whose config it is instead of files; NULL = none
  const char *dataset; // NULL = leave features as written
  const char *output;  // YAML file; NULL = only in the result
  bool force;
} cohort_render_options;
COHORT_API cohort_status cohort_render_config(cohort_context *context,
                                              const cohort_render_options *options,
                                              cohort_result **out);

typedef struct cohort_init_config_options {
  cohort_config config; // a preset; without files one is chosen by the dataset
  const char *dataset;  // dataset.h5
  const char *target;   // the one to predict; NULL = all of the dataset's targets
  const char *output;   // YAML file; NULL = only in the result
  bool force;
} cohort_init_config_options;
// A config to begin with: the preset with a line for each column of the dataset, and comments that say
// what the column holds and which ones had better be left out.
COHORT_API cohort_status cohort_init_config(cohort_context *context,
                                            const cohort_init_config_options *options,
                                            cohort_result **out);

// A dataset, model, checkpoint or run directory.
COHORT_API cohort_status cohort_inspect(cohort_context *context, const char *path,
                                        cohort_result **out);
// Does all the reading through HDF5 that the others do of a dataset, model or checkpoint, and fails
// where they would for what is in it. Its result says nothing else.
COHORT_API cohort_status cohort_probe(cohort_context *context, const char *path,
                                      cohort_result **out);
// What configs may say, as JSON Schema (draft 2020-12): the result's text, and its key `schema`.
COHORT_API cohort_status cohort_schema(cohort_context *context, cohort_result **out);
// This machine: processor, memory, libraries, devices.
COHORT_API cohort_status cohort_doctor(cohort_context *context, cohort_result **out);
// What configs may say, with options, by topic: "config", "features", "encoders", "layers",
// "losses", "metrics", "predictors", "baselines", "trainer", "optimizers"; "topics" lists them. Of one entry
// alone: "layers.Dense". Else CO_ERR_USAGE.
COHORT_API cohort_status cohort_describe(cohort_context *context, const char *topic,
                                         cohort_result **out);

#ifdef __cplusplus
}
#endif
#endif
