// SPDX-License-Identifier: Apache-2.0
// cohort_import_csv: the public face of the importer of tables in text.
#include <string.h>

#include "datasets/dataset.h"
#include "datasets/postgres.h"
#include "host/api/events.h"
#include "host/api/table.h"

// The files of a table, and which splits they are.
typedef struct input_files {
  const char *files[CO_SPLIT_COUNT];
  int splits[CO_SPLIT_COUNT];
  const char *const *list;
  int64_t count;
  bool by_file;
} input_files;

static co_status choose_inputs(input_files *out, const cohort_import_csv_options *o,
                               const co_recipe *recipe) {
  const char *const of_split[CO_SPLIT_COUNT] = {o->training, o->validation, o->test};
  *out = (input_files){.list = o->files, .count = o->file_count};
  for (int s = 0; s < CO_SPLIT_COUNT; s++)
    out->by_file |= of_split[s] != NULL;
  if (out->by_file && (!o->training || o->file_count || o->split)) {
    co_status status =
        co_fail(CO_ERR_USAGE, "%s",
                o->split       ? "--split does not go with files of splits"
                : !o->training ? "--validation-set and --test-set need --training-set"
                               : "rows come from FILE, or from --training-set");
    co_hint("--training-set A.csv [--validation-set B.csv] [--test-set C.csv], or A.csv --split …");
    return status;
  }
  for (int s = 0; out->by_file && s < CO_SPLIT_COUNT; s++)
    if (of_split[s]) {
      out->splits[out->count] = s;
      out->files[out->count++] = of_split[s];
    }
  if (!out->by_file && !out->count && recipe->file) out->files[out->count++] = recipe->file;
  if (out->count && (out->by_file || !o->file_count)) out->list = out->files;
  return out->count ? CO_OK : co_fail(CO_ERR_USAGE, "import needs a FILE");
}

// The files of the table, then those of the tables that are joined to it, that of the label's, of the log's
// items, and those of the log.
static co_status begin_files(co_table_files *files, cohort_context *context, co_arena *arena,
                             const input_files *in, co_recipe *recipe,
                             const cohort_source_options *source) {
  const int64_t label = in->count + recipe->join_count, count = label + 2 + recipe->log_count;
  const char **all = co_arena_alloc(arena, (size_t)count, sizeof *all);
  const co_rows_options **rows = co_arena_alloc(arena, (size_t)count, sizeof *rows);
  if (!all || !rows) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_table_check_sources(recipe));
  co_table_name_sources(recipe);
  memcpy(all, in->list, (size_t)in->count * sizeof *all);
  for (int64_t i = 0; i < recipe->join_count; i++) {
    all[in->count + i] = recipe->joins[i].table.file;
    rows[in->count + i] = &recipe->joins[i].table.rows;
  }
  if (recipe->samples.label) {
    all[label] = recipe->samples.label->table.file;
    rows[label] = &recipe->samples.label->table.rows;
    if (!all[label]) return co_table_no_source(recipe, recipe->samples.label->table.table);
  }
  if (recipe->items) {
    all[label + 1] = recipe->items->joins[0].table.file;
    rows[label + 1] = &recipe->items->joins[0].table.rows;
  }
  for (int64_t i = 0; i < recipe->log_count; i++)
    all[label + 2 + i] = recipe->logs[i];
  for (int64_t i = label; i < count; i++)
    if (i != label + 1 && all[i] && (co_rows_is_database(all[i]) || co_postgres_is_url(all[i]))) {
      co_status status = co_fail(
          CO_ERR_USAGE, "%.200s: labels and events of samples are read from files alone", all[i]);
      co_hint("export what it has to a CSV file");
      return status;
    }
  CO_RETURN_IF_FAILED(co_table_files_begin(files, context, arena, all, rows, count, source));
  for (int64_t i = 0; i < recipe->join_count; i++)
    co_table_files_adapt(&recipe->joins[i].table.rows, recipe->joins[i].table.file);
  if (recipe->items)
    co_table_files_adapt(&recipe->items->joins[0].table.rows, recipe->items->joins[0].table.file);
  return CO_OK;
}

