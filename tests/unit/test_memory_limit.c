// SPDX-License-Identifier: Apache-2.0
// How much memory a process may use, from files as Linux writes them, and what asks for more.
#include "tests/unit/data_fixture.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include "host/core/memory.h"

static char source[CO_MEMORY_SOURCE_BYTES];

static void put(const char *path, const char *text) {
  write_bytes(path, text, strlen(text));
}

static size_t limit(const char *groups) {
  put("groups", groups);
  return co_memory_group_limit("groups", "v2", "v1", source);
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
  assert_string_equal(source, "v2/job/memory.max");
  assert_true(limit("0::/job\n") == 4096000);
  assert_true(limit("0::/free\n") == SIZE_MAX);
  assert_string_equal(source, "");
  assert_true(limit("0::/\n") == SIZE_MAX);
  assert_true(limit("12:cpu:/job/step\n9:memory:/job/step\n0::/free\n") == 1000000);
  assert_string_equal(source, "v1/job/step/memory.limit_in_bytes");
  assert_true(limit("9:memory:/job/step\n0::/job\n") == 1000000);
  assert_true(limit("9:memory:/elsewhere/in/a/container\n") == 9223372036854771712u);
  assert_true(limit("") == SIZE_MAX);
  assert_true(limit("nonsense\n:\n") == SIZE_MAX);
  put("v2/memory.max", "512\n");
  assert_true(limit("0::/job/step\n") == 512);
  assert_true(co_memory_group_limit("none", "v2", "v1", NULL) == SIZE_MAX);
}

static void this_machine_has_memory(void **state) {
  (void)state;
  assert_true(co_memory_limit(source) > (size_t)1 << 20);
  assert_true(source[0] != '\0');
  assert_true(co_memory_limit(NULL) == co_memory_limit(source));
}

// In a process of its own: a limit that was lowered may not be raised again.
static void the_address_space_counts(void **state) {
  (void)state;
#ifdef __SANITIZE_ADDRESS__
  print_message("NOT RUN: the address sanitizer reserves terabytes of addresses\n");
  skip();
#endif
  pid_t child = fork();
  if (child == 0) {
    struct rlimit space = {(rlim_t)1 << 45, (rlim_t)1 << 45};
    bool set = setrlimit(RLIMIT_AS, &space) == 0;
    space.rlim_cur = space.rlim_max = (rlim_t)16 << 20; // below what is in use already
    set = set && setrlimit(RLIMIT_AS, &space) == 0;
    size_t bytes = co_memory_limit(NULL);
    _exit(set && bytes == (size_t)16 << 20 ? 0 : 1);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

static void asking_for_more_is_refused(void **state) {
  fixture *f = *state;
  assert_true(co_context_memory_limit(f->ctx) == co_memory_limit(NULL));
  size_t small = co_memory_anonymous() + ((size_t)160 << 20);
  co_context_set_memory_limit(f->ctx, small);
  assert_int_equal(co_memory_require(f->ctx, 1000), CO_OK);
  assert_true(co_context_memory_left(f->ctx) <= (size_t)128 << 20); // some is kept in reserve
  void *part = co_alloc(f->ctx, (size_t)32 << 20);
  assert_non_null(part);
  // Taken, although the system has not given a page of it yet.
  assert_null(co_alloc(f->ctx, small - ((size_t)16 << 20)));
  char bytes[32];
  snprintf(bytes, sizeof bytes, "%zu bytes asked", small - ((size_t)16 << 20));
  assert_int_equal(co_error_last()->status, CO_ERR_MEMORY);
  assert_non_null(strstr(co_error_last()->message, bytes));
  snprintf(bytes, sizeof bytes, "limit of %zu bytes", small);
  assert_non_null(strstr(co_error_last()->message, bytes));
  assert_non_null(strstr(co_error_last()->hint, "cohort doctor"));
  // What the process holds otherwise counts, too.
  memset(part, 1, (size_t)32 << 20);
  co_context_set_memory_limit(f->ctx, (size_t)40 << 20);
  assert_int_equal(co_memory_require(f->ctx, (size_t)1 << 20), CO_ERR_MEMORY);
  co_context_set_memory_limit(f->ctx, SIZE_MAX);
  assert_int_equal(co_memory_require(f->ctx, (size_t)1 << 40), CO_OK);
  co_free(f->ctx, part);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(the_least_limit_counts), DATA_TEST(this_machine_has_memory),
      DATA_TEST(the_address_space_counts), DATA_TEST(asking_for_more_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
