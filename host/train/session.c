// SPDX-License-Identifier: Apache-2.0
// Opening a session: config and dataset to a plan and a run directory; and its end.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/eval/opening.h"
#include "host/eval/score_columns.h"
#include "host/feed/fit_features.h"
#include "host/feed/labels.h"
#include "host/train/session_private.h"

// Decides between a new run and continuing one, and where it lives.
static co_status choose_run(co_session *t) {
  const cohort_train_options *options = t->options;
  const char *resume = options->resume;
  bool automatic = resume && strcmp(resume, "auto") == 0;
  if (resume && !automatic && *resume && options->run_dir &&
      strcmp(resume, options->run_dir) != 0) {
    co_status status = co_fail(CO_ERR_USAGE,
                               "--resume %s already says which run, so there can be "
                               "no --run-dir",
                               resume);
    co_hint("leave --run-dir out; what a run goes on to write stays in its folder");
    return status;
  }
  const char *path = resume && !automatic && *resume ? resume : options->run_dir;
  if (resume && !path) {
    co_status status = co_fail(CO_ERR_USAGE, "--resume needs to know which run");
    co_hint("give --resume RUN_DIRECTORY, or --run-dir with --resume=auto");
    return status;
  }
  if (path) {
    t->run_path = co_strdup(t->ctx, path);
  } else {
    const char *root = options->output_directory ? options->output_directory : "runs";
    const char *name = options->experiment;
    if (!name && options->config.file_count) {
      const char *file = strrchr(options->config.files[0], '/');
      file = file ? file + 1 : options->config.files[0];
      const char *dot = strrchr(file, '.');
      name = co_arena_strndup(t->arena, file, dot ? (size_t)(dot - file) : strlen(file));
    }
    t->run_path = co_run_default_path(t->ctx, root, name ? name : "run");
  }
  if (!t->run_path) return CO_ERR_MEMORY;
  for (size_t end = strlen(t->run_path); end > 1 && t->run_path[end - 1] == '/';)
    t->run_path[--end] = '\0'; // temporaries are named after it
  if (!resume) return co_run_check_free(t->ctx, t->run_path);
  t->resumed = co_session_run_has(t, "config.full.yaml");
  // A kill before the first write leaves an empty folder at most: with a config at hand, begin.
  if (t->resumed || automatic || (co_path_is_directory(t->run_path) && options->config.file_count))
    return CO_OK;
  co_status status = co_fail_at(CO_ERR_MODEL, t->run_path, 0, 0, "there is no run to resume");
  co_hint("--resume takes a run's directory; --run-dir DIR --resume=auto begins one where none is");
  return status;
}

static co_status read_config(co_session *t) {
  const cohort_config *given = &t->options->config;
  char *own = co_arena_format(t->arena, "%s/config.full.yaml", t->run_path);
  if (!own) return CO_ERR_MEMORY;
  const char *const files[] = {own};
  bool from_run = t->resumed && !given->file_count;
  if (!given->file_count && !from_run && !t->options->preset) {
    co_status status = co_fail(CO_ERR_USAGE, "there is no config");
    co_hint("give -c CONFIG.yaml, for example -c models/presets/product-cnn.yaml");
    return status;
  }
  if (!given->file_count && !from_run)
    CO_RETURN_IF_FAILED(co_settings_read_text(&t->config, t->arena, "auto", t->options->preset,
                                              given->assignments, given->assignment_count,
                                              t->problems));
  else
    CO_RETURN_IF_FAILED(co_settings_read(&t->config, t->arena, from_run ? files : given->files,
                                         from_run ? 1 : given->file_count, given->assignments,
                                         given->assignment_count, t->problems));
  if (co_node_get(t->config, "hyperopt"))
    co_log(t->ctx, CO_LOG_INFO, "begin",
           "the config's hyperopt section is left alone: it is for "
           "cohort hyperopt");
  if (t->options->refit)
    CO_RETURN_IF_FAILED(co_node_set(&t->config, t->arena, "trainer.refit=true", t->problems));
  CO_RETURN_IF_FAILED(co_settings_parse_trainer(&t->settings, t->config, t->arena, t->problems));
  CO_RETURN_IF_FAILED(co_choose_precision(&t->settings.precision, t->options->precision));
  const char *dataset = t->options->dataset ? t->options->dataset : co_settings_dataset(t->config);
  if (t->dataset) dataset = co_dataset_path(t->dataset);
  if (!dataset && t->resumed) dataset = co_session_recorded(t, "dataset");
  if (!dataset && !t->problems->count) {
    co_status status = co_fail(CO_ERR_USAGE, "there is no dataset");
    co_hint("give --dataset FILE.h5, or dataset: {path: …} in the config");
    return status;
  }
  if (!dataset) return co_diagnostics_result(t->problems);
  // Absolute, so that a run can be resumed from another folder.
  char *absolute = realpath(dataset, NULL);
  t->dataset_path = co_strdup(t->ctx, absolute ? absolute : dataset);
  free(absolute);
  return t->dataset_path ? CO_OK : CO_ERR_MEMORY;
}

