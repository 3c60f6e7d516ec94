// SPDX-License-Identifier: Apache-2.0
#include "host/api/baselines.h"

#include <math.h>
#include <string.h>

#include "host/eval/baselines.h"
#include "host/eval/network.h"

enum { MOST_METRICS = 64, ROWS_AT_ONCE = 1024 };

typedef struct comparison {
  const co_comparison_request *request;
  const co_model *model; // the network's
  co_baselines baselines;
  co_evaluation evaluations[CO_MOST_BASELINES];
  co_paired *paired; // per baseline, output and its i-th metric; NaN where there is no pair
} comparison;

static co_paired *paired_of(const comparison *c, int64_t baseline, int64_t output) {
  return c->paired + (baseline * c->model->output_count + output) * MOST_METRICS;
}

// ---- measuring ---------------------------------------------------------------------------------

static co_status evaluate(comparison *c, int64_t i) {
  const co_comparison_request *request = c->request;
  co_evaluation *evaluation = &c->evaluations[i];
  co_predictor *predictor;
  CO_RETURN_IF_FAILED(co_evaluation_create(evaluation, c->baselines.model));
  co_evaluation_collect_all(evaluation);
  evaluation->keeps = true;
  evaluation->profit = request->evaluation->profit;
  co_status status = co_network_open_beside(&predictor, c->baselines.items[i], ROWS_AT_ONCE);
  if (status == CO_OK)
    status = co_evaluate(evaluation, predictor, request->dataset, request->samples,
                         request->evaluation->rows, request->scoring);
  co_predictor_close(predictor);
  return status;
}

// The metrics of an output that are over scores, by their place among all.
static int64_t list_scored(const comparison *c, int64_t output, const co_metric_class **metrics,
                           int64_t *places) {
  co_evaluation_value value;
  co_column_type type = c->model->outputs[output].column->type;
  int64_t count = 0;
  for (int64_t k = 0;
       k < MOST_METRICS && co_evaluation_metric(c->request->evaluation, output, k, &value); k++) {
    if (!value.scored) continue;
    places[count] = k;
    metrics[count++] = co_metric_find(value.name, type);
  }
  return count;
}

static co_status pair(comparison *c, int64_t baseline, int64_t output) {
  const co_metric_class *metrics[MOST_METRICS];
  int64_t places[MOST_METRICS], count = list_scored(c, output, metrics, places);
  co_paired found[MOST_METRICS];
  const co_evaluation *own = c->request->evaluation, *other = &c->evaluations[baseline];
  co_measured mine = {.ctx = NULL}, theirs = {.ctx = NULL};
  co_status status = co_evaluation_measure(&mine, own, output, &own->scores[output]);
  if (status == CO_OK)
    status = co_evaluation_measure(&theirs, other, output, &other->scores[output]);
  if (status == CO_OK)
    status = co_bootstrap_paired(found, &mine, &theirs, metrics, count, c->request->bootstrap);
  for (int64_t k = 0; status == CO_OK && k < count; k++)
    paired_of(c, baseline, output)[places[k]] = found[k];
  co_measured_free(&mine);
  co_measured_free(&theirs);
  return status;
}

static co_status measure(comparison *c) {
  size_t pairs = (size_t)(c->baselines.count * c->model->output_count) * MOST_METRICS;
  c->paired = co_alloc(c->model->ctx, (pairs + 1) * sizeof *c->paired);
  if (!c->paired) return CO_ERR_MEMORY;
  for (size_t i = 0; i < pairs; i++)
    c->paired[i] = (co_paired){NAN, {NAN, NAN}};
  for (int64_t i = 0; i < c->baselines.count; i++) {
    CO_RETURN_IF_FAILED(evaluate(c, i));
    for (int64_t k = 0; c->request->bootstrap->draws >= 0 && k < c->model->output_count; k++)
      CO_RETURN_IF_FAILED(pair(c, i, k));
  }
  return CO_OK;
}

// ---- telling -----------------------------------------------------------------------------------

static const char *name_of(const comparison *c, int64_t baseline, int64_t output) {
  return co_baseline_name(c->baselines.items[baseline], &c->model->outputs[output]);
}

static void render_values(co_json *json, const comparison *c, int64_t baseline, int64_t output) {
  co_evaluation_value value;
  for (int64_t k = 0; co_evaluation_metric(&c->evaluations[baseline], output, k, &value); k++) {
    co_json_key(json, value.name);
    co_json_double(json, value.value);
  }
}

