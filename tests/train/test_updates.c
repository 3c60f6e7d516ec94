// SPDX-License-Identifier: Apache-2.0
// What an update touches and what it leaves alone: frozen layers, rates and decay per parameter,
// state, steps that are not finite.
#include "helpers.h"

#include <math.h>
#include <string.h>

static const struct policy {
  const char *backend;
  co_dtype real;
  double tolerance;
} policies[] = {{"ref", CO_F64, 1e-12}, {"ref", CO_F32, 1e-5}, {"cpu", CO_F32, 1e-5}};
enum { POLICIES = sizeof policies / sizeof *policies };

static setup make_setup(int p, const char *optimizer, double clip_norm) {
  return (setup){.backend = policies[p].backend,
                 .real = policies[p].real,
                 .rows = 6,
                 .phase = {{.optimizer = optimizer, .clip_norm = clip_norm}}};
}

static const char frozen_model[] =
    "input_features:\n"
    "  - name: x\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Dense: {units: 7, activation: relu}, name: bottom, trainable: false},\n"
    "      {Dense: {units: 6, activation: relu}, name: middle},\n"
    "      {Dense: {units: 5}, name: top, trainable: false},\n"
    "      {BatchNormalization: {}, name: norm, trainable: false}]}\n"
    "output_features: [{name: score}]\n";

static bool is_frozen(const char *name) {
  return strstr(name, "bottom") || strstr(name, "top") || strstr(name, "norm");
}

static void frozen_layers_stay(void **unused) {
  (void)unused;
  for (int p = 0; p < POLICIES; p++) {
    setup s = make_setup(p, "{adamw: {weight_decay: 0.1}}", 1);
    rig r;
    rig_make(&r, &s, frozen_model);
    batch b;
    batch_make(&r, &b, 6, 2);
    double *before[16];
    for (int64_t e = 0; e < r.store->count; e++)
      before[e] = entry_read(&r, e, CO_BLOCK_PARAM);
    for (uint32_t step = 0; step < 3; step++)
      train(&r, 0, &b, step, 0.01);
    const co_plan *plan = co_program_plan(r.program, 0);
    for (int64_t e = 0; e < r.store->count; e++) {
      const co_param_info *info = &r.store->entries[e].info;
      size_t bytes = (size_t)entry_count(&r, e) * sizeof(double);
      bool same = memcmp(before[e], entry_read(&r, e, CO_BLOCK_PARAM), bytes) == 0;
      assert_int_equal(same, is_frozen(info->name));
      assert_int_equal(plan->has_gradient[e], !is_frozen(info->name));
    }
    // Nothing is derived that nobody needs: one layer below the loss needs its data gradient only,
    // the lowest none.
    int data = 0, stored = 0;
    for (int64_t i = 0; i < plan->op_count; i++) {
      stored += plan->ops[i].desc.op == CO_OP_BATCH_NORM_INFERENCE;
      assert_false(plan->ops[i].desc.op == CO_OP_BATCH_NORM);
      data += plan->ops[i].desc.op == CO_OP_DENSE_BACKWARD_DATA ||
              plan->ops[i].desc.op == CO_OP_DENSE_RELU_BACKWARD;
      assert_false(plan->ops[i].backward && strstr(plan->ops[i].layer, "bottom"));
    }
    assert_int_equal(data, 2);   // of the head and of `top`
    assert_int_equal(stored, 1); // the normalisation uses its stored statistics
    // Gradients and slots have room for `middle` and the head alone.
    co_program_bytes bytes;
    co_program_get_bytes(r.program, &bytes);
    int64_t trained = 0;
    for (int64_t e = 0; e < r.store->count; e++) {
      if (!is_frozen(r.store->entries[e].info.name)) trained += entry_count(&r, e);
      assert_int_equal(co_store_is_trained(r.store, e), !is_frozen(r.store->entries[e].info.name));
    }
    assert_true(bytes.gradients < (size_t)trained * co_dtype_size(s.real) + 4 * r.store->alignment);
    assert_int_equal(bytes.slots, 2 * bytes.gradients);
    assert_true(bytes.parameters > bytes.gradients);
    batch_free(&r, &b);
    rig_free(&r);
  }
}

