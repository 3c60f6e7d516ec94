// SPDX-License-Identifier: Apache-2.0
// Scoring a raw table: its rows become temporary datasets beside the output, by the models' own columns
// and categories, which are scored as any others and removed.
#include <stdlib.h>
#include <string.h>

#include "datasets/date.h"
#include "datasets/joined.h"
#include "datasets/raw_rows.h"
#include "datasets/spool.h"
#include "host/api/events.h"
#include "host/api/table.h"
#include "host/core/file.h"
#include "host/output/sink.h"

static void forward_progress(void *user, const char *what, int64_t done, int64_t total) {
  co_watch_progress(&((cohort_context *)user)->watch, what, "bytes", done, total, NULL);
}

enum { PART_BYTES = 24 << 20 };

// What models of the same columns read.
typedef struct co_scored_table {
  co_model_file file; // of the first of them
  co_recipe recipe;
  int64_t
      joined; // of the files those of its recipe's joins, from here on; then its items', and the log's
  co_import_events_options events; // where the recipe has some
} co_scored_table;

static bool is_of_log(const co_model_file *file) {
  return file->recipe && strncmp(file->recipe, "events:", 7) == 0;
}

// What the model was trained on may come from elsewhere, with a note of another kind; but without one no
// source has a name.
static co_status read_recipe(co_table_scoring *t, const co_model_file *file, bool has_sources,
                             co_recipe *out) {
  *out = (co_recipe){0};
  if (!file->recipe || is_of_log(file)) return CO_OK;
  co_diagnostics problems;
  co_diagnostics_init(&problems, t->ctx);
  co_status status = co_table_parse_schema(out, "recipe", file->recipe, t->arena, &problems);
  co_diagnostics_free(&problems);
  if (status == CO_OK || status == CO_ERR_MEMORY) return status;
  *out = (co_recipe){0};
  co_error error;
  co_error_copy(&error);
  if (has_sources)
    return co_fail_at(CO_ERR_MODEL, file->path, 0, 0, "its recipe for raw rows cannot be read: %s",
                      error.message);
  co_log(t->ctx, CO_LOG_WARN, "predict", "the model's recipe for raw rows cannot be read: %s",
         error.message);
  co_error_clear();
  return CO_OK;
}

static co_status lacks_key_file(const char *column, const char *what) {
  return co_fail(CO_ERR_USAGE,
                 "the model's %s '%.200s' was pseudonymized in training: --key-file FILE is needed",
                 what, column);
}

// An input that was hashed in training means nothing unless it is hashed now, nor do the keys of a
// joined table. A key of rows may stay as it is.
static co_status check_pseudonyms(const co_recipe *recipe, const co_schema *schema) {
  const co_rows_options *rows = &recipe->rows;
  for (int64_t i = 0; !rows->pseudonym && i < rows->pseudonymized_count; i++) {
    const char *name = rows->pseudonymized[i];
    const co_column *column = co_schema_find(schema, name);
    if (column && column->role == CO_ROLE_INPUT) return lacks_key_file(name, "input");
    for (int64_t k = 0; k < recipe->join_count; k++)
      for (int64_t c = 0; c < recipe->joins[k].table.key_count; c++)
        if (recipe->joins[k].to < 0 && strcmp(recipe->joins[k].on[c], name) == 0)
          return lacks_key_file(name, "join by");
  }
  for (int64_t k = 0; !rows->pseudonym && k < recipe->join_count; k++)
    if (recipe->joins[k].table.rows.pseudonymized_count)
      return lacks_key_file(recipe->joins[k].table.table, "joined table");
  return CO_OK;
}

// Columns are found by their names, and the rows may lie elsewhere than those of the training.
static void forget_place(co_recipe *recipe) {
  recipe->file = NULL;
  recipe->log_count = 0;
  recipe->rows.delimiter = 0;
}

// ---- sources -----------------------------------------------------------------------------------

