// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "datasets/image_archive.h"
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_import_options, member)

enum { IDX, CSV, EVENTS, IMAGES };
static const char *const formats[] = {"idx", "csv", "events", "images", NULL};

static const cli_option options_table[] = {
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "the dataset.h5 to write"},
    {.name = "format",
     .kind = CLI_WORD,
     .offset = AT(format),
     .value = "FORMAT",
     .doc = "idx (MNIST-like files), csv (tables in text), events (logs in text), all plain or "
            "gzip;\n"
            "images (a folder, tar or zip of JPEG, PNG, WebP)",
     .words = formats},
    {.name = "training-set",
     .kind = CLI_ONE_OR_TWO,
     .offset = AT(training),
     .value = "IMAGES LABELS",
     .doc = "training rows; of a table, one file in place of FILE"},
    {.name = "validation-set",
     .kind = CLI_ONE_OR_TWO,
     .offset = AT(validation),
     .value = "IMAGES LABELS",
     .doc = "validation rows"},
    {.name = "test-set",
     .kind = CLI_ONE_OR_TWO,
     .offset = AT(test),
     .value = "IMAGES LABELS",
     .doc = "test rows"},
    {.name = "validation-fraction",
     .kind = CLI_DOUBLE,
     .offset = AT(validation_fraction),
     .value = "F",
     .doc = "share of --training-set to validate on (default 0.1)",
     .minimum = 0,
     .maximum = 0.9},
    {.name = "class-names",
     .kind = CLI_NAMES,
     .offset = AT(class_names),
     .value = "A,B,...",
     .doc = "idx: names of the classes 0, 1, ..."},
    {.name = "labels",
     .kind = CLI_TEXT,
     .offset = AT(images.labels),
     .value = "FILE",
     .doc =
         "images: a table (CSV, JSON lines) with a column file, names within the folder; perhaps\n"
         "split; other columns are targets"},
    {.name = "image-size",
     .kind = CLI_TEXT,
     .offset = AT(images.size),
     .value = "WxH",
     .doc = "images, csv, events: width and height that all get (default: as they are, if all are "
            "alike)"},
    {.name = "fit",
     .kind = CLI_TEXT,
     .offset = AT(images.fit),
     .value = "HOW",
     .doc = "images, csv, events: crop (the default: fill the size, cut off what is beyond), pad "
            "(on white),\n"
            "stretch"},
    {.name = "channels",
     .kind = CLI_INT,
     .offset = AT(images.channels),
     .value = "N",
     .doc = "images, csv, events: 1 (grey) or 3 (default: 1 if all are grey)",
     .minimum = 1,
     .maximum = 3},
    {.name = "max-pixels",
     .kind = CLI_INT,
     .offset = AT(images.max_pixels),
     .value = "N",
     .doc = "images: larger ones cannot be taken (default 100000000)",
     .minimum = 1,
     .maximum = INT32_MAX},
    {.name = "target",
     .kind = CLI_LIST,
     .offset = AT(targets),
     .value = "COL",
     .doc = "csv: a column to predict; repeatable"},
    {.name = "key",
     .kind = CLI_TEXT,
     .offset = AT(key),
     .value = "COL",
     .doc = "csv: the column that names rows"},
    {.name = "type",
     .kind = CLI_LIST,
     .offset = AT(types),
     .value = "COL=TYPE",
     .doc = "csv, events: number, binary, category, date, date:%d/%m/%Y, text, image (its cells\n"
            "name files, from the table's folder) or id, instead of what is found out; of a joined "
            "table "
            "TABLE.COL"},
    {.name = "ignore",
     .kind = CLI_LIST,
     .offset = AT(ignored),
     .value = "COL",
     .doc = "csv, events: leave a column out, TABLE.COL of a joined table; repeatable"},
    {.name = "split",
     .kind = CLI_TEXT,
     .offset = AT(split),
     .value = "RULE",
     .doc = "csv, images: random:0.7,0.1,0.2 (the default), stratified:...; csv: hash:COL, "
            "column:COL,\n"
            "time:[COL:]DATE,DATE"},
    {.name = "positive",
     .kind = CLI_TEXT,
     .offset = AT(positive),
     .value = "VALUE",
     .doc = "csv: the target's positive value (default: its true/yes/1/y, else the rarer)"},
    {.name = "delimiter",
     .kind = CLI_TEXT,
     .offset = AT(delimiter),
     .value = "C",
     .doc = "csv, events: one character, or tab (default: found out among , ; tab |)"},
    {.name = "header",
     .kind = CLI_NAMES,
     .offset = AT(header),
     .value = "A,B,...",
     .doc = "csv: names of columns, where the file has none"},
    {.name = "skip-lines",
     .kind = CLI_NAMES,
     .offset = AT(skip_lines),
     .value = "N,...",
     .doc = "csv: lines before the header; a number for each file where they differ"},
    {.name = "strip-suffix",
     .kind = CLI_LIST,
     .offset = AT(strip_suffixes),
     .value = "COL=TEXT",
     .doc = "csv: take TEXT off the ends of a column's cells"},
    {.name = "duplicates",
     .kind = CLI_TEXT,
     .offset = AT(duplicates),
     .value = "WHAT",
     .doc = "csv: rows that repeat an earlier one: keep (the default), drop, fail"},
    CLI_ROWS_TABLES(cli_import_options),
    CLI_ROWS_SOURCE(cli_import_options),
    {.name = "schema",
     .kind = CLI_TEXT,
     .offset = AT(schema),
     .value = "FILE",
     .doc = "csv: columns as this YAML says; options above have the last word"},
    {.name = "print-schema",
     .kind = CLI_FLAG,
     .offset = AT(print_schema),
     .doc = "csv: only print such YAML, to be edited"},
    {.name = "events",
     .kind = CLI_LIST,
     .offset = AT(events.logs),
     .value = "FILE",
     .doc = "a log with a line an event; repeatable"},
    {.name = "entity",
     .kind = CLI_TEXT,
     .offset = AT(events.entity),
     .value = "COL",
     .aliases = "customer",
     .doc = "events: whose they are; csv: of whom rows are samples, whom splits do not part"},
    {.name = "samples",
     .kind = CLI_LIST,
     .offset = AT(events.samples),
     .value = "FILE.csv",
     .doc = "events: a table of samples, with --entity, --as-of and --target; --join adds to it"},
    {.name = "as-of",
     .kind = CLI_TEXT,
     .offset = AT(events.as_of),
     .value = "COL",
     .doc = "samples: column of their dates, before which events are seen (TABLE.COL of a joined "
            "one)"},
    {.name = "time",
     .kind = CLI_TEXT,
     .offset = AT(events.time),
     .value = "COL",
     .doc = "events: when (UTC, where no zone is given)"},
    {.name = "item",
     .kind = CLI_TEXT,
     .offset = AT(events.item),
     .value = "COL",
     .doc = "events: of which item"},
    {.name = "amount",
     .kind = CLI_TEXT,
     .offset = AT(events.amount),
     .value = "FORMULA",
     .doc = "events: a number of columns, e.g. 'Quantity*UnitPrice'"},
    {.name = "where",
     .kind = CLI_TEXT,
     .offset = AT(events.where),
     .value = "CONDITION",
     .doc = "csv, events: rows that count, e.g. 'Quantity > 0'"},
    {.name = "time-format",
     .kind = CLI_TEXT,
     .offset = AT(events.time_format),
     .value = "FORMAT",
     .doc = "events: of --time, as of strptime: '%d/%m/%Y %H:%M'; ms: milliseconds since 1970"},
    {.name = "basket",
     .kind = CLI_TEXT,
     .offset = AT(events.basket),
     .value = "COL",
     .doc = "events: what is bought at once (default: what has one time)"},
    {.name = "session-gap",
     .kind = CLI_TEXT,
     .offset = AT(events.session_gap),
     .value = "D",
     .doc = "events: in place of --basket: those no further apart, e.g. 30m"},
    {.name = "event-column",
     .kind = CLI_LIST,
     .offset = AT(events.columns),
     .value = "COL[:number]",
     .doc = "events: a further column, a category if it is no :number"},
    {.name = "cutoff",
     .kind = CLI_LIST,
     .offset = AT(events.cutoffs),
     .value = "T",
     .doc = "events: a sample of each entity at T; of several, the last tests"},
    {.name = "gap",
     .kind = CLI_TEXT,
     .offset = AT(events.gap),
     .value = "D",
     .doc = "events: between the cut-off and the label's window, e.g. 7d"},
    {.name = "label-window",
     .kind = CLI_TEXT,
     .offset = AT(events.label_window),
     .value = "D",
     .doc = "events: in which an event makes the label true, e.g. 90d"},
    {.name = "label",
     .kind = CLI_TEXT,
     .offset = AT(events.label),
     .value = "NAME",
     .doc = "events: name of that target"},
    {.name = "label-count",
     .kind = CLI_TEXT,
     .offset = AT(events.label_count),
     .value = "NAME",
     .doc = "events: name of a target: purchases in the window"},
    {.name = "label-amount",
     .kind = CLI_TEXT,
     .offset = AT(events.label_amount),
     .value = "NAME",
     .doc = "events: name of a target: the sum of --amount in the window"},
    {.name = "allow-censored",
     .kind = CLI_FLAG,
     .offset = AT(events.allow_censored),
     .doc = "events: windows may end after the last event"},
    {.name = "next-item",
     .kind = CLI_TEXT,
     .offset = AT(events.next_item),
     .value = "RULE",
     .doc = "events: predict the next item: leave-one-out, session (the last tests), or time:T, "
            "test from T on"},
    {.name = "keep-new-items",
     .kind = CLI_FLAG,
     .offset = AT(events.keep_new_items),
     .doc = "events: with --next-item time:T, items never bought before T are targets of the test, "
            "too"},
    {.name = "min-events",
     .kind = CLI_INT,
     .offset = AT(events.least_events),
     .value = "N",
     .doc = "events: leave out entities with fewer",
     .minimum = 1,
     .maximum = 1000000000},
    {.name = "no-rfm",
     .kind = CLI_FLAG,
     .offset = AT(events.no_rfm),
     .doc = "events: no recency, frequency, monetary value and tenure as columns"},
    {.name = "tmp-dir",
     .kind = CLI_TEXT,
     .offset = AT(events.temporary_folder),
     .value = "DIR",
     .doc = "events: where those lie that memory does not hold (default: beside FILE)"},
    {.name = NULL},
};

