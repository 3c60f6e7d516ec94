// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_init_config_options, member)

static const cli_option options_table[] = {
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "the dataset.h5",
     .required = true},
    {.name = "preset",
     .kind = CLI_TEXT,
     .offset = AT(preset),
     .value = "FILE",
     .doc = "a config to expand; auto chooses one by the dataset",
     .fallback = "auto"},
    {.name = "target",
     .kind = CLI_TEXT,
     .offset = AT(target),
     .value = "COL",
     .doc = "of several targets the one to predict"},
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "write there instead of to standard output (-)"},
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_init_config_options *o = options_;
  const char *output = o->output && strcmp(o->output, "-") == 0 ? NULL : o->output;
  bool automatic = strcmp(o->preset, "auto") == 0;
  cohort_context *context;
  cohort_result *result = NULL;
  cohort_config config;
  CO_RETURN_IF_FAILED(cli_library_config(&config, cli, &o->common));
  if (config.file_count && !automatic)
    return co_fail(CO_ERR_USAGE, "--preset does not go with --config");
  if (!automatic) {
    config.files = &o->preset;
    config.file_count = 1;
  }
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_init_config_options request = {.config = config,
                                        .dataset = o->dataset,
                                        .target = o->target,
                                        .output = output,
                                        .force = o->common.force};
  cohort_status status = cohort_init_config(context, &request, &result);
  co_status taken = cli_library_end(cli, context, status, result);
  if (output) cli->text.length = 0; // it went into the file
  return taken;
}

const cli_verb cli_verb_init_config = {
    .name = "init-config",
    .usage = "--dataset FILE [--preset FILE] [-O FILE] [options]",
    .summary = "make a config to begin with, a line for each column",
    .details =
        "Training with it gives the same model as training with the preset. Behind each input\n"
        "stands what its column holds; above those that give the target away, are constant or\n"
        "name rows, that they are better left out: delete their lines.\n",
    .common = CLI_CONFIG | CLI_FORCE,
    .options = options_table,
    .options_size = sizeof(cli_init_config_options),
    .run = run,
};
