// SPDX-License-Identifier: Apache-2.0
// The training of what is no network: fitted once, to all training rows; and of what stands beside
// one that is.
#include <math.h>

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
