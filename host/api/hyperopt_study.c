// SPDX-License-Identifier: Apache-2.0
// cohort_hyperopt_show and cohort_hyperopt_best: what a study came to.
#include <math.h>
#include <string.h>

#include "host/api/hyperopt.h"
#include "host/core/output.h"
#include "host/train/settings.h"

// A trial is compared on validation rows, so it does not train on them; nor does its config then.
static co_status leave_refit(co_node **config, co_arena *arena, co_diagnostics *problems) {
  const co_node *trainer = co_node_get(*config, "trainer"),
                *refit = trainer ? co_node_get(trainer, "refit") : NULL;
  if (!refit || refit->kind != CO_NODE_SCALAR || strcmp(refit->text, "true") != 0) return CO_OK;
  co_log(co_arena_context(arena), CO_LOG_WARN, "refit",
         "trials leave trainer.refit aside, and so does the config of the best: add it then, by "
         "`train -c BEST.yaml --refit`");
  return co_node_set(config, arena, "trainer.refit=false", problems);
}

co_status co_study_base(co_node **out, const co_node *config, const co_tune_settings *settings,
                        co_arena *arena, co_diagnostics *problems) {
  static const char *const own[] = {"hyperopt", "dataset", NULL};
  const co_node *rest;
  *out = NULL;
  CO_RETURN_IF_FAILED(co_node_without(&rest, arena, config, own));
  CO_RETURN_IF_FAILED(co_node_merge(out, arena, rest));
  char *threads = co_arena_format(arena, "trainer.threads=%lld", (long long)settings->threads);
  if (!threads) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_node_set(out, arena, threads, problems));
  CO_RETURN_IF_FAILED(leave_refit(out, arena, problems));
  const co_node *predictor = co_node_get(rest, "predictor"),
                *type = predictor ? co_node_get(predictor, "type") : NULL;
  bool network = !type || (type->kind == CO_NODE_SCALAR && strcmp(type->text, "network") == 0);
  if (!network || co_node_get(rest, "baselines") || co_node_get(rest, "blend")) return CO_OK;
  return co_node_set(out, arena, "baselines=none", problems);
}

co_status co_study_text(const char **out, co_study *study, co_arena *arena, const char *key) {
  const char *json;
  co_node *node = NULL;
  co_diagnostics problems;
  *out = NULL;
  CO_RETURN_IF_FAILED(co_study_attribute(&json, study, arena, key));
  if (!json) return CO_OK;
  co_diagnostics_init(&problems, co_arena_context(arena));
  co_status status = co_yaml_parse(&node, arena, key, json, strlen(json), &problems);
  co_diagnostics_free(&problems);
  if (status == CO_OK && node && node->kind == CO_NODE_SCALAR) *out = node->text;
  return status;
}

static co_status read_config(co_read_study *r, const char *json, co_diagnostics *problems) {
  CO_RETURN_IF_FAILED(co_settings_read_text(&r->config, r->arena, co_study_path(r->study), json,
                                            NULL, 0, problems));
  CO_RETURN_IF_FAILED(co_tune_settings_parse(&r->settings, r->config, r->arena, problems));
  return co_diagnostics_result(problems);
}

// What Optuna has of a study, in place of a config.
static co_status read_without_config(co_read_study *r) {
  char *names[2];
  CO_RETURN_IF_FAILED(co_study_goal_names(names, r->study, r->arena));
  CO_RETURN_IF_FAILED(co_study_space(&r->settings.space, r->study, r->arena));
  r->settings.metric = names[0] ? names[0] : "value";
  if (co_study_goals(r->study) == 2) r->settings.second = names[1] ? names[1] : "second value";
  return CO_OK;
}

static co_status read_settings(co_read_study *r) {
  const char *json;
  co_diagnostics problems;
  CO_RETURN_IF_FAILED(co_study_attribute(&json, r->study, r->arena, CO_STUDY_CONFIG));
  if (!json) return read_without_config(r);
  co_diagnostics_init(&problems, co_arena_context(r->arena));
  co_status status = read_config(r, json, &problems);
  co_diagnostics_free(&problems);
  return status;
}

co_status co_read_study_open(co_read_study *out, co_context *ctx, const char *path,
                             const char *name) {
  memset(out, 0, sizeof *out);
  CO_RETURN_IF_FAILED(co_arena_create(&out->arena, ctx));
  CO_RETURN_IF_FAILED(co_study_open(&out->study, ctx, path, name, false));
  CO_RETURN_IF_FAILED(read_settings(out));
  CO_RETURN_IF_FAILED(
      co_study_trials(&out->trials, out->study, &out->settings.space, out->arena, true));
  if ((out->settings.second ? 2 : 1) != co_study_goals(out->study))
    return co_fail_at(CO_ERR_IO, path, 0, 0, "it has %d goals, and its config another number",
                      co_study_goals(out->study));
  out->best = -1;
  if (out->settings.second)
    return co_front_find(&out->front, out->arena, &out->trials, co_study_maximizes(out->study, 0),
                         co_study_maximizes(out->study, 1));
  out->best = co_trials_best(&out->trials, co_study_maximizes(out->study, 0));
  return CO_OK;
}

