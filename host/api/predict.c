// SPDX-License-Identifier: Apache-2.0
// cohort_predict: scores of every row, keyed, in the order of the dataset.
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "host/api/images.h"
#include "host/api/predict.h"
#include "host/core/hash.h"
#include "host/core/output.h"

static bool to_file(const co_scoring *s) {
  return strcmp(s->options->output, "-") != 0;
}

// What is wrong with the columns or the keys is said before anything is scored.
static co_status choose_columns(co_scoring *s) {
  const cohort_predict_options *o = s->options;
  char key[CO_DATASET_KEY_MAX + 1];
  co_score_notes notes = {.passthrough = o->passthrough,
                          .passthrough_count = o->passthrough_count,
                          .scored_at = o->scored_at,
                          .holdout = o->holdout,
                          .reasons = o->reasons};
  co_dataset *dataset = s->datasets[0];
  CO_RETURN_IF_FAILED(co_scoring_weights(&notes.model, s));
  CO_RETURN_IF_FAILED(
      o->column_count ? co_score_columns_choose(&s->columns, s->arena, s->told, dataset, o->columns,
                                                o->column_count, &notes)
                      : co_score_columns_list(&s->columns, s->arena, s->told, dataset, o->top_k));
  CO_RETURN_IF_FAILED(co_score_columns_add_notes(&s->columns, s->arena, dataset, &notes));
  return s->count ? co_dataset_key(dataset, s->samples[0], key, sizeof key) : CO_OK;
}

static void report(co_scoring *s, cohort_result *result) {
  co_json *json = &result->json;
  co_json_key(json, "output");
  const char *shown = co_sink_shown(s->arena, s->options->output);
  co_json_string(json, shown);
  co_json_key(json, "rows");
  co_json_int(json, s->count);
  co_json_key(json, "resumed_at");
  co_json_int(json, s->sink->complete ? s->count : s->sink->at.rows);
  co_json_key(json, "columns");
  co_json_open(json, '[');
  for (int64_t i = 0; i < s->columns.count; i++)
    co_json_string(json, s->columns.column[i].name);
  co_json_close(json);
  if (s->sink->complete)
    co_text_printf(&result->text, "%s is complete; there is nothing to do\n", shown);
  else if (to_file(s))
    co_text_printf(&result->text, "%lld rows scored into %s\n", (long long)s->count, shown);
  if (!s->sink->complete && s->sink->at.rows)
    co_text_printf(&result->text, "went on behind row %lld\n", (long long)s->sink->at.rows);
  co_text ignored;
  co_text_init(&ignored, s->ctx);
  co_scoring_report_models(s, json, to_file(s) ? &result->text : &ignored);
  co_text_free(&ignored);
}

// ---- one job and the next ----------------------------------------------------------------------

static void hash_text(co_sha256 *hash, const char *text) {
  co_sha256_update(hash, text ? text : "", text ? strlen(text) + 1 : 1);
}

// All that changes what is written, beside the model and the rows.
static void hash_options(const co_scoring *s, char hex[65]) {
  const cohort_predict_options *o = s->options;
  const char *const texts[] = {o->split,     o->format,  o->table,     o->if_exists,
                               o->device,    o->shard,   o->precision, o->key,
                               o->scored_at, o->holdout, o->autotune};
  const int64_t numbers[] = {o->reasons,
                             o->top_k,
                             o->calibrated,
                             o->exclude_seen,
                             o->batch_size,
                             s->count,
                             o->threads ? o->threads : co_context_threads(s->ctx)};
  co_sha256 hash;
  co_sha256_init(&hash);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    hash_text(&hash, texts[i]);
  for (int64_t i = 0; i < o->column_count; i++)
    hash_text(&hash, o->columns[i]);
  hash_text(&hash, NULL);
  for (int64_t i = 0; i < o->passthrough_count; i++)
    hash_text(&hash, o->passthrough[i]);
  if (s->model_count > 1) co_sha256_update(&hash, &s->ensemble, sizeof s->ensemble);
  co_sha256_update(&hash, numbers, sizeof numbers);
  co_sha256_final(&hash, hex);
}

