// SPDX-License-Identifier: Apache-2.0
#include "host/eval/solver.h"

#include <math.h>
#include <string.h>

// Parameters lie as W (columns, outputs), then b (outputs).
typedef struct solver {
  const co_linear_problem *problem;
  const co_design *rows;
  int64_t n, m;             // rows, outputs
  int64_t penalised, count; // parameters in W; all
  double *x;                // parameters
  double *gradient, *diagonal, *step, *residual, *direction, *product, *scaled;
  double *z, *moved, *p; // (n, m): z = xW + b; what a step adds to it; what curvature is made of
  double objective;
} solver;

// ---- rows --------------------------------------------------------------------------------------

// out = x_i W + b
static void apply_row(const co_design *rows, int64_t i, int64_t m, const double *coefficients,
                      const double *intercepts, double *out) {
  const co_design_columns *c = rows->columns;
  const float *numbers = rows->numbers + i * c->numbers;
  const int32_t *codes = rows->codes + i * c->codes;
  memcpy(out, intercepts, (size_t)m * sizeof *out);
  for (int64_t k = 0; k < c->numbers; k++)
    for (int64_t o = 0; o < m; o++)
      out[o] += (double)numbers[k] * coefficients[k * m + o];
  for (int64_t k = 0; k < c->codes; k++) {
    const double *column = coefficients + (c->code_first[k] + codes[k]) * m;
    for (int64_t o = 0; o < m; o++)
      out[o] += column[o];
  }
}

// out += x_i^T h, with the intercept's column of ones
static void add_row(const co_design *rows, int64_t i, int64_t m, const double *h, double *out) {
  const co_design_columns *c = rows->columns;
  const float *numbers = rows->numbers + i * c->numbers;
  const int32_t *codes = rows->codes + i * c->codes;
  for (int64_t k = 0; k < c->numbers; k++)
    for (int64_t o = 0; o < m; o++)
      out[k * m + o] += (double)numbers[k] * h[o];
  for (int64_t k = 0; k < c->codes; k++)
    for (int64_t o = 0; o < m; o++)
      out[(c->code_first[k] + codes[k]) * m + o] += h[o];
  for (int64_t o = 0; o < m; o++)
    out[c->count * m + o] += h[o];
}

// out += (x_i squared)^T h
static void add_squares(const co_design *rows, int64_t i, int64_t m, const double *h, double *out) {
  const co_design_columns *c = rows->columns;
  const float *numbers = rows->numbers + i * c->numbers;
  const int32_t *codes = rows->codes + i * c->codes;
  for (int64_t k = 0; k < c->numbers; k++)
    for (int64_t o = 0; o < m; o++)
      out[k * m + o] += (double)numbers[k] * (double)numbers[k] * h[o];
  for (int64_t k = 0; k < c->codes; k++)
    for (int64_t o = 0; o < m; o++)
      out[(c->code_first[k] + codes[k]) * m + o] += h[o];
  for (int64_t o = 0; o < m; o++)
    out[c->count * m + o] += h[o];
}

void co_linear_apply(const co_design *rows, int64_t outputs, const double *coefficients,
                     const double *intercepts, double *z) {
  for (int64_t i = 0; i < rows->rows; i++)
    apply_row(rows, i, outputs, coefficients, intercepts, z + i * outputs);
}

// ---- losses ------------------------------------------------------------------------------------

// The sign that output `o` should have, of y a class or (one output) 0 and 1.
static double sign_of(int64_t m, int64_t o, double y) {
  return (m == 1 ? y > 0 : (int64_t)y == o) ? 1 : -1;
}

static double softmax(const double *z, int64_t m, double *p) {
  double top = z[0], sum = 0;
  for (int64_t o = 1; o < m; o++)
    if (z[o] > top) top = z[o];
  for (int64_t o = 0; o < m; o++)
    sum += exp(z[o] - top);
  for (int64_t o = 0; p && o < m; o++)
    p[o] = exp(z[o] - top) / sum;
  return top + log(sum);
}

static double loss_of(co_linear_loss loss, int64_t m, const double *z, double y) {
  double sum = 0;
  switch (loss) {
  case CO_LINEAR_SQUARED:
    return (z[0] - y) * (z[0] - y) / 2;
  case CO_LINEAR_LOGISTIC:
    return fmax(z[0], 0) - y * z[0] + log1p(exp(-fabs(z[0])));
  case CO_LINEAR_SOFTMAX:
    return softmax(z, m, NULL) - z[(int64_t)y];
  case CO_LINEAR_SQUARED_HINGE:
    for (int64_t o = 0; o < m; o++) {
      double short_of = fmax(0, 1 - sign_of(m, o, y) * z[o]);
      sum += short_of * short_of;
    }
    return sum;
  }
  return 0;
}

