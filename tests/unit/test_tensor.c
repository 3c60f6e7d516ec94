// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "host/core/tensor.h"

static void dtypes_have_sizes(void **unused) {
  (void)unused;
  static const size_t sizes[] = {1, 4, 8, 4, 8, 2};
  static const char *const names[] = {"u8", "i32", "i64", "f32", "f64", "bf16"};
  for (int i = 0; i < CO_DTYPE_COUNT; i++) {
    assert_int_equal(co_dtype_size((co_dtype)i), sizes[i]);
    assert_string_equal(co_dtype_name((co_dtype)i), names[i]);
  }
  assert_string_equal(co_dtype_name(CO_DTYPE_COUNT), "unknown");
}

static void counts_do_not_wrap(void **unused) {
  (void)unused;
  co_shape scalar = co_shape_make(0);
  assert_int_equal(co_shape_count(&scalar), 1);
  co_shape s = co_shape_make(3, (int64_t)4, (int64_t)5, (int64_t)6);
  assert_int_equal(co_shape_count(&s), 120);
  s = co_shape_make(2, (int64_t)1 << 32, (int64_t)1 << 31);
  assert_int_equal(co_shape_count(&s), -1);
  s = co_shape_make(2, (int64_t)1 << 32, ((int64_t)1 << 31) - 1);
  assert_int_equal(co_shape_count(&s), INT64_MAX - (((int64_t)1 << 32) - 1));
  s = co_shape_make(3, INT64_MAX, (int64_t)0, INT64_MAX);
  assert_int_equal(co_shape_count(&s), 0);
  s = co_shape_make(2, (int64_t)0, CO_DIM_N);
  assert_int_equal(co_shape_count(&s), -1);
  s.rank = 7;
  assert_int_equal(co_shape_count(&s), -1);
}

static void bytes_that_cannot_be_fail(void **unused) {
  (void)unused;
  co_tensor_desc d = {CO_F64, CO_LAYOUT_CANONICAL, co_shape_make(2, (int64_t)3, (int64_t)7)};
  assert_int_equal(co_tensor_bytes(&d), 168);
  d.dtype = CO_BF16;
  assert_int_equal(co_tensor_bytes(&d), 42);
  d.shape.dim[0] = INT64_MAX / 8;
  d.dtype = CO_F64;
  assert_int_equal(co_tensor_bytes(&d), SIZE_MAX);
  d.shape.dim[0] = CO_DIM_N;
  assert_int_equal(co_tensor_bytes(&d), SIZE_MAX);
}

static void shapes_compare(void **unused) {
  (void)unused;
  co_shape a = co_shape_make(2, (int64_t)3, (int64_t)4), b = a;
  b.dim[2] = 99; // beyond the rank: does not count
  assert_true(co_shape_equal(&a, &b));
  b.rank = 3;
  assert_false(co_shape_equal(&a, &b));
  b = co_shape_make(2, (int64_t)3, (int64_t)5);
  assert_false(co_shape_equal(&a, &b));
}

static void shapes_print(void **unused) {
  (void)unused;
  char text[200];
  co_shape s = co_shape_make(4, (int64_t)128, (int64_t)28, (int64_t)28, (int64_t)1);
  co_shape_print(&s, text, sizeof text);
  assert_string_equal(text, "(128, 28, 28, 1)");
  s = co_shape_make(0);
  co_shape_print(&s, text, sizeof text);
  assert_string_equal(text, "()");
  s = co_shape_make(4, CO_DIM_N, CO_DIM_T(0), CO_DIM_T(2), CO_DIM_NT(3));
  co_shape_print(&s, text, sizeof text);
  assert_string_equal(text, "(N, T0, T2, N*T3)");
  memset(text, '#', sizeof text);
  co_shape_print(&s, text, 5);
  assert_string_equal(text, "(N, ");
  assert_int_equal(text[5], '#');
  co_shape_print(&s, text, 0);
  assert_int_equal(text[0], '(');
  s = co_shape_make(6, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);
  co_shape_print(&s, text, sizeof text);
  assert_int_equal(strlen(text), 6 * 19 + 5 * 2 + 2);
}

static void symbols_are_bound(void **state) {
  (void)state;
  const co_shape_class shape = {.rows = 5, .t = {7, 0, 9}};
  co_shape s = co_shape_make(5, CO_DIM_N, CO_DIM_T(0), CO_DIM_NT(2), CO_DIM_T(3), (int64_t)4);
  co_shape_bind(&s, &shape);
  const co_shape bound =
      co_shape_make(5, (int64_t)5, (int64_t)7, (int64_t)45, (int64_t)0, (int64_t)4);
  assert_true(co_shape_equal(&s, &bound));
  const co_shape_class wide = {.rows = INT64_MAX, .t = {2}};
  s = co_shape_make(1, CO_DIM_NT(0));
  co_shape_bind(&s, &wide);
  assert_int_equal(s.dim[0], -1);
  for (int k = 0; k < CO_MAX_EVENT_TABLES; k++) {
    assert_int_equal(co_dim_event_table(CO_DIM_T(k)), k);
    assert_int_equal(co_dim_event_table(CO_DIM_NT(k)), k);
  }
  assert_int_equal(co_dim_event_table(CO_DIM_N), -1);
  assert_int_equal(co_dim_event_table(CO_DIM_MEMBERS(1)), -1);
  assert_int_equal(co_dim_members(CO_DIM_MEMBERS(8)), 8);
  assert_int_equal(co_dim_members(CO_DIM_NT(CO_MAX_EVENT_TABLES - 1)), 0);
  assert_int_equal(co_dim_members(CO_DIM_N), 0);
  assert_int_equal(co_dim_members(8), 0);
  assert_int_equal(co_dim_event_table(CO_DIM_NT(CO_MAX_EVENT_TABLES)), -1);
  assert_int_equal(co_dim_event_table(3), -1);
}

static void classes_compare(void **state) {
  (void)state;
  const co_shape_class a = {.rows = 5, .t = {7, 0, 9}};
  for (int i = 0; i <= CO_MAX_EVENT_TABLES; i++) {
    co_shape_class b = a;
    assert_true(co_shape_class_equal(&a, &b));
    *(i == CO_MAX_EVENT_TABLES ? &b.rows : &b.t[i]) += 1;
    assert_false(co_shape_class_equal(&a, &b));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(dtypes_have_sizes),
      cmocka_unit_test(counts_do_not_wrap),
      cmocka_unit_test(bytes_that_cannot_be_fail),
      cmocka_unit_test(shapes_compare),
      cmocka_unit_test(shapes_print),
      cmocka_unit_test(symbols_are_bound),
      cmocka_unit_test(classes_compare),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
