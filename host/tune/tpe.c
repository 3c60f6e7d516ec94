// SPDX-License-Identifier: Apache-2.0
// The tree-structured Parzen estimator (Bergstra, Bardenet, Bengio & Kégl, NeurIPS 2011), multivariate:
// densities of the good seventh of the trials and of all others as mixtures of products, a kernel a
// trial and a prior; of values drawn from the former those are taken whose ratio is largest. Trials that
// still run count among the others (a constant liar), so that what runs at once is spread. Bandwidths
// and weights as Optuna 5.0.0 has them; its good tenth and 24 candidates were worse on the functions of
// scripts/bench_hyperopt, over 400 other seeds. What a trial does not have is uniform in its kernel.
// A choice that others depend on is drawn more evenly: a kernel has the values of one branch, and what is
// known of it would keep the search there (by 6 the conditional function's other branch is missed in a
// tenth of the studies, not in a third).
#include <stdlib.h>
#include <string.h>

#include "host/tune/normal.h"
#include "host/tune/sampler.h"

enum { BRANCHING = 6, CANDIDATES = 48, MOST_GOOD = 25, HEAVY = 25 };
static const double good_share = 0.15;

// Fewer where there are many trials: a suggestion is to take under 1 ms.
static int candidates_at(int64_t trials) {
  return trials < 250 ? CANDIDATES : trials < 750 ? CANDIDATES / 2 : CANDIDATES / 3;
}

// A mixture over [0, 1] per parameter.
typedef struct mixture {
  const co_space *space;
  int64_t kernels; // trials and, last, the prior
  double *weight;  // per kernel; their sum is 1
  double *mu;      // (parameters, kernels): the place, of a choice its number; NaN = uniform
  double *sigma;   // the same
  bool branches[CO_MOST_PARAMETERS]; // others depend on it
  double *share; // … of a kernel that lies within [0, 1]; of numbers with a density its logarithm
  double *factor, *exponent; // of each kernel's density at a point
} mixture;

typedef struct ranked {
  int64_t trial;
  double loss;
} ranked;

static int by_loss(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  if (x->loss != y->loss) return x->loss < y->loss ? -1 : 1;
  return x->trial < y->trial ? -1 : 1;
}

// ---- densities ---------------------------------------------------------------------------------

static int by_place(const void *a, const void *b) {
  double x = **(const double *const *)a, y = **(const double *const *)b;
  return x != y ? (x > y) - (x < y)
                : (*(const double *const *)a > *(const double *const *)b) -
                      (*(const double *const *)a < *(const double *const *)b);
}

// The wider of the gaps to the neighbours, the ends of the range not among them.
static void set_bandwidths(const double *mu, double *sigma, const double **sorted, int64_t trials) {
  int64_t count = 0;
  for (int64_t k = 0; k < trials; k++)
    if (!isnan(mu[k])) sorted[count++] = &mu[k];
  qsort(sorted, (size_t)count, sizeof *sorted, by_place);
  double least = 1 / fmin(100, 2 + (double)count);
  for (int64_t i = 0; i < count; i++) {
    double left = i ? *sorted[i] - *sorted[i - 1] : *sorted[i];
    double right = i + 1 < count ? *sorted[i + 1] - *sorted[i] : 1 - *sorted[i];
    double width = fmax(left, right);
    if (count >= 2 && i == 0) width = right;
    if (count >= 2 && i == count - 1) width = left;
    sigma[sorted[i] - mu] = fmin(1, fmax(least, width));
  }
}

// The share of older ones falls where there are many.
static void set_weights(mixture *m) {
  int64_t trials = m->kernels - 1, old = trials > HEAVY ? trials - HEAVY : 0;
  double sum = 1; // the prior's
  for (int64_t k = 0; k < trials; k++) {
    double ramp =
        old > 1 ? 1.0 / (double)trials + (1 - 1.0 / (double)trials) * (double)k / (double)(old - 1)
                : 1;
    m->weight[k] = k < old ? ramp : 1;
    sum += m->weight[k];
  }
  m->weight[trials] = 1;
  for (int64_t k = 0; k < m->kernels; k++)
    m->weight[k] /= sum;
}

