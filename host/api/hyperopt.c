// SPDX-License-Identifier: Apache-2.0
// cohort_hyperopt_run: begins a study, or goes on with it.
#include "host/api/hyperopt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/file.h"
#include "host/core/h5.h"
#include "host/persist/model_file.h"
#include "host/train/settings.h"

// ---- the config --------------------------------------------------------------------------------

static co_status read_given(co_tuning *t, co_node **out) {
  const cohort_hyperopt_run_options *o = t->options;
  const char *stored = NULL;
  if (!t->study && !o->config.file_count && !o->config.assignment_count) {
    co_status status = co_fail_at(CO_ERR_USAGE, o->study, 0, 0, "there is no study to go on with");
    co_hint("give -c CONFIG.yaml to begin one");
    return status;
  }
  if (o->config.file_count || !t->study)
    return co_settings_read(out, t->arena, o->config.files, o->config.file_count,
                            o->config.assignments, o->config.assignment_count, t->problems);
  CO_RETURN_IF_FAILED(co_study_attribute(&stored, t->study, t->arena, CO_STUDY_CONFIG));
  if (!stored) {
    co_status status =
        co_fail_at(CO_ERR_USAGE, o->study, 0, 0, "its study has no config: Optuna began it");
    co_hint("`cohort hyperopt run -c CONFIG.yaml -O %s` goes on with it", o->study);
    return status;
  }
  CO_RETURN_IF_FAILED(co_settings_read_text(out, t->arena, o->study, stored, o->config.assignments,
                                            o->config.assignment_count, t->problems));
  return o->dataset ? CO_OK
                    : co_study_text(&t->dataset_path, t->study, t->arena, CO_STUDY_DATASET_PATH);
}

// What an option says in the section's place; 0 = nothing.
static co_status set_given(co_tuning *t, const char *key, int64_t value) {
  if (value <= 0) return CO_OK;
  char *text = co_arena_format(t->arena, "hyperopt.%s=%lld", key, (long long)value);
  return text ? co_node_set(&t->config, t->arena, text, t->problems) : CO_ERR_MEMORY;
}

// What a search itself decides on is nothing to be varied.
static co_status check_paths(const co_space *space, co_diagnostics *problems) {
  static const struct {
    const char *path, *why;
  } reserved[] = {{"trainer.refit", "trials are compared on validation rows, and do not refit"},
                  {"trainer.seed", "hyperopt.seeds trains each trial with several"},
                  {"trainer.threads", "threads change no score; hyperopt.threads sets them"},
                  {"dataset.path", "all trials have one dataset"}};
  for (int64_t i = 0; i < space->count; i++)
    for (size_t k = 0; k < sizeof reserved / sizeof *reserved; k++)
      if (strcmp(space->item[i].path, reserved[k].path) == 0)
        CO_RETURN_IF_FAILED(co_node_problem(problems, space->item[i].node, NULL,
                                            "hyperopt.parameters.%s: %s", reserved[k].path,
                                            reserved[k].why));
  return CO_OK;
}

static co_status read_config(co_tuning *t) {
  static const char *const apart[] = {"dataset", NULL};
  const cohort_hyperopt_run_options *o = t->options;
  co_node *given;
  const co_node *rest;
  co_trainer_settings trainer;
  CO_RETURN_IF_FAILED(read_given(t, &given));
  if (!t->dataset_path) t->dataset_path = o->dataset ? o->dataset : co_settings_dataset(given);
  CO_RETURN_IF_FAILED(co_node_without(&rest, t->arena, given, apart));
  CO_RETURN_IF_FAILED(co_node_merge(&t->config, t->arena, rest));
  if (!co_node_get(t->config, "hyperopt") && !t->problems->count) {
    co_status status = co_fail(CO_ERR_CONFIG, "the config has no section hyperopt");
    co_hint("`cohort help hyperopt` says what it holds; best in a second file: -c preset.yaml -c "
            "tune.yaml");
    return status;
  }
  CO_RETURN_IF_FAILED(set_given(t, "threads", o->threads));
  CO_RETURN_IF_FAILED(set_given(t, "k_fold", o->k_fold));
  CO_RETURN_IF_FAILED(set_given(t, "seeds", o->seeds));
  CO_RETURN_IF_FAILED(co_tune_settings_parse(&t->settings, t->config, t->arena, t->problems));
  CO_RETURN_IF_FAILED(co_diagnostics_result(t->problems)); // a space that is none has no path
  CO_RETURN_IF_FAILED(check_paths(&t->settings.space, t->problems));
  CO_RETURN_IF_FAILED(co_settings_parse_trainer(&trainer, t->config, t->arena, t->problems));
  t->search.seed = (uint64_t)trainer.seed;
  t->search.max_epochs = trainer.max_epochs;
  return co_diagnostics_result(t->problems);
}

