// SPDX-License-Identifier: Apache-2.0
#include "host/eval/evaluation.h"

#include <math.h>
#include <string.h>

#include "host/eval/units.h"
#include "host/feed/collate.h"
#include "models/catalogue.h"
#include "models/feature.h"

// Metrics in the list.
static int64_t metric_classes(void) {
  int64_t count = 0;
  while (co_metric_list()[count])
    count++;
  return count;
}

static bool is_catalogue(const co_output_feature *output) {
  return output->column && output->column->type == CO_COLUMN_CATEGORY &&
         co_metric_is_catalogue(output->name, output->width);
}

static bool has_scores(const co_output_feature *output) {
  for (int64_t k = 0; output->column && co_metric_list()[k]; k++)
    if (co_metric_is_scored(co_metric_list()[k], output->column->type)) return true;
  return false;
}

const co_column *co_output_image(const co_output_feature *output) {
  const co_column *column = output->reconstructs ? output->reconstructs->column : NULL;
  return column && column->type == CO_COLUMN_IMAGE && column->shape.rank == 3 ? column : NULL;
}

bool co_evaluation_needs_scores(const co_model *model) {
  for (int64_t i = 0; i < model->output_count; i++)
    if (has_scores(&model->outputs[i]) || co_output_image(&model->outputs[i])) return true;
  return false;
}

co_status co_evaluation_create(co_evaluation *e, const co_model *model) {
  const co_graph *network = model->network;
  co_context *ctx = model->ctx;
  size_t outputs = (size_t)model->output_count, scored = outputs * (size_t)metric_classes();
  memset(e, 0, sizeof *e);
  e->model = model;
  e->of_histories = co_history_is_there(model);
  e->sums = co_alloc_zero(ctx, (size_t)network->metric_doubles + 1, sizeof(double));
  e->weight_sum = co_alloc_zero(ctx, (size_t)network->loss_count + 1, sizeof(double));
  e->scored = co_alloc_zero(ctx, scored + 1, sizeof(double));
  e->scores = co_alloc_zero(ctx, outputs + 1, sizeof *e->scores);
  e->collects = co_alloc_zero(ctx, outputs + 1, sizeof *e->collects);
  e->quality = co_alloc_zero(ctx, outputs + 1, sizeof *e->quality);
  if (!e->sums || !e->weight_sum || !e->scored || !e->scores || !e->collects || !e->quality)
    return CO_ERR_MEMORY;
  for (size_t i = 0; i < scored; i++)
    e->scored[i] = NAN;
  for (size_t i = 0; i < outputs; i++)
    e->collects[i] = model->outputs[i].column && model->outputs[i].column->type == CO_COLUMN_BINARY;
  return CO_OK;
}

void co_evaluation_collect_all(co_evaluation *e) {
  for (int64_t i = 0; i < e->model->output_count; i++)
    e->collects[i] = has_scores(&e->model->outputs[i]);
  e->looks = true;
}

void co_evaluation_free(co_evaluation *e) {
  if (!e->model) return;
  co_context *ctx = e->model->ctx;
  for (int64_t i = 0; e->scores && i < e->model->output_count; i++)
    co_scores_free(&e->scores[i]);
  for (int64_t i = 0; e->quality && i < e->model->output_count; i++)
    co_image_quality_free(&e->quality[i]);
  co_free(ctx, e->quality);
  co_free(ctx, e->sums);
  co_free(ctx, e->weight_sum);
  co_free(ctx, e->scored);
  co_free(ctx, e->intervals);
  co_free(ctx, e->scores);
  co_free(ctx, e->collects);
  memset(e, 0, sizeof *e);
}

// ---- collecting scores -------------------------------------------------------------------------

typedef struct evaluating {
  co_evaluation *out;
  const co_model *model;
  const co_scoring_options *options; // the caller's
  co_collator *collator;             // of targets and weights
  int64_t *units;                    // by sample, of events; NULL = each sample is one
  co_history history;                // of items, where there is one
  co_seen seen;
  const int64_t *owners; // by sample: rows of entities; NULL = each has one sample
  float *target, *weight;
  co_dataset *dataset;
  uint8_t *pixels;      // of one image given back, as it was
  float *image, *given; // its values within [0, 1], as it was and is
} evaluating;

