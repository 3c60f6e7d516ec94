// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_predict_options, member)

static const cli_option options[] = {
    {.name = "model",
     .letter = 'm',
     .kind = CLI_LIST,
     .offset = AT(models),
     .value = "[NAME=]MODEL",
     .doc = "run directory, checkpoint or model file; several score in one pass: see above",
     .aliases = "model-path",
     .required = true},
    {.name = "ensemble",
     .kind = CLI_TEXT,
     .offset = AT(ensemble),
     .value = "HOW",
     .doc = "of several models one score: mean, or rank_mean of their places among all rows"},
    {.name = "dataset",
     .kind = CLI_TEXT,
     .offset = AT(dataset),
     .value = "FILE",
     .doc =
         "dataset.h5, a raw table with the model's columns (- is standard input), or a folder of\n"
         "images"},
    CLI_ROWS_EVENTS(cli_predict_options),
    {.name = "population",
     .kind = CLI_TEXT,
     .offset = AT(population),
     .value = "FILE",
     .doc =
         "of a log: a table with the entities to score, in its order (default: all with events)"},
    {.name = "top-k",
     .kind = CLI_INT,
     .offset = AT(top_k),
     .value = "K",
     .doc = "of outputs of one of several classes: the K likeliest with their scores",
     .minimum = 1,
     .maximum = 100000},
    {.name = "reasons",
     .kind = CLI_INT,
     .offset = AT(reasons),
     .value = "K",
     .doc = "columns with the K inputs that made most of the score: see above",
     .minimum = 1,
     .maximum = 1000},
    {.name = "exclude-seen",
     .kind = CLI_FLAG,
     .offset = AT(exclude_seen),
     .doc = "of next items: none that the row's own history has"},
    {.name = "calibrated",
     .kind = CLI_FLAG,
     .offset = AT(calibrated),
     .doc = "probabilities after the model's temperature scaling (default: as it gives them)"},
    {.name = "key",
     .kind = CLI_TEXT,
     .offset = AT(key),
     .value = "COL",
     .doc = "of a raw table: the column that names rows (default: as in training, else the "
            "number)"},
    CLI_ROWS_SOURCE(cli_predict_options),
    CLI_ROW_SPLIT(cli_predict_options, "train, validation, test or all", "all"),
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "text; - is standard output; sqlite:FILE or postgresql://HOST/DB, a database",
     .required = true},
    {.name = "format",
     .kind = CLI_TEXT,
     .offset = AT(format),
     .value = "FORMAT",
     .doc = "of a file: csv, tsv, jsonl or h5 (default: by its name, else csv)"},
    {.name = "table",
     .kind = CLI_TEXT,
     .offset = AT(table),
     .value = "TABLE",
     .doc = "of a database: the table to write, or SCHEMA.TABLE of a server"},
    {.name = "if-exists",
     .kind = CLI_TEXT,
     .offset = AT(if_exists),
     .value = "WHAT",
     .doc = "of a table that is there: fail (default), append, replace, upsert by key"},
    {.name = "columns",
     .kind = CLI_NAMES,
     .offset = AT(columns),
     .value = "LIST",
     .doc = "what is written, in this order: see above"},
    {.name = "resume",
     .kind = CLI_FLAG,
     .offset = AT(resume),
     .doc = "go on where the same job was killed; begin where there was none"},
    {.name = "save-rows",
     .kind = CLI_INT,
     .offset = AT(save_rows),
     .value = "N",
     .doc = "rows between two positions that are safe on disk (default: 65536)",
     .minimum = 1,
     .maximum = 1e9},
    {.name = "passthrough",
     .kind = CLI_NAMES,
     .offset = AT(passthrough),
     .value = "LIST",
     .doc = "columns of the source that follow, as texts"},
    {.name = "scored-at",
     .kind = CLI_TEXT,
     .offset = AT(scored_at),
     .value = "TIME",
     .doc = "a column with that text; the clock is never asked"},
    {.name = "holdout",
     .kind = CLI_TEXT,
     .offset = AT(holdout),
     .value = "P%[:NAME]",
     .doc = "a column that is 1 for a control group: by a hash of the key, the same each time"},
    {.name = "max-drift",
     .kind = CLI_TEXT,
     .offset = AT(max_drift),
     .value = "psi=X",
     .doc = "a gate (exit 10): psi, ks, missing, unseen; several by commas; see above"},
    {.name = "require-rows",
     .kind = CLI_INT,
     .offset = AT(require_rows),
     .value = "N",
     .doc = "a gate (exit 10): fewer rows are not written",
     .minimum = 0,
     .maximum = 1e15},
    {.name = "manifest",
     .kind = CLI_TEXT,
     .offset = AT(manifest),
     .value = "FILE",
     .doc = "what was done (default: OUTPUT.manifest.json, FILE.TABLE.manifest.json)"},
    {.name = "tmp-dir",
     .kind = CLI_TEXT,
     .offset = AT(temporary_folder),
     .value = "DIR",
     .doc = "where rows and scores lie meanwhile (default: beside the output; of standard output "
            "$TMPDIR or /tmp)"},
    {.name = "shard",
     .kind = CLI_TEXT,
     .offset = AT(shard),
     .value = "I/N",
     .doc = "the I-th of N contiguous parts of the rows"},
    CLI_ROW_BATCH_SIZE(cli_predict_options, "rows at a time"),
    CLI_ROWS_AUTOTUNE(cli_predict_options, "auto"),
    CLI_ROW_WORKERS(cli_predict_options),
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_predict_options *o = options_;
  if (cli->as_json && strcmp(o->output, "-") == 0) {
    co_status status = co_fail(CO_ERR_USAGE, "-O - and --json both want standard output");
    co_hint("give -O FILE");
    return status;
  }
  if (!o->dataset && !o->sources.count) {
    co_status status = co_fail(CO_ERR_USAGE, "'cohort predict' also needs --dataset FILE");
    co_hint("or --source events=LOG --as-of T, of a model of events");
    return status;
  }
  cohort_context *context;
  cohort_result *result = NULL;
  const char *cache;
  CO_RETURN_IF_FAILED(cli_autotune_cache(&cache, cli, &o->autotune));
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_source_options source = cli_source_options(&o->source);
  if (o->temporary_folder) source.temporary_folder = o->temporary_folder;
  cohort_predict_options request = {
      .model = o->models.item[0],
      .more_models = o->models.item + 1,
      .more_model_count = o->models.count - 1,
      .ensemble = o->ensemble,
      .temporary_folder = o->temporary_folder,
      .dataset = o->dataset,
      .sources = o->sources.item,
      .source_count = o->sources.count,
      .as_of = o->as_of,
      .population = o->population,
      .top_k = o->top_k == CLI_UNSET ? 0 : o->top_k,
      .reasons = o->reasons == CLI_UNSET ? 0 : o->reasons,
      .split = strcmp(o->split, "all") == 0 ? NULL : o->split,
      .output = o->output,
      .format = o->format,
      .table = o->table,
      .if_exists = o->if_exists,
      .columns = o->columns.item,
      .column_count = o->columns.count,
      .shard = o->shard,
      .manifest = o->manifest,
      .resume = o->resume,
      .max_drift = o->max_drift,
      .passthrough = o->passthrough.item,
      .passthrough_count = o->passthrough.count,
      .scored_at = o->scored_at,
      .holdout = o->holdout,
      .require_rows = o->require_rows == CLI_UNSET ? 0 : o->require_rows,
      .save_rows = o->save_rows == CLI_UNSET ? 0 : o->save_rows,
      .key = o->key,
      .calibrated = o->calibrated,
      .exclude_seen = o->exclude_seen,
      .source = source,
      .device = o->common.device,
      .precision = o->common.precision,
      .threads = (int)(o->common.threads == CLI_UNSET ? 0 : o->common.threads),
      .autotune = o->autotune.when,
      .autotune_cache = cache,
      .workers = (int)o->workers,
      .batch_size = o->batch_size == CLI_UNSET ? 0 : o->batch_size,
      .force = o->common.force};
  cohort_status status = cohort_predict(context, &request, &result);
  co_status taken = cli_library_end(cli, context, status, result);
  // `| head` has read enough: that is no error to tell anybody.
  struct pollfd reader = {.fd = cli->result, .events = POLLOUT};
  if (taken == CO_ERR_IO && strcmp(o->output, "-") == 0 && poll(&reader, 1, 0) == 1)
    cli->reader_gone = reader.revents & POLLERR;
  return taken;
}

