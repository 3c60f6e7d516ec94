// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_train_options, member)

static const cli_option options[] = {
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "dataset.h5; overrides the config's"},
    {.name = "run-dir",
     .kind = CLI_TEXT,
     .offset = AT(run_dir),
     .value = "DIR",
     .doc = "exact directory of the run; by default one below --output-directory"},
    {.name = "output-directory",
     .letter = 'o',
     .kind = CLI_TEXT,
     .offset = AT(output_directory),
     .value = "DIR",
     .doc = "where runs without --run-dir go",
     .fallback = "runs"},
    {.name = "experiment-name",
     .kind = CLI_TEXT,
     .offset = AT(experiment),
     .value = "NAME",
     .doc = "folder of the run below it; by default the config's name"},
    {.name = "resume",
     .kind = CLI_OPTIONAL,
     .offset = AT(resume),
     .value = "RUN",
     .doc = "continue the run; =auto starts, continues or finds it done",
     .aliases = "model-resume-path ckpt-path -mrp"},
    {.name = "workers",
     .kind = CLI_INT,
     .offset = AT(workers),
     .value = "N",
     .doc = "threads that prepare batches",
     .fallback = "2",
     .minimum = 0,
     .maximum = 256},
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_train_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  cohort_config config;
  CO_RETURN_IF_FAILED(cli_library_config(&config, cli, &o->common));
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_train_options request = {.config = config,
                                  .dataset = o->dataset,
                                  .run_dir = o->run_dir,
                                  .output_directory = o->output_directory,
                                  .experiment = o->experiment,
                                  .resume = o->resume,
                                  .device = o->common.device,
                                  .precision = o->common.precision,
                                  .command = cli->command,
                                  .threads =
                                      (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
                                  .workers = (int)o->workers,
                                  .dry_run = o->common.dry_run};
  cohort_status status = cohort_train(context, &request, &result);
  co_status taken = cli_library_take(cli, status, result);
  cohort_context_free(context);
  return taken;
}

const cli_verb cli_verb_train = {
    .name = "train",
    .aliases = "fit",
    .usage = "-c CONFIG --dataset FILE [--run-dir DIR] [options]",
    .summary = "train a model, or go on training",
    .details = "SIGINT and SIGTERM finish the step and write a checkpoint; a second one exits at "
               "once.\n",
    .common = CLI_CONFIG | CLI_DEVICE | CLI_PRECISION | CLI_THREADS | CLI_SEED | CLI_DRY_RUN,
    .options = options,
    .options_size = sizeof(cli_train_options),
    .run = run,
};
