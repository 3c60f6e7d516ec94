// SPDX-License-Identifier: Apache-2.0
// The samplers that look at no results.
#include "host/tune/sampler.h"

#include <math.h>

#include <string.h>

#include "host/core/rng.h"
#include "host/tune/goals.h"

double co_sampler_uniform(uint64_t seed, int64_t number, int64_t which) {
  co_philox_block block =
      co_philox(seed, (uint64_t)which, (uint32_t)number, co_purpose("hyperopt", "uniform"));
  return ((double)(block.word[0] >> 5) * 67108864.0 + (double)(block.word[1] >> 6)) *
         (1.0 / 9007199254740992.0);
}

void co_sample_random(const co_suggestion *s, double *values) {
  const co_space *space = &s->settings->space;
  for (int64_t i = 0; i < space->count; i++)
    values[i] = co_parameter_value(&space->item[i], co_sampler_uniform(s->seed, s->number, i));
  co_space_prune(space, values);
}

void co_sample_sobol(const co_suggestion *s, double *values) {
  const co_space *space = &s->settings->space;
  for (int64_t i = 0; i < space->count; i++) {
    double u = i < CO_SOBOL_DIMENSIONS ? co_sobol_scrambled(s->seed, s->number, (int)i)
                                       : co_sampler_uniform(s->seed, s->number, i);
    values[i] = co_parameter_value(&space->item[i], u);
  }
  co_space_prune(space, values);
}

// ---- grid --------------------------------------------------------------------------------------

// Counts through all combinations, the last parameter fastest; what does not count stays at its
// first point, so that no trial comes twice.
static bool advance(const co_space *space, int64_t *index, double *values) {
  for (int64_t i = space->count - 1; i >= 0; i--) {
    const co_parameter *p = &space->item[i];
    bool moved = co_space_counts(space, values, i) && index[i] + 1 < p->points;
    index[i] = moved ? index[i] + 1 : 0;
    values[i] = co_parameter_grid(p, index[i]);
    if (moved) return true;
  }
  return false;
}

enum { MOST_GRID = 1000000 };

// Moves to the n-th combination, or counts how many there are up to n.
static int64_t walk(const co_space *space, int64_t n, double *values) {
  int64_t index[CO_MOST_PARAMETERS] = {0}, done = 0;
  for (int64_t i = 0; i < space->count; i++)
    values[i] = co_parameter_grid(&space->item[i], 0);
  while (done < n && advance(space, index, values))
    done++;
  return done;
}

void co_sample_grid(const co_suggestion *s, double *values) {
  walk(&s->settings->space, s->number, values);
  co_space_prune(&s->settings->space, values);
}

int64_t co_sampler_trials(const co_tune_settings *settings) {
  double values[CO_MOST_PARAMETERS];
  if (settings->sampler != CO_SAMPLER_GRID) return INT64_MAX;
  int64_t last = walk(&settings->space, MOST_GRID, values);
  return last < MOST_GRID ? last + 1 : INT64_MAX;
}

// ---- what others share -------------------------------------------------------------------------

bool co_known_counts(const co_known_trial *t) {
  return t->failed || !isnan(t->loss);
}

double co_known_worst(const co_suggestion *s) {
  double worst = -INFINITY;
  for (int64_t i = 0; i < s->known_count; i++)
    if (isfinite(s->known[i].loss)) worst = fmax(worst, s->known[i].loss);
  return worst;
}

co_draws co_draws_begin(const co_suggestion *s) {
  return (co_draws){s->seed, s->number, CO_MOST_PARAMETERS}; // those before are of sample_random
}

double co_draw_uniform(co_draws *d) {
  return co_sampler_uniform(d->seed, d->number, d->next++);
}

// Box & Muller 1958.
double co_draw_normal(co_draws *d) {
  double radius = sqrt(-2 * log(1 - co_draw_uniform(d)));
  return radius * cos(6.28318530717958647693 * co_draw_uniform(d));
}

// ---- choosing ----------------------------------------------------------------------------------

enum { MOST_GP_TRIALS = 200, MOST_GP_PARAMETERS = 20 };

static co_sampler_kind choose(const co_suggestion *s) {
  co_sampler_kind kind = (co_sampler_kind)s->settings->sampler;
  int64_t counted = 0;
  if (kind == CO_SAMPLER_AUTO)
    kind = s->number < MOST_GP_TRIALS && s->settings->space.count < MOST_GP_PARAMETERS
               ? CO_SAMPLER_GP
               : CO_SAMPLER_TPE;
  if (kind != CO_SAMPLER_GP && kind != CO_SAMPLER_TPE) return kind;
  for (int64_t i = 0; i < s->known_count; i++)
    counted += isfinite(s->known[i].loss);
  return s->number < CO_FIRST_TRIALS || counted < 2 ? CO_SAMPLER_SOBOL : kind;
}

// Of two goals one: places in an order for the estimator, which asks for no more; for the process a mean
// whose weights are other ones in each trial.
static co_status suggest_of_two(const co_suggestion *s, co_sampler_kind kind, double *values) {
  co_suggestion one = *s;
  co_known_trial *known = co_alloc(s->ctx, ((size_t)s->known_count + 1) * sizeof *known);
  if (!known) return CO_ERR_MEMORY;
  memcpy(known, s->known, (size_t)s->known_count * sizeof *known);
  one.known = known;
  co_status status = CO_OK;
  if (kind == CO_SAMPLER_TPE)
    status = co_goals_order(known, s->known_count, s->ctx);
  else
    co_goals_weigh(known, s->known_count, s->seed, s->number);
  if (status == CO_OK)
    status = kind == CO_SAMPLER_TPE ? co_sample_tpe(&one, values) : co_sample_gp(&one, values);
  co_free(s->ctx, known);
  return status;
}

co_status co_suggest(const co_suggestion *s, double *values) {
  const co_sampler_kind kind = choose(s);
  if (s->settings->second && (kind == CO_SAMPLER_TPE || kind == CO_SAMPLER_GP))
    return suggest_of_two(s, kind, values);
  switch (kind) {
  case CO_SAMPLER_RANDOM:
    co_sample_random(s, values);
    break;
  case CO_SAMPLER_GRID:
    co_sample_grid(s, values);
    break;
  case CO_SAMPLER_AUTO:
  case CO_SAMPLER_SOBOL:
    co_sample_sobol(s, values);
    break;
  case CO_SAMPLER_TPE:
    return co_sample_tpe(s, values);
  case CO_SAMPLER_GP:
    return co_sample_gp(s, values);
  }
  return CO_OK;
}