static bool same_text(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static void forget_query(co_recipe *recipe, const char *path) {
  if (path && !co_rows_is_database(path)) recipe->rows.table = recipe->rows.query = NULL;
}

static bool has_table(const co_recipe *recipe, const char *source) {
  size_t length = strcspn(source, "=");
  for (int64_t i = -1; i < recipe->join_count; i++) {
    const char *name = i < 0 ? recipe->table : recipe->joins[i].table.table;
    if (name && strlen(name) == length && strncmp(name, source, length) == 0) return true;
  }
  const char *log[] = {recipe->events ? CO_EVENTS_LOG : NULL,
                       recipe->items ? recipe->items->joins[0].table.table : NULL};
  for (int i = 0; i < 2; i++)
    if (log[i] && length == strlen(log[i]) && strncmp(log[i], source, length) == 0) return true;
  return false;
}

// Of several models, that a source is another's alone.
static bool is_of_others(const co_table_scoring *t, const co_recipe *recipe, const char *source) {
  for (int64_t i = 0; i < t->table_count; i++)
    if (has_table(&t->tables[i].recipe, source)) return !has_table(recipe, source);
  return false; // who is told it says so
}

static co_status read_joins(co_table_scoring *t, const cohort_predict_options *o,
                            co_recipe *recipe) {
  const char **sources = co_arena_alloc(t->arena, (size_t)o->source_count + 1, sizeof *sources);
  cohort_tables given = {.sources = sources};
  if (!sources) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < o->source_count; i++)
    if (!is_of_others(t, recipe, o->sources[i])) sources[given.source_count++] = o->sources[i];
  forget_place(recipe);
  for (int64_t i = 0; i < recipe->join_count; i++)
    forget_place(&recipe->joins[i].table);
  if (recipe->items) forget_place(&recipe->items->joins[0].table);
  CO_RETURN_IF_FAILED(co_table_read_joins(recipe, &given, t->arena));
  co_table_name_sources(recipe);
  return CO_OK;
}

// What tables are read from, and what of it: the first, then those joined to it for each of the recipes, NULL
// where one is not given. What is read once only is taken once: it is the `same` as the file before.
typedef struct co_listed_sources {
  const char **paths;
  const co_rows_options **rows;
  int64_t *same, count;
} co_listed_sources;

static bool is_same_source(const co_listed_sources *l, int64_t at, const co_recipe *table) {
  return !l->same[at] && l->paths[at] && strcmp(l->paths[at], table->file) == 0 && l->rows[at] &&
         same_text(l->rows[at]->table, table->rows.table) &&
         same_text(l->rows[at]->query, table->rows.query);
}

static void add_source(co_listed_sources *l, const co_recipe *table) {
  int64_t before = 1;
  while (table->file && before < l->count && !is_same_source(l, before, table))
    before++;
  const bool repeated = table->file && before < l->count;
  l->same[l->count] = repeated ? before : 0;
  l->rows[l->count] = &table->rows;
  l->paths[l->count++] = repeated ? NULL : table->file;
}

static co_status list_sources(co_table_scoring *t, const cohort_predict_options *o,
                              co_listed_sources *l) {
  int64_t most = 1;
  for (int64_t k = 0; k < t->table_count; k++) {
    CO_RETURN_IF_FAILED(read_joins(t, o, &t->tables[k].recipe));
    t->tables[k].joined = most;
    most += t->tables[k].recipe.join_count + 1 + t->tables[k].recipe.log_count;
  }
  *l = (co_listed_sources){.paths = co_arena_alloc(t->arena, (size_t)most, sizeof *l->paths),
                           .rows = co_arena_alloc(t->arena, (size_t)most, sizeof *l->rows),
                           .same = co_arena_alloc(t->arena, (size_t)most, sizeof *l->same),
                           .count = 1};
  if (!l->paths || !l->rows || !l->same) return CO_ERR_MEMORY;
  const co_recipe *first = &t->tables[0].recipe;
  l->paths[0] = o->dataset ? o->dataset : first->file;
  if (!l->paths[0] && !o->as_of) return co_table_no_source(first, first->table);
  for (int64_t k = 0; k < t->table_count; k++) {
    for (int64_t i = 0; i < t->tables[k].recipe.join_count; i++)
      add_source(l, &t->tables[k].recipe.joins[i].table);
    static const co_recipe none;
    const co_recipe *recipe = &t->tables[k].recipe;
    add_source(l, recipe->items ? &recipe->items->joins[0].table : &none);
    for (int64_t i = 0; i < recipe->log_count; i++) {
      const co_recipe log = {.file = recipe->logs[i]};
      add_source(l, &log);
      l->rows[l->count - 1] = NULL;
    }
    if (recipe->events && !recipe->log_count) return co_table_no_source(recipe, CO_EVENTS_LOG);
  }
  return CO_OK;
}