// A table joined by a column that the rows and the log have might be either's.
static co_status check_items(cohort_context *context, const co_recipe *recipe, const char *path) {
  const co_recipe_join *items = recipe->items ? &recipe->items->joins[0] : NULL;
  co_rows *rows;
  if (!items || !items->implied) return CO_OK;
  CO_RETURN_IF_FAILED(co_rows_open(&rows, context->ctx, path, &recipe->rows));
  const bool both = co_rows_find(rows, items->on[0]) >= 0;
  co_rows_close(rows);
  if (!both) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--join %.200s:%.100s: samples and log have this column",
                             items->table.file, items->on[0]);
  co_hint("%s.%s is the log's, whose items it tells of; %s.%s the samples'", CO_EVENTS_LOG,
          items->on[0], recipe->table, items->on[0]);
  return status;
}

// The column of splits is told by --split, or by its role.
static co_status choose_split(co_split_rule *rule, co_recipe *recipe, co_arena *arena,
                              const char *text) {
  CO_RETURN_IF_FAILED(co_split_rule_parse(rule, arena, text));
  if (!text)
    for (int64_t i = 0; i < recipe->column_count; i++)
      if (recipe->columns[i].role == CO_RECIPE_SPLIT)
        *rule = (co_split_rule){.kind = CO_SPLIT_COLUMN, .column = recipe->columns[i].name};
  // Splits do not part what belongs to one entity.
  if (rule->kind == CO_SPLIT_RANDOM && recipe->samples.entity) {
    rule->kind = CO_SPLIT_HASH;
    rule->column = recipe->samples.entity;
  }
  if (rule->kind == CO_SPLIT_TIME && !rule->column) rule->column = recipe->time;
  if (rule->kind != CO_SPLIT_COLUMN) return CO_OK;
  co_recipe_column *column = co_table_column(recipe, arena, rule->column);
  if (!column) return CO_ERR_MEMORY;
  column->role = CO_RECIPE_SPLIT;
  return CO_OK;
}

static co_status choose_skips(const int64_t **out, const cohort_import_csv_options *o,
                              int64_t files, co_arena *arena) {
  if (o->skip_line_count < 2) return CO_OK; // the recipe has it
  if (o->skip_line_count > files)
    return co_fail(CO_ERR_USAGE, "--skip-lines has %lld numbers for %lld files",
                   (long long)o->skip_line_count, (long long)files);
  int64_t *lines = co_arena_alloc(arena, (size_t)files, sizeof *lines);
  for (int64_t i = 0; lines && i < files; i++)
    lines[i] = o->skip_lines[i < o->skip_line_count ? i : o->skip_line_count - 1];
  *out = lines;
  return lines ? CO_OK : CO_ERR_MEMORY;
}

static void forward_progress(void *user, const char *what, int64_t done, int64_t total) {
  co_watch_progress(&((cohort_context *)user)->watch, what, "bytes", done, total, NULL);
}

static co_status read_duplicates(co_duplicates *out, const char *text) {
  static const char *const words[] = {"keep", "drop", "fail"};
  int kind = 0;
  while (text && kind < 3 && strcmp(text, words[kind]) != 0)
    kind++;
  *out = (co_duplicates)kind;
  return kind < 3 ? CO_OK
                  : co_fail(CO_ERR_USAGE, "--duplicates %.100s: must be keep, drop or fail", text);
}

