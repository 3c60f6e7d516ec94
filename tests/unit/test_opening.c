// SPDX-License-Identifier: Apache-2.0
// How many rows are scored at a time, by how many classes a model has.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/eval/opening.h"

static int64_t bound(co_column_type type, int64_t width, int64_t rows) {
  const co_column column = {.type = type};
  co_output_feature outputs[2] = {{.column = &column, .width = width}, {.width = 1 << 20}};
  const co_model model = {.outputs = outputs, .output_count = 2};
  return co_bound_rows(&model, rows);
}

static void probabilities_of_classes_bound_rows(void **unused) {
  (void)unused;
  assert_int_equal(bound(CO_COLUMN_CATEGORY, 10, 512), 512);
  assert_int_equal(bound(CO_COLUMN_CATEGORY, 10, 1 << 24), 1 << 24); // no catalogue
  assert_int_equal(bound(CO_COLUMN_CATEGORY, 8388, 4096), 1000);
  assert_int_equal(bound(CO_COLUMN_CATEGORY, 100000, 512), 83);
  assert_int_equal(bound(CO_COLUMN_CATEGORY, 100000, 8), 8);
  assert_int_equal(bound(CO_COLUMN_CATEGORY, 200000, 256), 41);
  assert_int_equal(bound(CO_COLUMN_CATEGORY, 1 << 24, 256), 1); // one row there must be
  assert_int_equal(bound(CO_COLUMN_VECTOR, 100000, 512), 512);  // no classes
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(probabilities_of_classes_bound_rows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
