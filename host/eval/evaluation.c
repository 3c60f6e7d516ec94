// SPDX-License-Identifier: Apache-2.0
#include "host/eval/evaluation.h"

#include <math.h>
#include <string.h>

#include "host/feed/pipeline.h"
#include "host/graph/metric/metric.h"

co_status co_evaluation_create(co_evaluation *evaluation, const co_model *model) {
  memset(evaluation, 0, sizeof *evaluation);
  evaluation->sums =
      co_alloc_zero(model->ctx, (size_t)model->network->metric_doubles + 1, sizeof(double));
  evaluation->weight_sum =
      co_alloc_zero(model->ctx, (size_t)model->output_count + 1, sizeof(double));
  return evaluation->sums && evaluation->weight_sum ? CO_OK : CO_ERR_MEMORY;
}

void co_evaluation_free(co_evaluation *evaluation, const co_model *model) {
  if (!model) return;
  co_free(model->ctx, evaluation->sums);
  co_free(model->ctx, evaluation->weight_sum);
  memset(evaluation, 0, sizeof *evaluation);
}

// A launch of evaluation and the batches that it borrows.
typedef struct evaluation_launch {
  co_view views[CO_SUBMISSION_STEPS];
  int64_t count;
} evaluation_launch;

typedef struct evaluating {
  co_evaluation *out;
  const co_model *model;
  co_program *program;
  co_pipeline *pipeline;
  evaluation_launch queue[CO_SUBMISSION_DEPTH];
  int first, count;
  bool done; // all is submitted
} evaluating;

static co_status submit_batches(evaluating *e) {
  evaluation_launch *launch = &e->queue[(e->first + e->count) % CO_SUBMISSION_DEPTH];
  co_program_batch batches[CO_SUBMISSION_STEPS];
  int64_t limit = co_program_submission_limit(e->program, true);
  launch->count = 0;
  e->count++; // from here on its views are given back with it
  while (launch->count < limit && !e->done) {
    co_view *view = &launch->views[launch->count];
    CO_RETURN_IF_FAILED(co_pipeline_next(e->pipeline, view, &e->done));
    if (e->done) break;
    batches[launch->count++] = (co_program_batch){view->inputs, view->packet};
  }
  const co_shape_class shape = {.rows = launch->views[0].rows};
  return launch->count ? co_program_submit_evaluation(e->program, &shape, launch->count, batches)
                       : CO_OK;
}

static void give_back(evaluating *e) {
  const evaluation_launch *launch = &e->queue[e->first];
  for (int64_t i = 0; i < launch->count; i++)
    co_pipeline_release(e->pipeline, &launch->views[i]);
  e->first = (e->first + 1) % CO_SUBMISSION_DEPTH;
  e->count--;
}

static co_status collect_batches(evaluating *e) {
  const evaluation_launch *launch = &e->queue[e->first];
  co_submission_result result;
  if (launch->count) // failed, its batches may still be read
    CO_RETURN_IF_FAILED(co_program_collect(e->program, &result));
  for (int64_t k = 0; k < launch->count; k++) {
    for (int64_t i = 0; i < e->model->output_count; i++)
      e->out->weight_sum[i] += launch->views[k].weight_sum[i];
    e->out->rows += launch->views[k].valid;
  }
  give_back(e);
  return CO_OK;
}

static co_status run_evaluation(evaluating *e, const co_watch *watch, bool stoppable, int64_t rows,
                                const char *stage) {
  while (!e->done || e->count) {
    bool room = !e->done && e->count < co_program_depth(e->program);
    CO_RETURN_IF_FAILED(room ? submit_batches(e) : collect_batches(e));
    co_watch_progress(watch, stage, "rows", e->out->rows, rows, NULL);
    if (stoppable && co_watch_stopped(watch))
      return co_fail(CO_INTERRUPTED, "stopped during %s", stage);
  }
  return CO_OK;
}

co_status co_evaluate_samples(co_evaluation *out, const co_watch *watch, bool stoppable,
                              co_resident *source, co_program *program, co_dataset *dataset,
                              const int64_t *samples, int64_t count, int64_t batch_rows,
                              int workers, const char *stage) {
  co_pipeline_options options = {.samples = samples,
                                 .sample_count = count,
                                 .batch_rows = batch_rows,
                                 .targets = true,
                                 .epochs = 1,
                                 .workers = workers > 0 ? workers : 1,
                                 .source = source,
                                 .packet = co_program_staging(program, true)};
  options.ahead = co_program_depth(program) * (int)co_program_submission_limit(program, true);
  evaluating e = {.out = out, .model = source->model, .program = program, .done = !count};
  co_status status;
  memset(out->weight_sum, 0, (size_t)source->model->output_count * sizeof(double));
  out->rows = 0;
  CO_TRY(co_program_clear_metrics(program, true));
  if (count) CO_TRY(co_pipeline_create(&e.pipeline, source->model, dataset, &options));
  CO_TRY(run_evaluation(&e, watch, stoppable, count, stage));
  CO_TRY(co_program_read_metrics(program, true, out->sums));
cleanup:
  co_program_drain(program); // before the batches go
  while (e.count)
    give_back(&e);
  co_watch_progress(watch, stage, "rows", -1, count, NULL);
  co_pipeline_free(e.pipeline);
  return status;
}

