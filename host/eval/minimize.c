// SPDX-License-Identifier: Apache-2.0
#include "host/eval/minimize.h"

#include <math.h>
#include <string.h>

enum { PAIRS = 8, HALVINGS = 24 };

typedef struct state {
  const co_minimization *problem;
  double *x, *gradient, *direction, *next, *next_gradient;
  double *s[PAIRS], *y[PAIRS], rho[PAIRS]; // the newest last
  int64_t pairs;
  double value;
} state;

static double dot(const double *a, const double *b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++)
    sum += a[i] * b[i];
  return sum;
}

static double clamp(const co_minimization *p, int64_t i, double x) {
  return fmin(p->high[i], fmax(p->low[i], x));
}

static bool is_held(const state *t, int64_t i) {
  const co_minimization *p = t->problem;
  return (t->x[i] <= p->low[i] && t->gradient[i] >= 0) ||
         (t->x[i] >= p->high[i] && t->gradient[i] <= 0);
}

static double largest_part(const state *t) {
  double most = 0;
  for (int64_t i = 0; i < t->problem->count; i++)
    most = fmax(most, fabs(clamp(t->problem, i, t->x[i] - t->gradient[i]) - t->x[i]));
  return most;
}

// The two loops of L-BFGS, for the free variables.
static void set_direction(state *t) {
  const int64_t n = t->problem->count;
  double a[PAIRS], *d = t->direction;
  for (int64_t i = 0; i < n; i++)
    d[i] = is_held(t, i) ? 0 : -t->gradient[i];
  for (int64_t k = t->pairs - 1; k >= 0; k--) {
    a[k] = t->rho[k] * dot(t->s[k], d, n);
    for (int64_t i = 0; i < n; i++)
      d[i] -= a[k] * t->y[k][i];
  }
  if (t->pairs) {
    const double *s = t->s[t->pairs - 1], *y = t->y[t->pairs - 1];
    double scale = dot(s, y, n) / dot(y, y, n);
    for (int64_t i = 0; i < n; i++)
      d[i] *= scale;
  }
  for (int64_t k = 0; k < t->pairs; k++) {
    double b = t->rho[k] * dot(t->y[k], d, n);
    for (int64_t i = 0; i < n; i++)
      d[i] += (a[k] - b) * t->s[k][i];
  }
  for (int64_t i = 0; i < n; i++)
    if (is_held(t, i)) d[i] = 0;
  if (dot(d, t->gradient, n) < 0) return;
  t->pairs = 0; // it does not descend: begin anew
  for (int64_t i = 0; i < n; i++)
    d[i] = is_held(t, i) ? 0 : -t->gradient[i];
}

static void remember(state *t) {
  const int64_t n = t->problem->count;
  if (t->pairs == PAIRS) {
    double *s = t->s[0], *y = t->y[0];
    memmove(t->s, t->s + 1, (PAIRS - 1) * sizeof *t->s);
    memmove(t->y, t->y + 1, (PAIRS - 1) * sizeof *t->y);
    memmove(t->rho, t->rho + 1, (PAIRS - 1) * sizeof *t->rho);
    t->s[PAIRS - 1] = s;
    t->y[PAIRS - 1] = y;
    t->pairs--;
  }
  double *s = t->s[t->pairs], *y = t->y[t->pairs];
  for (int64_t i = 0; i < n; i++) {
    s[i] = t->next[i] - t->x[i];
    y[i] = t->next_gradient[i] - t->gradient[i];
  }
  double curvature = dot(s, y, n);
  if (curvature > 1e-10 * dot(y, y, n)) t->rho[t->pairs++] = 1 / curvature;
}

// False where no step makes it less.
static bool step(state *t) {
  const co_minimization *p = t->problem;
  double length =
      t->pairs ? 1 : fmin(1, 1 / (sqrt(dot(t->gradient, t->gradient, p->count)) + 1e-300));
  for (int k = 0; k < HALVINGS; k++, length /= 2) {
    double slope = 0;
    for (int64_t i = 0; i < p->count; i++) {
      t->next[i] = clamp(p, i, t->x[i] + length * t->direction[i]);
      slope += t->gradient[i] * (t->next[i] - t->x[i]);
    }
    double value = p->value(p->user, t->next, t->next_gradient);
    if (!isfinite(value) || value > t->value + 1e-4 * slope || !(slope < 0)) continue;
    remember(t);
    memcpy(t->x, t->next, (size_t)p->count * sizeof *t->x);
    memcpy(t->gradient, t->next_gradient, (size_t)p->count * sizeof *t->gradient);
    t->value = value;
    return true;
  }
  return false;
}

co_status co_minimize(double *value, double *x, co_context *ctx, const co_minimization *problem) {
  const int64_t n = problem->count;
  double *memory = co_alloc(ctx, (size_t)((4 + 2 * PAIRS) * n + 1) * sizeof *memory);
  state t = {.problem = problem, .x = x};
  if (!memory) return CO_ERR_MEMORY;
  t.gradient = memory;
  t.direction = memory + n;
  t.next = memory + 2 * n;
  t.next_gradient = memory + 3 * n;
  for (int k = 0; k < PAIRS; k++) {
    t.s[k] = memory + (4 + 2 * k) * n;
    t.y[k] = memory + (5 + 2 * k) * n;
  }
  for (int64_t i = 0; i < n; i++)
    x[i] = clamp(problem, i, x[i]);
  t.value = problem->value(problem->user, x, t.gradient);
  for (int64_t i = 0; isfinite(t.value) && i < problem->max_iterations; i++) {
    if (largest_part(&t) < problem->tolerance) break;
    set_direction(&t);
    if (step(&t)) continue;
    if (!t.pairs) break;
    t.pairs = 0; // once more, along the gradient
  }
  *value = t.value;
  co_free(ctx, memory);
  return CO_OK;
}
