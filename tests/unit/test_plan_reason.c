// SPDX-License-Identifier: Apache-2.0
// Every operation that is not a product says why it is one of its own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host/plan/plan.h"

static bool is_product(const char *name) {
  return strncmp(name, "dense", 5) == 0 || strncmp(name, "conv2d", 6) == 0;
}

static void test_reasons(void **state) {
  (void)state;
  for (int op = 0; op < CO_OP_COUNT; op++) {
    const co_plan_op one = {.desc = {.op = (co_op)op}};
    const char *name = co_op_get_info((co_op)op)->name, *reason = co_plan_reason(&one);
    if (is_product(name) == (reason != NULL))
      fail_msg("%s: %s (host/plan/reason.c)", name, reason ? reason : "no reason");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_reasons)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
