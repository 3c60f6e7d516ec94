// SPDX-License-Identifier: Apache-2.0
// One run of a trial as a session.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/file.h"
#include "host/train/session.h"
#include "host/train/settings.h"
#include "host/tune/tuner.h"
#include "models/model.h"

co_status co_trial_config(co_node **out, const co_node *base, const co_space *space,
                          const double *values, const co_schema *schema, co_arena *arena,
                          co_diagnostics *problems) {
  co_model *model = NULL;
  *out = NULL;
  CO_RETURN_IF_FAILED(co_node_merge(out, arena, base));
  CO_RETURN_IF_FAILED(co_space_apply(space, values, false, out, arena, problems));
  if (!co_space_has_features(space)) return CO_OK;
  // Features by name: what has been said of all of their type is written out first.
  CO_RETURN_IF_FAILED(co_diagnostics_result(problems));
  co_status status = co_model_create(&model, co_arena_context(arena), *out, schema, problems);
  if (status == CO_OK) status = co_diagnostics_result(problems);
  *out = NULL;
  if (status == CO_OK) status = co_node_merge(out, arena, model->config);
  co_model_free(model);
  CO_RETURN_IF_FAILED(status);
  return co_space_apply(space, values, true, out, arena, problems);
}

char *co_trial_run_path(co_arena *arena, const char *folder, int64_t number) {
  return co_arena_format(arena, "%s/trial-%04lld", folder, (long long)number);
}

// ---- what it came to ---------------------------------------------------------------------------

// The metric "[OUTPUT.]ID" of a record of metrics.jsonl; NULL = the loss.
static double find_metric(const co_node *record, const char *metric) {
  double value = NAN;
  const co_node *metrics = co_node_get(record, "metrics"), *found = NULL;
  if (!metric || strcmp(metric, "loss") == 0) found = co_node_get(record, "loss");
  for (int64_t i = 0; !found && metric && metrics && i < metrics->count; i++) {
    size_t length = strlen(metrics->keys[i]);
    bool of_output = strncmp(metric, metrics->keys[i], length) == 0 && metric[length] == '.';
    found = co_node_get(metrics->items[i], of_output ? metric + length + 1 : metric);
  }
  return found && co_node_double(found, &value) ? value : NAN;
}

typedef struct reading {
  co_arena *arena;
  const char *path, *metric;
  co_trial_value *steps;
  int64_t count;
  int64_t best_step;         // updates done where the model's weights are from; -1 = not known
  const char *second_metric; // NULL = none
  double value, second;
} reading;

static co_status read_record(reading *r, const char *line, size_t length) {
  co_diagnostics problems;
  co_node *record = NULL;
  int64_t step = 0, epoch = 0;
  co_diagnostics_init(&problems, co_arena_context(r->arena));
  co_status status = co_yaml_parse(&record, r->arena, r->path, line, length, &problems);
  co_diagnostics_free(&problems);
  CO_RETURN_IF_FAILED(status);
  const co_node *split = co_node_get(record, "split");
  if (!split || split->kind != CO_NODE_SCALAR || strcmp(split->text, "validation") != 0)
    return CO_OK;
  if (!co_node_int(co_node_get(record, "step"), &step) ||
      !co_node_int(co_node_get(record, "epoch"), &epoch))
    return co_fail_at(CO_ERR_MODEL, r->path, 0, 0, "it is damaged");
  double value = find_metric(record, r->metric);
  r->steps[r->count++] = (co_trial_value){.step = epoch + 1, .value = value};
  if (step != r->best_step && r->best_step >= 0) return CO_OK;
  r->value = value;
  if (r->second_metric) r->second = find_metric(record, r->second_metric);
  return CO_OK;
}

