// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

static co_status run(cli_job *cli, const void *options_) {
  const cli_inspect_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_status status = cohort_inspect(context, o->files.item[0], &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_inspect = {
    .name = "inspect",
    .usage = "FILE [--json]",
    .summary = "show what a dataset, model, checkpoint or run holds",
    .options_size = sizeof(cli_inspect_options),
    .operand = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .operands = offsetof(cli_inspect_options, files),
    .run = run,
};
