// SPDX-License-Identifier: Apache-2.0
// Equal inputs give equal bytes: again, beside another program, in another context.
#include "helpers.h"

#include <string.h>

static const char model[] =
    "input_features:\n"
    "  - name: wide_image\n"
    "    encoder: {type: graph, layers: [\n"
    "      {Conv2D: {filters: 16, kernel_size: 3, padding: same, use_bias: false}},\n"
    "      BatchNormalization, ReLU,\n"
    "      MaxPooling2D, {Conv2D: {filters: 16, kernel_size: 3, activation: relu}}, Flatten,\n"
    "      {Dense: {units: 24, activation: relu}}, {Dropout: 0.5}]}\n"
    "output_features: [{name: label}]\n";

enum { STEPS = 6, ROWS = 8, LAST = 5 };

static setup make_setup(const char *backend, int threads) {
  return (setup){.backend = backend,
                 .real = CO_F32,
                 .threads = threads,
                 .rows = 4,
                 .batch = {ROWS, LAST},
                 .evaluation_rows = ROWS,
                 .phase = {{.optimizer = "{adamw: {}}", .clip_norm = 1}}};
}

static void one_step(rig *r, uint32_t step) {
  batch b;
  batch_make(r, &b, step % 3 == 2 ? LAST : ROWS, step);
  train(r, 0, &b, step, 0.01);
  batch_free(r, &b);
}

static void expect_equal(rig *a, rig *b) {
  assert_true(block_equal(a, CO_BLOCK_PARAM, false, block_copy(b, CO_BLOCK_PARAM, false)));
  assert_true(block_equal(a, CO_BLOCK_PARAM, true, block_copy(b, CO_BLOCK_PARAM, true)));
  assert_true(block_equal(a, CO_BLOCK_SLOT0, false, block_copy(b, CO_BLOCK_SLOT0, false)));
  assert_true(block_equal(a, CO_BLOCK_SLOT1, false, block_copy(b, CO_BLOCK_SLOT1, false)));
  char one[65], other[65];
  OK(co_store_fingerprint(a->store, one));
  OK(co_store_fingerprint(b->store, other));
  assert_string_equal(one, other);
}

static const struct {
  const char *backend;
  int threads;
} lanes[] = {{"ref", 1}, {"cpu", 1}, {"cpu", 2}};
enum { LANES = sizeof lanes / sizeof *lanes, ONE_THREAD = 2 }; // one thread: the first two

static void interleaved_programs_do_not_see_each_other(void **unused) {
  (void)unused;
  for (int l = 0; l < LANES; l++) {
    setup s = make_setup(lanes[l].backend, lanes[l].threads);
    rig alone, first, second;
    rig_make(&alone, &s, model);
    for (uint32_t step = 0; step < STEPS; step++)
      one_step(&alone, step);
    rig_make(&first, &s, model); // contexts of their own, alive together
    rig_make(&second, &s, model);
    for (uint32_t step = 0; step < STEPS; step++) {
      one_step(&first, step);
      one_step(&second, step);
    }
    expect_equal(&alone, &first);
    expect_equal(&alone, &second);
    rig_free(&alone);
    rig_free(&first);
    rig_free(&second);
  }
}

// Two programs on one context and one backend.
static void programs_share_a_backend(void **unused) {
  (void)unused;
  for (int l = 0; l < ONE_THREAD; l++) {
    setup s = make_setup(lanes[l].backend, lanes[l].threads);
    rig alone, shared;
    rig_make(&alone, &s, model);
    rig_make(&shared, &s, model);
    rig other = shared; // the same but for the program
    OK(rig_try_program(&shared, &other.program));
    other.store = co_program_store(other.program);
    OK(co_store_initialize(other.store, 2));
    for (uint32_t step = 0; step < STEPS; step++) {
      one_step(&alone, step);
      one_step(&other, step + 100);
      one_step(&shared, step);
    }
    expect_equal(&alone, &shared);
    co_program_free(other.program);
    rig_free(&alone);
    rig_free(&shared);
  }
}

// Evaluating in between leaves no trace.
static void evaluation_leaves_no_trace(void **unused) {
  (void)unused;
  for (int l = 0; l < ONE_THREAD; l++) {
    setup s = make_setup(lanes[l].backend, lanes[l].threads);
    rig quiet, watched;
    rig_make(&quiet, &s, model);
    rig_make(&watched, &s, model);
    batch b;
    batch_make(&watched, &b, ROWS, 50);
    for (uint32_t step = 0; step < STEPS; step++) {
      one_step(&quiet, step);
      one_step(&watched, step);
      OK(co_program_evaluate(watched.program, b.inputs));
    }
    expect_equal(&quiet, &watched);
    batch_free(&watched, &b);
    rig_free(&quiet);
    rig_free(&watched);
  }
}

// Another number of threads adds in another order, and does nothing else: the same dropout, the same
// statistics, gradients to rounding. (Equal bytes are not promised.)
static void thread_counts_change_rounding_alone(void **unused) {
  (void)unused;
  setup one = make_setup("cpu", 1), two = make_setup("cpu", 2);
  rig a, b;
  rig_make(&a, &one, model);
  rig_make(&b, &two, model);
  one_step(&a, 0);
  one_step(&b, 0);
  for (int64_t e = 0; e < a.store->count; e++) {
    bool state = a.store->entries[e].info.state;
    double off = entry_difference(&a, &b, e, state ? CO_BLOCK_PARAM : CO_BLOCK_GRADIENT);
    // Sums of 8 rows x 256 places at most: some roundings of 2^-24 of the largest.
    if (!(off <= 1e-5)) fail_msg("%s: %g", a.store->entries[e].info.name, off);
    assert_true(entry_largest(&b, e, state ? CO_BLOCK_PARAM : CO_BLOCK_GRADIENT) > 0);
  }
  rig_free(&a);
  rig_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(interleaved_programs_do_not_see_each_other),
                                     cmocka_unit_test(programs_share_a_backend),
                                     cmocka_unit_test(evaluation_leaves_no_trace),
                                     cmocka_unit_test(thread_counts_change_rounding_alone)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