static int64_t mixture_doubles(const co_space *space, int64_t trials) {
  return (trials + 1) * (3 + 3 * space->count);
}

// `members`: numbers of trials, in their order.
static void fill(mixture *m, const co_suggestion *s, const int64_t *members, int64_t count,
                 double *memory, const double **sorted) {
  *m = (mixture){.space = &s->settings->space, .kernels = count + 1};
  m->weight = memory;
  m->mu = m->weight + m->kernels;
  m->sigma = m->mu + m->kernels * m->space->count;
  m->share = m->sigma + m->kernels * m->space->count;
  m->factor = m->share + m->kernels * m->space->count;
  m->exponent = m->factor + m->kernels;
  set_weights(m);
  for (int64_t i = 0; i < m->space->count; i++)
    if (m->space->item[i].parent >= 0) m->branches[m->space->item[i].parent] = true;
  for (int64_t i = 0; i < m->space->count; i++) {
    const co_parameter *p = &m->space->item[i];
    double *mu = m->mu + i * m->kernels, *sigma = m->sigma + i * m->kernels;
    for (int64_t k = 0; k < count; k++) {
      double value = s->known[members[k]].values[i];
      mu[k] = isnan(value) || p->category_count ? value : co_parameter_place(p, value);
      sigma[k] = 1;
    }
    mu[count] = p->category_count ? (double)NAN : 0.5;
    sigma[count] = 1;
    if (p->category_count) continue;
    set_bandwidths(mu, sigma, sorted, count);
    for (int64_t k = 0; k <= count; k++) {
      double inside = co_normal_between(-mu[k] / sigma[k], (1 - mu[k]) / sigma[k]);
      m->share[i * m->kernels + k] = p->step ? inside : log(inside * sigma[k]);
    }
  }
}

static double category_share(const mixture *m, int64_t i, int64_t k, double value) {
  double count = (double)m->space->item[i].category_count, mu = m->mu[i * m->kernels + k];
  double prior = (m->branches[i] ? BRANCHING : 1) / (double)m->kernels;
  return isnan(mu) ? 1 / count : (prior + (value == mu)) / (prior * count + 1);
}

// A value of the mixture's parameters as kernels see it.
typedef struct point {
  double value, low, high; // its cell, of numbers
} point;

// What one parameter makes of every kernel's factor and exponent.
static void add_parameter(const mixture *m, int64_t i, const point *at) {
  const co_parameter *p = &m->space->item[i];
  const double *mu = m->mu + i * m->kernels, *sigma = m->sigma + i * m->kernels,
               *share = m->share + i * m->kernels;
  if (p->category_count) {
    for (int64_t k = 0; k < m->kernels; k++)
      m->factor[k] *= category_share(m, i, k, at->value);
    return;
  }
  if (!p->step) { // a density
    for (int64_t k = 0; k < m->kernels; k++) {
      double z = (at->low - mu[k]) / sigma[k];
      double exponent = 0.5 * z * z + 0.91893853320467274178 + share[k];
      m->exponent[k] -= isnan(mu[k]) ? 0 : exponent;
    }
    return;
  }
  for (int64_t k = 0; k < m->kernels; k++)
    m->factor[k] *= isnan(mu[k]) ? at->high - at->low
                                 : co_normal_between((at->low - mu[k]) / sigma[k],
                                                     (at->high - mu[k]) / sigma[k]) /
                                       share[k];
}

// The prior's kernel keeps it above zero.
static double density(const mixture *m, const double *values) {
  double sum = 0;
  for (int64_t k = 0; k < m->kernels; k++) {
    m->factor[k] = m->weight[k];
    m->exponent[k] = 0;
  }
  for (int64_t i = 0; i < m->space->count; i++) {
    const co_parameter *p = &m->space->item[i];
    point at = {.value = values[i]};
    if (isnan(values[i])) continue;
    if (!p->category_count) co_parameter_cell(p, values[i], &at.low, &at.high);
    add_parameter(m, i, &at);
  }
  for (int64_t k = 0; k < m->kernels; k++)
    if (m->exponent[k] > -700) sum += m->factor[k] * exp(m->exponent[k]);
  return sum;
}

// ---- drawing -----------------------------------------------------------------------------------