// The metric at each validation, and where the model's weights are from.
static co_status read_metrics(reading *r, const char *run) {
  char *text = NULL;
  size_t length;
  int64_t lines = 0;
  r->value = r->second = NAN;
  if (!(r->path = co_arena_format(r->arena, "%s/metrics.jsonl", run))) return CO_ERR_MEMORY;
  co_status status =
      co_read_file(co_arena_context(r->arena), r->path, 1u << 30, CO_ERR_MODEL, &text, &length);
  CO_RETURN_IF_FAILED(status);
  for (const char *at = text; (at = strchr(at, '\n')); at++)
    lines++;
  r->steps = co_arena_alloc(r->arena, (size_t)lines + 1, sizeof *r->steps);
  if (!r->steps) status = CO_ERR_MEMORY;
  for (char *at = text, *end; status == CO_OK && (end = strchr(at, '\n')); at = end + 1)
    status = read_record(r, at, (size_t)(end - at));
  co_free(co_arena_context(r->arena), text);
  return status;
}

// ---- training ----------------------------------------------------------------------------------

struct co_training {
  const co_search *search;
  const co_trial_job *job;
  co_trial_part part;
  co_context *ctx; // its own: its warnings stay apart, and it is quiet
  co_arena *arena;
  co_diagnostics problems;
  co_text yaml; // the config
  cohort_train_options options;
  co_session *session;
  co_status reported;
  co_trial_value *values; // so far
  int64_t count, capacity;
  bool pruned;
};
typedef co_training training;

static void pass_log(void *user, co_log_level level, const char *event, const char *text) {
  const training *t = user;
  co_log(t->search->ctx, level, event, "trial %lld: %s", (long long)t->job->number, text);
}

static void pass_alive(void *user, int seconds) {
  co_alive(((const training *)user)->search->ctx, seconds);
}

static co_status add_value(training *t, int64_t epoch, double value) {
  while (t->count && t->values[t->count - 1].step >= epoch) // the training went back
    t->count--;
  CO_RETURN_IF_FAILED(
      co_grow(t->ctx, (void **)&t->values, &t->capacity, t->count, sizeof *t->values));
  t->values[t->count++] = (co_trial_value){.step = epoch, .value = value};
  t->pruned = t->job->pruner && !co_pruner_keeps(t->job->pruner, t->values, t->count);
  return CO_OK;
}

static bool take_epoch(void *user, const co_session *session, int64_t epoch, double value) {
  training *t = user;
  (void)value;
  double followed = co_session_followed(session, t->search->settings->metric);
  t->reported = t->job->report ? t->job->report(t->job->user, epoch, followed) : CO_OK;
  if (t->reported == CO_OK) t->reported = add_value(t, epoch, followed);
  return false;
}

// What it came to before, if it goes on: the last value is decided on anew.
static co_status take_past(training *t) {
  reading r = {.arena = t->arena, .metric = t->search->settings->metric};
  char *path = co_arena_format(t->arena, "%s/metrics.jsonl", t->part.run);
  if (!path) return CO_ERR_MEMORY;
  if (!co_path_exists(path)) return CO_OK;
  CO_RETURN_IF_FAILED(read_metrics(&r, t->part.run));
  for (int64_t i = 0; i < r.count; i++)
    CO_RETURN_IF_FAILED(add_value(t, r.steps[i].step, r.steps[i].value));
  return CO_OK;
}

static co_status render(co_text *out, const training *t, co_arena *arena,
                        co_diagnostics *problems) {
  co_node *config;
  const co_search *s = t->search;
  CO_RETURN_IF_FAILED(co_trial_config(&config, s->base, &s->settings->space, t->job->values,
                                      co_dataset_schema(s->dataset), arena, problems));
  CO_RETURN_IF_FAILED(co_diagnostics_result(problems));
  if (t->part.seed) {
    char *seed = co_arena_format(arena, "trainer.seed=%llu",
                                 (unsigned long long)s->seed + (unsigned long long)t->part.seed);
    if (!seed) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(co_node_set(&config, arena, seed, problems));
  }
  return co_node_to_yaml(out, config);
}

