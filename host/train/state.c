// SPDX-License-Identifier: Apache-2.0
// Where a training stands: beginning, checkpoints, exact resume.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/eval/attribution.h"
#include "host/eval/blend.h"
#include "host/eval/kept_scores.h"
#include "host/train/session_private.h"

// A value of a run's run.json, NULL if there is none.
const char *co_session_recorded(co_session *t, const char *key) {
  char *path = co_path_join(t->ctx, t->run_path, "run.json");
  co_node *node = NULL;
  co_diagnostics ignored;
  co_diagnostics_init(&ignored, t->ctx);
  if (path && co_path_exists(path)) co_yaml_read_file(&node, t->arena, path, &ignored);
  co_diagnostics_free(&ignored);
  co_free(t->ctx, path);
  const co_node *value = node ? co_node_get(node, key) : NULL;
  return value && value->kind == CO_NODE_SCALAR ? value->text : NULL;
}

bool co_session_run_has(co_session *t, const char *name) {
  char *path = co_path_join(t->ctx, t->run_path, name);
  bool there = path && co_path_exists(path);
  co_free(t->ctx, path);
  return there;
}

// Equal bytes need equal config, data and machine: what differs is said before anything is touched.
static co_status config_drifted(co_session *t) {
  char *path = co_path_join(t->ctx, t->run_path, "config.full.yaml");
  co_node *then = NULL, *now = NULL;
  co_difference d;
  co_diagnostics ignored;
  co_diagnostics_init(&ignored, t->ctx);
  if (path) (void)co_yaml_read_file(&then, t->arena, path, &ignored);
  (void)co_yaml_parse(&now, t->arena, "config", t->config_json.data, t->config_json.length,
                      &ignored);
  co_diagnostics_free(&ignored);
  co_free(t->ctx, path);
  if (!then || !now || !co_node_differ(&d, then, now)) d = (co_difference){.a = NULL};
  co_status status = co_fail_at(
      CO_ERR_CONFIG, t->run_path, 0, 0,
      "the config differs from the one this run was started with%s%s%s%s%s%s", *d.path ? ": " : "",
      d.path, *d.path ? " is " : "", *d.path ? co_node_brief(d.b) : "", *d.path ? ", was " : "",
      *d.path ? co_node_brief(d.a) : "");
  co_hint("resume without -c and --set, or compare with %s/config.full.yaml", t->run_path);
  return status;
}

// CO_ERR_CONFIG unless a stored config says the same. One that an earlier version wrote lacks what it
// did not know: it has its default.
static co_status check_config(co_session *t, const char *stored) {
  if (strcmp(stored, t->config_json.data) == 0) return CO_OK;
  co_arena *arena;
  co_node *node = NULL;
  co_trainer_settings settings;
  co_diagnostics problems;
  co_json json;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, t->ctx));
  co_diagnostics_init(&problems, t->ctx);
  co_json_init(&json, t->ctx, 0);
  co_status status = co_yaml_parse(&node, arena, "config", stored, strlen(stored), &problems);
  if (status == CO_OK) status = co_settings_parse_trainer(&settings, node, arena, &problems);
  if (status == CO_OK && !problems.count) status = co_settings_render(&json, node, &settings);
  bool same = status == CO_OK && !problems.count && json.text.data &&
              strcmp(json.text.data, t->config_json.data) == 0;
  co_json_free(&json);
  co_diagnostics_free(&problems);
  co_arena_free(arena);
  if (status == CO_ERR_MEMORY || same) return status;
  return config_drifted(t);
}

static co_status check_fingerprint(co_session *t, const char *recorded_fingerprint) {
  const char *mine = co_dataset_fingerprint(t->dataset);
  if (!recorded_fingerprint || strcmp(recorded_fingerprint, mine) == 0) return CO_OK;
  co_status status = co_fail_at(CO_ERR_DATA, t->dataset_path, 0, 0,
                                "the dataset is not the one this run was started with");
  co_hint("a fold of an experiment goes on with cohort experiment --resume");
  return status;
}