const cli_verb cli_verb_predict = {
    .name = "predict",
    .aliases = "score",
    .usage = "-m MODEL --dataset FILE -O FILE [--split NAME] [options]\n"
             "       cohort predict -m MODEL --source events=LOG --as-of T -O FILE [options]",
    .summary = "score rows with a model",
    .details =
        "A raw table is CSV or JSON lines, plain or gzip, sqlite:FILE or postgresql://HOST/DB. "
        "Its\n"
        "columns are found by their names; the target need not be there, others are passed over.\n"
        "Values that the model does not know count as missing. Its rows lie in a\n"
        "temporary file beside the output meanwhile (of standard output: in $TMPDIR or /tmp).\n"
        "\n"
        "--columns takes key, prediction, score, label, probabilities, top3 (the likeliest "
        "classes),\n"
        "rank, percentile, decile and reconstruction_error, each of the first output, or\n"
        "OUTPUT.score and so on; embedding, the numbers of the model's bottleneck, and kl, where "
        "it "
        "is\n"
        "variational, the divergence of each in nats; model (its hash), scored_at and holdout; "
        "score=p_churn gives a name. Rank 1,\n"
        "percentile 1 and decile 1 have the highest scores of all rows that are scored; rows of "
        "equal\n"
        "scores share them. All scores lie in temporary files meanwhile: beside the output, or "
        "where\n"
        "--tmp-dir says.\n"
        "\n"
        "Of several models, -m champion=RUN -m challenger=RUN, each column's name begins with its\n"
        "model's: champion_bought, challenger_bought (without NAME= its folder or file). "
        "--ensemble "
        "mean\n"
        "makes one score of all, and so does -m EXPERIMENT of its runs; rank_mean takes the share "
        "of\n"
        "rows that score no higher, which needs no scores of one scale. Rows have to be good for "
        "all.\n"
        "\n"
        "reasons (--reasons K beside other columns; reasons5 in the list) tell what made the "
        "score: "
        "of\n"
        "the inputs with the largest shares reason_1, reason_1_value, what the row has there, and\n"
        "reason_1_effect, the share, then reason_2 and so on; in JSON lines a list. Shares are of\n"
        "log-odds (0.7 doubles the odds, -0.7 halves them; of a number, of its own unit), against "
        "the\n"
        "mean training row: integrated gradients of networks, at 32 points a row or more, which "
        "takes\n"
        "some seventy times as long as scoring it (0.3 ms a row of twenty columns on one core); "
        "exact of\n"
        "linear models and SVMs; SHAP values of trees. Of --ensemble mean they are the members', "
        "as\n"
        "parts of the mean score. Calibration leaves them as they are.\n"
        "\n"
        "Before any row, the model's golden rows are scored: some training rows that it keeps "
        "with the\n"
        "scores they had when it was trained. If they differ by more than rounding (1e-4 of the "
        "largest;\n"
        "in bf16 5e-2, in TF32 on a GPU 1e-2), nothing is written, and the exit code is 10.\n"
        "\n"
        "The manifest tells how far inputs and scores are from those of the training, which the "
        "model\n"
        "keeps counts of: the population stability index over tenths (psi), Kolmogorov and "
        "Smirnov's\n"
        "distance (ks), the share missing and unseen. More than --max-drift allows is not "
        "written.\n"
        "\n"
        "On a GPU, --autotune takes the ways to compute that the model's run has chosen, then "
        "those "
        "in\n"
        "the cache, and times what neither has, for 20 seconds at most.\n"
        "\n"
        "A file gets its name when it is complete; a database gets all rows in one transaction, "
        "with\n"
        "--resume in several that add to nothing but a table of the job's own until the last one.\n"
        "Whenever the program is killed, what was there is there, and --resume goes on. It is\n"
        "refused for another model (exit 5), other rows (4) or options (2).\n",
    .common = CLI_DEVICE | CLI_PRECISION | CLI_THREADS | CLI_FORCE,
    .options = options,
    .options_size = sizeof(cli_predict_options),
    .run = run,
};
