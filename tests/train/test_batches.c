// SPDX-License-Identifier: Apache-2.0
// How a batch is cut does not matter: micro-batches, the last partial batch, missing targets.
#include "helpers.h"

#include <math.h>
#include <string.h>

static const char model[] =
    "input_features:\n"
    "  - name: image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 8, kernel_size: 3, activation: relu}}, {Dropout: 0.4}, Flatten,\n"
    "      {Dense: {units: 9, activation: relu}}, {Dropout: 0.3}]}\n"
    "output_features: [{name: label}, {name: vector, weight: 2.0}]\n";

static const struct policy {
  const char *backend;
  co_dtype real;
  double tolerance;
} policies[] = {{"ref", CO_F64, 1e-13}, {"ref", CO_F32, 1e-5}, {"cpu", CO_F32, 1e-5}};
enum { POLICIES = sizeof policies / sizeof *policies };

// Row weights that differ, some of them 0.
static void weigh(rig *r, batch *b) {
  for (int64_t i = 0; i < b->rows; i++) {
    batch_set(r, b, "label.weight", i, 0.25 * (double)(i % 4));
    batch_set(r, b, "vector.weight", i, i % 3 ? 1 : 0.5);
  }
}

static void cut_equals_whole(int64_t total, int64_t rows) {
  for (int p = 0; p < POLICIES; p++) {
    setup s = {.backend = policies[p].backend,
               .real = policies[p].real,
               .rows = rows,
               .batch = {total},
               .phase = {{.optimizer = "{sgd: {momentum: 0.5}}", .clip_norm = 0.1}}};
    rig cut, whole;
    rig_make(&cut, &s, model);
    s.rows = total;
    rig_make(&whole, &s, model);
    batch a, b;
    batch_make(&cut, &a, total, 3);
    batch_make(&whole, &b, total, 3);
    weigh(&cut, &a);
    weigh(&whole, &b);
    for (uint32_t step = 0; step < 3; step++) {
      double x = train(&cut, 0, &a, step, 0.1), y = train(&whole, 0, &b, step, 0.1);
      if (!(fabs(x - y) <= policies[p].tolerance * fabs(y))) fail_msg("losses %.17g, %.17g", x, y);
      for (int64_t e = 0; e < cut.store->count; e++) {
        assert_true(entry_difference(&cut, &whole, e, CO_BLOCK_GRADIENT) <= policies[p].tolerance);
        assert_true(entry_difference(&cut, &whole, e, CO_BLOCK_PARAM) <= policies[p].tolerance);
      }
    }
    batch_free(&cut, &a);
    batch_free(&whole, &b);
    rig_free(&cut);
    rig_free(&whole);
  }
}

static void four_micro_batches_equal_one_batch(void **unused) {
  (void)unused;
  cut_equals_whole(12, 3);
}

static void last_micro_batch_may_be_short(void **unused) {
  (void)unused;
  cut_equals_whole(11, 4);
}

// A step on the last, smaller batch of an epoch is what a program of that size alone does.
static void partial_batch_shares_the_store(void **unused) {
  (void)unused;
  for (int p = 0; p < POLICIES; p++) {
    setup s = {.backend = policies[p].backend,
               .real = policies[p].real,
               .rows = 8,
               .batch = {8, 5},
               .phase = {{.optimizer = "{adam: {}}"}}};
    rig both, small;
    rig_make(&both, &s, model);
    s.rows = 5;
    s.batch[0] = 5;
    s.batch[1] = 0;
    rig_make(&small, &s, model);
    batch full, part, same;
    batch_make(&both, &full, 8, 3);
    batch_make(&both, &part, 5, 4);
    batch_make(&small, &same, 5, 4);
    train(&both, 0, &full, 0, 0.01);
    for (int64_t e = 0; e < both.store->count; e++)
      for (int block = CO_BLOCK_PARAM; block <= CO_BLOCK_SLOT1; block++)
        if (!both.store->entries[e].info.state)
          entry_write(&small, e, (co_block)block, entry_read(&both, e, (co_block)block));
    co_program_set_updates(small.program, 0, co_program_updates(both.program, 0));
    train(&both, 0, &part, 1, 0.01);
    train(&small, 0, &same, 1, 0.01);
    for (int64_t e = 0; e < both.store->count; e++)
      assert_true(entry_difference(&both, &small, e, CO_BLOCK_PARAM) <= policies[p].tolerance);
    batch_free(&both, &full);
    batch_free(&both, &part);
    batch_free(&small, &same);
    rig_free(&both);
    rig_free(&small);
  }
}

