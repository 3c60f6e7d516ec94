// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_bench_options, member)

static const cli_option options[] = {
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "dataset.h5 (default: the config's)"},
    {.name = "rounds",
     .kind = CLI_INT,
     .offset = AT(rounds),
     .value = "N",
     .doc = "how often each is measured (default 5)",
     .minimum = 1,
     .maximum = 100},
    {.name = "seconds",
     .kind = CLI_DOUBLE,
     .offset = AT(seconds),
     .value = "S",
     .doc = "of a round, about (default 1)"},
    CLI_ROW_WORKERS(cli_bench_options),
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_bench_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  cohort_bench_options request = {.dataset = o->dataset,
                                  .device = o->common.device,
                                  .precision = o->common.precision,
                                  .threads =
                                      (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
                                  .workers = (int)o->workers,
                                  .rounds = o->rounds == CLI_UNSET ? 0 : o->rounds,
                                  .seconds = o->seconds};
  CO_RETURN_IF_FAILED(cli_library_config(&request.config, cli, &o->common));
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_status status = cohort_bench(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_bench = {
    .name = "bench",
    .usage = "-c CONFIG --dataset FILE [--rounds N] [--seconds S] [options]",
    .summary = "how fast a config trains and scores the rows of a dataset",
    .details =
        "Training: steps as train makes them (loading, augmenting, forward, backward, update), "
        "but\n"
        "for validation and checkpoints, behind 41 steps to warm up. Scoring: training rows, as\n"
        "predict scores those of a dataset, in batches of 1, 8, 64, … up to\n"
        "trainer.eval_batch_size. Each in rounds: the median and the range. Beside them how long\n"
        "it takes to be ready (config, data, plan) and the first step, the most memory, and, on\n"
        "CPUs, what the machine reaches in one large product and sum. Operations are the plan's,\n"
        "of sequences as long as they may be; a training in phases has none. What is no network "
        "is\n"
        "fitted once. Nothing is kept. Figures are worth little while other processes work: how\n"
        "much of the machine they used is told.\n",
    .common = CLI_CONFIG | CLI_DEVICE | CLI_PRECISION | CLI_THREADS | CLI_SEED,
    .options = options,
    .options_size = sizeof(cli_bench_options),
    .run = run,
};