static co_status missing(const char *what) {
  co_status status = co_fail(CO_ERR_USAGE, "'cohort import' also needs %s", what);
  co_hint("see cohort import --help");
  return status;
}

static co_status refuse(const char *option, const char *format) {
  return co_fail(CO_ERR_USAGE, "%s does not go with --format %s", option, format);
}

static co_status import_idx(cohort_context *context, const cli_import_options *o,
                            cohort_result **result) {
  bool fraction = !isnan(o->validation_fraction);
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
  return (co_status)cohort_import_idx(context, &request, result);
}

// Lines to skip; *out stays NULL where none are given.
static co_status read_lines(const int64_t **out, co_arena *arena, const cli_list *list) {
  int64_t *lines = co_arena_alloc(arena, (size_t)list->count + 1, sizeof *lines);
  if (!lines) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < list->count; i++) {
    char *end;
    lines[i] = strtol(list->item[i], &end, 10);
    if (*end || !*list->item[i] || lines[i] < 0 || lines[i] > 1000000000)
      return co_fail(CO_ERR_USAGE, "--skip-lines: '%s' is no number of lines", list->item[i]);
  }
  *out = lines;
  return CO_OK;
}

static co_status import_csv(cohort_context *context, const cli_import_options *o,
                            const int64_t *skip_lines, cohort_result **result) {
  const bool samples = o->events.samples.count > 0; // else it is a table without a log
  const cli_list *files = samples ? &o->events.samples : &o->files;
  const cohort_import_events_options events = cli_events_request(o);
  cohort_import_csv_options request = {
      .output = o->print_schema ? NULL : o->output,
      .files = files->item,
      .file_count = files->count,
      .entity = o->events.entity,
      .as_of = o->events.as_of,
      .events = samples ? &events : NULL,
      .training = o->training[0],
      .validation = o->validation[0],
      .test = o->test[0],
      .schema = o->schema,
      .targets = o->targets.item,
      .target_count = o->targets.count,
      .ignored = o->ignored.item,
      .ignored_count = o->ignored.count,
      .types = o->types.item,
      .type_count = o->types.count,
      .strip_suffixes = o->strip_suffixes.item,
      .strip_suffix_count = o->strip_suffixes.count,
      .header = o->header.item,
      .header_count = o->header.count,
      .key = o->key,
      .positive = o->positive,
      .delimiter = o->delimiter,
      .skip_lines = skip_lines,
      .skip_line_count = o->skip_lines.count,
      .fit = o->images.fit,
      .channels = o->images.channels == CLI_UNSET ? 0 : o->images.channels,
      .split = o->split,
      .validation_fraction = isnan(o->validation_fraction) ? -1 : o->validation_fraction,
      .seed = o->common.seed == CLI_UNSET ? 42 : (uint64_t)o->common.seed,
      .force = o->common.force,
      .duplicates = o->duplicates,
      .where = samples ? NULL : o->events.where,
      .source = cli_source_options(&o->source),
      .tables = cli_joined_tables(&o->tables)};
  CO_RETURN_IF_FAILED(cli_image_size(&request.image_width, &request.image_height, o->images.size));
  return (co_status)cohort_import_csv(context, &request, result);
}

