// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_select_options, member)

static const cli_option options[] = {
    CLI_ROW_DATASET(cli_select_options),
    {.name = "method",
     .kind = CLI_TEXT,
     .offset = AT(method),
     .value = "METHOD",
     .doc = "mutual_information, correlation, permutation or l1",
     .fallback = "mutual_information"},
    {.name = "model",
     .letter = 'm',
     .kind = CLI_TEXT,
     .offset = AT(model),
     .value = "MODEL",
     .doc = "permutation: run directory, checkpoint or model file"},
    {.name = "metric",
     .kind = CLI_TEXT,
     .offset = AT(metric),
     .value = "ID",
     .doc = "permutation: the metric that becomes worse (default: the loss)"},
    {.name = "top",
     .kind = CLI_INT,
     .offset = AT(top),
     .value = "N",
     .doc = "the N best columns",
     .minimum = 1,
     .maximum = 1e6},
    {.name = "min-score",
     .kind = CLI_DOUBLE,
     .offset = AT(min_score),
     .value = "S",
     .doc = "columns of that score at least (default: beyond what chance gives)",
     .minimum = 0,
     .maximum = 1e6},
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "the config to write",
     .required = true},
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_select_options *o = options_;
  if (o->top != CLI_UNSET && !isnan(o->min_score))
    return co_fail(CO_ERR_USAGE, "--top does not go with --min-score");
  cohort_context *context;
  cohort_result *result = NULL;
  cohort_select_options request = {.dataset = o->dataset,
                                   .method = o->method,
                                   .model = o->model,
                                   .metric = o->metric,
                                   .top = o->top == CLI_UNSET ? 0 : o->top,
                                   .min_score = isnan(o->min_score) ? -1 : o->min_score,
                                   .output = o->output,
                                   .force = o->common.force};
  CO_RETURN_IF_FAILED(cli_library_config(&request.config, cli, &o->common));
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_status status = cohort_select(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_select = {
    .name = "select",
    .usage = "[-c CONFIG] --dataset FILE -O FILE [--method METHOD] [--top N | --min-score S]",
    .summary = "write a config with the columns that tell of the target",
    .details =
        "Each input is judged by itself, on training rows, or by a model. The config says why it "
        "was\n"
        "chosen, and keeps the others as comments. Without CONFIG it is one of all inputs.\n"
        "mutual_information: in nats, less its bias; numbers are cut at 19 quantiles.\n"
        "correlation: |r|, of a category the correlation ratio. By default those are chosen whose\n"
        "score is more than three standard deviations above what a column gives that tells "
        "nothing.\n"
        "permutation: by how much a trained model's loss (or --metric) becomes worse on "
        "validation\n"
        "rows when the column's values change places, the mean of 5 times; by default those are\n"
        "chosen that make it worse by more than three standard errors.\n"
        "l1: |coefficient|, of standardised columns, in a linear or logistic regression with an "
        "L1\n"
        "penalty (of classes each against the rest); of 50 penalties the largest whose loss on\n"
        "validation rows is within a standard error of the least. By default those are chosen "
        "that\n"
        "it keeps.\n"
        "Images, vectors, texts and events are kept.\n",
    .common = CLI_CONFIG | CLI_FORCE,
    .options = options,
    .options_size = sizeof(cli_select_options),
    .run = run,
};
