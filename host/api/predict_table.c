// SPDX-License-Identifier: Apache-2.0
// Scoring a raw table: its rows become a temporary dataset beside the output, by the model's own
// columns and categories, which is scored as any other and removed.
#include <stdlib.h>
#include <string.h>

#include "datasets/raw_rows.h"
#include "datasets/spool.h"
#include "host/api/table.h"
#include "host/output/sink.h"
#include "host/persist/model_file.h"

static void forward_progress(void *user, const char *what, int64_t done, int64_t total) {
  co_watch_progress(&((cohort_context *)user)->watch, what, "bytes", done, total, NULL);
}

static co_status read_schema(co_table_scoring *t, const cohort_predict_options *o,
                             co_model_file *file) {
  char *found;
  CO_RETURN_IF_FAILED(co_model_file_find(&found, t->ctx, o->model));
  char *path = co_arena_strdup(t->arena, found); // the file's description keeps it
  co_free(t->ctx, found);
  return path ? co_model_file_read(file, t->arena, path) : CO_ERR_MEMORY;
}

// What the model was trained on may come from elsewhere, with a note of another kind.
static co_status read_recipe(co_table_scoring *t, const co_model_file *file, co_recipe *out) {
  *out = (co_recipe){0};
  if (!file->recipe) return CO_OK;
  co_diagnostics problems;
  co_diagnostics_init(&problems, t->ctx);
  co_status status = co_table_parse_schema(out, "recipe", file->recipe, t->arena, &problems);
  co_diagnostics_free(&problems);
  if (status == CO_OK || status == CO_ERR_MEMORY) return status;
  *out = (co_recipe){0};
  co_log(t->ctx, CO_LOG_WARN, "predict", "the model's recipe for raw rows cannot be read: %s",
         co_error_last()->message);
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
      if (strcmp(recipe->joins[k].on, name) == 0) return lacks_key_file(name, "join by");
  }
  for (int64_t k = 0; !rows->pseudonym && k < recipe->join_count; k++)
    if (recipe->joins[k].table.rows.pseudonymized_count)
      return lacks_key_file(recipe->joins[k].table.table, "joined table");
  return CO_OK;
}

// Columns are found by their names, and the rows may lie elsewhere than those of the training.
static void forget_place(co_recipe *recipe) {
  recipe->file = NULL;
  recipe->rows.delimiter = 0;
}

static void forget_query(co_recipe *recipe, const char *path) {
  if (path && !co_rows_is_database(path)) recipe->rows.table = recipe->rows.query = NULL;
}

// Where the tables are: the first, then those joined to it, NULL where one is not given.
static co_status find_sources(co_table_scoring *t, const cohort_predict_options *o,
                              co_recipe *recipe) {
  const cohort_tables given = {.sources = o->sources, .source_count = o->source_count};
  const char **paths = co_arena_alloc(t->arena, (size_t)recipe->join_count + 1, sizeof *paths);
  if (!paths) return CO_ERR_MEMORY;
  forget_place(recipe);
  for (int64_t i = 0; i < recipe->join_count; i++)
    forget_place(&recipe->joins[i].table);
  CO_RETURN_IF_FAILED(co_table_read_joins(recipe, &given, t->arena));
  CO_RETURN_IF_FAILED(co_table_refuse_servers(recipe));
  paths[0] = o->dataset ? o->dataset : recipe->file;
  if (!paths[0]) return co_table_no_source(recipe, recipe->table);
  for (int64_t i = 0; i < recipe->join_count; i++)
    paths[i + 1] = recipe->joins[i].table.file;
  CO_RETURN_IF_FAILED(co_table_files_begin(&t->files, t->context, t->arena, paths,
                                           recipe->join_count + 1, &o->source));
  // What is looked into lies in a file by now: a pipe is read once.
  forget_query(recipe, t->files.paths[0]);
  for (int64_t i = 0; i < recipe->join_count; i++)
    forget_query(&recipe->joins[i].table, t->files.paths[i + 1]);
  return CO_OK;
}

