// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_report_options, member)

static const cli_option options[] = {
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "the page, as HTML",
     .required = true},
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "dataset.h5 (default: the one that the run was trained on)"},
    CLI_ROW_SPLIT(cli_report_options, "train, validation or test: whose rows are scored",
                  "validation"),
    {.name = "profit",
     .kind = CLI_NAMES,
     .offset = AT(profit),
     .value = "tp=N,fp=N,...",
     .doc = "what true and false positives and negatives (fn, tn) bring: a curve of the profit"},
    {.name = "study-name",
     .kind = CLI_TEXT,
     .offset = AT(study),
     .value = "NAME",
     .doc = "of one of several studies in a file"},
    CLI_ROW_WORKERS(cli_report_options),
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_report_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_report_options request = {
      .run = o->runs.item[0],
      .study_name = o->study,
      .output = o->output,
      .dataset = o->dataset,
      .split = o->split,
      .device = o->common.device,
      .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
      .workers = (int)o->workers,
      .profit = o->profit.item,
      .profit_count = o->profit.count,
      .force = o->common.force};
  cohort_status status = cohort_report(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_report = {
    .name = "report",
    .usage = "RUN -O FILE.html [--split NAME] [--dataset FILE] [options]\n"
             "       cohort report STUDY -O FILE.html",
    .summary = "a run or a study as a page of HTML: how good, on what grounds",
    .common = CLI_DEVICE | CLI_THREADS | CLI_FORCE,
    .options = options,
    .options_size = sizeof(cli_report_options),
    .operand = "RUN",
    .min_operands = 1,
    .max_operands = 1,
    .operands = AT(runs),
    .run = run,
};