void co_read_study_free(co_read_study *r) {
  co_study_close(r->study);
  co_arena_free(r->arena);
}

void co_render_best(co_json *json, const co_tune_settings *settings, const co_trials *trials,
                    int64_t best) {
  co_json_key(json, "best");
  if (best < 0) {
    co_json_null(json);
    return;
  }
  co_json_open(json, '{');
  co_json_key(json, "number");
  co_json_int(json, best);
  co_json_key(json, "value");
  co_json_double(json, trials->item[best].value);
  co_json_key(json, "params");
  co_space_render_values(json, &settings->space, trials->item[best].values);
  co_json_close(json);
}

// ---- show --------------------------------------------------------------------------------------

static void render_trial(co_json *json, const co_tune_settings *settings, const co_trial *t) {
  co_json_open(json, '{');
  co_json_key(json, "number");
  co_json_int(json, t->number);
  co_json_key(json, "state");
  co_json_string(json, co_trial_state_name(t->state));
  co_json_key(json, "value");
  co_json_double(json, t->value);
  if (settings->second) {
    co_json_key(json, "second_value");
    co_json_double(json, t->second);
  }
  co_json_key(json, "params");
  co_space_render_values(json, &settings->space, t->values);
  co_json_key(json, "intermediate");
  co_json_open(json, '[');
  for (int64_t i = 0; i < t->step_count; i++) {
    co_json_open(json, '[');
    co_json_int(json, t->steps[i].step);
    co_json_double(json, t->steps[i].value);
    co_json_close(json);
  }
  co_json_close(json);
  co_json_key(json, "started");
  co_json_string(json, t->started);
  co_json_key(json, "ended");
  co_json_string(json, t->ended);
  co_json_key(json, "reason");
  t->reason ? co_json_raw(json, t->reason) : co_json_null(json);
  co_json_close(json);
}

static void print_value(co_text *text, double value) {
  if (isnan(value))
    co_text_printf(text, "  %-12s", "-");
  else
    co_text_printf(text, "  %-12.6g", value);
}

void co_study_print_trials(co_text *text, const co_read_study *r) {
  const co_space *space = &r->settings.space;
  co_text_printf(text, "%5s  %-8s  %-12s", "trial", "state",
                 r->settings.metric ? r->settings.metric : "loss");
  if (r->settings.second) co_text_printf(text, "  %-12s", r->settings.second);
  for (int64_t i = 0; i < space->count; i++)
    co_text_printf(text, "  %-14s", co_parameter_name(&space->item[i]));
  co_text_printf(text, "\n");
  for (int64_t i = 0; i < r->trials.count; i++) {
    const co_trial *t = &r->trials.item[i];
    bool best = i == r->best || co_front_has(&r->front, i);
    co_text_printf(text, "%5lld%c %-8s", (long long)t->number, best ? '*' : ' ',
                   co_trial_state_name(t->state));
    // Of one that runs, what it has come to so far.
    const bool runs = t->state == CO_TRIAL_RUNNING && t->step_count > 0;
    print_value(text, runs ? t->steps[t->step_count - 1].value : t->value);
    if (r->settings.second) print_value(text, t->second);
    for (int64_t k = 0; k < space->count; k++) {
      char value[96];
      co_parameter_print_value(value, &space->item[k], t->values[k]);
      co_text_printf(text, "  %-14s", value);
    }
    co_text_printf(text, "\n");
  }
}

// Of each trial that was trained with new seeds, beside what chose it.
static co_status tell_confirmed(co_read_study *r, cohort_result *result) {
  const char *json;
  co_node *confirmed = NULL;
  CO_RETURN_IF_FAILED(co_study_attribute(&json, r->study, r->arena, CO_STUDY_CONFIRMED));
  co_json_key(&result->json, "confirmed");
  if (!json) {
    co_json_null(&result->json);
    return CO_OK;
  }
  co_json_raw(&result->json, json);
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&confirmed, r->arena, CO_STUDY_CONFIRMED, json, strlen(json), &result->errors));
  const co_node *trials = co_node_get(confirmed, "trials");
  for (int64_t i = 0; trials && i < trials->count; i++) {
    const co_node *t = trials->items[i], *interval = co_node_get(t, "interval");
    int64_t number;
    double value, estimate, low, high;
    if (!interval || interval->count != 2 || !co_node_int(co_node_get(t, "number"), &number) ||
        !co_node_double(co_node_get(t, "value"), &value) ||
        !co_node_double(co_node_get(t, "estimate"), &estimate) ||
        !co_node_double(interval->items[0], &low) || !co_node_double(interval->items[1], &high))
      continue;
    co_text_printf(&result->text,
                   "trial %lld: %.6g in the search, with new seeds %.6g [%.6g, %.6g]\n",
                   (long long)number, value, estimate, low, high);
  }
  return CO_OK;
}

