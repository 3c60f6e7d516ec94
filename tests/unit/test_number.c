// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "host/core/number.h"

// Beside the C library, in its locale.
static void check(double value) {
  char own[CO_NUMBER_PRINT], wanted[CO_NUMBER_PRINT];
  snprintf(wanted, sizeof wanted, "%.9g", value);
  size_t length = co_number_print(value, own);
  if (strcmp(own, wanted) != 0) fail_msg("%a: '%s' instead of '%s'", value, own, wanted);
  assert_int_equal(length, strlen(wanted));
}

static void check_around(double value) {
  const double near[] = {value, nextafter(value, INFINITY), nextafter(value, -INFINITY),
                         (double)nextafterf((float)value, INFINITY),
                         (double)nextafterf((float)value, -INFINITY)};
  for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
    check(near[i]);
    check(-near[i]);
  }
}

static void test_edges(void **state) {
  (void)state;
  for (int power = -320; power <= 308; power++) {
    check_around(pow(10, power));
    check_around(5 * pow(10, power));
    check_around(9.999999995 * pow(10, power));  // rounds up to another digit
    check_around(1.2345678950 * pow(10, power)); // near a tie
  }
  for (int power = -140; power <= 80; power++) { // ties that are exact
    check_around(ldexp(1, power));
    check_around(ldexp(3, power));
    check_around(ldexp(1000000001, power - 30));
  }
  const double others[] = {0,           -0.0,        0.1,      100,       123456789,  1234567890,
                           999999999.4, 999999999.5, INFINITY, -INFINITY, (double)NAN};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    check(others[i]);
}

static void test_integers(void **state) {
  (void)state;
  const int64_t values[] = {0,         1,        -1, 9, 10, -10, 99, 100, 1234567890123456789,
                            INT64_MAX, INT64_MIN};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    char own[CO_NUMBER_PRINT], wanted[CO_NUMBER_PRINT];
    snprintf(wanted, sizeof wanted, "%lld", (long long)values[i]);
    assert_int_equal(co_integer_print(values[i], own), strlen(wanted));
    assert_string_equal(own, wanted);
  }
}

static void test_any(void **state) {
  (void)state;
  uint64_t bits = 1;
  for (int i = 0; i < 300000; i++) {
    double whole;
    float single;
    bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint32_t half = (uint32_t)(bits >> 32);
    memcpy(&whole, &bits, sizeof whole);
    memcpy(&single, &half, sizeof single);
    check(whole);
    check((double)single);
    check(ldexp((double)half, -32));                // a share
    check((double)(float)ldexp((double)half, -32)); // as scores are
    check((double)(float)exp(-20 * ldexp((double)half, -32)));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_edges),
      cmocka_unit_test(test_any),
      cmocka_unit_test(test_integers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
