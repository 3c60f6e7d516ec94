// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_train_options, member)

static const cli_option options[] = {
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "dataset.h5; overrides the config's"},
    {.name = "run-dir",
     .kind = CLI_TEXT,
     .offset = AT(run_dir),
     .value = "DIR",
     .doc = "directory of the run",
     .required = true},
    {.name = "resume",
     .kind = CLI_OPTIONAL,
     .offset = AT(resume),
     .value = "RUN|CHECKPOINT",
     .doc = "continue the run; =auto starts, continues or finds it done",
     .aliases = "model-resume-path ckpt-path -mrp"},
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

const cli_verb cli_verb_train = {
    .name = "train",
    .aliases = "fit",
    .usage = "-c CONFIG --dataset FILE --run-dir DIR [options]",
    .summary = "train a model, or go on training",
    .details = "SIGINT and SIGTERM finish the step and write a checkpoint; a second one exits at "
               "once.\n",
    .common = CLI_CONFIG | CLI_DEVICE | CLI_THREADS | CLI_SEED | CLI_DRY_RUN,
    .options = options,
    .options_size = sizeof(cli_train_options),
};