static co_status render_config(co_session *t) {
  co_json json;
  co_json_init(&json, t->ctx, 0);
  co_status status = co_settings_render(&json, t->model->config, &t->settings);
  if (status == CO_OK) co_text_append(&t->config_json, json.text.data, json.text.length);
  co_json_free(&json);
  return status == CO_OK ? t->config_json.status : status;
}

// At most `count` rows of a split, from all over it.
static co_status mark_few(co_session *t, co_split split, int64_t count, uint8_t *marks) {
  const int64_t *rows;
  int64_t all;
  CO_RETURN_IF_FAILED(co_dataset_split(t->dataset, split, &rows, &all));
  for (int64_t i = 0; i < count && i < all; i++)
    marks[rows[count < all ? i * (all / count) : i]] = (uint8_t)split;
  return CO_OK;
}

static void bound_evaluation(co_session *t) {
  const int64_t asked = t->settings.eval_batch_size;
  t->evaluation_rows = co_bound_rows(t->model, asked);
  if (t->evaluation_rows < asked)
    co_log(t->ctx, CO_LOG_INFO, "begin",
           "evaluation is of %lld rows at a time, not trainer.eval_batch_size=%lld: the model has "
           "many classes",
           (long long)t->evaluation_rows, (long long)asked);
}

// Of a rehearsal, and where it is to overfit: the data set is a view of a few batches.
static co_status take_few(co_session *t) {
  const int64_t fast = t->options->fast_dev_run, overfit = t->settings.overfit_batches;
  const int64_t rows = t->settings.batch_size * t->settings.accumulate_grad_batches;
  co_dataset *view = NULL;
  if (!fast && !overfit) return CO_OK;
  if (overfit && t->settings.refit)
    return co_fail(CO_ERR_CONFIG, "trainer.overfit_batches and trainer.refit do not go together");
  uint8_t *marks = co_alloc(t->ctx, (size_t)co_dataset_rows(t->dataset) + 1);
  if (!marks) return CO_ERR_MEMORY;
  memset(marks, CO_SPLIT_COUNT, (size_t)co_dataset_rows(t->dataset));
  co_status status = mark_few(t, CO_SPLIT_TRAIN, (overfit ? overfit : fast) * rows, marks);
  if (status == CO_OK && !overfit)
    status = mark_few(t, CO_SPLIT_VALIDATION, fast * t->evaluation_rows, marks);
  if (status == CO_OK) status = co_dataset_resplit(&view, t->dataset, marks);
  co_free(t->ctx, marks);
  CO_RETURN_IF_FAILED(status);
  t->whole = t->dataset;
  t->dataset = view;
  return CO_OK;
}