// ---- samples of one time -----------------------------------------------------------------------

static co_status other_rows(const co_table_scoring *t, const co_scored_table *other) {
  co_status status = co_fail_at(CO_ERR_MODEL, other->file.path, 0, 0,
                                "its log was imported in another way than that of %s: other rows "
                                "are scored",
                                t->tables[0].file.path);
  co_hint("score one after the other");
  return status;
}

// Whether samples of the models can be made of one time.
static co_status check_as_of(const co_table_scoring *t, const cohort_predict_options *o) {
  const co_recipe *first = &t->tables[0].recipe;
  co_status status = CO_OK;
  if (!o->as_of && !o->population) return CO_OK;
  for (int64_t i = 0; i < t->table_count; i++) {
    const co_recipe *own = &t->tables[i].recipe;
    if (!co_events_samples_of_time(own)) return co_events_no_recipe(t->tables[i].file.path);
    if (strcmp(own->samples.entity, first->samples.entity) != 0 ||
        !same_text(own->events->time, first->events->time) ||
        !same_text(own->events->where, first->events->where))
      return other_rows(t, &t->tables[i]);
  }
  if (!o->as_of) {
    status = co_fail(CO_ERR_USAGE, "--population needs --as-of T");
    co_hint("events before it count: --as-of 2011-09-01");
  } else if (o->dataset || first->file) {
    status = co_fail(CO_ERR_USAGE, "--as-of does not go with a table of samples, which have dates");
    co_hint("leave out --as-of; or the samples: then those are scored who have events before it");
  } else if (o->source.encoding || o->source.no_quotes) {
    status = co_fail(CO_ERR_USAGE, "--encoding and --no-quotes do not go with --as-of here");
    co_hint("the model knows how its log is written");
  }
  return status;
}

static co_status print_population(co_table_scoring *t, const cohort_predict_options *o,
                                  int64_t as_of, co_text *out) {
  const char *entity = t->tables[0].recipe.samples.entity, *const * names;
  int64_t count;
  char at[32];
  CO_RETURN_IF_FAILED(
      co_events_population(&names, &count, t->ctx, t->arena, o->population, entity));
  co_date_print((double)as_of, at, sizeof at);
  co_joined_print_cell(out, entity, strlen(entity), false);
  co_text_printf(out, "%s\n", CO_SAMPLES_TIME);
  for (int64_t i = 0; i < count; i++) {
    co_joined_print_cell(out, names[i], strlen(names[i]), false);
    co_text_printf(out, "%s\n", at);
  }
  return out->status;
}

static co_status list_entities(co_table_scoring *t, const cohort_predict_options *o,
                               const int64_t *as_of, const char *beside, co_text *out) {
  const co_scored_table *first = &t->tables[0];
  const int64_t log = first->joined + first->recipe.join_count + 1;
  co_import_events_options options = {
      .output = beside,
      .files = t->files.paths + log,
      .shown = t->files.shown + log,
      .file_count = first->recipe.log_count,
      .rows = {.encoding = first->recipe.events->encoding,
               .decimal_comma = first->recipe.events->decimal_comma},
      .recipe = *first->recipe.events,
      .sampling = CO_SAMPLE_AS_OF,
      .cutoffs = as_of,
      .cutoff_count = 1,
      .listed = out,
      .temporary_folder = co_temporary_root(o->source.temporary_folder),
      .progress = forward_progress,
      .progress_user = t->context,
      .stop = t->context->options.stop};
  co_import_events_result done;
  options.recipe.column_count = 0;
  return co_import_events(&done, t->ctx, t->arena, &options);
}

// The table of samples: those of the population, else all who have events before the time.
static co_status make_samples(co_table_scoring *t, const cohort_predict_options *o,
                              const char *beside) {
  int64_t as_of;
  co_text text;
  if (!o->as_of) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_events_time(&as_of, "as-of", o->as_of, t->tables[0].recipe.events->time_format));
  co_text_init(&text, t->ctx);
  co_status status = o->population ? print_population(t, o, as_of, &text)
                                   : list_entities(t, o, &as_of, beside, &text);
  if (status == CO_OK)
    status = co_spool_text(&t->files.spooled[0], t->ctx, text.data,
                           co_temporary_root(o->source.temporary_folder));
  co_text_free(&text);
  t->files.paths[0] = t->files.spooled[0].temporary;
  t->files.shown[0] = o->population ? o->population : "samples of --as-of";
  for (int64_t i = 0; i < t->table_count; i++) {
    co_recipe *own = &t->tables[i].recipe;
    own->samples.as_of = CO_SAMPLES_TIME;
    own->rows.header = NULL;
    own->rows.header_count = own->rows.skip_lines = 0;
  }
  return status;
}

