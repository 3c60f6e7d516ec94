// SPDX-License-Identifier: Apache-2.0
// What parameters begin as: moments and bounds of each initialiser, right angles of orthogonal ones.
#include "helpers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/train/initial_heads.h"
#include "kernels/distribution.h"

// A kernel (rows, columns) as the layer Dense begins with it; the caller frees the rig.
static double *kernel_of(rig *r, const char *initializer, int64_t rows, int64_t columns) {
  char text[160];
  rig_open(r, &(setup){.backend = "ref", .real = CO_F32, .rows = 1, .no_training = true});
  OK(co_graph_create(&r->graph, r->ctx));
  co_value x = input(r, "x", rows);
  snprintf(text, sizeof text, "{units: %lld, kernel_initializer: %s}", (long long)columns,
           initializer);
  co_value y = layer(r, "Dense", "dense", text, &x, 1);
  OK(co_graph_add_output(r->graph, "y", y));
  rig_program(r);
  return entry_read(r, entry_find(r, "dense/kernel"), CO_BLOCK_PARAM);
}

// Of 60,000 draws: the mean within five of its deviations, the variance within three percent.
static void moments_are_those_of_keras(void **unused) {
  (void)unused;
  enum { IN = 200, OUT = 300, COUNT = IN * OUT };
  static const struct {
    const char *name;
    double variance;
    double most; // of a value, as a multiple of the deviation; 0 = unbounded
  } known[] = {
      {"glorot_uniform", 2.0 / 500, 1.7320508}, {"glorot_normal", 2.0 / 500, 2 / 0.8796},
      {"he_uniform", 2.0 / 200, 1.7320508},     {"he_normal", 2.0 / 200, 2 / 0.8796},
      {"lecun_uniform", 1.0 / 200, 1.7320508},  {"lecun_normal", 1.0 / 200, 2 / 0.8796},
      {"uniform", 0.0025 / 3, 1.7320508},       {"normal", 0.0025, 0},
      {"fan_in_uniform", 1.0 / 600, 1.7320508},
  };
  for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
    rig r;
    const double *w = kernel_of(&r, known[k].name, IN, OUT), deviation = sqrt(known[k].variance);
    double sum = 0, squares = 0, most = 0;
    for (int64_t i = 0; i < COUNT; i++) {
      sum += w[i];
      squares += w[i] * w[i];
      most = fmax(most, fabs(w[i]));
    }
    if (fabs(sum / COUNT) > 5 * deviation / sqrt(COUNT))
      fail_msg("%s: mean %g", known[k].name, sum / COUNT);
    if (fabs(squares / COUNT / known[k].variance - 1) > 0.03)
      fail_msg("%s: variance %g", known[k].name, squares / COUNT);
    // Bounded ones come near their bound and stay below, the normal one goes beyond three deviations.
    const double bound = known[k].most > 0 ? known[k].most * deviation : 0;
    if (bound > 0 ? most > bound * 1.0001 || most < bound * 0.99 : most < 3 * deviation)
      fail_msg("%s: up to %g", known[k].name, most);
    rig_free(&r);
  }
}

static void zeros_and_ones(void **unused) {
  (void)unused;
  for (int k = 0; k < 2; k++) {
    rig r;
    const double *w = kernel_of(&r, k ? "ones" : "zeros", 3, 4);
    for (int64_t i = 0; i < 12; i++)
      assert_true(w[i] == k);
    rig_free(&r);
  }
}

// The shorter side's vectors have length 1 and stand at right angles.
static void expect_orthogonal(int64_t rows, int64_t columns) {
  rig r;
  const double *w = kernel_of(&r, "orthogonal", rows, columns);
  const bool high = rows > columns;
  const int64_t count = high ? columns : rows, length = high ? rows : columns;
  const int64_t step = high ? 1 : columns, next = high ? columns : 1;
  for (int64_t a = 0; a < count; a++)
    for (int64_t b = 0; b <= a; b++) {
      double dot = 0;
      for (int64_t i = 0; i < length; i++)
        dot += w[a * step + i * next] * w[b * step + i * next];
      if (fabs(dot - (a == b)) > 1e-6)
        fail_msg("%lld x %lld: vectors %lld and %lld: %g", (long long)rows, (long long)columns,
                 (long long)a, (long long)b, dot);
    }
  rig_free(&r);
}

static void orthogonal_is_orthogonal(void **unused) {
  (void)unused;
  expect_orthogonal(20, 50);
  expect_orthogonal(50, 20);
  expect_orthogonal(31, 31);
}