// Joined tables that are not given, but are in the model: as it has them.
static co_status take_carried(co_table_scoring *t, const cohort_source_options *o,
                              const co_model_file *file, co_recipe *recipe) {
  const char *folder = o->temporary_folder ? o->temporary_folder : "/tmp";
  for (int64_t i = 0; i < recipe->join_count; i++) {
    co_recipe *table = &recipe->joins[i].table;
    const char *text = NULL;
    for (int64_t k = 0; k < file->carried_count; k++)
      if (strcmp(file->carried[k].name, table->table) == 0) text = file->carried[k].text;
    if (t->files.paths[i + 1] || !text) continue;
    CO_RETURN_IF_FAILED(co_spool_text(&t->files.spooled[i + 1], t->ctx, text, folder));
    t->files.paths[i + 1] = t->files.spooled[i + 1].temporary;
    t->files.shown[i + 1] = co_arena_format(t->arena, "table '%s' of the model", table->table);
    if (!t->files.shown[i + 1]) return CO_ERR_MEMORY;
    table->rows = (co_rows_options){.delimiter = ','};
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

static co_status write_rows(co_table_scoring *t, cohort_context *context,
                            const cohort_predict_options *o) {
  co_model_file file;
  co_recipe recipe;
  CO_RETURN_IF_FAILED(read_schema(t, o, &file));
  CO_RETURN_IF_FAILED(read_recipe(t, &file, &recipe));
  const co_split_rule *split;
  if (t->measured && file.recipe && strncmp(file.recipe, "events:", 7) == 0)
    return co_fail(CO_ERR_USAGE, "a model of event logs is measured on a dataset.h5");
  CO_RETURN_IF_FAILED(find_split(t, &file, o->split, &split));
  co_reject_rule reject;
  bool to_file = co_sink_file(o->output) != NULL;
  CO_RETURN_IF_FAILED(co_reject_rule_parse(&reject, o->source.on_error, o->source.max_errors,
                                           CO_ON_ERROR_QUARANTINE));
  CO_RETURN_IF_FAILED(find_sources(t, o, &recipe));
  CO_RETURN_IF_FAILED(co_table_read_options(&recipe.rows, &o->source, t->arena));
  co_table_files_adapt(&recipe.rows, o->dataset ? o->dataset : recipe.file);
  co_table_share_pseudonyms(&recipe);
  CO_RETURN_IF_FAILED(take_carried(t, &o->source, &file, &recipe));
  CO_RETURN_IF_FAILED(check_pseudonyms(&recipe, &file.schema));
  const char *folder = o->source.temporary_folder ? o->source.temporary_folder : "/tmp";
  // Of a name of its own: the output's temporaries are another's to clean up.
  const char *output = co_sink_file(o->output);
  char *beside = to_file ? co_arena_format(t->arena, "%s.rows", output)
                         : co_arena_format(t->arena, "%s/cohort.rows", folder);
  if (!beside) return CO_ERR_MEMORY;
  const co_raw_rows_options request = {.path = t->files.paths[0],
                                       .shown = t->files.shown[0],
                                       .joined = t->files.paths + 1,
                                       .joined_shown = t->files.shown + 1,
                                       .reject = reject,
                                       .rejects = to_file ? output : NULL,
                                       // Of a table that is written again, so are they.
                                       .replace_rejects = o->force || o->if_exists || o->resume,
                                       .output = beside,
                                       .temporary = &t->rows,
                                       .schema = &file.schema,
                                       .measured = t->measured,
                                       .split = split,
                                       .seed = t->seed,
                                       .passed = o->passthrough,
                                       .passed_count = o->passthrough_count,
                                       .key = o->key,
                                       .recipe = &recipe,
                                       .progress = forward_progress,
                                       .progress_user = context,
                                       .stop = context->options.stop};
  co_status status = co_raw_rows_write(&t->result, t->ctx, t->arena, &request);
  co_watch_progress(&context->watch, "read", "bytes", -1, 0, NULL);
  return status;
}

static co_status begin(co_table_scoring *t, cohort_context *context,
                       const cohort_predict_options *o, bool measured) {
  *t = (co_table_scoring){
      .context = context, .ctx = context->ctx, .options = *o, .measured = measured};
  if (!o->model || !o->output || (!o->dataset && !o->source_count))
    return CO_OK; // which scoring refuses
  if (o->dataset && o->source_count) return co_table_refuse_both();
  if (o->dataset && !co_table_is_raw(o->dataset, &o->source)) {
    const char *option = o->key ? "--key" : co_table_source_option(&o->source);
    if (!option) return CO_OK;
    return co_fail(CO_ERR_USAGE, "%s is for a raw table; a dataset.h5 has its own", option);
  }
  CO_RETURN_IF_FAILED(co_arena_create(&t->arena, t->ctx));
  CO_RETURN_IF_FAILED(write_rows(t, context, o));
  t->options.dataset = t->rows.temporary;
  return CO_OK;
}

co_status co_table_scoring_begin(co_table_scoring *t, cohort_context *context,
                                 const cohort_predict_options *options) {
  return begin(t, context, options, false);
}

co_status co_table_measuring_begin(co_table_scoring *t, cohort_context *context,
                                   const cohort_predict_options *options) {
  return begin(t, context, options, true);
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
    if (!c->unseen) continue;
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
  co_atomic_abort(&t->rows);
  co_table_files_end(&t->files);
  co_arena_free(t->arena);
  if (error.status != CO_OK) co_error_raise(&error);
}
