// SPDX-License-Identifier: Apache-2.0
// The steps of a session, with records, validation and epochs.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/train/session_private.h"

double co_session_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int64_t phase_of(const co_session *t, int64_t step) {
  int64_t left;
  return co_phases_at(&t->settings.phases, step, &left);
}

static double learning_rate(const co_session *t, int64_t step) {
  const co_phases *phases = &t->settings.phases;
  const double base =
      phases->count ? phases->items[phase_of(t, step)].learning_rate : t->settings.learning_rate;
  return base * t->state.rate * co_schedule_factor(&t->settings.schedule, step, t->total_steps);
}

// The same for TensorBoard, whose tags are "loss", "OUTPUT/metric", "learning_rate".
static co_status record_scalars(co_session *t, const co_evaluation *evaluation, bool training,
                                co_tb folder) {
  co_evaluation_value value;
  co_text summary;
  co_text_init(&summary, t->ctx);
  co_summary_scalar(&summary, "loss", co_evaluation_loss(evaluation));
  if (training) {
    co_summary_scalar(&summary, "learning_rate", learning_rate(t, t->state.step - 1));
    co_summary_scalar(&summary, "gradient_norm", t->norm);
  }
  for (int64_t i = 0; i < t->model->output_count; i++)
    for (int64_t k = 0; co_evaluation_metric(evaluation, i, k, &value); k++) {
      if (training && !value.summed) continue;
      char *tag = co_format(t->ctx, "%s/%s", t->model->outputs[i].name, value.name);
      if (!tag) summary.status = CO_ERR_MEMORY;
      if (tag) co_summary_scalar(&summary, tag, value.value);
      co_free(t->ctx, tag);
    }
  return co_run_write_summary(&t->run, folder, t->state.step, &summary);
}

co_status co_session_record(co_session *t, const char *split, const co_evaluation *evaluation,
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
  co_json_double(&json, co_evaluation_loss(evaluation));
  co_json_key(&json, "metrics");
  co_evaluation_render(&json, evaluation, !training);
  if (training) {
    co_json_key(&json, "learning_rate");
    co_json_double(&json, learning_rate(t, t->state.step - 1));
    co_json_key(&json, "gradient_norm");
    co_json_double(&json, t->norm);
  }
  co_json_close(&json);
  co_status status = json.text.status;
  if (status == CO_OK) status = co_run_write_metrics(&t->run, json.text.data);
  if (status == CO_OK)
    status = record_scalars(t, evaluation, training,
                            strcmp(split, "train") == 0 ? CO_TB_TRAIN : CO_TB_VALIDATION);
  co_json_free(&json);
  return status;
}

// One record over all steps since the last one; `sums` are the metrics of those.
static co_status log_interval(co_session *t, const double *sums) {
  memcpy(t->interval.sums, sums, (size_t)t->model->network->metric_doubles * sizeof *sums);
  CO_RETURN_IF_FAILED(co_session_record(t, "train", &t->interval, true));
  t->shown_loss = co_evaluation_loss(&t->interval);
  memset(t->interval.weight_sum, 0, (size_t)t->model->network->loss_count * sizeof(double));
  return CO_OK;
}

static void show_progress(co_session *t) {
  char detail[96];
  int length = snprintf(detail, sizeof detail, "epoch %u/%lld", t->state.epoch + 1,
                        (long long)t->settings.max_epochs);
  if (t->shown_loss > 0)
    snprintf(detail + length, sizeof detail - (size_t)length, " loss=%.4g", t->shown_loss);
  co_watch_progress(t->watch, "train", "steps", t->state.step, t->total_steps, detail);
}

// Of the schedule plateau: the rate falls when the metric was no better for so long.
static void follow_plateau(co_session *t, bool better) {
  const co_schedule_options *schedule = &t->settings.schedule;
  if (schedule->decay != CO_DECAY_PLATEAU) return;
  t->state.plateau = better ? 0 : t->state.plateau + 1;
  if (t->state.plateau < schedule->patience) return;
  t->state.plateau = 0;
  t->state.rate =
      fmax(t->state.rate * schedule->decay_rate, fmin(t->state.rate, schedule->minimum_fraction));
}