static co_status check_idx(const cli_import_options *o) {
  bool table = o->targets.count || o->key || o->types.count || o->ignored.count || o->split ||
               o->positive || o->delimiter || o->header.count || o->skip_lines.count ||
               o->strip_suffixes.count || o->schema || o->print_schema || o->events.where ||
               o->tables.joins.count || o->tables.carried.count || o->tables.sources.count;
  if (!o->output || !o->training[0])
    return missing(!o->output && !o->training[0] ? "--output FILE, --training-set IMAGES LABELS"
                   : !o->output                  ? "--output FILE"
                                                 : "--training-set IMAGES LABELS");
  if (o->files.count) return refuse("a FILE", "idx");
  if (table) return refuse("an option of tables", "idx");
  return CO_OK;
}

// What says how a log is read, or is made of it.
static co_status check_log_options(const cli_event_options *e) {
  const char *option = e->time_format     ? "--time-format"
                       : e->time          ? "--time"
                       : e->item          ? "--item"
                       : e->basket        ? "--basket"
                       : e->session_gap   ? "--session-gap"
                       : e->amount        ? "--amount"
                       : e->columns.count ? "--event-column"
                       : e->cutoffs.count ? "--cutoff"
                       : e->gap           ? "--gap"
                       : e->label_window  ? "--label-window"
                       : e->label         ? "--label"
                       : e->label_count   ? "--label-count"
                       : e->label_amount  ? "--label-amount"
                       : e->next_item     ? "--next-item"
                                          : NULL;
  if (!option) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "%s is of a log of events, and none is given", option);
  if (e->time_format)
    co_hint("a column of dates is read by --type %.100s=date:%%d/%%m/%%Y",
            e->as_of ? e->as_of : "COLUMN");
  else
    co_hint("--events LOG.csv gives one");
  return status;
}

