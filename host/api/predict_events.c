// SPDX-License-Identifier: Apache-2.0
// Scoring an event log: the events before a time become temporary datasets beside the output, by the
// recipes and with the categories of the models, which are scored as any others and removed.
#include <stdio.h>
#include <string.h>

#include "datasets/cell.h"
#include "datasets/dictionary.h"
#include "datasets/import_items.h"
#include "datasets/spool.h"
#include "host/api/events.h"
#include "host/core/file.h"
#include "host/output/sink.h"

static void forward_progress(void *user, const char *what, int64_t done, int64_t total) {
  co_watch_progress(&((cohort_context *)user)->watch, what, "bytes", done, total, NULL);
}

co_status co_events_no_recipe(const char *model) {
  co_status status =
      co_fail_at(CO_ERR_MODEL, model, 0, 0, "the model was not trained on an imported event log");
  co_hint("score a dataset.h5 with --dataset");
  return status;
}

bool co_events_samples_of_time(const co_recipe *recipe) {
  const co_recipe_samples *samples = &recipe->samples;
  return recipe->events && samples->as_of && !strchr(samples->as_of, '.') &&
         strcmp(samples->entity, recipe->events->entity) == 0;
}

// A model of samples has a log, too, but its rows are those of a table, each as of its own date; where that is its
// own column, predict_table.c makes such rows of one time.
static co_status check_whom(const co_event_scoring *s, const char *model,
                            co_diagnostics *problems) {
  co_model_file file;
  co_recipe recipe = {0};
  CO_RETURN_IF_FAILED(co_model_file_read(&file, s->arena, model));
  if (!file.recipe ||
      co_table_parse_schema(&recipe, "recipe", file.recipe, s->arena, problems) != CO_OK ||
      !recipe.events)
    return co_events_no_recipe(model);
  if (co_events_samples_of_time(&recipe)) return CO_OK;
  co_status status =
      co_fail(CO_ERR_USAGE, "the model scores the rows of table '%.200s': %s does not go with it",
              recipe.table, s->options.as_of ? "--as-of" : "--population");
  co_hint("whom, and as of when, its rows say: --source %s=FILE --source %s=FILE", recipe.table,
          CO_EVENTS_LOG);
  return status;
}

static bool is_of_events(const co_model_file *file) {
  return file->recipe && strncmp(file->recipe, "events:", 7) == 0;
}

static co_status parse_recipe(co_event_recipe *out, const co_model_file *file, co_arena *arena,
                              co_diagnostics *problems) {
  co_node *root = NULL;
  co_event_files files; // of a recipe, where they are said
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&root, arena, "recipe", file->recipe, strlen(file->recipe), problems));
  CO_RETURN_IF_FAILED(
      co_event_recipe_parse(out, &files, co_node_get(root, "events"), arena, problems));
  if (!problems->count) return CO_OK;
  return co_fail_at(CO_ERR_MODEL, file->path, 0, 0, "its recipe of events cannot be read: %s",
                    problems->item[0].message);
}

// ---- population --------------------------------------------------------------------------------

static co_status take_keys(co_dictionary *keys, const co_rows *rows, const co_row_part *part,
                           int64_t column, int64_t width) {
  for (int64_t i = 0; i < part->count; i++) {
    const co_cell cell = co_cell_trim(&part->cells[i * width + column], NULL);
    int64_t repeated;
    if (co_cell_is_missing(&cell))
      return co_rows_wrong(rows, &part->places[i], column, "the key is missing");
    CO_RETURN_IF_FAILED(
        co_dictionary_add(keys, cell.text, cell.length, part->places[i].row, &repeated));
    if (repeated)
      return co_rows_wrong(rows, &part->places[i], column, "'%.*s' stands in row %lld already",
                           (int)(cell.length < 40 ? cell.length : 40), cell.text,
                           (long long)repeated);
  }
  return part->bad_count ? co_rows_raise(rows, &part->bad[0]) : CO_OK;
}

