// SPDX-License-Identifier: Apache-2.0
#include "host/tune/pruner.h"

#include <math.h>

#include "host/core/rng.h"

int64_t co_pruner_round(const co_trials *trials) {
  int64_t round = 0;
  for (int64_t i = 0; i < trials->count; i++)
    if (trials->item[i].thaw_round > round) round = trials->item[i].thaw_round;
  return round;
}

// A trial's value at an epoch, as the one in question may know it; NaN.
static double value_at(const co_pruner_view *v, int64_t number, int64_t epoch) {
  const co_trial *t = &v->trials->item[number];
  bool known = v->round ? !(t->thaw_round == v->round && epoch > t->thaw_from)
                        : number <= v->number - v->settings->lag;
  if (number == v->number || !known) return NAN;
  for (int64_t i = 0; i < t->step_count; i++)
    if (t->steps[i].step == epoch) return t->steps[i].value;
  return NAN;
}

static double as_loss(const co_pruner_view *v, double value) {
  return v->maximize ? -value : value;
}

// ---- median ------------------------------------------------------------------------------------

// Its best so far is no worse than the median of the others at this epoch.
static bool beats_median(const co_pruner_view *v, const co_trial_value *own, int64_t count) {
  const int64_t epoch = own[count - 1].step;
  int64_t others = 0, better = 0;
  double best = INFINITY;
  for (int64_t i = 0; i < count; i++)
    if (!isnan(own[i].value)) best = fmin(best, as_loss(v, own[i].value));
  for (int64_t i = 0; i < v->trials->count; i++) {
    double other = as_loss(v, value_at(v, i, epoch));
    if (isnan(other)) continue;
    others++;
    better += other < best;
  }
  if (epoch <= v->settings->pruner.warmup_epochs || others < v->settings->pruner.startup_trials)
    return true;
  return 2 * better <= others; // of them at most half are better
}

// ---- successive halving, Hyperband -----------------------------------------------------------------

// Hyperband's brackets differ by the epochs before the first rung (Li et al., JMLR 18, 2018).
static int64_t bracket_count(const co_pruner_view *v) {
  const co_pruner_settings *p = &v->settings->pruner;
  if (p->type != CO_PRUNER_HYPERBAND) return 1;
  int64_t count = 1;
  for (int64_t epochs = p->min_resource; epochs * p->reduction_factor <= v->max_epochs; count++)
    epochs *= p->reduction_factor;
  return count;
}

// Larger brackets have so many more trials that each costs about the same.
static int64_t bracket_of(const co_pruner_view *v, int64_t number, int64_t brackets) {
  double total = 0, at = 0, eta = (double)v->settings->pruner.reduction_factor;
  if (brackets == 1) return 0;
  for (int64_t b = 0; b < brackets; b++)
    total += ceil((double)brackets * pow(eta, (double)(brackets - 1 - b)) / (double)(brackets - b));
  uint32_t bits = co_random_bits(0, (uint64_t)number, 0, co_purpose("hyperopt", "bracket"));
  for (int64_t b = 0; b < brackets; b++) {
    at += ceil((double)brackets * pow(eta, (double)(brackets - 1 - b)) / (double)(brackets - b));
    if ((double)bits / 4294967296.0 * total < at) return b;
  }
  return brackets - 1;
}

static bool is_rung(const co_pruner_view *v, int64_t epoch, int64_t bracket) {
  const co_pruner_settings *p = &v->settings->pruner;
  int64_t rung = p->min_resource;
  for (int64_t b = 0; b < bracket; b++)
    rung *= p->reduction_factor;
  while (rung < epoch)
    rung *= p->reduction_factor;
  return rung == epoch && rung < v->max_epochs;
}

// Among the best of those that came to this rung, itself included (asynchronous successive halving, Li
// et al., MLSys 2020).
static bool is_promoted(const co_pruner_view *v, const co_trial_value *own, int64_t count) {
  const co_trial_value *last = &own[count - 1];
  int64_t brackets = bracket_count(v), bracket = bracket_of(v, v->number, brackets);
  int64_t rivals = 1, better = 0;
  if (!is_rung(v, last->step, bracket)) return true;
  if (isnan(last->value)) return false;
  for (int64_t i = 0; i < v->trials->count; i++) {
    double other = value_at(v, i, last->step);
    if (isnan(other) || bracket_of(v, i, brackets) != bracket) continue;
    rivals++;
    better += as_loss(v, other) < as_loss(v, last->value);
  }
  int64_t places = rivals / v->settings->pruner.reduction_factor;
  return better < (places > 1 ? places : 1);
}

bool co_pruner_keeps(const co_pruner_view *v, const co_trial_value *values, int64_t count) {
  if (!count || v->settings->pruner.type == CO_PRUNER_NONE) return true;
  return v->settings->pruner.type == CO_PRUNER_MEDIAN ? beats_median(v, values, count)
                                                      : is_promoted(v, values, count);
}
