// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <string.h>

#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_verify_options, member)

static const cli_option options[] = {
    CLI_ROW_MODEL(cli_verify_options),
    CLI_ROW_DATASET(cli_verify_options),
    CLI_ROW_SPLIT(cli_verify_options, "train, validation or test; its first rows are the batch",
                  "train"),
    CLI_ROW_BATCH_SIZE(cli_verify_options, "rows; default: the model's, at most 16"),
    {.name = "tolerance",
     .kind = CLI_DOUBLE,
     .offset = AT(tolerance),
     .value = "T",
     .doc = "largest difference of a tensor, instead of what rounding allows; see above",
     .minimum = 1e-12,
     .maximum = 1},
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_verify_options *o = options_;
  const char *property = o->properties.item[0];
  if (strcmp(property, "parity") != 0) {
    co_status status = co_fail(CO_ERR_USAGE, "cannot verify '%s'", property);
    co_hint("known: parity");
    return status;
  }
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_verify_parity_options request = {
      .model = o->model,
      .dataset = o->dataset,
      .split = o->split,
      .device = o->common.device,
      .precision = o->common.precision,
      .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
      .batch_size = o->batch_size == CLI_UNSET ? 0 : o->batch_size,
      .tolerance = isnan(o->tolerance) ? 0 : o->tolerance};
  cohort_status status = cohort_verify_parity(context, &request, &result);
  co_status taken = cli_library_take(cli, status, result);
  cohort_context_free(context);
  return taken;
}

const cli_verb cli_verb_verify = {
    .name = "verify",
    .usage = "parity -m MODEL --dataset FILE [--device DEVICE] [options]",
    .summary = "prove a property of a model on this machine",
    .details =
        "parity: one batch of the model's data through inference and training (forward, loss,\n"
        "backward) on the device and on the reference in double, from the same weights.\n"
        "Compared are every layer's output, predictions, losses, every gradient and running\n"
        "statistics: max |a - b| / max |b| over each tensor, b being the reference's. Allowed is\n"
        "what rounding makes of it, which is measured by rounding at random in the reference, and\n"
        "1e-4 (tf32: 1e-3; bf16: 0.05, gradients 0.25) besides. (What is zero but for rounding,\n"
        "such as the gradient of a bias before batch normalisation, is told in the size of what\n"
        "cancels.) Products are calculated in float, not TF32, unless --precision says tf32 or\n"
        "bf16. A gradient that is out of tolerance, or that a ReLU or max pooling within rounding\n"
        "of a tie makes uncertain, is looked at in up to three further batches.\n"
        "Exit 10 if a tensor is out of tolerance; the error names the first one's layer.\n",
    .common = CLI_DEVICE | CLI_PRECISION | CLI_THREADS,
    .options = options,
    .options_size = sizeof(cli_verify_options),
    .operand = "PROPERTY",
    .min_operands = 1,
    .max_operands = 1,
    .operands = offsetof(cli_verify_options, properties),
    .run = run,
};