static co_status import_files(co_import_csv_result *out, cohort_context *context, co_arena *arena,
                              const cohort_import_csv_options *o, co_atomic_file *temporary,
                              co_dataset **dataset, const char *rejects, co_table_files *files,
                              co_diagnostics *problems) {
  co_recipe recipe;
  input_files in;
  co_reject_rule reject;
  co_duplicates duplicates;
  CO_RETURN_IF_FAILED(co_table_recipe(&recipe, o, arena, problems));
  CO_RETURN_IF_FAILED(choose_inputs(&in, o, &recipe));
  CO_RETURN_IF_FAILED(
      co_reject_rule_parse(&reject, o->source.on_error, o->source.max_errors, CO_ON_ERROR_FAIL));
  CO_RETURN_IF_FAILED(read_duplicates(&duplicates, o->duplicates));
  CO_RETURN_IF_FAILED(begin_files(files, context, arena, &in, &recipe, &o->source));
  co_table_files_adapt(&recipe.rows, in.list[0]);
  CO_RETURN_IF_FAILED(check_items(context, &recipe, files->paths[0]));
  const int64_t items = in.count + recipe.join_count + 1, log = items + 1;
  const co_import_events_options events = {.files = files->paths + log,
                                           .shown = files->shown + log,
                                           .file_count = recipe.log_count,
                                           .rows = co_table_log_rows(&recipe),
                                           .joined = recipe.items,
                                           .items_path = files->paths[items],
                                           .items_shown = files->shown[items],
                                           .temporary_folder = o->source.temporary_folder,
                                           .progress = forward_progress,
                                           .progress_user = context,
                                           .stop = context->options.stop};
  co_import_csv_options options = {.temporary = temporary,
                                   .dataset = dataset,
                                   .output = o->output,
                                   .files = files->paths,
                                   .shown = files->shown,
                                   .file_splits = in.by_file ? in.splits : NULL,
                                   .file_count = in.count,
                                   .joined = files->paths + in.count,
                                   .joined_shown = files->shown + in.count,
                                   .exists = files->paths[in.count + recipe.join_count],
                                   .exists_shown = files->shown[in.count + recipe.join_count],
                                   .events = recipe.events ? &events : NULL,
                                   .recipe = &recipe,
                                   .validation_fraction =
                                       o->validation_fraction < 0 ? 0.1 : o->validation_fraction,
                                   .seed = o->seed,
                                   .reject = reject,
                                   .duplicates = duplicates,
                                   .rejects = rejects     ? rejects
                                              : temporary ? NULL
                                                          : o->output,
                                   .force = o->force,
                                   .progress = forward_progress,
                                   .progress_user = context,
                                   .stop = context->options.stop};
  CO_RETURN_IF_FAILED(choose_skips(&options.skip_lines, o, in.count, arena));
  CO_RETURN_IF_FAILED(choose_split(&options.split, &recipe, arena, o->split));
  co_status status = co_import_csv(out, context->ctx, arena, &options);
  co_watch_progress(&context->watch, "import", "bytes", -1, 0, NULL);
  return status;
}

co_status co_table_import(co_import_csv_result *out, cohort_context *context, co_arena *arena,
                          const cohort_import_csv_options *o, co_atomic_file *temporary,
                          co_dataset **dataset, const char *rejects, co_diagnostics *problems) {
  co_table_files files = {0};
  co_status status =
      import_files(out, context, arena, o, temporary, dataset, rejects, &files, problems);
  co_error error;
  co_error_copy(&error);
  co_table_files_end(&files);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}

// ---- the report --------------------------------------------------------------------------------

static void report_column(co_json *json, co_text *text, const co_column *column,
                          const char *table) {
  if (column->role == CO_ROLE_TARGET) {
    co_text_printf(text, "target   %s, %s", column->name, co_column_type_name(column->type));
    if (column->type == CO_COLUMN_BINARY)
      co_text_printf(text, " (positive: %s)", column->categories[1]);
    if (column->type == CO_COLUMN_CATEGORY)
      co_text_printf(text, " (%lld classes)", (long long)column->category_count);
    co_text_printf(text, "\n");
  }
  if (column->role == CO_ROLE_KEY) co_text_printf(text, "key      %s\n", column->name);
  co_json_open(json, '{');
  co_json_key(json, "name");
  co_json_string(json, column->name);
  if (table) {
    co_json_key(json, "table");
    co_json_string(json, table);
  }
  co_json_key(json, "type");
  co_json_string(json, co_column_type_name(column->type));
  co_json_key(json, "role");
  co_json_string(json, co_role_name(column->role));
  if (column->type == CO_COLUMN_BINARY) {
    co_json_key(json, "positive");
    co_json_string(json, column->categories[1]);
  }
  co_json_close(json);
}

