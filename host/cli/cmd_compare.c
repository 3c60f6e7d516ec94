// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_compare_options, member)

static const cli_option options[] = {
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "dataset.h5 (default: the one that the runs were trained on)"},
    CLI_ROW_SPLIT(cli_compare_options, "train, validation or test: whose rows are scored",
                  "validation"),
    {.name = "draws",
     .kind = CLI_INT,
     .offset = AT(draws),
     .value = "N",
     .doc = "bootstrap draws behind intervals and p; 0 = none (default: 1000, of more than 20,000 "
            "rows fewer)",
     .minimum = 0,
     .maximum = 1000000},
    {.name = "csv", .kind = CLI_FLAG, .offset = AT(csv), .doc = "CSV, a line for each run"},
    CLI_ROW_WORKERS(cli_compare_options),
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_compare_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  if (o->csv && o->common.json) return co_fail(CO_ERR_USAGE, "--csv does not go with --json");
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  const cohort_compare_options request = {
      .runs = o->runs.item,
      .run_count = o->runs.count,
      .dataset = o->dataset,
      .split = o->split,
      .device = o->common.device,
      .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
      .workers = (int)o->workers,
      .draws = o->draws == CLI_UNSET ? 0
               : o->draws == 0       ? -1
                                     : o->draws,
      .seed = o->common.seed == CLI_UNSET ? 0 : (uint64_t)o->common.seed,
      .csv = o->csv};
  cohort_status status = cohort_compare(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_compare = {
    .name = "compare",
    .usage = "RUN RUN... [--split NAME] [--csv] [options]",
    .summary = "runs beside each other: configs, metrics, paired differences",
    .details =
        "In what the runs' configs differ, and their metrics, measured on the same rows. Of each\n"
        "run but the first, metrics over scores are told with the difference from the first one,\n"
        "its 95 % interval and p, by a bootstrap that draws the same rows for both. Of runs of\n"
        "different data that would say nothing: they are refused, unless --dataset names rows. "
        "How\n"
        "validation rows were scored is kept by runs (RUN/scores.h5): they need neither data nor "
        "time,\n"
        "unless another version of Cohort kept it; those are scored again.\n",
    .common = CLI_DEVICE | CLI_THREADS | CLI_SEED,
    .options = options,
    .options_size = sizeof(cli_compare_options),
    .operand = "RUN",
    .min_operands = 2,
    .max_operands = 1000,
    .operands = AT(runs),
    .run = run,
};