// ---- checks before anything is made ------------------------------------------------------------

// Amid each space, with `which` at one of its values, and what that one depends on so that it counts.
static void set_values(const co_space *space, double *values, int64_t which, double value) {
  for (int64_t i = 0; i < space->count; i++)
    values[i] = co_parameter_value(&space->item[i], 0.5);
  if (which >= 0) values[which] = value;
  for (int64_t i = which; i >= 0 && space->item[i].parent >= 0; i = space->item[i].parent)
    values[space->item[i].parent] = space->item[i].parent_value;
  co_space_prune(space, values);
}

// Every end of a range and every category must be something that the config can have.
static co_status check_space(co_tuning *t, double *values) {
  const co_space *space = &t->settings.space;
  for (int64_t i = 0; i < space->count; i++) {
    const co_parameter *p = &space->item[i];
    int64_t ends = p->category_count ? p->category_count : 2;
    for (int64_t k = 0; k < ends; k++) {
      set_values(space, values, i, p->category_count ? (double)k : k ? p->upper : p->lower);
      CO_RETURN_IF_FAILED(co_trial_check(&t->search, values, t->problems));
    }
  }
  return CO_OK;
}

static co_status check_memory(const co_tuning *t, size_t bytes, int64_t at_once) {
  size_t left = co_context_memory_left(t->context->ctx);
  if (bytes * (size_t)at_once <= left) return CO_OK;
  co_status status =
      co_fail(CO_ERR_MEMORY, "%lld trials at once take %.1f MiB each, and %.1f MiB are left",
              (long long)at_once, (double)bytes / 1048576, (double)left / 1048576);
  const size_t fit = left / bytes;
  if (fit)
    co_hint("lower --n-jobs to %zu", fit);
  else
    co_hint(
        "not even one fits, as its folds and seeds are trained together: lower --k-fold, --seeds "
        "or trainer.batch_size");
  return status;
}

static bool maximizes(int goal, bool higher_is_better) {
  return goal == CO_GOAL_METRIC ? higher_is_better : goal == CO_GOAL_MAXIMIZE;
}

static co_status check(co_tuning *t) {
  size_t bytes = 0;
  bool higher[2] = {false, false};
  double *values = co_arena_alloc(t->arena, (size_t)t->settings.space.count, sizeof *values);
  if (!values) return CO_ERR_MEMORY;
  set_values(&t->settings.space, values, -1, 0);
  CO_RETURN_IF_FAILED(co_trial_check(&t->search, values, t->problems));
  CO_RETURN_IF_FAILED(co_trial_plan(&bytes, higher, &t->search, values, t->problems));
  CO_RETURN_IF_FAILED(check_space(t, values));
  t->search.maximize = maximizes(t->settings.goal, higher[0]);
  t->search.maximize_second = maximizes(t->settings.second_goal, higher[1]);
  if (co_tune_is_together(&t->settings)) bytes *= (size_t)co_tune_parts(&t->settings);
  return check_memory(t, bytes, t->search.jobs);
}

// ---- the search --------------------------------------------------------------------------------

static co_status choose_jobs(co_tuning *t) {
  int64_t jobs = t->options->jobs > 0 ? t->options->jobs : 1, most = t->settings.lag;
  co_context *ctx = t->context->ctx;
  if (jobs > 1 && !co_h5_is_thread_safe()) {
    co_log(ctx, CO_LOG_WARN, "begin",
           "the HDF5 library of this machine does not serve several threads: one trial at a time");
    jobs = 1;
  }
  if (jobs > most && co_tune_looks_back(&t->settings)) {
    co_log(ctx, CO_LOG_WARN, "begin",
           "%lld trials at once, as hyperopt.lag says: more of them would know less of each other",
           (long long)most);
    jobs = most;
  }
  t->search.jobs = jobs;
  t->search.trials = co_sampler_trials(&t->settings);
  if (t->options->trials < t->search.trials) t->search.trials = t->options->trials;
  return CO_OK;
}

