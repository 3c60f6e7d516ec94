// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_train_options, member)

static const cli_option options[] = {
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc = "dataset.h5, or a raw table to be imported; overrides the config's"},
    {.name = "target",
     .kind = CLI_LIST,
     .offset = AT(targets),
     .value = "COL",
     .doc = "of a raw table: a column to predict; repeatable"},
    {.name = "key",
     .kind = CLI_TEXT,
     .offset = AT(key),
     .value = "COL",
     .doc = "of a raw table: the column that names rows"},
    {.name = "schema",
     .kind = CLI_TEXT,
     .offset = AT(schema),
     .value = "FILE",
     .doc = "of a raw table: its columns, see import --print-schema"},
    CLI_ROWS_TABLES(cli_train_options),
    CLI_ROWS_SOURCE(cli_train_options),
    {.name = "run-dir",
     .kind = CLI_TEXT,
     .offset = AT(run_dir),
     .value = "DIR",
     .doc = "exact directory of the run; by default one below --output-directory"},
    {.name = "output-directory",
     .letter = 'o',
     .kind = CLI_TEXT,
     .offset = AT(output_directory),
     .value = "DIR",
     .doc = "where runs without --run-dir go",
     .fallback = "runs"},
    {.name = "experiment-name",
     .kind = CLI_TEXT,
     .offset = AT(experiment),
     .value = "NAME",
     .doc = "folder of the run below it; by default the config's name"},
    {.name = "resume",
     .kind = CLI_OPTIONAL,
     .offset = AT(resume),
     .value = "RUN",
     .doc = "continue the run; =auto starts, continues or finds it done",
     .aliases = "model-resume-path ckpt-path -mrp"},
    {.name = "init-from",
     .kind = CLI_TEXT,
     .offset = AT(init_from),
     .value = "MODEL",
     .doc = "begin with a run's or model's weights, where name and shape agree",
     .aliases = "model-load-path weights -mlp"},
    {.name = "refit",
     .kind = CLI_FLAG,
     .offset = AT(refit),
     .doc = "then train on validation rows, too, as long as was best; ship that"},
    CLI_ROW_PLACEMENT(cli_train_options),
    CLI_ROWS_AUTOTUNE(cli_train_options, "auto"),
    {.name = "eager",
     .kind = CLI_FLAG,
     .offset = AT(eager),
     .doc = "on a GPU, run operations one by one instead of recorded: to debug"},
    CLI_ROW_WORKERS(cli_train_options),
    {.name = "profile",
     .kind = CLI_FLAG,
     .offset = AT(profile),
     .doc = "time by layer, beside what the machine can do; RUN/profile.json, and in the report"},
    {.name = "fast-dev-run",
     .kind = CLI_OPTIONAL,
     .offset = AT(fast_dev_run),
     .value = "N",
     .doc = "rehearse all of it on N batches, by default one, and keep nothing"},
    {.name = "overfit-batches",
     .kind = CLI_INT,
     .offset = AT(overfit_batches),
     .value = "N",
     .doc = "train and validate on N batches of rows alone: can it learn at all?",
     .minimum = 1,
     .maximum = 1e9},
    {.name = "find-learning-rate",
     .kind = CLI_FLAG,
     .offset = AT(find_learning_rate),
     .doc = "100 steps at rising rates: tells a good one, and keeps nothing"},
    {.name = "find-batch-size",
     .kind = CLI_FLAG,
     .offset = AT(find_batch_size),
     .doc = "tells the largest that fits into memory, by plans alone"},
    {.name = "max-time",
     .kind = CLI_TEXT,
     .offset = AT(max_time),
     .value = "TIME",
     .doc = "stop after [[DD:]HH:]MM:SS with a checkpoint and exit code 75"},
    {.name = NULL},
};

// Two to four parts, of which only the first may be large.
co_status cli_read_time(const char *text, double *seconds) {
  static const int64_t units[] = {24, 60, 60}, largest[] = {23, 59, 59};
  int64_t total = 0, parts = 1;
  for (const char *at = text; *at; at++)
    parts += *at == ':';
  bool good = parts >= 2 && parts <= 4;
  for (int64_t i = 4 - parts; good && i < 4; i++) {
    char *end;
    long value = strtol(text, &end, 10);
    good = text[0] >= '0' && text[0] <= '9' && *end == (i < 3 ? ':' : '\0') && value < 1000000 &&
           (i == 4 - parts || value <= largest[i - 1]);
    total = (i == 4 - parts ? 0 : total * units[i - 1]) + value;
    text = end + 1;
  }
  *seconds = (double)total;
  return good && total > 0 ? CO_OK
                           : co_fail(CO_ERR_USAGE, "--max-time is not [[DD:]HH:]MM:SS above zero");
}

