// SPDX-License-Identifier: Apache-2.0
#include "datasets/import.h"

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

// Stages of an import arrive as (what, done, total).
typedef struct stage {
  co_progress *progress;
  const char *what;
} stage;

static void show_progress(void *user, const char *what, int64_t done, int64_t total) {
  stage *s = user;
  if (!s->progress) return;
  if (s->what != what) co_progress_begin(s->progress, what, total, "rows");
  s->what = what;
  co_progress_update(s->progress, done, NULL);
}

static void report(cli_job *cli, const cli_import_options *o, const co_import_result *r) {
  static const char *const splits[] = {"train", "validation", "test"};
  co_json *json = &cli->json;
  co_text_printf(&cli->text, "%s%s\n", o->output, r->up_to_date ? " is up to date" : "");
  co_json_key(json, "output");
  co_json_string(json, o->output);
  co_json_key(json, "up_to_date");
  co_json_bool(json, r->up_to_date);
  co_json_key(json, "rows");
  co_json_open(json, '{');
  for (int i = 0; i < 3; i++) {
    co_json_key(json, splits[i]);
    co_json_int(json, r->rows[i]);
    co_text_printf(&cli->text, "  %-10s %lld rows\n", splits[i], (long long)r->rows[i]);
  }
  co_json_close(json);
  co_text_printf(&cli->text, "  image      %lld x %lld x %lld, %lld classes\n",
                 (long long)r->height, (long long)r->width, (long long)r->channels,
                 (long long)r->classes);
  co_text_printf(&cli->text, "  duplicates %lld\n", (long long)r->duplicates);
  co_json_key(json, "image_shape");
  co_json_open(json, '[');
  co_json_int(json, r->height);
  co_json_int(json, r->width);
  co_json_int(json, r->channels);
  co_json_close(json);
  co_json_key(json, "classes");
  co_json_int(json, r->classes);
  co_json_key(json, "duplicates");
  co_json_int(json, r->duplicates);
  co_json_key(json, "fingerprint");
  co_json_string(json, r->fingerprint);
}

static co_status run(cli_job *cli, const void *options) {
  const cli_import_options *o = options;
  bool fraction = !isnan(o->validation_fraction);
  if (fraction && o->validation[0])
    return co_fail(CO_ERR_USAGE, "--validation-fraction does not go with --validation-set");
  stage steps = {.progress = cli->progress};
  const co_import_idx_options request = {
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
      .force = o->common.force,
      .progress = show_progress,
      .progress_user = &steps,
  };
  co_import_result result = {0};
  co_status status = co_import_idx(&result, cli->ctx, &request, &cli->problems);
  if (cli->progress) co_progress_end(cli->progress);
  if (status == CO_OK && !cli->problems.count) report(cli, o, &result);
  return status;
}

const cli_verb cli_verb_import = {
    .name = "import",
    .aliases = "preprocess",
    .usage = "-O FILE --format idx --training-set IMAGES LABELS [options]",
    .summary = "make a dataset.h5 from images",
    .details =
        "Nothing appears under the output's name before it is complete. An output made from\n"
        "equal inputs is left alone.\n",
    .common = CLI_SEED | CLI_FORCE,
    .options = options_table,
    .options_size = sizeof(cli_import_options),
    .run = run,
};