static double draw_category(const mixture *m, int64_t i, int64_t k, co_draws *draws) {
  const co_parameter *p = &m->space->item[i];
  double u = co_draw_uniform(draws), sum = 0;
  for (int64_t c = 0; c + 1 < p->category_count; c++) {
    sum += category_share(m, i, k, (double)c);
    if (u < sum) return (double)c;
  }
  return (double)(p->category_count - 1);
}

static double draw_number(const mixture *m, int64_t i, int64_t k, co_draws *draws) {
  double mu = m->mu[i * m->kernels + k], sigma = m->sigma[i * m->kernels + k], u;
  if (isnan(mu)) return co_parameter_value(&m->space->item[i], co_draw_uniform(draws));
  do // mu is within and sigma no wider: a third of them hit at least
    u = mu + sigma * co_draw_normal(draws);
  while (!(u >= 0 && u < 1));
  return co_parameter_value(&m->space->item[i], u);
}

static void draw(const mixture *m, co_draws *draws, double *values) {
  double u = co_draw_uniform(draws), sum = 0;
  int64_t k = 0;
  for (; k + 1 < m->kernels; k++)
    if (u < (sum += m->weight[k])) break;
  for (int64_t i = 0; i < m->space->count; i++)
    values[i] = m->space->item[i].category_count ? draw_category(m, i, k, draws)
                                                 : draw_number(m, i, k, draws);
  co_space_prune(m->space, values);
}

static void choose(const co_suggestion *s, const mixture *good, const mixture *others,
                   double *values) {
  double candidate[CO_MOST_PARAMETERS], best = -INFINITY;
  const int candidates = candidates_at(s->known_count);
  co_draws draws = co_draws_begin(s);
  for (int c = 0; c < candidates; c++) {
    draw(good, &draws, candidate);
    double gain = density(good, candidate) / density(others, candidate);
    if (gain <= best && c) continue;
    best = gain;
    memcpy(values, candidate, (size_t)s->settings->space.count * sizeof *values);
  }
}

// ---- which are good ----------------------------------------------------------------------------

typedef struct split {
  int64_t *good, *others; // numbers of trials, ascending
  int64_t good_count, other_count;
} split;

static void divide(const co_suggestion *s, ranked *order, bool *is_good, split *out) {
  int64_t count = 0;
  for (int64_t i = 0; i < s->known_count; i++)
    if (!isnan(s->known[i].loss)) order[count++] = (ranked){i, s->known[i].loss};
  qsort(order, (size_t)count, sizeof *order, by_loss);
  int64_t most = (int64_t)ceil(good_share * (double)count);
  for (int64_t i = 0; i < most && i < MOST_GOOD; i++)
    is_good[order[i].trial] = true;
  for (int64_t i = 0; i < s->known_count; i++)
    if (is_good[i])
      out->good[out->good_count++] = i;
    else
      out->others[out->other_count++] = i;
}

co_status co_sample_tpe(const co_suggestion *s, double *values) {
  const size_t known = (size_t)s->known_count + 1;
  const co_space *space = &s->settings->space;
  split d = {.good = co_alloc(s->ctx, known * sizeof *d.good),
             .others = co_alloc(s->ctx, known * sizeof *d.others)};
  ranked *order = co_alloc(s->ctx, known * sizeof *order);
  bool *is_good = co_alloc_zero(s->ctx, known, sizeof *is_good);
  const double **sorted = co_alloc(s->ctx, known * sizeof *sorted);
  double *memory =
      co_alloc(s->ctx, (size_t)mixture_doubles(space, s->known_count + 1) * sizeof *memory);
  co_status status =
      d.good && d.others && order && is_good && sorted && memory ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) {
    mixture good, others;
    divide(s, order, is_good, &d);
    fill(&good, s, d.good, d.good_count, memory, sorted);
    fill(&others, s, d.others, d.other_count, memory + mixture_doubles(space, d.good_count),
         sorted);
    choose(s, &good, &others, values);
  }
  co_free(s->ctx, d.good);
  co_free(s->ctx, d.others);
  co_free(s->ctx, order);
  co_free(s->ctx, is_good);
  co_free(s->ctx, sorted);
  co_free(s->ctx, memory);
  return status;
}