static co_status begin_output(co_scoring *s) {
  const cohort_predict_options *o = s->options;
  CO_RETURN_IF_FAILED(co_scoring_hash_models(s));
  hash_options(s, s->job.options);
  if (o->resume && !o->force && !co_sink_is_database(o->output) && co_path_exists(o->output)) {
    s->sink->complete = true;
    return co_manifest_confirm(s);
  }
  s->where.rows = s->count;
  CO_RETURN_IF_FAILED(co_sink_begin(s->sink, &s->columns, &s->job));
  s->written = s->saved = s->sink->at.rows;
  co_drift_read_state(s, s->sink->at.state);
  if (s->written <= s->count) return CO_OK;
  return co_fail_at(CO_ERR_IO, o->output, 0, 0,
                    "the job before had come further than there are rows");
}

static co_status finish(co_scoring *s, const co_table_scoring *table) {
  CO_RETURN_IF_FAILED(co_drift_check_scores(s));
  CO_RETURN_IF_FAILED(co_scoring_note(s, co_sink_finish));
  CO_RETURN_IF_FAILED(co_manifest_write(s, table));
  return co_sink_commit(s->sink);
}

static co_status predict(co_scoring *s, const co_model_list *list, co_table_scoring *table,
                         cohort_result *result) {
  CO_RETURN_IF_FAILED(co_require(s->options->dataset, "predict", "a dataset"));
  CO_RETURN_IF_FAILED(co_scoring_choose_rows(s, list, table));
  CO_RETURN_IF_FAILED(choose_columns(s));
  CO_RETURN_IF_FAILED(co_scoring_make_room(s));
  CO_RETURN_IF_FAILED(co_drift_begin(s));
  CO_RETURN_IF_FAILED(co_scoring_look_through(s, table));
  CO_RETURN_IF_FAILED(co_drift_check_inputs(s, table));
  CO_RETURN_IF_FAILED(co_scoring_open_piece(s, &s->pieces[0]));
  CO_RETURN_IF_FAILED(co_scoring_open_reasons(s));
  CO_RETURN_IF_FAILED(begin_output(s));
  if (!s->sink->complete) {
    CO_RETURN_IF_FAILED(co_scoring_run(s));
    CO_RETURN_IF_FAILED(finish(s, table));
  }
  report(s, result);
  return CO_OK;
}

// ---- what can be told before anything is read --------------------------------------------------

static co_status check_options(const cohort_predict_options *o) {
  int64_t shard, shards;
  CO_RETURN_IF_FAILED(co_require(o->model, "predict", "a model"));
  CO_RETURN_IF_FAILED(co_require(o->output, "predict", "an output"));
  CO_RETURN_IF_FAILED(co_drift_check_options(o));
  if (o->column_count && o->top_k)
    return co_fail(CO_ERR_USAGE, "--top-k does not go with --columns");
  if (o->split && o->dataset && co_table_is_raw(o->dataset, &o->source)) {
    co_status status = co_fail(CO_ERR_USAGE, "--split is for a dataset.h5; a raw table has none");
    co_hint("leave --split out: all rows are scored");
    return status;
  }
  if (!o->shard) return CO_OK;
  CO_RETURN_IF_FAILED(co_shard_parse(&shard, &shards, o->shard));
  if (!co_score_columns_place(o->columns, o->column_count)) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "rank, percentile and decile are of all rows; they do "
                                           "not go with --shard");
  co_hint("score the shards without them, and rank what they join to");
  return status;
}

// A table that is read is not made anew.
static co_status check_source_table(const cohort_predict_options *o) {
  struct stat from, to;
  const char *table = o->source.source_table;
  if (!co_sink_is_database(o->output) || !o->dataset || !table || !o->table) return CO_OK;
  if (strcasecmp(table, o->table) != 0 || !co_sink_file(o->output) ||
      stat(co_rows_file(o->dataset), &from) != 0 || stat(co_sink_file(o->output), &to) != 0 ||
      from.st_dev != to.st_dev || from.st_ino != to.st_ino)
    return CO_OK;
  co_status status = co_fail_at(CO_ERR_IO, o->output, 0, 0,
                                "the table '%.200s' is also read by this command", table);
  co_hint("choose another --table");
  return status;
}