static void a_model_without_trainable_parameters_is_refused(void **unused) {
  (void)unused;
  rig r;
  setup s = make_setup(0, "{sgd: {}}", 0);
  rig_open(&r, &s);
  rig_model(&r, "input_features: [{name: x}]\noutput_features: [{name: score, decoder:\n"
                "  {type: graph, layers: [{Dense: 1, trainable: false}]}}]\n");
  assert_int_equal(rig_try_program(&r, &r.program), CO_ERR_CONFIG);
  assert_non_null(strstr(co_error_last()->message, "no parameter to train"));
  rig_free(&r);
}

// w -= lr rate (g + weight_decay decay w), for every parameter with its own rate and decay.
static void rates_and_decay_are_per_parameter(void **unused) {
  (void)unused;
  for (int p = 0; p < POLICIES; p++) {
    setup s = make_setup(p, "{sgd: {weight_decay: 0.3}}", 0);
    rig r;
    rig_open(&r, &s);
    rig_model(&r, "input_features: [{name: x, encoder: {type: graph, layers: [{Dense: 7},\n"
                  "  {Dense: 6, name: slow}, BatchNormalization]}}]\n"
                  "output_features: [{name: score}]\n");
    for (int64_t i = 0; i < r.graph->param_count; i++)
      if (strstr(r.graph->params[i].name, "slow")) r.graph->params[i].rate = 0.125;
    rig_program(&r);
    batch b;
    batch_make(&r, &b, 6, 2);
    double *before[16];
    for (int64_t e = 0; e < r.store->count; e++)
      before[e] = entry_read(&r, e, CO_BLOCK_PARAM);
    train(&r, 0, &b, 0, 0.5);
    for (int64_t e = 0; e < r.store->count; e++) {
      const co_param_info *info = &r.store->entries[e].info;
      if (info->state) continue;
      double rate = 0.5 * (strstr(info->name, "slow") ? 0.125 : 1);
      double decay = strstr(info->name, "kernel") ? 0.3 : 0; // neither biases nor normalisation
      const double *after = entry_read(&r, e, CO_BLOCK_PARAM);
      const double *gradient = entry_read(&r, e, CO_BLOCK_GRADIENT);
      for (int64_t i = 0; i < entry_count(&r, e); i++) {
        double expected = before[e][i] - rate * (gradient[i] + decay * before[e][i]);
        assert_true(fabs(after[i] - expected) <= policies[p].tolerance);
      }
    }
    batch_free(&r, &b);
    rig_free(&r);
  }
}

static const char normalised[] = "input_features: [{name: x, encoder: {type: graph, layers: [\n"
                                 "  {BatchNormalization: {momentum: 0.75, epsilon: 0.01}}]}}]\n"
                                 "output_features: [{name: score}]\n";

static void column_statistics(const rig *r, const batch *b, int k, double *mean, double *variance) {
  *mean = *variance = 0;
  for (int64_t i = 0; i < b->rows; i++)
    *mean += batch_get(r, b, "x", 5 * i + k);
  *mean /= (double)b->rows;
  for (int64_t i = 0; i < b->rows; i++)
    *variance += pow(batch_get(r, b, "x", 5 * i + k) - *mean, 2);
  *variance /= (double)b->rows;
}