static co_status check_machine(co_session *t) {
  const char *threads = co_session_recorded(t, "threads"),
             *device = co_session_recorded(t, "device");
  const char *name = t->backend->api->name;
  if (threads && strtol(threads, NULL, 10) != t->threads) {
    co_status status =
        co_fail_at(CO_ERR_CONFIG, t->run_path, 0, 0,
                   "this run was started with %s threads, not %d; the number decides "
                   "in which order sums are made",
                   threads, t->threads);
    co_hint("resume without --threads");
    return status;
  }
  if (!device || strcmp(device, name) == 0) return CO_OK;
  co_status status = co_fail_at(CO_ERR_CONFIG, t->run_path, 0, 0,
                                "this run was started on device %s, not %s", device, name);
  co_hint("resume without --device");
  return status;
}

// Another processor or library computes as well, but rounds in its own way.
static void warn_of_machine(co_session *t) {
  char now[256];
  const char *then = co_session_recorded(t, "machine");
  co_machine_describe(now, sizeof now);
  if (then && strcmp(then, now) != 0)
    co_log(t->ctx, CO_LOG_WARN, "resume",
           "this run was begun on %s, this is %s: its bytes may differ from those of a run never "
           "stopped",
           then, now);
}

// Some of it are constants of the network.
static co_status upload_fitted(co_session *t) {
  return t->estimator ? CO_OK : co_program_upload_constants(t->program);
}

static co_status read_fitted(co_session *t, const char *path) {
  CO_RETURN_IF_FAILED(
      co_model_file_read_fitted(t->ctx, path, t->model->fitted, t->model->fitted_count));
  return upload_fitted(t);
}

static co_status load_state(co_session *t, const co_model_file *file, const char *path) {
  const co_training_state *stored = &file->training;
  if (!file->has_training)
    return co_fail_at(CO_ERR_MODEL, path, 0, 0, "it holds no training state");
  CO_RETURN_IF_FAILED(check_config(t, file->config_text));
  CO_RETURN_IF_FAILED(check_fingerprint(t, file->dataset_fingerprint));
  bool good = stored->phase_count == t->state.phase_count;
  for (int64_t i = 0; i < stored->phase_count; i++)
    good = good && stored->updates[i] >= 0;
  if (!good || stored->sum_count != t->state.sum_count || stored->step < 0 || stored->batch < 0 ||
      stored->batch >= t->batches_per_epoch || stored->metrics_bytes < 0)
    return co_fail_at(CO_ERR_MODEL, path, 0, 0, "its training state is damaged");
  CO_RETURN_IF_FAILED(read_fitted(t, path));
  CO_RETURN_IF_FAILED(co_model_file_read_weights(t->ctx, path, co_program_store(t->program), true));
  double *sums = t->state.sums;
  memcpy(sums, stored->sums, (size_t)stored->sum_count * sizeof *sums);
  t->state = *stored;
  t->state.sums = sums;
  return CO_OK;
}

static co_status load_checkpoint(void *user, const char *path, bool *damaged) {
  co_session *t = user;
  co_arena *arena;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, t->ctx));
  co_model_file file;
  co_status status = co_model_file_read(&file, arena, path);
  if (status == CO_OK) status = load_state(t, &file, path);
  *damaged = status == CO_ERR_MODEL && !file.newer;
  if (status == CO_ERR_MODEL && file.newer)
    co_hint(
        "use the version of Cohort that wrote it, or a later one; or move it away to go on from "
        "the checkpoint before it");
  co_arena_free(arena);
  return status;
}

// The model of a run that is done, loaded as the result.
static co_status load_model(co_session *t, const char *path, bool *damaged) {
  co_arena *arena;
  co_model_file file;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, t->ctx));
  co_status status;
  CO_TRY(co_model_file_read(&file, arena, path));
  CO_TRY(check_config(t, file.config_text));
  CO_TRY(check_fingerprint(t, file.dataset_fingerprint));
  CO_TRY(read_fitted(t, path));
  if (t->estimator)
    CO_TRY(co_estimator_read(t->estimator, path, CO_MODEL_PREDICTOR_GROUP));
  else
    CO_TRY(co_model_file_read_weights(t->ctx, path, co_program_store(t->program), false));
