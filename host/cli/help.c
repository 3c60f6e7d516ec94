// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "host/cli/cli.h"

static const char exit_codes[] =
    "\nexit codes:\n"
    "  0 done, 1 internal error, 2 usage, 3 config, 4 data, 5 model, 6 device, 7 memory,\n"
    "  8 diverged, 9 input/output, 10 a gate failed, 75 the time was over (resumable),\n"
    "  130/143 interrupted, 137 what is watched was killed\n";

void cli_help_overview(co_text *text) {
  co_text_printf(text, "usage: cohort VERB [options]\n"
                       "       cohort help VERB\n"
                       "       cohort --version [--json]\n\nverbs:\n");
  const cli_verb *verb;
  for (int i = 0; (verb = cli_verb_at(i)) != NULL; i++)
    co_text_printf(text, "  %-14s %s\n", verb->name, verb->summary);
  co_text_printf(text, "\nWhat configs may hold: cohort help topics\n");
}

void cli_help_verb(co_text *text, const cli_verb *verb) {
  co_text_printf(text, "usage: cohort %s%s%s\n\n%s\n", verb->name, *verb->usage ? " " : "",
                 verb->usage, verb->summary);
  if (verb->aliases) co_text_printf(text, "Also called: %s\n", verb->aliases);
  if (verb->details) co_text_printf(text, "\n%s", verb->details);
  cli_syntax syntax = cli_verb_syntax(verb);
  cli_describe(text, &syntax);
  co_text_append(text, exit_codes, sizeof exit_codes - 1);
}

co_status cli_show_version(cli_job *cli) {
  co_text_printf(&cli->text, "cohort %s\n", COHORT_VERSION);
  co_json_key(&cli->json, "version");
  co_json_string(&cli->json, COHORT_VERSION);
  return CO_OK;
}
