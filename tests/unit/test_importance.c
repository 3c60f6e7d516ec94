// SPDX-License-Identifier: Apache-2.0
// Importances of parameters: what Optuna 5.0.0 makes of the same trials.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "host/tune/forest.h"
#include "host/tune/importance.h"

#define OK(call) assert_int_equal((call), CO_OK)
enum { TRIALS = 72, PARAMETERS = 6 };

static const char spaces[] = "x: {space: uniform, lower: -1, upper: 1}\n"
                             "rate: {space: loguniform, lower: 1.0e-4, upper: 1.0e-1}\n"
                             "size: {space: int, lower: 1, upper: 21, step: 2}\n"
                             "wide: {space: int, lower: 1, upper: 1000, log: true}\n"
                             "kind: {space: choice, categories: [a, b, c]}\n"
                             "sub: {space: uniform, lower: 0, upper: 1, when: {kind: b}}\n";

// The formulas below as add_trial(create_trial(…)), then get_param_importances(study).
static const double expected[PARAMETERS] = {0.4308728132623326,  0.06362299236770365,
                                            0.03007023351165492, 0.09553096286029555,
                                            0.08866561232899457, 0.2912373856690187};

static void make(co_trial *t, double *v, int i) {
  v[0] = (i * 37 % 101) / 100.0 * 2 - 1;
  v[1] = pow(10, -4 + 3 * (i * 61 % 97) / 96.0);
  v[2] = 1 + 2 * (i * 13 % 11);
  v[3] = 1 + i * i * 7 % 1000;
  v[4] = i % 3;
  v[5] = i % 3 == 1 ? (i * 29 % 50) / 49.0 : NAN;
  *t = (co_trial){.number = i, .state = CO_TRIAL_COMPLETE, .values = v};
  t->value = (v[0] - 0.3) * (v[0] - 0.3) + 0.1 * fabs(log10(v[1]) + 2) + (i % 3 == 2 ? 0.1 : 0) +
             (i % 3 == 1 ? 0.2 * v[5] : 0);
}

static void test_optunas(void **state) {
  (void)state;
  static co_trial trials[TRIALS];
  static double values[TRIALS][PARAMETERS];
  co_context *ctx;
  co_arena *arena;
  co_diagnostics problems;
  co_node *root;
  co_space space;
  double found[PARAMETERS], sum = 0;
  OK(co_context_create(&ctx, NULL));
  OK(co_arena_create(&arena, ctx));
  co_diagnostics_init(&problems, ctx);
  OK(co_yaml_parse(&root, arena, "spaces", spaces, strlen(spaces), &problems));
  OK(co_space_parse(&space, root, arena, &problems));
  assert_int_equal(problems.count, 0);
  for (int i = 0; i < TRIALS; i++)
    make(&trials[i], values[i], i);
  // What is not complete, or has no value, does not count.
  trials[70].state = CO_TRIAL_PRUNED;
  trials[70].value = -5;
  trials[71].state = CO_TRIAL_FAIL;
  trials[71].value = NAN;
  const co_trials all = {trials, TRIALS}, none = {trials, 0};
  OK(co_study_importances(found, ctx, &space, &all, false));
  for (int i = 0; i < PARAMETERS; i++)
    assert_true(fabs(found[i] - expected[i]) < 1e-9);
  for (int i = 0; i < TRIALS; i++)
    trials[i].value = -trials[i].value;
  OK(co_study_importances(found, ctx, &space, &all, true));
  for (int i = 0; i < PARAMETERS; i++)
    assert_true(fabs(found[i] - expected[i]) < 1e-9);
  OK(co_study_importances(found, ctx, &space, &none, true));
  for (int i = 0; i < PARAMETERS; i++)
    sum += found[i];
  assert_true(fabs(sum - 1) < 1e-12);
  co_arena_free(arena);
  co_diagnostics_free(&problems);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
}

// ---- fANOVA ------------------------------------------------------------------------------------

enum { MANY = 200, FIVE = 5 };

