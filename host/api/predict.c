// SPDX-License-Identifier: Apache-2.0
// cohort_predict: scores of every row, keyed, in the order of the dataset.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "datasets/source.h"
#include "host/api/images.h"
#include "host/api/predict.h"
#include "host/core/hash.h"
#include "host/core/output.h"
#include "host/eval/calibration.h"
#include "host/eval/golden.h"
#include "host/eval/opening.h"
#include "host/eval/units.h"

enum { MAX_SHARDS = 1 << 20, SAVE_ROWS = 1 << 16 };

static bool to_file(const co_scoring *s) {
  return strcmp(s->options->output, "-") != 0;
}

// What is told of a row's scores.
static const float *const *shown(co_scoring *s) {
  const co_model *model = s->predictor->model;
  if (!s->calibrated) return s->scores;
  for (int64_t i = 0; i < model->output_count; i++) {
    const co_output_feature *output = &model->outputs[i];
    memcpy(s->calibrated[i], s->scores[i], (size_t)output->width * sizeof(float));
    if (output->decided)
      co_calibrate(s->calibrated[i], 1, output->width, co_output_temperature(output));
  }
  return (const float *const *)s->calibrated;
}

static co_status write_row(co_scoring *s, int64_t sample, int64_t rank) {
  char key[CO_DATASET_KEY_MAX + 1];
  const co_reason *reasons = NULL;
  CO_RETURN_IF_FAILED(co_dataset_key(s->dataset, sample, key, sizeof key));
  if (s->reasons) CO_RETURN_IF_FAILED(co_reasons_at(s->reasons, s->written, &reasons));
  const co_score_row row = {.key = key,
                            .sample = sample,
                            .scores = s->scores,
                            .shown = shown(s),
                            .rank = rank,
                            .rows = s->count,
                            .reasons = reasons};
  CO_RETURN_IF_FAILED(co_score_cells(s->cells, &s->columns, &row));
  CO_RETURN_IF_FAILED(co_sink_row(s->sink, s->cells));
  co_drift_add(s, row.scores, row.shown);
  s->written++;
  return CO_OK;
}

// Hands a sink how far the job is.
static co_status note(co_scoring *s, co_status (*to)(co_sink *, const co_position *)) {
  co_text state;
  co_text_init(&state, s->ctx);
  co_drift_print_state(s, &state);
  const co_position at = {.rows = s->written, .state = state.data};
  co_status status = state.status;
  if (status == CO_OK) status = to(s->sink, &at);
  co_text_free(&state);
  return status;
}

// Now and then, so that not all is lost.
static co_status save(co_scoring *s) {
  int64_t every = s->options->save_rows ? s->options->save_rows : SAVE_ROWS;
  if (s->written - s->saved < every || s->written == s->count) return CO_OK;
  CO_RETURN_IF_FAILED(note(s, co_sink_save));
  s->saved = s->written;
  return CO_OK;
}

static co_status rank_row(co_scoring *s, int64_t sample) {
  const co_model *model = s->predictor->model;
  CO_RETURN_IF_FAILED(co_score_check(model, s->scores, sample));
  float *at = s->values;
  for (int64_t i = 0; i < co_model_score_count(model); i++) {
    const int64_t width = co_model_score_width(model, i);
    memcpy(at, s->scores[i], (size_t)width * sizeof *at);
    at += width;
  }
  const co_output_feature *ranked = s->columns.ranked;
  double score = co_score_of(ranked, shown(s)[ranked - model->outputs]);
  return co_ranking_add(s->ranking, (float)score, s->values);
}

// A co_score_sink.
static co_status take_rows(void *user, const int64_t *samples, int64_t rows,
                           const float *const *scores) {
  co_scoring *s = user;
  const co_model *model = s->predictor->model;
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t i = 0; i < co_model_score_count(model); i++)
      s->scores[i] = scores[i] + row * co_model_score_width(model, i);
    CO_RETURN_IF_FAILED(s->ranking ? rank_row(s, samples[row]) : write_row(s, samples[row], 0));
  }
  return save(s); // after whole batches: those of who goes on are the same
}

