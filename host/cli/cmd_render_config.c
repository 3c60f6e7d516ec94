// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_render_options, member)

static const cli_option options_table[] = {
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "write there instead of to standard output (-)"},
    {.name = "model",
     .letter = 'm',
     .kind = CLI_TEXT,
     .offset = AT(model),
     .value = "MODEL",
     .doc = "the config of a run or model, to train another one by it"},
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "check the features against this dataset.h5"},
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_render_options *o = options_;
  if (!o->common.configs.count && !o->model)
    return co_fail(CO_ERR_USAGE,
                   "'cohort render-config' also needs --config FILE or --model MODEL");
  const char *output = o->output && strcmp(o->output, "-") == 0 ? NULL : o->output;
  cohort_context *context;
  cohort_result *result = NULL;
  cohort_config config;
  CO_RETURN_IF_FAILED(cli_library_config(&config, cli, &o->common));
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_render_options request = {.config = config,
                                   .model = o->model,
                                   .dataset = o->dataset,
                                   .output = output,
                                   .force = o->common.force};
  cohort_status status = cohort_render_config(context, &request, &result);
  co_status taken = cli_library_end(cli, context, status, result);
  if (output) cli->text.length = 0; // it went into the file
  return taken;
}

const cli_verb cli_verb_render = {
    .name = "render-config",
    .aliases = "print-config dump-config",
    .usage = "-c CONFIG | -m MODEL [-O FILE] [options]",
    .summary = "print a config with all defaults filled in",
    .common = CLI_CONFIG | CLI_FORCE,
    .options = options_table,
    .options_size = sizeof(cli_render_options),
    .run = run,
};
