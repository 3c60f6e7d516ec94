// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

static co_status run(cli_job *cli, const void *options) {
  (void)options;
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_status status = cohort_doctor(context, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_doctor = {
    .name = "doctor",
    .aliases = "check-install",
    .usage = "[--json]",
    .summary = "show what this machine offers and what is missing",
    .common = CLI_THREADS,
    .options_size = sizeof(cli_doctor_options),
    .run = run,
};
