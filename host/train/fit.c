// SPDX-License-Identifier: Apache-2.0
// The training of what is no network: fitted once, to all training rows; and of what stands beside
// one that is.
#include <math.h>
#include <string.h>

#include "host/train/session_private.h"

static co_status read_rows(co_session *t, co_split split, co_design *out) {
  const co_design_request request = {.samples = t->samples[split],
                                     .count = t->sample_count[split],
                                     .learned = split == CO_SPLIT_TRAIN,
                                     .workers = t->options->workers,
                                     .extra_bytes = t->estimator->class_->row_bytes(t->estimator),
                                     .watch = t->watch};
  return co_design_read(out, &t->estimator->columns, t->model, t->dataset, &request);
}

static co_status record_training(co_session *t) {
  const co_scoring_options options = {
      .watch = t->watch, .workers = t->options->workers, .stage = "evaluate"};
  double begun = co_session_now();
  CO_RETURN_IF_FAILED(co_evaluate(&t->interval, t->predictor, t->dataset,
                                  t->samples[CO_SPLIT_TRAIN], t->sample_count[CO_SPLIT_TRAIN],
                                  &options));
  t->evaluation_seconds += co_session_now() - begun;
  return co_session_record(t, "train", &t->interval, false);
}

static co_status fit(co_session *t, co_design *training, co_design *validation) {
  CO_RETURN_IF_FAILED(read_rows(t, CO_SPLIT_TRAIN, training));
  CO_RETURN_IF_FAILED(read_rows(t, CO_SPLIT_VALIDATION, validation));
  const co_fit_data data = {.training = training,
                            .validation = validation,
                            .threads = t->threads,
                            .seed = t->state.seed,
                            .watch = t->watch};
  return co_estimator_fit(t->estimator, &data);
}

co_status co_session_fit(co_session *t) {
  co_design training = {.rows = 0}, validation = {.rows = 0};
  co_status status = fit(t, &training, &validation);
  co_design_free(&training, t->ctx);
  co_design_free(&validation, t->ctx);
  CO_RETURN_IF_FAILED(status);
  double value = NAN;
  t->state.step = t->estimator->iterations;
  CO_RETURN_IF_FAILED(record_training(t));
  CO_RETURN_IF_FAILED(co_session_validate(t, &value));
  t->state.epoch = 1;
  if (t->hook) (void)t->hook(t->hook_user, t, 1, value);
  t->state.finished = true;
  return CO_OK;
}

co_status co_session_fit_baselines(co_session *t) {
  double begun = co_session_now();
  const co_baseline_request request = {.training = t->samples[CO_SPLIT_TRAIN],
                                       .training_count = t->sample_count[CO_SPLIT_TRAIN],
                                       .validation = t->samples[CO_SPLIT_VALIDATION],
                                       .validation_count = t->sample_count[CO_SPLIT_VALIDATION],
                                       .workers = t->options->workers,
                                       .threads = t->threads,
                                       .seed = t->state.seed,
                                       .watch = t->watch};
  CO_RETURN_IF_FAILED(co_baselines_fit(&t->baselines, t->model, t->dataset, &request));
  t->baseline_seconds = co_session_now() - begun;
  if (t->baselines.count)
    co_log(t->ctx, CO_LOG_INFO, "baselines", "count=%lld seconds=%.2g",
           (long long)t->baselines.count, t->baseline_seconds);
  return CO_OK;
}

// ---- whether the model is worth its training ---------------------------------------------------

enum { MOST_COMPARED = 20000, ROWS_AT_ONCE = 1024 };

static co_status measure_validation(co_session *t, co_predictor *predictor, const co_model *model,
                                    co_evaluation *out) {
  const co_scoring_options options = {
      .watch = t->watch, .workers = t->options->workers, .stage = "evaluate"};
  CO_RETURN_IF_FAILED(co_evaluation_create(out, model));
  co_evaluation_collect_all(out);
  return co_evaluate(out, predictor, t->dataset, t->samples[CO_SPLIT_VALIDATION],
                     t->sample_count[CO_SPLIT_VALIDATION], &options);
}

