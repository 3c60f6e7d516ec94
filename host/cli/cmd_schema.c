// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

typedef struct schema_options {
  cli_common common;
} schema_options;

static const cli_option options_table[] = {{.name = NULL}};

static co_status run(cli_job *cli, const void *options) {
  cohort_context *context;
  cohort_result *result = NULL;
  (void)options;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_status status = cohort_schema(context, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_schema = {
    .name = "schema",
    .usage = "",
    .summary = "print what configs may say as JSON Schema, for editors",
    .details =
        "A first line `# yaml-language-server: $schema=cohort.schema.json` in a config lets\n"
        "editors complete and check it, once the schema lies in that file beside it.\n",
    .options = options_table,
    .options_size = sizeof(schema_options),
    .run = run,
};
