// SPDX-License-Identifier: Apache-2.0
// Buy till you die: each customer buys at a rate of his own until he leaves unseen; rates differ
// between customers by gamma distributions. What all such models share: what they see of a customer,
// how they are fitted, and what labels they predict; bg_nbd.c and pareto_nbd.c are those.
//
// As in the literature, purchases of one day (UTC) are one. Times are in weeks. Amounts are of Fader's
// and Hardie's gamma-gamma model ("The Gamma-Gamma Model of Monetary Value", 2013).
#ifndef COHORT_HOST_EVAL_BUYERS_H
#define COHORT_HOST_EVAL_BUYERS_H

#include "host/eval/estimator.h"
#include "host/eval/likelihood.h"

// A customer at a cut-off; `customers` are alike.
typedef struct co_buyer {
  double repeats;   // days with purchases after the first
  double last;      // time of the last of them since the first
  double age;       // time of the last day before the cut-off since the first
  double mean;      // amount of a day of the repeats; NaN = there is none
  double purchases; // of all days: what is of one time
  double customers;
} co_buyer;

typedef struct co_buyers_model {
  const char *names[CO_MOST_PARAMETERS];
  bool is_time
      [CO_MOST_PARAMETERS]; // in weeks: looked for from the customers' mean age on, else from 1
  // Of a customer's repeated purchases; p are parameters.
  double (*log_likelihood)(const double *p, const co_buyer *buyer);
  double (*alive)(const double *p, const co_buyer *buyer); // probability at the cut-off
  // Of time [from, to) after the cut-off, of one who is alive at it: the probability of a purchase,
  // and on how many days they are to be expected.
  double (*any)(const double *p, const co_buyer *buyer, double from, double to);
  double (*count)(const double *p, const co_buyer *buyer, double from, double to);
} co_buyers_model;

extern const co_buyers_model co_bg_nbd, co_pareto_nbd;

enum { CO_BUYERS_PARAMETERS = 4, CO_SPENDING_PARAMETERS = 3 };
co_status co_buyers_maximize(co_likelihood_fit *out, co_context *ctx, const co_buyers_model *model,
                             const co_buyer *buyers, int64_t count);
// The gamma-gamma model's p, q and gamma, of those with repeated purchases.
co_status co_spending_maximize(co_likelihood_fit *out, co_context *ctx, const co_buyer *buyers,
                               int64_t count);
double co_spending_mean(const double *p, const co_buyer *buyer); // of a purchase to come

// The integral over [low, high] of a smooth function.
double co_integrate(double (*f)(const void *user, double x), const void *user, double low,
                    double high);

// ---- for classes of estimators -----------------------------------------------------------------
const char *co_buyers_refuse(const co_output_feature *output);
size_t co_buyers_row_bytes(const co_estimator *estimator);
co_status co_buyers_fit(co_estimator *estimator, int64_t output, const co_fit_data *data);
co_status co_buyers_score(const co_estimator *estimator, int64_t output, const co_history *history,
                          const int64_t *samples, int64_t rows, float *heads);
// What was learned and whether the data tell it.
void co_buyers_report(const co_estimator_class *class_, const co_model_arrays *arrays,
                      co_json *json, co_text *text);

#endif
