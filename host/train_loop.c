// SPDX-License-Identifier: Apache-2.0
// The loop of a training: steps, records, validation, epochs.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/train_private.h"

double co_trainer_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double learning_rate(const co_trainer *t, int64_t step) {
  return t->settings.learning_rate *
         co_schedule_factor(&t->settings.schedule, step, t->total_steps);
}

static co_status write_record(co_trainer *t, const char *split, const co_evaluation *evaluation,
                              bool training) {
  co_json json;
  co_json_init(&json, t->ctx, 0);
  co_json_open(&json, '{');
  co_json_key(&json, "step");
  co_json_int(&json, t->state.step);
  co_json_key(&json, "epoch");
  co_json_int(&json, t->state.epoch);
  co_json_key(&json, "split");
  co_json_string(&json, split);
  co_json_key(&json, "loss");
  co_json_double(&json, co_evaluation_loss(evaluation, t->model));
  co_json_key(&json, "metrics");
  co_evaluation_render(&json, evaluation, t->model);
  if (training) {
    co_json_key(&json, "learning_rate");
    co_json_double(&json, learning_rate(t, t->state.step - 1));
    co_json_key(&json, "gradient_norm");
    co_json_double(&json, t->norm);
  }
  co_json_close(&json);
  co_status status = json.text.status;
  if (status == CO_OK) status = co_run_write_metrics(&t->run, json.text.data);
  co_json_free(&json);
  return status;
}

// One record over all steps since the last one.
static co_status log_interval(co_trainer *t) {
  CO_RETURN_IF_FAILED(co_program_read_metrics(t->program, false, t->interval.sums));
  CO_RETURN_IF_FAILED(write_record(t, "train", &t->interval, true));
  t->shown_loss = co_evaluation_loss(&t->interval, t->model);
  memset(t->interval.weight_sum, 0, (size_t)t->model->output_count * sizeof(double));
  return co_program_clear_metrics(t->program, false);
}

static void show_progress(co_trainer *t) {
  char detail[96];
  int length = snprintf(detail, sizeof detail, "epoch %u/%lld", t->state.epoch + 1,
                        (long long)t->settings.max_epochs);
  if (t->shown_loss > 0)
    snprintf(detail + length, sizeof detail - (size_t)length, " loss=%.4g", t->shown_loss);
  co_job_progress(t->context, "train", "steps", t->state.step, t->total_steps, detail);
}

static co_status validate(co_trainer *t) {
  if (!t->sample_count[CO_SPLIT_VALIDATION]) return CO_OK;
  double begun = co_trainer_now(), value;
  bool higher;
  CO_RETURN_IF_FAILED(
      co_evaluate_samples(&t->validation, t->context, false, t->model, t->program, t->dataset,
                          t->samples[CO_SPLIT_VALIDATION], t->sample_count[CO_SPLIT_VALIDATION],
                          t->settings.eval_batch_size, t->options->workers, "validate"));
  t->evaluation_seconds += co_trainer_now() - begun;
  CO_RETURN_IF_FAILED(write_record(t, "validation", &t->validation, false));
  show_progress(t);
  co_evaluation_find(&t->validation, t->model, t->settings.validation_metric, &value, &higher);
  bool better = !isnan(value) &&
                (isnan(t->state.best) || (higher ? value > t->state.best : value < t->state.best));
  if (better) {
    t->state.best = value;
    t->state.best_step = t->state.step;
    t->state.bad_epochs = 0;
  } else {
    t->state.bad_epochs++;
  }
  co_log(t->ctx, CO_LOG_INFO, "eval", "step=%lld epoch=%u split=validation %s=%.4f%s",
         (long long)t->state.step, t->state.epoch + 1,
         t->settings.validation_metric ? t->settings.validation_metric : "loss", value,
         better ? " best" : "");
  return CO_OK;
}

static co_status stop_diverged(co_trainer *t, const co_view *view) {
  char fields[96];
  snprintf(fields, sizeof fields, "\"step\":%lld,\"batch\":%lld", (long long)t->state.step,
           (long long)view->batch->index);
  co_run_write_event(&t->run, "diverged", fields);
  co_status status = co_fail(
      CO_ERR_DIVERGED,
      "the gradient of step %lld is not finite (epoch %u, batch %lld, first row %lld); the update "
      "was not made",
      (long long)t->state.step + 1, view->batch->epoch + 1, (long long)view->batch->index,
      (long long)view->batch->samples[0]);
  co_hint("lower trainer.learning_rate, or set trainer.gradient_clipping.clip_global_norm");
  return status;
}

static co_status one_step(co_trainer *t, const co_view *view) {
  co_step step = {.seed = t->state.seed,
                  .step = (uint32_t)t->state.step,
                  .epoch = view->batch->epoch,
                  .learning_rate = learning_rate(t, t->state.step)};
  co_step_result result;
  co_view_inv_norm(t->model, view, step.inv_norm);
  CO_RETURN_IF_FAILED(co_program_step(t->program, 0, view->rows, view->inputs, &step, &result));
  for (int64_t i = 0; i < t->model->output_count; i++)
    t->interval.weight_sum[i] += view->weight_sum[i];
  t->norm = result.gradient_norm;
  if (!result.finite) return stop_diverged(t, view);
  t->state.step++;
  t->state.epoch = view->batch->epoch;
  t->state.batch = view->batch->index + 1;
  return CO_OK;
}