co_status co_study_show(co_read_study *r, co_context *ctx, const char *path, const char *name,
                        cohort_result *result) {
  CO_RETURN_IF_FAILED(co_require(path, "hyperopt show", "a study"));
  CO_RETURN_IF_FAILED(co_read_study_open(r, ctx, path, name));
  co_json *json = &result->json;
  co_json_key(json, "study");
  co_json_string(json, path);
  co_json_key(json, "name");
  co_json_string(json, co_study_name(r->study));
  co_json_key(json, "metric");
  co_json_string(json, r->settings.metric ? r->settings.metric : "loss");
  co_json_key(json, "has_config");
  co_json_bool(json, r->config != NULL);
  co_json_key(json, "goal");
  co_json_string(json, co_study_maximizes(r->study, 0) ? "maximize" : "minimize");
  if (r->settings.second) {
    co_json_key(json, "second_metric");
    co_json_string(json, r->settings.second);
    co_json_key(json, "second_goal");
    co_json_string(json, co_study_maximizes(r->study, 1) ? "maximize" : "minimize");
  }
  co_json_key(json, "trials");
  co_json_open(json, '[');
  for (int64_t i = 0; i < r->trials.count; i++)
    render_trial(json, &r->settings, &r->trials.item[i]);
  co_json_close(json);
  co_render_best(json, &r->settings, &r->trials, r->best);
  if (r->settings.second) co_render_front(json, &r->settings.space, &r->trials, &r->front);
  co_study_print_trials(&result->text, r);
  if (r->front.count) co_print_front(&result->text, &r->settings, &r->trials, &r->front);
  if (!r->config)
    co_text_printf(&result->text,
                   "made by Optuna, without config and dataset: `cohort hyperopt run -c CONFIG "
                   "--dataset FILE -O %s`\ngoes on with it, where its parameters are paths of that "
                   "config\n",
                   path);
  return tell_confirmed(r, result);
}

cohort_status cohort_hyperopt_show(cohort_context *context, const char *study, const char *name,
                                   cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  co_read_study r = {.study = NULL};
  co_status status = co_study_show(&r, context->ctx, study, name, *out);
  co_error error;
  co_error_copy(&error);
  co_read_study_free(&r);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "hyperopt show", status);
}

// ---- best --------------------------------------------------------------------------------------

typedef struct writing {
  co_context *ctx;
  const cohort_hyperopt_best_options *options;
  co_read_study read;
  co_dataset *dataset; // of spaces with features
  co_diagnostics problems;
  co_atomic_file file;
} writing;

static co_status make_config(writing *w, const double *values, co_node **out) {
  co_read_study *r = &w->read;
  co_node *base;
  const char *path = NULL;
  CO_RETURN_IF_FAILED(co_study_base(&base, r->config, &r->settings, r->arena, &w->problems));
  if (co_space_has_features(&r->settings.space)) {
    CO_RETURN_IF_FAILED(co_study_text(&path, r->study, r->arena, CO_STUDY_DATASET_PATH));
    CO_RETURN_IF_FAILED(co_dataset_open(&w->dataset, w->ctx, path ? path : ""));
  }
  return co_trial_config(out, base, &r->settings.space, values,
                         w->dataset ? co_dataset_schema(w->dataset) : NULL, r->arena, &w->problems);
}

// With every default filled in; *json is the caller's.
static co_status fill_in(writing *w, const co_node *config, co_json *json, co_text *yaml) {
  co_trainer_settings settings;
  co_node *full;
  co_arena *arena = w->read.arena;
  CO_RETURN_IF_FAILED(co_settings_parse_trainer(&settings, config, arena, &w->problems));
  CO_RETURN_IF_FAILED(co_diagnostics_result(&w->problems));
  CO_RETURN_IF_FAILED(co_settings_render(json, config, &settings));
  CO_RETURN_IF_FAILED(
      co_yaml_parse(&full, arena, "config", json->text.data, json->text.length, &w->problems));
  return co_node_to_yaml(yaml, full);
}