// One more assignment, after the others.
static co_status add_overfit(cohort_config *config, cli_job *cli, int64_t batches) {
  if (batches == CLI_UNSET) return CO_OK;
  const char **all = co_arena_alloc(cli->arena, (size_t)config->assignment_count + 1, sizeof *all);
  char *text = co_arena_format(cli->arena, "trainer.overfit_batches=%lld", (long long)batches);
  if (!all || !text) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < config->assignment_count; i++)
    all[i] = config->assignments[i];
  all[config->assignment_count++] = text;
  config->assignments = all;
  return CO_OK;
}

static co_status read_batches(const char *text, int64_t *out) {
  char *end;
  *out = text ? *text ? strtoll(text, &end, 10) : 1 : 0;
  if (!text || !*text || (!*end && *out > 0 && *out <= 1000000)) return CO_OK;
  return co_fail(CO_ERR_USAGE, "--fast-dev-run=%s is no number of batches", text);
}

static co_status check_one(const cli_train_options *o) {
  if ((o->fast_dev_run != NULL) + o->find_learning_rate + o->find_batch_size <= 1) return CO_OK;
  return co_fail(CO_ERR_USAGE, "give one of --fast-dev-run, --find-learning-rate and "
                               "--find-batch-size");
}

static co_status run(cli_job *cli, const void *options_) {
  const cli_train_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  cohort_config config;
  double max_seconds = 0;
  int64_t batches;
  CO_RETURN_IF_FAILED(check_one(o));
  CO_RETURN_IF_FAILED(read_batches(o->fast_dev_run, &batches));
  if (o->max_time) CO_RETURN_IF_FAILED(cli_read_time(o->max_time, &max_seconds));
  const char *cache;
  CO_RETURN_IF_FAILED(cli_autotune_cache(&cache, cli, &o->autotune));
  CO_RETURN_IF_FAILED(cli_library_config(&config, cli, &o->common));
  CO_RETURN_IF_FAILED(add_overfit(&config, cli, o->overfit_batches));
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_train_options request = {.config = config,
                                  .dataset = o->dataset,
                                  .targets = o->targets.item,
                                  .target_count = o->targets.count,
                                  .key = o->key,
                                  .schema = o->schema,
                                  .source = cli_source_options(&o->source),
                                  .tables = cli_joined_tables(&o->tables),
                                  .run_dir = o->run_dir,
                                  .output_directory = o->output_directory,
                                  .experiment = o->experiment,
                                  .resume = o->resume,
                                  .init_from = o->init_from,
                                  .device = o->common.device,
                                  .placement = o->placement,
                                  .autotune = o->autotune.when,
                                  .autotune_cache = cache,
                                  .precision = o->common.precision,
                                  .command = cli->command,
                                  .threads =
                                      (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
                                  .workers = (int)o->workers,
                                  .dry_run = o->common.dry_run,
                                  .eager = o->eager,
                                  .refit = o->refit,
                                  .max_seconds = max_seconds,
                                  .profile = o->profile,
                                  .fast_dev_run = batches};
  cohort_status status = o->find_learning_rate
                             ? cohort_find_learning_rate(context, &request, &result)
                         : o->find_batch_size ? cohort_find_batch_size(context, &request, &result)
                                              : cohort_train(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_train = {
    .name = "train",
    .aliases = "fit",
    .usage = "-c CONFIG --dataset FILE [--run-dir DIR] [options]\n"
             "       cohort train --target COL --dataset TABLE.csv [options]",
    .summary = "train a model, or go on training",
    .details =
        "On a terminal epochs are lines of a table. Elsewhere, and with --json, --verbose,\n"
        "--progress plain or --log-format json, there is a log with dates.\n"
        "Before a long one: --fast-dev-run trains, validates, writes and scores on a few batches;\n"
        "--overfit-batches 1 shows whether the network can learn at all (its loss goes to 0);\n"
        "--find-learning-rate and --find-batch-size tell what to begin with.\n"
        "--init-from names and counts the weights it takes in the log; scales and vocabularies "
        "are\n"
        "fitted to the new rows, weights of texts' words and characters go to the same ones there, "
        "and\n"
        "layers with trainable: false keep what they begin with.\n"
        "On a GPU the first training of a network times the ways its libraries offer, for 20 "
        "seconds\n"
        "at most, and takes the fastest; later ones find them in the cache. Timings choose, so "
        "two\n"
        "machines may choose, and round, differently: the run keeps its choices (autotune.tsv) "
        "and\n"
        "resumes with them. --autotune off takes the libraries' first ways, again times anew.\n"
        "SIGINT and SIGTERM finish the step and write a checkpoint; a second one, or ten seconds "
        "and\n"
        "twice the longest step in which nothing moves (a minute for a disk), end it at once.\n"
        "SIGUSR1 writes a checkpoint and goes on, SIGUSR2 logs where the training stands, SIGHUP\n"
        "opens the --log-file anew.\n",
    .common = CLI_CONFIG | CLI_DEVICE | CLI_PRECISION | CLI_THREADS | CLI_SEED | CLI_DRY_RUN,
    .options = options,
    .options_size = sizeof(cli_train_options),
    .run = run,
};
