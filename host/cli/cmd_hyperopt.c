// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_hyperopt_options, member)

static const cli_option options[] = {
    CLI_ROW_CONFIG_DATASET(cli_hyperopt_options),
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc =
         "run: the study, a database of SQLite; best: the config, as YAML; export: CSV, or .log"},
    {.name = "n-trials",
     .kind = CLI_INT,
     .offset = AT(trials),
     .value = "N",
     .doc = "run: how many trials there are to be, in all",
     .minimum = 1,
     .maximum = 1e6},
    {.name = "n-jobs",
     .kind = CLI_INT,
     .offset = AT(jobs),
     .value = "N",
     .doc = "run: trials at once; changes nothing but the time",
     .fallback = "1",
     .minimum = 1,
     .maximum = 1024},
    {.name = "k-fold",
     .kind = CLI_INT,
     .offset = AT(k_fold),
     .value = "N",
     .doc = "run: each trial over so many folds of all rows but the test split's",
     .minimum = 2,
     .maximum = 1000},
    {.name = "seeds",
     .kind = CLI_INT,
     .offset = AT(seeds),
     .value = "N",
     .doc = "run: each trial with so many seeds; confirm: new ones (default 5)",
     .minimum = 2,
     .maximum = 1000},
    {.name = "top",
     .kind = CLI_INT,
     .offset = AT(top),
     .value = "N",
     .doc = "confirm: how many of the best trials (default 3)",
     .minimum = 1,
     .maximum = 1000},
    {.name = "trial",
     .kind = CLI_INT,
     .offset = AT(trial),
     .value = "N",
     .doc = "best: that trial, in place of the best; a study with two goals needs it",
     .minimum = 0,
     .maximum = 1e6},
    {.name = "follow",
     .kind = CLI_FLAG,
     .offset = AT(follow),
     .doc = "show: until nobody works on the study; on a terminal live"},
    {.name = "retry-failed",
     .kind = CLI_FLAG,
     .offset = AT(retry_failed),
     .doc = "run: trials that have failed run once more"},
    {.name = "study-name",
     .kind = CLI_TEXT,
     .offset = AT(name),
     .value = "NAME",
     .doc = "of a new study (default: the file's name); of one of several in a file"},
    {.name = "max-time",
     .kind = CLI_TEXT,
     .offset = AT(max_time),
     .value = "TIME",
     .doc = "run: stop after [[DD:]HH:]MM:SS with exit code 75; the same command goes on"},
    {.name = "init-from",
     .kind = CLI_TEXT,
     .offset = AT(init_from),
     .value = "MODEL",
     .doc = "run: each trial begins with these weights, where name and shape agree",
     .aliases = "model-load-path weights -mlp"},
    CLI_ROW_PLACEMENT(cli_hyperopt_options),
    CLI_ROWS_AUTOTUNE(cli_hyperopt_options, "off"),
    {.name = "workers",
     .kind = CLI_INT,
     .offset = AT(workers),
     .value = "N",
     .doc = "threads that prepare batches, of each trial",
     .fallback = "1",
     .minimum = 0,
     .maximum = 256},
    {.name = NULL},
};

static int64_t given(int64_t value) {
  return value == CLI_UNSET ? 0 : value;
}

static cohort_status search(cli_job *cli, cohort_context *context, const cli_hyperopt_options *o,
                            double max_seconds, cohort_result **result) {
  cohort_config config;
  const char *cache;
  CO_RETURN_IF_FAILED(cli_autotune_cache(&cache, cli, &o->autotune));
  CO_RETURN_IF_FAILED(cli_library_config(&config, cli, &o->common));
  const cohort_hyperopt_run_options request = {
      .config = config,
      .dataset = o->dataset,
      .study = o->output,
      .name = o->name,
      .trials = o->trials,
      .jobs = o->jobs,
      .init_from = o->init_from,
      .device = o->common.device,
      .placement = o->placement,
      .command = cli->command,
      .autotune = o->autotune.when,
      .autotune_cache = cache,
      .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
      .workers = (int)o->workers,
      .max_seconds = max_seconds,
      .k_fold = given(o->k_fold),
      .seeds = given(o->seeds),
      .retry_failed = o->retry_failed};
  return cohort_hyperopt_run(context, &request, result);
}