static double mean_loss(const co_evaluation *evaluation, const co_model *model, int64_t i) {
  const co_graph *graph = model->network;
  int32_t at = graph->values[graph->losses[i].sum].index;
  double weight = evaluation->weight_sum[i];
  return weight > 0 ? evaluation->sums[at] / weight : NAN;
}

double co_evaluation_loss(const co_evaluation *evaluation, const co_model *model) {
  double total = 0;
  bool any = false;
  for (int64_t i = 0; i < model->output_count; i++) {
    if (!(evaluation->weight_sum[i] > 0)) continue; // nothing known of this output
    total += model->outputs[i].weight * mean_loss(evaluation, model, i);
    any = true;
  }
  return any ? total : NAN;
}

static double metric_value(const co_evaluation *evaluation, const co_model *model, int64_t i) {
  const co_graph *graph = model->network;
  const double *sums = &evaluation->sums[graph->values[graph->metrics[i].sums].index];
  return sums[1] > 0 ? sums[0] / sums[1] : NAN;
}

void co_evaluation_render(co_json *json, const co_evaluation *evaluation, const co_model *model) {
  const co_graph *graph = model->network;
  co_json_open(json, '{');
  for (int64_t i = 0; i < model->output_count; i++) {
    co_json_key(json, model->outputs[i].name);
    co_json_open(json, '{');
    co_json_key(json, model->outputs[i].loss->metric);
    co_json_double(json, mean_loss(evaluation, model, i));
    for (int64_t k = 0; k < graph->metric_count; k++) {
      if (strcmp(graph->metrics[k].output, model->outputs[i].name) != 0) continue;
      co_json_key(json, graph->metrics[k].name);
      co_json_double(json, metric_value(evaluation, model, k));
    }
    co_json_close(json);
  }
  co_json_close(json);
}

bool co_evaluation_find(const co_evaluation *evaluation, const co_model *model, const char *metric,
                        double *value, bool *higher) {
  if (!metric || strcmp(metric, "loss") == 0) {
    *value = co_evaluation_loss(evaluation, model);
    *higher = false;
    return true;
  }
  const co_graph *graph = model->network;
  const char *dot = strrchr(metric, '.');
  const char *id = dot ? dot + 1 : metric;
  for (int64_t i = 0; i < model->output_count; i++) {
    const char *output = model->outputs[i].name;
    if (dot && (strlen(output) != (size_t)(dot - metric) ||
                strncmp(output, metric, (size_t)(dot - metric)) != 0))
      continue;
    if (strcmp(model->outputs[i].loss->metric, id) == 0 ||
        (strcmp(id, "logloss") == 0 && strcmp(model->outputs[i].loss->metric, "log_loss") == 0)) {
      *value = mean_loss(evaluation, model, i);
      *higher = false;
      return true;
    }
    for (int64_t k = 0; k < graph->metric_count; k++) {
      if (strcmp(graph->metrics[k].output, output) != 0 || strcmp(graph->metrics[k].name, id) != 0)
        continue;
      *value = metric_value(evaluation, model, k);
      *higher = co_metric_find(id)->higher_is_better;
      return true;
    }
  }
  return false;
}

char *co_evaluation_known(const co_model *model) {
  const co_graph *graph = model->network;
  co_text text;
  co_text_init(&text, model->ctx);
  co_text_printf(&text, "known: loss");
  for (int64_t i = 0; i < model->output_count; i++) {
    const char *output = model->outputs[i].name;
    co_text_printf(&text, ", %s.%s", output, model->outputs[i].loss->metric);
    for (int64_t k = 0; k < graph->metric_count; k++)
      if (strcmp(graph->metrics[k].output, output) == 0)
        co_text_printf(&text, ", %s.%s", output, graph->metrics[k].name);
  }
  co_text_printf(&text, "; the output may be left out");
  char *known = text.status == CO_OK ? co_strdup(model->ctx, text.data) : NULL;
  co_text_free(&text);
  return known;
}