// g = dl/dz; p: what the curvature is made of.
static void slope_of(co_linear_loss loss, int64_t m, const double *z, double y, double *p,
                     double *g) {
  switch (loss) {
  case CO_LINEAR_SQUARED:
    p[0] = 1;
    g[0] = z[0] - y;
    break;
  case CO_LINEAR_LOGISTIC:
    p[0] = 1 / (1 + exp(-z[0]));
    g[0] = p[0] - y;
    break;
  case CO_LINEAR_SOFTMAX:
    (void)softmax(z, m, p);
    for (int64_t o = 0; o < m; o++)
      g[o] = p[o] - ((int64_t)y == o);
    break;
  case CO_LINEAR_SQUARED_HINGE:
    for (int64_t o = 0; o < m; o++) {
      double sign = sign_of(m, o, y), short_of = fmax(0, 1 - sign * z[o]);
      p[o] = short_of > 0;
      g[o] = -2 * sign * short_of;
    }
    break;
  }
}

// h = (d2l/dz2) u
static void bend(co_linear_loss loss, int64_t m, const double *p, const double *u, double *h) {
  double mean = 0;
  switch (loss) {
  case CO_LINEAR_SQUARED:
    h[0] = u[0];
    break;
  case CO_LINEAR_LOGISTIC:
    h[0] = p[0] * (1 - p[0]) * u[0];
    break;
  case CO_LINEAR_SOFTMAX:
    for (int64_t o = 0; o < m; o++)
      mean += p[o] * u[o];
    for (int64_t o = 0; o < m; o++)
      h[o] = p[o] * (u[o] - mean);
    break;
  case CO_LINEAR_SQUARED_HINGE:
    for (int64_t o = 0; o < m; o++)
      h[o] = 2 * p[o] * u[o];
    break;
  }
}

static double curvature(co_linear_loss loss, double p) {
  return loss == CO_LINEAR_SQUARED ? 1 : loss == CO_LINEAR_SQUARED_HINGE ? 2 * p : p * (1 - p);
}

// ---- vectors -----------------------------------------------------------------------------------

static double dot(const double *a, const double *b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++)
    sum += a[i] * b[i];
  return sum;
}

static double norm(const double *a, int64_t count) {
  return sqrt(dot(a, a, count));
}

static void zero(double *a, int64_t count) {
  memset(a, 0, (size_t)count * sizeof *a);
}

// ---- passes over the rows ----------------------------------------------------------------------

static double weight_of(const solver *s, int64_t i) {
  return (double)s->problem->weight[i];
}

// Gradient and diagonal of the Hessian where z is; `h` has room for m.
static void take_slopes(solver *s, double *h) {
  const co_linear_problem *problem = s->problem;
  int64_t m = s->m;
  zero(s->gradient, s->count);
  zero(s->diagonal, s->count);
  for (int64_t i = 0; i < s->n; i++) {
    double weight = weight_of(s, i), *p = s->p + i * m;
    if (!(weight > 0)) continue;
    slope_of(problem->loss, m, s->z + i * m, (double)problem->target[i], p, h);
    for (int64_t o = 0; o < m; o++)
      h[o] *= weight;
    add_row(s->rows, i, m, h, s->gradient);
    for (int64_t o = 0; o < m; o++)
      h[o] = weight * curvature(problem->loss, p[o]);
    add_squares(s->rows, i, m, h, s->diagonal);
  }
  for (int64_t k = 0; k < s->penalised; k++) {
    s->gradient[k] += problem->l2 * s->x[k];
    s->diagonal[k] += problem->l2;
  }
}

// out = Hessian v; `u` and `h` have room for m.
static void multiply(const solver *s, const double *v, double *out, double *u, double *h) {
  int64_t m = s->m;
  zero(out, s->count);
  for (int64_t i = 0; i < s->n; i++) {
    double weight = weight_of(s, i);
    if (!(weight > 0)) continue;
    apply_row(s->rows, i, m, v, v + s->penalised, u);
    bend(s->problem->loss, m, s->p + i * m, u, h);
    for (int64_t o = 0; o < m; o++)
      h[o] *= weight;
    add_row(s->rows, i, m, h, out);
  }
  for (int64_t k = 0; k < s->penalised; k++)
    out[k] += s->problem->l2 * v[k];
}

// The objective at x + length step; `room` for m.
static double objective_at(const solver *s, double length, double *room) {
  double sum = 0, penalty = 0;
  for (int64_t i = 0; i < s->n; i++) {
    double weight = weight_of(s, i);
    if (!(weight > 0)) continue;
    for (int64_t o = 0; o < s->m; o++)
      room[o] = s->z[i * s->m + o] + length * s->moved[i * s->m + o];
    sum += weight * loss_of(s->problem->loss, s->m, room, (double)s->problem->target[i]);
  }
  for (int64_t k = 0; k < s->penalised; k++) {
    double value = s->x[k] + length * s->step[k];
    penalty += value * value;
  }
  return sum + s->problem->l2 / 2 * penalty;
}

// ---- Newton ------------------------------------------------------------------------------------

