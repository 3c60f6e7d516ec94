// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_plan_options, member)

static const char *const modes[] = {"train", "infer", NULL};

static const cli_option options[] = {
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "dataset.h5; overrides the config's"},
    {.name = "mode",
     .kind = CLI_WORD,
     .offset = AT(mode),
     .value = "MODE",
     .doc = "train or infer",
     .fallback = "train",
     .words = modes},
    {.name = "batch-size",
     .kind = CLI_INT,
     .offset = AT(batch_size),
     .value = "N",
     .doc = "rows; overrides the config's",
     .minimum = 1,
     .maximum = 1 << 24},
    {.name = NULL},
};

const cli_verb cli_verb_plan = {
    .name = "plan",
    .usage = "-c CONFIG --dataset FILE [options]",
    .summary = "check a config and show shapes, parameters, work and memory; trains nothing",
    .common = CLI_CONFIG | CLI_DEVICE | CLI_THREADS,
    .options = options,
    .options_size = sizeof(cli_plan_options),
};