static void unplanned_rows_are_refused(void **unused) {
  (void)unused;
  rig r;
  rig_make(&r, &(setup){.backend = "ref", .real = CO_F32, .rows = 4}, model);
  batch b;
  batch_make(&r, &b, 4, 1);
  co_step step = step_for(&r, &b, 0, 0);
  co_step_result result;
  const co_shape_class unplanned[] = {{.rows = 3}, {.rows = 0}, {.rows = 4, .t = {1}}};
  for (int i = 0; i < 3; i++)
    assert_int_equal(co_program_step(r.program, 0, &unplanned[i], b.inputs, &step, &result),
                     CO_ERR_INTERNAL);
  batch_free(&r, &b);
  rig_free(&r);
}

// What stands in the targets of rows without weight must not matter at all.
static void missing_targets_are_ignored(void **unused) {
  (void)unused;
  for (int p = 0; p < POLICIES; p++) {
    setup s = {.backend = policies[p].backend, .real = policies[p].real, .rows = 6};
    rig missing, filled;
    rig_make(&missing, &s, model);
    rig_make(&filled, &s, model);
    batch a, b;
    batch_make(&missing, &a, 6, 9);
    batch_make(&filled, &b, 6, 9);
    for (int64_t row = 1; row < 6; row += 2) {
      batch_set(&missing, &a, "label", row, -1);
      for (int k = 0; k < 3; k++)
        batch_set(&missing, &a, "vector", 3 * row + k, NAN);
      batch_set(&missing, &a, "label.weight", row, 0);
      batch_set(&filled, &b, "label.weight", row, 0);
      batch_set(&missing, &a, "vector.weight", row, 0);
      batch_set(&filled, &b, "vector.weight", row, 0);
    }
    assert_true(train(&missing, 0, &a, 0, 0.1) == train(&filled, 0, &b, 0, 0.1));
    assert_true(
        block_equal(&missing, CO_BLOCK_PARAM, false, block_copy(&filled, CO_BLOCK_PARAM, false)));
    // All targets of one output missing: its head stands still, the others learn.
    for (int64_t row = 0; row < 6; row++)
      batch_set(&missing, &a, "vector.weight", row, 0);
    train(&missing, 0, &a, 1, 0.1);
    int64_t head = entry_find(&missing, "vector/value/kernel");
    const double *gradient = entry_read(&missing, head, CO_BLOCK_GRADIENT);
    for (int64_t i = 0; i < entry_count(&missing, head); i++)
      assert_true(gradient[i] == 0);
    gradient = entry_read(&missing, entry_find(&missing, "label/logits/bias"), CO_BLOCK_GRADIENT);
    assert_true(fabs(gradient[0]) > 1e-6);
    batch_free(&missing, &a);
    batch_free(&filled, &b);
    rig_free(&missing);
    rig_free(&filled);
  }
}

// A phase asks for the inputs of its own losses only, metrics included.
static void phase_needs_its_own_targets_only(void **unused) {
  (void)unused;
  setup s = {.backend = "cpu", .real = CO_F32, .rows = 6, .phase = {{.losses = 2}}};
  rig r;
  rig_make(&r, &s, model);
  batch b;
  batch_make(&r, &b, 6, 9);
  b.inputs[batch_input(&r, "label")] = NULL;
  b.inputs[batch_input(&r, "label.weight")] = NULL;
  train(&r, 0, &b, 0, 0.1);
  const co_plan *plan = co_program_plan(r.program, 0);
  assert_false(plan->has_gradient[entry_find(&r, "label/logits/kernel")]);
  assert_true(plan->has_gradient[entry_find(&r, "vector/value/kernel")]);
  batch_free(&r, &b);
  rig_free(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(four_micro_batches_equal_one_batch),
                                     cmocka_unit_test(last_micro_batch_may_be_short),
                                     cmocka_unit_test(partial_batch_shares_the_store),
                                     cmocka_unit_test(unplanned_rows_are_refused),
                                     cmocka_unit_test(missing_targets_are_ignored),
                                     cmocka_unit_test(phase_needs_its_own_targets_only)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
