// SPDX-License-Identifier: Apache-2.0
#include "host/eval/evaluation.h"

#include <math.h>
#include <string.h>

#include "host/eval/scores.h"
#include "host/feed/collate.h"

static int64_t metric_classes(void) {
  int64_t count = 0;
  while (co_metric_list()[count])
    count++;
  return count;
}

co_status co_evaluation_create(co_evaluation *e, const co_model *model) {
  const co_graph *network = model->network;
  size_t scored = (size_t)(model->output_count * metric_classes());
  memset(e, 0, sizeof *e);
  e->model = model;
  e->sums = co_alloc_zero(model->ctx, (size_t)network->metric_doubles + 1, sizeof(double));
  e->weight_sum = co_alloc_zero(model->ctx, (size_t)network->loss_count + 1, sizeof(double));
  e->scored = co_alloc_zero(model->ctx, scored + 1, sizeof(double));
  for (size_t i = 0; e->scored && i < scored; i++)
    e->scored[i] = NAN;
  return e->sums && e->weight_sum && e->scored ? CO_OK : CO_ERR_MEMORY;
}

void co_evaluation_free(co_evaluation *e) {
  if (!e->model) return;
  co_free(e->model->ctx, e->sums);
  co_free(e->model->ctx, e->weight_sum);
  co_free(e->model->ctx, e->scored);
  memset(e, 0, sizeof *e);
}

// ---- collecting scores -------------------------------------------------------------------------

static bool has_scores(const co_output_feature *output) {
  for (int64_t k = 0; output->column && co_metric_list()[k]; k++)
    if (co_metric_list()[k]->score && co_metric_applies(co_metric_list()[k], output->column->type))
      return true;
  return false;
}

bool co_evaluation_needs_scores(const co_model *model) {
  for (int64_t i = 0; i < model->output_count; i++)
    if (has_scores(&model->outputs[i])) return true;
  return false;
}

typedef struct evaluating {
  co_evaluation *out;
  const co_model *model;
  co_scores *scores;     // per output
  co_collator *collator; // of targets and weights
  float *target, *weight;
} evaluating;

enum { ROWS_AT_ONCE = 4096 };

static co_status open_scores(evaluating *e, co_dataset *dataset, int64_t count) {
  co_context *ctx = e->model->ctx;
  e->scores = co_alloc_zero(ctx, (size_t)e->model->output_count, sizeof *e->scores);
  e->target = co_alloc(ctx, ROWS_AT_ONCE * sizeof(float));
  e->weight = co_alloc(ctx, ROWS_AT_ONCE * sizeof(float));
  if (!e->scores || !e->target || !e->weight) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < e->model->output_count; i++)
    if (has_scores(&e->model->outputs[i]))
      CO_RETURN_IF_FAILED(co_scores_create(&e->scores[i], ctx, count));
  return co_collator_create_targets(&e->collator, e->model, dataset);
}

static void close_scores(evaluating *e) {
  co_context *ctx = e->model->ctx;
  for (int64_t i = 0; e->scores && i < e->model->output_count; i++)
    co_scores_free(&e->scores[i], ctx);
  co_free(ctx, e->scores);
  co_free(ctx, e->target);
  co_free(ctx, e->weight);
  co_collator_free(e->collator);
}

// Targets and weights come from the dataset, by sample id.
static void add_scores(evaluating *e, int64_t output, const int64_t *samples, int64_t rows,
                       const float *scores) {
  const co_shape_class shape = {.rows = rows};
  double ignored = 0;
  for (int64_t k = 0; k < co_collator_count(e->collator); k++) {
    const co_feed *feed = co_collator_feed(e->collator, k);
    if (feed->loss == e->model->outputs[output].loss_index)
      co_collate(e->collator, k, &shape, samples, rows,
                 feed->kind == CO_FEED_TARGET ? e->target : e->weight, &ignored);
  }
  co_scores_add(&e->scores[output], scores, e->target, e->weight, rows);
}

static co_status take_scores(void *user, const int64_t *samples, int64_t rows,
                             const float *const *scores) {
  evaluating *e = user;
  for (int64_t i = 0; i < e->model->output_count; i++)
    for (int64_t first = 0; e->scores[i].capacity && first < rows; first += ROWS_AT_ONCE)
      add_scores(e, i, samples + first, rows - first < ROWS_AT_ONCE ? rows - first : ROWS_AT_ONCE,
                 scores[i] + first);
  return CO_OK;
}

static co_status finish_scores(evaluating *e) {
  int64_t classes = metric_classes();
  for (int64_t i = 0; i < e->model->output_count; i++) {
    co_scored_rows rows;
    if (!e->scores[i].capacity) continue;
    CO_RETURN_IF_FAILED(co_scores_rank(&e->scores[i], e->model->ctx, &rows));
    for (int64_t k = 0; k < classes; k++) {
      const co_metric_class *metric = co_metric_list()[k];
      if (metric->score && co_metric_applies(metric, e->model->outputs[i].column->type))
        e->out->scored[i * classes + k] = metric->score(&rows);
    }
  }
  return CO_OK;
}