cleanup:
  *damaged = status == CO_ERR_MODEL && !file.newer;
  co_arena_free(arena);
  return status;
}

// Where a dataset that becomes the run's own will be: dataset_path lies beside the run's folder.
static char *own_dataset_path(const co_session *t) {
  const char *end = strrchr(t->dataset_path, '/'), *name = strrchr(t->run_path, '/');
  return co_format(t->ctx, "%.*s/%s/dataset.h5", end ? (int)(end - t->dataset_path) : 1,
                   end ? t->dataset_path : ".", name ? name + 1 : t->run_path);
}

static co_status create_run(co_session *t) {
  co_text yaml, status_text, choices;
  co_text_init(&yaml, t->ctx);
  co_text_init(&choices, t->ctx);
  co_text_init(&status_text, t->ctx);
  co_status status;
  char *dataset = NULL;
  if (t->options->own_dataset) {
    dataset = t->dataset_path;
    if (!(t->dataset_path = own_dataset_path(t))) status = CO_ERR_MEMORY;
    if (!t->dataset_path) goto cleanup;
  }
  CO_TRY(co_node_to_yaml(&yaml, t->config));
  CO_TRY(co_session_render_status(t, &status_text, "running", 0));
  if (t->choices) co_choices_render_run(t->choices, &choices);
  CO_TRY(choices.status);
  co_run_start start = {.config_json = t->config_json.data,
                        .config_yaml = yaml.data ? yaml.data : "",
                        .command = t->options->command,
                        .status = status_text.data,
                        .choices = choices.data,
                        .dataset = dataset};
  CO_TRY(co_run_create(&t->run, t->ctx, t->run_path, &start));
  if (dataset) CO_TRY(co_dataset_renamed(t->dataset, t->dataset_path));
  if (dataset && t->whole) CO_TRY(co_dataset_renamed(t->whole, t->dataset_path));
cleanup:
  co_free(t->ctx, dataset);
  co_text_free(&yaml);
  co_text_free(&status_text);
  co_text_free(&choices);
  return status;
}

// Of a run that goes on: those that were made anew.
static co_status replace_choices(co_session *t) {
  co_text choices;
  if (!t->choices || !co_choices_count(t->choices, CO_CHOSEN_TUNED)) return CO_OK;
  co_text_init(&choices, t->ctx);
  co_choices_render_run(t->choices, &choices);
  co_status status = choices.status;
  if (status == CO_OK) status = co_run_write_choices(&t->run, choices.data);
  co_text_free(&choices);
  return status;
}

// Weights and statistics as they are before the first step.
static co_status start_state(co_session *t) {
  double *sums = t->state.sums;
  const int64_t phases = t->settings.phases.count;
  int64_t count = t->model->network->metric_doubles + t->model->network->loss_count;
  if (!sums) sums = co_alloc_zero(t->ctx, (size_t)count + 1, sizeof *sums);
  if (!sums) return CO_ERR_MEMORY;
  t->state = (co_training_state){.seed = (uint64_t)t->settings.seed,
                                 .best = NAN,
                                 .rate = 1,
                                 .best_step = -1,
                                 .phase_count = phases ? phases : 1,
                                 .sum_count = count,
                                 .sums = sums};
  return CO_OK;
}

static co_status initialize(co_session *t) {
  CO_RETURN_IF_FAILED(co_fit_features(t->model, t->dataset, t->threads));
  CO_RETURN_IF_FAILED(upload_fitted(t));
  CO_RETURN_IF_FAILED(co_check_inputs(t->model, t->dataset, t->samples[CO_SPLIT_VALIDATION],
                                      t->sample_count[CO_SPLIT_VALIDATION], NULL));
  return co_session_initial_weights(t);
}

// The metrics of the interval in work go on where they were.
static co_status restore_interval(co_session *t) {
  const double *sums = t->state.sums;
  memcpy(t->interval.weight_sum, sums + t->model->network->metric_doubles,
         (size_t)t->model->network->loss_count * sizeof *sums);
  return co_program_write_metrics(t->program, false, sums);
}