static co_status open_data_and_model(co_session *t) {
  if (!t->dataset) CO_RETURN_IF_FAILED(co_dataset_open(&t->dataset, t->ctx, t->dataset_path));
  co_status status =
      co_model_create(&t->model, t->ctx, t->config, co_dataset_schema(t->dataset), t->problems);
  if (status != CO_OK && status != CO_ERR_CONFIG) return status;
  if (t->problems->count) return co_diagnostics_result(t->problems);
  bound_evaluation(t);
  CO_RETURN_IF_FAILED(take_few(t));
  for (int split = 0; split < CO_SPLIT_COUNT; split++)
    CO_RETURN_IF_FAILED(
        co_dataset_split(t->dataset, (co_split)split, &t->samples[split], &t->sample_count[split]));
  int64_t *learned = &t->sample_count[CO_SPLIT_TRAIN], all = *learned;
  CO_RETURN_IF_FAILED(
      co_training_rows(t->model, t->dataset, co_context_threads(t->ctx), &t->kept, learned));
  if (t->kept) {
    t->samples[CO_SPLIT_TRAIN] = t->kept;
    co_log(t->ctx, CO_LOG_INFO, "data", "%lld of %lld training rows are left out",
           (long long)(all - *learned), (long long)all);
  }
  if (!t->sample_count[CO_SPLIT_TRAIN])
    return co_fail_at(CO_ERR_DATA, t->dataset_path, 0, 0, "there is no training row");
  if (t->settings.overfit_batches) {
    t->samples[CO_SPLIT_VALIDATION] = t->samples[CO_SPLIT_TRAIN];
    t->sample_count[CO_SPLIT_VALIDATION] = t->sample_count[CO_SPLIT_TRAIN];
  }
  CO_RETURN_IF_FAILED(co_fit_lengths(t->model, t->dataset));
  CO_RETURN_IF_FAILED(co_check_labels(t->model, t->dataset, CO_SPLIT_TRAIN));
  CO_RETURN_IF_FAILED(co_check_labels(t->model, t->dataset, CO_SPLIT_VALIDATION));
  // What could be trained, but not be scored, is better said now.
  co_score_columns columns;
  CO_RETURN_IF_FAILED(co_score_columns_list(&columns, t->arena, t->model, t->dataset, 0));
  t->batch_rows = t->settings.batch_size * t->settings.accumulate_grad_batches;
  if (t->batch_rows > t->sample_count[CO_SPLIT_TRAIN])
    t->batch_rows = t->sample_count[CO_SPLIT_TRAIN];
  t->batches_per_epoch = (t->sample_count[CO_SPLIT_TRAIN] + t->batch_rows - 1) / t->batch_rows;
  const int64_t needed = (t->settings.min_steps + t->batches_per_epoch - 1) / t->batches_per_epoch;
  if (t->settings.max_epochs < needed && !t->settings.max_steps) {
    co_log(t->ctx, CO_LOG_INFO, "train", "%lld epochs in place of %lld: trainer.min_steps is %lld",
           (long long)needed, (long long)t->settings.max_epochs, (long long)t->settings.min_steps);
    t->settings.max_epochs = needed;
  }
  t->total_steps = t->settings.max_epochs * t->batches_per_epoch;
  if (t->settings.max_steps && t->settings.max_steps < t->total_steps)
    t->total_steps = t->settings.max_steps;
  if (t->options->fast_dev_run && t->options->fast_dev_run < t->total_steps)
    t->total_steps = t->options->fast_dev_run;
  return CO_OK;
}

static co_status check_validation_metric(co_session *t) {
  co_evaluation_value found;
  CO_RETURN_IF_FAILED(co_evaluation_create(&t->interval, t->model));
  t->interval.training = true;
  CO_RETURN_IF_FAILED(co_evaluation_create(&t->validation, t->model));
  const bool there = co_evaluation_find(&t->validation, t->settings.validation_metric, &found);
  if (there && !found.descriptive) {
    if (!found.summed) co_evaluation_collect_all(&t->validation);
    return CO_OK;
  }
  const co_node *trainer_node = co_node_get(t->config, "trainer");
  char *known = co_evaluation_known(&t->validation);
  co_status status = co_node_problem(
      t->problems, trainer_node ? co_node_get(trainer_node, "validation_metric") : NULL, known,
      there ? "trainer.validation_metric: neither more nor less of '%s' is better"
            : "trainer.validation_metric: no output has a metric '%s'",
      t->settings.validation_metric);
  co_free(t->ctx, known);
  CO_RETURN_IF_FAILED(status);
  return co_diagnostics_result(t->problems);
}

static void warn_without_validation(co_session *t) {
  const co_trainer_settings *settings = &t->settings;
  if (t->sample_count[CO_SPLIT_VALIDATION] || t->first) return;
  const char *key = settings->early_stop > 0      ? "early_stop"
                    : settings->validation_metric ? "validation_metric"
                                                  : NULL;
  if (key)
    co_log(t->ctx, CO_LOG_WARN, "begin", "there are no validation rows: trainer.%s has no effect",
           key);
}

static co_status parse_placement(const char *name, co_placement *out) {
  static const char *const names[] = {"auto", "device", "host"}; // as co_placement
  for (int i = 0; i < 3; i++)
    if (!name || strcmp(name, names[i]) == 0) {
      *out = (co_placement)i;
      return CO_OK;
    }
  co_status status = co_fail(CO_ERR_USAGE, "--dataset-placement %s: no such place", name);
  co_hint("known: auto, device, host");
  return status;
}

