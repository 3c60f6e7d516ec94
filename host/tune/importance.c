// SPDX-License-Identifier: Apache-2.0
#include "host/tune/importance.h"

#include <stdlib.h>
#include <string.h>

#include "host/tune/normal.h"

enum { MOST_STEPS = 50, LEAST_TRIALS = 2 };
static const double best_share = 0.1, nothing = 1e-12;

// The grid of a parameter: how many of its cells have how many trials.
typedef struct grid {
  int64_t cells;
  double *count;
} grid;

static int64_t cell_count(const co_parameter *p) {
  if (p->category_count) return p->category_count;
  double values = p->kind == CO_SPACE_INT ? (p->upper - p->lower) / p->step + 1 : MOST_STEPS;
  if (p->kind == CO_SPACE_INT && p->log) values = ceil(log2(p->upper - p->lower + 1)) + 1;
  return values < MOST_STEPS ? (int64_t)values : MOST_STEPS;
}

static int64_t cell_of(const co_parameter *p, int64_t cells, double value) {
  if (p->category_count) return (int64_t)value;
  double low = p->log ? log(p->lower) : p->lower, high = p->log ? log(p->upper) : p->upper;
  double at =
      ceil(((p->log ? log(value) : value) - low) / ((high - low) / (double)(cells - 1)) - 0.5);
  return at < 0 ? 0 : at > (double)(cells - 1) ? cells - 1 : (int64_t)at;
}

// ---- Parzen estimators over the cells ------------------------------------------------------------

// Each kernel is as heavy as the trials in its cell, a prior kernel as one trial.
static void estimate_categories(const grid *g, double total, int64_t kernels, double *density) {
  double share = 1.0 / (double)(kernels + 1);
  for (int64_t c = 0; c < g->cells; c++) {
    density[c] = 1.0 / (double)g->cells / (total + 1); // the prior
    for (int64_t k = 0; k < g->cells; k++) {
      if (!g->count[k]) continue;
      double weight = (share + (c == k)) / (share * (double)g->cells + 1);
      density[c] += weight * g->count[k] / (total + 1);
    }
  }
}

// The k-th of the cells that have trials, at least.
static double quantile_cell(const grid *g, double before, bool right) {
  double sum = 0;
  int64_t last = 0;
  for (int64_t c = 0; c < g->cells; c++) {
    if (!g->count[c]) continue;
    sum += g->count[c];
    last = c;
    if (right ? sum > before : sum >= before) break;
  }
  return (double)last;
}

static double bandwidth(const grid *g, double total) {
  double mean = 0, squares = 0;
  for (int64_t c = 0; c < g->cells; c++)
    mean += (double)c * g->count[c] / total;
  for (int64_t c = 0; c < g->cells; c++)
    squares += ((double)c - mean) * ((double)c - mean) * g->count[c];
  double sigma = sqrt(squares / fmax(1, total - 1));
  double range =
      quantile_cell(g, floor(total * 3 / 4), true) - quantile_cell(g, floor(total / 4), false);
  sigma = 1.059 * fmin(range / 1.34, sigma) * pow(total, -0.2);
  return fmax(sigma, 0.5 / 1.64);
}

static void add_kernel(const grid *g, double mu, double sigma, double weight, double *density) {
  double all = co_normal_between((-0.5 - mu) / sigma, ((double)g->cells - 0.5 - mu) / sigma);
  for (int64_t c = 0; c < g->cells; c++)
    density[c] += weight / all *
                  co_normal_between(((double)c - 0.5 - mu) / sigma, ((double)c + 0.5 - mu) / sigma);
}

static void estimate_numbers(const grid *g, double total, double *density) {
  double sigma = bandwidth(g, total);
  memset(density, 0, (size_t)g->cells * sizeof *density);
  for (int64_t c = 0; c < g->cells; c++)
    if (g->count[c]) add_kernel(g, (double)c, sigma, g->count[c] / (total + 1), density);
  add_kernel(g, (double)(g->cells - 1) / 2, (double)g->cells, 1 / (total + 1), density);
}

