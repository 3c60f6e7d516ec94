// SPDX-License-Identifier: Apache-2.0
// cohort_predict: scores of every row as CSV, keyed, in the order of the dataset, in bounded
// memory.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/api/table.h"
#include "host/core/output.h"
#include "host/eval/score_columns.h"
#include "host/eval/scorer.h"
#include "host/feed/fit_features.h"
#include "host/feed/submission_queue.h"
#include "models/feature.h"

typedef struct scoring {
  cohort_context *context;
  co_context *ctx;
  const cohort_predict_options *options;
  co_scorer scorer;
  const int64_t *samples;
  int64_t count;
  int64_t *all; // owned, when no split is asked for
  char **columns;
  int64_t column_count;
  co_atomic_file atomic;
  co_writer *writer;
} scoring;

// RFC 4180: quoted where a separator, quote or line end is inside.
static co_status write_cell(co_writer *writer, const char *text) {
  if (!strpbrk(text, ",\"\r\n")) return co_writer_write(writer, text, strlen(text));
  CO_RETURN_IF_FAILED(co_writer_write(writer, "\"", 1));
  for (const char *at = text; *at; at++)
    CO_RETURN_IF_FAILED(*at == '"' ? co_writer_write(writer, "\"\"", 2)
                                   : co_writer_write(writer, at, 1));
  return co_writer_write(writer, "\"", 1);
}

static co_status write_header(scoring *s) {
  for (int64_t i = 0; i < s->column_count; i++) {
    if (i) CO_RETURN_IF_FAILED(co_writer_write(s->writer, ",", 1));
    CO_RETURN_IF_FAILED(write_cell(s->writer, s->columns[i]));
  }
  return co_writer_write(s->writer, "\n", 1);
}

// Nine significant digits bring a float back exactly.
static co_status write_score(co_writer *writer, const co_score_cell *cell) {
  if (!cell->text) return co_writer_printf(writer, ",%.9g", cell->number);
  CO_RETURN_IF_FAILED(co_writer_write(writer, ",", 1));
  return write_cell(writer, cell->text);
}

static co_status write_output(scoring *s, const co_output_feature *output, const float *row,
                              int64_t sample) {
  const co_output_class *class_ = output->class_->output;
  for (int64_t k = 0; k < output->width; k++)
    if (!isfinite(row[k]))
      return co_fail(CO_ERR_MODEL, "row %lld: the model's score of '%s' is not a finite number",
                     (long long)sample, output->name);
  for (int64_t k = 0; k < class_->cells(output); k++) {
    co_score_cell cell = class_->cell(output, row, k);
    CO_RETURN_IF_FAILED(write_score(s->writer, &cell));
  }
  return CO_OK;
}

static co_status write_batch(scoring *s, const co_view *view, const void *const *outputs) {
  const co_model *model = s->scorer.model;
  for (int64_t row = 0; row < view->valid; row++) {
    char key[CO_DATASET_KEY_MAX + 1];
    int64_t sample = view->batch->samples[row];
    CO_RETURN_IF_FAILED(co_dataset_key(s->scorer.dataset, sample, key, sizeof key));
    CO_RETURN_IF_FAILED(write_cell(s->writer, key));
    for (int64_t i = 0; i < model->output_count; i++) {
      const co_output_feature *output = &model->outputs[i];
      const float *scores = outputs[output->prediction];
      CO_RETURN_IF_FAILED(write_output(s, output, scores + row * output->width, sample));
    }
    CO_RETURN_IF_FAILED(co_writer_write(s->writer, "\n", 1));
  }
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
    return co_dataset_split(s->scorer.dataset, (co_split)split, &s->samples, &s->count);
  }
  s->count = co_dataset_rows(s->scorer.dataset);
  s->samples = s->all = co_alloc_zero(s->ctx, (size_t)s->count + 1, sizeof *s->all);
  if (!s->all) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < s->count; i++)
    s->all[i] = i;
  return CO_OK;
}