co_status co_evaluate(co_evaluation *out, co_predictor *predictor, co_dataset *dataset,
                      const int64_t *samples, int64_t count, const co_scoring_options *options) {
  evaluating e = {.out = out, .model = predictor->model};
  co_scoring_options own = *options;
  bool scored = co_evaluation_needs_scores(e.model);
  co_status status;
  own.sums = out->sums;
  own.weight_sum = out->weight_sum;
  own.user = &e;
  own.sink = scored ? take_scores : NULL;
  out->rows = count;
  if (scored) CO_TRY(open_scores(&e, dataset, count));
  CO_TRY(predictor->class_->run(predictor, dataset, samples, count, &own));
  if (scored) CO_TRY(finish_scores(&e));
cleanup:
  close_scores(&e);
  return status;
}

// ---- values ------------------------------------------------------------------------------------

static double mean_loss(const co_evaluation *e, int64_t loss) {
  const co_graph *graph = e->model->network;
  const co_loss_info *info = &graph->losses[loss];
  int32_t at = graph->values[e->training ? info->sum : info->reported].index;
  double weight = e->weight_sum[loss];
  return weight > 0 ? e->sums[at] / weight : NAN;
}

double co_evaluation_loss(const co_evaluation *e) {
  const co_graph *graph = e->model->network;
  double total = 0;
  bool any = false;
  for (int64_t i = 0; i < graph->loss_count; i++) {
    if (!(e->weight_sum[i] > 0)) continue; // nothing known of this output
    total += graph->losses[i].weight * mean_loss(e, i);
    any = true;
  }
  return any ? total : NAN;
}

static double sum_value(const co_evaluation *e, int64_t i) {
  const co_graph *graph = e->model->network;
  const double *sums = &e->sums[graph->values[graph->metrics[i].sums].index];
  return sums[1] > 0 ? sums[0] / sums[1] : NAN;
}

// The loss, then sums, then metrics over scores.
bool co_evaluation_metric(const co_evaluation *e, int64_t output, int64_t i, const char **name,
                          double *value, bool *higher) {
  const co_output_feature *feature = &e->model->outputs[output];
  const co_graph *graph = e->model->network;
  if (i-- == 0) {
    const co_loss_info *info = &graph->losses[feature->loss_index];
    bool other = e->training && info->sum != info->reported;
    *name = other ? info->loss_name : co_loss_metric(feature);
    *value = mean_loss(e, feature->loss_index);
    *higher = false;
    return true;
  }
  for (int64_t k = 0; k < graph->metric_count; k++) {
    if (strcmp(graph->metrics[k].output, feature->name) != 0 || i-- != 0) continue;
    *name = graph->metrics[k].name;
    *value = sum_value(e, k);
    *higher = co_metric_find(*name)->higher_is_better;
    return true;
  }
  for (int64_t k = 0; feature->column && co_metric_list()[k]; k++) {
    const co_metric_class *metric = co_metric_list()[k];
    if (!metric->score || !co_metric_applies(metric, feature->column->type) || i-- != 0) continue;
    *name = metric->name;
    *value = e->scored[output * metric_classes() + k];
    *higher = metric->higher_is_better;
    return true;
  }
  return false;
}

void co_evaluation_render(co_json *json, const co_evaluation *e, bool scored) {
  const char *name;
  double value;
  bool higher;
  co_json_open(json, '{');
  for (int64_t i = 0; i < e->model->output_count; i++) {
    co_json_key(json, e->model->outputs[i].name);
    co_json_open(json, '{');
    for (int64_t k = 0; co_evaluation_metric(e, i, k, &name, &value, &higher); k++) {
      const co_metric_class *metric = co_metric_find(name);
      if (metric && metric->score && !scored) continue;
      co_json_key(json, name);
      co_json_double(json, value);
    }
    co_json_close(json);
  }
  co_json_close(json);
}

// Names that are accepted, but never printed.
static const char *canonical(const char *id) {
  if (strcmp(id, "logloss") == 0) return "log_loss";
  if (strcmp(id, "auc") == 0) return "roc_auc";
  return id;
}

bool co_evaluation_find(const co_evaluation *e, const char *metric, double *value, bool *higher) {
  if (!metric || strcmp(metric, "loss") == 0) {
    *value = co_evaluation_loss(e);
    *higher = false;
    return true;
  }
  const char *dot = strrchr(metric, '.'), *name;
  const char *id = canonical(dot ? dot + 1 : metric);
  for (int64_t i = 0; i < e->model->output_count; i++) {
    const char *output = e->model->outputs[i].name;
    if (dot && (strlen(output) != (size_t)(dot - metric) ||
                strncmp(output, metric, (size_t)(dot - metric)) != 0))
      continue;
    for (int64_t k = 0; co_evaluation_metric(e, i, k, &name, value, higher); k++)
      if (strcmp(name, id) == 0) return true;
  }
  return false;
}

char *co_evaluation_known(const co_evaluation *e) {
  co_context *ctx = e->model->ctx;
  const char *name;
  double value;
  bool higher;
  co_text text;
  co_text_init(&text, ctx);
  co_text_printf(&text, "known: loss");
  for (int64_t i = 0; i < e->model->output_count; i++)
    for (int64_t k = 0; co_evaluation_metric(e, i, k, &name, &value, &higher); k++)
      co_text_printf(&text, ", %s.%s", e->model->outputs[i].name, name);
  co_text_printf(&text, "; the output may be left out");
  char *known = text.status == CO_OK ? co_strdup(ctx, text.data) : NULL;
  co_text_free(&text);
  return known;
}
