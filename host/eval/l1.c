// SPDX-License-Identifier: Apache-2.0
#include "host/eval/l1.h"

#include <math.h>
#include <string.h>

enum { MOST_PASSES = 1000 }; // over the columns, of one Newton step

struct co_l1 {
  co_context *ctx;
  const co_l1_problem *problem;
  int64_t n, count;  // rows, columns
  float *numbers;    // (numbers, rows): each column by itself
  int32_t *code_row; // of each code: its rows, by their codes …
  int64_t *begin;    // … where those of each column of the design begin there
  double *x, intercept;
  double *scale;                            // of each column; 0 = it is constant and stays out
  double *z, *slope, *curve, *moved, *rest; // of each row, see below
  double *step, *bend;                      // of each column
  double step_of_intercept;
  double most;
};

// ---- columns -----------------------------------------------------------------------------------

// Goes through the rows in which a column is not 0.
typedef struct column {
  const float *value;  // of a number: of all rows; else NULL: 1 in each of
  const int32_t *rows; // these
  int64_t count;
} column;

static column column_at(const co_l1 *l, int64_t j) {
  const co_design_columns *c = l->problem->rows->columns;
  if (j < c->numbers) return (column){l->numbers + j * l->n, NULL, l->n};
  return (column){NULL, l->code_row + l->begin[j], l->begin[j + 1] - l->begin[j]};
}

// sum_i x_ij a_i, or (a NULL) nothing
static double times(const column *c, const double *a) {
  double sum = 0;
  if (c->value)
    for (int64_t i = 0; i < c->count; i++)
      sum += (double)c->value[i] * a[i];
  else
    for (int64_t k = 0; k < c->count; k++)
      sum += a[c->rows[k]];
  return sum;
}

// sum_i x_ij^2 a_i
static double squares_times(const column *c, const double *a) {
  double sum = 0;
  if (!c->value) return times(c, a);
  for (int64_t i = 0; i < c->count; i++)
    sum += (double)c->value[i] * (double)c->value[i] * a[i];
  return sum;
}

// Lays the columns out one by one: numbers as they are, of codes the rows that have them.
static void lay_out(co_l1 *l) {
  const co_design *rows = l->problem->rows;
  const co_design_columns *c = rows->columns;
  for (int64_t i = 0; i < l->n; i++)
    for (int64_t j = 0; j < c->numbers; j++)
      l->numbers[j * l->n + i] = rows->numbers[i * c->numbers + j];
  for (int64_t k = 0; k < c->codes; k++) {
    int64_t *at = l->begin + c->code_first[k];
    at[0] = k * l->n;
    for (int64_t i = 0; i < l->n; i++)
      at[rows->codes[i * c->codes + k] + 1]++;
    for (int64_t v = 0; v < c->code_rows[k]; v++)
      at[v + 1] += at[v];
    for (int64_t i = 0; i < l->n; i++)
      l->code_row[at[rows->codes[i * c->codes + k]]++] = (int32_t)i;
    for (int64_t v = c->code_rows[k]; v > 0; v--) // each moved on to where the next begins
      at[v] = at[v - 1];
    at[0] = k * l->n;
  }
}

// Standard deviations over the weighted rows; `weight` and `room` of each row.
static void find_scales(co_l1 *l, const double *weight) {
  double sum = 0;
  for (int64_t i = 0; i < l->n; i++)
    sum += weight[i];
  for (int64_t j = 0; j < l->count; j++) {
    const column c = column_at(l, j);
    double mean = sum > 0 ? times(&c, weight) / sum : 0;
    double square = sum > 0 ? squares_times(&c, weight) / sum : 0, variance = square - mean * mean;
    l->scale[j] = variance > 1e-12 * square ? sqrt(variance) : 0;
  }
}

// ---- rows --------------------------------------------------------------------------------------

static double loss_of(const co_l1 *l, double z, double y) {
  if (l->problem->loss == CO_LINEAR_SQUARED) return (z - y) * (z - y) / 2;
  return fmax(z, 0) - y * z + log1p(exp(-fabs(z)));
}

// Slope and curvature of each row's loss where z is.
static void take_slopes(co_l1 *l) {
  for (int64_t i = 0; i < l->n; i++) {
    double weight = (double)l->problem->weight[i], y = (double)l->problem->target[i];
    double p = 1 / (1 + exp(-l->z[i]));
    bool squared = l->problem->loss == CO_LINEAR_SQUARED;
    l->slope[i] = weight > 0 ? weight * ((squared ? l->z[i] : p) - y) : 0;
    l->curve[i] = weight > 0 ? weight * (squared ? 1 : fmax(p * (1 - p), 1e-9)) : 0;
  }
}

