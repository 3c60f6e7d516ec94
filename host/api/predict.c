// SPDX-License-Identifier: Apache-2.0
// cohort_predict: scores of every row as CSV, keyed, in the order of the dataset, in bounded
// memory.
#include <stdio.h>
#include <string.h>

#include "host/api/events.h"
#include "host/api/table.h"
#include "host/core/output.h"
#include "host/eval/calibration.h"
#include "host/eval/opening.h"
#include "host/eval/predictor.h"
#include "host/eval/score_columns.h"
#include "host/eval/units.h"
#include "host/feed/fit_features.h"

typedef struct scoring {
  cohort_context *context;
  co_context *ctx;
  const cohort_predict_options *options;
  co_arena *arena;
  co_predictor *predictor;
  co_dataset *dataset;
  int64_t done; // rows written
  const int64_t *samples;
  int64_t count;
  int64_t *all; // owned, when no split is asked for
  char **columns;
  int64_t column_count;
  float *calibrated; // room for a row
  co_atomic_file atomic;
  co_writer *writer;
  co_text line;            // being written
  co_input_counts *counts; // per input of the model
} scoring;

static co_status write_line(scoring *s) {
  co_text_append(&s->line, "\n", 1);
  CO_RETURN_IF_FAILED(s->line.status);
  return co_writer_write(s->writer, s->line.data, s->line.length);
}

static co_status write_header(scoring *s) {
  s->line.length = 0;
  for (int64_t i = 0; i < s->column_count; i++) {
    if (i) co_text_append(&s->line, ",", 1);
    co_score_add_text(&s->line, s->columns[i]);
  }
  return write_line(s);
}

// What is written of a row's scores.
static const float *shown(scoring *s, const co_output_feature *output, const float *row) {
  if (!s->calibrated || !output->decided) return row;
  memcpy(s->calibrated, row, (size_t)output->width * sizeof *row);
  co_calibrate(s->calibrated, 1, output->width, co_output_temperature(output));
  return s->calibrated;
}

// A co_score_sink.
static co_status write_rows(void *user, const int64_t *samples, int64_t rows,
                            const float *const *scores) {
  scoring *s = user;
  const co_model *model = s->predictor->model;
  for (int64_t row = 0; row < rows; row++) {
    char key[CO_DATASET_KEY_MAX + 1];
    CO_RETURN_IF_FAILED(co_dataset_key(s->dataset, samples[row], key, sizeof key));
    s->line.length = 0;
    co_score_add_text(&s->line, key);
    for (int64_t i = 0; i < model->output_count; i++) {
      const co_output_feature *output = &model->outputs[i];
      const float *row_scores = scores[i] + row * output->width;
      CO_RETURN_IF_FAILED(co_score_add_output(&s->line, output, row_scores,
                                              shown(s, output, row_scores), samples[row],
                                              s->options->top_k));
    }
    CO_RETURN_IF_FAILED(write_line(s));
  }
  return CO_OK;
}

