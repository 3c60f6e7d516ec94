// SPDX-License-Identifier: Apache-2.0
// Learning-rate schedules against values worked out by hand.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "host/graph/schedule/schedule.h"

static void is(const co_schedule_options *options, int64_t step, int64_t total, double want) {
  double got = co_schedule_factor(options, step, total);
  if (!(fabs(got - want) <= 1e-12)) fail_msg("step %lld: %.15g", (long long)step, got);
}

static void test_factors(void **state) {
  (void)state;
  const co_schedule_options none = {.decay = CO_DECAY_NONE, .warmup_fraction = 0.2};
  is(&none, 0, 20, 0.25);
  is(&none, 3, 20, 1);
  is(&none, 19, 20, 1);
  const co_schedule_options linear = {.decay = CO_DECAY_LINEAR, .minimum_fraction = 0.2};
  is(&linear, 5, 20, 0.8);
  const co_schedule_options cosine = {.decay = CO_DECAY_COSINE, .minimum_fraction = 0.2};
  is(&cosine, 10, 20, 0.6);
  is(&cosine, 5, 20, 0.6 + 0.4 * sqrt(0.5));
  co_schedule_options step = {
      .decay = CO_DECAY_STEP, .decay_rate = 0.5, .decay_steps = 10, .warmup_fraction = 0.1};
  is(&step, 9, 100, 1); // warm-up is over
  is(&step, 19, 100, 1);
  is(&step, 20, 100, 0.5);
  is(&step, 49, 100, 0.125);
  step.minimum_fraction = 0.3;
  is(&step, 49, 100, 0.3);
  const co_schedule_options exponential = {
      .decay = CO_DECAY_EXPONENTIAL, .decay_rate = 0.25, .decay_steps = 10};
  is(&exponential, 0, 100, 1);
  is(&exponential, 5, 100, 0.5);
  is(&exponential, 20, 100, 0.0625);
  // As PyTorch's OneCycleLR, of which this is the factor on max_lr.
  const co_schedule_options cycle = {.decay = CO_DECAY_ONE_CYCLE};
  is(&cycle, 0, 100, 0.04);
  is(&cycle, 29, 100, 1);
  is(&cycle, 64, 100, 0.500002);
  is(&cycle, 99, 100, 0.000004);
  is(&cycle, 100, 100, 0.000004);
  is(&cycle, 0, 2, 0.000004 + (1 - 0.000004) * 0.5 * (1 + cos(3.141592653589793 * 0.4 / 1.4)));
  const co_schedule_options polynomial = {
      .decay = CO_DECAY_POLYNOMIAL, .minimum_fraction = 0.2, .power = 2};
  is(&polynomial, 0, 20, 1);
  is(&polynomial, 5, 20, 0.65);
  is(&polynomial, 10, 20, 0.4);
  is(&polynomial, 20, 20, 0.2);
  // As PyTorch's CosineAnnealingWarmRestarts of T_0 = 3: cycles of 3, 6, 12, …, or of 3 each.
  co_schedule_options restarts = {.decay = CO_DECAY_COSINE_RESTARTS,
                                  .minimum_fraction = 0.1,
                                  .decay_steps = 3,
                                  .restart_factor = 2};
  const double twice[] = {1,    0.775, 0.325,          1, 0.939711431703, 0.775,
                          0.55, 0.325, 0.160288568297, 1};
  for (int64_t i = 0; i < 10; i++)
    assert_float_equal(co_schedule_factor(&restarts, i, 100), twice[i], 1e-11);
  is(&restarts, 21, 100, 1);
  is(&restarts, 45, 100, 1);
  is(&restarts, 33, 100, 0.55);
  restarts.restart_factor = 1;
  is(&restarts, 5, 100, 0.325);
  is(&restarts, 6, 100, 1);
  const co_schedule_options plateau = {.decay = CO_DECAY_PLATEAU, .decay_rate = 0.1, .patience = 1};
  is(&plateau, 50, 100, 1); // the training's state has the rest
}

static void test_cycles(void **state) {
  (void)state;
  assert_true(co_cyclic_warmup(0.5, 0, 0, 20) == 1); // of losses that have none
  assert_true(co_cyclic_warmup(0.5, 1, 5, 20) == 0.5);
  assert_true(co_cyclic_warmup(0.5, 1, 10, 20) == 1);
  const double of_five[] = {0, 0.5, 1, 1, 1};
  for (int64_t step = 0; step < 20; step++)
    assert_true(fabs(co_cyclic_warmup(0.4, 4, step, 20) - of_five[step % 5]) <= 1e-12);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_factors), cmocka_unit_test(test_cycles)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