static double objective_at(const co_l1 *l, double length, double penalty) {
  double sum = 0;
  for (int64_t i = 0; i < l->n; i++)
    if (l->problem->weight[i] > 0)
      sum += (double)l->problem->weight[i] *
             loss_of(l, l->z[i] + length * l->moved[i], (double)l->problem->target[i]);
  for (int64_t j = 0; j < l->count; j++)
    sum += penalty * l->scale[j] * fabs(l->x[j] + length * l->step[j]);
  return sum;
}

// ---- a Newton step -----------------------------------------------------------------------------

// Moves a coordinate by `by` in the quadratic model: rest is its slope in each row's z.
static void move(co_l1 *l, const column *c, double by) {
  if (c->value) {
    for (int64_t i = 0; i < c->count; i++) {
      double moved = by * (double)c->value[i];
      l->moved[i] += moved;
      l->rest[i] += l->curve[i] * moved;
    }
    return;
  }
  for (int64_t k = 0; k < c->count; k++) {
    int64_t i = c->rows[k];
    l->moved[i] += by;
    l->rest[i] += l->curve[i] * by;
  }
}

static double soften(double value, double by) {
  return value > by ? value - by : value < -by ? value + by : 0;
}

// How far the slope of the model is from letting the coordinate be where it is.
static double move_column(co_l1 *l, int64_t j, double penalty) {
  if (!(l->bend[j] > 0) || l->scale[j] == 0) return 0;
  const column c = column_at(l, j);
  double now = l->x[j] + l->step[j], slope = times(&c, l->rest);
  double next = soften(l->bend[j] * now - slope, penalty * l->scale[j]) / l->bend[j];
  if (next == now) return 0;
  move(l, &c, next - now);
  l->step[j] = next - l->x[j];
  return fabs(next - now) * l->bend[j] / l->scale[j];
}

static void move_intercept(co_l1 *l) {
  double slope = 0, bend = 0;
  for (int64_t i = 0; i < l->n; i++) {
    slope += l->rest[i];
    bend += l->curve[i];
  }
  double by = bend > 0 ? -slope / bend : 0;
  l->step_of_intercept += by;
  for (int64_t i = 0; i < l->n; i++) {
    l->moved[i] += by;
    l->rest[i] += l->curve[i] * by;
  }
}

// Minimises the quadratic model to `enough`: over all columns, then over those that are not 0 until
// they rest, then over all again.
static void find_step(co_l1 *l, double penalty, double enough) {
  l->step_of_intercept = 0;
  memset(l->step, 0, (size_t)l->count * sizeof *l->step);
  memset(l->moved, 0, (size_t)l->n * sizeof *l->moved);
  memcpy(l->rest, l->slope, (size_t)l->n * sizeof *l->rest);
  for (int64_t j = 0; j < l->count; j++) {
    const column c = column_at(l, j);
    l->bend[j] = l->scale[j] > 0 ? squares_times(&c, l->curve) : 0;
  }
  bool all = true;
  for (int pass = 0; pass < MOST_PASSES; pass++) {
    double most = 0;
    move_intercept(l);
    for (int64_t j = 0; j < l->count; j++)
      if (all || l->x[j] + l->step[j] != 0) most = fmax(most, move_column(l, j, penalty));
    if (most <= enough && all) return;
    all = most <= enough;
  }
}

// Halves the step until the objective falls as a part of what the model promises; false where it does
// not. Close to the end the fall drowns in rounding: there a whole step is right.
static bool take_step(co_l1 *l, double penalty) {
  static const double part = 1e-4, rounding = 1e-11;
  double now = objective_at(l, 0, penalty), promised = 0, length = 1;
  for (int64_t i = 0; i < l->n; i++)
    promised += l->slope[i] * l->moved[i];
  for (int64_t j = 0; j < l->count; j++)
    promised += penalty * l->scale[j] * (fabs(l->x[j] + l->step[j]) - fabs(l->x[j]));
  if (!(promised < 0)) return false;
  for (int i = 0; i < 40; i++, length /= 2)
    if (objective_at(l, length, penalty) <= now + part * length * promised + rounding * fabs(now)) {
      for (int64_t j = 0; j < l->count; j++)
        l->x[j] = length == 1 ? l->x[j] + l->step[j] : l->x[j] + length * l->step[j];
      l->intercept += length * l->step_of_intercept;
      for (int64_t r = 0; r < l->n; r++)
        l->z[r] += length * l->moved[r];
      return true;
    }
  return false;
}

// ---- solving -----------------------------------------------------------------------------------

