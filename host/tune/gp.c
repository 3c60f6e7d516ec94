// SPDX-License-Identifier: Apache-2.0
#include "host/tune/gp.h"

#include <math.h>
#include <string.h>

#include "host/eval/minimize.h"
#include "host/tune/normal.h"

static const double least_noise = 1e-6;

co_status co_gp_create(co_gp *gp, co_context *ctx, int64_t rows, int64_t columns,
                       const bool *is_choice) {
  size_t n = (size_t)rows + 1, d = (size_t)columns + 1;
  *gp = (co_gp){.ctx = ctx, .rows = rows, .columns = columns, .is_choice = is_choice};
  gp->x = co_alloc(ctx, n * d * sizeof(double));
  gp->y = co_alloc(ctx, n * sizeof(double));
  gp->weight = co_alloc(ctx, d * sizeof(double));
  gp->factor = co_alloc(ctx, n * n * sizeof(double));
  gp->alpha = co_alloc(ctx, n * sizeof(double));
  gp->work = co_alloc(ctx, (n * n + 3 * n) * sizeof(double));
  return gp->x && gp->y && gp->weight && gp->factor && gp->alpha && gp->work ? CO_OK
                                                                             : CO_ERR_MEMORY;
}

void co_gp_free(co_gp *gp) {
  if (!gp->ctx) return;
  co_free(gp->ctx, gp->x);
  co_free(gp->ctx, gp->y);
  co_free(gp->ctx, gp->weight);
  co_free(gp->ctx, gp->factor);
  co_free(gp->ctx, gp->alpha);
  co_free(gp->ctx, gp->work);
  *gp = (co_gp){.ctx = NULL};
}

// ---- kernel ------------------------------------------------------------------------------------

static double squared(const co_gp *gp, const double *a, const double *b, int64_t i) {
  return gp->is_choice[i] ? (a[i] != b[i]) : (a[i] - b[i]) * (a[i] - b[i]);
}

// k / scale, and its derivative by r^2.
static double matern(const co_gp *gp, const double *a, const double *b, double *slope) {
  double r2 = 0;
  for (int64_t i = 0; i < gp->columns; i++)
    r2 += gp->weight[i] * squared(gp, a, b, i);
  double s = sqrt(5 * r2), e = exp(-s);
  *slope = -5.0 / 6 * (1 + s) * e;
  return (1 + s + s * s / 3) * e;
}

static double dot(const double *a, const double *b, int64_t count) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; i++)
    sum += a[i] * b[i];
  return sum;
}

static bool cholesky(double *a, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      double rest = a[i * n + j] - dot(a + i * n, a + j * n, j);
      if (i == j && !(rest > 0)) return false;
      a[i * n + j] = i == j ? sqrt(rest) : rest / a[j * n + j];
    }
  return true;
}

static void solve_lower(const double *l, int64_t n, double *b) {
  for (int64_t i = 0; i < n; i++)
    b[i] = (b[i] - dot(l + i * n, b, i)) / l[i * n + i];
}

// L' x = b, by rows of L.
static void solve_upper(const double *l, int64_t n, double *b) {
  for (int64_t i = n - 1; i >= 0; i--) {
    b[i] /= l[i * n + i];
    for (int64_t j = 0; j < i; j++)
      b[j] -= l[i * n + j] * b[i];
  }
}

bool co_gp_factor(co_gp *gp) {
  const int64_t n = gp->rows;
  double ignored;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++)
      gp->factor[i * n + j] =
          gp->scale * matern(gp, gp->x + i * gp->columns, gp->x + j * gp->columns, &ignored) +
          (i == j ? gp->noise : 0);
  if (!cholesky(gp->factor, n)) return false;
  memcpy(gp->alpha, gp->y, (size_t)n * sizeof *gp->y);
  solve_lower(gp->factor, n, gp->alpha);
  solve_upper(gp->factor, n, gp->alpha);
  return true;
}

// ---- fitting -----------------------------------------------------------------------------------

// work (n, n): the inverse of L L', its lower half. By columns of L^-1, which lie in its rows.
static void invert(const co_gp *gp, double *inverse) {
  const int64_t n = gp->rows;
  const double *l = gp->factor;
  for (int64_t j = 0; j < n; j++) { // row j of `inverse`: column j of L^-1, from j on
    double *column = inverse + j * n;
    memset(column, 0, (size_t)n * sizeof *column);
    column[j] = 1 / l[j * n + j];
    for (int64_t i = j + 1; i < n; i++)
      column[i] = -dot(l + i * n + j, column + j, i - j) / l[i * n + i];
  }
  for (int64_t i = 0; i < n;
       i++) // (L^-T L^-1)_ij = sum over k >= i of L^-1_ki L^-1_kj; row j is needed below i alone
    for (int64_t j = 0; j <= i; j++)
      inverse[i * n + j] = dot(inverse + i * n + i, inverse + j * n + i, n - i);
}

// What of the negative log posterior comes from the likelihood, and its gradient by log w, log scale
// and noise.
static double likelihood(co_gp *gp, double *gradient) {
  const int64_t n = gp->rows, d = gp->columns;
  double value = 0.5 * dot(gp->y, gp->alpha, n), *inverse = gp->work, slope;
  for (int64_t i = 0; i < n; i++)
    value += log(gp->factor[i * n + i]);
  invert(gp, inverse);
  memset(gradient, 0, (size_t)(d + 2) * sizeof *gradient);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      const double *a = gp->x + i * d, *b = gp->x + j * d;
      double g = (i == j ? 0.5 : 1) * (inverse[i * n + j] - gp->alpha[i] * gp->alpha[j]);
      gradient[d] += g * gp->scale * matern(gp, a, b, &slope);
      if (i == j) gradient[d + 1] += g;
      for (int64_t k = 0; i != j && k < d; k++)
        gradient[k] += g * gp->scale * slope * gp->weight[k] * squared(gp, a, b, k);
    }
  return value;
}

