// SPDX-License-Identifier: Apache-2.0
// Labels: tsan
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "host/core/status.h"

static void fail_replaces_the_record(void **unused) {
  (void)unused;
  co_fail_at(CO_ERR_CONFIG, "a.yaml", 3, 7, "bad %s", "key");
  co_hint("did you mean '%s'?", "x");
  const co_error *e = co_error_last();
  assert_int_equal(e->status, CO_ERR_CONFIG);
  assert_string_equal(e->message, "bad key");
  assert_string_equal(e->file, "a.yaml");
  assert_int_equal(e->line, 3);
  assert_int_equal(e->column, 7);
  assert_string_equal(e->hint, "did you mean 'x'?");
  assert_int_equal(co_fail(CO_ERR_DATA, "line one\nline two"), CO_ERR_DATA);
  assert_string_equal(e->message, "line one line two");
  assert_string_equal(e->file, "");
  assert_string_equal(e->hint, "");
  assert_int_equal(e->line, 0);
}

static void record_may_be_its_own_argument(void **unused) {
  (void)unused;
  co_fail(CO_ERR_DATA, "inner");
  co_fail_at(CO_ERR_MODEL, co_error_last()->message, 1, 2, "outer(%s)", co_error_last()->message);
  assert_string_equal(co_error_last()->message, "outer(inner)");
  assert_string_equal(co_error_last()->file, "inner");
  co_note("in '%s'", co_error_last()->message);
  assert_string_equal(co_error_last()->message, "in 'outer(inner)': outer(inner)");
  assert_int_equal(co_error_last()->status, CO_ERR_MODEL);
}

static void long_texts_are_cut_between_characters(void **unused) {
  (void)unused;
  char text[3000];
  // "é" at every even offset from 1: byte 1022 is a lead byte, 1023 would be its tail.
  text[0] = 'x';
  for (size_t i = 1; i + 2 < sizeof text; i += 2)
    memcpy(text + i, "\xC3\xA9", 2);
  text[sizeof text - 1] = '\0';
  text[2001] = '\0';
  co_fail(CO_ERR_DATA, "%s", text);
  assert_int_equal(strlen(co_error_last()->message), 1023);
  co_fail(CO_ERR_DATA, "%s", text + 1);
  assert_int_equal(strlen(co_error_last()->message), 1022);
  assert_int_equal((unsigned char)co_error_last()->message[1021], 0xA9);
  co_note("%s", text + 1);
  assert_int_equal((unsigned char)co_error_last()->message[1021], 0xA9);
  co_hint("%s", text + 1);
  assert_int_equal(strlen(co_error_last()->hint), 510);
  co_fail_at(CO_ERR_DATA, text + 1, 0, 0, "m");
  assert_int_equal(strlen(co_error_last()->file), 510);
}

static void errno_survives_a_long_path(void **unused) {
  (void)unused;
  char path[2000];
  memset(path, 'p', sizeof path);
  path[sizeof path - 1] = '\0';
  assert_int_equal(co_fail_errno(CO_ERR_IO, ENOSPC, "cannot write '%s'", path), CO_ERR_IO);
  assert_non_null(strstr(co_error_last()->message, ": No space left on device"));
  assert_int_equal(co_fail_errno(CO_ERR_IO, ENOMEM, "x"), CO_ERR_MEMORY);
  assert_int_equal(co_error_last()->status, CO_ERR_MEMORY);
  co_fail_errno(CO_ERR_IO, 123456, "x");
  assert_non_null(strstr(co_error_last()->message, "123456"));
}

static void *fail_elsewhere(void *out) {
  assert_int_equal(co_error_last()->status, CO_OK);
  co_fail(CO_ERR_DIVERGED, "worker");
  co_error_copy(out);
  return NULL;
}

static void records_are_per_thread(void **unused) {
  (void)unused;
  pthread_t thread;
  co_error copy;
  co_fail(CO_ERR_DATA, "main");
  assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &copy), 0);
  pthread_join(thread, NULL);
  assert_string_equal(co_error_last()->message, "main");
  assert_int_equal(co_error_raise(&copy), CO_ERR_DIVERGED);
  assert_string_equal(co_error_last()->message, "worker");
  assert_int_equal(co_error_raise(co_error_last()), CO_ERR_DIVERGED);
  co_error_clear();
  assert_int_equal(co_error_last()->status, CO_OK);
  assert_string_equal(co_error_last()->message, "");
}

static void names_are_stable(void **unused) {
  (void)unused;
  static const char *const names[] = {"ok",     "internal", "usage",    "config", "data", "model",
                                      "device", "memory",   "diverged", "io",     "gate"};
  for (int i = 0; i <= 10; i++)
    assert_string_equal(co_status_name((co_status)i), names[i]);
  assert_string_equal(co_status_name(CO_STOPPED), "stopped");
  assert_string_equal(co_status_name(CO_INTERRUPTED), "interrupted");
  assert_string_equal(co_status_name((co_status)99), "unknown");
}

static co_status tries(co_status first, int *cleaned) {
  co_status status;
  CO_TRY(first);
  CO_RETURN_IF_FAILED(CO_OK);
cleanup:
  *cleaned = 1;
  return status;
}

static void try_jumps_to_cleanup(void **unused) {
  (void)unused;
  int cleaned = 0;
  assert_int_equal(tries(CO_ERR_GATE, &cleaned), CO_ERR_GATE);
  assert_int_equal(cleaned, 1);
  assert_int_equal(tries(CO_OK, &cleaned), CO_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fail_replaces_the_record),
      cmocka_unit_test(record_may_be_its_own_argument),
      cmocka_unit_test(long_texts_are_cut_between_characters),
      cmocka_unit_test(errno_survives_a_long_path),
      cmocka_unit_test(records_are_per_thread),
      cmocka_unit_test(names_are_stable),
      cmocka_unit_test(try_jumps_to_cleanup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