static co_status stopped(const co_scoring *s) {
  co_status status = co_fail(CO_INTERRUPTED, to_file(s) ? "stopped; no output was written"
                                                        : "stopped; the output is not complete");
  if (s->saved)
    co_hint("--resume goes on behind row %lld of %lld", (long long)s->saved, (long long)s->count);
  return status;
}

// Once the scores of all rows are known.
static co_status write_ranked(co_scoring *s) {
  const co_model *model = s->predictor->model;
  int64_t rank;
  CO_RETURN_IF_FAILED(co_ranking_sort(s->ranking));
  float *at = s->values;
  for (int64_t i = 0; i < co_model_score_count(model); at += co_model_score_width(model, i++))
    s->scores[i] = at;
  for (int64_t row = 0; row < s->count; row++) {
    if (co_watch_stopped(&s->context->watch)) return stopped(s);
    CO_RETURN_IF_FAILED(co_ranking_next(s->ranking, s->values, &rank));
    if (row < s->sink->at.rows) continue; // which a job before has written
    CO_RETURN_IF_FAILED(write_row(s, s->samples[row], rank));
    CO_RETURN_IF_FAILED(save(s));
    if (row % (1 << 16) == 0) co_alive(s->ctx, CO_PATIENCE);
  }
  return CO_OK;
}

// Of samples that see the same events one line is enough where only the likeliest are told.
static co_status drop_repeated(co_scoring *s) {
  int64_t *units, *kept, count = 0;
  if (!s->options->top_k) return CO_OK;
  CO_RETURN_IF_FAILED(co_sample_units(&units, s->ctx, s->dataset));
  if (!units) return CO_OK;
  kept = co_alloc(s->ctx, ((size_t)s->count + 1) * sizeof *kept);
  for (int64_t i = 0; kept && i < s->count; i++)
    if (!i || units[s->samples[i]] != units[s->samples[i - 1]]) kept[count++] = s->samples[i];
  co_free(s->ctx, units);
  if (!kept) return CO_ERR_MEMORY;
  co_free(s->ctx, s->all);
  s->samples = s->all = kept;
  s->count = count;
  return CO_OK;
}

// "I/N", I from 1.
static co_status parse_shard(int64_t *shard, int64_t *shards, const char *text) {
  char *end;
  *shard = strtoll(text, &end, 10);
  bool right = isdigit((unsigned char)*text) && *end == '/' && isdigit((unsigned char)end[1]);
  *shards = right ? strtoll(end + 1, &end, 10) : 0;
  if (right && !*end && *shard >= 1 && *shard <= *shards && *shards <= MAX_SHARDS) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--shard %.200s: it is no part of a whole", text);
  co_hint("--shard 3/16 is the third of 16 parts");
  return status;
}

static co_status choose_rows(co_scoring *s) {
  if (s->options->split) {
    int split = co_split_parse(s->options->split);
    if (split < 0) {
      co_status status = co_fail(CO_ERR_USAGE, "--split %s: no such split", s->options->split);
      co_hint("known: train, validation, test; without --split all rows are scored");
      return status;
    }
    return co_dataset_split(s->dataset, (co_split)split, &s->samples, &s->count);
  }
  s->count = co_dataset_rows(s->dataset);
  s->samples = s->all = co_alloc_zero(s->ctx, (size_t)s->count + 1, sizeof *s->all);
  if (!s->all) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->count; i++)
    s->all[i] = i;
  return CO_OK;
}

// Where a part of the rows begins, without overflow.
static int64_t part(int64_t rows, int64_t i, int64_t parts) {
  return rows / parts * i + rows % parts * i / parts;
}