static void report_columns(co_json *json, co_text *text, const co_schema *schema) {
  long long count[CO_COLUMN_TYPE_COUNT] = {0}, inputs = 0;
  for (int64_t i = 0; i < schema->column_count; i++)
    if (schema->columns[i].role == CO_ROLE_INPUT) {
      count[schema->columns[i].type]++;
      inputs++;
    }
  static const co_column_type shown[] = {CO_COLUMN_NUMBER, CO_COLUMN_BINARY, CO_COLUMN_CATEGORY,
                                         CO_COLUMN_DATE,   CO_COLUMN_TEXT,   CO_COLUMN_IMAGE};
  static const char *const names[] = {"numbers", "binaries", "categories",
                                      "dates",   "texts",    "images"};
  co_text_printf(text, "inputs   %lld:", inputs);
  for (size_t i = 0, told = 0; i < sizeof shown / sizeof *shown; i++)
    if (count[shown[i]])
      co_text_printf(text, "%s %lld %s", told++ ? "," : "", count[shown[i]], names[i]);
  co_text_printf(text, "\n");
  co_json_key(json, "columns");
  co_json_open(json, '[');
  for (int64_t i = 0; i < schema->column_count; i++)
    report_column(json, text, &schema->columns[i],
                  schema->table_count > 2 ? schema->columns[i].table : NULL);
  co_json_close(json);
}

static void report_rows(co_json *json, co_text *text, const co_import_csv_result *done) {
  co_json_key(json, "rows");
  co_json_open(json, '{');
  for (int i = 0; i < CO_SPLIT_COUNT; i++) {
    co_json_key(json, co_split_name((co_split)i));
    co_json_int(json, done->rows[i]);
  }
  co_json_close(json);
  co_text_printf(text, "rows     %lld train, %lld validation, %lld test\n",
                 (long long)done->rows[0], (long long)done->rows[1], (long long)done->rows[2]);
}

static void report_joins(co_json *json, co_text *text, const co_import_csv_result *done) {
  if (!done->join_count) return;
  co_json_key(json, "joins");
  co_json_open(json, '[');
  for (int64_t i = 0; i < done->join_count; i++) {
    const co_join_count *n = &done->joins[i];
    co_json_open(json, '{');
    co_json_key(json, "table");
    co_json_string(json, n->table);
    co_json_key(json, "on");
    co_json_string(json, n->on);
    co_json_key(json, "rows");
    co_json_int(json, n->rows);
    co_json_key(json, "matched");
    co_json_int(json, n->matched);
    co_json_key(json, "unmatched");
    co_json_int(json, n->unknown);
    co_json_key(json, "without_key");
    co_json_int(json, n->missing);
    co_json_close(json);
    co_text_printf(text, "joined   %s on %s: %lld of %lld rows matched", n->table, n->on,
                   (long long)n->matched, (long long)(n->matched + n->unknown + n->missing));
    if (n->unknown) co_text_printf(text, ", %lld unknown keys", (long long)n->unknown);
    if (n->missing) co_text_printf(text, ", %lld without a key", (long long)n->missing);
    co_text_printf(text, "\n");
  }
  co_json_close(json);
}

static void report_lines(co_json *json, co_text *text, const char *key, const char *what,
                         int64_t count) {
  co_json_key(json, key);
  co_json_int(json, count);
  if (count) co_text_printf(text, "note     %lld %s\n", (long long)count, what);
}

