// SPDX-License-Identifier: Apache-2.0
// BG/NBD, Pareto/NBD and gamma-gamma: parameters and predictions that were published, probabilities
// beside sums over rates, and what is said where the data determine nothing.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data_fixture.h"
#include "host/eval/buyers.h"

static void near(double got, double want, double tolerance) {
  if (!(fabs(got - want) <= tolerance)) fail_msg("%.9g, not %.9g +- %g", got, want, tolerance);
}

// The time between events: rate 1 / mean, whose standard error is itself over the root of their number.
static double exponential(void *user, const double *p) {
  return log(p[0]) - p[0] * *(const double *)user;
}

static void test_maximum(void **state) {
  static const char *const names[] = {"rate"};
  co_likelihood_fit fit;
  double mean = 4;
  co_likelihood l = {.count = 1,
                     .names = names,
                     .start = {1},
                     .low = {1e-4},
                     .high = {1e4},
                     .cases = 100,
                     .mean = exponential,
                     .user = &mean};
  assert_int_equal(co_likelihood_maximize(&fit, *state, &l), CO_OK);
  assert_int_equal(fit.state, CO_FIT_CONVERGED);
  near(fit.parameters[0], .25, 1e-6);
  near(fit.standard_errors[0], .025, 1e-5);
  near(fit.log_likelihood, 100 * (log(.25) - 1), 1e-6);
  l.low[0] = 1; // the maximum is beyond
  assert_int_equal(co_likelihood_maximize(&fit, *state, &l), CO_OK);
  assert_int_equal(fit.state, CO_FIT_AT_BOUND);
  assert_int_equal(fit.of, 0);
}

// Fader, Hardie and Lee 2005, and their note on its numbers: E[Y(39)] of x 2, t_x 30.43, T 38.86. The R
// package BTYD's example of Pareto/NBD: x 26, t_x 30.86, T 31, in 52 weeks.
static void test_published_predictions(void **state) {
  (void)state;
  const double bg[] = {.2426, 4.4136, .7929, 2.4259}, pareto[] = {.5528, 10.5776, .6061, 11.6562};
  const co_buyer two = {2, 30.43, 38.86, NAN, 3, 1}, often = {26, 30.86, 31, NAN, 27, 1};
  near(co_bg_nbd.alive(bg, &two) * co_bg_nbd.count(bg, &two, 0, 39), 1.226, 5e-4);
  near(co_pareto_nbd.alive(pareto, &often), .9979, 5e-5);
  near(co_pareto_nbd.alive(pareto, &often) * co_pareto_nbd.count(pareto, &often, 0, 52), 25.456,
       5e-3);
}

// The mean over a gamma distributed rate (shape, 1 / scale) by its middle sum in the root of the rate.
enum { STEPS = 2000 };
static double gamma_weight(double shape, double rate, double x) {
  return exp(shape * log(rate) + (shape - 1) * log(x) - rate * x - lgamma(shape));
}

static void test_probabilities(void **state) {
  (void)state;
  const double bg[] = {.25, 4.4, .8, 2.4}, pareto[] = {.55, 10.6, .6, 11.7};
  const co_buyer c = {3, 20, 30, NAN, 4, 1};
  const double from = 2, to = 15, t = to - from;
  double any[2] = {0, 0}, weight[2] = {0, 0};
  for (int i = 0; i < STEPS; i++)
    for (int k = 0; k < STEPS / 4; k++) {
      double u = (i + .5) / STEPS * 1.5, v = (k + .5) / (STEPS / 4.), rate = u * u, p = v * v * v;
      double beta = pow(p, bg[2] - 1) * pow(1 - p, bg[3] + c.repeats - 1);
      double w = gamma_weight(bg[0] + c.repeats, bg[1] + c.age, rate) * u * beta * v * v;
      any[0] += w * exp(-rate * p * from) * -expm1(-rate * t);
      weight[0] += w;
      double leaves = v * v * v * 2;
      w = gamma_weight(pareto[0] + c.repeats, pareto[1] + c.age, rate) * u *
          gamma_weight(pareto[2], pareto[3] + c.age, leaves) * v * v;
      any[1] += w * exp(-leaves * from) * rate / (rate + leaves) * -expm1(-(rate + leaves) * t);
      weight[1] += w;
    }
  near(co_bg_nbd.any(bg, &c, from, to), any[0] / weight[0], 1e-4);
  near(co_pareto_nbd.any(pareto, &c, from, to), any[1] / weight[1], 1e-4);
  // Of a short time as much is to be expected as there is probability of any.
  near(co_bg_nbd.count(bg, &c, 1, 1.0001) / co_bg_nbd.any(bg, &c, 1, 1.0001), 1, 1e-4);
  near(co_pareto_nbd.count(pareto, &c, 1, 1.0001) / co_pareto_nbd.any(pareto, &c, 1, 1.0001), 1,
       1e-4);
}

