// SPDX-License-Identifier: Apache-2.0
// Spaces of a search and the samplers: numbers known from elsewhere, and what has to hold of any.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/tune/sampler.h"

#define OK(call) assert_int_equal((call), CO_OK)

typedef struct fixture {
  co_context *ctx;
  co_arena *arena;
  co_diagnostics problems;
} fixture;

static int setup(void **state) {
  static fixture f;
  OK(co_context_create(&f.ctx, NULL));
  OK(co_arena_create(&f.arena, f.ctx));
  co_diagnostics_init(&f.problems, f.ctx);
  *state = &f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  co_diagnostics_free(&f->problems);
  co_arena_free(f->arena);
  assert_int_equal(co_alloc_get_stats(f->ctx).live_blocks, 0);
  co_context_free(f->ctx);
  return 0;
}

static void parse(fixture *f, const char *yaml, co_tune_settings *out) {
  co_node *root;
  OK(co_yaml_parse(&root, f->arena, "tune.yaml", yaml, strlen(yaml), &f->problems));
  OK(co_tune_settings_parse(out, root, f->arena, &f->problems));
}

// scipy.stats.qmc.Sobol(64, scramble=False, bits=32), which has the same direction numbers.
static void sobol_points_are_those_of_scipy(void **state) {
  static const int point[] = {1, 2, 5, 8}, dimension[] = {0, 1, 2, 20, 63};
  static const double expected[4][5] = {{0.5, 0.5, 0.5, 0.5, 0.5},
                                        {0.75, 0.25, 0.25, 0.25, 0.75},
                                        {0.875, 0.875, 0.125, 0.625, 0.625},
                                        {0.1875, 0.3125, 0.9375, 0.1875, 0.6875}};
  (void)state;
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < 5; k++)
      assert_true(co_sobol_bits(point[i], dimension[k]) / 4294967296.0 == expected[i][k]);
}

// Of 2^m points each of 2^m strips holds one, in every dimension; of the first two dimensions each
// rectangle of that area, too.
static void scrambled_points_stay_stratified(void **state) {
  enum { M = 6, N = 1 << M };
  (void)state;
  for (uint64_t seed = 1; seed <= 3; seed++) {
    for (int d = 0; d < CO_SOBOL_DIMENSIONS; d++) {
      int count[N] = {0};
      for (int i = 0; i < N; i++)
        count[(int)(co_sobol_scrambled(seed, i, d) * N)]++;
      for (int i = 0; i < N; i++)
        assert_int_equal(count[i], 1);
    }
    for (int m = 0; m <= M; m++) {
      int count[N] = {0}, wide = 1 << m, high = N >> m;
      for (int i = 0; i < N; i++) {
        int x = (int)(co_sobol_scrambled(seed, i, 0) * wide);
        int y = (int)(co_sobol_scrambled(seed, i, 1) * high);
        count[x * high + y]++;
      }
      for (int i = 0; i < N; i++)
        assert_int_equal(count[i], 1);
    }
  }
  assert_true(co_sobol_scrambled(1, 5, 0) != co_sobol_scrambled(2, 5, 0));
}

static const char all_kinds[] =
    "hyperopt:\n"
    "  sampler: random\n"
    "  parameters:\n"
    "    a.sub: {space: int, lower: 3, upper: 12, step: 4, when: {a.kind: deep}}\n"
    "    a.kind: {space: choice, categories: [flat, deep, null, [8, 8]]}\n"
    "    a.rate: {space: loguniform, lower: 1.0e-4, upper: 1.0e-1}\n"
    "    a.share: {space: uniform, lower: -1, upper: 2, points: 3}\n"
    "    a.size: {space: int, lower: 1, upper: 100, log: true, points: 2}\n";

static void values_come_from_their_spaces(void **state) {
  fixture *f = *state;
  co_tune_settings s;
  parse(f, all_kinds, &s);
  assert_int_equal(f->problems.count, 0);
  assert_int_equal(s.space.count, 5);
  assert_string_equal(s.space.item[0].path, "a.kind"); // before what depends on it
  assert_true(s.space.item[4].upper == 11);            // 3, 7, 11
  assert_int_equal(s.space.item[4].points, 3);
  for (int64_t i = 0; i < s.space.count; i++) {
    const co_parameter *p = &s.space.item[i];
    assert_true(co_parameter_value(p, 0) <= co_parameter_value(p, 0.999999));
    for (int k = 0; k <= 1000; k++) {
      double value = co_parameter_value(p, k / 1001.0);
      assert_true(co_parameter_holds(p, value));
      assert_true(fabs(co_parameter_value(p, co_parameter_place(p, value)) - value) <=
                  1e-12 * fabs(value));
    }
    for (int64_t k = 0; k < p->points; k++)
      assert_true(co_parameter_holds(p, co_parameter_grid(p, k)));
  }
  assert_true(fabs(co_parameter_value(&s.space.item[1], 0.5) - sqrt(1e-5)) < 1e-9);
  assert_false(co_parameter_holds(&s.space.item[4], 5));
  assert_false(co_parameter_holds(&s.space.item[1], NAN));
}

static void what_depends_on_another_value_does_not_count(void **state) {
  fixture *f = *state;
  co_tune_settings s;
  double values[5], again[5], other[5];
  int counted = 0;
  parse(f, all_kinds, &s);
  for (int64_t n = 0; n < 200; n++) {
    co_suggestion ask = {.settings = &s, .ctx = f->ctx, .seed = 7, .number = n};
    OK(co_suggest(&ask, values));
    OK(co_suggest(&ask, again));
    assert_memory_equal(values, again, sizeof values);
    ask.seed = 8;
    OK(co_suggest(&ask, other));
    assert_true(values[1] != other[1]);
    assert_int_equal(isnan(values[4]) == 0, values[0] == 1);
    counted += values[0] == 1;
  }
  assert_in_range(counted, 30, 70); // a quarter of 200
}