enum { ROWS_AT_ONCE = 4096, MOST_METRICS = 64 };

// Of several quantiles the one nearest to the median stands for the number.
static int64_t middle_quantile(const co_output_feature *output) {
  int64_t best = 0;
  for (int64_t k = 1; k < output->loss_attr.level_count; k++)
    if (fabs(output->loss_attr.levels[k] - 0.5) < fabs(output->loss_attr.levels[best] - 0.5))
      best = k;
  return best;
}

co_status co_evaluation_make_room(co_evaluation *e, int64_t i, int64_t rows) {
  const co_output_feature *output = &e->model->outputs[i];
  co_scores_free(&e->scores[i]);
  CO_RETURN_IF_FAILED(
      co_scores_create(&e->scores[i], e->model->ctx, output->column->type, output->width,
                       is_catalogue(output) ? CO_KEPT_LISTS : CO_KEPT_SCORES, rows));
  e->scores[i].point = middle_quantile(output);
  if (output->catalogue) e->scores[i].trained = output->catalogue->rows->bytes;
  return CO_OK;
}

co_status co_evaluation_open_texts(co_evaluation *e, int64_t i, co_dataset *dataset) {
  const co_output_feature *output = &e->model->outputs[i];
  const char *const *texts;
  const int64_t *index;
  int64_t rows;
  if (!output->text) return CO_OK;
  CO_RETURN_IF_FAILED(co_dataset_texts(dataset, output->column->name, &texts, &rows, &index));
  return co_scores_compare_with(&e->scores[i], output->text, texts, rows, index);
}

// A model of events' items has one output.
static co_status open_history(evaluating *e, co_scores *scores, co_dataset *dataset) {
  scores->exclude_seen = e->options->exclude_seen;
  if (!e->out->of_histories) return CO_OK;
  CO_RETURN_IF_FAILED(co_history_open(&e->history, e->model, dataset));
  scores->seen = &e->seen;
  return co_seen_open(&e->seen, e->model->ctx, &e->history);
}

static co_status open_scores(evaluating *e, co_dataset *dataset, int64_t count) {
  co_context *ctx = e->model->ctx;
  int64_t most = 1; // of a row's target
  for (int64_t i = 0; i < e->model->output_count; i++) {
    const co_output_feature *output = &e->model->outputs[i];
    if (!e->out->collects[i]) continue;
    if (output->column->type != CO_COLUMN_CATEGORY && output->width > most) most = output->width;
    CO_RETURN_IF_FAILED(co_evaluation_make_room(e->out, i, count));
    CO_RETURN_IF_FAILED(co_evaluation_open_texts(e->out, i, dataset));
    if (!is_catalogue(output)) continue;
    if (!e->units) CO_RETURN_IF_FAILED(co_sample_units(&e->units, ctx, dataset));
    CO_RETURN_IF_FAILED(open_history(e, &e->out->scores[i], dataset));
  }
  CO_RETURN_IF_FAILED(co_sample_owners(&e->owners, dataset));
  e->target = co_alloc(ctx, ROWS_AT_ONCE * (size_t)most * sizeof(float));
  e->weight = co_alloc(ctx, ROWS_AT_ONCE * sizeof(float));
  if (!e->target || !e->weight) return CO_ERR_MEMORY;
  return co_collator_create_targets(&e->collator, e->model, dataset);
}

static void close_scores(evaluating *e) {
  co_context *ctx = e->model->ctx;
  co_free(ctx, e->pixels);
  co_free(ctx, e->image);
  co_free(ctx, e->given);
  co_free(ctx, e->target);
  co_free(ctx, e->weight);
  co_free(ctx, e->units);
  co_seen_close(&e->seen, ctx);
  for (int64_t i = 0; e->out->scores && i < e->model->output_count; i++)
    e->out->scores[i].seen = NULL;
  co_collator_free(e->collator);
}

// ---- images given back

