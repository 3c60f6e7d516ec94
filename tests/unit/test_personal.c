// SPDX-License-Identifier: Apache-2.0
// What looks personal, and pseudonyms against values from Python's hashlib.
#include "tests/unit/data_fixture.h"

#include <sys/stat.h>

#include "datasets/personal.h"
#include "datasets/pseudonym.h"

static co_personal kind(const char *text) {
  const co_cell cell = {text, strlen(text)};
  return co_personal_kind(&cell);
}

static void personal_cells_are_told(void **state) {
  (void)state;
  assert_int_equal(kind("ann@example.org"), CO_PERSONAL_EMAIL);
  assert_int_equal(kind("a.b+c@mail.example.co"), CO_PERSONAL_EMAIL);
  assert_int_equal(kind("7up@example.org"), CO_PERSONAL_EMAIL);
  assert_int_equal(kind("ann@example"), CO_PERSONAL_NONE);
  assert_int_equal(kind("@example.org"), CO_PERSONAL_NONE);
  assert_int_equal(kind("ann at example.org"), CO_PERSONAL_NONE);
  assert_int_equal(kind("write to ann@example.org"), CO_PERSONAL_NONE);
  assert_int_equal(kind("+49 151 1234-5678"), CO_PERSONAL_PHONE);
  assert_int_equal(kind("+14155552671"), CO_PERSONAL_PHONE);
  assert_int_equal(kind("+0123456789"), CO_PERSONAL_NONE);
  assert_int_equal(kind("+1234567"), CO_PERSONAL_NONE);
  assert_int_equal(kind("+1.5e3000"), CO_PERSONAL_NONE);
  assert_int_equal(kind("4111 1111 1111 1111"), CO_PERSONAL_CARD); // everybody's test numbers
  assert_int_equal(kind("378282246310005"), CO_PERSONAL_CARD);
  assert_int_equal(kind("4111 1111 1111 1112"), CO_PERSONAL_DIGITS);
  assert_int_equal(kind("1700000000000"), CO_PERSONAL_NONE); // milliseconds
  assert_int_equal(kind("123456"), CO_PERSONAL_NONE);
  assert_int_equal(kind("41111111111111111111111111"), CO_PERSONAL_NONE);
  assert_int_equal(kind(""), CO_PERSONAL_NONE);
}

static void write_key(const char *text, mode_t mode) {
  write_bytes("key", text, strlen(text));
  assert_int_equal(chmod("key", mode), 0);
}

static void pseudonyms_are_keyed_hashes(void **state) {
  fixture *f = *state;
  co_arena *arena;
  co_pseudonym *p;
  char hash[CO_PSEUDONYM_TEXT + 1] = {0}, version[64];
  co_sodium_version(version);
  if (strstr(version, "missing")) {
    print_message("NOT RUN: %s\n", version);
    skip();
  }
  assert_int_equal(co_arena_create(&arena, f->ctx), CO_OK);
  write_key("0123456789abcdef0123456789abcdef\n", 0600);
  assert_int_equal(co_pseudonym_open(&p, arena, "key"), CO_OK);
  co_pseudonym_make(p, "7590-VHVEG", 10, hash);
  // hashlib.blake2b(b"7590-VHVEG", key=b"0123456789abcdef0123456789abcdef", digest_size=32).hexdigest()
  assert_string_equal(hash, "700a6bf6e65b69e67cae2959bbf02b776d0447b02b89c265fceca237ab583b63");
  co_pseudonym_make(p, "", 0, hash);
  assert_string_equal(hash, "b8b9e6dff6f384e24d1632ee274b08bf495a162eca725aeb361eac78ed56633a");
  assert_string_equal(co_pseudonym_check(p), "578c3f31e6b10944");
  assert_false(warned(f->ctx, "others may read"));
  write_key("0123456789abcdef0123456789abcdeg", 0644); // another key
  assert_int_equal(co_pseudonym_open(&p, arena, "key"), CO_OK);
  assert_string_not_equal(co_pseudonym_check(p), "578c3f31e6b10944");
  assert_true(warned(f->ctx, "others may read"));
  write_key("short\n", 0600);
  assert_int_equal(co_pseudonym_open(&p, arena, "key"), CO_ERR_USAGE);
  assert_non_null(strstr(co_error_last()->message, "5 bytes"));
  write_key("0123456789012345678901234567890123456789012345678901234567890123456789", 0600);
  assert_int_equal(co_pseudonym_open(&p, arena, "key"), CO_ERR_USAGE);
  assert_int_equal(co_pseudonym_open(&p, arena, "none"), CO_ERR_USAGE);
  co_arena_free(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(personal_cells_are_told),
      DATA_TEST(pseudonyms_are_keyed_hashes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