// How often each phase's optimizer has made an update.
static void set_updates(co_session *t) {
  for (int64_t i = 0; !t->estimator && i < t->state.phase_count; i++)
    co_program_set_updates(t->program, i, t->state.updates[i]);
}

// A run that is killed after this comes here again: all that it was is in checkpoints of the schedule.
co_status co_session_roll_back(co_session *t) {
  const int64_t rollbacks = t->state.rollbacks + 1;
  const double rate = t->state.rate / 2;
  int64_t step;
  double *sums = t->state.sums;
  CO_RETURN_IF_FAILED(co_run_load_scheduled(&t->run, load_checkpoint, t, &step));
  if (step < 0) {
    CO_RETURN_IF_FAILED(start_state(t));
    memset(sums, 0, (size_t)t->state.sum_count * sizeof *sums);
    CO_RETURN_IF_FAILED(co_session_initial_weights(t));
  }
  t->state.rollbacks = rollbacks;
  t->state.rate = rate;
  t->checkpoint_step = step;
  set_updates(t);
  CO_RETURN_IF_FAILED(co_run_start_metrics(&t->run, t->state.metrics_bytes, t->state.step));
  CO_RETURN_IF_FAILED(restore_interval(t));
  co_log(t->ctx, CO_LOG_WARN, "train",
         "the gradient was not finite: back to step %lld, at %g of the learning rate",
         (long long)t->state.step, rate);
  return co_session_record_begin(t, "rollback");
}

static co_status load_best_weights(co_session *t) {
  if (t->state.best_step < 0 || t->state.best_step == t->state.step) return CO_OK;
  char *path = co_run_checkpoint_path(&t->run, t->state.best_step, true);
  co_status status =
      path ? co_model_file_read_weights(t->ctx, path, co_program_store(t->program), false)
           : CO_ERR_MEMORY;
  co_free(t->ctx, path);
  return status;
}

// A run that says it is done and has its model is done, whatever became of its checkpoints.
static co_status find_done(co_session *t, bool *damaged) {
  const char *word = co_session_recorded(t, "status"), *step = co_session_recorded(t, "step");
  *damaged = false;
  if (!word || strcmp(word, "done") != 0 || !co_session_run_has(t, "model.h5")) return CO_OK;
  char *path = co_path_join(t->ctx, t->run_path, "model.h5");
  co_status status = path ? load_model(t, path, damaged) : CO_ERR_MEMORY;
  if (*damaged)
    co_log(t->ctx, CO_LOG_WARN, "resume", "%s is not usable (%s); it is trained again", path,
           co_error_last()->message);
  co_free(t->ctx, path);
  if (*damaged) return CO_OK;
  CO_RETURN_IF_FAILED(status);
  CO_RETURN_IF_FAILED(start_state(t));
  t->state.step = step ? strtoll(step, NULL, 10) : 0;
  t->state.finished = t->already_done = true;
  return CO_OK;
}

// Loads what there is: the state of the newest checkpoint, or a finished run's model.
static co_status load_run(co_session *t, int64_t *step, bool *scheduled) {
  bool damaged;
  CO_RETURN_IF_FAILED(co_run_load_newest(&t->run, load_checkpoint, t, step, scheduled));
  t->already_done = t->state.finished && co_session_run_has(t, "model.h5");
  if (t->already_done) return load_best_weights(t);
  CO_RETURN_IF_FAILED(find_done(t, &damaged));
  // The damaged model may have been read in part.
  return damaged ? co_run_load_newest(&t->run, load_checkpoint, t, step, scheduled) : CO_OK;
}