co_status co_evaluation_make_quality(co_evaluation *e, int64_t i) {
  const co_column *column = co_output_image(&e->model->outputs[i]);
  co_image_quality_free(&e->quality[i]);
  return column ? co_image_quality_create(&e->quality[i], e->model->ctx, column->shape.dim[0],
                                          column->shape.dim[1], column->shape.dim[2])
                : CO_OK;
}

static co_status open_quality(evaluating *e, co_dataset *dataset) {
  co_context *ctx = e->model->ctx;
  int64_t most = 0;
  for (int64_t i = 0; e->out->looks && i < e->model->output_count; i++) {
    const co_column *column = co_output_image(&e->model->outputs[i]);
    if (!column) continue;
    const int64_t values = co_shape_count(&column->shape);
    CO_RETURN_IF_FAILED(co_evaluation_make_quality(e->out, i));
    if (values > most) most = values;
  }
  e->dataset = dataset;
  e->pixels = co_alloc(ctx, (size_t)most + 1);
  e->image = co_alloc(ctx, (size_t)(most + 1) * sizeof(float));
  e->given = co_alloc(ctx, (size_t)(most + 1) * sizeof(float));
  return e->pixels && e->image && e->given ? CO_OK : CO_ERR_MEMORY;
}

// Back from what the network is fed, to parts of the range that pixels have.
static co_status look_at(evaluating *e, int64_t output, const int64_t *samples, int64_t rows,
                         const float *scores) {
  const co_input_feature *of = e->model->outputs[output].reconstructs;
  const float *mean = co_feature_fitted(of, "mean")->bytes;
  const float *scale = co_feature_fitted(of, "scale")->bytes;
  const int64_t width = e->model->outputs[output].width, channels = of->column->shape.dim[2];
  for (int64_t row = 0; row < rows; row++) {
    CO_RETURN_IF_FAILED(
        co_dataset_gather(e->dataset, of->column->name, &samples[row], 1, e->pixels));
    for (int64_t i = 0; i < width; i++) {
      const int64_t c = i % channels;
      const double value = (double)scores[row * width + i] / (double)scale[c] + (double)mean[c];
      e->image[i] = (float)(e->pixels[i] / 255.0);
      e->given[i] = (float)(fmin(fmax(value, 0), 255) / 255.0);
    }
    co_image_quality_add(&e->out->quality[output], e->image, e->given, 1);
  }
  return CO_OK;
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
  co_scores *out = &e->out->scores[output];
  co_scores_add(out, samples, out->kept != CO_KEPT_SCORES ? e->units : e->owners, scores, e->target,
                e->weight, rows);
}

static co_status take_scores(void *user, const int64_t *samples, int64_t rows,
                             const float *const *scores) {
  evaluating *e = user;
  for (int64_t i = 0; i < e->model->output_count; i++)
    for (int64_t first = 0; e->out->collects[i] && first < rows; first += ROWS_AT_ONCE)
      add_scores(e, i, samples + first, rows - first < ROWS_AT_ONCE ? rows - first : ROWS_AT_ONCE,
                 scores[i] + first * e->model->outputs[i].width);
  for (int64_t i = 0; i < e->model->output_count; i++)
    if (e->out->quality[i].ctx) CO_RETURN_IF_FAILED(look_at(e, i, samples, rows, scores[i]));
  return e->options->sink ? e->options->sink(e->options->user, samples, rows, scores) : CO_OK;
}

static const co_profit *profit_of(const co_evaluation *e, int64_t output) {
  return e->profit ? e->profit : e->model->outputs[output].decision.profit;
}

co_status co_evaluation_measure(co_measured *out, const co_evaluation *e, int64_t output,
                                const co_scores *scores) {
  const co_decision_rule rule = {co_output_threshold(&e->model->outputs[output]),
                                 profit_of(e, output)};
  return co_measured_create(out, scores, &rule);
}

bool co_evaluation_has(const co_evaluation *e, int64_t output, const co_metric_class *metric) {
  const co_output_feature *feature = &e->model->outputs[output];
  return feature->column && co_metric_is_scored(metric, feature->column->type) &&
         (!metric->needs_profit || profit_of(e, output)) &&
         feature->width >= metric->needs_classes && (!metric->needs_history || e->of_histories) &&
         (!metric->needs_new_items || feature->catalogue) &&
         (is_catalogue(feature) ? !metric->needs_scores : !metric->needs_catalogue);
}

