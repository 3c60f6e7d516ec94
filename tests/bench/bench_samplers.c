// SPDX-License-Identifier: Apache-2.0
// bench_samplers SAMPLER TRIALS LAG: how good a sampler's trials are on four functions, by seeds 0 to 9, of
// tpe 0 to 99: the
// best value after 25 and 50 trials (function,seed,at 25,at 50); with --time what a suggestion costs.
// bench_samplers --at TRIALS: milliseconds of CPU, of so many random trials, for a suggestion by each
// sampler and for the importances (what,function,milliseconds).
// scripts/bench_hyperopt has the same of Optuna.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/tune/forest.h"
#include "host/tune/importance.h"
#include "host/tune/sampler.h"

static double branin(const double *v) {
  double x = v[0], y = v[1], b = 5.1 / (4 * M_PI * M_PI), c = 5 / M_PI;
  return pow(y - b * x * x + c * x - 6, 2) + 10 * (1 - 1 / (8 * M_PI)) * cos(x) + 10;
}

static double hartmann6(const double *v) {
  static const double alpha[4] = {1, 1.2, 3, 3.2};
  static const double a[4][6] = {{10, 3, 17, 3.5, 1.7, 8},
                                 {0.05, 10, 17, 0.1, 8, 14},
                                 {3, 3.5, 1.7, 10, 17, 8},
                                 {17, 8, 0.05, 10, 0.1, 14}};
  static const double p[4][6] = {{1312, 1696, 5569, 124, 8283, 5886},
                                 {2329, 4135, 8307, 3736, 1004, 9991},
                                 {2348, 1451, 3522, 2883, 3047, 6650},
                                 {4047, 8828, 8732, 5743, 1091, 381}};
  double sum = 0;
  for (int i = 0; i < 4; i++) {
    double inner = 0;
    for (int k = 0; k < 6; k++)
      inner += a[i][k] * pow(v[k] - p[i][k] * 1e-4, 2);
    sum -= alpha[i] * exp(-inner);
  }
  return sum;
}

static double rosenbrock4(const double *v) {
  double sum = 0;
  for (int i = 0; i < 3; i++)
    sum += 100 * pow(v[i + 1] - v[i] * v[i], 2) + pow(1 - v[i], 2);
  return sum;
}

// kind (a, b), a: rate and size; b: depth and width; shared: x.
static double conditional(const double *v) {
  double x = pow(v[1] - 0.3, 2);
  if (v[0] == 0) return 0.3 + x + pow(log10(v[2]) + 2.5, 2) / 4 + pow((v[3] - 40) / 60, 2);
  return 0.1 + x + pow(v[4] - 3, 2) / 5 + 2 * pow(v[5] - 0.7, 2);
}

static const struct {
  const char *name, *space;
  double (*value)(const double *values);
} functions[] = {
    {"branin",
     "x: {space: uniform, lower: -5, upper: 10}\ny: {space: uniform, lower: 0, upper: 15}\n",
     branin},
    {"hartmann6",
     "a: {space: uniform, lower: 0, upper: 1}\nb: {space: uniform, lower: 0, upper: 1}\n"
     "c: {space: uniform, lower: 0, upper: 1}\nd: {space: uniform, lower: 0, upper: 1}\n"
     "e: {space: uniform, lower: 0, upper: 1}\nf: {space: uniform, lower: 0, upper: 1}\n",
     hartmann6},
    {"rosenbrock4",
     "a: {space: uniform, lower: -2.048, upper: 2.048}\nb: {space: uniform, lower: -2.048, upper: "
     "2.048}\n"
     "c: {space: uniform, lower: -2.048, upper: 2.048}\nd: {space: uniform, lower: -2.048, upper: "
     "2.048}\n",
     rosenbrock4},
    {"conditional",
     "kind: {space: choice, categories: [a, b]}\nx: {space: uniform, lower: -1, upper: 1}\n"
     "rate: {space: loguniform, lower: 1.0e-5, upper: 1, when: {kind: a}}\n"
     "size: {space: int, lower: 8, upper: 128, step: 8, when: {kind: a}}\n"
     "depth: {space: int, lower: 1, upper: 8, when: {kind: b}}\n"
     "width: {space: uniform, lower: 0, upper: 1, when: {kind: b}}\n",
     conditional}};

enum { SEEDS = 10, SEEDS_OF_TPE = 100, MOST = 2000 };

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int read_space(co_context *ctx, co_arena *arena, int f, co_space *out) {
  co_diagnostics problems;
  co_node *root;
  co_diagnostics_init(&problems, ctx);
  bool read = co_yaml_parse(&root, arena, "space", functions[f].space, strlen(functions[f].space),
                            &problems) == CO_OK &&
              co_space_parse(out, root, arena, &problems) == CO_OK && !problems.count;
  co_diagnostics_free(&problems);
  return read ? 0 : 1;
}

