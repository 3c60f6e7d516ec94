// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_explain_options, member)

static const cli_option options[] = {
    CLI_ROW_MODEL(cli_explain_options),
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "dataset.h5, or a raw table with the model's columns; - is standard input"},
    CLI_ROWS_EVENTS(cli_explain_options),
    {.name = "key",
     .kind = CLI_TEXT,
     .offset = AT(key),
     .value = "COL",
     .doc = "of a raw table: the column that names rows (default: as in training, else the "
            "number)"},
    CLI_ROWS_SOURCE(cli_explain_options),
    CLI_ROW_SPLIT(cli_explain_options, "train, validation, test or all", "all"),
    {.name = "row",
     .kind = CLI_LIST,
     .offset = AT(keys),
     .value = "KEY",
     .doc = "explain the row of this key, repeatable"},
    {.name = "rows",
     .kind = CLI_INT,
     .offset = AT(rows),
     .value = "N",
     .doc = "explain the first N rows (default: 5; into a file all)",
     .minimum = 1,
     .maximum = 1e15},
    {.name = "target",
     .kind = CLI_TEXT,
     .offset = AT(target),
     .value = "OUTPUT",
     .doc = "whose scores, of a model with several outputs (default: the first that has a single "
            "value)"},
    {.name = "class",
     .kind = CLI_TEXT,
     .offset = AT(class_),
     .value = "CLASS",
     .doc = "of several classes (default: of each row the likeliest)"},
    {.name = "events",
     .kind = CLI_INT,
     .offset = AT(events),
     .value = "N",
     .doc = "the last N events of each row in place of columns, and the score as they came",
     .minimum = 1,
     .maximum = 1000},
    {.name = "steps",
     .kind = CLI_INT,
     .offset = AT(steps),
     .value = "N",
     .doc = "of networks: points of the integral (default: 32)",
     .minimum = 1,
     .maximum = 4096},
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "CSV, JSON lines (.jsonl), of images a page (.html); default: text, or --json"},
    CLI_ROW_WORKERS(cli_explain_options),
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_explain_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  const cohort_explain_options request = {
      .model = o->model,
      .dataset = o->dataset,
      .split = strcmp(o->split, "all") == 0 ? NULL : o->split,
      .key = o->key,
      .source = cli_source_options(&o->source),
      .sources = o->sources.item,
      .source_count = o->sources.count,
      .as_of = o->as_of,
      .keys = o->keys.item,
      .key_count = o->keys.count,
      .rows = o->rows == CLI_UNSET ? 0 : o->rows,
      .target = o->target,
      .class_ = o->class_,
      .output = o->output,
      .events = o->events == CLI_UNSET ? 0 : o->events,
      .steps = o->steps == CLI_UNSET ? 0 : o->steps,
      .device = o->common.device,
      .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
      .workers = (int)o->workers,
      .force = o->common.force};
  cohort_status status = cohort_explain(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_explain = {
    .name = "explain",
    .usage = "-m MODEL --dataset FILE [--row KEY | --rows N] [-O FILE] [options]\n"
             "       cohort explain -m MODEL --source events=LOG --as-of T [options]",
    .summary = "what made the scores of rows: effects of columns, of events",
    .details =
        "Effects are in log-odds of a binary target: 0.7 doubles the odds, -0.7 halves them. They\n"
        "are measured from the mean training row, as the model encodes it, and add up to what the\n"
        "row's log-odds are above that one's: exactly of linear models, SVMs and trees (SHAP\n"
        "values), of networks (integrated gradients along the straight line between the two) "
        "within\n"
        "an error that --json tells (largest_rest) and that falls with --steps. Of several "
        "classes\n"
        "it is the likeliest's logit, of members in one network the log-odds of their mean, of a\n"
        "number the number. What several features make of one column counts together; of events "
        "a\n"
        "table is one column.\n"
        "\n"
        "With --events the effect of an event is what the row's value rises by when it comes, "
        "later ones\n"
        "not being there yet: of any model of events, blends too, exactly; of a class the "
        "logarithm of its\n"
        "probability. Columns of the row (rfm.recency) stay what they are. A CSV then has the "
        "columns\n"
        "event, values, effect and score.\n"
        "\n"
        "A page of images shows of each integrated gradients of its pixels, occlusion and "
        "Grad-CAM of\n"
        "the last convolution: of a network whose only input is an image.\n",
    .common = CLI_DEVICE | CLI_THREADS | CLI_FORCE,
    .options = options,
    .options_size = sizeof(cli_explain_options),
    .run = run,
};
