// SPDX-License-Identifier: Apache-2.0
#include "host/eval/l1_path.h"

#include <math.h>
#include <string.h>

enum { STEPS = 50 };
static const double least_share = 1e-3;
static const double nothing = 1e-5; // of the strongest: what is left where columns tell the same

typedef struct path {
  co_context *ctx;
  co_l1 *l1;
  const co_l1_problem *training;
  const co_design *rows; // of validation
  const float *target, *weight;
  int64_t columns;
  double *coefficients; // of each step, then its intercept
  double *z, *best;     // of each row
  double loss[STEPS], penalty[STEPS];
  bool converged[STEPS];
  int least; // the step of the least loss
} path;

static double loss_of(const path *p, double z, double y) {
  if (p->training->loss == CO_LINEAR_SQUARED) return (z - y) * (z - y) / 2;
  return fmax(z, 0) - y * z + log1p(exp(-fabs(z)));
}

static double *step_at(const path *p, int k) {
  return p->coefficients + k * (p->columns + 1);
}

// Mean loss of a step; that of each row into `out`.
static double measure(path *p, int k, double *out) {
  double sum = 0, weights = 0;
  const double *step = step_at(p, k);
  co_linear_apply(p->rows, 1, step, step + p->columns, p->z);
  for (int64_t i = 0; i < p->rows->rows; i++) {
    double weight = p->weight[i] > 0 ? (double)p->weight[i] : 0;
    out[i] = weight > 0 ? loss_of(p, p->z[i], (double)p->target[i]) : 0;
    sum += weight * out[i];
    weights += weight;
  }
  return sum / weights;
}

// How much worse the rows of a step fare than those of the best, over its standard error.
static bool is_worse(path *p, int k, double *losses) {
  double difference = measure(p, k, losses) - p->loss[p->least], squares = 0, weights = 0;
  for (int64_t i = 0; i < p->rows->rows; i++) {
    if (!(p->weight[i] > 0)) continue;
    double off = losses[i] - p->best[i] - difference;
    squares += (double)p->weight[i] * (double)p->weight[i] * off * off;
    weights += (double)p->weight[i];
  }
  return difference > sqrt(squares) / weights;
}

static co_status walk(path *p) {
  double most = co_l1_most(p->l1);
  for (int k = 0; k < STEPS; k++) {
    p->penalty[k] = most * pow(least_share, (double)k / (STEPS - 1));
    CO_RETURN_IF_FAILED(co_l1_solve(p->l1, p->penalty[k], &p->converged[k]));
    memcpy(step_at(p, k), co_l1_coefficients(p->l1), (size_t)p->columns * sizeof(double));
    step_at(p, k)[p->columns] = *co_l1_intercept(p->l1);
    p->loss[k] = measure(p, k, p->best);
  }
  return CO_OK;
}

static int choose(path *p, double *losses) {
  int best = 0, k = 0;
  for (int i = 1; i < STEPS; i++)
    if (p->loss[i] < p->loss[best]) best = i;
  p->least = best;
  measure(p, best, p->best);
  while (k < best && is_worse(p, k, losses))
    k++;
  return k;
}

static void tell(const path *p, int k, co_l1_choice *out, double *strength) {
  *out = (co_l1_choice){.penalty = p->penalty[k],
                        .most = p->penalty[0],
                        .loss = p->loss[k],
                        .least = p->loss[p->least],
                        .converged = p->converged[k]};
  double most = 0;
  for (int64_t j = 0; j < p->columns; j++) {
    strength[j] = fabs(step_at(p, k)[j]) * co_l1_scales(p->l1)[j];
    most = fmax(most, strength[j]);
  }
  for (int64_t j = 0; j < p->columns; j++) {
    if (strength[j] < nothing * most) strength[j] = 0;
    out->kept += strength[j] > 0;
  }
}

co_status co_l1_choose(co_l1_choice *out, double *strength, co_context *ctx,
                       const co_l1_problem *training, const co_design *validation,
                       const float *target, const float *weight) {
  co_status status = CO_ERR_MEMORY;
  path p = {.ctx = ctx,
            .training = training,
            .rows = validation,
            .target = target,
            .weight = weight,
            .columns = training->rows->columns->count};
  size_t rows = (size_t)validation->rows + 1;
  double *losses = co_alloc(ctx, rows * sizeof *losses);
  p.coefficients = co_alloc(ctx, (size_t)(p.columns + 1) * STEPS * sizeof *p.coefficients);
  p.z = co_alloc(ctx, rows * sizeof *p.z);
  p.best = co_alloc(ctx, rows * sizeof *p.best);
  if (!losses || !p.coefficients || !p.z || !p.best) goto cleanup;
  CO_TRY(co_l1_open(&p.l1, ctx, training));
  CO_TRY(walk(&p));
  tell(&p, choose(&p, losses), out, strength);

cleanup:
  co_l1_close(p.l1);
  co_free(ctx, losses);
  co_free(ctx, p.coefficients);
  co_free(ctx, p.z);
  co_free(ctx, p.best);
  return status;
}