static int run(co_context *ctx, co_arena *arena, int f, int sampler, int64_t trials, int64_t lag,
               bool timing) {
  co_tune_settings settings = {.sampler = sampler, .lag = lag};
  if (read_space(ctx, arena, f, &settings.space)) return 1;
  const uint64_t seeds = timing ? 1 : sampler == CO_SAMPLER_TPE ? SEEDS_OF_TPE : SEEDS;
  for (uint64_t seed = 0; seed < seeds; seed++) {
    static co_known_trial known[MOST];
    static double values[MOST][8], loss[MOST];
    double best = INFINITY, at25 = 0, begun = seconds();
    for (int64_t n = 0; n < trials; n++) {
      for (int64_t i = 0; i < n; i++)
        known[i] = (co_known_trial){.values = values[i], .loss = i <= n - lag ? loss[i] : NAN};
      const co_suggestion ask = {&settings, ctx, seed, n, known, n};
      if (co_suggest(&ask, values[n]) != CO_OK) return 1;
      loss[n] = functions[f].value(values[n]);
      best = fmin(best, loss[n]);
      if (n == 24) at25 = best;
      if (timing && (n + 1) % 100 == 0) {
        printf("%s,%lld,%.3f ms\n", functions[f].name, (long long)n + 1,
               (seconds() - begun) / 100 * 1e3);
        begun = seconds();
      }
    }
    if (!timing) printf("%s,%d,%.9g,%.9g\n", functions[f].name, (int)seed, at25, best);
    fflush(stdout);
  }
  return 0;
}

// ---- at so many trials -------------------------------------------------------------------------

static int time_suggestions(co_context *ctx, co_tune_settings *settings, const char *name,
                            const char *function, const co_known_trial *known, int64_t count) {
  enum { TIMES = 20 };
  double values[CO_MOST_PARAMETERS], begun = seconds();
  for (int64_t i = 0; i < TIMES; i++) {
    const co_suggestion ask = {settings, ctx, 0, count + i, known, count};
    if (co_suggest(&ask, values) != CO_OK) return 1;
  }
  printf("%s,%s,%.3f\n", name, function, (seconds() - begun) / TIMES * 1e3);
  return 0;
}

static int time_importances(co_context *ctx, const co_space *space, const char *function,
                            const co_trials *trials) {
  double out[CO_MOST_PARAMETERS], begun = seconds();
  co_forest *forest;
  if (co_study_importances(out, ctx, space, trials, false) != CO_OK) return 1;
  printf("ped_anova,%s,%.3f\n", function, (seconds() - begun) * 1e3);
  begun = seconds();
  if (co_forest_create(&forest, ctx, space, trials) != CO_OK ||
      co_forest_importances(out, forest) != CO_OK)
    return 1;
  co_forest_free(forest);
  printf("fanova,%s,%.3f\n", function, (seconds() - begun) * 1e3);
  return 0;
}

static int time_all(co_context *ctx, co_arena *arena, int f, int64_t count) {
  static co_known_trial known[MOST];
  static co_trial trials[MOST];
  static double values[MOST][8];
  const char *function = functions[f].name;
  co_tune_settings settings = {.sampler = CO_SAMPLER_RANDOM, .lag = 1};
  if (read_space(ctx, arena, f, &settings.space)) return 1;
  for (int64_t n = 0; n < count; n++) {
    const co_suggestion ask = {&settings, ctx, 0, n, known, n};
    if (co_suggest(&ask, values[n]) != CO_OK) return 1;
    double loss = functions[f].value(values[n]);
    known[n] = (co_known_trial){.values = values[n], .loss = loss};
    trials[n] =
        (co_trial){.number = n, .state = CO_TRIAL_COMPLETE, .values = values[n], .value = loss};
  }
  const co_trials all = {trials, count};
  settings.sampler = CO_SAMPLER_TPE;
  if (time_suggestions(ctx, &settings, "tpe", function, known, count)) return 1;
  settings.sampler = CO_SAMPLER_GP;
  if (time_suggestions(ctx, &settings, "gp", function, known, count)) return 1;
  return time_importances(ctx, &settings.space, function, &all);
}

int main(int argc, char **argv) {
  static const char *const names[] = {"auto", "random", "grid", "sobol", "tpe", "gp"};
  co_context *ctx;
  co_arena *arena;
  int sampler = -1, failed = 0;
  const bool at = argc == 3 && strcmp(argv[1], "--at") == 0;
  for (int i = 0; argc > 3 && i < 6; i++)
    if (strcmp(argv[1], names[i]) == 0) sampler = i;
  int64_t trials = at || argc > 3 ? strtoll(argv[2], NULL, 10) : 0,
          lag = argc > 3 ? strtoll(argv[3], NULL, 10) : at;
  if ((sampler < 0 && !at) || trials < 1 || trials > MOST || lag < 1) {
    fprintf(stderr, "usage: bench_samplers SAMPLER TRIALS LAG [--time] | --at TRIALS\n");
    return 2;
  }
  if (co_context_create(&ctx, NULL) != CO_OK || co_arena_create(&arena, ctx) != CO_OK) return 1;
  for (int f = 0; f < (int)(sizeof functions / sizeof *functions) && !failed; f++)
    failed =
        at ? time_all(ctx, arena, f, trials) : run(ctx, arena, f, sampler, trials, lag, argc > 4);
  co_arena_free(arena);
  co_context_free(ctx);
  return failed;
}