// Of what is no network the program has no step: only what is made of the heads' values.
static co_status create_estimator(co_session *t) {
  const char *device = t->options->device;
  co_shape_class classes[CO_MAX_LENGTHS];
  int64_t class_count = 0;
  const int64_t rows = t->evaluation_rows;
  co_shape_classes_add(t->model, rows, classes, &class_count);
  const co_program_options options = {.evaluation_classes = classes,
                                      .evaluation_class_count = class_count,
                                      .evaluation_mode = CO_MODE_EVALUATE,
                                      .evaluation_outputs = true, // of golden rows at least
                                      .real = CO_F32};
  const co_predictor_settings *settings = &t->settings.predictor;
  CO_RETURN_IF_FAILED(co_estimator_choose_device(&device, settings->class_->name));
  CO_RETURN_IF_FAILED(
      co_open_backend(&t->backend, t->ctx, device, t->threads, CO_PRECISION_TF32, NULL));
  CO_RETURN_IF_FAILED(
      co_estimator_create(&t->estimator, settings->class_, settings->options, t->model));
  CO_RETURN_IF_FAILED(co_resident_create(&t->resident, &t->program, t->model, t->dataset,
                                         t->backend, &options, CO_PLACEMENT_HOST));
  return co_network_attach(&t->predictor, t->resident, t->program, t->estimator, rows);
}

// In which a GPU's libraries compute: those of the run that goes on, else the fastest.
static co_status choose_ways(co_session *t) {
  const co_choices_request request = {.when = t->options->autotune,
                                      .cache = t->options->autotune_cache,
                                      .run = t->resumed ? t->run_path : NULL,
                                      .goes_on = t->resumed};
  co_autotune mode = CO_AUTOTUNE_OFF;
  CO_RETURN_IF_FAILED(co_autotune_parse(&mode, request.when));
  return t->options->dry_run ? CO_OK : co_choices_open(&t->choices, t->ctx, &request);
}

static co_status create_program(co_session *t) {
  co_placement placement = CO_PLACEMENT_AUTO;
  CO_RETURN_IF_FAILED(parse_placement(t->options->placement, &placement));
  co_shape_class classes[2 * CO_MAX_LENGTHS], evaluation[CO_MAX_LENGTHS];
  int64_t class_count = 0, evaluation_count = 0;
  co_shape_classes_add(t->model, t->batch_rows, classes, &class_count);
  co_shape_classes_add(t->model, t->sample_count[CO_SPLIT_TRAIN] % t->batch_rows, classes,
                       &class_count);
  const int64_t rows = t->evaluation_rows;
  co_shape_classes_add(t->model, rows, evaluation, &evaluation_count);
  co_phase_options phases[CO_MAX_PHASES];
  int64_t phase_count;
  CO_RETURN_IF_FAILED(
      co_param_groups_apply(t->model->network, &t->settings.param_groups, t->problems));
  CO_RETURN_IF_FAILED(
      co_settings_phases(phases, &phase_count, &t->settings, t->model->network, t->problems));
  if (t->problems->count) return co_diagnostics_result(t->problems);
  for (int64_t i = 0; i < phase_count; i++)
    t->phase_losses[i] = phases[i].losses;
  int64_t micro = t->settings.batch_size < t->batch_rows ? t->settings.batch_size : t->batch_rows;
  co_program_options options = {.rows = micro,
                                .classes = classes,
                                .class_count = class_count,
                                .evaluation_classes = evaluation,
                                .evaluation_class_count = evaluation_count,
                                .evaluation_mode = CO_MODE_EVALUATE,
                                .evaluation_outputs = true, // of golden rows at least
                                .phases = phases,
                                .phase_count = phase_count,
                                .real = CO_F32,
                                .no_capture = t->options->eager,
                                .bf16 = t->settings.precision == CO_PRECISION_BF16};
  // A run goes on where it was, unless it is told otherwise: then check_machine refuses.
  const char *device = t->options->device;
  if (t->resumed && (!device || strcmp(device, "auto") == 0))
    device = co_session_recorded(t, "device");
  CO_RETURN_IF_FAILED(choose_ways(t));
  CO_RETURN_IF_FAILED(
      co_open_backend(&t->backend, t->ctx, device, t->threads, t->settings.precision, t->choices));
  CO_RETURN_IF_FAILED(co_resident_create(&t->resident, &t->program, t->model, t->dataset,
                                         t->backend, &options, placement));
  co_choices_save(t->choices, t->options->autotune_cache);
  CO_RETURN_IF_FAILED(co_baselines_create(&t->baselines, t->model, &t->settings.baselines));
  return co_network_attach(&t->predictor, t->resident, t->program, NULL, rows);
}