static co_status check_csv(const cli_import_options *o) {
  if (!o->output && !o->print_schema) return missing("--output FILE, or --print-schema");
  if (o->output && o->print_schema) {
    co_status status = co_fail(CO_ERR_USAGE, "--print-schema writes no dataset: leave -O out");
    co_hint("the dataset keeps its schema: cohort inspect shows it");
    return status;
  }
  if (!o->files.count && !o->training[0] && !o->schema) return missing("FILE");
  if (o->class_names.count) return refuse("--class-names", "csv");
  CO_RETURN_IF_FAILED(check_log_options(&o->events));
  if (o->training[1] || o->validation[1] || o->test[1])
    return co_fail(CO_ERR_USAGE, "a table takes one file for each split, not two");
  return CO_OK;
}

static co_status check_events(const cli_import_options *o) {
  if (!o->output && !(o->events.samples.count && o->print_schema)) return missing("--output FILE");
  if (!o->events.logs.count) return missing("--events FILE");
  if (o->files.count || o->training[0]) return refuse("a FILE but by --events", "events");
  if (o->events.samples.count) {
    if (o->events.cutoffs.count || o->events.next_item || o->events.label ||
        o->events.label_count || o->events.label_amount || o->schema)
      return refuse("--cutoff, --label, --next-item or --schema", "events with --samples");
    return CO_OK;
  }
  const char *option = o->positive                      ? "--positive"
                       : o->header.count                ? "--header"
                       : o->skip_lines.count            ? "--skip-lines"
                       : o->strip_suffixes.count        ? "--strip-suffix"
                       : o->duplicates                  ? "--duplicates"
                       : o->class_names.count           ? "--class-names"
                       : o->validation[0]               ? "--validation-set"
                       : o->test[0]                     ? "--test-set"
                       : o->events.as_of                ? "--as-of"
                       : !isnan(o->validation_fraction) ? "--validation-fraction"
                                                        : NULL;
  if (option) return refuse(option, "events");
  if (o->targets.count || o->key || o->schema || o->print_schema || o->split)
    return refuse("an option of tables", "events");
  return CO_OK;
}

