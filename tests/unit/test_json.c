// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/json.h"
#include "host/core/rng.h"

static int set_up(void **state) {
  co_context *ctx;
  if (co_context_create(&ctx, NULL) != CO_OK) return -1;
  *state = ctx;
  return 0;
}

static int tear_down(void **state) {
  int64_t live = co_alloc_get_stats(*state).live_blocks;
  co_context_free(*state);
  return live == 0 ? 0 : -1;
}

static void write_sample(co_json *j) {
  co_json_open(j, '{');
  co_json_key(j, "a");
  co_json_int(j, INT64_MIN);
  co_json_key(j, "b");
  co_json_open(j, '[');
  co_json_bool(j, true);
  co_json_null(j);
  co_json_open(j, '{');
  co_json_close(j);
  co_json_open(j, '[');
  co_json_close(j);
  co_json_close(j);
  co_json_key(j, "c");
  co_json_open(j, '{');
  co_json_key(j, "d");
  co_json_raw(j, "[1,2]");
  co_json_key(j, "e");
  co_json_string(j, NULL);
  co_json_close(j);
  co_json_close(j);
}

static void structure_is_separated(void **state) {
  co_json j;
  co_json_init(&j, *state, 0);
  write_sample(&j);
  assert_int_equal(j.text.status, CO_OK);
  assert_string_equal(j.text.data, "{\"a\":-9223372036854775808,\"b\":[true,null,{},[]],"
                                   "\"c\":{\"d\":[1,2],\"e\":null}}");
  co_json_free(&j);
  co_json_init(&j, *state, 2);
  write_sample(&j);
  assert_string_equal(j.text.data, "{\n  \"a\": -9223372036854775808,\n  \"b\": [\n    true,\n"
                                   "    null,\n    {},\n    []\n  ],\n  \"c\": {\n"
                                   "    \"d\": [1,2],\n    \"e\": null\n  }\n}");
  co_json_free(&j);
  co_json_init(&j, *state, 0);
  for (int i = 0; i < 63; i++)
    co_json_open(&j, '[');
  for (int i = 0; i < 63; i++)
    co_json_close(&j);
  assert_int_equal(j.text.length, 126);
  co_json_free(&j);
}

static void check_string(co_context *ctx, const char *value, const char *expected) {
  co_json j;
  co_json_init(&j, ctx, 0);
  co_json_string(&j, value);
  assert_string_equal(j.text.data, expected);
  co_json_free(&j);
}

static void strings_are_escaped(void **state) {
  co_context *ctx = *state;
  check_string(ctx, "", "\"\"");
  check_string(ctx, "a\"b\\c/", "\"a\\\"b\\\\c/\"");
  check_string(ctx, "\b\t\n\v\f\r\x01\x1f\x7f", "\"\\b\\t\\n\\u000b\\f\\r\\u0001\\u001f\\u007f\"");
  check_string(ctx, "Zürich 日本 \xF0\x9F\x98\x80", "\"Zürich 日本 \xF0\x9F\x98\x80\"");
#define BAD "\xEF\xBF\xBD"
  check_string(ctx, "a\xFFz", "\"a" BAD "z\"");
  check_string(ctx, "\xC0\x80", "\"" BAD BAD "\"");                 // overlong
  check_string(ctx, "\xE0\x80\x80", "\"" BAD BAD BAD "\"");         // overlong
  check_string(ctx, "\xED\xA0\x80", "\"" BAD BAD BAD "\"");         // a surrogate
  check_string(ctx, "\xF4\x90\x80\x80", "\"" BAD BAD BAD BAD "\""); // beyond U+10FFFF
  check_string(ctx, "\xC3", "\"" BAD "\"");                         // cut off at the end
  check_string(ctx, "\xE6\x97", "\"" BAD BAD "\"");
  check_string(ctx, "\xF0\x9F\x98", "\"" BAD BAD BAD "\"");
  check_string(ctx, "\xC3\"x", "\"" BAD "\\\"x\"");
}