// The dataset as each fold sees it.
static co_status make_folds(co_tuning *t) {
  co_search *s = &t->search;
  const int64_t count = t->settings.k_fold;
  if (!count) return CO_OK;
  co_dataset **views = co_arena_alloc(t->arena, (size_t)count, sizeof *views);
  if (!views) return CO_ERR_MEMORY;
  memset(views, 0, (size_t)count * sizeof *views);
  s->folds = views;
  CO_RETURN_IF_FAILED(co_folds_make_validating(&t->folds, s->ctx, s->dataset, count, s->seed));
  for (int64_t i = 0; i < count; i++)
    CO_RETURN_IF_FAILED(co_folds_view(&views[i], &t->folds, s->dataset, i));
  return CO_OK;
}

// Whoever follows the study sees that somebody is at work.
static co_status lock_study(co_tuning *t) {
  if (t->lock >= 0 || !co_path_is_directory(t->search.folder)) return CO_OK;
  const char *path = co_arena_format(t->arena, "%s/" CO_STUDY_LOCK, t->search.folder);
  return path ? co_lock_file_shared(&t->lock, t->context->ctx, path) : CO_ERR_MEMORY;
}

// The model that was given, or that a study which goes on began with.
static co_status find_initial(co_tuning *t) {
  const char *path = t->options->init_from;
  co_model_file file;
  if (!path && t->study)
    CO_RETURN_IF_FAILED(co_study_text(&path, t->study, t->arena, CO_STUDY_INIT_FROM));
  if (!path) return CO_OK;
  co_status status = co_model_file_find_and_read(&file, &t->search.init_from, t->arena, path);
  if (status != CO_OK && !t->options->init_from)
    co_hint("the study's trials begin with it; --init-from MODEL says where it is now");
  CO_RETURN_IF_FAILED(status);
  t->init_sha256 = file.weights_sha256;
  return CO_OK;
}

co_status co_tuning_prepare(co_tuning *t) {
  const cohort_hyperopt_run_options *o = t->options;
  co_node *base;
  const char *stored = NULL; // config
  t->lock = -1;
  CO_RETURN_IF_FAILED(co_require(o->study, "hyperopt run", "a study"));
  if (o->trials <= 0) return co_fail(CO_ERR_USAGE, "hyperopt run needs a number of trials");
  CO_RETURN_IF_FAILED(co_arena_create(&t->arena, t->context->ctx));
  if (t->there || co_path_exists(o->study))
    CO_RETURN_IF_FAILED(co_study_open(&t->study, t->context->ctx, o->study, o->name, true));
  CO_RETURN_IF_FAILED(read_config(t));
  if (!t->dataset_path) {
    co_status status = co_fail(CO_ERR_USAGE, "there is no dataset");
    co_hint("give --dataset FILE.h5, or dataset: {path: …} in the config");
    return status;
  }
  CO_RETURN_IF_FAILED(co_study_base(&base, t->config, &t->settings, t->arena, t->problems));
  co_search *s = &t->search;
  s->ctx = t->context->ctx;
  s->watch = &t->context->watch;
  s->settings = &t->settings;
  s->base = base;
  s->folder = t->study ? co_study_folder(t->study, t->arena, "trials")
                       : co_arena_format(t->arena, "%s.trials", o->study);
  s->device = o->device;
  s->placement = o->placement;
  s->command = o->command;
  s->autotune = o->autotune;
  s->autotune_cache = o->autotune_cache;
  s->workers = o->workers;
  s->max_seconds = o->max_seconds;
  s->retry = o->retry_failed;
  if (!s->folder) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(lock_study(t)); // of one that is there, before what takes long
  CO_RETURN_IF_FAILED(find_initial(t));
  CO_RETURN_IF_FAILED(co_dataset_open(&s->dataset, s->ctx, t->dataset_path));
  if (t->study)
    CO_RETURN_IF_FAILED(co_study_attribute(&stored, t->study, t->arena, CO_STUDY_CONFIG));
  if (stored) CO_RETURN_IF_FAILED(co_tuning_check_same(t));
  CO_RETURN_IF_FAILED(make_folds(t));
  CO_RETURN_IF_FAILED(choose_jobs(t));
  CO_RETURN_IF_FAILED(check(t));
  if (!stored) CO_RETURN_IF_FAILED(t->study ? co_tuning_adopt(t) : co_tuning_make(t));
  s->study = t->study;
  CO_RETURN_IF_FAILED(co_make_directories(s->ctx, s->folder));
  return lock_study(t);
}

void co_tuning_free(co_tuning *t) {
  for (int64_t i = 0; t->search.folds && i < t->settings.k_fold; i++)
    co_dataset_close(t->search.folds[i]);
  co_folds_free(&t->folds);
  co_unlock_file(t->lock);
  co_study_close(t->study);
  co_dataset_close(t->search.dataset);
  co_arena_free(t->arena);
}