// The I-th of N contiguous parts of the rows, nearly equal.
static co_status choose_shard(co_scoring *s) {
  int64_t shard, shards;
  if (!s->options->shard) return CO_OK;
  CO_RETURN_IF_FAILED(parse_shard(&shard, &shards, s->options->shard));
  int64_t begin = part(s->count, shard - 1, shards);
  s->samples += begin;
  s->count = part(s->count, shard, shards) - begin;
  return CO_OK;
}

// What is wrong with the columns or the keys is said before anything is scored.
static co_status choose_columns(co_scoring *s) {
  const cohort_predict_options *o = s->options;
  const co_model *model = s->predictor->model;
  char key[CO_DATASET_KEY_MAX + 1];
  co_model_file file;
  CO_RETURN_IF_FAILED(co_model_file_read(&file, s->arena, s->predictor->path));
  const co_score_notes notes = {.passthrough = o->passthrough,
                                .passthrough_count = o->passthrough_count,
                                .model = file.weights_sha256,
                                .scored_at = o->scored_at,
                                .holdout = o->holdout,
                                .reasons = o->reasons};
  CO_RETURN_IF_FAILED(
      o->column_count ? co_score_columns_choose(&s->columns, s->arena, model, s->dataset,
                                                o->columns, o->column_count, &notes)
                      : co_score_columns_list(&s->columns, s->arena, model, s->dataset, o->top_k));
  CO_RETURN_IF_FAILED(co_score_columns_add_notes(&s->columns, s->arena, s->dataset, &notes));
  return s->count ? co_dataset_key(s->dataset, s->samples[0], key, sizeof key) : CO_OK;
}

static co_status make_room(co_scoring *s) {
  const co_model *model = s->predictor->model;
  size_t outputs = (size_t)model->output_count;
  for (int64_t i = 0; i < co_model_score_count(model); i++)
    s->width += co_model_score_width(model, i);
  s->cells = co_arena_alloc(s->arena, (size_t)s->columns.count, sizeof *s->cells);
  s->scores = co_arena_alloc(s->arena, (size_t)co_model_score_count(model), sizeof *s->scores);
  s->values = co_arena_alloc(s->arena, (size_t)s->width, sizeof *s->values);
  s->counts = co_arena_alloc(s->arena, (size_t)model->input_count + 1, sizeof *s->counts);
  if (!s->cells || !s->scores || !s->values || !s->counts) return CO_ERR_MEMORY;
  if (s->options->calibrated) {
    float *at = co_arena_alloc(s->arena, (size_t)s->width, sizeof *at);
    s->calibrated = co_arena_alloc(s->arena, outputs, sizeof *s->calibrated);
    if (!at || !s->calibrated) return CO_ERR_MEMORY;
    for (int64_t i = 0; i < model->output_count; at += model->outputs[i++].width)
      s->calibrated[i] = at;
  }
  if (!s->columns.ranked) return CO_OK;
  const char *folder = s->options->source.temporary_folder;
  const char *file = co_sink_file(s->where.output);
  char *beside = file ? co_arena_format(s->arena, "%s.scores", file)
                      : co_arena_format(s->arena, "%s/cohort.scores", folder ? folder : "/tmp");
  return beside ? co_ranking_create(&s->ranking, s->ctx, s->count, s->width, beside)
                : CO_ERR_MEMORY;
}

static co_status open_reasons(co_scoring *s) {
  const co_score_columns *columns = &s->columns;
  if (!columns->reasoned) return CO_OK;
  const co_reasons_request request = {.predictor = s->predictor,
                                      .dataset = s->dataset,
                                      .output = columns->reasoned - s->predictor->model->outputs,
                                      .count = columns->reasons,
                                      .samples = s->samples,
                                      .sample_count = s->count,
                                      .workers = s->options->workers,
                                      .watch = &s->context->watch};
  return co_reasons_open(&s->reasons, &request);
}

