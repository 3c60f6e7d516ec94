// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "host/cli/verbs.h"

// Not a verb: perhaps a topic of the library ("layers"), or an entry of one ("layers.Dense").
static co_status describe(cli_job *cli, const char *topic) {
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_status status = cohort_describe(context, topic, &result);
  if (status == CO_ERR_USAGE && !strchr(topic, '.')) {
    cohort_result_free(result);
    cohort_context_free(context);
    return cli_verb_unknown(topic);
  }
  return cli_library_end(cli, context, status, result);
}

co_status cli_help_told(cli_job *cli, const cli_verb *verb) {
  cli_help_verb(&cli->text, verb);
  if (!verb->topic) return CO_OK;
  co_text_printf(&cli->text, "\n");
  return describe(cli, verb->topic);
}

static co_status run(cli_job *cli, const void *options) {
  const cli_help_options *o = options;
  if (cli->as_json) return co_fail(CO_ERR_USAGE, "help is text: it does not go with --json");
  if (!o->verbs.count) {
    cli_help_overview(&cli->text);
    return CO_OK;
  }
  if (o->verbs.count == 2) {
    char entry[256];
    (void)snprintf(entry, sizeof entry, "%s.%s", o->verbs.item[0], o->verbs.item[1]);
    return describe(cli, entry);
  }
  const cli_verb *verb = cli_verb_find(o->verbs.item[0]);
  if (!verb) return describe(cli, o->verbs.item[0]);
  return cli_help_told(cli, verb);
}

const cli_verb cli_verb_help = {
    .name = "help",
    .usage = "[VERB | TOPIC [NAME]]",
    .summary = "list the verbs, explain one, or say what configs may hold",
    .details = "TOPIC is one of those that `cohort help topics` lists; with NAME what it says of "
               "that alone\n"
               "(`cohort help layer Dense`).\n",
    .options_size = sizeof(cli_help_options),
    .operand = "VERB",
    .max_operands = 2,
    .operands = offsetof(cli_help_options, verbs),
    .run = run,
};