static cohort_status confirm(cli_job *cli, cohort_context *context, const cli_hyperopt_options *o,
                             cohort_result **result) {
  const char *cache;
  CO_RETURN_IF_FAILED(cli_autotune_cache(&cache, cli, &o->autotune));
  const cohort_hyperopt_confirm_options request = {.study = o->operands.item[1],
                                                   .name = o->name,
                                                   .dataset = o->dataset,
                                                   .init_from = o->init_from,
                                                   .top = given(o->top),
                                                   .seeds = given(o->seeds),
                                                   .device = o->common.device,
                                                   .placement = o->placement,
                                                   .command = cli->command,
                                                   .autotune = o->autotune.when,
                                                   .autotune_cache = cache,
                                                   .workers = (int)o->workers};
  return cohort_hyperopt_confirm(context, &request, result);
}

static void show_live(void *user, const char *text) {
  cli_live_show(user, text);
}

static cohort_status show(cli_job *cli, cohort_context *context, const cli_hyperopt_options *o,
                          cohort_result **result) {
  const char *study = o->operands.item[1];
  if (!o->follow) return cohort_hyperopt_show(context, study, o->name, result);
  cohort_status status = cohort_hyperopt_follow(context, study, o->name,
                                                cli->attended ? show_live : NULL, cli, result);
  cli_live_clear(cli);
  return status;
}

static cohort_status best(cli_job *cli, cohort_context *context, const cli_hyperopt_options *o,
                          cohort_result **result) {
  (void)cli;
  const cohort_hyperopt_best_options request = {.study = o->operands.item[1],
                                                .name = o->name,
                                                .output = o->output,
                                                .force = o->common.force,
                                                .has_trial = o->trial != CLI_UNSET,
                                                .trial = o->trial};
  return cohort_hyperopt_best(context, &request, result);
}

static cohort_status export(cli_job *cli, cohort_context *context, const cli_hyperopt_options *o,
                            cohort_result **result) {
  (void)cli;
  const cohort_hyperopt_best_options request = {
      .study = o->operands.item[1], .name = o->name, .output = o->output, .force = o->common.force};
  return cohort_hyperopt_export(context, &request, result);
}

typedef struct action {
  const char *name;
  bool output; // takes -O
  bool trains; // takes --dataset and --seeds
  bool picks;  // takes --trial
  bool shows;  // takes --follow
  cohort_status (*run)(cli_job *cli, cohort_context *context, const cli_hyperopt_options *options,
                       cohort_result **result); // NULL = the search
} action;

static const action actions[] = {{.name = "run", .output = true},
                                 {.name = "confirm", .trains = true, .run = confirm},
                                 {.name = "show", .shows = true, .run = show},
                                 {.name = "best", .output = true, .picks = true, .run = best},
                                 {.name = "export", .output = true, .run = export}};

static const action *find_action(const char *name) {
  for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
    if (strcmp(actions[i].name, name) == 0) return &actions[i];
  return NULL;
}

static co_status check_options(const action *a, const cli_hyperopt_options *o) {
  if (!a->run) {
    if (o->operands.count > 1)
      return co_fail(CO_ERR_USAGE, "hyperopt run takes its study by -O, not as '%s'",
                     o->operands.item[1]);
    if (!o->output) return co_fail(CO_ERR_USAGE, "hyperopt run needs a study: -O FILE");
    if (given(o->top)) return co_fail(CO_ERR_USAGE, "--top does not go with hyperopt run");
    if (o->trial != CLI_UNSET)
      return co_fail(CO_ERR_USAGE, "--trial does not go with hyperopt run");
    if (o->follow) return co_fail(CO_ERR_USAGE, "--follow does not go with hyperopt run");
    if (o->trials == CLI_UNSET)
      return co_fail(CO_ERR_USAGE, "hyperopt run needs a number of trials: --n-trials N");
    return o->common.force ? co_fail(CO_ERR_USAGE, "a study is not replaced by --force: remove it")
                           : CO_OK;
  }
  if (o->operands.count < 2) return co_fail(CO_ERR_USAGE, "hyperopt %s needs a study", a->name);
  const char *option = o->output && !a->output              ? "-O"
                       : o->common.configs.count            ? "-c"
                       : o->common.sets.count               ? "--set"
                       : o->common.seed != CLI_UNSET        ? "--seed"
                       : o->trials != CLI_UNSET             ? "--n-trials"
                       : o->dataset && !a->trains           ? "--dataset"
                       : given(o->seeds) && !a->trains      ? "--seeds"
                       : given(o->top) && !a->trains        ? "--top"
                       : o->trial != CLI_UNSET && !a->picks ? "--trial"
                       : o->follow && !a->shows             ? "--follow"
                       : given(o->k_fold)                   ? "--k-fold"
                       : o->retry_failed                    ? "--retry-failed"
                       : o->init_from && !a->trains         ? "--init-from"
                       : o->max_time                        ? "--max-time"
                       : o->common.force && !a->output      ? "--force"
                                                            : NULL;
  return option ? co_fail(CO_ERR_USAGE, "%s does not go with hyperopt %s", option, a->name) : CO_OK;
}

