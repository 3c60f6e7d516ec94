// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_generate_options, member)

static const cli_option options[] = {
    CLI_ROW_MODEL(cli_generate_options),
    {.name = "count",
     .kind = CLI_INT,
     .offset = AT(count),
     .value = "N",
     .doc = "images to make",
     .fallback = "64",
     .minimum = 1,
     .maximum = 1e7},
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "a picture of them all (.png), or a dataset (.h5)",
     .required = true},
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_generate_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  const cohort_generate_options request = {
      .model = o->model,
      .output = o->output,
      .count = o->count,
      .seed = o->common.seed == CLI_UNSET ? 0 : (uint64_t)o->common.seed,
      .device = o->common.device,
      .precision = o->common.precision,
      .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
      .force = o->common.force};
  cohort_status status = cohort_generate(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_generate = {
    .name = "generate",
    .usage = "-m MODEL [--count N] [--seed N] -O FILE.png [options]",
    .summary = "images that a trained generator makes of noise",
    .details =
        "Of models with an output of type generator (models/presets/product-gan.yaml), and of "
        "image\n"
        "autoencoders with bottleneck.variational=true (product-autoencoder.yaml). Image i of a "
        "seed\n"
        "is the same however many are made; other seeds are other images. A dataset has "
        "them\n"
        "in a column of the name that the generator was trained on, for example to be scored by\n"
        "another model.\n",
    .common = CLI_DEVICE | CLI_PRECISION | CLI_THREADS | CLI_SEED | CLI_FORCE,
    .options = options,
    .options_size = sizeof(cli_generate_options),
    .run = run,
};