static void estimate(const co_parameter *p, const grid *g, double *density) {
  double total = 0;
  int64_t kernels = 0;
  for (int64_t c = 0; c < g->cells; c++) {
    total += g->count[c];
    kernels += g->count[c] > 0;
  }
  p->category_count ? estimate_categories(g, total, kernels, density)
                    : estimate_numbers(g, total, density);
}

// ---- parameters --------------------------------------------------------------------------------

typedef struct analysis {
  const co_space *space;
  const co_trials *trials;
  const bool *good; // per trial
  double *memory;   // four times the largest grid
  int64_t all, best;
} analysis;

static bool counts(const co_trial *t) {
  return t->state == CO_TRIAL_COMPLETE && isfinite(t->value);
}

// Pearson's divergence of the good ones' density from that of all.
static double divergence(const co_parameter *p, const grid *good, const grid *all, double *room) {
  double *of_good = room, *of_all = room + all->cells, sum = 0;
  estimate(p, good, of_good);
  estimate(p, all, of_all);
  for (int64_t c = 0; c < all->cells; c++) {
    double base = of_all[c] + nothing, ratio = (of_good[c] + nothing) / base - 1;
    sum += base * ratio * ratio;
  }
  return sum;
}

static double analyse(const analysis *a, int64_t i) {
  const co_parameter *p = &a->space->item[i];
  int64_t cells = cell_count(p), all = 0, best = 0;
  if (cells < 2 || p->lower == p->upper) return 0;
  grid g = {cells, a->memory}, of_good = {cells, a->memory + cells};
  memset(a->memory, 0, 2 * (size_t)cells * sizeof *a->memory);
  for (int64_t k = 0; k < a->trials->count; k++) {
    const co_trial *t = &a->trials->item[k];
    if (!counts(t) || isnan(t->values[i])) continue;
    int64_t c = cell_of(p, cells, t->values[i]);
    g.count[c]++;
    all++;
    if (!a->good[k]) continue;
    of_good.count[c]++;
    best++;
  }
  if (all < LEAST_TRIALS || !best) return 0;
  double in_good = (double)best / (double)a->best, in_all = (double)all / (double)a->all;
  return in_good * in_good / in_all * divergence(p, &of_good, &g, a->memory + 2 * cells);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// Those at least as good as the last of the best tenth.
static co_status choose_good(analysis *a, co_context *ctx, bool maximize, bool *good) {
  double *loss = co_alloc(ctx, (size_t)(a->trials->count + 1) * sizeof *loss);
  if (!loss) return CO_ERR_MEMORY;
  for (int64_t k = 0; k < a->trials->count; k++)
    if (counts(&a->trials->item[k]))
      loss[a->all++] = maximize ? -a->trials->item[k].value : a->trials->item[k].value;
  qsort(loss, (size_t)a->all, sizeof *loss, ascending);
  for (int64_t k = 0; a->all && k < a->trials->count; k++) {
    const co_trial *t = &a->trials->item[k];
    good[k] = counts(t) && (maximize ? -t->value : t->value) <=
                               loss[(int64_t)ceil(best_share * (double)a->all) - 1];
    a->best += good[k];
  }
  co_free(ctx, loss);
  return CO_OK;
}

co_status co_study_importances(double *out, co_context *ctx, const co_space *space,
                               const co_trials *trials, bool maximize) {
  analysis a = {.space = space, .trials = trials};
  int64_t most = MOST_STEPS;
  double sum = 0;
  for (int64_t i = 0; i < space->count; i++)
    if (space->item[i].category_count > most) most = space->item[i].category_count;
  bool *good = co_alloc_zero(ctx, (size_t)trials->count + 1, sizeof *good);
  a.memory = co_alloc(ctx, 4 * (size_t)most * sizeof *a.memory);
  a.good = good;
  co_status status = good && a.memory ? choose_good(&a, ctx, maximize, good) : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < space->count; i++)
    sum += out[i] = a.all > 1 ? analyse(&a, i) : 0;
  for (int64_t i = 0; status == CO_OK && i < space->count; i++)
    out[i] = sum > 0 ? out[i] / sum : 1.0 / (double)space->count;
  co_free(ctx, a.memory);
  co_free(ctx, good);
  return status;
}
