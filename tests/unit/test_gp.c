// SPDX-License-Identifier: Apache-2.0
// The Gaussian process, what it is fitted and searched with, and the samplers that look at results.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "host/eval/minimize.h"
#include "host/tune/gp.h"
#include "host/tune/sampler.h"

#define OK(call) assert_int_equal((call), CO_OK)

static void assert_near(double a, double b, double relative) {
  if (fabs(a - b) > relative * fabs(b)) print_message("%.17g is not %.17g\n", a, b);
  assert_true(fabs(a - b) <= relative * fabs(b));
}

// ---- minima ------------------------------------------------------------------------------------

// Rosenbrock's valley, from where it begins.
static double valley(void *user, const double *x, double *gradient) {
  int *calls = user;
  (*calls)++;
  gradient[0] = -400 * x[0] * (x[1] - x[0] * x[0]) - 2 * (1 - x[0]);
  gradient[1] = 200 * (x[1] - x[0] * x[0]);
  return 100 * pow(x[1] - x[0] * x[0], 2) + pow(1 - x[0], 2);
}

static void minima_are_found_within_bounds(void **state) {
  (void)state;
  co_context *ctx;
  int calls = 0;
  double low[] = {-5, -5}, high[] = {5, 5}, x[] = {-1.2, 1}, value;
  OK(co_context_create(&ctx, NULL));
  const co_minimization problem = {.count = 2,
                                   .low = low,
                                   .high = high,
                                   .max_iterations = 200,
                                   .tolerance = 1e-8,
                                   .value = valley,
                                   .user = &calls};
  OK(co_minimize(&value, x, ctx, &problem));
  assert_true(fabs(x[0] - 1) < 1e-6 && fabs(x[1] - 1) < 1e-6 && value < 1e-12);
  assert_true(calls < 100);
  high[0] = 0.5; // then (0.5, 0.25)
  x[0] = -1.2;
  x[1] = 1;
  OK(co_minimize(&value, x, ctx, &problem));
  assert_true(x[0] == 0.5 && fabs(x[1] - 0.25) < 1e-6);
  assert_near(value, 0.25, 1e-9);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
}

// By mpmath with 60 digits.
static void improvements_are_exact_far_away(void **state) {
  static const double cases[4][6] = {
      {0.3, 1.5, 0.1, -0.68572522225256408, -0.887319617762877, 0.78497594903505},
      {2, 0.5, -1, -23.272026572729743, -12.6196815464197, 77.718089278518},
      {1, 0.1, -3, -810.60115344961401, -400.499066576485, 16029.9626630594},
      {0, 1, 4, 1.3862961474329033, -0.249991635625831, 3.34574966756063e-5}};
  (void)state;
  for (int i = 0; i < 4; i++) {
    double by_mean, by_deviation;
    double value =
        co_log_improvement(cases[i][0], cases[i][1], cases[i][2], &by_mean, &by_deviation);
    assert_near(value, cases[i][3], 1e-12);
    assert_near(by_mean, cases[i][4], 1e-10);
    assert_near(by_deviation, cases[i][5], 1e-8);
  }
}

// ---- the process -------------------------------------------------------------------------------

enum { ROWS = 14, COLUMNS = 3 };
static const bool is_choice[COLUMNS] = {false, false, true};

static void make(co_gp *gp, co_context *ctx) {
  double sum = 0, squares = 0;
  OK(co_gp_create(gp, ctx, ROWS, COLUMNS, is_choice));
  for (int i = 0; i < ROWS; i++) {
    double *x = gp->x + i * COLUMNS;
    x[0] = (i * 37 % 101) / 100.0;
    x[1] = (i * 61 % 97) / 96.0;
    x[2] = i % 3;
    sum += gp->y[i] = sin(5 * x[0]) + x[1] * x[1] + (i % 3 == 1 ? 0.3 : 0);
  }
  for (int i = 0; i < ROWS; i++)
    squares += pow(gp->y[i] - sum / ROWS, 2);
  for (int i = 0; i < ROWS; i++)
    gp->y[i] = (gp->y[i] - sum / ROWS) / sqrt(squares / ROWS);
}