static co_status write_file(writing *w, const co_text *yaml) {
  co_writer *writer;
  CO_RETURN_IF_FAILED(co_writer_open(&writer, w->ctx, w->file.temporary, false));
  co_status status = co_writer_write(writer, yaml->data, yaml->length);
  co_status closed = co_writer_close(writer);
  if (status == CO_OK) status = closed;
  return status == CO_OK ? co_atomic_commit(&w->file) : status;
}

// The trial that is asked for, else the best.
static co_status choose_trial(const co_read_study *r, const cohort_hyperopt_best_options *o,
                              int64_t *number) {
  if (o->has_trial && o->trial >= r->trials.count)
    return co_fail_at(CO_ERR_USAGE, o->study, 0, 0, "there is no trial %lld; the last is %lld",
                      (long long)o->trial, (long long)r->trials.count - 1);
  *number = o->has_trial ? o->trial : r->best;
  if (*number >= 0 && r->config &&
      !co_space_fits(&r->settings.space, r->trials.item[*number].values))
    return co_fail_at(CO_ERR_DATA, o->study, 0, 0,
                      "trial %lld is of Optuna's making, and its values are none of the config's "
                      "spaces",
                      (long long)*number);
  if (*number >= 0) return CO_OK;
  if (!r->front.count)
    return co_fail_at(CO_ERR_DATA, o->study, 0, 0, "no trial of the study is complete yet");
  co_status status =
      co_fail_at(CO_ERR_USAGE, o->study, 0, 0,
                 "the study has two goals, and %lld trial%s that no other one beats in both",
                 (long long)r->front.count, r->front.count == 1 ? "" : "s");
  co_hint(
      "choose one by --trial N: `cohort hyperopt show` lists them; the best %s has --trial %lld",
      r->settings.metric ? r->settings.metric : "loss", (long long)r->front.number[0]);
  return status;
}

// Of a study without a config.
static co_status tell_values(const co_read_study *r, const cohort_hyperopt_best_options *o,
                             int64_t number, cohort_result *result) {
  if (o->output) {
    co_status status = co_fail_at(CO_ERR_IO, o->study, 0, 0,
                                  "its study has no config to be written: Optuna made it");
    co_hint("without -O the trial's values are told; `cohort hyperopt run -c CONFIG -O %s` goes on "
            "with it",
            o->study);
    return status;
  }
  co_render_best(&result->json, &r->settings, &r->trials, number);
  co_json_key(&result->json, "config");
  co_json_null(&result->json);
  for (int64_t i = 0; i < r->settings.space.count; i++) {
    const co_parameter *p = &r->settings.space.item[i];
    char value[96];
    if (isnan(r->trials.item[number].values[i])) continue;
    co_parameter_print_value(value, p, r->trials.item[number].values[i]);
    co_text_printf(&result->text, "%s: %s\n", p->path, value);
  }
  return CO_OK;
}

static co_status best(writing *w, cohort_result *result, co_json *json) {
  const cohort_hyperopt_best_options *o = w->options;
  co_node *config;
  CO_RETURN_IF_FAILED(co_require(o->study, "hyperopt best", "a study"));
  const char *const inputs[] = {o->study};
  const co_output output = {o->output, o->force, inputs, 1};
  if (o->output) CO_RETURN_IF_FAILED(co_output_begin(&w->file, w->ctx, &output));
  CO_RETURN_IF_FAILED(co_read_study_open(&w->read, w->ctx, o->study, o->name));
  int64_t number = -1;
  CO_RETURN_IF_FAILED(choose_trial(&w->read, o, &number));
  if (!w->read.config) return tell_values(&w->read, o, number, result);
  CO_RETURN_IF_FAILED(make_config(w, w->read.trials.item[number].values, &config));
  CO_RETURN_IF_FAILED(fill_in(w, config, json, &result->text));
  co_render_best(&result->json, &w->read.settings, &w->read.trials, number);
  co_json_key(&result->json, "config");
  co_json_raw(&result->json, json->text.data);
  if (!o->output) return CO_OK;
  CO_RETURN_IF_FAILED(write_file(w, &result->text));
  result->text.length = 0;
  co_text_printf(&result->text, "%s: trial %lld\n", o->output, (long long)number);
  return CO_OK;
}

cohort_status cohort_hyperopt_best(cohort_context *context,
                                   const cohort_hyperopt_best_options *options,
                                   cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  writing w = {.ctx = context->ctx, .options = options};
  co_json json;
  co_diagnostics_init(&w.problems, w.ctx);
  co_json_init(&json, w.ctx, 0);
  co_status status = best(&w, *out, &json);
  co_error error;
  co_error_copy(&error);
  co_atomic_abort(&w.file);
  co_json_free(&json);
  co_dataset_close(w.dataset);
  co_read_study_free(&w.read);
  co_diagnostics_free(&w.problems);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "hyperopt best", status);
}