static void report_samples(co_json *json, co_text *text, const co_import_csv_result *done) {
  const co_import_events_result *e = &done->events;
  if (!done->entities) return;
  co_json_key(json, "entities");
  co_json_int(json, done->entities);
  co_text_printf(text, "samples  of %lld entities", (long long)done->entities);
  if (e->lines) {
    co_json_key(json, "events");
    co_json_int(json, e->events);
    co_json_key(json, "lines");
    co_json_int(json, e->lines);
    co_text_printf(text, ", with %lld events of theirs from %lld lines", (long long)e->events,
                   (long long)e->lines);
  }
  co_text_printf(text, "\n");
  if (!e->lines) return;
  report_lines(json, text, "excluded_lines", "lines are excluded by --where", e->excluded);
  report_lines(json, text, "no_entity", "lines name no entity", e->no_entity);
  report_lines(json, text, "no_time", "lines have no time", e->no_time);
  report_lines(json, text, "without_events", "samples have no event before their date", e->empty);
  report_lines(json, text, "late_samples", "samples are of after the last event", e->late);
  report_lines(json, text, "unlisted_items", "items are not in their table", e->unlisted);
}

void co_table_import_report(cohort_result *result, const char *output,
                            const co_import_csv_result *done, const co_dataset *dataset) {
  co_json *json = &result->json;
  co_json_key(json, "output");
  co_json_string(json, output);
  co_text_printf(&result->text, "dataset  %s%s\n", output,
                 done->up_to_date ? " (up to date, left alone)" : "");
  report_rows(json, &result->text, done);
  report_columns(json, &result->text, co_dataset_schema(dataset));
  report_joins(json, &result->text, done);
  report_samples(json, &result->text, done);
  if (done->duplicates >= 0) {
    co_json_key(json, "duplicates");
    co_json_int(json, done->duplicates);
  }
  co_json_key(json, "dropped");
  co_json_int(json, done->dropped);
  if (done->excluded) {
    co_json_key(json, "excluded");
    co_json_int(json, done->excluded);
    co_text_printf(&result->text, "excluded %lld rows by the condition\n",
                   (long long)done->excluded);
  }
  co_json_key(json, "privacy");
  co_json_open(json, '[');
  for (int64_t i = 0; i < done->personal_count; i++) {
    co_json_open(json, '{');
    co_json_key(json, "column");
    co_json_string(json, done->personal[i].column);
    co_json_key(json, "kind");
    co_json_string(json, co_personal_name(done->personal[i].kind));
    co_json_key(json, "count");
    co_json_int(json, done->personal[i].count);
    co_json_close(json);
  }
  co_json_close(json);
  co_json_key(json, "rejected");
  co_json_int(json, done->rejected);
  co_result_memory(result);
  co_json_key(json, "up_to_date");
  co_json_bool(json, done->up_to_date);
  co_json_key(json, "fingerprint");
  co_json_string(json, done->fingerprint);
  if (done->dropped)
    co_text_printf(&result->text, "dropped  %lld rows that repeat an earlier one\n",
                   (long long)done->dropped);
  if (done->rejected)
    co_text_printf(&result->text, "rejected %lld rows\n", (long long)done->rejected);
  if (done->duplicates > 0)
    co_text_printf(&result->text, "note     %lld rows repeat an earlier one\n",
                   (long long)done->duplicates);
}

cohort_status cohort_import_csv(cohort_context *context, const cohort_import_csv_options *options,
                                cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_arena *arena;
  co_import_csv_result done;
  co_dataset *dataset = NULL;
  co_status status = co_arena_create(&arena, context->ctx);
  if (status == CO_OK)
    status = co_table_import(&done, context, arena, options, NULL, &dataset, NULL, &(*out)->errors);
  if (status == CO_OK && done.up_to_date)
    status = co_dataset_open(&dataset, context->ctx, options->output);
  if (status == CO_OK && options->output)
    co_table_import_report(*out, options->output, &done, dataset);
  co_dataset_close(dataset);
  if (status == CO_OK && !options->output) {
    co_json_key(&(*out)->json, "schema");
    co_json_string(&(*out)->json, done.schema);
    co_text_append(&(*out)->text, done.schema, strlen(done.schema));
  }
  co_arena_free(arena);
  return co_result_finish(*out, "import", status);
}
