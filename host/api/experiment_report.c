// SPDX-License-Identifier: Apache-2.0
// What came of an experiment's folds: metrics with their means and intervals, scores of all rows.
#include <math.h>
#include <string.h>

#include "host/api/experiment.h"
#include "host/core/file.h"
#include "host/eval/interval.h"
#include "host/eval/predictor.h"
#include "host/eval/score_columns.h"
#include "host/feed/labels.h"

static const double level = 0.95; // of intervals

// ---- measuring ---------------------------------------------------------------------------------

typedef struct scored {
  co_experiment *e;
  co_score_columns *columns;
  co_score_cell *cells; // room for a row
  const float **scores; // of a row, per output
} scored;

// A co_score_sink.
static co_status keep_scores(void *user, const int64_t *samples, int64_t rows,
                             const float *const *scores) {
  scored *s = user;
  co_text *text = &s->e->cells;
  for (int64_t row = 0; row < rows; row++) {
    size_t at = text->length;
    for (int64_t i = 0; i < s->columns->model->output_count; i++)
      s->scores[i] = scores[i] + row * s->columns->model->outputs[i].width;
    const co_score_row scored_row = {
        .key = "", .sample = samples[row], .scores = s->scores, .shown = s->scores};
    CO_RETURN_IF_FAILED(co_score_cells(s->cells, s->columns, &scored_row));
    for (int64_t i = 1; i < s->columns->count; i++) {
      co_text_append(text, ",", 1);
      co_score_add_cell(text, s->columns->column[i].type, &s->cells[i], ',');
    }
    s->e->row_cells[samples[row]] = (co_experiment_cells){at, text->length - at};
  }
  return text->status;
}

// The metrics of the model, which are those of every fold's, without values.
static co_status list_metrics(co_experiment *e, const co_evaluation *evaluation) {
  co_evaluation_value value;
  int64_t capacity = 0, outputs = evaluation->model->output_count;
  for (int64_t i = 0; i < outputs; i++)
    for (int64_t k = 0; co_evaluation_metric(evaluation, i, k, &value); k++)
      capacity++;
  e->metrics = co_arena_alloc(e->arena, (size_t)capacity + 1, sizeof *e->metrics);
  if (!e->metrics) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < outputs; i++)
    for (int64_t k = 0; co_evaluation_metric(evaluation, i, k, &value); k++) {
      co_experiment_metric *metric = &e->metrics[e->metric_count++];
      metric->output = co_arena_strdup(e->arena, evaluation->model->outputs[i].name);
      metric->id = co_arena_strdup(e->arena, value.name);
      metric->value = co_arena_alloc(e->arena, (size_t)e->count, sizeof *metric->value);
      if (!metric->output || !metric->id || !metric->value) return CO_ERR_MEMORY;
    }
  return CO_OK;
}

static co_status take_metrics(co_experiment *e, int64_t fold, const co_evaluation *evaluation) {
  co_evaluation_value value;
  int64_t at = 0;
  if (!e->metrics) CO_RETURN_IF_FAILED(list_metrics(e, evaluation));
  for (int64_t i = 0; i < evaluation->model->output_count; i++)
    for (int64_t k = 0; at < e->metric_count && co_evaluation_metric(evaluation, i, k, &value); k++)
      e->metrics[at++].value[fold] = value.value;
  return CO_OK;
}

static co_status measure(co_experiment *e, int64_t fold, co_predictor *predictor,
                         co_dataset *dataset) {
  const int64_t *samples;
  int64_t count;
  co_evaluation evaluation = {.model = NULL};
  scored user = {.e = e, .columns = &e->columns};
  const co_scoring_options options = {.watch = &e->context->watch,
                                      .stoppable = true,
                                      .workers = e->options->workers,
                                      .stage = "evaluate",
                                      .sink = e->seeds ? NULL : keep_scores,
                                      .user = &user};
  co_status status;
  CO_TRY(co_dataset_split(dataset, e->measured, &samples, &count));
  CO_TRY(co_check_labels(predictor->model, dataset, e->measured));
  CO_TRY(co_score_columns_list(&e->columns, e->arena, predictor->model, dataset, 0));
  user.cells = co_arena_alloc(e->arena, (size_t)e->columns.count, sizeof *user.cells);
  user.scores =
      co_arena_alloc(e->arena, (size_t)predictor->model->output_count, sizeof *user.scores);
  if (!user.cells || !user.scores) CO_TRY(CO_ERR_MEMORY);
  CO_TRY(co_evaluation_create(&evaluation, predictor->model));
  co_evaluation_collect_all(&evaluation);
  evaluation.keeps = true;
  CO_TRY(co_evaluate(&evaluation, predictor, dataset, samples, count, &options));
  CO_TRY(take_metrics(e, fold, &evaluation));
  const co_scoring_options beside = {.watch = options.watch,
                                     .stoppable = true,
                                     .workers = options.workers,
                                     .stage = options.stage};
  const co_comparison_request request = {.predictor = predictor,
                                         .evaluation = &evaluation,
                                         .dataset = dataset,
                                         .samples = samples,
                                         .scoring = &beside,
                                         .bootstrap = &(co_bootstrap_options){.draws = -1}};
  CO_TRY(co_experiment_pair_run(e, fold, &request));
cleanup:
  co_evaluation_free(&evaluation);
  return status;
}

