// SPDX-License-Identifier: Apache-2.0
// cohort_import_events: the public face of the importer of event logs.
#include "datasets/import_events.h"

#include <string.h>

#include "datasets/dataset.h"
#include "datasets/date.h"
#include "datasets/moment.h"
#include "datasets/spool.h"
#include "host/api/events.h"

static void forward_progress(void *user, const char *what, int64_t done, int64_t total) {
  co_watch_progress(&((cohort_context *)user)->watch, what, "bytes", done, total, NULL);
}

// What stands before the time of day, which follows behind a blank or T.
static bool read_day(const co_cell *cell, const char *format, int64_t *out) {
  char day[64];
  const size_t length = strcspn(format, " T");
  if (length >= sizeof day || !format[length]) return false;
  memcpy(day, format, length);
  day[length] = '\0';
  return co_date_check_format(day) == CO_OK && co_moment_read_as(cell, day, out);
}

co_status co_events_time(int64_t *out, const char *option, const char *text, const char *format) {
  const co_cell cell = {text, strlen(text)};
  if (co_moment_read(&cell, out)) return CO_OK;
  if (format && (co_moment_read_as(&cell, format, out) || read_day(&cell, format, out)))
    return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--%s %.100s: no time", option, text);
  if (format)
    co_hint("as the log's times are, '%.100s', or 2011-12-31", format);
  else
    co_hint("2011-12-31, or '2011-12-31 23:59:59' (UTC, or with a zone such as +01:00)");
  return status;
}

co_status co_events_duration(int64_t *out, const char *option, const char *text) {
  if (!text || co_duration_read(text, out)) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--%s %.100s: no duration", option, text);
  co_hint("a whole number and w, d, h, m or s: 90d, 12w");
  return status;
}

static bool has_label(const cohort_import_events_options *o) {
  return o->label || o->label_count || o->label_amount;
}

// How purchases are told apart.
co_status co_events_set_session_gap(co_event_recipe *out, const cohort_import_events_options *o) {
  if (!o->session_gap) return CO_OK;
  if (o->basket) return co_fail(CO_ERR_USAGE, "--session-gap does not go with --basket");
  CO_RETURN_IF_FAILED(co_events_duration(&out->session_gap, "session-gap", o->session_gap));
  return out->session_gap > 0 ? CO_OK
                              : co_fail(CO_ERR_USAGE, "--session-gap must be longer than 0");
}

// leave-one-out, session, or time:T.
static co_status choose_sampling(co_import_events_options *out,
                                 const cohort_import_events_options *o, co_arena *arena) {
  int64_t *times = co_arena_alloc(arena, (size_t)o->cutoff_count + 1, sizeof *times);
  if (!times) return CO_ERR_MEMORY;
  out->cutoffs = times;
  if (o->next_item) {
    const bool timed = strncmp(o->next_item, "time:", 5) == 0;
    const bool session = strcmp(o->next_item, "session") == 0;
    out->sampling = timed ? CO_SAMPLE_TIME : session ? CO_SAMPLE_SESSIONS : CO_SAMPLE_LEAVE_ONE_OUT;
    if (session && !o->session_gap && !o->basket) {
      co_status status =
          co_fail(CO_ERR_USAGE, "--next-item session needs --session-gap or --basket");
      co_hint("--session-gap 30m");
      return status;
    }
    if (o->cutoff_count || has_label(o) || o->label_window)
      return co_fail(CO_ERR_USAGE, "--next-item does not go with --cutoff and --label");
    if (!timed && !session && strcmp(o->next_item, "leave-one-out") != 0) {
      co_status status = co_fail(CO_ERR_USAGE, "--next-item %.100s: not understood", o->next_item);
      co_hint("leave-one-out, session, or time:2011-09-01");
      return status;
    }
    out->cutoff_count = timed;
    if (o->keep_new_items && !timed)
      return co_fail(CO_ERR_USAGE, "--keep-new-items goes with --next-item time:T");
    return timed ? co_events_time(times, "next-item time:", o->next_item + 5, o->time_format)
                 : CO_OK;
  }
  if (o->keep_new_items) {
    co_status status = co_fail(CO_ERR_USAGE, "--keep-new-items goes with --next-item time:T");
    co_hint("leave it out, or give --next-item time:2011-09-01");
    return status;
  }
  if (o->label_amount && !o->amount) {
    co_status status = co_fail(CO_ERR_USAGE, "--label-amount needs --amount");
    co_hint("for example --amount 'Quantity*UnitPrice'");
    return status;
  }
  if (!o->cutoff_count || !o->label_window != !has_label(o)) {
    co_status status =
        co_fail(CO_ERR_USAGE, "events need --cutoff T, with --label-window and --label "
                              "where there is a target; or --next-item");
    co_hint("--cutoff 2011-09-01 --label-window 90d --label repurchase");
    return status;
  }
  out->sampling = CO_SAMPLE_CUTOFFS;
  out->cutoff_count = o->cutoff_count;
  for (int64_t i = 0; i < o->cutoff_count; i++) {
    CO_RETURN_IF_FAILED(co_events_time(&times[i], "cutoff", o->cutoffs[i], o->time_format));
    for (int64_t k = 0; k < i; k++)
      if (times[k] == times[i])
        return co_fail(CO_ERR_USAGE, "--cutoff %.100s is given twice", o->cutoffs[i]);
  }
  CO_RETURN_IF_FAILED(co_events_duration(&out->gap, "gap", o->gap));
  CO_RETURN_IF_FAILED(co_events_duration(&out->window, "label-window", o->label_window));
  return out->window > 0 || !o->label_window
             ? CO_OK
             : co_fail(CO_ERR_USAGE, "--label-window must be longer than 0");
}

