// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

const cli_verb cli_verb_inspect = {
    .name = "inspect",
    .usage = "FILE [--json]",
    .summary = "show what a dataset, model, checkpoint or run holds",
    .options_size = sizeof(cli_inspect_options),
    .operand = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .operands = offsetof(cli_inspect_options, files),
};