static co_status find_sources(co_table_scoring *t, const cohort_predict_options *o) {
  co_listed_sources l;
  CO_RETURN_IF_FAILED(list_sources(t, o, &l));
  CO_RETURN_IF_FAILED(check_as_of(t, o));
  CO_RETURN_IF_FAILED(
      co_table_files_begin(&t->files, t->context, t->arena, l.paths, l.rows, l.count, &o->source));
  for (int64_t i = 0; i < l.count; i++) {
    if (!l.same[i]) continue;
    t->files.paths[i] = t->files.paths[l.same[i]];
    t->files.shown[i] = t->files.shown[l.same[i]];
  }
  // What is looked into lies in a file by now: a pipe is read once.
  for (int64_t k = 0; k < t->table_count; k++) {
    co_scored_table *table = &t->tables[k];
    forget_query(&table->recipe, t->files.paths[0]);
    for (int64_t i = 0; i < table->recipe.join_count; i++) {
      co_recipe *joined = &table->recipe.joins[i].table;
      forget_query(joined, t->files.paths[table->joined + i]);
      co_table_files_adapt(&joined->rows, joined->file);
    }
  }
  return CO_OK;
}

// Joined tables that are not given, but are in the model: as it has them.
static co_status take_carried(co_table_scoring *t, const cohort_source_options *o,
                              co_scored_table *scored) {
  const char *folder = co_temporary_root(o->temporary_folder);
  const co_model_file *file = &scored->file;
  for (int64_t i = 0; i < scored->recipe.join_count; i++) {
    co_recipe *table = &scored->recipe.joins[i].table;
    const char *text = NULL;
    int64_t at = scored->joined + i;
    for (int64_t k = 0; k < file->carried_count; k++)
      if (strcmp(file->carried[k].name, table->table) == 0) text = file->carried[k].text;
    if (t->files.paths[at] || !text) continue;
    CO_RETURN_IF_FAILED(co_spool_text(&t->files.spooled[at], t->ctx, text, folder));
    t->files.paths[at] = t->files.spooled[at].temporary;
    t->files.shown[at] = co_arena_format(t->arena, "table '%s' of the model", table->table);
    if (!t->files.shown[at]) return CO_ERR_MEMORY;
    table->rows = (co_rows_options){.delimiter = ',', .decimal_comma = table->rows.decimal_comma};
  }
  return CO_OK;
}

// Which rows are of which split, as the model was told.
static co_status find_split(co_table_scoring *t, const co_model_file *file, const char *wanted,
                            const co_split_rule **out) {
  *out = NULL;
  if (!t->measured || (wanted && strcmp(wanted, "all") == 0)) return CO_OK;
  char *rule = NULL;
  if (file->split) t->seed = strtoull(file->split, &rule, 10);
  if (!rule || *rule != ' ') {
    co_status status = co_fail_at(CO_ERR_DATA, file->path, 0, 0,
                                  "the model does not know how rows of a table were split");
    co_hint("--split all measures all rows; a dataset.h5 has its own splits");
    return status;
  }
  *out = &t->rule;
  return co_split_rule_parse(&t->rule, t->arena, rule + 1);
}

// ---- models ------------------------------------------------------------------------------------

bool co_table_same_columns(const co_model_file *a, const co_model_file *b) {
  bool same = a->schema.column_count == b->schema.column_count && same_text(a->recipe, b->recipe) &&
              a->carried_count == b->carried_count;
  for (int64_t i = 0; same && i < a->schema.column_count; i++) {
    const co_column *x = &a->schema.columns[i], *y = &b->schema.columns[i];
    same = strcmp(x->name, y->name) == 0 && x->type == y->type && x->role == y->role &&
           x->category_count == y->category_count && x->described == y->described &&
           co_shape_equal(&x->picture, &y->picture);
    for (int64_t k = 0; same && k < x->category_count; k++)
      same = strcmp(x->categories[k], y->categories[k]) == 0;
  }
  for (int64_t i = 0; same && i < a->carried_count; i++)
    same = same_text(a->carried[i].name, b->carried[i].name) &&
           same_text(a->carried[i].text, b->carried[i].text);
  return same;
}

