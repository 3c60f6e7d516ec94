// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_data_options, member)

static const cli_option options[] = {
    {.name = "strict",
     .kind = CLI_FLAG,
     .offset = AT(strict),
     .doc = "check: exit 10 if there is a finding"},
    {.name = "rows",
     .kind = CLI_INT,
     .offset = AT(rows),
     .value = "N",
     .doc = "show: how many (default 10)",
     .minimum = 1,
     .maximum = 100000},
    {.name = "split",
     .kind = CLI_TEXT,
     .offset = AT(split),
     .value = "NAME",
     .doc = "profile, show: rows of train, validation or test alone"},
    {.name = "csv",
     .kind = CLI_FLAG,
     .offset = AT(csv),
     .doc = "show: as CSV, every column, instead of a table"},
    {.name = "sheet",
     .kind = CLI_TEXT,
     .offset = AT(sheet),
     .value = "FILE.png",
     .doc = "show: a contact sheet of images instead (--rows of them, default 100)"},
    {.name = "target",
     .kind = CLI_LIST,
     .offset = AT(targets),
     .value = "COL",
     .doc = "of a raw table: a column to predict; repeatable"},
    {.name = "key",
     .kind = CLI_LIST,
     .offset = AT(keys),
     .value = "COL",
     .doc = "of a raw table: the column that names rows; erase: a customer's key, repeatable"},
    {.name = "keys",
     .kind = CLI_TEXT,
     .offset = AT(keys_file),
     .value = "FILE",
     .doc = "erase: customers' keys, one a line"},
    {.name = "allow-missing",
     .kind = CLI_FLAG,
     .offset = AT(allow_missing),
     .doc = "erase: pass over keys that no row has"},
    CLI_ROWS_TABLES(cli_data_options),
    CLI_ROWS_SOURCE(cli_data_options),
    {.name = "schema",
     .kind = CLI_TEXT,
     .offset = AT(schema),
     .value = "FILE",
     .doc = "of a raw table: columns as this YAML says (cohort import --print-schema)"},
    {.name = "split-rule",
     .kind = CLI_TEXT,
     .offset = AT(split_rule),
     .value = "RULE",
     .doc = "of a raw table: which rows validate and test, as cohort import --split"},
    {.name = NULL},
};

// The terminal's width; where results go elsewhere, the library's.
static int width(const cli_job *cli) {
  struct winsize size;
  return ioctl(cli->result, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 0;
}

typedef struct data_job {
  const cli_data_options *options;
  cohort_data data;
  int width;
} data_job;

static cohort_status check(cohort_context *context, const data_job *job, cohort_result **result) {
  const cohort_data_check_options request = {.data = job->data, .strict = job->options->strict};
  return cohort_data_check(context, &request, result);
}

static cohort_status profile(cohort_context *context, const data_job *job, cohort_result **result) {
  const cohort_data_profile_options request = {
      .data = job->data, .rows_of = job->options->split, .width = job->width};
  return cohort_data_profile(context, &request, result);
}

static cohort_status show(cohort_context *context, const data_job *job, cohort_result **result) {
  const cli_data_options *o = job->options;
  const cohort_data_show_options request = {.data = job->data,
                                            .rows_of = o->split,
                                            .rows = o->rows == CLI_UNSET ? 0 : o->rows,
                                            .csv = o->csv,
                                            .sheet = o->sheet,
                                            .force = o->common.force,
                                            .width = job->width};
  return cohort_data_show(context, &request, result);
}

static cohort_status erase(cohort_context *context, const data_job *job, cohort_result **result) {
  const cli_data_options *o = job->options;
  const cohort_data_erase_options request = {.dataset = job->data.dataset,
                                             .keys = o->keys.item,
                                             .key_count = o->keys.count,
                                             .keys_file = o->keys_file,
                                             .key_file = o->source.key_file,
                                             .allow_missing = o->allow_missing};
  return cohort_data_erase(context, &request, result);
}

typedef struct action {
  const char *name;
  bool strict, rows, csv, split, erase; // options that it knows
  cohort_status (*run)(cohort_context *context, const data_job *job, cohort_result **result);
} action;

static const action actions[] = {
    {.name = "check", .strict = true, .run = check},
    {.name = "profile", .split = true, .run = profile},
    {.name = "show", .rows = true, .csv = true, .split = true, .run = show},
    {.name = "erase", .erase = true, .run = erase},
};

static const action *find_action(const char *name) {
  for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
    if (strcmp(actions[i].name, name) == 0) return &actions[i];
  return NULL;
}

static co_status refuse_options(const action *a, const cli_data_options *o) {
  const cli_source *source = &o->source;
  bool table = o->targets.count || o->schema || o->split_rule || source->encoding ||
               source->no_quotes || source->decimal || source->source_table || source->query ||
               source->on_error || source->max_errors || source->pseudonymized.count ||
               o->tables.joins.count || o->tables.carried.count || o->tables.sources.count;
  const char *option = o->strict && !a->strict                           ? "--strict"
                       : o->rows != CLI_UNSET && !a->rows                ? "--rows"
                       : o->csv && !a->csv                               ? "--csv"
                       : o->sheet && !a->csv                             ? "--sheet"
                       : o->common.force && !o->sheet                    ? "--force"
                       : o->split && !a->split                           ? "--split"
                       : (o->keys_file || o->allow_missing) && !a->erase ? "an option of erase"
                       : table && a->erase                               ? "an option of raw tables"
                       : o->keys.count > 1 && !a->erase                  ? "a second --key"
                       : o->csv && o->common.json                        ? "--csv"
                                                                         : NULL;
  if (!option) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "%s does not go with %s", option,
                             o->csv && a->csv ? "--json" : a->name);
  if (o->split && !a->split) co_hint("--split-rule RULE says how a raw table is split");
  return status;
}