// Labels of training samples must be known when the last cut-off's are predicted.
static co_status check_windows(const co_import_events_options *o) {
  int64_t last = o->cutoffs[0];
  for (int64_t i = 1; i < o->cutoff_count; i++)
    if (o->cutoffs[i] > last) last = o->cutoffs[i];
  for (int64_t i = 0; o->sampling == CO_SAMPLE_CUTOFFS && i < o->cutoff_count; i++)
    if (o->cutoffs[i] != last && o->cutoffs[i] + o->gap + o->window > last) {
      co_status status = co_fail(CO_ERR_USAGE, "the label window of an earlier --cutoff ends after "
                                               "the last one, on which is tested");
      co_hint("let cut-offs be further apart, or the window shorter");
      return status;
    }
  return CO_OK;
}

static void count(co_json *json, co_text *text, const char *key, const char *what, int64_t value) {
  co_json_key(json, key);
  co_json_int(json, value);
  if (what && value) co_text_printf(text, "note     %lld %s\n", (long long)value, what);
}

static void report_label(cohort_result *result, const cohort_import_events_options *o,
                         const co_import_events_result *done) {
  if (!has_label(o)) return;
  count(&result->json, &result->text, "positives", NULL, done->positives);
  co_text_printf(&result->text, "label    %s: %lld of %lld\n",
                 o->label         ? o->label
                 : o->label_count ? o->label_count
                                  : o->label_amount,
                 (long long)done->positives,
                 (long long)(done->rows[0] + done->rows[1] + done->rows[2]));
}

static void report(cohort_result *result, const cohort_import_events_options *o,
                   const co_import_events_result *done) {
  co_json *json = &result->json;
  co_text *text = &result->text;
  co_json_key(json, "output");
  co_json_string(json, o->output);
  co_text_printf(text, "dataset  %s%s\n", o->output,
                 done->up_to_date ? " (up to date, left alone)" : "");
  co_json_key(json, "rows");
  co_json_open(json, '{');
  for (int s = 0; s < CO_SPLIT_COUNT; s++) {
    co_json_key(json, co_split_name((co_split)s));
    co_json_int(json, done->rows[s]);
  }
  co_json_close(json);
  co_text_printf(text, "samples  %lld train, %lld validation, %lld test\n",
                 (long long)done->rows[0], (long long)done->rows[1], (long long)done->rows[2]);
  if (!done->up_to_date) {
    co_text_printf(text, "events   %lld of %lld entities", (long long)done->events,
                   (long long)done->entities);
    if (done->items) co_text_printf(text, ", %lld items", (long long)done->items);
    co_text_printf(text, ", from %lld lines\n", (long long)done->lines);
    count(json, text, "lines", NULL, done->lines);
    count(json, text, "events", NULL, done->events);
    count(json, text, "entities", NULL, done->entities);
    count(json, text, "items", NULL, done->items);
    report_label(result, o, done);
    count(json, text, "excluded_lines", "lines are excluded by --where", done->excluded);
    count(json, text, "no_entity", "lines name no entity", done->no_entity);
    count(json, text, "no_time", "lines have no time", done->no_time);
    count(json, text, "no_item", "lines have no item", done->no_value);
    if (o->tables.join_count) count(json, text, "unlisted_items", NULL, done->unlisted);
    count(json, text, "unknown_targets",
          o->keep_new_items ? "targets of test were never seen before"
                            : "targets of test were never seen before: left out",
          done->unknown_targets);
    count(json, text, "spilled_bytes", NULL, (int64_t)done->spilled);
  }
  co_result_memory(result);
  co_json_key(json, "up_to_date");
  co_json_bool(json, done->up_to_date);
  co_json_key(json, "fingerprint");
  co_json_string(json, done->fingerprint);
}