static void count_states(const co_trials *trials, int64_t count[5]) {
  for (int64_t i = 0; i < trials->count; i++)
    count[trials->item[i].state]++;
}

// The study as later commands take it.
static const char *study_words(const co_tuning *t) {
  const char *words = t->options->name ? co_arena_format(t->arena, "%s --study-name '%s'",
                                                         t->options->study, t->options->name)
                                       : NULL;
  return words ? words : t->options->study;
}

static co_status tell_front(co_tuning *t, const co_trials *trials, cohort_result *result) {
  co_front front;
  CO_RETURN_IF_FAILED(
      co_front_find(&front, t->arena, trials, t->search.maximize, t->search.maximize_second));
  co_render_front(&result->json, &t->settings.space, trials, &front);
  if (!front.count) return CO_OK;
  co_print_front(&result->text, &t->settings, trials, &front);
  co_text_printf(&result->text, "next  cohort hyperopt best %s --trial N -O best.yaml\n",
                 study_words(t));
  return CO_OK;
}

static void tell_best(co_tuning *t, const co_trial *best, cohort_result *result) {
  co_json params;
  co_json_init(&params, t->context->ctx, 0);
  co_space_render_values(&params, &t->settings.space, best->values);
  co_text_printf(&result->text, "best  %s %.6g of trial %lld: %s\n",
                 t->settings.metric ? t->settings.metric : "loss", best->value,
                 (long long)best->number, params.text.data ? params.text.data : "");
  co_text_printf(&result->text,
                 "      (the best of many is too good by luck: cohort hyperopt confirm %s)\n"
                 "next  cohort hyperopt best %s -O best.yaml\n",
                 study_words(t), study_words(t));
  co_json_free(&params);
}

static co_status tell(co_tuning *t, cohort_result *result) {
  co_trials trials;
  int64_t count[5] = {0};
  co_json *json = &result->json;
  CO_RETURN_IF_FAILED(co_study_trials(&trials, t->study, &t->settings.space, t->arena, false));
  int64_t best = t->settings.second ? -1 : co_trials_best(&trials, t->search.maximize);
  const char *metric = t->settings.metric ? t->settings.metric : "loss";
  count_states(&trials, count);
  co_json_key(json, "study");
  co_json_string(json, t->options->study);
  co_json_key(json, "runs");
  co_json_string(json, t->search.folder);
  co_json_key(json, "metric");
  co_json_string(json, metric);
  if (t->settings.second) {
    co_json_key(json, "second_metric");
    co_json_string(json, t->settings.second);
  }
  co_json_key(json, "trials");
  co_json_int(json, trials.count);
  co_json_key(json, "complete");
  co_json_int(json, count[CO_TRIAL_COMPLETE]);
  co_json_key(json, "pruned");
  co_json_int(json, count[CO_TRIAL_PRUNED]);
  co_json_key(json, "failed");
  co_json_int(json, count[CO_TRIAL_FAIL]);
  co_render_best(json, &t->settings, &trials, best);
  co_text_printf(&result->text, "%s: %lld trials, %lld complete, %lld pruned, %lld failed\n",
                 t->options->study, (long long)trials.count, (long long)count[CO_TRIAL_COMPLETE],
                 (long long)count[CO_TRIAL_PRUNED], (long long)count[CO_TRIAL_FAIL]);
  if (t->settings.second) CO_RETURN_IF_FAILED(tell_front(t, &trials, result));
  if (best >= 0) tell_best(t, &trials.item[best], result);
  if (count[CO_TRIAL_FAIL] < trials.count || !trials.count) return CO_OK;
  co_status status =
      co_fail_at(CO_ERR_DIVERGED, t->options->study, 0, 0,
                 "none of %lld trials came to a value; the first: %s", (long long)trials.count,
                 trials.item[0].reason ? trials.item[0].reason : "unknown");
  co_hint("cohort hyperopt show %s lists them; narrow the spaces", t->options->study);
  return status;
}

cohort_status cohort_hyperopt_run(cohort_context *context,
                                  const cohort_hyperopt_run_options *options, cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_tuning t = {.context = context, .options = options, .problems = &(*out)->errors};
  co_status status = co_tuning_prepare(&t);
  if (status == CO_OK) status = co_search_run(&t.search);
  if (status == CO_OK) status = tell(&t, *out);
  co_error error;
  co_error_copy(&error);
  co_tuning_free(&t);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "hyperopt run", status);
}