// Every metric that is a goal is measured.
static co_status follow(co_session *session, const co_tune_settings *settings, bool higher[2]) {
  CO_RETURN_IF_FAILED(co_session_follow(session, settings->metric, &higher[0]));
  higher[1] = false;
  return settings->second && !settings->cost
             ? co_session_follow(session, settings->second, &higher[1])
             : CO_OK;
}

// Of a finished one.
static double cost_of(co_session *session, co_tune_cost cost) {
  switch (cost) {
  case CO_COST_PARAMETERS:
    return (double)co_session_parameters(session);
  case CO_COST_FLOPS:
    return co_session_row_flops(session);
  case CO_COST_BYTES:
    return (double)co_session_model_bytes(session);
  case CO_COST_NONE:
    break;
  }
  return NAN;
}

static co_status open_session(training *t) {
  const co_search *s = t->search;
  bool higher[2];
  CO_RETURN_IF_FAILED(render(&t->yaml, t, t->arena, &t->problems));
  t->options = (cohort_train_options){.preset = t->yaml.data,
                                      .run_dir = t->part.run,
                                      .resume = "auto",
                                      .init_from = s->init_from,
                                      .device = s->device,
                                      .placement = s->placement,
                                      .command = s->command,
                                      .autotune = s->autotune,
                                      .autotune_cache = s->autotune_cache,
                                      .workers = s->workers,
                                      .max_seconds = t->job->max_seconds};
  CO_RETURN_IF_FAILED(co_session_open_on(&t->session, t->ctx, t->job->watch, &t->options,
                                         t->part.dataset, &t->problems));
  CO_RETURN_IF_FAILED(take_past(t));
  CO_RETURN_IF_FAILED(follow(t->session, s->settings, higher));
  co_session_set_epoch_hook(t->session, take_epoch, t);
  return CO_OK;
}

co_status co_training_open(co_training **out, const co_search *search, const co_trial_job *job,
                           const co_trial_part *part) {
  training *t = *out = co_alloc_zero(search->ctx, 1, sizeof *t);
  if (!t) return CO_ERR_MEMORY;
  t->search = search;
  t->job = job;
  t->part = *part;
  const co_context_options options = {.threads = (int)search->settings->threads,
                                      .threads_why = "hyperopt.threads",
                                      .level = CO_LOG_WARN,
                                      .sink = pass_log,
                                      .sink_user = t,
                                      .alive = pass_alive,
                                      .alive_user = t};
  co_status status = co_context_create(&t->ctx, &options);
  if (status != CO_OK) {
    co_free(search->ctx, t);
    *out = NULL;
    return status;
  }
  co_diagnostics_init(&t->problems, t->ctx);
  co_text_init(&t->yaml, t->ctx);
  CO_RETURN_IF_FAILED(co_arena_create(&t->arena, t->ctx));
  return open_session(t);
}

int64_t co_training_epochs(const co_training *t) {
  return t->count ? t->values[t->count - 1].step : 0;
}

bool co_training_is_done(const co_training *t) {
  return co_session_is_done(t->session);
}

double co_training_value(const co_training *t, int64_t epoch) {
  double value = NAN;
  for (int64_t i = 0; i < t->count && t->values[i].step <= epoch; i++)
    value = t->values[i].value;
  return value;
}

co_status co_training_advance(co_training *t, int64_t epoch) {
  while (!co_training_is_done(t) && !t->pruned && co_training_epochs(t) < epoch) {
    CO_RETURN_IF_FAILED(co_session_advance(t->session));
    CO_RETURN_IF_FAILED(t->reported);
  }
  if (!co_training_is_done(t)) return CO_OK;
  t->pruned = false;
  return co_session_finish(t->session);
}

co_status co_training_pause(co_training *t) {
  t->pruned = !co_training_is_done(t);
  return t->pruned ? co_session_save(t->session) : CO_OK;
}