static void set_parameters(co_gp *gp, const double *theta) {
  for (int64_t i = 0; i < gp->columns; i++)
    gp->weight[i] = exp(theta[i]);
  gp->scale = exp(theta[gp->columns]);
  gp->noise = exp(theta[gp->columns + 1]) + least_noise;
}

static double posterior(void *user, const double *theta, double *gradient) {
  co_gp *gp = user;
  const int64_t d = gp->columns;
  set_parameters(gp, theta);
  if (!co_gp_factor(gp)) return NAN;
  double value = likelihood(gp, gradient);
  for (int64_t i = 0; i < d; i++) {
    value += 0.1 / gp->weight[i] + 0.1 * gp->weight[i];
    gradient[i] += 0.1 * gp->weight[i] - 0.1 / gp->weight[i];
  }
  value -= log(gp->scale) - gp->scale; // Gamma(2, 1)
  gradient[d] += gp->scale - 1;
  value -= 0.1 * log(gp->noise) - 30 * gp->noise; // Gamma(1.1, 30)
  gradient[d + 1] += 30 - 0.1 / gp->noise;
  gradient[d + 1] *= gp->noise - least_noise; // by its logarithm
  return value;
}

// From two places, since there may be several such maxima: all is noise and smooth; all is signal and
// rough.
co_status co_gp_fit(co_gp *gp) {
  enum { MOST = 258, STARTS = 2 };
  static const double weight[STARTS] = {0, 2}, noise[STARTS] = {0, -6};
  const int64_t count = gp->columns + 2, rows = gp->rows;
  double theta[STARTS][MOST], low[MOST], high[MOST], value[STARTS];
  co_status status = CO_OK;
  for (int64_t i = 0; i < count; i++) {
    low[i] = i + 1 < count ? -12 : -20;
    high[i] = i + 1 < count ? 12 : 2;
  }
  const co_minimization problem = {.count = count,
                                   .low = low,
                                   .high = high,
                                   .max_iterations = 60,
                                   .tolerance = 1e-2,
                                   .value = posterior,
                                   .user = gp};
  if (rows > CO_GP_FITTED) gp->rows = CO_GP_FITTED;
  for (int k = 0; status == CO_OK && k < STARTS; k++) {
    for (int64_t i = 0; i < count; i++)
      theta[k][i] = i < gp->columns ? weight[k] : i == gp->columns ? 0 : noise[k];
    status = co_minimize(&value[k], theta[k], gp->ctx, &problem);
  }
  gp->rows = rows;
  CO_RETURN_IF_FAILED(status);
  set_parameters(gp, theta[isfinite(value[1]) && !(value[0] <= value[1])]);
  if (co_gp_factor(gp)) return CO_OK;
  return co_fail(CO_ERR_INTERNAL, "the covariances of trials have no factor");
}

// ---- prediction --------------------------------------------------------------------------------

void co_gp_at(const co_gp *gp, const double *x, double *mean, double *variance,
              double *mean_gradient, double *variance_gradient) {
  const int64_t n = gp->rows, d = gp->columns;
  double *k = gp->work + n * n, *solved = k + n, *slope = solved + n;
  for (int64_t j = 0; j < n; j++)
    k[j] = gp->scale * matern(gp, x, gp->x + j * d, &slope[j]);
  memcpy(solved, k, (size_t)n * sizeof *k);
  solve_lower(gp->factor, n, solved);
  *mean = dot(k, gp->alpha, n);
  *variance = fmax(gp->scale - dot(solved, solved, n), 1e-12);
  if (!mean_gradient) return;
  solve_upper(gp->factor, n, solved);
  memset(mean_gradient, 0, (size_t)d * sizeof *mean_gradient);
  memset(variance_gradient, 0, (size_t)d * sizeof *variance_gradient);
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < d; i++) {
      if (gp->is_choice[i]) continue;
      double by_x = gp->scale * slope[j] * gp->weight[i] * 2 * (x[i] - gp->x[j * d + i]);
      mean_gradient[i] += gp->alpha[j] * by_x;
      variance_gradient[i] -= 2 * solved[j] * by_x;
    }
}

// Mills' ratio Phi(-t) / phi(t) by its continued fraction, for t >= 1.
static double mills(double t) {
  double value = t;
  for (int k = 100; k >= 1; k--)
    value = t + k / value;
  return 1 / value;
}

double co_log_improvement(double mean, double deviation, double best, double *by_mean,
                          double *by_deviation) {
  double z = (best - mean) / deviation, log_h, below, density; // the latter two over h
  if (z > -1) {
    double h = co_normal_density(z) + z * co_normal_below(z);
    log_h = log(h);
    below = co_normal_below(z) / h;
    density = co_normal_density(z) / h;
  } else {
    double ratio = mills(-z), rest = 1 + z * ratio; // h = phi(z) rest
    log_h = -0.5 * z * z - 0.91893853320467274178 + log(rest);
    below = ratio / rest;
    density = 1 / rest;
  }
  if (by_mean) *by_mean = -below / deviation;
  if (by_deviation) *by_deviation = density / deviation;
  return log(deviation) + log_h;
}