// Two categories, since Optuna takes the columns of one-hot codes for independent.
static const char five[] = "x: {space: uniform, lower: -1, upper: 1}\n"
                           "rate: {space: loguniform, lower: 1.0e-4, upper: 1.0e-1}\n"
                           "size: {space: int, lower: 1, upper: 21, step: 2}\n"
                           "wide: {space: int, lower: 1, upper: 1000, log: true}\n"
                           "kind: {space: choice, categories: [a, b]}\n";

static void make_many(co_trial *t, double *v, int i) {
  double ignored[PARAMETERS];
  make(t, ignored, i);
  memcpy(v, ignored, FIVE * sizeof *v);
  v[4] = i % 2;
  t->values = v;
  t->value =
      .3 * (v[0] - .3) * (v[0] - .3) + .2 * fabs(log10(v[1]) + 2) + .01 * v[2] + (i % 2 ? .3 : 0);
}

// Optuna's FanovaImportanceEvaluator, which takes numbers as they are, of the same trials with the
// logarithms of rate and wide: the means over its seeds 0 to 7. Its forests differ by seed by up to .016,
// and ours is another one; so nearness is within .015, and the order is the same.
static void test_fanova(void **state) {
  static const double means[FIVE] = {0.3424, 0.1881, 0.0402, 0.0010, 0.4284};
  static co_trial trials[MANY];
  static double values[MANY][PARAMETERS];
  static double surface[CO_SURFACE_CELLS * 2];
  co_context *ctx;
  co_arena *arena;
  co_diagnostics problems;
  co_node *root;
  co_space space;
  co_forest *forest, *again;
  double found[FIVE], second[FIVE], sum = 0;
  (void)state;
  OK(co_context_create(&ctx, NULL));
  OK(co_arena_create(&arena, ctx));
  co_diagnostics_init(&problems, ctx);
  OK(co_yaml_parse(&root, arena, "spaces", five, strlen(five), &problems));
  OK(co_space_parse(&space, root, arena, &problems));
  assert_int_equal(space.count, FIVE);
  for (int i = 0; i < MANY; i++)
    make_many(&trials[i], values[i], i);
  const co_trials all = {trials, MANY}, one = {trials, 1};
  OK(co_forest_create(&forest, ctx, &space, &all));
  OK(co_forest_importances(found, forest));
  for (int i = 0; i < FIVE; i++) {
    assert_true(fabs(found[i] - means[i]) < 0.015);
    for (int k = 0; k < FIVE; k++)
      assert_true((found[i] < found[k]) == (means[i] < means[k]));
    sum += found[i];
  }
  assert_true(fabs(sum - 1) < 1e-12);
  // The mean over all others, by rate and kind: a forest is rather flat at the ends;
  // lowest at a rate of 0.01, and higher by 0.3 with b.
  OK(co_forest_surface(surface, forest, 1, 4));
  for (int c = 0; c < CO_SURFACE_CELLS; c++) {
    const double apart = surface[CO_SURFACE_CELLS + c] - surface[c];
    const double off = fabs(-4 + 3 * (c + 0.5) / CO_SURFACE_CELLS + 2);
    assert_true(fabs(apart - 0.3) < 0.05);
    assert_true(fabs(surface[c] - surface[10] - .2 * (off - .6875)) < 0.07);
  }
  // Larger is as good as smaller, and the same trials have the same forest.
  for (int i = 0; i < MANY; i++)
    trials[i].value *= -2;
  OK(co_forest_create(&again, ctx, &space, &all));
  OK(co_forest_importances(second, again));
  for (int i = 0; i < FIVE; i++)
    assert_true(fabs(found[i] - second[i]) < 1e-9);
  co_forest_free(forest);
  co_forest_free(again);
  for (int i = 0; i < MANY; i++)
    trials[i].value = 1;
  OK(co_forest_create(&forest, ctx, &space, &all)); // nothing varies
  OK(co_forest_importances(found, forest));
  for (int i = 0; i < FIVE; i++)
    assert_true(found[i] == 0);
  co_forest_free(forest);
  OK(co_forest_create(&forest, ctx, &space, &one));
  assert_null(forest);
  co_arena_free(arena);
  co_diagnostics_free(&problems);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_optunas), cmocka_unit_test(test_fanova)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