static void check_prediction(rig *r, const batch *b, double tolerance) {
  const double *mean = entry_read(r, entry_find(r, "x/batch_normalization/moving_mean"), 0);
  const double *variance = entry_read(r, entry_find(r, "x/batch_normalization/moving_variance"), 0);
  const double *gamma = entry_read(r, entry_find(r, "x/batch_normalization/gamma"), 0);
  const double *beta = entry_read(r, entry_find(r, "x/batch_normalization/beta"), 0);
  const double *kernel = entry_read(r, entry_find(r, "score/value/kernel"), 0);
  const double *bias = entry_read(r, entry_find(r, "score/value/bias"), 0);
  double out[6];
  OK(co_executor_read_output(co_program_evaluator(r->program), 0, out));
  for (int row = 0; row < 6; row++) {
    double expected = bias[0];
    for (int k = 0; k < 5; k++)
      expected += kernel[k] * (gamma[k] * (batch_get(r, b, "x", 5 * row + k) - mean[k]) /
                                   sqrt(variance[k] + 0.01) +
                               beta[k]);
    double got = r->setup.real == CO_F64 ? out[row] : (double)((float *)out)[row];
    assert_true(fabs(got - expected) <= tolerance);
  }
}

static void running_statistics_follow_training_only(void **unused) {
  (void)unused;
  for (int p = 0; p < POLICIES; p++) {
    setup s = make_setup(p, "{adamw: {weight_decay: 0.5}}", 0.001);
    s.evaluation_rows = 6;
    rig r;
    rig_make(&r, &s, normalised);
    int64_t mean = entry_find(&r, "x/batch_normalization/moving_mean");
    int64_t variance = entry_find(&r, "x/batch_normalization/moving_variance");
    double expected_mean[5] = {0}, expected_variance[5] = {1, 1, 1, 1, 1};
    for (uint32_t step = 0; step < 4; step++) {
      batch b;
      batch_make(&r, &b, 6, step);
      uint64_t version = r.store->version; // what is derived from parameters goes by it
      train(&r, 0, &b, step, 0.1);
      assert_true(r.store->version > version);
      version = r.store->version;
      for (int k = 0; k < 5; k++) {
        double m, v;
        column_statistics(&r, &b, k, &m, &v);
        expected_mean[k] = 0.75 * expected_mean[k] + 0.25 * m;
        expected_variance[k] = 0.75 * expected_variance[k] + 0.25 * v; // the biased one
        assert_true(fabs(entry_read(&r, mean, 0)[k] - expected_mean[k]) <= policies[p].tolerance);
        assert_true(fabs(entry_read(&r, variance, 0)[k] - expected_variance[k]) <=
                    policies[p].tolerance);
      }
      const void *parameters = block_copy(&r, CO_BLOCK_PARAM, false);
      const void *state = block_copy(&r, CO_BLOCK_PARAM, true);
      OK(co_program_evaluate(r.program, b.inputs));
      assert_true(block_equal(&r, CO_BLOCK_PARAM, false, parameters));
      assert_true(block_equal(&r, CO_BLOCK_PARAM, true, state));
      assert_true(r.store->version == version);
      check_prediction(&r, &b, 10 * policies[p].tolerance);
      batch_free(&r, &b);
    }
    rig_free(&r);
  }
}

static const char plain[] = "input_features: [{name: x, encoder: {type: graph, layers: [\n"
                            "  {Dense: {units: 6, activation: relu}}]}}]\n"
                            "output_features: [{name: score}]\n";

// The bad value reaches every channel of the normalisation.
static const char bad_reaches_all[] =
    "input_features: [{name: x, encoder: {type: graph, layers: [\n"
    "  {Dense: {units: 6}}, BatchNormalization, ReLU]}}]\n"
    "output_features: [{name: score}]\n";

static void steps_that_are_not_finite_leave_the_state(void **unused) {
  (void)unused;
  for (int p = 0; p < 2 * POLICIES; p++) {
    rig r;
    setup s = make_setup(p / 2, "{sgd: {}}", 0.5);
    rig_make(&r, &s, bad_reaches_all);
    batch good, bad;
    batch_make(&r, &good, 6, 2);
    batch_make(&r, &bad, 6, 2);
    batch_set(&r, &bad, "x", 7, p % 2 ? NAN : INFINITY);
    train(&r, 0, &good, 0, 0.1);
    const void *state = block_copy(&r, CO_BLOCK_PARAM, true);
    co_step step = step_for(&r, &bad, 1, 0.1);
    co_step_result result;
    train_with(&r, 0, &bad, &step, &result);
    assert_false(result.finite);
    assert_true(block_equal(&r, CO_BLOCK_PARAM, true, state));
    batch_free(&r, &good);
    batch_free(&r, &bad);
    rig_free(&r);
  }
}

