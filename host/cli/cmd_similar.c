// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_similar_options, member)

static const cli_option options[] = {
    CLI_ROW_MODEL(cli_similar_options),
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "dataset.h5, or a folder or archive of images",
     .required = true},
    {.name = "row",
     .kind = CLI_LIST,
     .offset = AT(keys),
     .value = "KEY",
     .doc = "find what is nearest to the row of this key, repeatable",
     .required = true},
    {.name = "top",
     .kind = CLI_INT,
     .offset = AT(top),
     .value = "N",
     .doc = "so many of them (default: 10)",
     .minimum = 1,
     .maximum = 10000},
    {.name = "measure",
     .kind = CLI_TEXT,
     .offset = AT(measure),
     .value = "HOW",
     .doc = "cosine (of the angle, the default) or euclidean (distance)"},
    CLI_ROW_SPLIT(cli_similar_options, "among the rows of train, validation, test or all", "all"),
    CLI_ROW_WORKERS(cli_similar_options),
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_similar_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  const cohort_similar_options request = {
      .model = o->model,
      .dataset = o->dataset,
      .split = strcmp(o->split, "all") == 0 ? NULL : o->split,
      .keys = o->keys.item,
      .key_count = o->keys.count,
      .top = o->top == CLI_UNSET ? 0 : o->top,
      .measure = o->measure,
      .device = o->common.device,
      .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
      .workers = (int)o->workers};
  cohort_status status = cohort_similar(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_similar = {
    .name = "similar",
    .usage = "-m MODEL --dataset FILE --row KEY [--top N] [options]",
    .summary = "the rows most like one: look-alikes by embedding",
    .details =
        "Rows are compared by the embedding of a model with a bottleneck, such as the presets\n"
        "product-autoencoder and customer-autoencoder train. All rows are scored; the row itself "
        "is\n"
        "left out. Of equal ones the first in the dataset comes first.\n",
    .common = CLI_DEVICE | CLI_THREADS,
    .options = options,
    .options_size = sizeof(cli_similar_options),
    .run = run,
};