// Nothing in the folder changes before it is clear that this process may continue the run.
static co_status continue_run(co_session *t) {
  int64_t step;
  bool scheduled, differs = false;
  CO_RETURN_IF_FAILED(co_run_open(&t->run, t->ctx, t->run_path));
  CO_RETURN_IF_FAILED(check_machine(t));
  CO_RETURN_IF_FAILED(check_fingerprint(t, co_session_recorded(t, "dataset_fingerprint")));
  CO_RETURN_IF_FAILED(load_run(t, &step, &scheduled));
  if (step < 0 && !t->already_done) {
    CO_RETURN_IF_FAILED(co_run_config_differs(&t->run, t->config_json.data, &differs));
    if (differs) return config_drifted(t);
    CO_RETURN_IF_FAILED(start_state(t)); // an unusable checkpoint may have been read in part
    CO_RETURN_IF_FAILED(initialize(t));
  }
  t->resumed_step = t->state.step;
  t->checkpoint_step = step;
  if (t->already_done) return CO_OK;
  warn_of_machine(t);
  t->begun = true;
  set_updates(t);
  CO_RETURN_IF_FAILED(replace_choices(t));
  CO_RETURN_IF_FAILED(co_run_start_metrics(&t->run, t->state.metrics_bytes, t->state.step));
  CO_RETURN_IF_FAILED(co_run_set_damaged_aside(&t->run, step, scheduled));
  CO_RETURN_IF_FAILED(co_run_settle_checkpoints(&t->run, step, scheduled, t->state.best_step,
                                                t->settings.keep_last));
  if (step >= 0) {
    CO_RETURN_IF_FAILED(restore_interval(t));
  }
  CO_RETURN_IF_FAILED(co_session_write_hparams(t));
  CO_RETURN_IF_FAILED(co_session_record_begin(t, "resume"));
  return co_session_write_status(t, "running", 0);
}

static void log_begin(co_session *t) {
  const int64_t *count = t->sample_count;
  if (t->already_done) {
    co_log(t->ctx, CO_LOG_INFO, "begin", "%s is done since step %lld; nothing to do", t->run.path,
           (long long)t->state.step);
    return;
  }
  if (t->estimator) {
    co_log(t->ctx, CO_LOG_INFO, "begin",
           "%s: %lld training and %lld validation rows of %lld columns, predictor %s", t->run.path,
           (long long)count[CO_SPLIT_TRAIN], (long long)count[CO_SPLIT_VALIDATION],
           (long long)t->estimator->columns.count, t->model->predictor);
    return;
  }
  co_log(t->ctx, CO_LOG_INFO, "begin",
         "%s: %lld training and %lld validation rows, %lld parameters, %s with %d threads (%s)",
         t->run.path, (long long)count[CO_SPLIT_TRAIN], (long long)count[CO_SPLIT_VALIDATION],
         (long long)co_session_parameters(t), t->backend->api->name, t->threads, t->threads_why);
  co_log(t->ctx, CO_LOG_INFO, "begin",
         "%s at step %lld of %lld, %lld steps an epoch of %lld rows each",
         t->resumed ? "going on" : "beginning", (long long)t->state.step, (long long)t->total_steps,
         (long long)t->batches_per_epoch, (long long)t->batch_rows);
}

co_status co_session_begin(co_session *t) {
  CO_RETURN_IF_FAILED(start_state(t));
  t->checkpoint_step = -1;
  if (t->resumed) {
    CO_RETURN_IF_FAILED(continue_run(t));
  } else {
    CO_RETURN_IF_FAILED(initialize(t)); // before the folder: what fails here leaves none
    CO_RETURN_IF_FAILED(create_run(t));
    t->begun = true;
    CO_RETURN_IF_FAILED(co_run_start_metrics(&t->run, 0, 0));
    CO_RETURN_IF_FAILED(co_session_write_hparams(t));
    CO_RETURN_IF_FAILED(co_session_record_begin(t, "start"));
  }
  log_begin(t);
  return CO_OK;
}

