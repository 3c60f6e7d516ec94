// SPDX-License-Identifier: Apache-2.0
// The loop of a training: steps, records, validation, epochs.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/train/trainer.h"

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

// One record over all steps since the last one; `sums` are the metrics of those.
static co_status log_interval(co_trainer *t, const double *sums) {
  memcpy(t->interval.sums, sums, (size_t)t->model->network->metric_doubles * sizeof *sums);
  CO_RETURN_IF_FAILED(write_record(t, "train", &t->interval, true));
  t->shown_loss = co_evaluation_loss(&t->interval, t->model);
  memset(t->interval.weight_sum, 0, (size_t)t->model->output_count * sizeof(double));
  return CO_OK;
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
      co_evaluate_samples(&t->validation, t->context, false, t->source, t->program, t->dataset,
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
  // Without the output's name, which may have anything in it: records consist of key=value pairs.
  const char *metric = t->settings.validation_metric ? t->settings.validation_metric : "loss";
  const char *dot = strrchr(metric, '.');
  co_log(t->ctx, CO_LOG_INFO, "eval", "step=%lld epoch=%u split=validation %s=%.4f best=%s",
         (long long)t->state.step, t->state.epoch + 1, dot ? dot + 1 : metric, value,
         better ? "true" : "false");
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

// ---- steps -------------------------------------------------------------------------------------
// Launches of steps are submitted ahead of what their results are needed for. A launch ends where
// something is recorded; nothing is submitted beyond a step at which the host decides (end of an
// epoch, a checkpoint) until that is collected.

// Submitted and not yet collected.
typedef struct pending {
  co_view views[CO_SUBMISSION_STEPS];
  int64_t count;
  bool log;    // the launch took the metrics
  bool decide; // the host decides something behind it
} pending;

typedef struct stepping {
  co_trainer *t;
  co_pipeline *pipeline;
  pending queue[CO_SUBMISSION_DEPTH];
  int first, count;    // of the queue
  int64_t step, batch; // of the next one to be submitted; batch within its epoch
  bool waiting;        // for a decision
} stepping;

// Steps from the next one on to the nearest at which `every` divides the number of steps done.
static int64_t steps_until(int64_t step, int64_t every) {
  return every ? every - step % every : INT64_MAX;
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// How many steps the next launch may hold.
static int64_t launch_size(const stepping *s) {
  const co_trainer *t = s->t;
  bool partial = t->sample_count[CO_SPLIT_TRAIN] % t->batch_rows != 0;
  int64_t left = t->batches_per_epoch - s->batch;       // in the epoch
  int64_t size = partial && left > 1 ? left - 1 : left; // the partial batch goes alone
  size = least(size, t->total_steps - s->step);
  size = least(size, steps_until(s->step, t->settings.log_every_n_steps));
  size = least(size, steps_until(s->step, t->settings.steps_per_checkpoint));
  size = least(size, co_program_submission_limit(t->program, false));
  int64_t power = 1; // few sizes, so that few are recorded
  while (2 * power <= size)
    power *= 2;
  return power;
}

static co_status submit(stepping *s) {
  co_trainer *t = s->t;
  pending *p = &s->queue[(s->first + s->count) % CO_SUBMISSION_DEPTH];
  co_program_batch batches[CO_SUBMISSION_STEPS];
  co_step steps[CO_SUBMISSION_STEPS];
  int64_t size = launch_size(s);
  memset(p, 0, sizeof *p);
  s->count++; // from here on its views are given back with it
  for (int64_t i = 0; i < size; i++) {
    co_view *view = &p->views[i];
    bool done;
    CO_RETURN_IF_FAILED(co_pipeline_next(s->pipeline, view, &done));
    if (done) return co_fail(CO_ERR_INTERNAL, "the batches ended before the steps");
    p->count++;
    batches[i] = (co_program_batch){view->inputs, view->packet};
    steps[i] = (co_step){.seed = t->state.seed,
                         .step = (uint32_t)(s->step + i),
                         .epoch = view->batch->epoch,
                         .learning_rate = learning_rate(t, s->step + i)};
    co_view_inv_norm(t->model, view, steps[i].inv_norm);
  }
  s->step += size;
  s->batch += size;
  bool last = s->batch == t->batches_per_epoch || s->step == t->total_steps;
  int64_t every = t->settings.steps_per_checkpoint;
  p->log = last || s->step % t->settings.log_every_n_steps == 0;
  p->decide = last || (every && s->step % every == 0);
  s->waiting = p->decide;
  if (s->batch == t->batches_per_epoch) s->batch = 0;
  return co_program_submit(t->program, 0, p->views[0].rows, size, batches, steps, p->log);
}

static co_status take_step(co_trainer *t, const co_view *view, const co_step_result *result) {
  for (int64_t i = 0; i < t->model->output_count; i++)
    t->interval.weight_sum[i] += view->weight_sum[i];
  t->norm = result->gradient_norm;
  if (!result->finite) return stop_diverged(t, view);
  t->state.step++;
  t->state.epoch = view->batch->epoch;
  t->state.batch = view->batch->index + 1;
  return CO_OK;
}

static void give_back(stepping *s) {
  const pending *p = &s->queue[s->first];
  for (int64_t i = 0; i < p->count; i++)
    co_pipeline_release(s->pipeline, &p->views[i]);
  s->first = (s->first + 1) % CO_SUBMISSION_DEPTH;
  s->count--;
}

static co_status decide(stepping *s, bool epoch_over) {
  co_trainer *t = s->t;
  s->waiting = false;
  if (epoch_over || t->state.step == t->total_steps) return end_epoch(t, s->pipeline, epoch_over);
  return co_trainer_checkpoint(t, true);
}

static co_status collect(stepping *s) {
  co_trainer *t = s->t;
  const pending *p = &s->queue[s->first];
  co_submission_result result;
  CO_RETURN_IF_FAILED(co_program_collect(t->program, &result)); // its batches may still be read
  co_status status = CO_OK;
  for (int64_t i = 0; i < p->count && status == CO_OK; i++)
    status = take_step(t, &p->views[i], &result.steps[i]);
  if (status == CO_OK && p->log) status = log_interval(t, result.metrics);
  bool decides = p->decide, epoch_over = p->count && p->views[p->count - 1].batch->last;
  give_back(s);
  CO_RETURN_IF_FAILED(status);
  show_progress(t);
  return decides ? decide(s, epoch_over) : CO_OK;
}

static bool is_asked(const volatile int *number, int *answered) {
  bool asked = number && *number != *answered;
  if (asked) *answered = *number;
  return asked;
}

static co_status stop_out_of_time(const co_trainer *t) {
  co_status status = co_fail(CO_STOPPED, "the time is over at step %lld; a checkpoint is written",
                             (long long)t->state.step);
  co_hint("go on with --resume %s", t->run.path);
  return status;
}

// What others may want of a training between two steps.
static co_status answer_requests(stepping *s) {
  co_trainer *t = s->t;
  const cohort_context_options *options = &t->context->options;
  double seconds = co_trainer_now() - t->called;
  if (t->state.finished) return CO_OK;
  if (is_asked(options->status, &t->statuses_asked))
    co_log(t->ctx, CO_LOG_INFO, "status", "step=%lld of=%lld epoch=%u loss=%.4g seconds=%.0f",
           (long long)t->state.step, (long long)t->total_steps, t->state.epoch + 1, t->shown_loss,
           seconds);
  bool stop = co_job_stopped(t->context);
  bool over = t->options->max_seconds > 0 && seconds >= t->options->max_seconds;
  bool asked = is_asked(options->checkpoint, &t->checkpoints_asked);
  if (!stop && !over && !asked) return CO_OK;
  while (s->count)
    CO_RETURN_IF_FAILED(collect(s));
  if (t->state.finished) return CO_OK;
  CO_RETURN_IF_FAILED(co_trainer_checkpoint(t, false));
  return stop ? stop_interrupted(t) : over ? stop_out_of_time(t) : CO_OK;
}

static co_status run_batches(co_trainer *t, co_pipeline *pipeline) {
  stepping s = {.t = t, .pipeline = pipeline, .step = t->state.step, .batch = t->state.batch};
  co_status status = CO_OK;
  while (status == CO_OK && !t->state.finished) {
    bool room = s.count < co_program_depth(t->program) && !s.waiting;
    status = room ? submit(&s) : collect(&s);
    if (status == CO_OK) status = answer_requests(&s);
  }
  co_program_drain(t->program); // before the batches go
  while (s.count)
    give_back(&s);
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
                                 .workers = t->options->workers > 0 ? t->options->workers : 1,
                                 .source = t->source,
                                 .packet = co_program_staging(t->program, false)};
  options.ahead =
      co_program_depth(t->program) * (int)co_program_submission_limit(t->program, false);
  co_pipeline *pipeline;
  if (t->state.finished) return CO_OK;
  CO_RETURN_IF_FAILED(co_resident_load(t->source, t->program, t->dataset));
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