static void render_pairs(co_json *json, const comparison *c, int64_t baseline, int64_t output) {
  const co_paired *pairs = paired_of(c, baseline, output);
  co_evaluation_value value;
  for (int64_t k = 0;
       k < MOST_METRICS && co_evaluation_metric(c->request->evaluation, output, k, &value); k++) {
    if (!value.scored || c->request->bootstrap->draws < 0) continue;
    co_json_key(json, value.name);
    co_json_open(json, '{');
    co_json_key(json, "difference");
    co_json_double(json, pairs[k].value);
    co_json_key(json, "interval");
    co_json_open(json, '[');
    co_json_double(json, pairs[k].interval.low);
    co_json_double(json, pairs[k].interval.high);
    co_json_close(json);
    co_json_close(json);
  }
}

typedef void (*render_output)(co_json *json, const comparison *c, int64_t baseline, int64_t output);

// The outputs of a baseline that have this name there (a linear model has two).
static void render_named(co_json *json, const comparison *c, int64_t baseline, const char *name,
                         render_output render) {
  bool opened = false;
  for (int64_t i = 0; i < c->model->output_count; i++) {
    if (strcmp(name_of(c, baseline, i), name) != 0) continue;
    if (!opened) {
      co_json_key(json, name);
      co_json_open(json, '{');
    }
    opened = true;
    co_json_key(json, c->model->outputs[i].name);
    co_json_open(json, '{');
    render(json, c, baseline, i);
    co_json_close(json);
  }
  if (opened) co_json_close(json);
}

static void render(co_json *json, const comparison *c, const char *key, render_output what) {
  co_json_key(json, key);
  co_json_open(json, '{');
  for (int64_t i = 0; i < c->baselines.count; i++) {
    const char *name = c->baselines.items[i]->class_->name;
    if (strcmp(name, "linear") == 0) render_named(json, c, i, "logistic", what);
    render_named(json, c, i, name, what);
  }
  co_json_close(json);
}

// '+' where the model is better than the baseline beyond doubt, '-' where it is worse.
static char sign_of(const co_paired *pair, bool higher_is_better) {
  if (pair->interval.low > 0) return higher_is_better ? '+' : '-';
  if (pair->interval.high < 0) return higher_is_better ? '-' : '+';
  return ' ';
}

static void print_output(co_text *text, const comparison *c, int64_t output) {
  co_evaluation_value mine, theirs;
  co_text_printf(text, "  %-45s %-10s", c->model->outputs[output].name, "model");
  for (int64_t i = 0; i < c->baselines.count; i++)
    co_text_printf(text, "   %-13s", name_of(c, i, output));
  co_text_printf(text, "\n");
  for (int64_t k = 0;
       k < MOST_METRICS && co_evaluation_metric(c->request->evaluation, output, k, &mine); k++) {
    co_text_printf(text, "  %-24s %-20s %-10.6g", "", mine.name, mine.value);
    for (int64_t i = 0; i < c->baselines.count; i++) {
      co_evaluation_metric(&c->evaluations[i], output, k, &theirs);
      co_text_printf(text, " %c %-13.6g",
                     sign_of(&paired_of(c, i, output)[k], mine.higher_is_better), theirs.value);
    }
    co_text_printf(text, "\n");
  }
}

static void print(co_text *text, const comparison *c) {
  if (!c->baselines.count) return;
  co_text_printf(text,
                 "beside baselines (+ the model is better, - it is worse: the 95 %% interval of "
                 "their paired difference is without 0)\n");
  for (int64_t i = 0; i < c->model->output_count; i++)
    print_output(text, c, i);
}

co_status co_compare_baselines(cohort_result *result, const co_comparison_request *request) {
  const co_predictor *predictor = request->predictor;
  comparison c = {.request = request, .model = predictor->model};
  co_status status;
  CO_TRY(co_baselines_read(&c.baselines, c.model, predictor->path));
  CO_TRY(measure(&c));
  render(&result->json, &c, "baselines", render_values);
  render(&result->json, &c, "paired", render_pairs);
  print(&result->text, &c);
cleanup:
  for (int64_t i = 0; i < c.baselines.count; i++)
    co_evaluation_free(&c.evaluations[i]);
  co_free(c.model->ctx, c.paired);
  co_baselines_free(&c.baselines);
  return status;
}