static void steps_that_are_not_finite_change_nothing(void **unused) {
  (void)unused;
  static const char *const optimizers[] = {"{sgd: {momentum: 0.9}}", "{adam: {}}"};
  for (int p = 0; p < 2 * POLICIES; p++) {
    rig r;
    setup s = make_setup(p / 2, optimizers[p % 2], 0.5);
    rig_make(&r, &s, plain);
    batch good, bad;
    batch_make(&r, &good, 6, 2);
    batch_make(&r, &bad, 6, 2);
    batch_set(&r, &bad, "x", 7, p % 4 < 2 ? NAN : INFINITY);
    train(&r, 0, &good, 0, 0.1);
    assert_int_equal(co_program_updates(r.program, 0), 1);
    const void *w = block_copy(&r, CO_BLOCK_PARAM, false);
    const void *m = block_copy(&r, CO_BLOCK_SLOT0, false);
    const void *v = p % 2 ? block_copy(&r, CO_BLOCK_SLOT1, false) : NULL;
    co_step step = step_for(&r, &bad, 1, 0.1);
    co_step_result result;
    train_with(&r, 0, &bad, &step, &result);
    assert_false(result.finite);
    assert_false(isfinite(result.gradient_norm));
    assert_true(block_equal(&r, CO_BLOCK_PARAM, false, w));
    assert_true(block_equal(&r, CO_BLOCK_SLOT0, false, m));
    if (v) assert_true(block_equal(&r, CO_BLOCK_SLOT1, false, v));
    assert_int_equal(co_program_updates(r.program, 0), 1);
    train(&r, 0, &good, 2, 0.1); // and training goes on
    assert_int_equal(co_program_updates(r.program, 0), 2);
    assert_false(block_equal(&r, CO_BLOCK_PARAM, false, w));
    batch_free(&r, &good);
    batch_free(&r, &bad);
    rig_free(&r);
  }
}

// ema += (1 - min(decay, (1 + t) / (10 + t))) (w - ema), from the first weights on.
static void averages_follow_the_weights(void **unused) {
  (void)unused;
  for (int p = 0; p < POLICIES; p++) {
    setup s = make_setup(p, "{adam: {}}", 0);
    s.phase[0].ema_decay = 0.3;
    rig r;
    rig_make(&r, &s, frozen_model);
    batch b;
    batch_make(&r, &b, 6, 2);
    double *average[16];
    for (int64_t e = 0; e < r.store->count; e++)
      average[e] = entry_read(&r, e, CO_BLOCK_PARAM);
    for (uint32_t step = 0; step < 6; step++) {
      double t = step + 1, decay = fmin(0.3, (1 + t) / (10 + t)); // from the fourth on 0.3
      train(&r, 0, &b, step, 0.1);
      for (int64_t e = 0; e < r.store->count; e++) {
        if (r.store->entries[e].info.state) continue;
        const double *w = entry_read(&r, e, CO_BLOCK_PARAM), *ema = entry_read(&r, e, CO_BLOCK_EMA);
        for (int64_t i = 0; i < entry_count(&r, e); i++) {
          average[e][i] += (1 - decay) * (w[i] - average[e][i]);
          assert_true(fabs(ema[i] - average[e][i]) <= policies[p].tolerance);
        }
      }
    }
    const void *ema = block_copy(&r, CO_BLOCK_EMA, false);
    assert_false(block_equal(&r, CO_BLOCK_PARAM, false, ema));
    batch_set(&r, &b, "score", 2, NAN);
    co_step step = step_for(&r, &b, 6, 0.1);
    co_step_result result;
    train_with(&r, 0, &b, &step, &result);
    assert_false(result.finite);
    assert_true(block_equal(&r, CO_BLOCK_EMA, false, ema));
    batch_free(&r, &b);
    rig_free(&r);
  }
}