co_status co_experiment_measure(co_experiment *e, int64_t fold, co_dataset *dataset) {
  const co_predictor_options options = {.model = co_experiment_run_path(e, fold),
                                        .device = e->options->device,
                                        .precision = e->options->precision,
                                        .threads = e->options->threads,
                                        .autotune = e->options->autotune,
                                        .autotune_cache = e->options->autotune_cache,
                                        .evaluate = true,
                                        .scores = true};
  co_predictor *predictor;
  if (!options.model) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_predictor_open(&predictor, e->ctx, &options));
  co_status status = measure(e, fold, predictor, dataset);
  co_error error;
  co_error_copy(&error);
  co_predictor_close(predictor);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}

// ---- scores of all rows ------------------------------------------------------------------------

static void add_header(const co_experiment *e, co_text *line) {
  bool keyed = co_dataset_key_column(e->dataset) != NULL;
  co_text_printf(line, keyed ? "row,key,fold" : "row,fold");
  for (int64_t i = 1; i < e->columns.count; i++) {
    co_text_append(line, ",", 1);
    co_score_add_text(line, e->columns.column[i].name, ',');
  }
  co_text_append(line, "\n", 1);
}

static co_status add_row(const co_experiment *e, int64_t row, co_text *line) {
  char key[CO_DATASET_KEY_MAX + 1];
  co_text_printf(line, "%lld,", (long long)row);
  if (co_dataset_key_column(e->dataset)) {
    CO_RETURN_IF_FAILED(co_dataset_key(e->dataset, row, key, sizeof key));
    co_score_add_text(line, key, ',');
    co_text_append(line, ",", 1);
  }
  co_text_printf(line, "%d", (int)e->folds.fold[row]);
  co_text_append(line, e->cells.data + e->row_cells[row].at, e->row_cells[row].length);
  co_text_append(line, "\n", 1);
  return CO_OK;
}

static co_status write_rows(const co_experiment *e, co_writer *writer, co_text *line) {
  add_header(e, line);
  for (int64_t row = 0; row < e->folds.rows; row++) {
    CO_RETURN_IF_FAILED(line->status);
    CO_RETURN_IF_FAILED(co_writer_write(writer, line->data, line->length));
    line->length = 0;
    if (e->row_cells[row].length) CO_RETURN_IF_FAILED(add_row(e, row, line));
  }
  CO_RETURN_IF_FAILED(line->status);
  return co_writer_write(writer, line->data, line->length);
}

static co_status write_scores(const co_experiment *e) {
  co_atomic_file file = {.ctx = NULL};
  co_writer *writer = NULL;
  co_text line;
  co_text_init(&line, e->ctx);
  char *path = co_experiment_path(e, "oof.csv");
  co_status status = path ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) status = co_atomic_begin(&file, e->ctx, path);
  if (status == CO_OK) status = co_writer_open(&writer, e->ctx, file.temporary, false);
  if (status == CO_OK) status = write_rows(e, writer, &line);
  co_text_free(&line);
  if (status != CO_OK) {
    co_writer_close(writer);
    co_atomic_abort(&file);
    return status;
  }
  status = co_writer_close(writer);
  return status == CO_OK ? co_atomic_commit(&file) : status;
}

// ---- results -----------------------------------------------------------------------------------

typedef void render_value(const co_experiment *e, co_json *json, const co_experiment_metric *metric,
                          int64_t fold);

static void render_fold_value(const co_experiment *e, co_json *json,
                              const co_experiment_metric *metric, int64_t fold) {
  (void)e;
  co_json_double(json, metric->value[fold]);
}

static void render_mean(const co_experiment *e, co_json *json, const co_experiment_metric *metric,
                        int64_t fold) {
  (void)fold;
  co_json_double(json, co_mean_interval(metric->value, e->count, level).mean);
}

static void render_spread(const co_experiment *e, co_json *json, const co_experiment_metric *metric,
                          int64_t fold) {
  (void)fold;
  co_json_double(json, co_mean_interval(metric->value, e->count, level).deviation);
}