static co_status lacks_entity(const co_rows *rows, const char *entity) {
  char names[300];
  size_t used = 0;
  for (int64_t i = 0; i < rows->column_count && used < sizeof names; i++)
    used +=
        (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", rows->names[i]);
  co_status status =
      co_fail_at(CO_ERR_DATA, rows->shown, 0, 0, "there is no column '%.200s'", entity);
  co_hint("call the column of keys so, as the model's log does; it has: %s", names);
  return status;
}

static co_status read_keys(co_dictionary *keys, co_rows *rows, const char *entity) {
  co_row_block block;
  int64_t column = co_rows_find(rows, entity);
  if (column < 0) return lacks_entity(rows, entity);
  for (;;) {
    CO_RETURN_IF_FAILED(co_rows_next(rows, &block));
    if (!block.part_count) return CO_OK;
    for (int64_t i = 0; i < block.part_count; i++)
      CO_RETURN_IF_FAILED(take_keys(keys, rows, &block.parts[i], column, rows->column_count));
  }
}

co_status co_events_population(const char *const **out, int64_t *count, co_context *ctx,
                               co_arena *arena, const char *path, const char *entity) {
  co_rows *rows = NULL;
  co_dictionary keys = {0};
  co_rows_options options = {.unhashed = true};
  co_status status = CO_OK;
  CO_TRY(co_dictionary_create(&keys, ctx));
  CO_TRY(co_rows_open(&rows, ctx, path, &options));
  CO_TRY(read_keys(&keys, rows, entity));
  const char **texts = co_arena_alloc(arena, (size_t)keys.count + 1, sizeof *texts);
  status = texts ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < keys.count; i++)
    if (!(texts[i] = co_arena_strdup(arena, keys.words[i].text))) status = CO_ERR_MEMORY;
  *out = texts;
  *count = keys.count;
  if (status == CO_OK && !keys.count)
    status = co_fail_at(CO_ERR_DATA, path, 0, 0, "there is no row");
cleanup:
  co_rows_close(rows);
  co_dictionary_free(&keys);
  return status;
}

// ---- models ------------------------------------------------------------------------------------

static bool same_text(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

// Rows are told by their entities: what decides which there are has to be the same.
static co_status check_alike(const co_event_scoring *s, const co_event_reading *r) {
  const co_event_recipe *first = &s->readings[0].recipe, *own = &r->recipe;
  const char *differs = NULL;
  if (!same_text(first->where, own->where)) differs = "--where";
  if (!same_text(first->time, own->time)) differs = "--time";
  if (s->options.population) differs = NULL; // which says it
  if (!same_text(first->entity, own->entity)) differs = "--entity";
  if (!differs) return CO_OK;
  co_status status =
      co_fail_at(CO_ERR_MODEL, r->file.path, 0, 0,
                 "its log was imported with another %s than that of %s: other rows are scored",
                 differs, s->readings[0].file.path);
  if (same_text(first->entity, own->entity))
    co_hint("--population FILE says whom both score");
  else
    co_hint("score one after the other");
  return status;
}

static bool has_input(const co_model_file *file, const char *type) {
  const co_node *inputs = co_node_get(file->config, "input_features");
  for (int64_t i = 0; inputs && i < inputs->count; i++) {
    const co_node *node = co_node_get(inputs->items[i], "type");
    if (node && node->kind == CO_NODE_SCALAR && strcmp(node->text, type) == 0) return true;
  }
  return false;
}

// The target whose classes are scored by what the table of items says; NULL = none.
static const char *catalogue_of(const co_model_file *file) {
  const co_node *outputs = co_node_get(file->config, "output_features");
  for (int64_t i = 0; outputs && i < outputs->count; i++) {
    const co_node *decoder = co_node_get(outputs->items[i], "decoder");
    const co_node *type = decoder ? co_node_get(decoder, "type") : NULL;
    const co_node *name = co_node_get(outputs->items[i], "name");
    if (type && type->kind == CO_NODE_SCALAR && strcmp(type->text, "catalogue") == 0 && name)
      return name->text;
  }
  return NULL;
}

// Whether its new items are classes: it scores them, or knows them by what they look like or say, and no output
// chooses from them.
static bool has_members(const co_event_recipe *recipe, const co_model_file *file) {
  if (catalogue_of(file)) return recipe->items != NULL;
  return ((recipe->items_picture && has_input(file, "event_image")) ||
          (recipe->items_text && has_input(file, "event_text"))) &&
         !co_schema_find(&file->schema, "next_item");
}

// Models share a reading of equal columns, where both or neither are told of new items.
static co_status add_reading(co_event_scoring *s, const co_model_file *file, int64_t *at,
                             co_diagnostics *problems) {
  co_event_reading *r = &s->readings[s->count];
  r->file = *file;
  CO_RETURN_IF_FAILED(parse_recipe(&r->recipe, file, s->arena, problems));
  for (*at = 0; *at < s->count; ++*at)
    if (co_table_same_columns(&s->readings[*at].file, file) &&
        has_members(&s->readings[*at].recipe, &s->readings[*at].file) ==
            has_members(&r->recipe, &r->file) &&
        !catalogue_of(&s->readings[*at].file) == !catalogue_of(file))
      return CO_OK;
  s->count++;
  return check_alike(s, r);
}

// *of_events: whether there is a log; else sources are tables.
static co_status read_models(co_event_scoring *s, co_model_list *list, bool *of_events,
                             co_diagnostics *problems) {
  int64_t *dataset_of = co_arena_alloc(s->arena, (size_t)list->count, sizeof *dataset_of);
  s->readings = co_arena_alloc(s->arena, (size_t)list->count, sizeof *s->readings);
  if (!dataset_of || !s->readings) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < list->count; i++) {
    co_model_file file;
    CO_RETURN_IF_FAILED(co_model_file_read(&file, s->arena, list->paths[i]));
    if (!i) *of_events = is_of_events(&file);
    if (is_of_events(&file) != *of_events)
      return co_events_no_recipe(*of_events ? list->paths[i] : list->paths[0]);
    if (*of_events) CO_RETURN_IF_FAILED(add_reading(s, &file, &dataset_of[i], problems));
  }
  if (*of_events) list->dataset_of = dataset_of;
  return CO_OK;
}