co_status co_events_item_rows(co_rows_options *out, const co_rows_options *log, const char *item,
                              const char *key, co_arena *arena) {
  const char **columns =
      co_arena_alloc(arena, (size_t)log->pseudonymized_count + 1, sizeof *columns);
  if (!columns) return CO_ERR_MEMORY;
  *out = (co_rows_options){
      .encoding = log->encoding, .no_quotes = log->no_quotes, .decimal_comma = log->decimal_comma};
  if (!log->pseudonym) return CO_OK;
  for (int64_t i = 0; i < log->pseudonymized_count; i++)
    columns[i] = strcmp(log->pseudonymized[i], item) == 0 ? key : log->pseudonymized[i];
  out->pseudonymized = columns;
  out->pseudonymized_count = log->pseudonymized_count;
  out->pseudonym = log->pseudonym;
  out->key_check = log->key_check;
  out->pseudonyms_by_recipe = true;
  return CO_OK;
}

// Whether tables are joined to entities, not to the items alone.
static bool joins_entities(const co_recipe *recipe, const cohort_import_events_options *o) {
  for (int64_t i = 0; i < recipe->join_count; i++)
    if (recipe->joins[i].to < 0 && strcmp(recipe->joins[i].on[0], o->entity) == 0) return true;
  return false;
}

// The tables, of which *entities says whether some are of the entities; the one of the items, if there is one alone.
static co_status take_tables(co_import_events_options *out, const cohort_import_events_options *o,
                             co_arena *arena, co_diagnostics *problems, bool *entities) {
  const cohort_import_csv_options table = {.tables = o->tables,
                                           .types = o->types,
                                           .type_count = o->type_count,
                                           .ignored = o->ignored,
                                           .ignored_count = o->ignored_count,
                                           .image_width = o->image_width,
                                           .image_height = o->image_height,
                                           .channels = o->channels,
                                           .fit = o->fit};
  co_recipe *recipe = co_arena_alloc(arena, 1, sizeof *recipe);
  if (!recipe) return CO_ERR_MEMORY;
  if (o->tables.source_count) return co_events_only_items("--source");
  CO_RETURN_IF_FAILED(co_table_recipe(recipe, &table, arena, problems));
  *entities = joins_entities(recipe, o);
  for (int64_t i = 0; i < recipe->column_count; i++)
    if (!recipe->columns[i].reference) return co_events_only_items(recipe->columns[i].name);
  if (*entities) return CO_OK;
  if (o->tables.carried_count) return co_events_only_items("--carry");
  if (!recipe->join_count) return CO_OK;
  const co_recipe_join *join = &recipe->joins[0];
  if (recipe->join_count > 1) return co_events_only_items(recipe->joins[1].table.table);
  if (!o->item || join->to >= 0 || join->table.key_count != 1 || strcmp(join->on[0], o->item) != 0)
    return co_events_only_items(join->table.table);
  CO_RETURN_IF_FAILED(co_events_check_items(join));
  CO_RETURN_IF_FAILED(co_events_item_rows(&recipe->joins[0].table.rows, &out->rows, o->item,
                                          join->table.key[0], arena));
  co_table_name_sources(recipe);
  out->joined = recipe;
  out->items_path = out->items_shown = join->table.file;
  return CO_OK;
}

static co_status no_profiles(const char *option, const char *way) {
  co_status status = co_fail(CO_ERR_USAGE, "%s does not go with a table of the entities", option);
  co_hint("%s", way);
  return status;
}

static co_status check_profiles(const cohort_import_events_options *o) {
  if (o->next_item)
    return no_profiles("--next-item",
                       "--cutoff T --label-window 90d --label NAME takes such tables");
  if (o->delimiter)
    return no_profiles("--delimiter", "leave it out: each file's is found out from its rows");
  if (strcmp(o->entity, CO_SAMPLES_TIME) != 0 && strcmp(o->entity, CO_SAMPLES_SPLIT) != 0)
    return CO_OK;
  return no_profiles("an entity called '" CO_SAMPLES_TIME "' or '" CO_SAMPLES_SPLIT "'",
                     "rename the column: samples have columns of these names");
}

