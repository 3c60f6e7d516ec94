// SPDX-License-Identifier: Apache-2.0
// A trial over folds and seeds: a run for each, one after the other or all together; its value is their
// mean.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/core/file.h"
#include "host/tune/tuner.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// "fold-0", "seed-1", or "fold-0-seed-1", below the trial's folder.
static co_status find_part(co_trial_part *out, char name[64], const co_search *s,
                           const co_trial_job *job, int64_t which, co_arena *arena) {
  const int64_t folds = s->settings->k_fold;
  const long long fold = folds ? which % folds : 0;
  const long long seed = job->first_seed + which / (folds ? folds : 1);
  if (!folds)
    snprintf(name, 64, "seed-%lld", seed);
  else if (job->first_seed + job->seeds == 1)
    snprintf(name, 64, "fold-%lld", fold);
  else
    snprintf(name, 64, "fold-%lld-seed-%lld", fold, seed);
  *out = (co_trial_part){.run = co_arena_format(arena, "%s/%s", job->path, name),
                         .dataset = folds ? s->folds[fold] : s->dataset,
                         .seed = seed};
  return out->run ? CO_OK : CO_ERR_MEMORY;
}

// Behind the last of `count` values. Where a thawed one was paused that has been decided.
static bool goes_on(const co_trial_job *job, const co_trial_value *values, int64_t count) {
  const co_pruner_view *v = job->pruner;
  if (!v || (v->round && values[count - 1].step <= v->trials->item[v->number].thaw_from))
    return true;
  return co_pruner_keeps(v, values, count);
}

static double mean_of(const co_trial_value *values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++)
    sum += values[i].value;
  return sum / (double)count;
}

static void take_failure(co_trial_outcome *out, const char *part, const char *reason) {
  out->state = CO_TRIAL_FAIL;
  out->value = out->second = NAN;
  snprintf(out->reason, sizeof out->reason, "%s: %.1100s", part, reason);
}

static co_status train_parts(co_trial_outcome *out, const co_search *s, const co_trial_job *job,
                             int64_t parts, co_arena *arena) {
  const double begun = now();
  co_trial_value *values = co_arena_alloc(arena, (size_t)parts, sizeof *values);
  co_trial_value *seconds = co_arena_alloc(arena, (size_t)parts, sizeof *seconds);
  *out = (co_trial_outcome){.state = CO_TRIAL_COMPLETE, .steps = values};
  if (!values || !seconds) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_make_directories(s->ctx, job->path));
  for (int64_t i = 0; i < parts; i++) {
    co_trial_job own = *job; // its epochs are nobody's business
    co_trial_outcome one;
    co_trial_part part;
    char name[64];
    own.report = NULL;
    own.pruner = NULL;
    if (job->max_seconds > 0) own.max_seconds = fmax(job->max_seconds - (now() - begun), 1e-3);
    CO_RETURN_IF_FAILED(find_part(&part, name, s, job, i, arena));
    CO_RETURN_IF_FAILED(co_trial_train_part(&one, s, &own, &part, arena));
    if (one.state == CO_TRIAL_FAIL) {
      take_failure(out, name, one.reason);
      return CO_OK;
    }
    values[out->step_count++] =
        (co_trial_value){.trial = job->number, .step = i, .value = one.value};
    seconds[i] = (co_trial_value){.value = one.second};
    out->value = mean_of(values, out->step_count);
    out->second = mean_of(seconds, out->step_count);
    if (job->report) CO_RETURN_IF_FAILED(job->report(job->user, i, one.value));
    if (i + 1 == parts || goes_on(job, values, out->step_count)) continue;
    out->state = CO_TRIAL_PRUNED;
    break;
  }
  return CO_OK;
}

// ---- together ----------------------------------------------------------------------------------

typedef struct team {
  const co_search *search;
  const co_trial_job *job;
  co_trial_job own; // of each part: its epochs are nobody's business
  co_arena *arena;
  int64_t count;
  co_training **training;
  char (*name)[64];
  co_trial_value *means; // by epoch
  int64_t epochs, capacity;
} team;

// *failed is the part that a failure is of.
static co_status open_team(team *t, int64_t *failed) {
  for (int64_t i = 0; i < t->count; i++) {
    co_trial_part part;
    *failed = i;
    CO_RETURN_IF_FAILED(find_part(&part, t->name[i], t->search, t->job, i, t->arena));
    CO_RETURN_IF_FAILED(co_training_open(&t->training[i], t->search, &t->own, &part));
  }
  return CO_OK;
}

// What all have come to; those that are done have come to whatever the others have.
static int64_t common_epochs(const team *t) {
  int64_t least = INT64_MAX, most = 0;
  for (int64_t i = 0; i < t->count; i++) {
    int64_t own = co_training_epochs(t->training[i]);
    most = own > most ? own : most;
    if (!co_training_is_done(t->training[i]) && own < least) least = own;
  }
  return least < most ? least : most;
}

static bool is_team_done(const team *t) {
  bool done = true;
  for (int64_t i = 0; i < t->count; i++)
    done = done && co_training_is_done(t->training[i]);
  return done && t->epochs >= common_epochs(t);
}