co_status co_session_checkpoint(co_session *t, bool scheduled) {
  double begun = co_session_now();
  if (t->checkpoint_step == t->state.step) return CO_OK;
  // The sums of the interval in work go along, so that a resumed run adds to the same numbers.
  int64_t doubles = t->model->network->metric_doubles;
  CO_RETURN_IF_FAILED(co_program_read_metrics(t->program, false, t->state.sums));
  memcpy(t->state.sums + doubles, t->interval.weight_sum,
         (size_t)t->model->network->loss_count * sizeof(double));
  CO_RETURN_IF_FAILED(co_run_sync_metrics(&t->run, &t->state.metrics_bytes));
  for (int64_t i = 0; i < t->state.phase_count; i++)
    t->state.updates[i] = co_program_updates(t->program, i);
  int64_t carried_count;
  const co_carried *carried = co_dataset_carried(t->dataset, &carried_count);
  co_model_file_content content = {.schema = &t->model->schema,
                                   .fitted = t->model->fitted,
                                   .fitted_count = t->model->fitted_count,
                                   .store = co_program_store(t->program),
                                   .network = t->model->network,
                                   .config = t->config_json.data,
                                   .recipe = co_dataset_recipe(t->dataset),
                                   .split = co_dataset_split_rule(t->dataset),
                                   .carried = carried,
                                   .carried_count = carried_count,
                                   .dataset_fingerprint = co_dataset_fingerprint(t->dataset),
                                   .training = &t->state};
  char *path = co_run_checkpoint_path(&t->run, t->state.step, scheduled);
  if (!path) return CO_ERR_MEMORY;
  co_status status = co_model_file_write(t->ctx, path, &content);
  co_free(t->ctx, path);
  if (status == CO_OK)
    status = co_run_settle_checkpoints(&t->run, t->state.step, scheduled, t->state.best_step,
                                       t->settings.keep_last);
  if (status == CO_OK) t->checkpoint_step = t->state.step;
  t->checkpoint_seconds += co_session_now() - begun;
  CO_RETURN_IF_FAILED(status);
  char fields[64];
  snprintf(fields, sizeof fields, "\"step\":%lld", (long long)t->state.step);
  co_log(t->ctx, CO_LOG_INFO, "checkpoint", "step=%lld", (long long)t->state.step);
  return co_run_write_event(&t->run, "checkpoint", fields);
}

// After the best weights are loaded and the baselines fitted.
static co_status choose_shipped(co_session *t) {
  const co_estimator_class *class_ = t->settings.baselines.blend;
  const co_scoring_options options = {
      .watch = t->watch, .workers = t->options->workers, .stage = "blend"};
  t->shipped = t->predictor;
  if (!class_) return CO_OK;
  co_estimator *baseline = co_baselines_find(&t->baselines, class_->name);
  if (!baseline)
    return co_fail(CO_ERR_DATA, "%s could not be fitted: there is nothing to blend with",
                   class_->name);
  if (t->first)
    CO_RETURN_IF_FAILED(co_session_take_decisions(t, baseline));
  else
    CO_RETURN_IF_FAILED(co_blend_fit(baseline, t->predictor, t->dataset,
                                     t->samples[CO_SPLIT_VALIDATION],
                                     t->sample_count[CO_SPLIT_VALIDATION], &options));
  t->shipped = NULL;
  return co_blend_attach(&t->shipped, t->predictor, baseline);
}

// RUN/scores.h5, unless there are too many.
static co_status keep_scores(co_session *t, const co_evaluation *evaluation) {
  char hex[65];
  const co_scores_identity identity = {.split = co_split_name(CO_SPLIT_VALIDATION),
                                       .dataset_fingerprint = co_dataset_fingerprint(t->dataset),
                                       .weights_sha256 = hex};
  if (!co_kept_scores_fit(evaluation)) {
    co_log(t->ctx, CO_LOG_INFO, "scores", "those of %lld validation rows are too many to be kept",
           (long long)evaluation->rows);
    return CO_OK;
  }
  if (t->estimator)
    co_model_arrays_fingerprint(&t->estimator->arrays, hex);
  else
    CO_RETURN_IF_FAILED(co_store_fingerprint(co_program_store(t->program), hex));
  char *path = co_path_join(t->ctx, t->run.path, CO_SCORES_FILE);
  co_status status = path ? co_kept_scores_write(evaluation, path, &identity) : CO_ERR_MEMORY;
  co_free(t->ctx, path);
  return status;
}

