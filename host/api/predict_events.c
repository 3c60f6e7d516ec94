// SPDX-License-Identifier: Apache-2.0
// Scoring an event log: the events before a time become a temporary dataset beside the output, by the
// recipe and with the categories of the model, which is scored as any other and removed.
#include <string.h>

#include "datasets/cell.h"
#include "datasets/dictionary.h"
#include "host/api/events.h"
#include "host/output/sink.h"

static void forward_progress(void *user, const char *what, int64_t done, int64_t total) {
  co_watch_progress(&((cohort_context *)user)->watch, what, "bytes", done, total, NULL);
}

typedef struct recipe_options {
  const char *entity, *time, *item, *basket, *amount, *where;
  const co_node *columns;
  bool rfm;
} recipe_options;

static const co_field recipe_fields[] = {
    {"entity", CO_FIELD_STRING, offsetof(recipe_options, entity), NULL, 0, 0, NULL, "", NULL},
    {"time", CO_FIELD_STRING, offsetof(recipe_options, time), NULL, 0, 0, NULL, "", NULL},
    {"item", CO_FIELD_STRING, offsetof(recipe_options, item), "null", 0, 0, NULL, "", NULL},
    {"basket", CO_FIELD_STRING, offsetof(recipe_options, basket), "null", 0, 0, NULL, "", NULL},
    {"amount", CO_FIELD_STRING, offsetof(recipe_options, amount), "null", 0, 0, NULL, "", NULL},
    {"where", CO_FIELD_STRING, offsetof(recipe_options, where), "null", 0, 0, NULL, "", NULL},
    {"columns", CO_FIELD_NODE, offsetof(recipe_options, columns), "null", 0, 0, NULL, "", NULL},
    {"rfm", CO_FIELD_BOOL, offsetof(recipe_options, rfm), "false", 0, 0, NULL, "", NULL},
    {.key = NULL}};

static co_status no_recipe(const char *model) {
  co_status status =
      co_fail_at(CO_ERR_MODEL, model, 0, 0, "the model was not trained on an imported event log");
  co_hint("score a dataset.h5 with --dataset");
  return status;
}

static co_status list_columns(co_event_recipe *out, const co_node *node, co_arena *arena) {
  if (!node || node->kind != CO_NODE_LIST) return CO_OK;
  const char **columns = co_arena_alloc(arena, (size_t)node->count + 1, sizeof *columns);
  if (!columns) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < node->count; i++)
    columns[i] = node->items[i]->kind == CO_NODE_SCALAR ? node->items[i]->text : "";
  out->columns = columns;
  out->column_count = node->count;
  return CO_OK;
}

static co_status parse_recipe(co_event_recipe *out, const co_model_file *file, co_arena *arena,
                              co_diagnostics *problems) {
  co_node *root = NULL;
  recipe_options o;
  *out = (co_event_recipe){0};
  if (!file->recipe || strncmp(file->recipe, "events:", 7) != 0) return no_recipe(file->path);
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&root, arena, "recipe", file->recipe, strlen(file->recipe), problems));
  CO_RETURN_IF_FAILED(
      co_fields_parse(&o, recipe_fields, co_node_get(root, "events"), "events", arena, problems));
  if (problems->count) return no_recipe(file->path);
  *out = (co_event_recipe){.entity = o.entity,
                           .time = o.time,
                           .item = o.item,
                           .basket = o.basket,
                           .amount = o.amount,
                           .where = o.where,
                           .rfm = o.rfm};
  return list_columns(out, o.columns, arena);
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

static co_status read_keys(co_dictionary *keys, co_context *ctx, co_rows *rows,
                           const char *entity) {
  co_row_block block;
  int64_t column = co_rows_find(rows, entity);
  (void)ctx;
  if (column < 0)
    return co_fail_at(CO_ERR_DATA, rows->shown, 0, 0, "there is no column '%.200s'", entity);
  for (;;) {
    CO_RETURN_IF_FAILED(co_rows_next(rows, &block));
    if (!block.part_count) return CO_OK;
    for (int64_t i = 0; i < block.part_count; i++)
      CO_RETURN_IF_FAILED(take_keys(keys, rows, &block.parts[i], column, rows->column_count));
  }
}

// The keys of a table, in its order.
static co_status read_population(co_import_events_options *out, co_context *ctx, co_arena *arena,
                                 const char *path, const char *entity) {
  co_rows *rows = NULL;
  co_dictionary keys = {0};
  co_rows_options options = {.unhashed = true};
  co_status status = CO_OK;
  CO_TRY(co_dictionary_create(&keys, ctx));
  CO_TRY(co_rows_open(&rows, ctx, path, &options));
  CO_TRY(read_keys(&keys, ctx, rows, entity));
  const char **texts = co_arena_alloc(arena, (size_t)keys.count + 1, sizeof *texts);
  status = texts ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < keys.count; i++)
    if (!(texts[i] = co_arena_strdup(arena, keys.words[i].text))) status = CO_ERR_MEMORY;
  out->population = texts;
  out->population_count = keys.count;
  if (status == CO_OK && !keys.count)
    status = co_fail_at(CO_ERR_DATA, path, 0, 0, "there is no row");
cleanup:
  co_rows_close(rows);
  co_dictionary_free(&keys);
  return status;
}

// ---- scoring -----------------------------------------------------------------------------------