// Of one that is pruned, what it came to last.
static co_status measure_pruned(co_trial_outcome *out, const training *t, co_arena *arena) {
  reading r = {.arena = arena, .metric = t->search->settings->metric};
  co_error_clear();
  CO_RETURN_IF_FAILED(read_metrics(&r, t->part.run));
  out->steps = r.steps;
  out->step_count = r.count;
  out->state = CO_TRIAL_PRUNED;
  for (int64_t i = 0; i < r.count; i++)
    if (isfinite(r.steps[i].value)) out->value = r.steps[i].value;
  return CO_OK;
}

static bool is_own_fault(co_status status) {
  return status == CO_ERR_DIVERGED || status == CO_ERR_MEMORY || status == CO_ERR_CONFIG ||
         status == CO_ERR_DATA;
}

static co_status take_failure(co_trial_outcome *out, const training *t, co_status status) {
  if (!is_own_fault(status)) {
    if (status != CO_INTERRUPTED && status != CO_STOPPED)
      co_note("trial %lld", (long long)t->job->number);
    return status;
  }
  const co_error *error = t->problems.count ? &t->problems.item[0] : co_error_last();
  out->state = CO_TRIAL_FAIL;
  snprintf(out->reason, sizeof out->reason, "%s: %s", co_status_name(status), error->message);
  co_error_clear();
  return CO_OK;
}

static co_status measure(co_trial_outcome *out, const training *t, int64_t best_step, double cost,
                         co_arena *arena) {
  const co_tune_settings *settings = t->search->settings;
  reading r = {.arena = arena,
               .metric = settings->metric,
               .best_step = best_step,
               .second_metric = settings->cost ? NULL : settings->second};
  CO_RETURN_IF_FAILED(read_metrics(&r, t->part.run));
  out->steps = r.steps;
  out->step_count = r.count;
  out->value = r.value;
  out->second = settings->cost ? cost : r.second;
  out->state = CO_TRIAL_COMPLETE;
  const char *missing = isnan(out->value)                        ? "the metric"
                        : settings->second && isnan(out->second) ? settings->second
                                                                 : NULL;
  if (!missing) return CO_OK;
  out->state = CO_TRIAL_FAIL;
  snprintf(out->reason, sizeof out->reason, "%s has no value", missing);
  return CO_OK;
}

static void free_training(training *t) {
  co_context *owner = t->search->ctx;
  co_text_free(&t->yaml);
  co_free(t->ctx, t->values);
  co_diagnostics_free(&t->problems);
  co_arena_free(t->arena);
  co_context_free(t->ctx);
  co_free(owner, t);
}

co_status co_training_close(co_training *t, co_trial_outcome *out, co_status status,
                            co_arena *arena) {
  int64_t best_step = -1;
  double cost = NAN;
  *out = (co_trial_outcome){.value = NAN, .second = NAN};
  if (!t) return status;
  if (status == CO_OK && t->pruned) status = co_fail(CO_STOPPED, "pruned");
  if (status == CO_OK) {
    best_step = co_session_best_step(t->session);
    cost = cost_of(t->session, t->search->settings->cost);
  }
  status = co_session_close(t->session, status);
  if (status == CO_OK)
    status = measure(out, t, best_step, cost, arena);
  else if (status == CO_STOPPED && t->pruned)
    status = measure_pruned(out, t, arena);
  else
    status = take_failure(out, t, status);
  co_error error;
  co_error_copy(&error);
  free_training(t);
  return status == CO_OK ? CO_OK : co_error_raise(&error);
}

co_status co_trial_train_part(co_trial_outcome *out, const co_search *search,
                              const co_trial_job *job, const co_trial_part *part, co_arena *arena) {
  co_training *t;
  co_status status = co_training_open(&t, search, job, part);
  if (status == CO_OK) status = co_training_advance(t, INT64_MAX);
  if (status == CO_OK) status = co_training_pause(t); // where it is pruned
  return co_training_close(t, out, status, arena);
}