static bool is_measured(const co_evaluation *e, int64_t output, const co_metric_class *metric) {
  return e->collects[output] && co_evaluation_has(e, output, metric);
}

static co_status measure(co_evaluation *e, int64_t output) {
  co_measured measured;
  co_status status = co_evaluation_measure(&measured, e, output, &e->scores[output]);
  for (int64_t k = 0; status == CO_OK && co_metric_list()[k]; k++)
    if (is_measured(e, output, co_metric_list()[k]))
      e->scored[output * metric_classes() + k] = co_measured_value(&measured, co_metric_list()[k]);
  co_measured_free(&measured);
  return status;
}

co_status co_evaluation_measure_all(co_evaluation *e) {
  for (int64_t i = 0; i < e->model->output_count; i++)
    if (e->collects[i]) CO_RETURN_IF_FAILED(measure(e, i));
  return CO_OK;
}

co_status co_evaluate(co_evaluation *out, co_predictor *predictor, co_dataset *dataset,
                      const int64_t *samples, int64_t count, const co_scoring_options *options) {
  evaluating e = {.out = out, .model = predictor->model, .options = options};
  co_scoring_options own = *options;
  bool scored = false;
  co_status status = CO_OK;
  for (int64_t i = 0; i < e.model->output_count; i++)
    scored = scored || out->collects[i] || (out->looks && co_output_image(&e.model->outputs[i]));
  own.sums = out->sums;
  own.weight_sum = out->weight_sum;
  own.user = &e;
  own.sink = scored || options->sink ? take_scores : NULL;
  out->rows = count;
  if (scored) CO_TRY(open_scores(&e, dataset, count));
  if (scored) CO_TRY(open_quality(&e, dataset));
  CO_TRY(predictor->class_->run(predictor, dataset, samples, count, &own));
  CO_TRY(co_evaluation_measure_all(out));
cleanup:
  close_scores(&e);
  for (int64_t i = 0; i < e.model->output_count; i++)
    if (!out->keeps) co_scores_free(&out->scores[i]);
  return status;
}

static co_status add_intervals(co_evaluation *e, int64_t output,
                               const co_bootstrap_options *options) {
  int64_t classes = metric_classes(), count = 0;
  const co_metric_class *metrics[MOST_METRICS];
  co_interval intervals[MOST_METRICS];
  co_measured measured;
  for (int64_t k = 0; k < classes; k++)
    if (is_measured(e, output, co_metric_list()[k])) metrics[count++] = co_metric_list()[k];
  co_status status = co_evaluation_measure(&measured, e, output, &e->scores[output]);
  if (status == CO_OK) status = co_bootstrap(intervals, &measured, metrics, count, options);
  for (int64_t k = 0, i = 0; status == CO_OK && k < classes; k++)
    if (is_measured(e, output, co_metric_list()[k]))
      e->intervals[output * classes + k] = intervals[i++];
  co_measured_free(&measured);
  return status;
}

co_status co_evaluation_bootstrap(co_evaluation *e, const co_bootstrap_options *options) {
  int64_t outputs = e->model->output_count, count = outputs * metric_classes();
  if (!e->intervals)
    e->intervals = co_alloc(e->model->ctx, (size_t)(count + 1) * sizeof(co_interval));
  if (!e->intervals) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < count; i++)
    e->intervals[i] = (co_interval){NAN, NAN};
  for (int64_t i = 0; i < outputs; i++)
    if (e->collects[i]) CO_RETURN_IF_FAILED(add_intervals(e, i, options));
  return CO_OK;
}

// ---- values ------------------------------------------------------------------------------------

static double mean_loss(const co_evaluation *e, int64_t loss) {
  const co_graph *graph = e->model->network;
  const co_loss_info *info = &graph->losses[loss];
  int32_t at = graph->values[e->training ? info->sum : info->reported].index;
  double weight = e->weight_sum[loss];
  return weight > 0 ? e->sums[at] / weight : NAN;
}

