// SPDX-License-Identifier: Apache-2.0
// Normalisations that plans for scoring fold into the weights before them.
#include "tests/train/helpers.h"

#include <math.h>
#include <string.h>

enum { ROWS = 5, WIDTH = 4 };

// Folded: norm, norm_1 (no bias, relu), up_norm, dense_norm. Not: one behind an activation, one whose
// convolution is read by others, and one behind no product.
static const char model[] =
    "input_features:\n"
    "  - {name: image, encoder: {type: graph, layers: [\n"
    "      BatchNormalization,\n"
    "      {Conv2D: {filters: 8, kernel_size: 3, padding: same}, name: stem},\n"
    "      {BatchNormalization: {}, name: norm},\n"
    "      {Conv2D: {filters: 8, kernel_size: 3, padding: same, groups: 2, use_bias: false}},\n"
    "      {BatchNormalization: {}, name: norm_1}, ReLU,\n"
    "      {Conv2D: {filters: 6, kernel_size: 3, activation: relu}}, BatchNormalization,\n"
    "      {Conv2DTranspose: {filters: 7, kernel_size: 3, strides: 2}},\n"
    "      {BatchNormalization: {}, name: up_norm},\n"
    "      {Conv2D: {filters: 7, kernel_size: 1}, name: read}, BatchNormalization,\n"
    "      {Add: {}, inputs: [batch_normalization_2, read]}, GlobalAveragePooling2D,\n"
    "      {Dense: 6}, {BatchNormalization: {}, name: dense_norm}, ReLU]}}\n"
    "output_features: [{name: label}]\n";

static int count(const co_plan *plan, co_op op) {
  int found = 0;
  for (int64_t i = 0; i < plan->op_count; i++)
    found += plan->ops[i].desc.op == op;
  return found;
}

static const co_plan *scoring(const rig *r) {
  return co_executor_plan(co_program_evaluator(r->program));
}

static void score(rig *r, const batch *b, double *out) {
  float narrow[ROWS * WIDTH];
  const bool wide = r->setup.real == CO_F64;
  OK(co_program_evaluate(r->program, b->inputs));
  OK(co_executor_read_output(co_program_evaluator(r->program), 0,
                             wide ? (void *)out : (void *)narrow));
  for (int i = 0; !wide && i < ROWS * WIDTH; i++)
    out[i] = (double)narrow[i];
}

static double difference(const double *a, const double *b) {
  double most = 0;
  for (int i = 0; i < ROWS * WIDTH; i++)
    most = fmax(most, fabs(a[i] - b[i]));
  return most;
}

// The scores of parameters that were trained meanwhile, of their averages, beside a plan without fusion.
static void check(co_dtype real, double tolerance) {
  setup s = {.backend = "cpu",
             .real = real,
             .rows = ROWS,
             .evaluation_rows = ROWS,
             .infer = true,
             .phase = {{.ema_decay = 0.5}}};
  rig folded, plain;
  batch b, same;
  double before[ROWS * WIDTH], after[ROWS * WIDTH], expected[ROWS * WIDTH];
  rig_make(&folded, &s, model);
  s.no_fusion = true;
  rig_make(&plain, &s, model);
  batch_make(&folded, &b, ROWS, 1);
  batch_make(&plain, &same, ROWS, 1);
  assert_int_equal(count(scoring(&folded), CO_OP_FOLD_BATCH_NORM), 4);
  assert_int_equal(count(scoring(&folded), CO_OP_BATCH_NORM_INFERENCE), 3);
  assert_int_equal(count(scoring(&plain), CO_OP_FOLD_BATCH_NORM), 0);
  assert_int_equal(count(scoring(&plain), CO_OP_BATCH_NORM_INFERENCE), 7);
  assert_int_equal(count(co_program_plan(folded.program, 0), CO_OP_FOLD_BATCH_NORM), 0); // training
  co_program_bytes bytes;
  co_program_get_bytes(folded.program, &bytes);
  assert_true(scoring(&folded)->kept_bytes >= 8 * 18 * 4);
  assert_true(bytes.arena >= scoring(&folded)->arena_bytes + scoring(&folded)->kept_bytes);
  score(&folded, &b, before);
  for (uint32_t step = 0; step < 3; step++)
    train(&folded, 0, &b, step, 0.3);
  for (int64_t e = 0; e < folded.store->count; e++) {
    const double *values = entry_read(&folded, e, CO_BLOCK_EMA);
    entry_write(&plain, e, CO_BLOCK_PARAM, values);
    if (!folded.store->entries[e].info.state) entry_write(&plain, e, CO_BLOCK_EMA, values);
  }
  score(&folded, &b, after);
  score(&plain, &same, expected);
  assert_true(difference(before, after) > 100 * tolerance);
  assert_true(difference(after, expected) < tolerance);
  score(&folded, &b, expected);
  assert_memory_equal(after, expected, sizeof after);
  batch_free(&folded, &b);
  batch_free(&plain, &same);
  rig_free(&folded);
  rig_free(&plain);
}

static void scoring_folds_normalisations(void **unused) {
  (void)unused;
  check(CO_F64, 1e-12);
  check(CO_F32, 1e-5);
}

// Evaluation in training, bf16 and the reference stay as they are.
static void others_do_not(void **unused) {
  (void)unused;
  for (int i = 0; i < 3; i++) {
    rig r;
    setup s = {.backend = i == 2 ? "ref" : "cpu",
               .real = CO_F32,
               .rows = ROWS,
               .evaluation_rows = ROWS,
               .bf16 = i == 1,
               .infer = i > 0};
    rig_make(&r, &s, model);
    assert_int_equal(count(scoring(&r), CO_OP_FOLD_BATCH_NORM), 0);
    assert_int_equal(count(scoring(&r), CO_OP_BATCH_NORM_INFERENCE), 7);
    rig_free(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(scoring_folds_normalisations),
                                     cmocka_unit_test(others_do_not)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
