// SPDX-License-Identifier: Apache-2.0
#include "host/eval/importance.h"

#include <math.h>

#include "host/core/rng.h"

const char *co_importance_metric(const co_model *model) {
  const co_column *column = model->output_count ? model->outputs[0].column : NULL;
  if (!column) return "loss";
  return column->type == CO_COLUMN_BINARY     ? "roc_auc"
         : column->type == CO_COLUMN_CATEGORY ? "log_loss"
         : column->type == CO_COLUMN_NUMBER   ? "rmse"
                                              : "loss";
}

typedef struct permuting {
  co_predictor *predictor;
  co_dataset *dataset;
  const co_importance_options *options;
  co_evaluation evaluation;
  int64_t *samples, *source; // that are looked at; whose values each of the dataset's samples has
  int64_t count, rows;
} permuting;

static co_status measure(permuting *p, co_evaluation_value *out) {
  const char *metric =
      p->options->metric ? p->options->metric : co_importance_metric(p->predictor->model);
  const co_scoring_options run = {.watch = p->options->watch,
                                  .stoppable = true,
                                  .workers = p->options->workers,
                                  .stage = "importance"};
  CO_RETURN_IF_FAILED(
      co_evaluate(&p->evaluation, p->predictor, p->dataset, p->samples, p->count, &run));
  if (co_evaluation_find(&p->evaluation, metric, out)) return CO_OK;
  return co_fail(CO_ERR_USAGE, "the model has no metric '%s'", metric);
}

static co_status choose_rows(permuting *p, const int64_t *samples, int64_t count) {
  co_context *ctx = p->predictor->ctx;
  int64_t most = p->options->most_rows ? p->options->most_rows : 20000;
  p->count = count < most ? count : most;
  p->rows = co_dataset_rows(p->dataset);
  p->samples = co_alloc(ctx, (size_t)(p->count + 1) * sizeof *p->samples);
  p->source = co_alloc(ctx, (size_t)(p->rows + 1) * sizeof *p->source);
  if (!p->samples || !p->source) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < p->count; i++)
    p->samples[i] = samples[i * count / p->count];
  for (int64_t i = 0; i < p->rows; i++)
    p->source[i] = i;
  return CO_OK;
}

static co_status permute(permuting *p, const co_input_feature *feature, int repeat, double *worse,
                         double base) {
  uint32_t purpose = co_purpose("importance", feature->name);
  co_evaluation_value found;
  for (int64_t i = 0; i < p->count; i++)
    p->source[p->samples[i]] = p->samples[co_permute(p->options->seed, (uint32_t)repeat, purpose,
                                                     (uint64_t)p->count, (uint64_t)i)];
  CO_RETURN_IF_FAILED(co_dataset_permute(p->dataset, feature->column->name, p->source));
  CO_RETURN_IF_FAILED(measure(p, &found));
  *worse = found.higher_is_better ? base - found.value : found.value - base;
  return CO_OK;
}

static co_status measure_feature(permuting *p, const co_input_feature *feature, double base,
                                 co_importance *out) {
  int repeats = p->options->repeats ? p->options->repeats : 3;
  *out = (co_importance){NAN, NAN, NAN};
  if (feature->event_table >= 0) return CO_OK;
  *out = (co_importance){0, INFINITY, -INFINITY};
  for (int k = 0; k < repeats; k++) {
    double worse;
    CO_RETURN_IF_FAILED(permute(p, feature, k, &worse, base));
    out->mean += worse / repeats;
    out->low = fmin(out->low, worse);
    out->high = fmax(out->high, worse);
  }
  return CO_OK;
}

co_status co_permutation_importance(co_importance *out, co_predictor *predictor,
                                    co_dataset *dataset, const int64_t *samples, int64_t count,
                                    const co_importance_options *options) {
  permuting p = {.predictor = predictor, .dataset = dataset, .options = options};
  const co_model *model = predictor->model;
  co_evaluation_value base;
  co_status status;
  CO_TRY(choose_rows(&p, samples, count));
  CO_TRY(co_evaluation_create(&p.evaluation, model));
  co_evaluation_collect_all(&p.evaluation);
  CO_TRY(measure(&p, &base));
  for (int64_t i = 0; i < model->input_count; i++)
    CO_TRY(measure_feature(&p, &model->inputs[i], base.value, &out[i]));
cleanup:
  (void)co_dataset_permute(dataset, NULL, NULL);
  co_evaluation_free(&p.evaluation);
  co_free(predictor->ctx, p.samples);
  co_free(predictor->ctx, p.source);
  return status;
}