// ---- scoring -----------------------------------------------------------------------------------

// What "NAME=FILE" of the sources says of a name; NULL = nothing.
static const char *source_of(const cohort_predict_options *o, const char *name) {
  const size_t length = strlen(name);
  for (int64_t i = 0; i < o->source_count; i++)
    if (strncmp(o->sources[i], name, length) == 0 && o->sources[i][length] == '=' &&
        o->sources[i][length + 1])
      return o->sources[i] + length + 1;
  return NULL;
}

// The table of items that a model reads; NULL = none.
static const char *items_of(const co_event_recipe *recipe, const co_model_file *file) {
  return co_items_needed(recipe, &file->schema) || has_members(recipe, file) ? recipe->items : NULL;
}

// A source that is neither the log nor a model's table of items; NULL = there is none.
static const char *other_source(const co_event_scoring *s, const cohort_predict_options *o) {
  for (int64_t i = 0; i < o->source_count; i++) {
    const size_t length = strlen(CO_EVENTS_LOG);
    bool known = strncmp(o->sources[i], CO_EVENTS_LOG, length) == 0 && o->sources[i][length] == '=';
    for (int64_t k = 0; !known && k < s->count; k++) {
      const co_event_reading *r = &s->readings[k];
      const char *items = items_of(&r->recipe, &r->file),
                 *file = items ? source_of(o, items) : NULL;
      known = file && o->sources[i] + strlen(items) + 1 == file;
    }
    if (!known) return o->sources[i];
  }
  return NULL;
}

// What there may be.
static co_status refuse_source(const co_event_scoring *s, const char *source) {
  const char *items = NULL;
  for (int64_t i = 0; !items && i < s->count; i++)
    items = items_of(&s->readings[i].recipe, &s->readings[i].file);
  co_status status = co_fail(CO_ERR_USAGE, "--source %.200s: the model reads %s=FILE%s%.100s%s",
                             source, CO_EVENTS_LOG, items ? ", and may read " : "",
                             items ? items : "", items ? "=FILE" : ", no other");
  co_hint("--source events=LOG.csv --as-of 2011-09-01");
  return status;
}

static co_status check(const co_event_scoring *s, const cohort_predict_options *o) {
  CO_RETURN_IF_FAILED(co_table_check_repeated(o->sources, o->source_count, true));
  const char *other = other_source(s, o);
  if (!source_of(o, CO_EVENTS_LOG) || other) return refuse_source(s, other ? other : o->sources[0]);
  if (o->dataset) return co_fail(CO_ERR_USAGE, "--source does not go with --dataset");
  if (o->split) return co_fail(CO_ERR_USAGE, "--split is for a dataset.h5; a log has none");
  if (o->key) return co_fail(CO_ERR_USAGE, "--key is for a raw table; a log has its entities");
  if (o->as_of) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--source events=… needs --as-of T");
  co_hint("events before it count: --as-of 2011-09-01; the clock is never asked");
  return status;
}