static co_status check(const cohort_predict_options *o, const char **log) {
  *log = strncmp(o->sources[0], "events=", 7) == 0 ? o->sources[0] + 7 : NULL;
  if (o->source_count != 1 || !*log || !**log) {
    co_status status = co_fail(CO_ERR_USAGE, "--source %.200s: only events=FILE is there yet",
                               o->sources[o->source_count > 1 ? 1 : 0]);
    co_hint("--source events=LOG.csv --as-of 2011-09-01");
    return status;
  }
  if (o->dataset) return co_fail(CO_ERR_USAGE, "--source does not go with --dataset");
  if (o->split) return co_fail(CO_ERR_USAGE, "--split is for a dataset.h5; a log has none");
  if (o->key) return co_fail(CO_ERR_USAGE, "--key is for a raw table; a log has its entities");
  if (o->as_of) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--source events=… needs --as-of T");
  co_hint("events before it count: --as-of 2011-09-01; the clock is never asked");
  return status;
}

static co_status write_events(co_event_scoring *s, cohort_context *context,
                              const cohort_predict_options *o, co_diagnostics *problems) {
  co_model_file file;
  char *found, *path;
  const char *log;
  CO_RETURN_IF_FAILED(check(o, &log));
  CO_RETURN_IF_FAILED(co_model_file_find(&found, s->ctx, o->model));
  path = co_arena_strdup(s->arena, found);
  co_free(s->ctx, found);
  if (!path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_model_file_read(&file, s->arena, path));
  bool to_file = co_sink_file(o->output) != NULL;
  const char *folder = o->source.temporary_folder ? o->source.temporary_folder : "/tmp";
  char *beside = to_file ? co_arena_format(s->arena, "%s.rows", co_sink_file(o->output))
                         : co_arena_format(s->arena, "%s/cohort.rows", folder);
  if (!beside) return CO_ERR_MEMORY;
  co_import_events_options options = {.output = beside,
                                      .temporary = &s->events,
                                      .files = &log,
                                      .file_count = 1,
                                      .sampling = CO_SAMPLE_AS_OF,
                                      .cutoffs = &s->as_of,
                                      .cutoff_count = 1,
                                      .schema = &file.schema,
                                      .progress = forward_progress,
                                      .progress_user = context,
                                      .stop = context->options.stop};
  CO_RETURN_IF_FAILED(co_events_time(&s->as_of, "as-of", o->as_of));
  CO_RETURN_IF_FAILED(parse_recipe(&options.recipe, &file, s->arena, problems));
  CO_RETURN_IF_FAILED(co_table_read_options(&options.rows, &o->source, s->arena));
  if (o->population)
    CO_RETURN_IF_FAILED(
        read_population(&options, s->ctx, s->arena, o->population, options.recipe.entity));
  co_status status = co_import_events(&s->result, s->ctx, s->arena, &options);
  co_watch_progress(&context->watch, "read", "bytes", -1, 0, NULL);
  return status;
}

// Whether the model is of a log; else its sources are tables.
static co_status is_of_events(co_context *ctx, const char *model, bool *out) {
  char *path;
  co_arena *arena;
  co_model_file file;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, ctx));
  co_status status = co_model_file_find(&path, ctx, model);
  if (status == CO_OK) status = co_model_file_read(&file, arena, path);
  *out = status == CO_OK && file.recipe && strncmp(file.recipe, "events:", 7) == 0;
  co_free(ctx, path);
  co_arena_free(arena);
  return status;
}

co_status co_event_scoring_begin(co_event_scoring *s, cohort_context *context,
                                 const cohort_predict_options *o) {
  *s = (co_event_scoring){.ctx = context->ctx, .options = *o};
  if (!o->model || !o->output) return CO_OK; // which scoring refuses
  bool of_events = o->source_count != 0;
  if (of_events) CO_RETURN_IF_FAILED(is_of_events(context->ctx, o->model, &of_events));
  if (!of_events) {
    const char *option = o->as_of ? "--as-of" : o->population ? "--population" : NULL;
    if (!option) return CO_OK;
    if (o->source_count) return no_recipe(o->model);
    return co_fail(CO_ERR_USAGE, "%s goes with --source events=FILE", option);
  }
  if (o->more_model_count)
    return co_fail(CO_ERR_USAGE, "a log of events is scored with one model, tables with several");
  co_diagnostics problems;
  co_diagnostics_init(&problems, s->ctx);
  co_status status = co_arena_create(&s->arena, s->ctx);
  if (status == CO_OK) status = write_events(s, context, o, &problems);
  co_diagnostics_free(&problems);
  CO_RETURN_IF_FAILED(status);
  s->options.source_count = 0;
  s->options.dataset = s->events.temporary;
  s->options.source = (cohort_source_options){.temporary_folder = o->source.temporary_folder};
  return CO_OK;
}

void co_event_scoring_report(const co_event_scoring *s, co_json *json, co_text *text) {
  if (!s->arena) return;
  co_json_key(json, "events");
  co_json_int(json, s->result.events);
  co_json_key(json, "unseen_items");
  co_json_int(json, s->result.unseen);
  if (s->result.unseen && strcmp(s->options.output, "-") != 0)
    co_text_printf(text, "%lld of %lld events are of items unknown to the model\n",
                   (long long)s->result.unseen, (long long)s->result.events);
}

void co_event_scoring_end(co_event_scoring *s) {
  co_error error;
  co_error_copy(&error);
  co_atomic_abort(&s->events);
  co_arena_free(s->arena);
  if (error.status != CO_OK) co_error_raise(&error);
}