static const char *status_word(co_status status) {
  switch (status) {
  case CO_OK:
    return "done";
  case CO_INTERRUPTED:
  case CO_STOPPED:
    return "stopped";
  case CO_ERR_DIVERGED:
    return "diverged";
  default:
    return "failed";
  }
}

static int exit_code(const co_session *t, co_status status) {
  const volatile int *stop = t->watch->stop;
  return status == CO_INTERRUPTED && stop && *stop ? 128 + *stop : (int)status;
}

static void choose_threads(co_session *t) {
  int own = (int)t->settings.threads;
  t->threads = t->options->threads > 0 ? t->options->threads
               : own                   ? own
                                       : co_context_threads(t->ctx);
  t->threads_why = t->options->threads <= 0 && own            ? "trainer.threads"
                   : t->threads == co_context_threads(t->ctx) ? co_context_threads_why(t->ctx)
                                                              : "given";
}

static co_status prepare(co_session *t) {
  CO_RETURN_IF_FAILED(choose_run(t));
  CO_RETURN_IF_FAILED(read_config(t));
  CO_RETURN_IF_FAILED(open_data_and_model(t));
  CO_RETURN_IF_FAILED(check_validation_metric(t));
  CO_RETURN_IF_FAILED(co_session_check_refit(t));
  warn_without_validation(t);
  CO_RETURN_IF_FAILED(render_config(t));
  choose_threads(t);
  // The thread count is part of a run: reductions depend on it.
  const char *threads =
      t->resumed && t->options->threads <= 0 ? co_session_recorded(t, "threads") : NULL;
  int64_t number;
  co_node node = {.kind = CO_NODE_SCALAR, .text = threads};
  if (threads && co_node_int(&node, &number) && number > 0 && number <= 4096) {
    t->threads = (int)number;
    t->threads_why = "as the run began";
  }
  CO_RETURN_IF_FAILED(t->model->scored ? create_estimator(t) : create_program(t));
  CO_RETURN_IF_FAILED(co_session_find_initial(t));
  return t->options->dry_run ? CO_OK : co_session_start_profile(t);
}

static void free_session(co_session *t) {
  co_session_close_batches(t);
  co_run_close(&t->run);
  co_free(t->ctx, t->state.sums);
  co_evaluation_free(&t->interval);
  co_evaluation_free(&t->validation);
  if (t->shipped != t->predictor) co_predictor_close(t->shipped);
  co_predictor_close(t->predictor);
  co_program_free(t->program);
  co_resident_free(t->resident);
  if (t->backend) t->backend->api->free(t->backend);
  co_choices_free(t->choices);
  co_estimator_free(t->estimator);
  co_baselines_free(&t->baselines);
  co_model_free(t->model);
  if (t->whole || !t->dataset_is_borrowed) co_dataset_close(t->dataset);
  if (!t->dataset_is_borrowed) co_dataset_close(t->whole);
  co_text_free(&t->config_json);
  co_text_free(&t->profile.text);
  co_free(t->ctx, t->kept);
  co_free(t->ctx, t->dataset_path);
  co_free(t->ctx, t->run_path);
  co_arena_free(t->arena);
  co_free(t->ctx, t);
}

co_status co_session_open(co_session **out, co_context *ctx, const co_watch *watch,
                          const cohort_train_options *options, co_diagnostics *problems) {
  return co_session_open_on(out, ctx, watch, options, NULL, problems);
}

static co_status open_session(co_session **out, co_context *ctx, const co_watch *watch,
                              const cohort_train_options *options, co_dataset *dataset,
                              const co_session *first, co_diagnostics *problems) {
  co_session *t = *out = co_alloc_zero(ctx, 1, sizeof *t);
  if (!t) return CO_ERR_MEMORY;
  t->first = first;
  t->ctx = ctx;
  t->watch = watch;
  t->options = options;
  t->dataset = dataset;
  t->dataset_is_borrowed = dataset != NULL;
  t->problems = problems;
  t->run.lock = -1;
  t->called = first ? first->called : co_session_now();
  t->norm = t->shown_loss = NAN;
  if (watch->checkpoint) t->checkpoints_asked = *watch->checkpoint;
  if (watch->status) t->statuses_asked = *watch->status;
  co_text_init(&t->config_json, ctx);
  co_text_init(&t->profile.text, ctx);
  CO_RETURN_IF_FAILED(co_arena_create(&t->arena, ctx));
  CO_RETURN_IF_FAILED(prepare(t));
  t->started = co_session_now();
  if (options->dry_run) return CO_OK;
  CO_RETURN_IF_FAILED(co_session_begin(t));
  if (!t->state.finished) return co_session_open_batches(t);
  // What is left to do scores rows: the run ended before its model was written.
  return t->already_done ? CO_OK : co_resident_load(t->resident, t->program, t->dataset);
}