static bool find_metric(const co_evaluation *e, int64_t output, const char *name,
                        co_evaluation_value *out) {
  for (int64_t k = 0; co_evaluation_metric(e, output, k, out); k++)
    if (strcmp(out->name, name) == 0) return !isnan(out->value);
  return false;
}

// By which two are compared: of next items how they are ordered, else the first that both have.
static bool choose_metric(const co_evaluation *own, int64_t output, const co_evaluation *other,
                          int64_t place, co_evaluation_value *mine, co_evaluation_value *theirs) {
  static const char order[] = "ndcg@10";
  if (find_metric(own, output, order, mine) && find_metric(other, place, order, theirs))
    return true;
  for (int64_t k = 0; co_evaluation_metric(own, output, k, mine); k++)
    if (!mine->descriptive && !isnan(mine->value) && find_metric(other, place, mine->name, theirs))
      return true;
  return false;
}

// Keeps what is the best of an output so far.
static void compare(co_session *t, const co_evaluation *own, const co_evaluation *other,
                    const co_estimator *baseline) {
  for (int64_t i = 0; i < t->model->output_count; i++) {
    const co_output_feature *output = &t->model->outputs[i];
    co_better_baseline *kept = &t->better[i];
    co_evaluation_value mine, theirs;
    int64_t place = 0;
    while (place < other->model->output_count &&
           strcmp(other->model->outputs[place].name, output->name) != 0)
      place++;
    if (!output->column || place == other->model->output_count ||
        !choose_metric(own, i, other, place, &mine, &theirs))
      continue;
    const double than =
        kept->name && strcmp(kept->metric, mine.name) == 0 ? kept->value : mine.value;
    if (mine.higher_is_better ? theirs.value > than : theirs.value < than)
      *kept = (co_better_baseline){output->name, co_baseline_name(baseline, output), mine.name,
                                   theirs.value, mine.value};
  }
}

static co_status compare_with(co_session *t, const co_evaluation *own, co_estimator *baseline) {
  co_evaluation other = {.rows = 0};
  co_predictor *predictor = NULL;
  co_status status = co_network_open_beside(&predictor, baseline, ROWS_AT_ONCE, true);
  if (status == CO_OK) status = measure_validation(t, predictor, t->baselines.model, &other);
  if (status == CO_OK) compare(t, own, &other, baseline);
  co_evaluation_free(&other);
  co_predictor_close(predictor);
  return status;
}

static void tell_better(co_session *t) {
  for (int64_t i = 0; i < t->model->output_count; i++) {
    const co_better_baseline b = t->better[i];
    if (!b.name) continue;
    t->better[t->better_count++] = b;
    co_log(t->ctx, CO_LOG_WARN, "baselines",
           "'%s': the baseline %s has %s %.4g on %lld validation rows, better than the model's "
           "%.4g",
           b.output, b.name, b.metric, b.value, (long long)t->sample_count[CO_SPLIT_VALIDATION],
           b.own);
  }
}

co_status co_session_compare_baselines(co_session *t) {
  const int64_t rows = t->sample_count[CO_SPLIT_VALIDATION];
  if (!t->baselines.count || !rows || rows > MOST_COMPARED || t->options->fast_dev_run ||
      t->settings.overfit_batches)
    return CO_OK;
  const double begun = co_session_now();
  t->better = co_arena_alloc(t->arena, (size_t)t->model->output_count, sizeof *t->better);
  if (!t->better) return CO_ERR_MEMORY;
  memset(t->better, 0, (size_t)t->model->output_count * sizeof *t->better);
  co_evaluation own = {.rows = 0};
  co_status status = measure_validation(t, t->shipped, t->model, &own);
  for (int64_t i = 0; status == CO_OK && i < t->baselines.count; i++)
    status = compare_with(t, &own, t->baselines.items[i]);
  co_evaluation_free(&own);
  t->evaluation_seconds += co_session_now() - begun;
  if (status == CO_OK) tell_better(t);
  return status;
}