static co_status score_rows(co_scoring *s) {
  const co_scoring_options options = {.watch = &s->context->watch,
                                      .workers = s->options->workers,
                                      .stage = "predict",
                                      .exclude_seen = s->options->exclude_seen,
                                      .stoppable = true,
                                      .sink = take_rows,
                                      .user = s};
  // Of places among all rows all scores are needed, of which none were kept.
  int64_t from = s->ranking ? 0 : s->written;
  if (s->written == s->count) return CO_OK;
  co_status status = s->predictor->class_->run(s->predictor, s->dataset, s->samples + from,
                                               s->count - from, &options);
  if (status == CO_INTERRUPTED) return stopped(s);
  return status == CO_OK && s->ranking ? write_ranked(s) : status;
}

static co_status open_both(co_scoring *s) {
  const cohort_predict_options *options = s->options;
  const co_predictor_options predictor = {.model = options->model,
                                          .device = options->device,
                                          .precision = options->precision,
                                          .threads = options->threads,
                                          .batch_size = options->batch_size};
  CO_RETURN_IF_FAILED(co_arena_create(&s->arena, s->ctx));
  const char *folder = options->source.temporary_folder ? options->source.temporary_folder : "/tmp";
  CO_RETURN_IF_FAILED(co_predictor_open(&s->predictor, s->ctx, &predictor));
  // The one place where golden rows are replayed: behind it, the predictor is what it was in training.
  CO_RETURN_IF_FAILED(co_golden_replay(&s->golden, s->predictor, folder));
  CO_RETURN_IF_FAILED(co_dataset_open(&s->dataset, s->ctx, options->dataset));
  return co_check_dataset(s->predictor->model, s->dataset, false);
}

static void report(const co_scoring *s, cohort_result *result) {
  co_json *json = &result->json;
  co_json_key(json, "model");
  co_json_string(json, s->predictor->path);
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
  co_json_key(json, "golden");
  co_json_open(json, '{');
  co_json_key(json, "rows");
  co_json_int(json, s->golden.rows);
  co_json_key(json, "largest_difference");
  co_json_double(json, s->golden.difference);
  co_json_close(json);
  co_text ignored;
  co_text_init(&ignored, s->ctx);
  co_json_key(json, "preprocessing");
  co_render_input_counts(json, to_file(s) ? &result->text : &ignored, s->predictor->model,
                         s->counts);
  co_text_free(&ignored);
}

// ---- one job and the next ----------------------------------------------------------------------

static void hash_text(co_sha256 *hash, const char *text) {
  co_sha256_update(hash, text ? text : "", text ? strlen(text) + 1 : 1);
}

// All that changes what is written, beside the model and the rows.
static void hash_options(const co_scoring *s, char hex[65]) {
  const cohort_predict_options *o = s->options;
  const char *const texts[] = {o->split, o->format,    o->table, o->if_exists, o->device,
                               o->shard, o->precision, o->key,   o->scored_at, o->holdout};
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
  co_sha256_update(&hash, numbers, sizeof numbers);
  co_sha256_final(&hash, hex);
}

static co_status describe_job(co_scoring *s) {
  CO_RETURN_IF_FAILED(co_source_hash_file(s->ctx, s->predictor->path, s->job.model));
  memcpy(s->job.source, co_dataset_fingerprint(s->dataset), sizeof s->job.source);
  hash_options(s, s->job.options);
  return CO_OK;
}

static co_status begin_output(co_scoring *s) {
  const cohort_predict_options *o = s->options;
  CO_RETURN_IF_FAILED(describe_job(s));
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
  CO_RETURN_IF_FAILED(note(s, co_sink_finish));
  CO_RETURN_IF_FAILED(co_manifest_write(s, table));
  return co_sink_commit(s->sink);
}