// The largest part of the subgradient that no choice of signs makes 0, of standardised columns.
static double violation(const co_l1 *l, double penalty) {
  double most = 0, sum = 0;
  for (int64_t i = 0; i < l->n; i++)
    sum += l->slope[i];
  most = fabs(sum);
  for (int64_t j = 0; j < l->count; j++) {
    if (l->scale[j] == 0) continue;
    const column c = column_at(l, j);
    double slope = times(&c, l->slope) / l->scale[j];
    most = fmax(most, l->x[j] > 0   ? fabs(slope + penalty)
                      : l->x[j] < 0 ? fabs(slope - penalty)
                                    : fmax(0, fabs(slope) - penalty));
  }
  return most;
}

co_status co_l1_solve(co_l1 *l, double penalty, bool *converged) {
  double goal = l->problem->tolerance * l->most;
  *converged = false;
  for (int64_t i = 0; i <= l->problem->max_iterations; i++) {
    take_slopes(l);
    double now = violation(l, penalty);
    *converged = now <= goal;
    if (*converged || i == l->problem->max_iterations) return CO_OK;
    if (co_watch_stopped(l->problem->watch))
      return co_fail(CO_INTERRUPTED, "stopped while fitting");
    find_step(l, penalty, fmax(goal / 2, fmin(0.1, now / fmax(l->most, 1e-300)) * now));
    if (!take_step(l, penalty)) return CO_OK;
  }
  return CO_OK;
}

static co_status take_memory(co_l1 *l) {
  const co_design_columns *c = l->problem->rows->columns;
  size_t n = (size_t)l->n + 1, count = (size_t)l->count + 1;
  double **const of_rows[] = {&l->z, &l->slope, &l->curve, &l->moved, &l->rest};
  double **const of_columns[] = {&l->x, &l->scale, &l->step, &l->bend};
  bool good = true;
  for (size_t i = 0; i < sizeof of_rows / sizeof *of_rows; i++)
    good &= (*of_rows[i] = co_alloc_zero(l->ctx, n, sizeof(double))) != NULL;
  for (size_t i = 0; i < sizeof of_columns / sizeof *of_columns; i++)
    good &= (*of_columns[i] = co_alloc_zero(l->ctx, count, sizeof(double))) != NULL;
  l->numbers = co_alloc_zero(l->ctx, n * (size_t)c->numbers + 1, sizeof *l->numbers);
  l->code_row = co_alloc_zero(l->ctx, n * (size_t)c->codes + 1, sizeof *l->code_row);
  l->begin = co_alloc_zero(l->ctx, count + 1, sizeof *l->begin);
  return good && l->numbers && l->code_row && l->begin ? CO_OK : CO_ERR_MEMORY;
}

static co_status begin(co_l1 *l) {
  bool converged;
  CO_RETURN_IF_FAILED(take_memory(l));
  lay_out(l);
  for (int64_t i = 0; i < l->n; i++)
    l->rest[i] = l->problem->weight[i] > 0 ? (double)l->problem->weight[i] : 0;
  find_scales(l, l->rest);
  // With an endless penalty only the intercept moves; then the steepest column says how much is needed.
  l->most = 1;
  for (int64_t i = 0; i < l->n; i++)
    l->most += l->rest[i];
  CO_RETURN_IF_FAILED(co_l1_solve(l, 1e300, &converged));
  take_slopes(l);
  l->most = violation(l, 0);
  return CO_OK;
}

co_status co_l1_open(co_l1 **out, co_context *ctx, const co_l1_problem *problem) {
  co_l1 *l = *out = co_alloc_zero(ctx, 1, sizeof *l);
  if (!l) return CO_ERR_MEMORY;
  l->ctx = ctx;
  l->problem = problem;
  l->n = problem->rows->rows;
  l->count = problem->rows->columns->count;
  co_status status = begin(l);
  if (status == CO_OK) return CO_OK;
  co_l1_close(l);
  *out = NULL;
  return status;
}

void co_l1_close(co_l1 *l) {
  if (!l) return;
  void *const memory[] = {l->z,     l->slope, l->curve, l->moved,   l->rest,     l->x,
                          l->scale, l->step,  l->bend,  l->numbers, l->code_row, l->begin};
  for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
    co_free(l->ctx, memory[i]);
  co_free(l->ctx, l);
}

double co_l1_most(const co_l1 *l) {
  return l->most;
}

const double *co_l1_coefficients(const co_l1 *l) {
  return l->x;
}

const double *co_l1_scales(const co_l1 *l) {
  return l->scale;
}

const double *co_l1_intercept(const co_l1 *l) {
  return &l->intercept;
}

size_t co_l1_row_bytes(const co_design_columns *c) {
  return 5 * sizeof(double) + (size_t)c->numbers * sizeof(float) +
         (size_t)c->codes * sizeof(int32_t);
}