static co_status check_images(const cli_import_options *o) {
  if (!o->output) return missing("--output FILE");
  if (o->files.count != 1) return missing("one folder or archive: DIR");
  if (o->training[0] || o->validation[0] || o->test[0] || o->events.logs.count)
    return refuse("an option of other formats", "images");
  if (o->targets.count || o->key || o->types.count || o->ignored.count || o->schema ||
      o->print_schema || o->tables.joins.count || o->tables.carried.count ||
      o->tables.sources.count || o->class_names.count)
    return refuse("an option of tables", "images");
  return CO_OK;
}

// Tables may have columns of images.
static bool has_image_options(const cli_import_options *o, bool table) {
  const cli_image_options *i = &o->images;
  bool of_columns = i->size || i->fit || i->channels != CLI_UNSET;
  return (of_columns && !table) || i->labels || i->max_pixels != CLI_UNSET;
}

static bool are_images(const cli_list *files) {
  struct stat info;
  if (files->count != 1 || stat(files->item[0], &info) != 0) return false;
  return S_ISDIR(info.st_mode) || co_image_archive_is(files->item[0]);
}

static co_status run(cli_job *cli, const void *options_) {
  const cli_import_options *o = options_;
  bool fraction = !isnan(o->validation_fraction);
  // Images come with labels; a table does not.
  int format = o->format >= 0          ? o->format
               : o->events.logs.count  ? EVENTS
               : o->training[1]        ? IDX
               : are_images(&o->files) ? IMAGES
                                       : CSV;
  const bool table = format == CSV || (format == EVENTS && o->events.samples.count);
  if (format != IMAGES && has_image_options(o, table || format == EVENTS))
    return refuse("an option of images", formats[format]);
  if (fraction && o->validation[0])
    return co_fail(CO_ERR_USAGE, "--validation-fraction does not go with --validation-set");
  CO_RETURN_IF_FAILED(format == IDX      ? check_idx(o)
                      : format == CSV    ? check_csv(o)
                      : format == IMAGES ? check_images(o)
                                         : check_events(o));
  cohort_context *context;
  cohort_result *result = NULL;
  const int64_t *skip_lines = NULL;
  CO_RETURN_IF_FAILED(read_lines(&skip_lines, cli->arena, &o->skip_lines));
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  cohort_status status = format == IDX      ? import_idx(context, o, &result)
                         : table            ? import_csv(context, o, skip_lines, &result)
                         : format == IMAGES ? cli_import_images(context, o, &result)
                                            : cli_import_events(context, o, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_import = {
    .name = "import",
    .aliases = "preprocess",
    .usage = "-O FILE --target COL [options] FILE.csv...\n"
             "       cohort import -O FILE --events LOG.csv --entity COL --time COL [options]\n"
             "       cohort import -O FILE [--image-size WxH] [options] DIR|ARCHIVE\n"
             "       cohort import -O FILE --training-set IMAGES LABELS [options]",
    .summary = "make a dataset.h5 from tables in text, event logs, or images",
    .details =
        "Nothing appears under the output's name before it is complete. An output made from\n"
        "equal inputs is left alone, or made again if it is damaged. Several FILEs with the same\n"
        "columns are one table; --join adds columns of another by its key; to events, by --item,\n"
        "a table of their items, and of --cutoff, by --entity, tables of the entities. What a\n"
        "column is, is found out from all of its cells; --print-schema shows it.\n",
    .common = CLI_SEED | CLI_FORCE | CLI_THREADS,
    .options = options_table,
    .options_size = sizeof(cli_import_options),
    .operand = "FILE",
    .max_operands = 1 << 20,
    .operands = AT(files),
    .run = run,
};