// Of samples that see the same events one line is enough where only the likeliest are told.
static co_status drop_repeated(scoring *s) {
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

static co_status choose_rows(scoring *s) {
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

static co_status make_room(scoring *s) {
  int64_t most = 1;
  if (!s->options->calibrated) return CO_OK;
  for (int64_t i = 0; i < s->predictor->model->output_count; i++)
    if (s->predictor->model->outputs[i].width > most) most = s->predictor->model->outputs[i].width;
  s->calibrated = co_arena_alloc(s->arena, (size_t)most, sizeof *s->calibrated);
  return s->calibrated ? CO_OK : CO_ERR_MEMORY;
}

// What is wrong with the columns or the keys is said before anything is scored.
static co_status check_columns(scoring *s) {
  char key[CO_DATASET_KEY_MAX + 1];
  CO_RETURN_IF_FAILED(co_score_columns(&s->columns, &s->column_count, s->arena, s->predictor->model,
                                       s->dataset, s->options->top_k));
  return s->count ? co_dataset_key(s->dataset, s->samples[0], key, sizeof key) : CO_OK;
}

// Before the model and the rows are read: what cannot be written need not be computed.
static co_status open_output(scoring *s) {
  const char *output = s->options->output;
  if (strcmp(output, "-") == 0) return co_writer_open(&s->writer, s->ctx, "-", true);
  char *model = NULL;
  CO_RETURN_IF_FAILED(co_model_file_find(&model, s->ctx, s->options->model));
  const char *const inputs[] = {model, s->options->dataset};
  co_output wanted = {output, s->options->force, inputs, 2};
  co_status status = co_output_begin(&s->atomic, s->ctx, &wanted);
  co_free(s->ctx, model);
  CO_RETURN_IF_FAILED(status);
  return co_writer_open(&s->writer, s->ctx, s->atomic.temporary, false);
}

static co_status score_rows(scoring *s) {
  const co_scoring_options options = {.watch = &s->context->watch,
                                      .workers = s->options->workers,
                                      .stage = "predict",
                                      .stoppable = true,
                                      .sink = write_rows,
                                      .user = s};
  if (!s->count) return CO_OK;
  co_status status =
      s->predictor->class_->run(s->predictor, s->dataset, s->samples, s->count, &options);
  if (status != CO_INTERRUPTED) return status;
  return co_fail(CO_INTERRUPTED, strcmp(s->options->output, "-") == 0
                                     ? "stopped; the output is not complete"
                                     : "stopped; no output was written");
}

static co_status open_both(scoring *s) {
  const cohort_predict_options *options = s->options;
  const co_predictor_options predictor = {.model = options->model,
                                          .device = options->device,
                                          .precision = options->precision,
                                          .threads = options->threads,
                                          .batch_size = options->batch_size};
  CO_RETURN_IF_FAILED(co_arena_create(&s->arena, s->ctx));
  CO_RETURN_IF_FAILED(co_predictor_open(&s->predictor, s->ctx, &predictor));
  CO_RETURN_IF_FAILED(co_dataset_open(&s->dataset, s->ctx, options->dataset));
  return co_check_dataset(s->predictor->model, s->dataset, false);
}

static co_status predict(scoring *s, cohort_result *result) {
  const cohort_predict_options *options = s->options;
  CO_RETURN_IF_FAILED(co_require(options->model, "predict", "a model"));
  CO_RETURN_IF_FAILED(co_require(options->dataset, "predict", "a dataset"));
  CO_RETURN_IF_FAILED(co_require(options->output, "predict", "an output"));
  bool to_file = strcmp(options->output, "-") != 0;
  CO_RETURN_IF_FAILED(open_output(s));
  CO_RETURN_IF_FAILED(open_both(s));
  CO_RETURN_IF_FAILED(choose_rows(s));
  CO_RETURN_IF_FAILED(drop_repeated(s));
  CO_RETURN_IF_FAILED(check_columns(s));
  CO_RETURN_IF_FAILED(make_room(s));
  s->counts =
      co_arena_alloc(s->arena, (size_t)s->predictor->model->input_count + 1, sizeof *s->counts);
  if (!s->counts) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(
      co_check_inputs(s->predictor->model, s->dataset, s->samples, s->count, s->counts));
  CO_RETURN_IF_FAILED(write_header(s));
  CO_RETURN_IF_FAILED(score_rows(s));
  co_status status = co_writer_close(s->writer);
  s->writer = NULL;
  CO_RETURN_IF_FAILED(status);
  if (to_file) CO_RETURN_IF_FAILED(co_atomic_commit(&s->atomic));
  co_json *json = &result->json;
  co_json_key(json, "model");
  co_json_string(json, s->predictor->path);
  co_json_key(json, "output");
  co_json_string(json, options->output);
  co_json_key(json, "rows");
  co_json_int(json, s->count);
  if (to_file)
    co_text_printf(&result->text, "%lld rows scored into %s\n", (long long)s->count,
                   options->output);
  co_text ignored;
  co_text_init(&ignored, s->ctx);
  co_json_key(json, "preprocessing");
  co_render_input_counts(json, to_file ? &result->text : &ignored, s->predictor->model, s->counts);
  co_text_free(&ignored);
  return CO_OK;
}

cohort_status cohort_predict(cohort_context *context, const cohort_predict_options *options,
                             cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_event_scoring events;
  co_table_scoring table = {0};
  scoring s = {.context = context, .ctx = context->ctx, .options = &table.options};
  co_text_init(&s.line, s.ctx);
  co_status status = co_event_scoring_begin(&events, context, options);
  if (status == CO_OK) status = co_table_scoring_begin(&table, context, &events.options);
  if (status == CO_OK) status = predict(&s, *out);
  if (status == CO_OK) co_table_scoring_report(&table, &(*out)->json, &(*out)->text);
  if (status == CO_OK) co_event_scoring_report(&events, &(*out)->json, &(*out)->text);
  co_error error;
  co_error_copy(&error);
  co_text_free(&s.line);
  co_writer_close(s.writer);
  co_atomic_abort(&s.atomic);
  co_free(s.ctx, s.all);
  co_predictor_close(s.predictor);
  co_dataset_close(s.dataset);
  co_arena_free(s.arena);
  co_table_scoring_end(&table);
  co_event_scoring_end(&events);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "predict", status);
}
