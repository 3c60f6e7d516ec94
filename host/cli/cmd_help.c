// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

static co_status run(cli_job *cli, const void *options) {
  const cli_help_options *o = options;
  if (cli->as_json) return co_fail(CO_ERR_USAGE, "help is text: it does not go with --json");
  if (!o->verbs.count) {
    cli_help_overview(&cli->text);
    return CO_OK;
  }
  const cli_verb *verb = cli_verb_find(o->verbs.item[0]);
  if (!verb) return cli_verb_unknown(o->verbs.item[0]);
  cli_help_verb(&cli->text, verb);
  return CO_OK;
}

const cli_verb cli_verb_help = {
    .name = "help",
    .usage = "[VERB]",
    .summary = "list the verbs, or explain one",
    .options_size = sizeof(cli_help_options),
    .operand = "VERB",
    .max_operands = 1,
    .operands = offsetof(cli_help_options, verbs),
    .run = run,
};