// 3 kinds without children, and one with 3: each times 5 rates, 3 shares, 2 sizes; none twice.
static void a_grid_has_every_combination_once(void **state) {
  fixture *f = *state;
  co_tune_settings s;
  enum { TRIALS = (3 + 3) * 5 * 3 * 2 };
  static double values[TRIALS][5];
  parse(f, all_kinds, &s);
  s.sampler = CO_SAMPLER_GRID;
  assert_int_equal(co_sampler_trials(&s), TRIALS);
  for (int n = 0; n < TRIALS; n++) {
    co_suggestion ask = {.settings = &s, .ctx = f->ctx, .seed = 7, .number = n};
    OK(co_suggest(&ask, values[n]));
    for (int k = 0; k < n; k++) {
      bool same = true;
      for (int i = 0; i < 5; i++)
        same =
            same && (values[n][i] == values[k][i] || (isnan(values[n][i]) && isnan(values[k][i])));
      assert_false(same);
    }
  }
}

static void configs_get_the_values(void **state) {
  fixture *f = *state;
  co_tune_settings s;
  co_node *root = NULL;
  co_text yaml;
  static const double values[] = {3, 0.001, 0.5, 10, NAN};
  parse(f, all_kinds, &s);
  OK(co_yaml_parse(&root, f->arena, "c.yaml", "a: {kind: flat, kept: 1}", 24, &f->problems));
  OK(co_space_apply(&s.space, values, false, &root, f->arena, &f->problems));
  co_text_init(&yaml, f->ctx);
  OK(co_node_to_yaml(&yaml, root));
  assert_string_equal(yaml.data,
                      "a:\n  kind: [8, 8]\n  kept: 1\n  rate: 0.001\n  share: 0.5\n  size: 10\n");
  co_text_free(&yaml);
}

// As Optuna 5.0.0 writes them, but for blanks.
static void distributions_are_optunas(void **state) {
  fixture *f = *state;
  co_tune_settings s;
  static const char *const expected[] = {"{\"name\":\"CategoricalDistribution\",\"attributes\":{"
                                         "\"choices\":[\"flat\",\"deep\",null,\"[8,"
                                         "8]\"]}}",
                                         "{\"name\":\"FloatDistribution\",\"attributes\":{\"step\":"
                                         "null,\"low\":0.0001,\"high\":0.1,\"log\":"
                                         "true}}",
                                         "{\"name\":\"FloatDistribution\",\"attributes\":{\"step\":"
                                         "null,\"low\":-1,\"high\":2,\"log\":"
                                         "false}}",
                                         "{\"name\":\"IntDistribution\",\"attributes\":{\"step\":1,"
                                         "\"low\":1,\"high\":100,\"log\":true}}",
                                         "{\"name\":\"IntDistribution\",\"attributes\":{\"step\":4,"
                                         "\"low\":3,\"high\":11,\"log\":false}}"};
  parse(f, all_kinds, &s);
  for (int64_t i = 0; i < s.space.count; i++) {
    co_json json;
    co_json_init(&json, f->ctx, 0);
    co_parameter_render_distribution(&json, &s.space.item[i]);
    assert_string_equal(json.text.data, expected[i]);
    co_json_free(&json);
  }
}

static void mistakes_are_told(void **state) {
  fixture *f = *state;
  static const struct {
    const char *space, *says;
  } cases[] = {
      {"{space: uniform, lower: 1, upper: 1}", "the space is empty"},
      {"{space: uniform, lower: 1}", "needs lower and upper"},
      {"{space: loguniform, lower: 0, upper: 1}", "lower must be above 0"},
      {"{space: int, lower: 1.5, upper: 4}", "whole numbers"},
      {"{space: int, lower: 1, upper: 9, log: true, step: 2}", "either log or step"},
      {"{space: uniform, lower: 1, upper: 9, step: 2}", "has no step"},
      {"{space: choice}", "needs categories"},
      {"{space: choice, categories: [a, b, a]}", "is there twice"},
      {"{space: gaussian, lower: 1, upper: 2}", "is not one of"},
      {"{space: uniform, lower: 1, upper: 2, when: {y: 1}}", "is no choice among the parameters"},
      {"{space: choice, categories: [a], when: {x: a}}", "is no choice among the parameters"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    co_tune_settings s;
    char yaml[300];
    co_diagnostics_free(&f->problems);
    co_diagnostics_init(&f->problems, f->ctx);
    snprintf(yaml, sizeof yaml, "hyperopt:\n  parameters:\n    x: %s\n", cases[i].space);
    parse(f, yaml, &s);
    assert_int_equal(f->problems.count, 1);
    assert_non_null(strstr(f->problems.item[0].message, cases[i].says));
    assert_int_equal(f->problems.item[0].line, 3);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sobol_points_are_those_of_scipy),
      cmocka_unit_test(scrambled_points_stay_stratified),
      cmocka_unit_test_setup_teardown(values_come_from_their_spaces, setup, teardown),
      cmocka_unit_test_setup_teardown(what_depends_on_another_value_does_not_count, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(a_grid_has_every_combination_once, setup, teardown),
      cmocka_unit_test_setup_teardown(configs_get_the_values, setup, teardown),
      cmocka_unit_test_setup_teardown(distributions_are_optunas, setup, teardown),
      cmocka_unit_test_setup_teardown(mistakes_are_told, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