// What is wrong with the columns or the keys is said before anything is scored.
static co_status check_columns(scoring *s) {
  char key[CO_DATASET_KEY_MAX + 1];
  CO_RETURN_IF_FAILED(co_score_columns(&s->columns, &s->column_count, s->scorer.arena,
                                       s->scorer.model, s->scorer.dataset));
  return s->count ? co_dataset_key(s->scorer.dataset, s->samples[0], key, sizeof key) : CO_OK;
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

static co_status submit_batch(scoring *s, co_submission_queue *queue, bool *done) {
  co_queued_submission *item;
  CO_RETURN_IF_FAILED(co_submission_queue_take(queue, 1, &item));
  *done = !item;
  return item ? co_program_submit_evaluation(s->scorer.program, &item->views[0].shape, item->count,
                                             item->batches)
              : CO_OK;
}

static co_status collect_batch(scoring *s, co_submission_queue *queue, int64_t *rows) {
  const co_queued_submission *item;
  co_submission_result result;
  CO_RETURN_IF_FAILED(co_submission_queue_collect(queue, &result, &item));
  CO_RETURN_IF_FAILED(write_batch(s, item->views, result.outputs));
  *rows += item->views[0].valid;
  co_submission_queue_release(queue);
  co_watch_progress(&s->context->watch, "predict", "rows", *rows, s->count, NULL);
  if (!co_watch_stopped(&s->context->watch)) return CO_OK;
  return co_fail(CO_INTERRUPTED, strcmp(s->options->output, "-") == 0
                                     ? "stopped; the output is not complete"
                                     : "stopped; no output was written");
}

static co_status score_rows(scoring *s) {
  co_program *program = s->scorer.program;
  co_pipeline_options options = {.samples = s->samples,
                                 .sample_count = s->count,
                                 .batch_rows = s->scorer.rows,
                                 .epochs = 1,
                                 .workers = s->options->workers > 0 ? s->options->workers : 1,
                                 .resident = s->scorer.resident,
                                 .staging = co_program_staging(program, true),
                                 .ahead = co_program_depth(program)};
  co_submission_queue queue = {.program = program};
  int64_t rows = 0;
  if (!s->count) return CO_OK;
  CO_RETURN_IF_FAILED(
      co_pipeline_create(&queue.pipeline, s->scorer.model, s->scorer.dataset, &options));
  co_status status = CO_OK;
  for (bool done = false; status == CO_OK && (!done || queue.count);) {
    bool room = !done && co_submission_queue_has_room(&queue);
    status = room ? submit_batch(s, &queue, &done) : collect_batch(s, &queue, &rows);
  }
  co_submission_queue_drain(&queue); // before the batches go
  co_watch_progress(&s->context->watch, "predict", "rows", -1, s->count, NULL);
  co_pipeline_free(queue.pipeline);
  return status;
}

static co_status predict(scoring *s, cohort_result *result) {
  const cohort_predict_options *options = s->options;
  CO_RETURN_IF_FAILED(co_require(options->model, "predict", "a model"));
  CO_RETURN_IF_FAILED(co_require(options->dataset, "predict", "a dataset"));
  CO_RETURN_IF_FAILED(co_require(options->output, "predict", "an output"));
  bool to_file = strcmp(options->output, "-") != 0;
  CO_RETURN_IF_FAILED(open_output(s));
  CO_RETURN_IF_FAILED(co_scorer_open(&s->scorer, s->ctx, options->model, options->dataset,
                                     options->device, options->threads, options->batch_size,
                                     CO_MODE_INFER, options->precision));
  CO_RETURN_IF_FAILED(choose_rows(s));
  CO_RETURN_IF_FAILED(check_columns(s));
  CO_RETURN_IF_FAILED(co_check_inputs(s->scorer.model, s->scorer.dataset, s->samples, s->count));
  CO_RETURN_IF_FAILED(write_header(s));
  CO_RETURN_IF_FAILED(score_rows(s));
  co_status status = co_writer_close(s->writer);
  s->writer = NULL;
  CO_RETURN_IF_FAILED(status);
  if (to_file) CO_RETURN_IF_FAILED(co_atomic_commit(&s->atomic));
  co_json *json = &result->json;
  co_json_key(json, "model");
  co_json_string(json, s->scorer.path);
  co_json_key(json, "output");
  co_json_string(json, options->output);
  co_json_key(json, "rows");
  co_json_int(json, s->count);
  if (to_file)
    co_text_printf(&result->text, "%lld rows scored into %s\n", (long long)s->count,
                   options->output);
  return CO_OK;
}

cohort_status cohort_predict(cohort_context *context, const cohort_predict_options *options,
                             cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_table_scoring table;
  scoring s = {.context = context, .ctx = context->ctx, .options = &table.options};
  co_status status = co_table_scoring_begin(&table, context, options);
  if (status == CO_OK) status = predict(&s, *out);
  if (status == CO_OK) co_table_scoring_report(&table, &(*out)->json, &(*out)->text);
  co_error error;
  co_error_copy(&error);
  co_writer_close(s.writer);
  co_atomic_abort(&s.atomic);
  co_free(s.ctx, s.all);
  co_scorer_close(&s.scorer);
  co_table_scoring_end(&table);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "predict", status);
}
