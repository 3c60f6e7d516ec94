// SPDX-License-Identifier: Apache-2.0
// cohort_hyperopt_confirm: what the best trials of a study are worth. The best of many noisy values is
// too good: it was chosen for its luck, too. Trained with seeds that had no part in the choice, that
// luck is gone.
#include <math.h>
#include <stdlib.h>

#include "host/api/hyperopt.h"
#include "host/eval/interval.h"

static const double level = 0.95;

typedef struct confirming {
  co_tuning tuning;
  const cohort_hyperopt_confirm_options *options;
  co_trials trials;
  int64_t *top; // numbers, the best first
  int64_t count;
  double **values; // of each by seed
  co_mean *mean;
} confirming;

// Of two goals only those are worth it that no other one beats in both.
static co_status keep_front(const confirming *c, co_trials *left) {
  co_front front;
  CO_RETURN_IF_FAILED(co_front_find(&front, c->tuning.arena, left, c->tuning.search.maximize,
                                    c->tuning.search.maximize_second));
  for (int64_t i = 0; i < left->count; i++)
    if (!co_front_has(&front, i)) left->item[i].value = NAN;
  return CO_OK;
}

// The complete trials, the best first, of equals the first.
static co_status choose(confirming *c) {
  const co_tuning *t = &c->tuning;
  const int64_t most = c->options->top > 0 ? c->options->top : 3;
  CO_RETURN_IF_FAILED(co_study_trials(&c->trials, t->study, &t->settings.space, t->arena, false));
  c->top = co_arena_alloc(t->arena, (size_t)c->trials.count + 1, sizeof *c->top);
  if (!c->top) return CO_ERR_MEMORY;
  co_trials left = {co_arena_alloc(t->arena, (size_t)c->trials.count + 1, sizeof *left.item),
                    c->trials.count};
  if (!left.item) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < left.count; i++) {
    left.item[i] = c->trials.item[i];
    if (!co_space_fits(&t->settings.space, left.item[i].values)) left.item[i].value = NAN;
  }
  if (t->settings.second) CO_RETURN_IF_FAILED(keep_front(c, &left));
  while (c->count < most) {
    int64_t best = co_trials_best(&left, t->search.maximize);
    if (best < 0) break;
    c->top[c->count++] = best;
    left.item[best].value = NAN;
  }
  return c->count ? CO_OK
                  : co_fail_at(CO_ERR_DATA, c->options->study, 0, 0,
                               "no trial of the study is complete yet");
}

// The mean over the folds of each seed; part p is of seed p / folds.
static void take_values(confirming *c, int64_t which, const co_trial_outcome *outcome) {
  const int64_t folds = c->tuning.settings.k_fold ? c->tuning.settings.k_fold : 1;
  for (int64_t i = 0; i < outcome->step_count; i++)
    c->values[which][i / folds] += outcome->steps[i].value / (double)folds;
}

static co_status train(confirming *c, int64_t which) {
  co_tuning *t = &c->tuning;
  const int64_t number = c->top[which];
  co_trial_outcome outcome;
  const co_trial_job job = {.number = number,
                            .values = c->trials.item[number].values,
                            .first_seed = t->settings.seeds,
                            .seeds = c->options->seeds,
                            .path = co_trial_run_path(t->arena, t->search.folder, number),
                            .watch = &t->context->watch};
  if (!job.path) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_trial_train(&outcome, &t->search, &job, t->arena));
  if (outcome.state == CO_TRIAL_FAIL)
    return co_fail(CO_ERR_DIVERGED, "trial %lld failed with a new seed: %s", (long long)number,
                   outcome.reason);
  take_values(c, which, &outcome);
  c->mean[which] = co_mean_interval(c->values[which], c->options->seeds, level);
  co_log(t->context->ctx, CO_LOG_INFO, "confirm", "trial %lld: %.6g, with new seeds %.6g",
         (long long)number, c->trials.item[number].value, c->mean[which].mean);
  return CO_OK;
}

static co_status train_all(confirming *c) {
  co_tuning *t = &c->tuning;
  const size_t seeds = (size_t)c->options->seeds;
  c->values = co_arena_alloc(t->arena, (size_t)c->count, sizeof *c->values);
  c->mean = co_arena_alloc(t->arena, (size_t)c->count, sizeof *c->mean);
  t->search.folder = co_study_folder(t->study, t->arena, "confirmed");
  if (!c->values || !c->mean || !t->search.folder) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < c->count; i++) {
    c->values[i] = co_arena_alloc(t->arena, seeds, sizeof **c->values);
    if (!c->values[i]) return CO_ERR_MEMORY;
    for (size_t k = 0; k < seeds; k++)
      c->values[i][k] = 0;
    co_watch_progress(&t->context->watch, "confirm", "trials", i, c->count, NULL);
    CO_RETURN_IF_FAILED(train(c, i));
  }
  co_watch_progress(&t->context->watch, "confirm", "trials", -1, 0, NULL);
  return CO_OK;
}