// All buy until the end: nobody is seen to leave.
static void test_nobody_leaves(void **state) {
  co_buyer buyers[40];
  co_likelihood_fit fit;
  for (int i = 0; i < 40; i++)
    buyers[i] = (co_buyer){i % 8, i % 8 ? 30 : 0, 30.1, NAN, 1 + i % 8, 1 + (i % 8 == 0) * 3};
  assert_int_equal(co_buyers_maximize(&fit, *state, &co_bg_nbd, buyers, 40), CO_OK);
  assert_int_not_equal(fit.state, CO_FIT_CONVERGED);
  assert_int_equal(co_buyers_maximize(&fit, *state, &co_pareto_nbd, buyers, 40), CO_OK);
  assert_int_not_equal(fit.state, CO_FIT_CONVERGED);
  for (int i = 0; i < 40; i++)
    buyers[i].repeats = 0;
  assert_int_equal(co_buyers_maximize(&fit, *state, &co_bg_nbd, buyers, 40), CO_ERR_DATA);
  assert_int_equal(co_spending_maximize(&fit, *state, buyers, 40), CO_ERR_DATA);
}

// ---- CDNOW's sample until 1997-09-30 -----------------------------------------------------------

static int days_since_1997(int date) {
  static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  return date / 10000 == 1997 ? before[date / 100 % 100 - 1] + date % 100 : 1000;
}

static int64_t read_sample(co_buyer *out, FILE *file) {
  char line[128];
  int64_t count = 0;
  int now = -1, first = 0, last = 0;
  while (fgets(line, sizeof line, file)) {
    int old, customer, date, number;
    double amount;
    if (sscanf(line, "%d %d %d %d %lf", &old, &customer, &date, &number, &amount) != 5) continue;
    int day = days_since_1997(date);
    if (day > 273) continue;
    if (customer != now) {
      now = customer;
      first = last = day;
      out[count++] = (co_buyer){0, 0, (273 - day) / 7., 0, 1, 1};
    }
    co_buyer *c = &out[count - 1];
    c->repeats += day != last;
    c->last = (day - first) / 7.;
    if (day != first) c->mean += amount; // their sum, for now
    last = day;
  }
  for (int64_t i = 0; i < count; i++)
    if (out[i].repeats > 0) out[i].mean /= out[i].repeats;
  return count;
}

static void test_cdnow(void **state) {
  static co_buyer buyers[2500];
  co_likelihood_fit fit;
  char path[1024];
  if (!test_data("cdnow/CDNOW_sample.txt", path, sizeof path)) skip();
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  int64_t count = read_sample(buyers, file);
  fclose(file);
  assert_int_equal(count, 2357);
  assert_int_equal(co_buyers_maximize(&fit, *state, &co_bg_nbd, buyers, count), CO_OK);
  assert_int_equal(fit.state, CO_FIT_CONVERGED);
  const double bg[] = {.243, 4.414, .793, 2.426}, pareto[] = {.553, 10.578, .606, 11.669};
  for (int i = 0; i < 4; i++)
    near(fit.parameters[i], bg[i], 1e-3);
  near(fit.log_likelihood, -9582.43, .01);
  assert_int_equal(co_buyers_maximize(&fit, *state, &co_pareto_nbd, buyers, count), CO_OK);
  assert_int_equal(fit.state, CO_FIT_CONVERGED);
  for (int i = 0; i < 4; i++)
    near(fit.parameters[i], pareto[i], 2e-3);
  near(fit.log_likelihood, -9594.98, .01);
  // Fader and Hardie 2013.
  assert_int_equal(co_spending_maximize(&fit, *state, buyers, count), CO_OK);
  assert_int_equal(fit.state, CO_FIT_CONVERGED);
  near(fit.parameters[0], 6.25, .02);
  near(fit.parameters[1], 3.74, .02);
  near(fit.parameters[2], 15.44, .06);
}

static int begin(void **state) {
  return co_context_create((co_context **)state, NULL);
}

static int end(void **state) {
  co_context_free(*state);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_maximum), cmocka_unit_test(test_published_predictions),
      cmocka_unit_test(test_probabilities), cmocka_unit_test(test_nobody_leaves),
      cmocka_unit_test(test_cdnow)};
  return cmocka_run_group_tests(tests, begin, end);
}
