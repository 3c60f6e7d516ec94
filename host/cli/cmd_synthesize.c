// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_synthesize_options, member)

static const cli_option options[] = {
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "the customers as CSV; - is standard output",
     .required = true},
    {.name = "rows",
     .kind = CLI_INT,
     .offset = AT(rows),
     .value = "N",
     .doc = "how many customers",
     .fallback = "20000",
     .minimum = 1,
     .maximum = 1e9},
    {.name = "truth",
     .kind = CLI_TEXT,
     .offset = AT(truth),
     .value = "FILE",
     .doc = "true probabilities: as it was, if contacted, if not contacted"},
    {.name = "leak",
     .kind = CLI_FLAG,
     .offset = AT(leak),
     .doc = "add the column invoice, which only those who bought have"},
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_synthesize_options *o = options_;
  bool to_stdout = strcmp(o->output, "-") == 0 || (o->truth && strcmp(o->truth, "-") == 0);
  if (cli->as_json && to_stdout) {
    co_status status = co_fail(CO_ERR_USAGE, "-O - and --json both want standard output");
    co_hint("give -O FILE");
    return status;
  }
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  const cohort_synthesize_options request = {
      .output = o->output,
      .truth = o->truth,
      .rows = o->rows,
      .seed = o->common.seed == CLI_UNSET ? 42 : (uint64_t)o->common.seed,
      .leak = o->leak,
      .force = o->common.force};
  cohort_status status = cohort_synthesize(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_synthesize = {
    .name = "synthesize",
    .aliases = "synthesize_dataset",
    .usage = "-O FILE [--rows N] [--truth FILE] [options]",
    .summary = "make up customers from a known process, to try things on",
    .details =
        "Profiles with numbers, categories and missing values, a campaign that contacted every\n"
        "other one, and who bought (the target). The process is written down in\n"
        "datasets/synthesize.h; --truth tells each customer's probabilities, so that it is known\n"
        "what a model can reach at best, and whom a contact moves.\n",
    .common = CLI_SEED | CLI_THREADS | CLI_FORCE,
    .options = options,
    .options_size = sizeof(cli_synthesize_options),
    .run = run,
};