// In the units that it is trained in, where outputs count alike, or in those of the target.
static double loss_in_units(const co_evaluation *e, int64_t loss, bool trained) {
  const co_loss_info *info = &e->model->network->losses[loss];
  const double mean = mean_loss(e, loss);
  if (!info->scale || trained == e->training) return mean;
  const double unit = pow((double)*info->scale, info->degree);
  return trained ? mean * unit : mean / unit;
}

double co_evaluation_loss(const co_evaluation *e) {
  const co_graph *graph = e->model->network;
  double total = 0;
  bool any = false;
  for (int64_t i = 0; i < graph->loss_count; i++) {
    if (!(e->weight_sum[i] > 0)) continue; // nothing known of this output
    total += graph->losses[i].weight * loss_in_units(e, i, true);
    any = true;
  }
  return any ? total : NAN;
}

static double sum_value(const co_evaluation *e, int64_t i) {
  const co_graph *graph = e->model->network;
  const double *sums = &e->sums[graph->values[graph->metrics[i].sums].index];
  return sums[1] > 0 ? sums[0] / sums[1] : NAN;
}

// The number of the scored metric of that name in the list, -1 if the output has none.
static int64_t find_scored(const co_evaluation *e, int64_t output, const char *name) {
  const co_output_feature *feature = &e->model->outputs[output];
  for (int64_t k = 0; feature->column && co_metric_list()[k]; k++)
    if (strcmp(co_metric_list()[k]->name, name) == 0 &&
        co_metric_is_scored(co_metric_list()[k], feature->column->type))
      return k;
  return -1;
}

static co_evaluation_value value_of(const co_evaluation *e, int64_t output, const char *name,
                                    double sum, bool summed, bool higher) {
  int64_t k = find_scored(e, output, name), at = output * metric_classes() + k;
  co_evaluation_value value = {.name = name,
                               .value = sum,
                               .higher_is_better = higher,
                               .descriptive = k >= 0 && co_metric_list()[k]->descriptive,
                               .summed = summed,
                               .scored = k >= 0 && e->collects[output] && e->rows,
                               .interval = {NAN, NAN}};
  if (!value.scored) return value;
  value.value = e->scored[at];
  if (e->intervals) value.interval = e->intervals[at];
  return value;
}

static bool is_sum(const co_evaluation *e, const co_output_feature *feature, const char *name) {
  const co_graph *graph = e->model->network;
  for (int64_t k = 0; k < graph->metric_count; k++)
    if (strcmp(graph->metrics[k].output, feature->name) == 0 &&
        strcmp(graph->metrics[k].name, name) == 0)
      return true;
  return false;
}

// Beside a variational output's loss: "kl", in nats a row, and the bound "elbo".
static co_evaluation_value variational_value(const co_evaluation *e,
                                             const co_output_feature *feature, bool bound) {
  const co_variational *v = feature->variational;
  const double kl = (double)v->units * mean_loss(e, v->loss_index);
  return (co_evaluation_value){
      .name = bound ? "elbo" : "kl",
      .value = bound ? co_evidence_bound(feature, mean_loss(e, feature->loss_index), kl) : kl,
      .higher_is_better = bound,
      .summed = true,
      .interval = {NAN, NAN}};
}