static co_status read_models(co_table_scoring *t, bool has_sources, co_model_list *list) {
  int64_t *dataset_of = co_arena_alloc(t->arena, (size_t)list->count, sizeof *dataset_of);
  t->tables = co_arena_alloc(t->arena, (size_t)list->count, sizeof *t->tables);
  if (!dataset_of || !t->tables) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < list->count; i++) {
    co_scored_table *next = &t->tables[t->table_count];
    int64_t at = 0;
    CO_RETURN_IF_FAILED(co_model_file_read(&next->file, t->arena, list->paths[i]));
    while (at < t->table_count && !co_table_same_columns(&t->tables[at].file, &next->file))
      at++;
    dataset_of[i] = at;
    if (at < t->table_count) continue;
    CO_RETURN_IF_FAILED(read_recipe(t, &next->file, has_sources, &next->recipe));
    t->table_count++;
  }
  list->dataset_of = dataset_of;
  return CO_OK;
}

// The rows are read once, in the first model's way: what others would replace in them has to be the same.
static co_status check_rows_alike(const co_table_scoring *t, const co_model_list *list) {
  const co_rows_options *first = &t->tables[0].recipe.rows;
  for (int64_t k = 1; k < t->table_count; k++) {
    const co_rows_options *rows = &t->tables[k].recipe.rows;
    bool same = first->pseudonymized_count == rows->pseudonymized_count;
    for (int64_t i = 0; same && i < rows->pseudonymized_count; i++)
      same = strcmp(first->pseudonymized[i], rows->pseudonymized[i]) == 0;
    if (same) continue;
    int64_t model = 0;
    while (list->dataset_of[model] != k)
      model++;
    return co_fail_at(
        CO_ERR_MODEL, list->paths[model], 0, 0,
        "other columns are pseudonyms than in %s: the models cannot read rows together",
        list->paths[0]);
  }
  return CO_OK;
}

// The log that samples see, and the table of its items.
static co_status begin_log(co_table_scoring *t, const cohort_source_options *o,
                           co_scored_table *table) {
  const int64_t at = table->joined + table->recipe.join_count;
  if (!table->recipe.events) return CO_OK;
  table->events = (co_import_events_options){.files = t->files.paths + at + 1,
                                             .shown = t->files.shown + at + 1,
                                             .file_count = table->recipe.log_count,
                                             .rows = co_table_log_rows(&table->recipe),
                                             .progress = forward_progress,
                                             .progress_user = t->context,
                                             .stop = t->context->options.stop};
  const co_event_items given = {.path = t->files.paths[at],
                                .shown = t->files.shown[at],
                                .members = t->members,
                                .spooled = &t->files.spooled[at],
                                .folder = co_temporary_root(o->temporary_folder)};
  return co_events_find_items(&table->events, table->recipe.events, &table->file, &given, t->ctx,
                              t->arena);
}

static co_status prepare_table(co_table_scoring *t, const cohort_predict_options *o,
                               co_scored_table *table) {
  co_recipe *recipe = &table->recipe;
  CO_RETURN_IF_FAILED(co_table_read_options(&recipe->rows, &o->source, t->arena));
  CO_RETURN_IF_FAILED(co_table_share_decimal(recipe, &o->source, t->arena));
  co_table_files_adapt(&recipe->rows, o->dataset ? o->dataset : recipe->file);
  CO_RETURN_IF_FAILED(co_table_share_pseudonyms(recipe, t->arena));
  CO_RETURN_IF_FAILED(take_carried(t, &o->source, table));
  CO_RETURN_IF_FAILED(begin_log(t, &o->source, table));
  return check_pseudonyms(recipe, &table->file.schema);
}

// Of a name of its own: the output's temporaries are another's to clean up.
static char *beside_output(const co_table_scoring *t, const cohort_predict_options *o) {
  const char *folder = o->temporary_folder, *output = co_sink_file(o->output);
  if (!folder && output) return co_arena_format(t->arena, "%s.rows", output);
  if (!folder) folder = o->source.temporary_folder;
  return co_arena_format(t->arena, "%s/cohort.rows", co_temporary_root(folder));
}