static co_status predict(co_scoring *s, const co_table_scoring *table, cohort_result *result) {
  CO_RETURN_IF_FAILED(co_require(s->options->dataset, "predict", "a dataset"));
  CO_RETURN_IF_FAILED(open_both(s));
  CO_RETURN_IF_FAILED(choose_rows(s));
  CO_RETURN_IF_FAILED(drop_repeated(s));
  CO_RETURN_IF_FAILED(choose_shard(s));
  CO_RETURN_IF_FAILED(choose_columns(s));
  CO_RETURN_IF_FAILED(make_room(s));
  CO_RETURN_IF_FAILED(open_reasons(s));
  CO_RETURN_IF_FAILED(co_drift_begin(s, table));
  CO_RETURN_IF_FAILED(
      co_check_inputs(s->predictor->model, s->dataset, s->samples, s->count, s->counts));
  CO_RETURN_IF_FAILED(begin_output(s));
  if (!s->sink->complete) {
    CO_RETURN_IF_FAILED(score_rows(s));
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
  CO_RETURN_IF_FAILED(parse_shard(&shard, &shards, o->shard));
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

// Before the model and the rows are read: what cannot be written need not be computed.
static co_status open_output(co_scoring *s, const cohort_predict_options *o) {
  CO_RETURN_IF_FAILED(check_options(o));
  CO_RETURN_IF_FAILED(co_manifest_check(s, o));
  CO_RETURN_IF_FAILED(check_source_table(o));
  char *model = NULL;
  CO_RETURN_IF_FAILED(co_model_file_find(&model, s->ctx, o->model));
  const char **inputs = co_alloc(s->ctx, (size_t)(o->source_count + 3) * sizeof *inputs);
  if (!inputs) {
    co_free(s->ctx, model);
    return CO_ERR_MEMORY;
  }
  inputs[0] = model;
  inputs[1] = o->dataset;
  inputs[2] = o->population;
  for (int64_t i = 0; i < o->source_count; i++) {
    const char *equals = strchr(o->sources[i], '=');
    inputs[i + 3] = equals ? equals + 1 : NULL;
  }
  s->where = (co_sink_options){.output = o->output,
                               .format = o->format,
                               .table = o->table,
                               .if_exists = o->if_exists,
                               .replace = o->force,
                               .resume = o->resume,
                               .inputs = inputs,
                               .input_count = o->source_count + 3,
                               .stop = s->context->options.stop,
                               .take = o->take,
                               .take_user = o->take_user};
  co_status status = co_sink_open(&s->sink, s->ctx, &s->where);
  s->where.inputs = NULL;
  co_free(s->ctx, inputs);
  co_free(s->ctx, model);
  return status;
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
  co_scoring s = {.context = context, .ctx = context->ctx, .options = &table.options};
  co_status status = choose_taker(&request);
  if (status == CO_OK) status = open_output(&s, &request);
  if (status == CO_OK) status = co_event_scoring_begin(&events, context, &request);
  if (status == CO_OK) status = co_image_scoring_begin(&images, context, &events.options);
  if (status == CO_OK) status = co_table_scoring_begin(&table, context, &images.options);
  if (status == CO_OK) status = predict(&s, &table, *out);
  if (status == CO_OK) co_table_scoring_report(&table, &(*out)->json, &(*out)->text);
  if (status == CO_OK) co_image_scoring_report(&images, &(*out)->json, &(*out)->text);
  if (status == CO_OK) co_event_scoring_report(&events, &(*out)->json, &(*out)->text);
  co_error error;
  co_error_copy(&error);
  // A gate is the end of a job: the next one has other rows, or another model.
  if (s.sink) s.sink->discard = status == CO_ERR_GATE;
  co_sink_close(s.sink);
  co_ranking_free(s.ranking);
  co_reasons_close(s.reasons);
  co_free(s.ctx, s.manifest);
  co_free(s.ctx, s.all);
  co_predictor_close(s.predictor);
  co_dataset_close(s.dataset);
  co_arena_free(s.arena);
  co_table_scoring_end(&table);
  co_image_scoring_end(&images);
  co_event_scoring_end(&events);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "predict", status);
}
