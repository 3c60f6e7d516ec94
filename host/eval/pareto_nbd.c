// SPDX-License-Identifier: Apache-2.0
// Pareto/NBD (Schmittlein, Morrison and Colombo, "Counting Your Customers", Management Science 33,
// 1987): a customer leaves at any time, at a rate of his own. Both rates are gamma distributed, that
// of purchases by (r, alpha), that of leaving by (s, beta); of one alive at age T with x repeats by
// (r + x, alpha + T) and (s, beta + T), independently.
#include <math.h>

#include "host/eval/buyers.h"

static const double negligible = 60; // exp(-60)

typedef struct leaving {
  const double *p;
  double x, age;
} leaving;

// Where he left at age y = exp(z) - alpha, beside that he did not: s ((alpha + T) / (alpha + y))^(r +
// x) ((beta + T) / (beta + y))^s / (beta + y) dy. In z it falls off as an exponential.
static double leaving_at(const void *user, double z) {
  const leaving *l = user;
  const double *p = l->p;
  double y = exp(z) - p[1], beta = p[3] + y;
  return p[2] * exp((p[0] + l->x) * (log(p[1] + l->age) - z) + p[2] * log((p[3] + l->age) / beta)) *
         exp(z) / beta;
}

// Odds that he left between the last purchase and the cut-off.
static double left_odds(const double *p, const co_buyer *c) {
  const leaving l = {p, c->repeats, c->age};
  double low = log(p[1] + c->last), high = log(p[1] + c->age);
  double fall = p[0] + c->repeats - 1;
  if (fall > 0) high = fmin(high, low + negligible / fall);
  return co_integrate(leaving_at, &l, low, high);
}

static double log_likelihood(const double *p, const co_buyer *c) {
  double r = p[0], alpha = p[1], s = p[2], beta = p[3], x = c->repeats;
  return lgamma(r + x) - lgamma(r) + r * log(alpha) + s * log(beta) -
         (r + x) * log(alpha + c->age) - s * log(beta + c->age) + log1p(left_odds(p, c));
}

static double alive(const double *p, const co_buyer *c) {
  return 1 / (1 + left_odds(p, c));
}

typedef struct first {
  double shape, alpha, s, beta, from;
} first;

// Whether he is still there when, by w, the share of those who would have bought first until then,
// he would buy.
static double there_at(const void *user, double w) {
  const first *f = user;
  double time = f->alpha * expm1(-log1p(-w) / f->shape);
  return exp(f->s * log(f->beta / (f->beta + f->from + time)));
}

static double any(const double *p, const co_buyer *c, double from, double to) {
  const first f = {p[0] + c->repeats, p[1] + c->age, p[2], p[3] + c->age, from};
  double all = -expm1(f.shape * log(f.alpha / (f.alpha + to - from)));
  return co_integrate(there_at, &f, 0, all);
}

typedef struct rate {
  double mean, s, beta;
} rate;

static double rate_at(const void *user, double time) {
  const rate *r = user;
  return r->mean * exp(r->s * log(r->beta / (r->beta + time)));
}

static double count(const double *p, const co_buyer *c, double from, double to) {
  const rate r = {(p[0] + c->repeats) / (p[1] + c->age), p[2], p[3] + c->age};
  return co_integrate(rate_at, &r, from, to);
}

const co_buyers_model co_pareto_nbd = {.names = {"r", "alpha", "s", "beta"},
                                       .is_time = {false, true, false, true},
                                       .log_likelihood = log_likelihood,
                                       .alive = alive,
                                       .any = any,
                                       .count = count};

static const co_field fields[] = {{.key = NULL}};

extern const co_estimator_class co_estimator_pareto_nbd;
const co_estimator_class co_estimator_pareto_nbd = {
    .name = "pareto_nbd",
    .doc = "Of repurchase: customers who buy at random until they leave at random.",
    .baseline = true,
    .purchases = &co_pareto_nbd,
    .fields = fields,
    .options_size = 1,
    .refuses = co_buyers_refuse,
    .row_bytes = co_buyers_row_bytes,
    .fit = co_buyers_fit,
    .score_history = co_buyers_score,
    .report = co_buyers_report};
