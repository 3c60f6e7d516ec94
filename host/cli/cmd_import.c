// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_import_options, member)

static const char *const formats[] = {"idx", NULL};

static const cli_option options_table[] = {
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "the dataset.h5 to write",
     .required = true},
    {.name = "format",
     .kind = CLI_WORD,
     .offset = AT(format),
     .value = "FORMAT",
     .doc = "idx (MNIST-like files, plain or gzip)",
     .words = formats,
     .required = true},
    {.name = "training-set",
     .kind = CLI_PAIR,
     .offset = AT(training),
     .value = "IMAGES LABELS",
     .doc = "training rows",
     .required = true},
    {.name = "validation-set",
     .kind = CLI_PAIR,
     .offset = AT(validation),
     .value = "IMAGES LABELS",
     .doc = "validation rows"},
    {.name = "test-set",
     .kind = CLI_PAIR,
     .offset = AT(test),
     .value = "IMAGES LABELS",
     .doc = "test rows"},
    {.name = "validation-fraction",
     .kind = CLI_DOUBLE,
     .offset = AT(validation_fraction),
     .value = "F",
     .doc = "share of training rows to validate on (default 0.1)",
     .minimum = 0,
     .maximum = 0.9},
    {.name = "class-names",
     .kind = CLI_NAMES,
     .offset = AT(class_names),
     .value = "A,B,...",
     .doc = "names of the classes 0, 1, ..."},
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_import_options *o = options_;
  bool fraction = !isnan(o->validation_fraction);
  if (fraction && o->validation[0])
    return co_fail(CO_ERR_USAGE, "--validation-fraction does not go with --validation-set");
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_import_idx_options request = {
      .output = o->output,
      .training = {o->training[0], o->training[1]},
      .validation = {o->validation[0], o->validation[1]},
      .test = {o->test[0], o->test[1]},
      .validation_fraction = fraction           ? o->validation_fraction
                             : o->validation[0] ? 0
                                                : 0.1,
      .seed = o->common.seed == CLI_UNSET ? 42 : (uint64_t)o->common.seed,
      .class_names = o->class_names.item,
      .class_name_count = o->class_names.count,
      .force = o->common.force};
  cohort_status status = cohort_import_idx(context, &request, &result);
  co_status taken = cli_library_take(cli, status, result);
  cohort_context_free(context);
  return taken;
}

const cli_verb cli_verb_import = {
    .name = "import",
    .aliases = "preprocess",
    .usage = "-O FILE --format idx --training-set IMAGES LABELS [options]",
    .summary = "make a dataset.h5 from images",
    .details =
        "Nothing appears under the output's name before it is complete. An output made from\n"
        "equal inputs is left alone, or made again if it is damaged.\n",
    .common = CLI_SEED | CLI_FORCE,
    .options = options_table,
    .options_size = sizeof(cli_import_options),
    .run = run,
};
