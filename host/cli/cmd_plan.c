// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_plan_options, member)

static const char *const modes[] = {"train", "infer", NULL};

static const cli_option options[] = {
    CLI_ROW_CONFIG_DATASET(cli_plan_options),
    {.name = "mode",
     .kind = CLI_WORD,
     .offset = AT(mode),
     .value = "MODE",
     .doc = "train or infer",
     .fallback = "train",
     .words = modes},
    CLI_ROW_BATCH_SIZE(cli_plan_options, "rows; overrides the config's"),
    {.name = "run-dir",
     .kind = CLI_TEXT,
     .offset = AT(run_dir),
     .value = "RUN",
     .doc = "tell the ways that this run has chosen, see train --autotune"},
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_plan_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  cohort_config config;
  CO_RETURN_IF_FAILED(cli_library_config(&config, cli, &o->common));
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_plan_options request = {.config = config,
                                 .dataset = o->dataset,
                                 .device = o->common.device,
                                 .precision = o->common.precision,
                                 .inference = o->mode == 1,
                                 .batch_size = o->batch_size == CLI_UNSET ? 0 : o->batch_size,
                                 .run_dir = o->run_dir,
                                 .threads =
                                     (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads)};
  cohort_status status = cohort_plan(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_plan = {
    .name = "plan",
    .usage = "-c CONFIG --dataset FILE [options]",
    .summary = "show shapes, parameters, work and memory; trains nothing",
    .details = "No GPU is opened: --device cuda plans without one, alike on every machine.\n"
               "With --json, layers come with options, inputs and weights in Keras' order.\n",
    .common = CLI_CONFIG | CLI_DEVICE | CLI_PRECISION | CLI_THREADS,
    .options = options,
    .options_size = sizeof(cli_plan_options),
    .run = run,
};
