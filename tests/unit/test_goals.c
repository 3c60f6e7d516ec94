// SPDX-License-Identifier: Apache-2.0
// Two goals: the front and the order of trials as Optuna 5.0.0 has them, and weights.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "host/tune/goals.h"

#define OK(call) assert_int_equal((call), CO_OK)
enum { TRIALS = 60 };

static double first_loss(int i) {
  return (i * 37 % 61) / 60.0;
}

static double second_loss(int i) {
  return (i * 23 % 59) / 58.0 + 0.3 * pow(1 - first_loss(i), 2) - 0.5;
}

// Trial 17 is as trial 16.
static int like(int i) {
  return i == 17 ? 16 : i;
}

static void fill(co_known_trial *known) {
  for (int i = 0; i < TRIALS; i++)
    known[i] = (co_known_trial){.loss = first_loss(like(i)), .second = second_loss(like(i))};
}

// The trials that _split_complete_trials_multi_objective puts below, of so many.
static void the_order_is_optunas(void **state) {
  static const int best3[] = {0, 49, 59}, best9[] = {0, 39, 44, 49, 52, 54, 55, 57, 59},
                   best20[] = {0,  21, 26, 34, 36, 38, 39, 42, 43, 44,
                               45, 48, 49, 52, 53, 54, 55, 57, 58, 59};
  const struct {
    const int *best;
    int count;
  } cases[] = {{best3, 3}, {best9, 9}, {best20, 20}};
  co_known_trial known[TRIALS + 3];
  co_context *ctx = *state;
  bool there[TRIALS + 1] = {false};
  fill(known);
  known[TRIALS] = (co_known_trial){.loss = NAN, .second = NAN};    // it runs
  known[TRIALS + 1] = (co_known_trial){.loss = -9, .second = NAN}; // somebody told one value
  known[TRIALS + 2] = (co_known_trial){.loss = -INFINITY, .second = 0};
  OK(co_goals_order(known, TRIALS + 3, ctx));
  for (int c = 0; c < 3; c++)
    for (int k = 0; k < cases[c].count; k++)
      assert_true(known[cases[c].best[k]].loss < cases[c].count);
  for (int i = 0; i < TRIALS; i++) { // each place once
    int place = (int)known[i].loss;
    assert_true(place >= 0 && place < TRIALS && !there[place]);
    there[place] = true;
  }
  assert_true(isnan(known[TRIALS].loss) && isnan(known[TRIALS + 1].loss));
  assert_true(known[TRIALS + 2].loss == INFINITY);
}

static void the_front_is_optunas(void **state) {
  static const int64_t on[] = {0, 39, 44, 49, 54, 57, 59};
  static co_trial items[TRIALS + 3];
  co_context *ctx = *state;
  co_arena *arena;
  co_front front;
  OK(co_arena_create(&arena, ctx));
  for (int i = 0; i < TRIALS; i++)
    items[i] = (co_trial){.number = i,
                          .state = CO_TRIAL_COMPLETE,
                          .value = first_loss(like(i)),
                          .second = -second_loss(like(i))};
  items[TRIALS] = (co_trial){.state = CO_TRIAL_PRUNED, .value = -1, .second = 9};
  items[TRIALS + 1] = (co_trial){.state = CO_TRIAL_COMPLETE, .value = -1, .second = NAN};
  items[TRIALS + 2] = items[49]; // as good as one of the front
  const co_trials all = {items, TRIALS + 3}, none = {items, 0};
  OK(co_front_find(&front, arena, &all, false, true));
  assert_int_equal(front.count, 8);
  for (int64_t i = 0; i < front.count; i++) {
    bool found = front.number[i] == TRIALS + 2;
    for (int k = 0; k < 7; k++)
      found = found || front.number[i] == on[k];
    assert_true(found);
    if (i) assert_true(items[front.number[i]].value >= items[front.number[i - 1]].value);
  }
  OK(co_front_find(&front, arena, &none, false, true));
  assert_int_equal(front.count, 0);
  co_arena_free(arena);
}

// The weights of many trials reach both ends of the front; a dominated one is never the best.
static void weights_differ_by_trial(void **state) {
  static const int on[] = {0, 39, 44, 49, 54, 57, 59};
  bool chosen[TRIALS] = {false};
  int different = 0;
  (void)state;
  for (int number = 0; number < 200; number++) {
    co_known_trial known[TRIALS];
    int best = 0;
    fill(known);
    co_goals_weigh(known, TRIALS, 7, number);
    for (int i = 1; i < TRIALS; i++)
      if (known[i].loss < known[best].loss) best = i;
    chosen[best] = true;
  }
  for (int k = 0; k < 7; k++) {
    different += chosen[on[k]];
    chosen[on[k]] = false;
  }
  for (int i = 0; i < TRIALS; i++)
    assert_false(chosen[i]);
  assert_true(different >= 4);
}

static int setup(void **state) {
  return co_context_create((co_context **)state, NULL);
}

static int teardown(void **state) {
  assert_int_equal(co_alloc_get_stats(*state).live_blocks, 0);
  co_context_free(*state);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_order_is_optunas),
                                     cmocka_unit_test(the_front_is_optunas),
                                     cmocka_unit_test(weights_differ_by_trial)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