// The loss, then sums, then metrics over scores that are neither.
bool co_evaluation_metric(const co_evaluation *e, int64_t output, int64_t i,
                          co_evaluation_value *out) {
  const co_output_feature *feature = &e->model->outputs[output];
  const co_graph *graph = e->model->network;
  const char *loss = co_loss_metric(feature);
  if (i-- == 0) {
    const co_loss_info *info = &graph->losses[feature->loss_index];
    const double mean = loss_in_units(e, feature->loss_index, false);
    *out = e->training && info->sum != info->reported
               ? (co_evaluation_value){.name = info->loss_name,
                                       .value = mean,
                                       .summed = true,
                                       .interval = {NAN, NAN}}
               : value_of(e, output, loss, mean, true, false);
    return true;
  }
  for (int bound = 0; feature->variational && bound < 2; bound++) {
    if (i-- != 0) continue;
    *out = variational_value(e, feature, bound);
    return true;
  }
  for (int64_t k = 0; k < graph->metric_count; k++) {
    const char *name = graph->metrics[k].name;
    if (strcmp(graph->metrics[k].output, feature->name) != 0 || i-- != 0) continue;
    *out =
        value_of(e, output, name, sum_value(e, k), true,
                 feature->column && co_metric_find(name, feature->column->type)->higher_is_better);
    return true;
  }
  for (int64_t k = 0; feature->column && co_metric_list()[k]; k++) {
    const co_metric_class *metric = co_metric_list()[k];
    if (!co_evaluation_has(e, output, metric) || strcmp(metric->name, loss) == 0 ||
        is_sum(e, feature, metric->name) || i-- != 0)
      continue;
    *out = value_of(e, output, metric->name, NAN, false, metric->higher_is_better);
    return true;
  }
  if (!co_output_image(feature) || i >= CO_IMAGE_METRICS) return false;
  const co_image_metric *metric = &co_image_metrics[i];
  const co_image_quality *quality = &e->quality[output];
  *out = (co_evaluation_value){.name = metric->name,
                               .value = quality->ctx ? metric->of(quality) : NAN,
                               .higher_is_better = metric->higher_is_better,
                               .scored = quality->ctx != NULL,
                               .interval = {NAN, NAN}};
  return true;
}

void co_evaluation_render(co_json *json, const co_evaluation *e, bool scored) {
  co_evaluation_value value;
  co_json_open(json, '{');
  for (int64_t i = 0; i < e->model->output_count; i++) {
    co_json_key(json, e->model->outputs[i].name);
    co_json_open(json, '{');
    for (int64_t k = 0; co_evaluation_metric(e, i, k, &value); k++) {
      if (!value.summed && !(scored && value.scored)) continue;
      co_json_key(json, value.name);
      co_json_double(json, value.value);
    }
    co_json_close(json);
  }
  co_json_close(json);
}

void co_evaluation_render_intervals(co_json *json, const co_evaluation *e) {
  co_evaluation_value value;
  co_json_open(json, '{');
  for (int64_t i = 0; i < e->model->output_count; i++) {
    co_json_key(json, e->model->outputs[i].name);
    co_json_open(json, '{');
    for (int64_t k = 0; co_evaluation_metric(e, i, k, &value); k++) {
      if (!value.scored || !e->collects[i]) continue;
      co_json_key(json, value.name);
      co_json_open(json, '[');
      co_json_double(json, value.interval.low);
      co_json_double(json, value.interval.high);
      co_json_close(json);
    }
    co_json_close(json);
  }
  co_json_close(json);
}

bool co_evaluation_find(const co_evaluation *e, const char *metric, co_evaluation_value *out) {
  if (!metric || strcmp(metric, "loss") == 0) {
    *out = (co_evaluation_value){
        .name = "loss", .value = co_evaluation_loss(e), .summed = true, .interval = {NAN, NAN}};
    return true;
  }
  const char *dot = strrchr(metric, '.');
  const char *id = co_metric_canonical(dot ? dot + 1 : metric);
  for (int64_t i = 0; i < e->model->output_count; i++) {
    const char *output = e->model->outputs[i].name;
    if (dot && (strlen(output) != (size_t)(dot - metric) ||
                strncmp(output, metric, (size_t)(dot - metric)) != 0))
      continue;
    for (int64_t k = 0; co_evaluation_metric(e, i, k, out); k++)
      if (strcmp(out->name, id) == 0) return true;
  }
  return false;
}

char *co_evaluation_known(const co_evaluation *e) {
  co_context *ctx = e->model->ctx;
  co_evaluation_value value;
  co_text text;
  co_text_init(&text, ctx);
  co_text_printf(&text, "known: loss");
  for (int64_t i = 0; i < e->model->output_count; i++)
    for (int64_t k = 0; co_evaluation_metric(e, i, k, &value); k++)
      if (!value.descriptive)
        co_text_printf(&text, ", %s.%s", e->model->outputs[i].name, value.name);
  co_text_printf(&text, "; the output may be left out");
  char *known = text.status == CO_OK ? co_strdup(ctx, text.data) : NULL;
  co_text_free(&text);
  return known;
}