// Entities with tables of their own: what cut-offs make is a table of samples, to which they are joined, and which
// sees the log as samples that others write do.
static co_status import_profiles(cohort_context *context, co_import_events_options *options,
                                 const cohort_import_events_options *o, co_arena *arena,
                                 cohort_result *result) {
  co_import_events_result listed;
  co_import_csv_result done;
  co_atomic_file file = {0};
  co_dataset *dataset = NULL;
  co_text text;
  co_status status = CO_OK;
  CO_RETURN_IF_FAILED(check_profiles(o));
  co_text_init(&text, context->ctx);
  options->listed = &text;
  options->rows.pseudonymized_count = 0; // samples get them, as all their tables
  options->rows.pseudonym = NULL;
  CO_TRY(co_import_events(&listed, context->ctx, arena, options));
  CO_TRY(
      co_spool_text(&file, context->ctx, text.data, co_temporary_root(o->source.temporary_folder)));
  const char *samples = file.temporary;
  cohort_import_csv_options request = {.output = o->output,
                                       .files = &samples,
                                       .file_count = 1,
                                       .ignored = o->ignored,
                                       .ignored_count = o->ignored_count,
                                       .types = o->types,
                                       .type_count = o->type_count,
                                       .split = "column:" CO_SAMPLES_SPLIT,
                                       .validation_fraction = -1,
                                       .seed = o->seed,
                                       .force = o->force,
                                       .image_width = o->image_width,
                                       .image_height = o->image_height,
                                       .channels = o->channels,
                                       .fit = o->fit,
                                       .source = o->source,
                                       .tables = o->tables,
                                       .entity = o->entity,
                                       .as_of = CO_SAMPLES_TIME,
                                       .events = o};
  request.source.encoding = NULL; // the log's
  request.source.no_quotes = false;
  CO_TRY(co_table_import(&done, context, arena, &request, NULL, &dataset, NULL, &result->errors));
  if (done.up_to_date) CO_TRY(co_dataset_open(&dataset, context->ctx, o->output));
  done.duplicates =
      -1; // samples are of an entity each, which is not among what they are compared by
  co_table_import_report(result, o->output, &done, dataset);
  report_label(result, o, &listed);
cleanup:
  co_dataset_close(dataset);
  co_atomic_abort(&file);
  co_text_free(&text);
  return status;
}

static co_status run(cohort_context *context, const cohort_import_events_options *o,
                     co_arena *arena, co_diagnostics *problems, cohort_result *result) {
  co_import_events_result done;
  bool entities = false;
  if (!o->output || !o->file_count)
    return co_fail(CO_ERR_USAGE, "events need an output and a FILE");
  if (!o->entity || !o->time) {
    co_status status = co_fail(CO_ERR_USAGE, "events need --entity COL and --time COL");
    co_hint("--entity CustomerID --time InvoiceDate [--item StockCode]");
    return status;
  }
  co_import_events_options options = {.output = o->output,
                                      .files = o->files,
                                      .file_count = o->file_count,
                                      .recipe = {.entity = o->entity,
                                                 .time = o->time,
                                                 .time_format = o->time_format,
                                                 .item = o->item,
                                                 .basket = o->basket,
                                                 .amount = o->amount,
                                                 .where = o->where,
                                                 .columns = o->columns,
                                                 .column_count = o->column_count,
                                                 .rfm = !o->next_item && !o->no_rfm},
                                      .labels = {[CO_LABEL_ANY] = o->label,
                                                 [CO_LABEL_COUNT] = o->label_count,
                                                 [CO_LABEL_SUM] = o->label_amount},
                                      .allow_censored = o->allow_censored,
                                      .least_events = o->least_events,
                                      .keep_new_items = o->keep_new_items,
                                      .seed = o->seed,
                                      .force = o->force,
                                      .temporary_folder = o->temporary_folder,
                                      .progress = forward_progress,
                                      .progress_user = context,
                                      .stop = context->options.stop};
  if (o->source.on_error || o->source.max_errors)
    return co_fail(CO_ERR_USAGE, "--on-error and --max-errors are not for events yet");
  CO_RETURN_IF_FAILED(co_table_read_options(&options.rows, &o->source, arena));
  options.recipe.decimal_comma = options.rows.decimal_comma;
  if (o->delimiter)
    CO_RETURN_IF_FAILED(co_table_parse_delimiter(&options.rows.delimiter, o->delimiter));
  CO_RETURN_IF_FAILED(co_events_set_session_gap(&options.recipe, o));
  CO_RETURN_IF_FAILED(choose_sampling(&options, o, arena));
  CO_RETURN_IF_FAILED(check_windows(&options));
  CO_RETURN_IF_FAILED(co_split_rule_parse(&options.split, arena, NULL));
  CO_RETURN_IF_FAILED(take_tables(&options, o, arena, problems, &entities));
  if (entities) return import_profiles(context, &options, o, arena, result);
  co_status status = co_import_events(&done, context->ctx, arena, &options);
  co_watch_progress(&context->watch, "import", "bytes", -1, 0, NULL);
  if (status == CO_OK) report(result, o, &done);
  return status;
}

cohort_status cohort_import_events(cohort_context *context,
                                   const cohort_import_events_options *options,
                                   cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_arena *arena;
  co_diagnostics problems;
  co_diagnostics_init(&problems, context->ctx);
  co_status status = co_arena_create(&arena, context->ctx);
  if (status == CO_OK) status = run(context, options, arena, &problems, *out);
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  return co_result_finish(*out, "import", status);
}