// … with pictures for TensorBoard, where they are due.
static co_status score_validation(co_session *t) {
  co_validation_pictures *pictures;
  co_status status = co_validation_pictures_open(&pictures, t);
  const co_scoring_options options = {.watch = t->watch,
                                      .workers = t->options->workers,
                                      .stage = "validate",
                                      .sink = pictures ? co_validation_pictures_take : NULL,
                                      .user = pictures};
  if (status == CO_OK)
    status = co_evaluate(&t->validation, t->predictor, t->dataset, t->samples[CO_SPLIT_VALIDATION],
                         t->sample_count[CO_SPLIT_VALIDATION], &options);
  if (status == CO_OK && pictures) status = co_validation_pictures_write(pictures);
  co_validation_pictures_free(pictures);
  return status;
}

co_status co_session_validate(co_session *t, double *out) {
  if (!t->sample_count[CO_SPLIT_VALIDATION]) return CO_OK;
  double begun = co_session_now();
  co_evaluation_value found;
  CO_RETURN_IF_FAILED(score_validation(t));
  t->evaluation_seconds += co_session_now() - begun;
  CO_RETURN_IF_FAILED(co_session_record(t, "validation", &t->validation, false));
  show_progress(t);
  co_evaluation_find(&t->validation, t->settings.validation_metric, &found);
  double value = *out = found.value;
  double gain = found.higher_is_better ? value - t->state.best : t->state.best - value;
  // Of losses that work against each other the sum tells nothing: the last weights are the model.
  bool chooses = !t->settings.phases.count || t->settings.validation_metric;
  bool better =
      chooses && !isnan(value) && (isnan(t->state.best) || gain > t->settings.early_stop_min_delta);
  if (better) {
    t->state.best = value;
    t->state.best_step = t->state.step;
    t->state.bad_epochs = 0;
  } else {
    t->state.bad_epochs++;
  }
  follow_plateau(t, better);
  // Without the output's name, which may have anything in it: records consist of key=value pairs.
  const char *metric = t->settings.validation_metric ? t->settings.validation_metric : "loss";
  const char *dot = strrchr(metric, '.');
  co_log(t->ctx, CO_LOG_INFO, "eval", "step=%lld epoch=%u split=validation %s=%.4f best=%s",
         (long long)t->state.step, t->state.epoch + 1, dot ? dot + 1 : metric, value,
         better ? "true" : "false");
  if (t->settings.validation_metric && isnan(value))
    co_log(
        t->ctx, CO_LOG_WARN, "eval",
        "step=%lld: trainer.validation_metric has no value on the validation rows, so it chooses "
        "no epoch",
        (long long)t->state.step);
  return CO_OK;
}