// Those of optuna._gp.gp of Optuna 5.0.0: GPRegressor.posterior, fit_kernel_params.
static void the_process_is_optunas(void **state) {
  (void)state;
  static const double points[2][COLUMNS] = {{0.31, 0.7, 1}, {0.9, 0.05, 0}};
  static const double expected[2][2] = {{1.3807964959920467, 0.025266947178260057},
                                        {-0.9653391134875311, 0.6768015976665853}};
  static const double fitted[] = {0.6347398420606205, 1.6926048563261293, 0.09616442326058759};
  co_context *ctx;
  co_gp gp;
  double mean, variance, by_mean[COLUMNS], by_variance[COLUMNS];
  OK(co_context_create(&ctx, NULL));
  make(&gp, ctx);
  gp.weight[0] = 3;
  gp.weight[1] = 0.5;
  gp.weight[2] = 0.8;
  gp.scale = 1.7;
  gp.noise = 0.01;
  assert_true(co_gp_factor(&gp));
  for (int i = 0; i < 2; i++) {
    co_gp_at(&gp, points[i], &mean, &variance, by_mean, by_variance);
    assert_near(mean, expected[i][0], 1e-10);
    assert_near(variance, expected[i][1], 1e-9);
    for (int k = 0; k < 2; k++) { // of the numbers, by differences
      const double h = 1e-5;
      double x[COLUMNS], more[2], less[2];
      memcpy(x, points[i], sizeof x);
      x[k] += h;
      co_gp_at(&gp, x, &more[0], &more[1], NULL, NULL);
      x[k] -= 2 * h;
      co_gp_at(&gp, x, &less[0], &less[1], NULL, NULL);
      assert_near(by_mean[k], (more[0] - less[0]) / (2 * h), 1e-5);
      assert_near(by_variance[k], (more[1] - less[1]) / (2 * h), 1e-5);
    }
    assert_true(by_mean[2] == 0);
  }
  OK(co_gp_fit(&gp));
  for (int i = 0; i < COLUMNS; i++)
    assert_near(gp.weight[i], fitted[i], 0.02);
  assert_near(gp.scale, 1.0970188123211508, 0.02);
  co_gp_free(&gp);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
}

// ---- samplers ----------------------------------------------------------------------------------

static const char spaces[] = "hyperopt:\n  parameters:\n"
                             "    kind: {space: choice, categories: [a, b, c]}\n"
                             "    rate: {space: loguniform, lower: 1.0e-4, upper: 1}\n"
                             "    size: {space: int, lower: 1, upper: 100, when: {kind: b}}\n";

// Best where kind is b, rate 0.01 and size 30.
static double loss_of(const double *v) {
  return (v[0] == 1 ? pow((v[2] - 30) / 50, 2) : 1) + 0.1 * pow(log10(v[1]) + 2, 2);
}

static void samplers_move_to_what_is_good(void **state) {
  (void)state;
  enum { TRIALS = 40, LAG = 3 };
  static co_known_trial known[TRIALS];
  static double values[TRIALS][3];
  const co_sampler_kind kinds[] = {CO_SAMPLER_TPE, CO_SAMPLER_GP};
  co_context *ctx;
  co_arena *arena;
  co_diagnostics problems;
  co_node *root;
  co_tune_settings settings;
  OK(co_context_create(&ctx, NULL));
  OK(co_arena_create(&arena, ctx));
  co_diagnostics_init(&problems, ctx);
  OK(co_yaml_parse(&root, arena, "spaces", spaces, strlen(spaces), &problems));
  OK(co_tune_settings_parse(&settings, root, arena, &problems));
  assert_int_equal(problems.count, 0);
  for (int k = 0; k < 2; k++) {
    settings.sampler = (int)kinds[k];
    double best = INFINITY, again[3];
    int good = 0;
    for (int64_t n = 0; n < TRIALS; n++) {
      for (int64_t i = 0; i < n; i++) // the last ones still run, and one has failed
        known[i] = (co_known_trial){.values = values[i],
                                    .loss = i <= n - LAG && i != 5 ? loss_of(values[i]) : NAN,
                                    .failed = i == 5};
      const co_suggestion ask = {&settings, ctx, 3, n, known, n};
      OK(co_suggest(&ask, values[n]));
      OK(co_suggest(&ask, again));
      assert_memory_equal(values[n], again, sizeof again);
      assert_int_equal(isnan(values[n][2]) == 0, values[n][0] == 1);
      for (int i = 0; i < 3; i++)
        assert_true(isnan(values[n][i]) ||
                    co_parameter_holds(&settings.space.item[i], values[n][i]));
      best = fmin(best, loss_of(values[n]));
      good += n >= 20 && values[n][0] == 1;
    }
    assert_true(best < (kinds[k] == CO_SAMPLER_GP ? 0.001 : 0.02));
    assert_true(good > 12); // of 20, of which chance makes 7
  }
  co_arena_free(arena);
  co_diagnostics_free(&problems);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(minima_are_found_within_bounds),
      cmocka_unit_test(improvements_are_exact_far_away),
      cmocka_unit_test(the_process_is_optunas),
      cmocka_unit_test(samplers_move_to_what_is_good),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
