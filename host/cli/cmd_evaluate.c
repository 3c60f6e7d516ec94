// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_evaluate_options, member)

static const cli_option options[] = {
    {.name = "model",
     .letter = 'm',
     .kind = CLI_TEXT,
     .offset = AT(model),
     .value = "MODEL",
     .doc = "run directory, checkpoint or model file",
     .aliases = "model-path",
     .required = true},
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "dataset.h5",
     .required = true},
    {.name = "split",
     .kind = CLI_TEXT,
     .offset = AT(split),
     .value = "NAME",
     .doc = "train, validation or test",
     .fallback = "test"},
    {.name = "require",
     .kind = CLI_LIST,
     .offset = AT(requirements),
     .value = "TEST",
     .doc = "gate such as 'accuracy>=0.9'; repeatable; a false one exits with 10"},
    {.name = "batch-size",
     .kind = CLI_INT,
     .offset = AT(batch_size),
     .value = "N",
     .doc = "rows at a time",
     .minimum = 1,
     .maximum = 1 << 24},
    {.name = "workers",
     .kind = CLI_INT,
     .offset = AT(workers),
     .value = "N",
     .doc = "threads that prepare batches",
     .fallback = "2",
     .minimum = 0,
     .maximum = 256},
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_evaluate_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_evaluate_options request = {
      .model = o->model,
      .dataset = o->dataset,
      .split = o->split,
      .device = o->common.device,
      .precision = o->common.precision,
      .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
      .workers = (int)o->workers,
      .batch_size = o->batch_size == CLI_UNSET ? 0 : o->batch_size,
      .require = o->requirements.item,
      .require_count = o->requirements.count};
  cohort_status status = cohort_evaluate(context, &request, &result);
  co_status taken = cli_library_take(cli, status, result);
  cohort_context_free(context);
  return taken;
}

const cli_verb cli_verb_evaluate = {
    .name = "evaluate",
    .aliases = "test validate",
    .usage = "-m MODEL --dataset FILE [--split NAME] [--require TEST] [options]",
    .summary = "measure a model on a split, with optional gates",
    .common = CLI_DEVICE | CLI_PRECISION | CLI_THREADS,
    .options = options,
    .options_size = sizeof(cli_evaluate_options),
    .run = run,
};