// ---- rows --------------------------------------------------------------------------------------

static co_status refuse_log(const co_model_file *file) {
  co_status status = co_fail(CO_ERR_USAGE, "a model of event logs is measured on a dataset.h5");
  if (is_of_log(file))
    co_hint("cohort import --events LOG --cutoff T makes one of other rows");
  else
    co_hint("cohort import --events LOG --samples FILE makes one of other rows");
  return status;
}

// Its own words would be of columns, which a log makes.
static void hint_at_log(const co_model_file *file, co_status status) {
  if (status == CO_ERR_DATA && is_of_log(file))
    co_hint("the model scores a log: --source events=LOG --as-of T");
}

// Of a table that is written again, so are they.
static bool replaces_rejects(const cohort_predict_options *o) {
  return o->force || o->if_exists || o->resume;
}

static co_status write_rows(co_table_scoring *t, cohort_context *context,
                            const cohort_predict_options *o, co_model_list *list) {
  const co_split_rule *split;
  CO_RETURN_IF_FAILED(read_models(t, o->source_count > 0, list));
  const co_model_file *file = &t->tables[0].file;
  if (t->measured && (t->tables[0].recipe.events || is_of_log(file))) return refuse_log(file);
  CO_RETURN_IF_FAILED(find_split(t, file, o->split, &split));
  CO_RETURN_IF_FAILED(co_reject_rule_parse(&t->reject, o->source.on_error, o->source.max_errors,
                                           CO_ON_ERROR_QUARANTINE));
  CO_RETURN_IF_FAILED(find_sources(t, o));
  co_raw_model *models = co_arena_alloc(t->arena, (size_t)t->table_count, sizeof *models);
  char *beside = beside_output(t, o);
  if (!models || !beside) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(make_samples(t, o, beside));
  for (int64_t i = 0; i < t->table_count; i++) {
    co_scored_table *table = &t->tables[i];
    CO_RETURN_IF_FAILED(prepare_table(t, o, table));
    models[i] = (co_raw_model){.schema = &table->file.schema,
                               .recipe = &table->recipe,
                               .joined = t->files.paths + table->joined,
                               .joined_shown = t->files.shown + table->joined,
                               .events = table->recipe.events ? &table->events : NULL};
  }
  CO_RETURN_IF_FAILED(check_rows_alike(t, list));
  const co_raw_rows_options request = {.path = t->files.paths[0],
                                       .shown = t->files.shown[0],
                                       .models = models,
                                       .model_count = t->table_count,
                                       .reject = t->reject,
                                       .rejects = co_sink_file(o->output),
                                       .reject_file = t->measured ? NULL : &t->reject_file,
                                       .replace_rejects = replaces_rejects(o),
                                       .output = beside,
                                       .parts = &t->parts,
                                       .part_bytes = t->measured ? 0 : PART_BYTES,
                                       .measured = t->measured,
                                       .split = split,
                                       .seed = t->seed,
                                       .passed = o->passthrough,
                                       .passed_count = o->passthrough_count,
                                       .key = o->key,
                                       .progress = forward_progress,
                                       .progress_user = context,
                                       .stop = context->options.stop};
  co_status status = co_raw_rows_write(&t->result, t->ctx, t->arena, &request);
  hint_at_log(file, status);
  list->new_classes = t->result.new_items;
  co_watch_progress(&context->watch, "read", "bytes", -1, 0, NULL);
  return status;
}

static co_status begin(co_table_scoring *t, cohort_context *context,
                       const cohort_predict_options *o, bool members, co_model_list *list) {
  bool measured = !list;
  *t = (co_table_scoring){.context = context,
                          .ctx = context->ctx,
                          .options = *o,
                          .members = members,
                          .measured = measured};
  if (!o->model || !o->output || (!o->dataset && !o->source_count))
    return CO_OK; // which scoring refuses
  if (o->dataset && o->source_count) return co_table_refuse_both();
  if (o->dataset && !co_table_is_raw(o->dataset, &o->source)) {
    const char *option = o->key ? "--key" : co_table_source_option(&o->source);
    return option ? co_table_refuse_option(option, o->dataset) : CO_OK;
  }
  CO_RETURN_IF_FAILED(co_arena_create(&t->arena, t->ctx));
  if (list) {
    CO_RETURN_IF_FAILED(write_rows(t, context, o, list));
  } else {
    char *found;
    const char *path;
    co_model_list one = {.paths = &path, .count = 1};
    CO_RETURN_IF_FAILED(co_model_file_find(&found, t->ctx, o->model));
    path = co_arena_strdup(t->arena, found); // the file's description keeps it
    co_free(t->ctx, found);
    CO_RETURN_IF_FAILED(path ? write_rows(t, context, o, &one) : CO_ERR_MEMORY);
  }
  t->options.dataset = t->parts.items[0].files[0].temporary;
  return CO_OK;
}

