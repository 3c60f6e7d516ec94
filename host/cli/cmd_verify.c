// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/killed.h"

#define AT(member) offsetof(cli_verify_options, member)

static const cli_option options[] = {
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "dataset.h5",
     .required = true},
    {.name = "model",
     .letter = 'm',
     .kind = CLI_TEXT,
     .offset = AT(model),
     .value = "MODEL",
     .doc = "parity: run directory, checkpoint or model file",
     .aliases = "model-path"},
    {.name = "split",
     .kind = CLI_TEXT,
     .offset = AT(split),
     .value = "NAME",
     .doc = "parity: train, validation or test; its first rows are the batch, of models of events "
            "and texts those of one shape among its first 65,536 (default: train)"},
    CLI_ROW_BATCH_SIZE(cli_verify_options, "parity: rows; default: the model's, at most 16"),
    {.name = "tolerance",
     .kind = CLI_DOUBLE,
     .offset = AT(tolerance),
     .value = "T",
     .doc = "parity: largest difference of a tensor, instead of what rounding allows",
     .minimum = 1e-12,
     .maximum = 1},
    {.name = "kills",
     .kind = CLI_INT,
     .offset = AT(kills),
     .value = "N",
     .doc = "resume: how often the second training is killed (default: 3)",
     .minimum = 1,
     .maximum = 1000},
    {.name = "run-dir",
     .kind = CLI_TEXT,
     .offset = AT(run_dir),
     .value = "DIR",
     .doc = "resume, determinism: new folder that keeps both runs; by default they go"},
    {.name = "workers",
     .kind = CLI_INT,
     .offset = AT(workers),
     .value = "N",
     .doc = "resume: threads that prepare batches",
     .minimum = 0,
     .maximum = 256},
    {.name = NULL},
};

static cohort_status verify_parity(cli_job *cli, cohort_context *context,
                                   const cli_verify_options *o, cohort_result **result) {
  (void)cli;
  const cohort_verify_parity_options request = {
      .model = o->model,
      .dataset = o->dataset,
      .split = o->split,
      .device = o->common.device,
      .precision = o->common.precision,
      .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
      .batch_size = o->batch_size == CLI_UNSET ? 0 : o->batch_size,
      .tolerance = isnan(o->tolerance) ? 0 : o->tolerance};
  return cohort_verify_parity(context, &request, result);
}

static cohort_status verify_runs(cli_job *cli, cohort_context *context, const cli_verify_options *o,
                                 cohort_result **result) {
  cohort_config config;
  CO_RETURN_IF_FAILED(cli_library_config(&config, cli, &o->common));
  bool resume = strcmp(o->properties.item[0], "resume") == 0;
  const char *folder = getenv("TMPDIR");
  cli_killed killed = {.cli = cli, .options = o, .config = &config};
  const cohort_verify_runs_options request = {
      .training = {.config = config,
                   .dataset = o->dataset,
                   .device = o->common.device,
                   .precision = o->common.precision,
                   .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
                   .workers = (int)(o->workers == CLI_UNSET ? 0 : o->workers)},
      .run_dir = o->run_dir,
      .temporary_folder = folder && *folder ? folder : NULL,
      .kills = !resume                 ? 0
               : o->kills == CLI_UNSET ? 3
                                       : o->kills,
      .seed = (uint64_t)(o->common.seed == CLI_UNSET ? 0 : o->common.seed),
      .train_and_kill = cli_train_and_kill,
      .kill_user = &killed};
  return resume ? cohort_verify_resume(context, &request, result)
                : cohort_verify_determinism(context, &request, result);
}

// An option that the property has nothing to do with; NULL if all is well.
static const char *find_stray(const cli_verify_options *o, const char *property) {
  bool resume = strcmp(property, "resume") == 0;
  if (strcmp(property, "parity") == 0)
    return o->common.configs.count       ? "--config"
           : o->common.sets.count        ? "--set"
           : o->common.seed != CLI_UNSET ? "--seed"
           : o->kills != CLI_UNSET       ? "--kills"
           : o->run_dir                  ? "--run-dir"
           : o->workers != CLI_UNSET     ? "--workers"
                                         : NULL;
  return o->model                             ? "--model"
         : o->split                           ? "--split"
         : o->batch_size != CLI_UNSET         ? "--batch-size"
         : !isnan(o->tolerance)               ? "--tolerance"
         : o->kills != CLI_UNSET && !resume   ? "--kills"
         : o->workers != CLI_UNSET && !resume ? "--workers"
                                              : NULL;
}

static co_status check(const cli_verify_options *o, const char *property) {
  bool parity = strcmp(property, "parity") == 0;
  const char *stray = find_stray(o, property);
  co_status status = CO_OK;
  if (!parity && strcmp(property, "resume") != 0 && strcmp(property, "determinism") != 0) {
    status = co_fail(CO_ERR_USAGE, "cannot verify '%s'", property);
    co_hint("known: parity, resume, determinism");
  } else if (stray) {
    status = co_fail(CO_ERR_USAGE, "verify %s takes no %s", property, stray);
    co_hint("see: cohort verify --help");
  } else if (parity && !o->model) {
    status = co_fail(CO_ERR_USAGE, "verify parity needs --model");
    co_hint("a run directory, checkpoint or model file");
  } else if (!parity && !o->common.configs.count) {
    status = co_fail(CO_ERR_USAGE, "verify %s needs --config", property);
    co_hint("give -c CONFIG.yaml, for example -c models/presets/shopper-mlp.yaml");
  }
  return status;
}

static co_status run(cli_job *cli, const void *options_) {
  const cli_verify_options *o = options_;
  const char *property = o->properties.item[0];
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(check(o, property));
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_status status = strcmp(property, "parity") == 0 ? verify_parity(cli, context, o, &result)
                                                         : verify_runs(cli, context, o, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_verify = {
    .name = "verify",
    .usage = "parity -m MODEL --dataset FILE [--device DEVICE] [options]\n"
             "       cohort verify resume -c CONFIG --dataset FILE [--kills N] [options]\n"
             "       cohort verify determinism -c CONFIG --dataset FILE [options]",
    .summary = "prove a property of a model or a training on this machine",
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
        "resume: trains twice. The second training is killed (SIGKILL) at N different steps, "
        "drawn\n"
        "from --seed, and goes on each time. Compared are every tensor and byte of model.h5, "
        "every\n"
        "line of metrics.jsonl and the checkpoints. --set trainer.max_epochs=… shortens both.\n"
        "determinism: trains twice, with one thread and with three that prepare batches; compares\n"
        "the same.\n"
        "Exit 10 if a tensor is out of tolerance or differs; the error names the first one.\n",
    .common = CLI_CONFIG | CLI_SEED | CLI_DEVICE | CLI_PRECISION | CLI_THREADS,
    .options = options,
    .options_size = sizeof(cli_verify_options),
    .operand = "PROPERTY",
    .min_operands = 1,
    .max_operands = 1,
    .operands = offsetof(cli_verify_options, properties),
    .run = run,
};
