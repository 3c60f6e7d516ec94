// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_experiment_options, member)

static const cli_option options[] = {
    CLI_ROW_CONFIG_DATASET(cli_experiment_options),
    {.name = "k-fold",
     .kind = CLI_INT,
     .offset = AT(k_fold),
     .value = "N",
     .doc = "so many folds of all rows, copies and stored groups kept together",
     .minimum = 2,
     .maximum = 1000},
    {.name = "folds",
     .kind = CLI_TEXT,
     .offset = AT(folds),
     .value = "FILE",
     .doc = "folds from a table with the columns fold and validation"},
    {.name = "seeds",
     .kind = CLI_INT,
     .offset = AT(seeds),
     .value = "N",
     .doc = "no folds: so many runs over the stored splits, by trainer.seed, + 1, …",
     .minimum = 2,
     .maximum = 1000},
    {.name = "run-dir",
     .kind = CLI_TEXT,
     .offset = AT(run_dir),
     .value = "DIR",
     .doc = "folder of the experiment; by default one below --output-directory"},
    {.name = "output-directory",
     .letter = 'o',
     .kind = CLI_TEXT,
     .offset = AT(output_directory),
     .value = "DIR",
     .doc = "where experiments without --run-dir go",
     .fallback = "runs"},
    {.name = "experiment-name",
     .kind = CLI_TEXT,
     .offset = AT(experiment),
     .value = "NAME",
     .doc = "name of its folder below it",
     .fallback = "experiment"},
    {.name = "resume",
     .kind = CLI_OPTIONAL,
     .offset = AT(resume),
     .value = "DIR",
     .doc = "continue the experiment; =auto starts, continues or finds it done"},
    {.name = "init-from",
     .kind = CLI_TEXT,
     .offset = AT(init_from),
     .value = "MODEL",
     .doc = "every run begins with these weights, where name and shape agree",
     .aliases = "model-load-path weights -mlp"},
    CLI_ROW_PLACEMENT(cli_experiment_options),
    CLI_ROWS_AUTOTUNE(cli_experiment_options, "auto"),
    CLI_ROW_WORKERS(cli_experiment_options),
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_experiment_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  const char *cache;
  CO_RETURN_IF_FAILED(cli_autotune_cache(&cache, cli, &o->autotune));
  cohort_config config;
  CO_RETURN_IF_FAILED(cli_library_config(&config, cli, &o->common));
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_experiment_options request = {
      .config = config,
      .dataset = o->dataset,
      .k_fold = o->k_fold == CLI_UNSET ? 0 : o->k_fold,
      .folds = o->folds,
      .seeds = o->seeds == CLI_UNSET ? 0 : o->seeds,
      .run_dir = o->run_dir,
      .output_directory = o->output_directory,
      .experiment = o->experiment,
      .resume = o->resume,
      .init_from = o->init_from,
      .device = o->common.device,
      .placement = o->placement,
      .precision = o->common.precision,
      .command = cli->command,
      .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
      .autotune = o->autotune.when,
      .autotune_cache = cache,
      .workers = (int)o->workers};
  cohort_status status = cohort_experiment(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_experiment = {
    .name = "experiment",
    .usage =
        "-c CONFIG --dataset FILE (--k-fold N | --folds FILE | --seeds N) --run-dir DIR [options]",
    .summary = "train and measure over folds of the rows, or over seeds",
    .details =
        "For each fold a model is trained on the other folds' rows, as a run in DIR/fold-0, …,\n"
        "and measured on the fold's. The dataset's stored splits do not count. DIR/folds.csv has\n"
        "the folds, DIR/experiment.json the result, DIR/oof.csv the scores of all rows, each by\n"
        "the model that did not see it, in the order of the dataset. Fold k trains with\n"
        "trainer.seed + k.\n"
        "A network's baselines, fitted to the same training rows, stand beside it: means, and of\n"
        "metrics over scores the differences, with 95 % intervals by a bootstrap that draws each\n"
        "fold's rows (entities, where they have several) for both. What some folds lack (an area\n"
        "under a curve where all rows are of one class) has none: not_in_every_run lists it.\n"
        "Of a metric the mean over the folds is told, the standard deviation, and the mean's 95 %\n"
        "interval by Student's t. Folds share most training rows, so it is rather too narrow.\n"
        "--k-fold deals out all rows by trainer.seed. Samples of an entity, and copies (rows with\n"
        "equal inputs and targets, where there is no key) share a fold; classes of the first\n"
        "binary or category target are spread evenly. A tenth of the rows, by a seeded hash,\n"
        "stops training early in the folds that do not test them.\n"
        "--folds reads a line for each row of the dataset, in the order of the table that was\n"
        "imported: fold (0, 1, …; -1 = the row trains in every fold and is never tested) and\n"
        "validation (1 = it stops training early where it is not tested). With a fixed test set,\n"
        "its rows have fold 0 and all others -1.\n"
        "--seeds repeats the training of the stored splits in DIR/seed-0, …, which differ by\n"
        "trainer.seed + k alone, and measures on test rows (on validation where there are none):\n"
        "the standard deviation is what chance in training makes. DIR/seeds.csv has the seeds.\n"
        "evaluate and predict take a fold's run as a model, but read the dataset's stored splits,\n"
        "of which the fold may have seen any row: its own measure is the one in experiment.json.\n"
        "A stopped or killed experiment goes on to the same bytes with --resume DIR.\n",
    .common = CLI_CONFIG | CLI_DEVICE | CLI_PRECISION | CLI_THREADS | CLI_SEED,
    .options = options,
    .options_size = sizeof(cli_experiment_options),
    .run = run,
};