static const void *scores_of(rig *r, const batch *b) {
  float *out = co_arena_alloc(r->arena, (size_t)b->rows, sizeof *out);
  OK(co_program_evaluate(r->program, b->inputs));
  OK(co_executor_read_output(co_program_evaluator(r->program), 0, out));
  return out;
}

// Evaluation reads the averages, in bf16 by way of a mirror of theirs, and never what is trained.
static void averages_are_evaluated(void **unused) {
  (void)unused;
  for (int bf16 = 0; bf16 < 2; bf16++) {
    setup s = {.backend = "cpu",
               .real = CO_F32,
               .bf16 = bf16,
               .rows = 6,
               .evaluation_rows = 6,
               .phase = {{.optimizer = "{adam: {}}", .ema_decay = 0.3}}};
    rig averaged, other;
    rig_make(&averaged, &s, plain);
    s.phase[0].ema_decay = 0;
    rig_make(&other, &s, plain);
    batch b;
    batch_make(&averaged, &b, 6, 2);
    assert_memory_equal(scores_of(&averaged, &b), scores_of(&other, &b), 6 * sizeof(float));
    for (uint32_t step = 0; step < 3; step++)
      train(&averaged, 0, &b, step, 0.1);
    const void *trained = scores_of(&averaged, &b);
    assert_memory_not_equal(trained, scores_of(&other, &b), 6 * sizeof(float));
    for (int64_t e = 0; e < other.store->count; e++)
      entry_write(&other, e, CO_BLOCK_PARAM, entry_read(&averaged, e, CO_BLOCK_EMA));
    assert_memory_equal(trained, scores_of(&other, &b), 6 * sizeof(float));
    batch_free(&averaged, &b);
    rig_free(&averaged);
    rig_free(&other);
  }
}

static void clipping_bounds_the_norm(void **unused) {
  (void)unused;
  for (int p = 0; p < POLICIES; p++) {
    setup s = make_setup(p, "{sgd: {}}", 0.01);
    rig r;
    rig_make(&r, &s, plain);
    batch b;
    batch_make(&r, &b, 6, 2);
    double *before[8], norm = 0, moved = 0;
    for (int64_t e = 0; e < r.store->count; e++)
      before[e] = entry_read(&r, e, CO_BLOCK_PARAM);
    co_step step = step_for(&r, &b, 0, 1);
    co_step_result result;
    train_with(&r, 0, &b, &step, &result);
    for (int64_t e = 0; e < r.store->count; e++)
      for (int64_t i = 0; i < entry_count(&r, e); i++) {
        norm += pow(entry_read(&r, e, CO_BLOCK_GRADIENT)[i], 2);
        moved += pow(entry_read(&r, e, CO_BLOCK_PARAM)[i] - before[e][i], 2);
      }
    assert_true(norm > 1e-3);
    assert_true(fabs(result.gradient_norm - sqrt(norm)) <= 1e-6 * sqrt(norm));
    assert_true(fabs(sqrt(moved) - 0.01) <= 1e-6);
    batch_free(&r, &b);
    rig_free(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(frozen_layers_stay),
      cmocka_unit_test(a_model_without_trainable_parameters_is_refused),
      cmocka_unit_test(rates_and_decay_are_per_parameter),
      cmocka_unit_test(running_statistics_follow_training_only),
      cmocka_unit_test(steps_that_are_not_finite_leave_the_state),
      cmocka_unit_test(steps_that_are_not_finite_change_nothing),
      cmocka_unit_test(averages_follow_the_weights),
      cmocka_unit_test(averages_are_evaluated),
      cmocka_unit_test(clipping_bounds_the_norm)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