// Before the models and the rows are read: what cannot be written need not be computed.
static co_status open_output(co_scoring *s, const cohort_predict_options *o, co_model_list *list) {
  CO_RETURN_IF_FAILED(check_options(o));
  CO_RETURN_IF_FAILED(co_arena_create(&s->arena, s->ctx));
  CO_RETURN_IF_FAILED(co_manifest_check(s, o));
  CO_RETURN_IF_FAILED(check_source_table(o));
  CO_RETURN_IF_FAILED(co_model_list_read(list, s->arena, o));
  int64_t count = 0;
  const char **inputs =
      co_arena_alloc(s->arena, (size_t)(list->count + o->source_count) + 3, sizeof *inputs);
  if (!inputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < list->count; i++)
    inputs[count++] = list->paths[i];
  inputs[count++] = o->dataset;
  inputs[count++] = o->population;
  for (int64_t i = 0; i < o->source_count; i++) {
    const char *equals = strchr(o->sources[i], '=');
    inputs[count++] = equals ? equals + 1 : NULL;
  }
  s->where = (co_sink_options){.output = o->output,
                               .format = o->format,
                               .table = o->table,
                               .if_exists = o->if_exists,
                               .replace = o->force,
                               .resume = o->resume,
                               .inputs = inputs,
                               .input_count = count,
                               .stop = s->context->options.stop,
                               .take = o->take,
                               .take_user = o->take_user};
  return co_sink_open(&s->sink, s->ctx, &s->where);
}

// Where rows are taken from memory there is nothing beside them, as with standard output.
static co_status choose_taker(cohort_predict_options *request) {
  if (!request->take) return CO_OK;
  if (request->output || request->manifest)
    return co_fail(CO_ERR_USAGE,
                   "scores that are taken from memory have no output and no manifest");
  request->output = "-";
  return CO_OK;
}

cohort_status cohort_predict(cohort_context *context, const cohort_predict_options *options,
                             cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  cohort_predict_options request = *options;
  co_event_scoring events = {0};
  co_image_scoring images = {0};
  co_table_scoring table = {0};
  co_model_list list = {0};
  co_scoring s = {.context = context, .ctx = context->ctx, .options = &request, .part = -1};
  co_status status = choose_taker(&request);
  if (status == CO_OK) status = open_output(&s, &request, &list);
  if (status == CO_OK) request.model = list.paths[0];
  // A table of items may have some that the models are told when they are opened.
  const bool members = request.source_count > 1;
  if (status == CO_OK && !members) status = co_scoring_open_models(&s, &list);
  if (status == CO_OK) status = co_event_scoring_begin(&events, context, &request, members, &list);
  if (status == CO_OK) status = co_image_scoring_begin(&images, context, &events.options);
  if (status == CO_OK)
    status = co_table_scoring_begin(&table, context, &images.options, members, &list);
  if (status == CO_OK && members) status = co_scoring_open_models(&s, &list);
  s.options = &table.options; // which name what rows of others have become
  if (status == CO_OK) status = predict(&s, &list, &table, *out);
  if (status == CO_OK) co_table_scoring_report(&table, &(*out)->json, &(*out)->text);
  if (status == CO_OK) co_image_scoring_report(&images, &(*out)->json, &(*out)->text);
  if (status == CO_OK) co_event_scoring_report(&events, &(*out)->json, &(*out)->text);
  co_error error;
  co_error_copy(&error);
  // A gate is the end of a job: the next one has other rows, or another model.
  if (s.sink) s.sink->discard = status == CO_ERR_GATE;
  co_sink_close(s.sink);
  co_ranking_free(s.ranking);
  co_free(s.ctx, s.manifest);
  co_scoring_close_rows(&s);
  co_scoring_close_models(&s);
  co_arena_free(s.arena);
  co_table_scoring_end(&table);
  co_image_scoring_end(&images);
  co_event_scoring_end(&events);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "predict", status);
}
