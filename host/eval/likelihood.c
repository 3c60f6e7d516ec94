// SPDX-License-Identifier: Apache-2.0
// In logarithms of the parameters, by central differences.
#include "host/eval/likelihood.h"

#include <math.h>

#include "host/eval/minimize.h"

enum { N = CO_MOST_PARAMETERS, ITERATIONS = 500 };
static const double step_gradient = 1e-5, step_curvature = 1e-3;
static const double flat_enough = 1e-5;  // of the gradient, where the maximum is
static const double least_relative = 2.; // of a standard error, where it says nothing
static const double at_bound = 1e-6;

static double negative(const co_likelihood *l, const double *logs) {
  double parameters[N];
  for (int i = 0; i < l->count; i++)
    parameters[i] = exp(logs[i]);
  return -l->mean(l->user, parameters);
}

static double moved(const co_likelihood *l, const double *logs, int a, double da, int b,
                    double db) {
  double there[N];
  for (int i = 0; i < l->count; i++)
    there[i] = logs[i];
  there[a] += da;
  there[b] += db;
  return negative(l, there);
}

static double value(void *user, const double *logs, double *gradient) {
  const co_likelihood *l = user;
  const double h = step_gradient;
  for (int i = 0; i < l->count; i++)
    gradient[i] = (moved(l, logs, i, h, i, 0) - moved(l, logs, i, -h, i, 0)) / (2 * h);
  return negative(l, logs);
}

static double curvature(const co_likelihood *l, const double *logs, int a, int b) {
  const double h = step_curvature;
  if (a == b)
    return (moved(l, logs, a, h, a, 0) - 2 * negative(l, logs) + moved(l, logs, a, -h, a, 0)) /
           (h * h);
  return (moved(l, logs, a, h, b, h) - moved(l, logs, a, h, b, -h) - moved(l, logs, a, -h, b, h) +
          moved(l, logs, a, -h, b, -h)) /
         (4 * h * h);
}

// The inverse of a symmetric matrix by Cholesky's factors; false where it is not positive definite.
static bool invert(int n, double m[N][N]) {
  double low[N][N] = {{0}}, inverse[N][N] = {{0}};
  for (int i = 0; i < n; i++)
    for (int j = 0; j <= i; j++) {
      double sum = m[i][j];
      for (int k = 0; k < j; k++)
        sum -= low[i][k] * low[j][k];
      if (i == j && !(sum > 0)) return false;
      low[i][j] = i == j ? sqrt(sum) : sum / low[j][j];
    }
  for (int i = 0; i < n; i++) {
    inverse[i][i] = 1 / low[i][i];
    for (int j = 0; j < i; j++)
      for (int k = j; k < i; k++)
        inverse[i][j] -= low[i][k] * inverse[k][j] / low[i][i];
  }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      m[i][j] = 0;
      for (int k = i > j ? i : j; k < n; k++)
        m[i][j] += inverse[k][i] * inverse[k][j];
    }
  return true;
}

// Of the logarithms; parameters at a bound are taken as known.
static void measure_errors(co_likelihood_fit *out, const co_likelihood *l, const double *logs,
                           const bool *held) {
  double m[N][N];
  int free[N], count = 0;
  for (int i = 0; i < l->count; i++) {
    out->standard_errors[i] = NAN;
    if (!held[i]) free[count++] = i;
  }
  for (int i = 0; i < count; i++)
    for (int j = 0; j < count; j++)
      m[i][j] = l->cases * curvature(l, logs, free[i], free[j]);
  if (!invert(count, m)) return;
  for (int i = 0; i < count; i++)
    out->standard_errors[free[i]] = sqrt(m[i][i]);
}

static void judge(co_likelihood_fit *out, const co_likelihood *l, const bool *held) {
  double most = least_relative;
  out->state = CO_FIT_CONVERGED;
  if (!(out->gradient < flat_enough)) out->state = CO_FIT_NOT_FOUND;
  for (int i = 0; i < l->count; i++) {
    if (held[i] || out->standard_errors[i] <= most) continue;
    out->state = CO_FIT_UNDETERMINED;
    out->of = i;
    if (!isnan(out->standard_errors[i])) most = out->standard_errors[i];
  }
  for (int i = 0; i < l->count; i++)
    if (held[i]) {
      out->state = CO_FIT_AT_BOUND;
      out->of = i;
    }
}

co_status co_likelihood_maximize(co_likelihood_fit *out, co_context *ctx, const co_likelihood *l) {
  double low[N], high[N], logs[N], gradient[N], least;
  bool held[N];
  for (int i = 0; i < l->count; i++) {
    low[i] = log(l->low[i]);
    high[i] = log(l->high[i]);
    logs[i] = log(l->start[i]);
  }
  co_likelihood own = *l;
  const co_minimization problem = {.count = l->count,
                                   .low = low,
                                   .high = high,
                                   .max_iterations = ITERATIONS,
                                   .tolerance = flat_enough / 100,
                                   .value = value,
                                   .user = &own};
  *out = (co_likelihood_fit){.of = -1};
  CO_RETURN_IF_FAILED(co_minimize(&least, logs, ctx, &problem));
  if (!isfinite(least))
    return co_fail(CO_ERR_DATA, "the likelihood is not finite at the starting values");
  (void)value(&own, logs, gradient);
  for (int i = 0; i < l->count; i++) {
    held[i] = logs[i] < low[i] + at_bound || logs[i] > high[i] - at_bound;
    if (!held[i]) out->gradient = fmax(out->gradient, fabs(gradient[i]));
    out->parameters[i] = exp(logs[i]);
  }
  out->log_likelihood = -least * l->cases;
  measure_errors(out, l, logs, held);
  judge(out, l, held);
  for (int i = 0; i < l->count; i++) // of the parameter by that of its logarithm
    out->standard_errors[i] *= out->parameters[i];
  return CO_OK;
}