// step = about -Hessian^-1 gradient: conjugate gradients until the residual is `enough` of the
// gradient. A column that no row has, and is not penalised, stays where it is.
static void find_step(solver *s, double enough, double *u, double *h) {
  double *r = s->residual, *d = s->direction, *y = s->scaled;
  zero(s->step, s->count);
  for (int64_t k = 0; k < s->count; k++) {
    r[k] = -s->gradient[k];
    d[k] = y[k] = s->diagonal[k] > 0 ? r[k] / s->diagonal[k] : 0;
  }
  double product = dot(r, y, s->count), first = product;
  for (int64_t i = 0; i < s->count + 100 && product > enough * enough * first; i++) {
    multiply(s, d, s->product, u, h);
    double bent = dot(d, s->product, s->count);
    if (!(bent > 0)) break;
    double length = product / bent;
    for (int64_t k = 0; k < s->count; k++) {
      s->step[k] += length * d[k];
      r[k] -= length * s->product[k];
      y[k] = s->diagonal[k] > 0 ? r[k] / s->diagonal[k] : 0;
    }
    double next = dot(r, y, s->count), share = next / product;
    for (int64_t k = 0; k < s->count; k++)
      d[k] = y[k] + share * d[k];
    product = next;
  }
}

// Halves the step until the objective falls as a part of its slope says; false where it does not.
// Close to the end the fall drowns in the objective's rounding: there a whole Newton step is right.
static bool take_step(solver *s, double *room) {
  static const double part = 1e-4, rounding = 1e-11;
  double slope = dot(s->gradient, s->step, s->count), length = 1, reached = 0;
  bool found = false;
  if (!(slope < 0)) return false;
  for (int i = 0; i < 40 && !found; i++, length /= 2) {
    reached = objective_at(s, length, room);
    bool drowned = i == 0 && -slope <= rounding * fabs(s->objective) &&
                   reached <= s->objective + rounding * fabs(s->objective);
    found = drowned || reached <= s->objective + part * length * slope;
    if (found) break;
  }
  if (!found) return false;
  for (int64_t k = 0; k < s->count; k++)
    s->x[k] += length * s->step[k];
  for (int64_t i = 0; i < s->n * s->m; i++)
    s->z[i] += length * s->moved[i];
  s->objective = reached;
  return true;
}

static co_status iterate(solver *s, co_linear_solution *out, double *u, double *h) {
  const co_linear_problem *problem = s->problem;
  double first = 0;
  s->objective = objective_at(s, 0, u);
  for (;;) {
    take_slopes(s, h);
    double now = norm(s->gradient, s->count);
    if (!out->iterations) first = now;
    out->gradient = first > 0 ? now / first : 0;
    out->converged = now <= problem->tolerance * first;
    if (out->converged || out->iterations == problem->max_iterations) return CO_OK;
    if (co_watch_stopped(problem->watch)) return co_fail(CO_INTERRUPTED, "stopped while fitting");
    find_step(s, fmin(0.1, out->gradient), u, h);
    for (int64_t i = 0; i < s->n; i++)
      apply_row(s->rows, i, s->m, s->step, s->step + s->penalised, s->moved + i * s->m);
    if (!take_step(s, u)) return CO_OK;
    out->iterations++;
  }
}

// Softmax does not see a shift that all intercepts share: theirs is that which makes them sum to zero.
static void center(double *intercepts, int64_t m) {
  double mean = 0;
  for (int64_t o = 0; o < m; o++)
    mean += intercepts[o] / (double)m;
  for (int64_t o = 0; o < m; o++)
    intercepts[o] -= mean;
}

size_t co_linear_row_bytes(int64_t outputs) {
  return 3 * (size_t)outputs * sizeof(double);
}

co_status co_linear_solve(co_linear_solution *out, co_context *ctx,
                          const co_linear_problem *problem) {
  solver s = {.problem = problem,
              .rows = problem->rows,
              .n = problem->rows->rows,
              .m = problem->outputs,
              .penalised = problem->rows->columns->count * problem->outputs};
  s.count = s.penalised + s.m;
  double **const vectors[] = {&s.x,        &s.gradient,  &s.diagonal, &s.step,
                              &s.residual, &s.direction, &s.product,  &s.scaled};
  enum { VECTORS = sizeof vectors / sizeof *vectors };
  size_t parameters = (size_t)s.count, values = (size_t)(s.n * s.m);
  double *memory = co_alloc_zero(ctx, VECTORS * parameters + 2 * (size_t)s.m, sizeof *memory);
  double *row_memory = co_alloc_zero(ctx, 3 * values + 1, sizeof *row_memory);
  co_status status = memory && row_memory ? CO_OK : CO_ERR_MEMORY;
  if (status == CO_OK) {
    for (size_t i = 0; i < VECTORS; i++)
      *vectors[i] = memory + i * parameters;
    double *room = memory + VECTORS * parameters;
    s.z = row_memory;
    s.moved = s.z + values;
    s.p = s.moved + values;
    out->iterations = 0;
    status = iterate(&s, out, room, room + s.m);
    out->objective = s.objective;
    memcpy(out->coefficients, s.x, (size_t)s.penalised * sizeof *s.x);
    memcpy(out->intercepts, s.x + s.penalised, (size_t)s.m * sizeof *s.x);
    if (problem->loss == CO_LINEAR_SOFTMAX) center(out->intercepts, s.m);
  }
  co_free(ctx, memory);
  co_free(ctx, row_memory);
  return status;
}
