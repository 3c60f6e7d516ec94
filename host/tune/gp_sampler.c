// SPDX-License-Identifier: Apache-2.0
// Bayesian optimisation: the values whose expected improvement, by a Gaussian process over the trials,
// is largest. Trials that still run count with what the process expects of them ("kriging believer",
// Ginsbourger, Le Riche & Carraro 2010). Parameters that do not count lie amid their ranges.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/eval/minimize.h"
#include "host/tune/gp.h"
#include "host/tune/sampler.h"

enum { MOST_ROWS = 192, CANDIDATES = 2048, STARTS = 8, ROUNDS = 6, FEW_VALUES = 16 };

typedef struct search {
  const co_suggestion *s;
  const co_space *space;
  co_gp gp;
  bool is_choice[CO_MOST_PARAMETERS];
  bool is_smooth[CO_MOST_PARAMETERS]; // may be moved by gradients
  double mean, deviation;             // of the losses
  double best;                        // standardised
} search;

// ---- places ------------------------------------------------------------------------------------

static double value_count(const co_parameter *p) {
  return p->step ? (p->upper - p->lower) / p->step + 1 : INFINITY;
}

// Values as the process sees them; what does not count is in the middle.
static void to_columns(const co_space *space, const double *values, double *x) {
  for (int64_t i = 0; i < space->count; i++) {
    const co_parameter *p = &space->item[i];
    x[i] = isnan(values[i])    ? (p->category_count ? -1 : 0.5)
           : p->category_count ? values[i]
                               : co_parameter_place(p, values[i]);
  }
}

static void to_values(const co_space *space, const double *u, double *values) {
  for (int64_t i = 0; i < space->count; i++)
    values[i] = co_parameter_value(&space->item[i], fmin(u[i], 1 - 1e-12));
  co_space_prune(space, values);
}

// The negative logarithm of the expected improvement at a point of the unit cube; with its gradient
// by what is smooth and counts.
static double improvement(void *user, const double *u, double *gradient) {
  search *t = user;
  double values[CO_MOST_PARAMETERS], x[CO_MOST_PARAMETERS], by_variance[CO_MOST_PARAMETERS];
  double mean, variance, by_mean, by_deviation;
  to_values(t->space, u, values);
  to_columns(t->space, values, x);
  for (int64_t i = 0; i < t->space->count; i++)
    if (t->is_smooth[i] && !isnan(values[i])) x[i] = u[i];
  co_gp_at(&t->gp, x, &mean, &variance, gradient, by_variance);
  double deviation = sqrt(variance);
  double value = co_log_improvement(mean, deviation, t->best, &by_mean, &by_deviation);
  for (int64_t i = 0; gradient && i < t->space->count; i++)
    gradient[i] = t->is_smooth[i] && !isnan(values[i])
                      ? -(by_mean * gradient[i] + by_deviation * by_variance[i] / (2 * deviation))
                      : 0;
  return -value;
}

// ---- the process -------------------------------------------------------------------------------

static int by_loss(const void *a, const void *b) {
  const co_known_trial *x = *(const co_known_trial *const *)a,
                       *y = *(const co_known_trial *const *)b;
  if (x->loss != y->loss) return x->loss < y->loss ? -1 : 1;
  return (x > y) - (x < y);
}

// All that count, or of very many the better and the later half of as many as there is room for.
static int64_t choose_rows(const co_suggestion *s, const co_known_trial **rows) {
  int64_t count = 0, kept = 0;
  for (int64_t i = 0; i < s->known_count; i++)
    if (isfinite(s->known[i].loss) || s->known[i].failed) rows[count++] = &s->known[i];
  if (count <= MOST_ROWS) return count;
  const co_known_trial **late = rows + count - MOST_ROWS / 2;
  qsort(rows, (size_t)(count - MOST_ROWS / 2), sizeof *rows, by_loss); // failed ones have no order
  for (int64_t i = 0; kept < MOST_ROWS / 2 && i < count - MOST_ROWS / 2; i++)
    if (isfinite(rows[i]->loss)) rows[kept++] = rows[i];
  memmove(rows + kept, late, (size_t)(MOST_ROWS / 2) * sizeof *rows);
  return kept + MOST_ROWS / 2;
}

