// SPDX-License-Identifier: Apache-2.0
#include "host/eval/comparison.h"

#include <math.h>
#include <string.h>

#include "host/eval/blend.h"
#include "host/eval/network.h"

enum { ROWS_AT_ONCE = 1024 };

static co_paired *paired_of(const co_comparison *c, int64_t baseline, int64_t output) {
  return c->paired + (baseline * c->model->output_count + output) * CO_MOST_COMPARED;
}

const co_paired *co_comparison_pairs(const co_comparison *c, int64_t baseline, int64_t output) {
  return paired_of(c, baseline, output);
}

static int64_t find_output(const co_model *model, const co_output_feature *output) {
  for (int64_t i = 0; output->column && i < model->output_count; i++) {
    const co_output_feature *other = &model->outputs[i];
    if (strcmp(other->name, output->name) == 0)
      return other->column && other->column->type == output->column->type ? i : -1;
  }
  return -1;
}

int64_t co_comparison_place(const co_comparison *c, int64_t baseline, int64_t output) {
  const bool beside = baseline < c->baselines.count;
  if (!beside || c->baselines.model->output_count == c->model->output_count) return output;
  return find_output(c->baselines.model, &c->model->outputs[output]);
}

const char *co_comparison_name(const co_comparison *c, int64_t baseline, int64_t output) {
  if (co_comparison_place(c, baseline, output) < 0) return "";
  if (baseline < c->baselines.count)
    return co_baseline_name(c->baselines.items[baseline], &c->model->outputs[output]);
  const char *copying = c->names[baseline - c->baselines.count];
  return !copying ? "network" : c->model->outputs[output].text ? copying : "";
}

double co_comparison_value(const co_comparison *c, int64_t baseline, int64_t output, int64_t k,
                           const co_evaluation_value *mine) {
  co_evaluation_value theirs;
  const int64_t place = co_comparison_place(c, baseline, output);
  return place >= 0 && co_evaluation_metric(&c->evaluations[baseline], place, k, &theirs) &&
                 strcmp(theirs.name, mine->name) == 0
             ? theirs.value
             : NAN;
}

char co_comparison_sign(const co_paired *pair, bool higher_is_better) {
  if (pair->interval.low > 0) return higher_is_better ? '+' : '-';
  if (pair->interval.high < 0) return higher_is_better ? '-' : '+';
  return ' ';
}

static co_status evaluate_copying(co_comparison *c, int64_t number) {
  const co_comparison_request *request = c->request;
  co_evaluation *evaluation = &c->evaluations[c->baselines.count + number];
  c->names[number] = co_text_baseline_name(c->model, number);
  if (!c->names[number]) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_evaluation_create(evaluation, c->model));
  return co_text_baseline_evaluate(evaluation, number, request->dataset, request->samples,
                                   request->evaluation->rows);
}

static co_status evaluate(co_comparison *c, int64_t i) {
  const co_comparison_request *request = c->request;
  co_evaluation *evaluation = &c->evaluations[i];
  bool network = i == c->baselines.count;
  co_predictor *predictor = co_blend_network(request->predictor);
  CO_RETURN_IF_FAILED(co_evaluation_create(evaluation, network ? c->model : c->baselines.model));
  co_evaluation_collect_all(evaluation);
  evaluation->keeps = true;
  evaluation->profit = request->evaluation->profit;
  co_status status =
      network ? CO_OK
              : co_network_open_beside(&predictor, c->baselines.items[i], ROWS_AT_ONCE, true);
  if (status == CO_OK)
    status = co_evaluate(evaluation, predictor, request->dataset, request->samples,
                         request->evaluation->rows, request->scoring);
  if (!network) co_predictor_close(predictor);
  return status;
}

// The metrics of an output that are over scores, by their place among all.
static int64_t list_scored(const co_comparison *c, int64_t output, const co_metric_class **metrics,
                           int64_t *places) {
  co_evaluation_value value;
  co_column_type type = c->model->outputs[output].column->type;
  int64_t count = 0;
  for (int64_t k = 0;
       k < CO_MOST_COMPARED && co_evaluation_metric(c->request->evaluation, output, k, &value);
       k++) {
    if (!value.scored) continue;
    places[count] = k;
    metrics[count++] = co_metric_find(value.name, type);
  }
  return count;
}