static void check_double(double value, const char *expected) {
  char text[32];
  co_double_print(value, text, sizeof text);
  assert_string_equal(text, expected);
}

static void doubles_are_shortest(void **state) {
  (void)state;
  check_double(0, "0");
  check_double(-0.0, "-0");
  check_double(0.1, "0.1");
  check_double(0.1 + 0.2, "0.30000000000000004");
  check_double(1.0 / 3, "0.3333333333333333");
  check_double(5e-324, "5e-324");
  check_double(DBL_MAX, "1.7976931348623157e+308");
  check_double(DBL_MIN, "2.2250738585072014e-308");
  check_double(123456789012345680.0, "1.2345678901234568e+17");
  check_double(100000, "100000");
  check_double(9007199254740993.0, "9007199254740992");
  check_double(-INFINITY, "-inf");
  check_double(NAN, "nan");
}

static void numbers_read_back(void **state) {
  char text[32];
  co_json j;
  co_json_init(&j, *state, 0);
  co_json_open(&j, '[');
  for (uint64_t i = 0; i < 20000; i++) {
    uint64_t bits =
        (uint64_t)co_random_bits(1, 2 * i, 0, 0) << 32 | co_random_bits(1, 2 * i + 1, 0, 0);
    double value;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value)) continue;
    co_double_print(value, text, sizeof text);
    if (strtod(text, NULL) != value) fail();
    assert_true(strlen(text) <= 24);
    float small;
    uint32_t half = (uint32_t)bits;
    memcpy(&small, &half, sizeof small);
    if (!isfinite(small)) continue;
    size_t before = j.text.length;
    co_json_float(&j, small);
    const char *printed = j.text.data + before + (j.text.data[before] == ',');
    if (strtof(printed, NULL) != small) fail();
    assert_true(strlen(printed) <= 15);
  }
  co_json_free(&j);
  co_json_init(&j, *state, 0);
  co_json_open(&j, '[');
  co_json_float(&j, 0.1f);
  co_json_double(&j, (double)0.1f);
  co_json_float(&j, 1e-45f);
  co_json_double(&j, NAN);
  co_json_float(&j, INFINITY);
  co_json_close(&j);
  assert_string_equal(j.text.data, "[0.1,0.10000000149011612,1e-45,null,null]");
  co_json_free(&j);
}

// Builds a locale with a decimal comma from the system's sources if none is installed.
static void other_locales_change_nothing(void **state) {
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "ps_AF"};
  (void)state;
  const char *set = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && !set; i++)
    set = setlocale(LC_ALL, names[i]);
  if (!set) {
    char folder[] = "/tmp/cohort_locale_XXXXXX", command[200];
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1",
             folder);
    int rc = system(command);
    setenv("LOCPATH", folder, 1);
    if (rc == 0) set = setlocale(LC_ALL, "de_DE.UTF-8");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    rc = system(command);
  }
  if (!set) {
    print_message("NOT RUN: no locale with a decimal comma\n");
    skip();
  }
  assert_string_not_equal(localeconv()->decimal_point, ".");
  check_double(0.1, "0.1");
  check_double(-1.5e-300, "-1.5e-300");
  setlocale(LC_ALL, "C");
}

static void running_out_of_memory_sticks(void **state) {
  for (int n = 1; n <= 4; n++) {
    co_json j;
    co_json_init(&j, *state, 0);
    co_alloc_fail_at(*state, n, false);
    co_json_open(&j, '[');
    for (int i = 0; i < 300; i++)
      co_json_int(&j, 1000000 + i);
    co_json_close(&j);
    co_alloc_fail_at(*state, 0, false);
    assert_int_equal(j.text.status, CO_ERR_MEMORY);
    co_json_free(&j);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(structure_is_separated),       TEST(strings_are_escaped),
      TEST(doubles_are_shortest),         TEST(numbers_read_back),
      TEST(other_locales_change_nothing), TEST(running_out_of_memory_sticks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