// Speed and waiting since the last call, without evaluation and checkpoints.
static void log_epoch(co_trainer *t, const co_pipeline *pipeline) {
  double now = co_trainer_now(), apart = t->evaluation_seconds + t->checkpoint_seconds;
  double wait = co_pipeline_wait_seconds(pipeline);
  double seconds = now - t->epoch_begun - (apart - t->epoch_apart);
  double steps = (double)(t->state.step - t->epoch_step);
  if (seconds > 0 && steps > 0)
    co_log(t->ctx, CO_LOG_INFO, "train",
           "step=%lld epoch=%u loss=%.4g lr=%.3g steps/s=%.3g wait=%.0f%%",
           (long long)t->state.step, t->state.epoch + 1, t->shown_loss,
           learning_rate(t, t->state.step - 1), steps / seconds,
           100 * (wait - t->epoch_wait) / seconds);
  t->epoch_begun = now;
  t->epoch_apart = apart;
  t->epoch_wait = wait;
  t->epoch_step = t->state.step;
}

// After the last batch of an epoch, or the last step of all.
static co_status end_epoch(co_trainer *t, const co_pipeline *pipeline, bool epoch_over) {
  if (t->state.step % t->settings.log_every_n_steps) CO_RETURN_IF_FAILED(log_interval(t));
  log_epoch(t, pipeline);
  CO_RETURN_IF_FAILED(validate(t));
  if (epoch_over) {
    t->state.epoch++;
    t->state.batch = 0;
  }
  bool patience_over = t->settings.early_stop > 0 && t->state.bad_epochs >= t->settings.early_stop;
  t->state.finished = t->state.step >= t->total_steps || patience_over;
  int64_t every = t->settings.steps_per_checkpoint;
  bool due = !every || t->state.step % every == 0 || t->state.finished ||
             t->state.best_step == t->state.step;
  return due ? co_trainer_checkpoint(t, true) : CO_OK;
}

static co_status stop_interrupted(const co_trainer *t) {
  co_status status = co_fail(CO_INTERRUPTED, "stopped at step %lld; a checkpoint is written",
                             (long long)t->state.step);
  co_hint("go on with --resume %s", t->run.path);
  return status;
}

static bool is_asked(const volatile int *number, int *answered) {
  bool asked = number && *number != *answered;
  if (asked) *answered = *number;
  return asked;
}

// What others may want of a training between two steps, beside stopping it.
static co_status answer_requests(co_trainer *t) {
  const cohort_context_options *options = &t->context->options;
  if (is_asked(options->status, &t->statuses_asked))
    co_log(t->ctx, CO_LOG_INFO, "status", "step=%lld of=%lld epoch=%u loss=%.4g seconds=%.0f",
           (long long)t->state.step, (long long)t->total_steps, t->state.epoch + 1, t->shown_loss,
           co_trainer_now() - t->called);
  if (is_asked(options->checkpoint, &t->checkpoints_asked))
    CO_RETURN_IF_FAILED(co_trainer_checkpoint(t, false));
  if (!(t->options->max_seconds > 0) || co_trainer_now() - t->called < t->options->max_seconds)
    return CO_OK;
  CO_RETURN_IF_FAILED(co_trainer_checkpoint(t, false));
  co_status status = co_fail(CO_STOPPED, "the time is over at step %lld; a checkpoint is written",
                             (long long)t->state.step);
  co_hint("go on with --resume %s", t->run.path);
  return status;
}

static co_status run_batches(co_trainer *t, co_pipeline *pipeline) {
  co_status status = CO_OK;
  while (status == CO_OK && !t->state.finished) {
    co_view view;
    bool done;
    CO_RETURN_IF_FAILED(co_pipeline_next(pipeline, &view, &done));
    if (done) return co_fail(CO_ERR_INTERNAL, "the batches ended before the steps");
    bool last = view.batch->last;
    status = one_step(t, &view);
    co_pipeline_release(pipeline, &view);
    if (status != CO_OK) break;
    show_progress(t);
    if (t->state.step % t->settings.log_every_n_steps == 0) status = log_interval(t);
    int64_t every = t->settings.steps_per_checkpoint;
    if (status == CO_OK && (last || t->state.step == t->total_steps))
      status = end_epoch(t, pipeline, last);
    else if (status == CO_OK && every && t->state.step % every == 0)
      status = co_trainer_checkpoint(t, true);
    if (status == CO_OK && !t->state.finished && co_job_stopped(t->context)) {
      status = co_trainer_checkpoint(t, false);
      if (status == CO_OK) status = stop_interrupted(t);
    }
    if (status == CO_OK && !t->state.finished) status = answer_requests(t);
  }
  return status;
}

co_status co_trainer_loop(co_trainer *t) {
  co_pipeline_options options = {.samples = t->samples[CO_SPLIT_TRAIN],
                                 .sample_count = t->sample_count[CO_SPLIT_TRAIN],
                                 .batch_rows = t->batch_rows,
                                 .training = true,
                                 .targets = true,
                                 .seed = t->state.seed,
                                 .epoch = t->state.epoch,
                                 .first_batch = (uint32_t)t->state.batch,
                                 .workers = t->options->workers > 0 ? t->options->workers : 1};
  co_pipeline *pipeline;
  if (t->state.finished) return CO_OK;
  CO_RETURN_IF_FAILED(co_pipeline_create(&pipeline, t->model, t->dataset, &options));
  t->started = t->epoch_begun = co_trainer_now();
  t->epoch_step = t->state.step;
  show_progress(t);
  co_status status = run_batches(t, pipeline);
  t->wait_seconds = co_pipeline_wait_seconds(pipeline);
  co_job_progress(t->context, "train", "steps", -1, t->total_steps, NULL);
  co_pipeline_free(pipeline);
  return status;
}
