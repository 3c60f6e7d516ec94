// SPDX-License-Identifier: Apache-2.0
// A trial over folds and seeds: a run for each, one after the other; its value is their mean.
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

co_status co_trial_train(co_trial_outcome *out, const co_search *s, const co_trial_job *job,
                         co_arena *arena) {
  const int64_t parts = (s->settings->k_fold ? s->settings->k_fold : 1) * job->seeds;
  const co_trial_part whole = {.run = job->path, .dataset = s->dataset, .seed = job->first_seed};
  return parts == 1 ? co_trial_train_part(out, s, job, &whole, arena)
                    : train_parts(out, s, job, parts, arena);
}