// Temperature and threshold, from the validation rows.
static co_status decide(co_session *t) {
  const co_scoring_options options = {
      .watch = t->watch, .workers = t->options->workers, .stage = "calibrate"};
  co_evaluation evaluation;
  if (t->first) return co_session_take_decisions(t, NULL);
  if (!t->sample_count[CO_SPLIT_VALIDATION] || !co_evaluation_needs_scores(t->model)) return CO_OK;
  co_status status;
  CO_TRY(co_evaluation_create(&evaluation, t->model));
  co_evaluation_collect_all(&evaluation);
  evaluation.keeps = true;
  CO_TRY(co_evaluate(&evaluation, t->shipped, t->dataset, t->samples[CO_SPLIT_VALIDATION],
                     t->sample_count[CO_SPLIT_VALIDATION], &options));
  CO_TRY(co_decide(&evaluation));
  CO_TRY(keep_scores(t, &evaluation));
cleanup:
  co_evaluation_free(&evaluation);
  return status;
}

static co_status write_model(co_session *t, const co_model_golden *golden,
                             const co_model_profile *profile, const co_model_arrays *reference) {
  const bool selected = t->settings.refit && !t->first;
  char *path = co_path_join(t->ctx, t->run.path, selected ? CO_SELECTED_MODEL : "model.h5");
  if (!path) return CO_ERR_MEMORY;
  const co_dataset *fitted_to = t->first ? t->first->dataset : t->dataset;
  int64_t carried_count;
  const co_carried *carried = co_dataset_carried(t->dataset, &carried_count);
  co_model_file_content content = {.schema = &t->model->schema,
                                   .fitted = t->model->fitted,
                                   .fitted_count = t->model->fitted_count,
                                   .store = co_program_store(t->program),
                                   .network = t->model->network,
                                   .config = t->config_json.data,
                                   .recipe = co_dataset_recipe(t->dataset),
                                   .split = co_dataset_split_rule(t->dataset),
                                   .carried = carried,
                                   .carried_count = carried_count,
                                   .dataset_fingerprint = co_dataset_fingerprint(fitted_to),
                                   .predictor = t->estimator ? &t->estimator->arrays : NULL,
                                   .baselines = t->baselines.stored,
                                   .baseline_count = t->baselines.count,
                                   .golden = co_golden_rows(golden) ? golden : NULL,
                                   .profile = profile,
                                   .reference = reference};
  co_status status = co_model_file_write(t->ctx, path, &content);
  co_free(t->ctx, path);
  return status;
}

// model.h5 holds the best checkpoint's weights where there was validation, else the last.
co_status co_session_write_model(co_session *t) {
  double begun = co_session_now();
  CO_RETURN_IF_FAILED(load_best_weights(t));
  CO_RETURN_IF_FAILED(choose_shipped(t));
  CO_RETURN_IF_FAILED(decide(t));
  co_model_golden golden = {.rounding = co_golden_rounding(t->backend, t->settings.precision)};
  co_status status =
      co_golden_make(&golden, t->arena, t->shipped, t->dataset, t->samples[CO_SPLIT_TRAIN],
                     t->sample_count[CO_SPLIT_TRAIN], t->settings.golden_rows);
  // Scores of rows that were learned from tell less of others; without any others they have to do.
  co_split scored = t->sample_count[CO_SPLIT_VALIDATION] ? CO_SPLIT_VALIDATION : CO_SPLIT_TRAIN;
  co_model_profile profile = {.inputs = {0}};
  if (status == CO_OK)
    status = co_profile_make(&profile, t->arena, t->shipped, t->dataset, t->samples[CO_SPLIT_TRAIN],
                             t->sample_count[CO_SPLIT_TRAIN], t->samples[scored],
                             t->sample_count[scored]);
  co_model_arrays reference = {.count = 0};
  if (status == CO_OK)
    status = co_attribution_reference(&reference, t->arena, t->shipped, t->dataset,
                                      t->samples[CO_SPLIT_TRAIN], t->sample_count[CO_SPLIT_TRAIN]);
  t->evaluation_seconds += co_session_now() - begun; // it is all of scoring rows
  if (status == CO_OK) status = write_model(t, &golden, &profile, &reference);
  co_free(t->ctx, reference.items);
  co_model_profile_free(&profile, t->ctx);
  co_golden_free(&golden, t->ctx);
  return status;
}
