// SPDX-License-Identifier: Apache-2.0
// Student's t against printed tables, and the interval of a mean.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "host/eval/interval.h"

static void near(double value, double wanted, double allowed) {
  if (!(fabs(value - wanted) <= allowed)) fail_msg("%.9g instead of %.9g", value, wanted);
}

static void quantiles_are_those_of_the_tables(void **state) {
  (void)state;
  near(co_student_t(0.95, 1), 12.7062, 5e-5);
  near(co_student_t(0.95, 2), 4.30265, 5e-6);
  near(co_student_t(0.95, 3), 3.18245, 5e-6);
  near(co_student_t(0.95, 4), 2.77645, 5e-6);
  near(co_student_t(0.99, 9), 3.24984, 5e-6);
  near(co_student_t(0.90, 30), 1.69726, 5e-6);
  near(co_student_t(0.95, 999), 1.96234, 5e-6);
}

static void a_mean_has_an_interval(void **state) {
  (void)state;
  const double values[] = {1, 2, 3, 4, 5};
  co_mean mean = co_mean_interval(values, 5, 0.95);
  near(mean.mean, 3, 0);
  near(mean.high, 3 + 2.7764451052 * sqrt(2.5 / 5), 1e-9);
  near(mean.low, 3 - 2.7764451052 * sqrt(2.5 / 5), 1e-9);
  mean = co_mean_interval(values, 1, 0.95);
  assert_true(mean.mean == 1 && isnan(mean.low) && isnan(mean.high));
  const double unknown[] = {1, NAN};
  mean = co_mean_interval(unknown, 2, 0.95);
  assert_true(isnan(mean.mean) && isnan(mean.low) && isnan(mean.high));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(quantiles_are_those_of_the_tables),
                                     cmocka_unit_test(a_mean_has_an_interval)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
