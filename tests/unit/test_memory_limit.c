// SPDX-License-Identifier: Apache-2.0
// How much memory a process may use, from files as Linux writes them.
#include "tests/unit/data_fixture.h"

#include "host/device/memory.h"

static void put(const char *path, const char *text) {
  write_bytes(path, text, strlen(text));
}

static size_t limit(const char *groups) {
  put("groups", groups);
  return co_memory_group_limit("groups", "v2", "v1");
}

static void the_least_limit_counts(void **state) {
  (void)state;
  assert_int_equal(system("mkdir -p v2/job/step v2/free v1/job/step"), 0);
  put("v2/job/memory.max", "4096000\n");
  put("v2/job/step/memory.max", "max\n");
  put("v2/free/memory.max", "max\n");
  put("v1/job/step/memory.limit_in_bytes", "1000000\n");
  put("v1/memory.limit_in_bytes", "9223372036854771712\n");
  assert_true(limit("0::/job/step\n") == 4096000); // of the group above
  assert_true(limit("0::/job\n") == 4096000);
  assert_true(limit("0::/free\n") == SIZE_MAX);
  assert_true(limit("0::/\n") == SIZE_MAX);
  assert_true(limit("12:cpu:/job/step\n9:memory:/job/step\n0::/free\n") == 1000000);
  assert_true(limit("9:memory:/job/step\n0::/job\n") == 1000000);
  assert_true(limit("9:memory:/elsewhere/in/a/container\n") == 9223372036854771712u);
  assert_true(limit("") == SIZE_MAX);
  assert_true(limit("nonsense\n:\n") == SIZE_MAX);
  put("v2/memory.max", "512\n");
  assert_true(limit("0::/job/step\n") == 512);
  assert_true(co_memory_group_limit("none", "v2", "v1") == SIZE_MAX);
}

static void this_machine_has_memory(void **state) {
  (void)state;
  assert_true(co_memory_limit() > (size_t)1 << 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {DATA_TEST(the_least_limit_counts),
                                     DATA_TEST(this_machine_has_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