// Evenly spaced ones to the front, which the process is fitted to.
static void spread(const co_known_trial **rows, int64_t count) {
  for (int64_t i = 0; count > CO_GP_FITTED && i < CO_GP_FITTED; i++) {
    const int64_t from = i * count / CO_GP_FITTED;
    const co_known_trial *kept = rows[i];
    rows[i] = rows[from];
    rows[from] = kept;
  }
}

static void set_losses(search *t, const co_known_trial *const *rows) {
  co_gp *gp = &t->gp;
  double worst = co_known_worst(t->s), sum = 0, squares = 0;
  for (int64_t i = 0; i < gp->rows; i++)
    sum += gp->y[i] = isfinite(rows[i]->loss) ? rows[i]->loss : worst;
  t->mean = sum / (double)gp->rows;
  for (int64_t i = 0; i < gp->rows; i++)
    squares += (gp->y[i] - t->mean) * (gp->y[i] - t->mean);
  t->deviation = fmax(sqrt(squares / (double)gp->rows), 1e-10);
  t->best = INFINITY;
  for (int64_t i = 0; i < gp->rows; i++) {
    gp->y[i] = (gp->y[i] - t->mean) / t->deviation;
    t->best = fmin(t->best, gp->y[i]);
  }
}

static bool is_running(const co_known_trial *t) {
  return isnan(t->loss) && !t->failed;
}

// One by one: each with the mean that those before it give.
static void add_running(search *t) {
  co_gp *gp = &t->gp;
  for (int64_t i = 0; i < t->s->known_count; i++) {
    if (!is_running(&t->s->known[i])) continue;
    double *x = gp->x + gp->rows * gp->columns, variance;
    to_columns(t->space, t->s->known[i].values, x);
    co_gp_at(gp, x, &gp->y[gp->rows], &variance, NULL, NULL);
    gp->rows++;
    if (!co_gp_factor(gp)) {
      gp->rows--;
      co_gp_factor(gp);
    }
  }
}

static co_status make(search *t) {
  const co_suggestion *s = t->s;
  int64_t running = 0;
  const co_known_trial **rows = co_alloc(s->ctx, (size_t)(s->known_count + 1) * sizeof *rows);
  if (!rows) return CO_ERR_MEMORY;
  int64_t count = choose_rows(s, rows);
  spread(rows, count);
  for (int64_t i = 0; i < s->known_count; i++)
    running += is_running(&s->known[i]);
  co_status status = co_gp_create(&t->gp, s->ctx, count + running, t->space->count, t->is_choice);
  if (status == CO_OK) {
    t->gp.rows = count;
    for (int64_t i = 0; i < count; i++)
      to_columns(t->space, rows[i]->values, t->gp.x + i * t->gp.columns);
    set_losses(t, rows);
    status = co_gp_fit(&t->gp);
  }
  co_free(s->ctx, rows);
  if (status == CO_OK) add_running(t);
  return status;
}

// ---- where the improvement is largest ------------------------------------------------------------

static co_status climb(search *t, double *u, double *value) {
  double low[CO_MOST_PARAMETERS], high[CO_MOST_PARAMETERS];
  for (int64_t i = 0; i < t->space->count; i++) {
    low[i] = t->is_smooth[i] ? 0 : u[i];
    high[i] = t->is_smooth[i] ? 1 : u[i];
  }
  const co_minimization problem = {.count = t->space->count,
                                   .low = low,
                                   .high = high,
                                   .max_iterations = 50,
                                   .tolerance = 1e-3,
                                   .value = improvement,
                                   .user = t};
  return co_minimize(value, u, t->s->ctx, &problem);
}

// Every other value of what has few, one parameter at a time.
static bool switch_values(search *t, double *u, double *value) {
  bool better = false;
  for (int64_t i = 0; i < t->space->count; i++) {
    if (t->is_smooth[i]) continue;
    double kept = u[i], count = value_count(&t->space->item[i]);
    for (int64_t k = 0; k < (int64_t)count; k++) {
      u[i] = ((double)k + 0.5) / count;
      double found = improvement(t, u, NULL);
      if (found < *value - 1e-9) {
        *value = found;
        kept = u[i];
        better = true;
      }
    }
    u[i] = kept;
  }
  return better;
}