static void render_interval(const co_experiment *e, co_json *json,
                            const co_experiment_metric *metric, int64_t fold) {
  (void)fold;
  co_mean mean = co_mean_interval(metric->value, e->count, level);
  if (isnan(mean.low)) {
    co_json_null(json);
    return;
  }
  co_json_open(json, '[');
  co_json_double(json, mean.low);
  co_json_double(json, mean.high);
  co_json_close(json);
}

// {OUTPUT: {ID: …}}; an output's metrics stand together.
static void render_metrics(const co_experiment *e, co_json *json, render_value *render,
                           int64_t fold) {
  co_json_open(json, '{');
  for (int64_t i = 0; i < e->metric_count; i++) {
    const co_experiment_metric *metric = &e->metrics[i];
    if (i == 0 || strcmp(metric->output, e->metrics[i - 1].output) != 0) {
      if (i) co_json_close(json);
      co_json_key(json, metric->output);
      co_json_open(json, '{');
    }
    co_json_key(json, metric->id);
    render(e, json, metric, fold);
  }
  if (e->metric_count) co_json_close(json);
  co_json_close(json);
}

static void render_fold(const co_experiment *e, co_json *json, int64_t fold) {
  char name[32];
  co_experiment_run_name(e, fold, name);
  co_json_open(json, '{');
  co_json_key(json, "run");
  co_json_string(json, name);
  co_json_key(json, "seed");
  co_json_int(json, e->seed + fold);
  co_json_key(json, "rows");
  co_json_open(json, '{');
  for (int split = 0; split < CO_SPLIT_COUNT; split++) {
    co_json_key(json, co_split_name((co_split)split));
    co_json_int(json, e->rows[fold][split]);
  }
  co_json_close(json);
  co_json_key(json, "metrics");
  render_metrics(e, json, render_fold_value, fold);
  co_json_close(json);
}

void co_experiment_render(const co_experiment *e, co_json *json) {
  co_json_key(json, "dataset_fingerprint");
  co_json_string(json, co_dataset_fingerprint(e->dataset));
  if (e->seeds) {
    co_json_key(json, "split");
    co_json_string(json, co_split_name(e->measured));
  }
  co_json_key(json, e->seeds ? "seeds" : "folds");
  co_json_open(json, '[');
  for (int64_t fold = 0; fold < e->count; fold++)
    render_fold(e, json, fold);
  co_json_close(json);
  co_json_key(json, "mean");
  render_metrics(e, json, render_mean, -1);
  co_json_key(json, "standard_deviation");
  render_metrics(e, json, render_spread, -1);
  co_json_key(json, "interval");
  co_json_open(json, '{');
  co_json_key(json, "method");
  co_json_string(json, e->seeds ? "student_t_over_seeds" : "student_t_over_folds");
  co_json_key(json, "level");
  co_json_double(json, level);
  co_json_close(json);
  co_json_key(json, "intervals");
  render_metrics(e, json, render_interval, -1);
  co_experiment_pairs_render(e, json);
}

void co_experiment_print(const co_experiment *e, co_text *text) {
  const char *runs = e->seeds ? "seeds" : "folds";
  co_text_printf(text, "%s: %lld %s", e->path, (long long)e->count, runs);
  if (e->seeds) co_text_printf(text, ", measured on %s rows", co_split_name(e->measured));
  co_text_printf(text, "\n");
  for (int64_t i = 0; i < e->metric_count; i++) {
    const co_experiment_metric *metric = &e->metrics[i];
    co_mean mean = co_mean_interval(metric->value, e->count, level);
    co_text_printf(text, "  %-24s %-20s %-12.6g", metric->output, metric->id, mean.mean);
    if (!isnan(mean.deviation)) co_text_printf(text, " +- %-12.6g", mean.deviation);
    if (!isnan(mean.low)) co_text_printf(text, " [%.6g, %.6g]", mean.low, mean.high);
    co_text_printf(text, "\n");
  }
  if (e->count > 1)
    co_text_printf(text, "mean, standard deviation and 95 %% t-interval over the %s\n", runs);
  co_experiment_pairs_print(e, text);
}

static co_status write_result(const co_experiment *e) {
  co_json json;
  co_json_init(&json, e->ctx, 2);
  co_json_open(&json, '{');
  co_experiment_render(e, &json);
  co_json_close(&json);
  co_text_append(&json.text, "\n", 1);
  char *path = co_experiment_path(e, "experiment.json");
  co_status status = path ? json.text.status : CO_ERR_MEMORY;
  if (status == CO_OK)
    status = co_write_file_atomic(e->ctx, path, json.text.data, json.text.length);
  co_json_free(&json);
  return status;
}

co_status co_experiment_write(co_experiment *e) {
  if (!e->seeds) CO_RETURN_IF_FAILED(write_scores(e));
  return write_result(e);
}