co_status co_table_scoring_begin(co_table_scoring *t, cohort_context *context,
                                 const cohort_predict_options *options, bool members,
                                 co_model_list *list) {
  return begin(t, context, options, members, list);
}

co_status co_table_measuring_begin(co_table_scoring *t, cohort_context *context,
                                   const cohort_predict_options *options) {
  return begin(t, context, options, false, NULL);
}

co_status co_table_scoring_reject(co_table_scoring *t, const co_raw_part *part, int64_t at,
                                  const char *key, const char *reason) {
  const char *output = co_sink_file(t->options.output);
  const co_row_place place = {.row = co_raw_part_row(part, at)};
  const co_cell cell = {key, key ? strlen(key) : 0};
  if (t->reject.on_error == CO_ON_ERROR_FAIL)
    return co_fail_at(CO_ERR_DATA, t->files.shown[0], 0, 0, "row %lld%s%s: %s",
                      (long long)place.row, key ? ", key " : "", key ? key : "", reason);
  if (!*t->first_reject)
    snprintf(t->first_reject, sizeof t->first_reject, "row %lld%s%.100s: %s", (long long)place.row,
             key ? ", key " : "", key ? key : "", reason);
  t->result.rejected++;
  t->result.rows--;
  if (t->reject.on_error == CO_ON_ERROR_SKIP || !output) return CO_OK;
  if (!t->reject_file)
    CO_RETURN_IF_FAILED(
        co_reject_file_begin(&t->reject_file, t->ctx, output, replaces_rejects(&t->options)));
  return co_reject_file_add(t->reject_file, t->files.shown[0], &place, key ? &cell : NULL, NULL,
                            reason);
}

co_status co_table_scoring_settle(co_table_scoring *t) {
  if (!t->arena) return CO_OK;
  CO_RETURN_IF_FAILED(co_reject_rule_check(&t->reject, t->files.shown[0], t->result.rows,
                                           t->result.rejected, t->first_reject));
  return co_reject_file_commit(t->reject_file);
}

// Of several models, of which each may know other values, the first counts.
static bool is_told_before(const co_raw_rows_result *result, int64_t column) {
  for (int64_t i = 0; i < column; i++)
    if (result->columns[i].unseen &&
        strcmp(result->columns[i].name, result->columns[column].name) == 0)
      return true;
  return false;
}

void co_table_scoring_report(const co_table_scoring *t, co_json *json, co_text *text) {
  int64_t columns = 0;
  if (!t->arena) return;
  co_json_key(json, "rejected");
  co_json_int(json, t->result.rejected);
  co_json_key(json, "unseen");
  co_json_open(json, '{');
  for (int64_t i = 0; i < t->result.column_count; i++) {
    const co_raw_rows_column *c = &t->result.columns[i];
    if (!c->unseen || is_told_before(&t->result, i)) continue;
    columns++;
    co_json_key(json, c->name);
    co_json_int(json, c->unseen);
  }
  co_json_close(json);
  if (t->result.rejected && strcmp(t->options.output, "-") != 0)
    co_text_printf(text, "%lld rows rejected\n", (long long)t->result.rejected);
  if (columns && strcmp(t->options.output, "-") != 0)
    co_text_printf(text, "values unknown to the model, taken as missing, in %lld columns\n",
                   (long long)columns);
}

void co_table_scoring_end(co_table_scoring *t) {
  co_error error;
  co_error_copy(&error);
  co_raw_parts_free(&t->parts);
  co_reject_file_free(t->reject_file);
  co_table_files_end(&t->files);
  co_arena_free(t->arena);
  if (error.status != CO_OK) co_error_raise(&error);
}