static co_status improve(search *t, double *u, double *value) {
  for (int round = 0; round < ROUNDS; round++) {
    CO_RETURN_IF_FAILED(climb(t, u, value));
    if (!switch_values(t, u, value)) break;
  }
  return CO_OK;
}

static bool is_known(const search *t, const double *values) {
  for (int64_t k = 0; k < t->s->known_count; k++) {
    const double *other = t->s->known[k].values;
    bool same = true;
    for (int64_t i = 0; same && i < t->space->count; i++)
      same = values[i] == other[i] || (isnan(values[i]) && isnan(other[i]));
    if (same) return true;
  }
  return false;
}

typedef struct start {
  double u[CO_MOST_PARAMETERS], value;
} start;

// Places of the best trial so far.
static bool best_place(const search *t, double *u) {
  const co_known_trial *best = NULL;
  for (int64_t i = 0; i < t->s->known_count; i++) {
    const co_known_trial *k = &t->s->known[i];
    if (isfinite(k->loss) && (!best || k->loss < best->loss)) best = k;
  }
  for (int64_t i = 0; best && i < t->space->count; i++)
    u[i] = isnan(best->values[i]) ? 0.5 : co_parameter_place(&t->space->item[i], best->values[i]);
  return best != NULL;
}

static co_status look(search *t, start *starts, double *values) {
  double u[CO_MOST_PARAMETERS] = {0};
  const uint64_t seed = t->s->seed + 0x9e3779b97f4a7c15u * (uint64_t)(t->s->number + 1);
  int count = STARTS;
  const int64_t candidates = t->gp.rows > CO_GP_FITTED ? CANDIDATES / 2 : CANDIDATES;
  for (int64_t c = 0; c < candidates; c++) {
    for (int64_t i = 0; i < t->space->count; i++)
      u[i] = i < CO_SOBOL_DIMENSIONS ? co_sobol_scrambled(seed, c, (int)i)
                                     : co_sampler_uniform(seed, c, i);
    start *own = &starts[c % STARTS]; // so they are apart
    double value = improvement(t, u, NULL);
    if (c >= STARTS && value >= own->value) continue;
    memcpy(own->u, u, sizeof u);
    own->value = value;
  }
  if (best_place(t, u)) {
    memcpy(starts[STARTS].u, u, sizeof u);
    starts[STARTS].value = improvement(t, u, NULL);
    count = STARTS + 1;
  }
  double least = INFINITY, found[CO_MOST_PARAMETERS];
  for (int k = 0; k < count; k++) {
    CO_RETURN_IF_FAILED(improve(t, starts[k].u, &starts[k].value));
    to_values(t->space, starts[k].u, found);
    if (!(starts[k].value < least) || is_known(t, found)) continue;
    least = starts[k].value;
    memcpy(values, found, (size_t)t->space->count * sizeof *values);
  }
  if (!isfinite(least)) co_sample_sobol(t->s, values); // all is known that is good
  return CO_OK;
}

co_status co_sample_gp(const co_suggestion *s, double *values) {
  search *t = co_alloc_zero(s->ctx, 1, sizeof *t);
  start *starts = co_alloc_zero(s->ctx, STARTS + 1, sizeof *starts);
  co_status status = t && starts ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) {
    t->s = s;
    t->space = &s->settings->space;
    for (int64_t i = 0; i < t->space->count; i++) {
      t->is_choice[i] = t->space->item[i].category_count > 0;
      t->is_smooth[i] = !t->is_choice[i] && value_count(&t->space->item[i]) > FEW_VALUES;
    }
    status = make(t);
  }
  if (status == CO_OK) status = look(t, starts, values);
  if (t) co_gp_free(&t->gp);
  co_free(s->ctx, t);
  co_free(s->ctx, starts);
  return status;
}