static void render_trial(const confirming *c, co_json *json, int64_t i) {
  co_json_open(json, '{');
  co_json_key(json, "number");
  co_json_int(json, c->top[i]);
  co_json_key(json, "value");
  co_json_double(json, c->trials.item[c->top[i]].value);
  co_json_key(json, "estimate");
  co_json_double(json, c->mean[i].mean);
  co_json_key(json, "interval");
  co_json_open(json, '[');
  co_json_double(json, c->mean[i].low);
  co_json_double(json, c->mean[i].high);
  co_json_close(json);
  co_json_key(json, "values");
  co_json_open(json, '[');
  for (int64_t k = 0; k < c->options->seeds; k++)
    co_json_double(json, c->values[i][k]);
  co_json_close(json);
  co_json_close(json);
}

static co_status note(const confirming *c, co_json *json) {
  const co_tuning *t = &c->tuning;
  co_json_open(json, '{');
  co_json_key(json, "first_seed");
  co_json_int(json, (int64_t)t->search.seed + t->settings.seeds);
  co_json_key(json, "seeds");
  co_json_int(json, c->options->seeds);
  co_json_key(json, "trials");
  co_json_open(json, '[');
  for (int64_t i = 0; i < c->count; i++)
    render_trial(c, json, i);
  co_json_close(json);
  co_json_close(json);
  CO_RETURN_IF_FAILED(json->text.status);
  return co_study_note(t->study, CO_STUDY_CONFIRMED, json->text.data);
}

static void print(const confirming *c, co_text *text) {
  const char *metric = c->tuning.settings.metric ? c->tuning.settings.metric : "loss";
  co_text_printf(text, "%s: %s with %lld new seeds, mean and 95 %% interval\n", c->options->study,
                 metric, (long long)c->options->seeds);
  co_text_printf(text, "%5s  %-12s %-12s\n", "trial", "in the search", "with new seeds");
  for (int64_t i = 0; i < c->count; i++)
    co_text_printf(text, "%5lld  %-13.6g %-12.6g [%.6g, %.6g]\n", (long long)c->top[i],
                   c->trials.item[c->top[i]].value, c->mean[i].mean, c->mean[i].low,
                   c->mean[i].high);
}

static co_status confirm(confirming *c, cohort_result *result) {
  co_json json;
  CO_RETURN_IF_FAILED(co_require(c->options->study, "hyperopt confirm", "a study"));
  CO_RETURN_IF_FAILED(co_tuning_prepare(&c->tuning));
  CO_RETURN_IF_FAILED(choose(c));
  CO_RETURN_IF_FAILED(train_all(c));
  co_json_init(&json, c->tuning.context->ctx, 0);
  co_status status = note(c, &json);
  if (status == CO_OK) {
    co_json_key(&result->json, "study");
    co_json_string(&result->json, c->options->study);
    co_json_key(&result->json, "confirmed");
    co_json_raw(&result->json, json.text.data);
    print(c, &result->text);
  }
  co_json_free(&json);
  return status;
}

cohort_status cohort_hyperopt_confirm(cohort_context *context,
                                      const cohort_hyperopt_confirm_options *options,
                                      cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  cohort_hyperopt_confirm_options given = *options;
  if (given.seeds <= 0) given.seeds = 5;
  const cohort_hyperopt_run_options search = {.dataset = given.dataset,
                                              .study = given.study,
                                              .init_from = given.init_from,
                                              .name = given.name,
                                              .trials = 1,
                                              .device = given.device,
                                              .placement = given.placement,
                                              .command = given.command,
                                              .autotune = given.autotune,
                                              .autotune_cache = given.autotune_cache,
                                              .workers = given.workers};
  confirming c = {
      .options = &given,
      .tuning = {
          .context = context, .options = &search, .problems = &(*out)->errors, .there = true}};
  co_status status = given.seeds == 1
                         ? co_fail(CO_ERR_USAGE, "one new seed tells no interval: at least 2")
                         : confirm(&c, *out);
  if (status == CO_INTERRUPTED) co_hint("the same command goes on");
  co_error error;
  co_error_copy(&error);
  co_tuning_free(&c.tuning);
  if (status != CO_OK) co_error_raise(&error);
  return co_result_finish(*out, "hyperopt confirm", status);
}
