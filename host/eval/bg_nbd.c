// SPDX-License-Identifier: Apache-2.0
// BG/NBD (Fader, Hardie and Lee, "Counting Your Customers" the Easy Way, Marketing Science 24, 2005):
// after each purchase a customer leaves with a probability of his own, beta distributed (a, b); rates
// are gamma distributed (r, alpha). Of one alive at age T with x repeats the rate is gamma (r + x,
// alpha + T), the probability of leaving beta (a, b + x).
#include <math.h>

#include "host/eval/buyers.h"

// Odds that he left after the last purchase.
static double left_odds(const double *p, const co_buyer *c) {
  if (c->repeats < 1) return 0;
  return p[2] / (p[3] + c->repeats - 1) *
         exp((p[0] + c->repeats) * log((p[1] + c->age) / (p[1] + c->last)));
}

static double log_likelihood(const double *p, const co_buyer *c) {
  double r = p[0], alpha = p[1], a = p[2], b = p[3], x = c->repeats;
  return lgamma(r + x) - lgamma(r) + r * log(alpha) + lgamma(a + b) + lgamma(b + x) - lgamma(b) -
         lgamma(a + b + x) - (r + x) * log(alpha + c->age) + log1p(left_odds(p, c));
}

static double alive(const double *p, const co_buyer *c) {
  return 1 / (1 + left_odds(p, c));
}

// 2F1(s, a; c; -z) = (1 + z)^-a 2F1(a, c - s; c; z / (1 + z)), Pfaff's transformation.
static double hypergeometric(double s, double a, double c, double z) {
  double w = z / (1 + z), term = 1, sum = 1;
  for (int k = 0; k < 10000 && fabs(term) > 1e-15 * fabs(sum); k++) {
    term *= (a + k) * (c - s + k) / ((c + k) * (k + 1)) * w;
    sum += term;
  }
  return pow(1 + z, -a) * sum;
}

// He buys within [from, to) if he is still there then, for which every purchase until `from` counts.
static double any(const double *p, const co_buyer *c, double from, double to) {
  double s = p[0] + c->repeats, beta = p[1] + c->age, t = to - from;
  double there = hypergeometric(s, p[2], p[2] + p[3] + c->repeats, from / beta);
  double silent = hypergeometric(s, p[2], p[2] + p[3] + c->repeats, from / (beta + t)) *
                  exp(s * log(beta / (beta + t)));
  return there - silent;
}

typedef struct rate {
  double s, beta, a, c;
} rate;

// Purchases a week at a time after the cut-off.
static double rate_at(const void *user, double time) {
  const rate *r = user;
  return r->s / r->beta * hypergeometric(r->s + 1, r->a, r->c, time / r->beta);
}

static double count(const double *p, const co_buyer *c, double from, double to) {
  const rate r = {p[0] + c->repeats, p[1] + c->age, p[2], p[2] + p[3] + c->repeats};
  return co_integrate(rate_at, &r, from, to);
}

const co_buyers_model co_bg_nbd = {.names = {"r", "alpha", "a", "b"},
                                   .is_time = {false, true, false, false},
                                   .log_likelihood = log_likelihood,
                                   .alive = alive,
                                   .any = any,
                                   .count = count};

static const co_field fields[] = {{.key = NULL}};

extern const co_estimator_class co_estimator_bg_nbd;
const co_estimator_class co_estimator_bg_nbd = {
    .name = "bg_nbd",
    .doc = "Of repurchase: customers who buy at random and may leave after each purchase.",
    .baseline = true,
    .purchases = &co_bg_nbd,
    .fields = fields,
    .options_size = 1,
    .refuses = co_buyers_refuse,
    .row_bytes = co_buyers_row_bytes,
    .fit = co_buyers_fit,
    .score_history = co_buyers_score,
    .report = co_buyers_report};