static co_status pair(co_comparison *c, int64_t baseline, int64_t output) {
  const co_metric_class *metrics[CO_MOST_COMPARED];
  int64_t places[CO_MOST_COMPARED], count = list_scored(c, output, metrics, places);
  co_paired found[CO_MOST_COMPARED];
  const co_evaluation *own = c->request->evaluation, *other = &c->evaluations[baseline];
  const int64_t place = co_comparison_place(c, baseline, output);
  co_measured mine = {.ctx = NULL}, theirs = {.ctx = NULL};
  co_status status = co_evaluation_measure(&mine, own, output, &own->scores[output]);
  if (status == CO_OK) status = co_evaluation_measure(&theirs, other, place, &other->scores[place]);
  if (status == CO_OK)
    status = co_bootstrap_paired(found, &mine, &theirs, metrics, count, c->request->bootstrap);
  for (int64_t k = 0; status == CO_OK && k < count; k++)
    paired_of(c, baseline, output)[places[k]] = found[k];
  co_measured_free(&mine);
  co_measured_free(&theirs);
  return status;
}

static co_status measure(co_comparison *c) {
  const int64_t copying = co_text_baseline_count(c->model); // then there is no blend
  c->count =
      c->baselines.count + (copying ? copying : co_blend_network(c->request->predictor) != NULL);
  size_t pairs = (size_t)(c->count * c->model->output_count) * CO_MOST_COMPARED;
  c->paired = co_alloc(c->model->ctx, (pairs + 1) * sizeof *c->paired);
  if (!c->paired) return CO_ERR_MEMORY;
  for (size_t i = 0; i < pairs; i++)
    c->paired[i] = (co_paired){NAN, {NAN, NAN}, NAN};
  for (int64_t i = 0; i < c->count; i++) {
    CO_RETURN_IF_FAILED(copying && i >= c->baselines.count
                            ? evaluate_copying(c, i - c->baselines.count)
                            : evaluate(c, i));
    for (int64_t k = 0; c->request->bootstrap->draws >= 0 && k < c->model->output_count; k++)
      if (*co_comparison_name(c, i, k)) CO_RETURN_IF_FAILED(pair(c, i, k));
  }
  return CO_OK;
}

co_status co_comparison_measure(co_comparison *out, const co_comparison_request *request) {
  *out = (co_comparison){.request = request, .model = request->predictor->model};
  CO_RETURN_IF_FAILED(co_baselines_read(&out->baselines, out->model, request->predictor->path));
  return measure(out);
}

void co_comparison_free(co_comparison *c) {
  if (!c->model) return;
  for (int64_t i = 0; i < c->count; i++)
    co_evaluation_free(&c->evaluations[i]);
  for (int64_t i = 0; i < CO_MOST_TEXT_BASELINES; i++)
    co_free(c->model->ctx, c->names[i]);
  co_free(c->model->ctx, c->paired);
  co_baselines_free(&c->baselines);
  memset(c, 0, sizeof *c);
}

// ---- two models --------------------------------------------------------------------------------

// Rows whose weight is 0, or whose target is missing, are not scored: which these are, a config may say.
static co_status check_same_rows(const co_scores *mine, const co_scores *theirs,
                                 const char *output) {
  const size_t bytes = (size_t)mine->count * sizeof *mine->sample;
  if (mine->count == theirs->count && memcmp(mine->sample, theirs->sample, bytes) == 0)
    return CO_OK;
  return co_fail(
      CO_ERR_DATA,
      "the models were measured on other rows of '%s' (%lld and %lld have a target and a "
      "weight): there are no paired differences",
      output, (long long)mine->count, (long long)theirs->count);
}

co_status co_comparison_of_output(co_output_pairs *out, const co_evaluation *a, int64_t output,
                                  const co_evaluation *b, const co_bootstrap_options *bootstrap) {
  const co_output_feature *feature = &a->model->outputs[output];
  const int64_t other = find_output(b->model, feature);
  co_evaluation_value value;
  out->count = 0;
  if (other < 0) return CO_OK;
  for (int64_t k = 0; k < CO_MOST_COMPARED && co_evaluation_metric(a, output, k, &value); k++) {
    const co_metric_class *metric = co_metric_find(value.name, feature->column->type);
    if (value.scored && co_evaluation_has(b, other, metric)) out->metrics[out->count++] = metric;
  }
  if (!out->count) return CO_OK;
  CO_RETURN_IF_FAILED(check_same_rows(&a->scores[output], &b->scores[other], feature->name));
  co_measured mine = {.ctx = NULL}, theirs = {.ctx = NULL};
  co_status status = co_evaluation_measure(&mine, a, output, &a->scores[output]);
  if (status == CO_OK) status = co_evaluation_measure(&theirs, b, other, &b->scores[other]);
  if (status == CO_OK)
    status = co_bootstrap_paired(out->found, &mine, &theirs, out->metrics, out->count, bootstrap);
  co_measured_free(&mine);
  co_measured_free(&theirs);
  return status;
}