static co_status run(cli_job *cli, const void *options_) {
  const cli_data_options *o = options_;
  const action *a = find_action(o->operands.item[0]);
  if (!a) {
    co_status status = co_fail(CO_ERR_USAGE, "there is no 'data %s'", o->operands.item[0]);
    co_hint("known: check, profile, show, erase");
    return status;
  }
  CO_RETURN_IF_FAILED(refuse_options(a, o));
  const data_job job = {
      .options = o,
      .data = {.dataset = o->operands.item[1],
               .targets = o->targets.item,
               .target_count = o->targets.count,
               .key = o->keys.count ? o->keys.item[0] : NULL,
               .schema = o->schema,
               .split = o->split_rule,
               .seed = o->common.seed == CLI_UNSET ? 42 : (uint64_t)o->common.seed,
               .source = cli_source_options(&o->source),
               .tables = cli_joined_tables(&o->tables)},
      .width = width(cli)};
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_status status = a->run(context, &job, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_data = {
    .name = "data",
    .usage = "check FILE [--strict] [options]\n"
             "       cohort data profile FILE [--split NAME]\n"
             "       cohort data show FILE [--rows N] [--split NAME] [--csv | --sheet FILE.png]\n"
             "       cohort data erase FILE.h5 --key VALUE... | --keys FILE",
    .summary = "look at data: leaks, columns, rows; erase customers",
    .details =
        "check: what makes figures look better than they are, or teaches a model nothing: a key,\n"
        "equal inputs or nearly equal images in several splits, a column that alone tells the\n"
        "target (ROC AUC above 0.99; of categories by rates from other rows) or whose gaps do,\n"
        "columns that are constant, name rows or are missing in more than 95 % of them, a target\n"
        "with one class in a split.\n"
        "profile: of every column missing and different values, mean, spread and quantiles, or "
        "its\n"
        "most frequent classes; beyond 1,048,576 rows, quantiles are of as many of them, and\n"
        "more than 65,536 different values are counted within some 2 %. With --json also by "
        "split.\n"
        "show: the first rows; or images, evenly spaced, as one PNG file.\n"
        "erase: writes the file anew without a customer's rows, events and the values that nobody\n"
        "else has, and puts it in the old one's place. Models keep what they learned before.\n"
        "With --key-file the keys are those before they were pseudonymized.\n"
        "A raw table is imported for the while, into $TMPDIR or /tmp.\n",
    .common = CLI_SEED | CLI_FORCE,
    .options = options,
    .options_size = sizeof(cli_data_options),
    .operand = "ACTION FILE",
    .min_operands = 2,
    .max_operands = 2,
    .operands = AT(operands),
    .run = run,
};