static co_status add_mean(team *t, int64_t epoch) {
  double sum = 0;
  for (int64_t i = 0; i < t->count; i++)
    sum += co_training_value(t->training[i], epoch);
  CO_RETURN_IF_FAILED(
      co_grow(t->search->ctx, (void **)&t->means, &t->capacity, t->epochs, sizeof *t->means));
  t->means[t->epochs++] =
      (co_trial_value){.trial = t->job->number, .step = epoch, .value = sum / (double)t->count};
  return CO_OK;
}

// *pruned where it is given up at the last of the means. What it had come to before has been decided, but
// for the last.
static co_status advance_team(team *t, bool *pruned, int64_t *failed) {
  const int64_t past = common_epochs(t);
  *failed = -1;
  for (int64_t epoch = 1; epoch < past; epoch++)
    CO_RETURN_IF_FAILED(add_mean(t, epoch));
  while (!*pruned && !is_team_done(t)) {
    const int64_t epoch = t->epochs + 1;
    for (int64_t i = 0; i < t->count; i++) {
      *failed = i;
      CO_RETURN_IF_FAILED(co_training_advance(t->training[i], epoch));
    }
    *failed = -1;
    CO_RETURN_IF_FAILED(add_mean(t, epoch));
    if (t->job->report)
      CO_RETURN_IF_FAILED(t->job->report(t->job->user, epoch, t->means[t->epochs - 1].value));
    *pruned = !is_team_done(t) && !co_pruner_keeps(t->job->pruner, t->means, t->epochs);
  }
  return CO_OK;
}

// Adds to *sum what it came to.
static co_status close_one(team *t, int64_t i, co_trial_outcome *out, co_status status,
                           double *sum) {
  co_trial_outcome one;
  status = co_training_close(t->training[i], &one, status, t->arena);
  t->training[i] = NULL;
  *sum += one.value;
  if (one.state == CO_TRIAL_FAIL && out->state != CO_TRIAL_FAIL)
    take_failure(out, t->name[i], one.reason);
  return status;
}

// The one that has failed tells of it, which may be the trial's end alone; the others save where they are.
static co_status close_team(team *t, co_trial_outcome *out, co_status status, int64_t failed) {
  co_error error;
  double sum = 0;
  if (status != CO_OK && failed >= 0) status = close_one(t, failed, out, status, &sum);
  co_error_copy(&error);
  for (int64_t i = 0; i < t->count; i++) {
    if (!t->training[i]) continue;
    co_status own = close_one(t, i, out, co_training_pause(t->training[i]), &sum);
    if (own == CO_OK || status != CO_OK || out->state == CO_TRIAL_FAIL) continue;
    status = own;
    co_error_copy(&error);
  }
  if (status != CO_OK) return co_error_raise(&error);
  if (out->state == CO_TRIAL_COMPLETE) out->value = sum / (double)t->count;
  for (int64_t i = 0; out->state == CO_TRIAL_PRUNED && i < t->epochs; i++)
    if (isfinite(t->means[i].value)) out->value = t->means[i].value;
  return CO_OK;
}

static co_status take_means(const team *t, co_trial_outcome *out) {
  co_trial_value *steps = co_arena_alloc(t->arena, (size_t)t->epochs + 1, sizeof *steps);
  if (!steps) return CO_ERR_MEMORY;
  if (t->epochs) memcpy(steps, t->means, (size_t)t->epochs * sizeof *steps);
  out->steps = steps;
  out->step_count = t->epochs;
  return CO_OK;
}

static co_status train_together(co_trial_outcome *out, const co_search *s, const co_trial_job *job,
                                int64_t parts, co_arena *arena) {
  team t = {.search = s, .job = job, .own = *job, .arena = arena, .count = parts};
  int64_t failed = -1;
  bool pruned = false;
  t.own.report = NULL;
  t.own.pruner = NULL;
  t.training = co_arena_alloc(arena, (size_t)parts, sizeof *t.training);
  t.name = co_arena_alloc(arena, (size_t)parts, sizeof *t.name);
  *out = (co_trial_outcome){.state = CO_TRIAL_COMPLETE, .value = NAN, .second = NAN};
  if (!t.training || !t.name) return CO_ERR_MEMORY;
  memset(t.training, 0, (size_t)parts * sizeof *t.training);
  CO_RETURN_IF_FAILED(co_make_directories(s->ctx, job->path));
  co_status status = open_team(&t, &failed);
  if (status == CO_OK) status = advance_team(&t, &pruned, &failed);
  if (pruned) out->state = CO_TRIAL_PRUNED;
  status = close_team(&t, out, status, failed);
  if (status == CO_OK && out->state != CO_TRIAL_FAIL) status = take_means(&t, out);
  co_free(s->ctx, t.means);
  return status;
}

co_status co_trial_train(co_trial_outcome *out, const co_search *s, const co_trial_job *job,
                         co_arena *arena) {
  const int64_t parts = (s->settings->k_fold ? s->settings->k_fold : 1) * job->seeds;
  const co_trial_part whole = {.run = job->path, .dataset = s->dataset, .seed = job->first_seed};
  if (parts == 1) return co_trial_train_part(out, s, job, &whole, arena);
  return job->pruner && co_tune_is_together(s->settings) ? train_together(out, s, job, parts, arena)
                                                         : train_parts(out, s, job, parts, arena);
}