static co_status stop_diverged(co_session *t, const co_view *view) {
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

// Updates that were left out leave weights of numbers, of which what they make may be none.
static co_status check_left_out(const co_session *t) {
  co_evaluation_value loss;
  if (t->settings.on_nan != CO_NAN_SKIP || !t->state.finished || t->state.best_step >= 0 ||
      !t->sample_count[CO_SPLIT_VALIDATION])
    return CO_OK;
  if (!co_evaluation_find(&t->validation, NULL, &loss) || isfinite(loss.value)) return CO_OK;
  co_status status = co_fail(CO_ERR_DIVERGED, "after no epoch was the validation loss finite");
  co_hint("lower trainer.learning_rate, or set trainer.gradient_clipping.clip_global_norm");
  return status;
}

// Speed and waiting since the last call, without evaluation and checkpoints.
static void log_epoch(co_session *t) {
  double now = co_session_now(), apart = t->evaluation_seconds + t->checkpoint_seconds;
  double wait = co_pipeline_wait_seconds(t->pipeline);
  double seconds = now - t->epoch_begun - (apart - t->epoch_apart);
  double steps = (double)(t->state.step - t->epoch_step);
  if (seconds > 0 && steps > 0)
    co_log(t->ctx, CO_LOG_INFO, "train",
           "step=%lld epoch=%u loss=%.4g lr=%.3g steps/s=%.3g wait=%.0f%%",
           (long long)t->state.step, t->state.epoch + 1, t->shown_loss,
           learning_rate(t, t->state.step - 1), steps / seconds,
           100 * (wait - t->epoch_wait) / seconds);
  t->epoch_rate = seconds > 0 ? steps / seconds : 0;
  t->epoch_begun = now;
  t->epoch_apart = apart;
  t->epoch_wait = wait;
  t->epoch_step = t->state.step;
}

// Where only the number of epochs ended it. Of a single one nothing can be told.
static void tell_if_improving(const co_session *t) {
  if (t->state.step < t->total_steps || t->state.best_step != t->state.step || t->state.epoch < 2 ||
      t->options->fast_dev_run || t->settings.overfit_batches)
    return;
  co_log(t->ctx, CO_LOG_INFO, "train",
         "validation rows were still better told at the last epoch: more %s may bring more",
         t->settings.max_steps ? "trainer.max_steps or max_epochs" : "trainer.max_epochs");
}

// After the last batch of an epoch, or the last step of all.
static co_status end_epoch(co_session *t, bool epoch_over) {
  double value = NAN;
  const int64_t number = (int64_t)t->state.epoch + 1;
  log_epoch(t);
  CO_RETURN_IF_FAILED(co_session_validate(t, &value));
  CO_RETURN_IF_FAILED(co_session_write_details(t));
  CO_RETURN_IF_FAILED(co_session_write_samples(t));
  bool last;
  CO_RETURN_IF_FAILED(co_session_show_epoch(t, learning_rate(t, t->state.step - 1), &last));
  if (epoch_over) {
    t->state.epoch++;
    t->state.batch = 0;
  }
  bool patience_over = t->settings.early_stop > 0 && t->state.bad_epochs >= t->settings.early_stop;
  if (t->hook) last |= t->hook(t->hook_user, t, number, value);
  t->state.finished = t->state.step >= t->total_steps || patience_over || last;
  CO_RETURN_IF_FAILED(check_left_out(t));
  tell_if_improving(t);
  int64_t every = t->settings.steps_per_checkpoint;
  bool due = !every || t->state.step % every == 0 || t->state.finished ||
             t->state.best_step == t->state.step;
  return due ? co_session_checkpoint(t, true) : CO_OK;
}

static co_status stop_interrupted(const co_session *t) {
  co_status status = co_fail(CO_INTERRUPTED, "stopped at step %lld; a checkpoint is written",
                             (long long)t->state.step);
  co_hint("go on with --resume %s", co_session_resumable(t));
  return status;
}

// ---- steps -------------------------------------------------------------------------------------
// Submissions of steps are made ahead of what their results are needed for. A submission ends where
// something is recorded; nothing is submitted beyond a step at which the host decides (end of an
// epoch, a checkpoint) until that is collected.

// Steps from the next one on to the nearest at which `every` divides the number of steps done.
static int64_t steps_until(int64_t step, int64_t every) {
  return every ? every - step % every : INT64_MAX;
}

// What losses that are warmed up count at a step.
static void warm_up(const co_session *t, co_step *step) {
  const co_graph *network = t->model->network;
  for (int64_t i = 0; i < network->loss_count; i++)
    step->inv_norm[i] *=
        co_cyclic_warmup(network->losses[i].warmup_fraction, network->losses[i].warmup_cycles,
                         (int64_t)step->step, t->total_steps);
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// How many steps the next submission may hold, all of one phase.
static int64_t submission_size(const co_session *t) {
  int64_t of_phase;
  bool partial = t->sample_count[CO_SPLIT_TRAIN] % t->batch_rows != 0;
  int64_t left = t->batches_per_epoch - t->next_batch;  // in the epoch
  int64_t size = partial && left > 1 ? left - 1 : left; // the partial batch goes alone
  size = least(size, (t->pause ? t->pause : t->total_steps) - t->next_step);
  (void)co_phases_at(&t->settings.phases, t->next_step, &of_phase);
  size = least(size, of_phase);
  size = least(size, steps_until(t->next_step, t->settings.log_every_n_steps));
  size = least(size, steps_until(t->next_step, t->settings.steps_per_checkpoint));
  return co_program_submission_size(t->program, false, size);
}

static co_status submit(co_session *t) {
  co_queued_submission *item;
  co_step steps[CO_SUBMISSION_STEPS];
  const int64_t phase = phase_of(t, t->next_step);
  CO_RETURN_IF_FAILED(co_submission_queue_take(&t->queue, submission_size(t), &item));
  if (!item) return co_fail(CO_ERR_INTERNAL, "the batches ended before the steps");
  for (int64_t i = 0; i < item->count; i++) {
    steps[i] = (co_step){.seed = t->state.seed,
                         .step = (uint32_t)(t->next_step + i),
                         .epoch = item->views[i].batch->epoch,
                         .learning_rate = learning_rate(t, t->next_step + i)};
    co_view_inv_norm(t->model, &item->views[i], steps[i].inv_norm);
    warm_up(t, &steps[i]);
  }
  t->next_step += item->count;
  t->next_batch += item->count;
  bool last = t->next_batch == t->batches_per_epoch || t->next_step == t->total_steps;
  int64_t every = t->settings.steps_per_checkpoint;
  item->log = last || t->next_step % t->settings.log_every_n_steps == 0;
  item->decide = last || (every && t->next_step % every == 0);
  t->waiting = item->decide;
  if (t->next_batch == t->batches_per_epoch) t->next_batch = 0;
  return co_program_submit(t->program, phase, &item->views[0].shape, item->count, item->batches,
                           steps, item->log);
}

enum { MOST_ROLLBACKS = 8 };

static co_status take_diverged(co_session *t, const co_view *view) {
  const int policy = t->settings.on_nan;
  if (policy == CO_NAN_ROLLBACK && t->state.rollbacks < MOST_ROLLBACKS) {
    t->rolls_back = true;
    return CO_OK;
  }
  if (policy != CO_NAN_SKIP) return stop_diverged(t, view);
  co_log(t->ctx, CO_LOG_WARN, "train",
         "the gradient of step %lld is not finite; the update is left out",
         (long long)t->state.step + 1);
  return CO_OK;
}

static co_status take_step(co_session *t, const co_view *view, const co_step_result *result) {
  const uint32_t losses = t->phase_losses[phase_of(t, t->state.step)];
  for (int64_t i = 0; i < t->model->network->loss_count; i++)
    if (!losses || losses >> i & 1) t->interval.weight_sum[i] += view->weight_sum[i];
  t->norm = result->gradient_norm;
  if (!result->finite) CO_RETURN_IF_FAILED(take_diverged(t, view));
  if (t->rolls_back) return CO_OK; // nothing after it counts
  t->state.step++;
  t->state.epoch = view->batch->epoch;
  t->state.batch = view->batch->index + 1;
  return CO_OK;
}

static co_status decide(co_session *t, bool epoch_over) {
  t->waiting = false;
  if (epoch_over || t->state.step == t->total_steps) return end_epoch(t, epoch_over);
  return co_session_checkpoint(t, true);
}

// What is in flight is of no use any more.
static co_status roll_back(co_session *t) {
  co_session_close_batches(t);
  t->rolls_back = t->waiting = false;
  CO_RETURN_IF_FAILED(co_session_roll_back(t));
  return co_session_open_batches(t);
}

static co_status collect(co_session *t) {
  const co_queued_submission *item;
  co_submission_result result;
  CO_RETURN_IF_FAILED(co_submission_queue_collect(&t->queue, &result, &item));
  co_status status = CO_OK;
  for (int64_t i = 0; i < item->count && status == CO_OK; i++)
    status = take_step(t, &item->views[i], &result.steps[i]);
  if (status == CO_OK && item->log && !t->rolls_back) status = log_interval(t, result.metrics);
  bool decides = item->decide, epoch_over = item->views[item->count - 1].batch->last;
  co_submission_queue_release(&t->queue);
  CO_RETURN_IF_FAILED(status);
  if (t->rolls_back) return roll_back(t);
  show_progress(t);
  return decides ? decide(t, epoch_over) : CO_OK;
}

static co_status collect_all(co_session *t) {
  while (t->queue.count)
    CO_RETURN_IF_FAILED(collect(t));
  return CO_OK;
}

co_status co_session_save(co_session *t) {
  CO_RETURN_IF_FAILED(collect_all(t));
  return t->state.finished ? CO_OK : co_session_checkpoint(t, false);
}

co_status co_session_stop(co_session *t) {
  CO_RETURN_IF_FAILED(co_session_save(t));
  if (t->state.finished) return CO_OK;
  co_status status = co_fail(CO_STOPPED, "closed at step %lld of %lld; a checkpoint is written",
                             (long long)t->state.step, (long long)t->total_steps);
  co_hint("go on with --resume %s", co_session_resumable(t));
  return status;
}

static bool is_asked(const volatile int *number, int *answered) {
  bool asked = number && *number != *answered;
  if (asked) *answered = *number;
  return asked;
}

static co_status stop_out_of_time(const co_session *t) {
  co_status status = co_fail(CO_STOPPED, "the time is over at step %lld; a checkpoint is written",
                             (long long)t->state.step);
  co_hint("go on with --resume %s", co_session_resumable(t));
  return status;
}

// What others may want of a training between two steps.
static co_status answer_requests(co_session *t) {
  double seconds = co_session_now() - t->called;
  if (t->state.finished) return CO_OK;
  if (is_asked(t->watch->status, &t->statuses_asked))
    co_log(t->ctx, CO_LOG_INFO, "status", "step=%lld of=%lld epoch=%u loss=%.4g seconds=%.0f",
           (long long)t->state.step, (long long)t->total_steps, t->state.epoch + 1, t->shown_loss,
           seconds);
  bool stop = co_watch_stopped(t->watch);
  bool over = t->options->max_seconds > 0 && seconds >= t->options->max_seconds;
  bool asked = is_asked(t->watch->checkpoint, &t->checkpoints_asked);
  if (!stop && !over && !asked) return CO_OK;
  CO_RETURN_IF_FAILED(co_session_save(t));
  if (t->state.finished) return CO_OK;
  return stop ? stop_interrupted(t) : over ? stop_out_of_time(t) : CO_OK;
}

bool co_session_is_done(const co_session *t) {
  return t->state.finished;
}

int64_t co_session_step(const co_session *t) {
  return t->state.step;
}

int64_t co_session_best_step(const co_session *t) {
  return t->state.best_step;
}

size_t co_session_planned_bytes(const co_session *t) {
  co_program_bytes bytes = {0};
  if (!t->estimator) co_program_get_bytes(t->program, &bytes);
  return (size_t)bytes.total;
}

int64_t co_session_parameters(const co_session *t) {
  const co_store *store = co_program_store(t->program);
  int64_t values = 0;
  for (int64_t i = 0; !t->estimator && i < store->count; i++)
    values += store->entries[i].info.state ? 0 : co_shape_count(&store->entries[i].info.shape);
  return values;
}

double co_session_row_flops(const co_session *t) {
  double most = 0;
  for (int64_t i = 0; !t->estimator && co_program_plan(t->program, i); i++) {
    const co_plan *plan = co_program_plan(t->program, i);
    bool evaluates = plan->options.mode == CO_MODE_EVALUATE || plan->options.mode == CO_MODE_INFER;
    if (evaluates) most = fmax(most, (double)plan->flops / (double)plan->options.shape.rows);
  }
  return floor(most); // what is done once a batch does not count
}

double co_session_step_flops(const co_session *t) {
  double of_row = 0, update = 0;
  const bool alike = !t->estimator && t->settings.phases.count <= 1;
  for (int64_t i = 0; alike && co_program_plan(t->program, i); i++) {
    const co_plan *plan = co_program_plan(t->program, i);
    if (plan->options.mode == CO_MODE_TRAIN)
      of_row = fmax(of_row, (double)plan->flops / (double)plan->options.shape.rows);
    if (plan->options.mode == CO_MODE_UPDATE) update = fmax(update, (double)plan->flops);
  }
  return of_row * (double)t->batch_rows + update;
}

int64_t co_session_batch_rows(const co_session *t) {
  return t->batch_rows;
}

int64_t co_session_evaluation_rows(const co_session *t) {
  return t->evaluation_rows;
}

void co_session_get_seconds(const co_session *t, double *waited, double *apart) {
  *waited = t->pipeline ? co_pipeline_wait_seconds(t->pipeline) : t->wait_seconds;
  *apart = t->evaluation_seconds + t->checkpoint_seconds;
}

co_status co_session_advance(co_session *t) {
  if (t->estimator) return co_session_fit(t);
  bool paused = t->pause && t->next_step == t->pause;
  bool submits = co_submission_queue_has_room(&t->queue) && !t->waiting && !paused;
  CO_RETURN_IF_FAILED(submits ? submit(t) : collect(t));
  return answer_requests(t);
}

co_status co_session_advance_by(co_session *t, int64_t steps) {
  int64_t left = t->total_steps - t->state.step;
  t->pause = t->state.step + least(steps, left);
  co_status status = CO_OK;
  while (status == CO_OK && !t->state.finished && t->state.step < t->pause)
    status = co_session_advance(t);
  t->pause = 0;
  return status;
}

co_status co_session_end(co_session *t) {
  CO_RETURN_IF_FAILED(collect_all(t));
  if (t->state.finished) return CO_OK;
  if (!t->state.step) {
    co_status status =
        co_fail(CO_ERR_USAGE, "the training has done no step that could be its last");
    co_hint("close it, and nothing is trained; or advance it first");
    return status;
  }
  t->total_steps = t->state.step;
  if (t->state.batch) return end_epoch(t, false);
  t->state.finished = true;
  t->checkpoint_step = -1; // the one of this step does not know that it is the last
  return co_session_checkpoint(t, true);
}

void co_session_get_state(const co_session *t, cohort_training_state *out) {
  bool stepped = t->state.step > 0 && !t->estimator;
  *out =
      (cohort_training_state){.step = t->state.step,
                              .steps = t->total_steps,
                              .epoch = (int64_t)t->state.epoch + (t->state.batch > 0),
                              .epochs = t->settings.max_epochs,
                              .loss = t->shown_loss,
                              .gradient_norm = t->norm,
                              .learning_rate = stepped ? learning_rate(t, t->state.step - 1) : NAN,
                              .done = t->state.finished};
}

co_status co_session_open_batches(co_session *t) {
  t->started = co_session_now();
  if (t->estimator) return CO_OK; // reads its rows by itself
  co_pipeline_options options = {.samples = t->samples[CO_SPLIT_TRAIN],
                                 .sample_count = t->sample_count[CO_SPLIT_TRAIN],
                                 .batch_rows = t->batch_rows,
                                 .training = true,
                                 .targets = true,
                                 .seed = t->state.seed,
                                 .epoch = t->state.epoch,
                                 .first_batch = (uint32_t)t->state.batch,
                                 .workers = t->options->workers > 0 ? t->options->workers : 1,
                                 .resident = t->resident,
                                 .staging = co_program_staging(t->program, false)};
  options.ahead =
      co_program_depth(t->program) * (int)co_program_submission_limit(t->program, false);
  CO_RETURN_IF_FAILED(co_resident_load(t->resident, t->program, t->dataset));
  CO_RETURN_IF_FAILED(co_pipeline_create(&t->pipeline, t->model, t->dataset, &options));
  t->queue = (co_submission_queue){.program = t->program, .pipeline = t->pipeline};
  t->next_step = t->state.step;
  t->next_batch = t->state.batch;
  t->started = t->epoch_begun = co_session_now();
  t->epoch_step = t->state.step;
  show_progress(t);
  return CO_OK;
}

void co_session_close_batches(co_session *t) {
  if (!t->pipeline) return;
  co_submission_queue_drain(&t->queue); // before the batches go
  t->wait_seconds = co_pipeline_wait_seconds(t->pipeline);
  co_watch_progress(t->watch, "train", "steps", -1, t->total_steps, NULL);
  co_pipeline_free(t->pipeline);
  t->pipeline = NULL;
}