co_status co_session_open_on(co_session **out, co_context *ctx, const co_watch *watch,
                             const cohort_train_options *options, co_dataset *dataset,
                             co_diagnostics *problems) {
  return open_session(out, ctx, watch, options, dataset, NULL, problems);
}

co_status co_session_open_refit(co_session **out, co_session *first,
                                const cohort_train_options *options, co_dataset *dataset) {
  return open_session(out, first->ctx, first->watch, options, dataset, first, first->problems);
}

const char *co_session_resumable(const co_session *t) {
  return t->first ? t->first->run.path : t->run.path;
}

void co_session_set_epoch_hook(co_session *t, co_epoch_hook *hook, void *user) {
  t->hook = hook;
  t->hook_user = user;
}

co_status co_session_follow(co_session *t, const char *metric, bool *higher_is_better) {
  co_evaluation_value found;
  if (!t->sample_count[CO_SPLIT_VALIDATION]) {
    co_status status =
        co_fail_at(CO_ERR_DATA, t->dataset_path, 0, 0, "there are no validation rows");
    co_hint("import with a split that has some, such as --split random:0.7,0.1,0.2");
    return status;
  }
  const bool there = co_evaluation_find(&t->validation, metric, &found);
  if (!there || found.descriptive) {
    char *known = co_evaluation_known(&t->validation);
    co_status status =
        there ? co_fail(CO_ERR_CONFIG, "hyperopt: neither more nor less of '%s' is better", metric)
              : co_fail(CO_ERR_CONFIG, "no output has a metric '%s'", metric);
    if (strstr(metric, "profit"))
      co_hint("it needs output_features: [{name: …, decision: {profit: {true_positive: …}}}]");
    else if (known)
      co_hint("%s", known);
    co_free(t->ctx, known);
    return status;
  }
  if (!found.summed) co_evaluation_collect_all(&t->validation);
  *higher_is_better = found.higher_is_better;
  return CO_OK;
}

double co_session_followed(const co_session *t, const char *metric) {
  co_evaluation_value found;
  return co_evaluation_find(&t->validation, metric, &found) ? found.value : NAN;
}

co_status co_session_finish(co_session *t) {
  co_session_close_batches(t);
  if (t->already_done) return CO_OK;
  CO_RETURN_IF_FAILED(co_session_write_profile(t));
  if (t->settings.refit && !t->first && co_session_run_has(t, CO_SELECTED_MODEL)) return CO_OK;
  CO_RETURN_IF_FAILED(co_session_fit_baselines(t));
  CO_RETURN_IF_FAILED(co_session_write_model(t));
  return co_session_compare_baselines(t);
}

int64_t co_session_model_bytes(co_session *t) {
  const char *name = co_session_run_has(t, CO_SELECTED_MODEL) ? CO_SELECTED_MODEL : "model.h5";
  char *path = co_arena_format(t->arena, "%s/%s", t->run.path, name);
  return path ? co_file_bytes(path) : -1;
}

// The run's own record must not hide the error that ended it.
static co_status record_end(co_session *t, co_status status) {
  if (t->already_done && status == CO_OK) {
    // Killed between model.h5 and this.
    const char *word = co_session_recorded(t, "status");
    return word && strcmp(word, "done") == 0 ? CO_OK : co_session_write_status(t, "done", 0);
  }
  if (!t->begun) return status;
  co_error error;
  co_error_copy(&error);
  const char *word = status_word(status);
  const bool failed = status != CO_OK && status != CO_INTERRUPTED && status != CO_STOPPED;
  if (t->run.events)
    (void)co_session_record_end(t, word, exit_code(t, status), failed ? &error : NULL);
  if (status != CO_INTERRUPTED && status != CO_STOPPED)
    (void)co_session_end_hparams(t, status == CO_OK);
  co_status recorded = co_session_write_status(t, word, exit_code(t, status));
  if (status == CO_OK && recorded == CO_OK && !t->first) co_run_mark_latest(t->ctx, t->run.path);
  return status == CO_OK ? recorded : co_error_raise(&error);
}

co_status co_session_close(co_session *t, co_status status) {
  if (!t) return status;
  status = record_end(t, status);
  co_error error;
  co_error_copy(&error);
  free_session(t);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}