// ---- before all of them ------------------------------------------------------------------------

// What a value of the space is told to be, with its place in the config.
static void place_problems(const co_search *s, co_diagnostics *problems) {
  for (int64_t i = 0; i < problems->count; i++) {
    co_error *e = &problems->item[i];
    for (int64_t k = 0; strncmp(e->file, "--set ", 6) == 0 && k < s->settings->space.count; k++) {
      const co_parameter *p = &s->settings->space.item[k];
      if (strcmp(e->file + 6, p->path) != 0) continue;
      snprintf(e->file, sizeof e->file, "%s", p->node->file ? p->node->file : "");
      e->line = p->node->key_line;
      e->column = p->node->key_column;
    }
  }
}

static co_status check(const co_search *s, const double *values, co_arena *arena,
                       co_diagnostics *problems) {
  co_node *config;
  co_trainer_settings settings;
  co_model *model = NULL;
  const co_schema *schema = co_dataset_schema(s->dataset);
  CO_RETURN_IF_FAILED(
      co_trial_config(&config, s->base, &s->settings->space, values, schema, arena, problems));
  CO_RETURN_IF_FAILED(co_settings_parse_trainer(&settings, config, arena, problems));
  CO_RETURN_IF_FAILED(co_diagnostics_result(problems));
  co_status status = co_model_create(&model, s->ctx, config, schema, problems);
  co_model_free(model);
  return status == CO_OK ? co_diagnostics_result(problems) : status;
}

co_status co_trial_check(const co_search *search, const double *values, co_diagnostics *problems) {
  co_arena *arena;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, search->ctx));
  co_status status = check(search, values, arena, problems);
  place_problems(search, problems);
  co_arena_free(arena);
  return status == CO_OK ? CO_OK : problems->count ? co_diagnostics_result(problems) : status;
}

// Trees and what else is no network have neither parameters nor a plan.
static co_status check_cost(const co_session *session, const co_tune_settings *settings) {
  if (!settings->cost || settings->cost == CO_COST_BYTES || co_session_parameters(session))
    return CO_OK;
  co_status status = co_fail(CO_ERR_CONFIG,
                             "hyperopt.second_metric: %s is of networks, and this "
                             "predictor is none",
                             settings->second);
  co_hint("take model_bytes");
  return status;
}

co_status co_trial_plan(size_t *bytes, bool higher_is_better[2], const co_search *search,
                        const double *values, co_diagnostics *problems) {
  static const co_watch silent = {.progress = NULL};
  const co_trial_job job = {.values = values};
  const training t = {.search = search, .job = &job, .ctx = search->ctx};
  co_session *session = NULL;
  co_arena *arena;
  co_text yaml;
  CO_RETURN_IF_FAILED(co_arena_create(&arena, search->ctx));
  co_text_init(&yaml, search->ctx);
  co_status status = render(&yaml, &t, arena, problems);
  char *run = co_arena_format(arena, "%s/plan", search->folder); // never made
  const cohort_train_options options = {.preset = yaml.data,
                                        .run_dir = run,
                                        .init_from = search->init_from,
                                        .device = search->device,
                                        .placement = search->placement,
                                        .dry_run = true};
  if (status == CO_OK && !run) status = CO_ERR_MEMORY;
  if (status == CO_OK)
    status =
        co_session_open_on(&session, search->ctx, &silent, &options,
                           search->settings->k_fold ? search->folds[0] : search->dataset, problems);
  if (status == CO_OK) status = follow(session, search->settings, higher_is_better);
  if (status == CO_OK) status = check_cost(session, search->settings);
  if (status == CO_OK) *bytes = co_session_planned_bytes(session);
  status = co_session_close(session, status);
  co_text_free(&yaml);
  co_arena_free(arena);
  return status;
}