static co_status run(cli_job *cli, const void *options_) {
  const cli_hyperopt_options *o = options_;
  const action *a = find_action(o->operands.item[0]);
  cohort_context *context;
  cohort_result *result = NULL;
  double max_seconds = 0;
  if (!a) {
    co_status status = co_fail(CO_ERR_USAGE, "there is no 'hyperopt %s'", o->operands.item[0]);
    co_hint("known: run, confirm, show, best, export");
    return status;
  }
  CO_RETURN_IF_FAILED(check_options(a, o));
  if (o->max_time) CO_RETURN_IF_FAILED(cli_read_time(o->max_time, &max_seconds));
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_status status =
      a->run ? a->run(cli, context, o, &result) : search(cli, context, o, max_seconds, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_hyperopt = {
    .name = "hyperopt",
    .topic = "hyperopt",
    .aliases = "tune",
    .usage = "run -c CONFIG -c TUNE --dataset FILE -O STUDY --n-trials N [--n-jobs N] [options]\n"
             "       cohort hyperopt confirm STUDY [--top N] [--seeds N]\n"
             "       cohort hyperopt show STUDY [--follow]\n"
             "       cohort hyperopt best STUDY [--trial N] -O FILE.yaml\n"
             "       cohort hyperopt export STUDY -O FILE.csv",
    .summary = "search for good values of a config's parameters",
    .details =
        "run: trains trials with values from the spaces of the config's section hyperopt\n"
        "(`cohort help hyperopt`), and compares them by a metric on validation rows, of the\n"
        "weights that trainer.validation_metric chose. The test split is never opened.\n"
        "Each trial is a run in STUDY.trials, over one dataset in memory. The same study, seed\n"
        "and --n-trials have the same trials and the same best model, whatever --n-jobs is.\n"
        "On a GPU trials compute in the libraries' first ways; --autotune auto takes the cache's, "
        "and\n"
        "times what it lacks, by which two trials at once may choose differently.\n"
        "A study that was stopped or killed goes on with the same command, exactly; what was\n"
        "done is kept, and with more --n-trials there are more; --retry-failed gives those that\n"
        "have failed another chance, in their place. Of another config, dataset or\n"
        "seed it is refused with 9. A trial that diverges, does not fit into memory or has no\n"
        "valid config is FAIL, with its reason, and not the end.\n"
        "With hyperopt.pruner bad trials are paused early, at a checkpoint; at the end those go "
        "on\n"
        "that by all that is known then would have been kept.\n"
        "With --k-fold and --seeds (hyperopt.k_fold, hyperopt.seeds) a trial is a run for each "
        "fold\n"
        "and seed, in folders of their own, and its value their mean; test rows are in no fold.\n"
        "The pruner wilcoxon gives a trial up that is surely worse over the folds and seeds so "
        "far;\n"
        "the others then train all runs of a trial together, and compare their means by epoch.\n"
        "With hyperopt.second_metric (another metric, or what the model costs: parameters,\n"
        "model_bytes, flops) a study has two goals, and in place of a best trial a Pareto front:\n"
        "show and report list it, best takes one of it by --trial, confirm the first ones of it "
        "by\n"
        "the first goal. The samplers look at both; there is no pruner then.\n"
        "Networks have no baselines in trials unless the config names some.\n"
        "STUDY is a database in Optuna's form: optuna.load_study and optuna-dashboard read it,\n"
        "as sqlite:///STUDY. What Optuna has made is read as well, and run goes on with a study "
        "that it\n"
        "began if its goals and parameters are the config's: its trials count, those that it "
        "enqueued run.\n"
        "confirm: the best of many is too good by luck; trains the best trials with new seeds and\n"
        "tells what they come to then (over validation rows still: the test split is for the "
        "end).\n"
        "show: lists the trials; with --follow as long as a process works on the study: on a\n"
        "terminal a table that is kept up to date, elsewhere a line of the log for each that "
        "ends.\n"
        "best: writes the complete config of the best one; `train -c` with it gives that trial's\n"
        "model byte for byte (trials leave trainer.refit aside, and so\n"
        "does that config: `train -c FILE.yaml --refit`). export: the trials as CSV; into\n"
        "FILE.log as Optuna's journal, which JournalStorage and the dashboard read, too.\n",
    .common = CLI_CONFIG | CLI_DEVICE | CLI_THREADS | CLI_SEED | CLI_FORCE,
    .options = options,
    .options_size = sizeof(cli_hyperopt_options),
    .operand = "ACTION",
    .min_operands = 1,
    .max_operands = 2,
    .operands = AT(operands),
    .run = run,
};