// Of a convolution the fans count the window, of a table its rows; a bias has no directions.
static void other_layers_take_them(void **unused) {
  (void)unused;
  rig r;
  rig_make(
      &r, &(setup){.backend = "ref", .real = CO_F32, .rows = 1},
      "input_features:\n"
      "  - {name: image, encoder: {type: graph, layers: [{Conv2D: {filters: 500, kernel_size: 3,\n"
      "     kernel_initializer: he_uniform, bias_initializer: ones}}, Flatten, {Dense: 2}]}}\n"
      "output_features: [{name: label}]\n");
  const double *w = entry_read(&r, entry_find(&r, "image/conv2d/kernel"), CO_BLOCK_PARAM);
  const double *b = entry_read(&r, entry_find(&r, "image/conv2d/bias"), CO_BLOCK_PARAM);
  double most = 0;
  for (int64_t i = 0; i < 3 * 3 * 2 * 500; i++)
    most = fmax(most, fabs(w[i]));
  assert_true(fabs(most / sqrt(6.0 / 18) - 1) < 0.01);
  assert_true(b[0] == 1 && b[499] == 1);
  rig_free(&r);
}

static void a_bias_is_no_matrix(void **unused) {
  (void)unused;
  rig r;
  co_node *config;
  static const char text[] =
      "input_features: [{name: x, encoder: {type: graph, layers: [{Dense: {units: 3,\n"
      "  bias_initializer: orthogonal}}]}}]\n"
      "output_features: [{name: label}]\n";
  rig_open(&r, &(setup){.backend = "ref", .real = CO_F32});
  OK(co_yaml_parse(&config, r.arena, "test.yaml", text, strlen(text), &r.problems));
  assert_int_equal(co_model_create(&r.model, r.ctx, config, &test_schema, &r.problems),
                   CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "'x/dense/bias' has one dimension: orthogonal"));
  rig_free(&r);
}

// Mean slopes of the loss by the parameters, over rows of equal parameters.
static void mean_slopes(co_distribution distribution, const double *x, const float *targets,
                        const float *weights, int64_t count, double *out) {
  double sum = 0;
  for (int k = 0; k < CO_MOST_PARAMETERS; k++)
    out[k] = 0;
  for (int64_t i = 0; i < count; i++) {
    double slope[CO_MOST_PARAMETERS] = {0};
    if (!(weights[i] > 0)) continue;
    co_distribution_loss(distribution, x, (double)targets[i], slope);
    sum += (double)weights[i];
    for (int k = 0; k < CO_MOST_PARAMETERS; k++)
      out[k] += (double)weights[i] * slope[k];
  }
  for (int k = 0; k < CO_MOST_PARAMETERS; k++)
    out[k] /= sum;
}

// Where nothing but targets is known, nothing is gained by moving on.
static void a_prior_is_where_slopes_end(void **unused) {
  (void)unused;
  enum { ROWS = 4000 };
  static float targets[ROWS], weights[ROWS];
  double x[CO_MOST_PARAMETERS], slope[CO_MOST_PARAMETERS];
  for (int i = 0; i < ROWS; i++) {
    targets[i] = i % 3 ? 0 : (float)exp(5 + 1.5 * sin(i));
    weights[i] = (float)(i % 4) / 2;
  }
  targets[4] = NAN; // of weight 0
  assert_true(co_distribution_prior(CO_ZERO_INFLATED_LOGNORMAL, targets, weights, ROWS, x));
  mean_slopes(CO_ZERO_INFLATED_LOGNORMAL, x, targets, weights, ROWS, slope);
  for (int k = 0; k < 3; k++) // half a row on either side is told
    if (fabs(slope[k]) > 1e-4) fail_msg("parameter %d: slope %g", k, slope[k]);
  for (int i = 0; i < ROWS; i++)
    targets[i] = (float)(i % 5 ? i % 3 : i % 13);
  assert_true(co_distribution_prior(CO_NEGATIVE_BINOMIAL, targets, weights, ROWS, x));
  mean_slopes(CO_NEGATIVE_BINOMIAL, x, targets, weights, ROWS, slope);
  if (fabs(slope[0]) > 1e-6) fail_msg("slope %g", slope[0]);
  assert_true(x[1] > -4 && x[1] < 4); // more varied than a Poisson distribution's
}

static void a_prior_of_little_is_finite(void **unused) {
  (void)unused;
  static const float none[3] = {0, 0, 0}, one[3] = {7, 7, 7}, weights[3] = {1, 1, 1};
  double x[CO_MOST_PARAMETERS];
  const co_distribution both[] = {CO_ZERO_INFLATED_LOGNORMAL, CO_NEGATIVE_BINOMIAL};
  for (int d = 0; d < 2; d++) {
    assert_false(co_distribution_prior(both[d], one, none, 3, x));
    assert_true(co_distribution_prior(both[d], none, weights, 3, x));
    assert_true(co_distribution_mean(both[d], x) < 0.5);
    assert_true(co_distribution_prior(both[d], one, weights, 3, x));
    assert_true(fabs(co_distribution_mean(both[d], x) / 7 - 1) < 0.15);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(moments_are_those_of_keras),  cmocka_unit_test(zeros_and_ones),
      cmocka_unit_test(orthogonal_is_orthogonal),    cmocka_unit_test(other_layers_take_them),
      cmocka_unit_test(a_bias_is_no_matrix),         cmocka_unit_test(a_prior_is_where_slopes_end),
      cmocka_unit_test(a_prior_of_little_is_finite),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
