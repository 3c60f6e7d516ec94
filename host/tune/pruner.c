// SPDX-License-Identifier: Apache-2.0
#include "host/tune/pruner.h"

#include <math.h>
#include <stdlib.h>

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

// ---- Wilcoxon ----------------------------------------------------------------------------------

enum { MOST_PAIRS = 64, MOST_SUM = MOST_PAIRS * (MOST_PAIRS + 1) }; // the last ones of more

typedef struct pair {
  double size, difference;
} pair;

static int by_size(const void *a, const void *b) {
  double x = ((const pair *)a)->size, y = ((const pair *)b)->size;
  return (x > y) - (x < y);
}

// The share of all 2^n ways to give the ranks (doubled, so that they are whole) a sign, of which the
// positive ones add up to at least `at_least`.
static double upper_share(const int *rank, int count, int at_least) {
  double share[MOST_SUM + 1] = {1}, sum = 0;
  int total = 0;
  for (int i = 0; i < count; i++) {
    total += rank[i];
    for (int k = total; k >= 0; k--)
      share[k] = 0.5 * (share[k] + (k >= rank[i] ? share[k - rank[i]] : 0));
  }
  for (int k = at_least; k <= total; k++)
    sum += share[k];
  return sum;
}

double co_signed_rank_p(const double *differences, int64_t count) {
  pair pairs[MOST_PAIRS];
  int rank[MOST_PAIRS], doubled = 0, n = 0;
  for (int64_t i = count > MOST_PAIRS ? count - MOST_PAIRS : 0; i < count; i++)
    if (differences[i] != 0 && !isnan(differences[i]))
      pairs[n++] = (pair){fabs(differences[i]), differences[i]};
  qsort(pairs, (size_t)n, sizeof *pairs, by_size);
  for (int i = 0, end; i < n; i = end) {
    for (end = i + 1; end < n && pairs[end].size == pairs[i].size; end++) {
    }
    for (int k = i; k < end; k++) {
      rank[k] = i + 1 + end; // twice the mean of the ranks i + 1 … end
      if (pairs[k].difference > 0) doubled += rank[k];
    }
  }
  return upper_share(rank, n, doubled);
}

// The best of the complete trials that the one in question may know; -1.
static int64_t best_known(const co_pruner_view *v) {
  int64_t best = -1;
  for (int64_t i = 0; i < v->trials->count; i++) {
    const co_trial *t = &v->trials->item[i];
    bool known = v->round ? t->thaw_round != v->round : i <= v->number - v->settings->lag;
    if (!known || i == v->number || t->state != CO_TRIAL_COMPLETE || isnan(t->value)) continue;
    if (best < 0 || as_loss(v, t->value) < as_loss(v, v->trials->item[best].value)) best = i;
  }
  return best;
}

// Not surely worse than the best trial over the folds and seeds that both have (the test of Wilcoxon,
// 1945, one-sided, exact; differences of zero do not count).
static bool may_be_best(const co_pruner_view *v, const co_trial_value *own, int64_t count) {
  int64_t best = best_known(v), n = 0;
  double difference[MOST_PAIRS], sum = 0;
  if (best < 0 || count < v->settings->pruner.startup_steps) return true;
  for (int64_t i = count > MOST_PAIRS ? count - MOST_PAIRS : 0; i < count; i++) {
    double other = value_at(v, best, own[i].step);
    if (isnan(other) || isnan(own[i].value)) continue;
    difference[n] = as_loss(v, own[i].value) - as_loss(v, other);
    sum += difference[n++];
  }
  // What is better in the mean stays, whatever the ranks say: the mean is what counts.
  return sum <= 0 || co_signed_rank_p(difference, n) >= v->settings->pruner.p_threshold;
}

bool co_pruner_keeps(const co_pruner_view *v, const co_trial_value *values, int64_t count) {
  if (!count || v->settings->pruner.type == CO_PRUNER_NONE) return true;
  switch (v->settings->pruner.type) {
  case CO_PRUNER_MEDIAN:
    return beats_median(v, values, count);
  case CO_PRUNER_WILCOXON:
    return may_be_best(v, values, count);
  default:
    return is_promoted(v, values, count);
  }
}
