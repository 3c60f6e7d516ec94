// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_evaluate_options, member)

static const cli_option options[] = {
    {.name = "model",
     .letter = 'm',
     .kind = CLI_LIST,
     .offset = AT(models),
     .value = "[NAME=]MODEL",
     .doc = "run directory, checkpoint or model file; several are compared: see above",
     .aliases = "model-path",
     .required = true},
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "dataset.h5, or a raw table with the model's columns, which is split as in training"},
    {.name = "source",
     .kind = CLI_LIST,
     .offset = AT(sources),
     .value = "NAME=SOURCE",
     .doc = "in place of --dataset, of a model of several tables, none of them a log: each; "
            "repeatable"},
    CLI_ROWS_SOURCE(cli_evaluate_options),
    CLI_ROW_SPLIT(cli_evaluate_options, "train, validation or test; of a raw table also all",
                  "test"),
    {.name = "require",
     .kind = CLI_LIST,
     .offset = AT(requirements),
     .value = "TEST",
     .doc = "gate such as 'accuracy>=0.9'; repeatable; a false one exits with 10"},
    {.name = "exclude-seen",
     .kind = CLI_FLAG,
     .offset = AT(exclude_seen),
     .doc = "of next items: rank only those that the row's own history has not"},
    {.name = "by",
     .kind = CLI_TEXT,
     .offset = AT(by),
     .value = "COLUMN",
     .doc = "tell metrics and rates by the values of a column, too (a number's by fifths)"},
    {.name = "profit",
     .kind = CLI_NAMES,
     .offset = AT(profit),
     .value = "tp=N,fp=N,...",
     .doc = "what true and false positives and negatives (fn, tn) bring: profit, best cut-off"},
    {.name = "draws",
     .kind = CLI_INT,
     .offset = AT(draws),
     .value = "N",
     .doc = "bootstrap draws behind the 95 % intervals; 0 = no intervals (default: 1000, of more "
            "than 20,000 rows fewer)",
     .minimum = 0,
     .maximum = 1000000},
    CLI_ROW_BATCH_SIZE(cli_evaluate_options, "rows at a time"),
    CLI_ROWS_AUTOTUNE(cli_evaluate_options, "auto"),
    CLI_ROW_WORKERS(cli_evaluate_options),
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_evaluate_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  const char *cache;
  CO_RETURN_IF_FAILED(cli_autotune_cache(&cache, cli, &o->autotune));
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_evaluate_options request = {
      .model = o->models.item[0],
      .more_models = o->models.item + 1,
      .more_model_count = o->models.count - 1,
      .dataset = o->dataset,
      .source = cli_source_options(&o->source),
      .sources = o->sources.item,
      .source_count = o->sources.count,
      .split = o->split,
      .device = o->common.device,
      .precision = o->common.precision,
      .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
      .autotune = o->autotune.when,
      .autotune_cache = cache,
      .workers = (int)o->workers,
      .batch_size = o->batch_size == CLI_UNSET ? 0 : o->batch_size,
      .draws = o->draws == CLI_UNSET ? 0
               : o->draws            ? o->draws
                                     : -1,
      .seed = o->common.seed == CLI_UNSET ? 0 : (uint64_t)o->common.seed,
      .by = o->by,
      .exclude_seen = o->exclude_seen,
      .profit = o->profit.item,
      .profit_count = o->profit.count,
      .require = o->requirements.item,
      .require_count = o->requirements.count};
  cohort_status status = cohort_evaluate(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_evaluate = {
    .name = "evaluate",
    .aliases = "test validate",
    .usage = "-m [NAME=]MODEL ... --dataset FILE [--split NAME] [--require TEST] [options]",
    .summary = "measure models on a split, with optional gates",
    .details =
        "The rows of a raw table are split by the rule and seed of the import that the model "
        "was\n"
        "trained on; --split all takes all of them. It must have the targets.\n"
        "\n"
        "Of several models, -m champion=RUN -m challenger=RUN, each is measured on the same rows, "
        "and\n"
        "what each but the first has above that one is told with its 95 % interval and p; gates "
        "are\n"
        "for all. Unlike compare, it takes any models and rows, not runs and their own datasets.\n",
    .common = CLI_DEVICE | CLI_PRECISION | CLI_THREADS | CLI_SEED,
    .options = options,
    .options_size = sizeof(cli_evaluate_options),
    .run = run,
};
