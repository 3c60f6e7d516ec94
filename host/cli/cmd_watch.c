// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

static const cli_option options[] = {
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_watch_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_status status = cohort_watch(context, o->runs.item[0], &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_watch = {
    .name = "watch",
    .usage = "RUN [options]",
    .summary = "follow a run that another process trains, to its end",
    .details =
        "On a terminal a line for each epoch, as train shows it, above a progress bar; elsewhere\n"
        "a line of the log for each. Those before are shown, too (of more than 20 the last). At\n"
        "the end a line on standard output, or with --json one document with all epochs.\n"
        "Ends when the run does, at once if it has already, as the run did: 0 done, 75 stopped "
        "(by\n"
        "--max-time or a signal; resumable), 8 diverged, another code if it failed with that, and\n"
        "137 killed: its process is gone and has not said why. How to go on is told then.\n"
        "Nothing is changed, and Ctrl-C ends the watching alone; any number may watch.\n",
    .options = options,
    .options_size = sizeof(cli_watch_options),
    .operand = "RUN",
    .min_operands = 1,
    .max_operands = 1,
    .operands = offsetof(cli_watch_options, runs),
    .run = run,
};