co_status co_events_find_items(co_import_events_options *options, const co_event_recipe *recipe,
                               const co_model_file *file, const co_event_items *given,
                               co_context *ctx, co_arena *arena) {
  const char *name = items_of(recipe, file), *text = NULL;
  if (!name) return CO_OK;
  options->items_path = given->path;
  options->items_shown = given->shown;
  if (given->path) {
    options->newcomers = true;
    options->members = given->members && has_members(recipe, file);
    options->target = options->members ? catalogue_of(file) : NULL;
    CO_RETURN_IF_FAILED(co_events_item_rows(&options->item_rows, &options->rows, recipe->item,
                                            recipe->items_key, arena));
    if (co_rows_is_database(given->path)) options->item_rows.table = name;
    return CO_OK;
  }
  if (!co_items_needed(recipe, &file->schema)) return CO_OK;
  for (int64_t i = 0; i < file->carried_count; i++)
    if (strcmp(file->carried[i].name, name) == 0) text = file->carried[i].text;
  if (!text) {
    co_status status = co_fail_at(CO_ERR_MODEL, file->path, 0, 0, "it lacks its table '%s'", name);
    co_hint("--source %s=FILE gives it", name);
    return status;
  }
  CO_RETURN_IF_FAILED(co_spool_text(given->spooled, ctx, text, given->folder));
  options->items_path = given->spooled->temporary;
  options->items_shown = co_arena_format(arena, "table '%s' of the model", name);
  options->item_rows = (co_rows_options){.delimiter = ',', .decimal_comma = recipe->decimal_comma};
  return options->items_shown ? CO_OK : CO_ERR_MEMORY;
}

static co_status find_items(co_event_scoring *s, co_event_reading *r,
                            co_import_events_options *options) {
  const char *path = r->recipe.items ? source_of(&s->options, r->recipe.items) : NULL;
  const co_event_items given = {.path = path,
                                .shown = path,
                                .members = s->members,
                                .spooled = &r->items,
                                .folder = co_temporary_root(s->options.source.temporary_folder)};
  return co_events_find_items(options, &r->recipe, &r->file, &given, s->ctx, s->arena);
}

static co_status write_events(co_event_scoring *s, co_event_reading *r) {
  const cohort_predict_options *o = &s->options;
  const char *folder = co_temporary_root(o->source.temporary_folder);
  char *beside = co_sink_file(o->output)
                     ? co_arena_format(s->arena, "%s.rows", co_sink_file(o->output))
                     : co_arena_format(s->arena, "%s/cohort.rows", folder);
  if (!beside) return CO_ERR_MEMORY;
  co_import_events_options options = {.output = beside,
                                      .temporary = &r->dataset,
                                      .files = s->log.paths,
                                      .shown = s->log.shown,
                                      .file_count = s->log.count,
                                      .recipe = r->recipe,
                                      .sampling = CO_SAMPLE_AS_OF,
                                      .cutoffs = &s->as_of,
                                      .cutoff_count = 1,
                                      .schema = &r->file.schema,
                                      .population = s->population,
                                      .population_count = s->population_count,
                                      .progress = forward_progress,
                                      .progress_user = s->context,
                                      .stop = s->context->options.stop};
  options.rows.decimal_comma = r->recipe.decimal_comma; // as in training, unless the options say
  CO_RETURN_IF_FAILED(co_table_read_options(&options.rows, &o->source, s->arena));
  r->recipe.decimal_comma = options.recipe.decimal_comma = options.rows.decimal_comma;
  co_table_files_adapt(&options.rows, s->log.shown[0]);
  CO_RETURN_IF_FAILED(find_items(s, r, &options));
  co_status status = co_import_events(&r->result, s->ctx, s->arena, &options);
  co_watch_progress(&s->context->watch, "read", "bytes", -1, 0, NULL);
  return status;
}
// Of a log that grows meanwhile the datasets would be of other rows.
static co_status list_datasets(co_event_scoring *s, co_model_list *list) {
  const char **paths = co_arena_alloc(s->arena, (size_t)s->count, sizeof *paths);
  const co_new_classes **classes = co_arena_alloc(s->arena, (size_t)s->count, sizeof *classes);
  if (!paths || !classes) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->count; i++) {
    classes[i] = &s->readings[i].result.new_items;
    paths[i] = s->readings[i].dataset.temporary;
    if (strcmp(s->readings[i].result.source, s->readings[0].result.source) != 0)
      return co_fail_at(CO_ERR_DATA, s->log.shown[0], 0, 0, "it was changed while it was read");
  }
  list->datasets = paths;
  list->dataset_count = s->count;
  list->new_classes = classes;
  s->options.source_count = 0;
  s->options.dataset = paths[0];
  s->options.source =
      (cohort_source_options){.temporary_folder = s->options.source.temporary_folder};
  return CO_OK;
}

