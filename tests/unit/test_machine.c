// SPDX-License-Identifier: Apache-2.0
// What is read from the system's own descriptions of itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/device/machine.h"

static void check_driver(const char *text, const char *wanted) {
  char path[] = "/tmp/cohort_machine_XXXXXX", found[16] = "before";
  int file = mkstemp(path);
  assert_true(file >= 0);
  assert_int_equal(dprintf(file, "%s", text), (int)strlen(text));
  close(file);
  co_machine_find_nvidia_driver(found, sizeof found, path);
  unlink(path);
  assert_string_equal(found, wanted);
  co_machine_find_nvidia_driver(found, sizeof found, path); // there is none any more
  assert_string_equal(found, "");
}

static void test_nvidia_driver(void **state) {
  (void)state;
  check_driver(
      "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 2024\nGCC 12.2\n",
      "550.54.15");
  check_driver(
      "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03  Release Build\n",
      "560.35.03");
  check_driver("NVRM version: something new\nGCC version:  gcc version 12.2.0\n", "");
  check_driver("", "");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_nvidia_driver)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