// Imports of logs make no sample of a customer without events: no model of theirs has learned of such.
static void tell_empty(const co_event_scoring *s) {
  const co_import_events_result *r = &s->readings[0].result;
  if (r->empty)
    co_log(s->ctx, CO_LOG_WARN, "events",
           "no history: %lld of %lld rows have no event before --as-of, %lld of them unknown keys; "
           "the training had no such row, so nothing tells how good their scores are",
           (long long)r->empty, (long long)s->population_count, (long long)r->unknown);
}

static co_status begin(co_event_scoring *s, co_model_list *list, co_diagnostics *problems) {
  const cohort_predict_options *o = &s->options;
  const char *const *logs;
  int64_t log_count;
  bool of_events = false;
  CO_RETURN_IF_FAILED(read_models(s, list, &of_events, problems));
  if (!of_events)
    return o->as_of || o->population ? check_whom(s, list->paths[0], problems) : CO_OK;
  CO_RETURN_IF_FAILED(check(s, o));
  CO_RETURN_IF_FAILED(co_table_list_sources(&logs, &log_count, o->sources, o->source_count,
                                            CO_EVENTS_LOG, s->arena));
  CO_RETURN_IF_FAILED(
      co_events_time(&s->as_of, "as-of", o->as_of, s->readings[0].recipe.time_format));
  if (o->population)
    CO_RETURN_IF_FAILED(co_events_population(&s->population, &s->population_count, s->ctx, s->arena,
                                             o->population, s->readings[0].recipe.entity));
  CO_RETURN_IF_FAILED(
      co_table_files_begin(&s->log, s->context, s->arena, logs, NULL, log_count, &o->source));
  for (int64_t i = 0; i < s->count; i++)
    CO_RETURN_IF_FAILED(write_events(s, &s->readings[i]));
  tell_empty(s);
  return list_datasets(s, list);
}

co_status co_event_scoring_begin(co_event_scoring *s, cohort_context *context,
                                 const cohort_predict_options *o, bool members,
                                 co_model_list *list) {
  *s = (co_event_scoring){
      .context = context, .ctx = context->ctx, .options = *o, .members = members};
  if (!o->model || !o->output) return CO_OK; // which scoring refuses
  if (!o->source_count) {
    const char *option = o->as_of ? "--as-of" : o->population ? "--population" : NULL;
    return option ? co_fail(CO_ERR_USAGE, "%s goes with --source events=FILE", option) : CO_OK;
  }
  co_diagnostics problems;
  co_diagnostics_init(&problems, s->ctx);
  co_status status = co_arena_create(&s->arena, s->ctx);
  if (status == CO_OK) status = begin(s, list, &problems);
  co_diagnostics_free(&problems);
  return status;
}

// What is told of the log is the first model's.
void co_event_scoring_report(const co_event_scoring *s, co_json *json, co_text *text) {
  if (!s->count) return;
  const co_import_events_result *result = &s->readings[0].result;
  co_json_key(json, "events");
  co_json_int(json, result->events);
  co_json_key(json, "unseen_items");
  co_json_int(json, result->unseen);
  co_json_key(json, "new_items");
  co_json_int(json, result->newcomers);
  if ((!result->unseen && !result->new_items.target) || strcmp(s->options.output, "-") == 0) return;
  co_text_printf(text, "%lld of %lld events are of items unknown to the model",
                 (long long)result->unseen, (long long)result->events);
  if (result->newcomers)
    co_text_printf(text,
                   result->new_items.target ? "; %lld items of the table are new, and scored, too"
                                            : "; the table of items tells of %lld of these items",
                   (long long)result->newcomers);
  co_text_printf(text, "\n");
}

void co_event_scoring_end(co_event_scoring *s) {
  co_error error;
  co_error_copy(&error);
  for (int64_t i = 0; i < s->count; i++)
    co_atomic_abort(&s->readings[i].dataset);
  for (int64_t i = 0; i < s->count; i++)
    co_atomic_abort(&s->readings[i].items);
  co_table_files_end(&s->log);
  co_arena_free(s->arena);
  if (error.status != CO_OK) co_error_raise(&error);
}
