// SPDX-License-Identifier: Apache-2.0
// Formulas over the cells of a row, times and durations.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "datasets/expression.h"
#include "datasets/moment.h"

static const char *const names[] = {"Quantity", "UnitPrice", "InvoiceNo", "unit price", NULL};
static const char *cells[] = {"6", "2.5", "C536379", ""};

static int64_t find(void *user, const char *name) {
  (void)user;
  for (int64_t i = 0; names[i]; i++)
    if (strcmp(names[i], name) == 0) return i;
  return -1;
}

static co_status parse(co_expression **out, co_arena *arena, const char *text, bool condition) {
  return co_expression_parse(out, arena, "--where", text, condition, find, NULL);
}

static double value(const char *text, bool condition, int64_t *bad) {
  co_context *ctx;
  co_arena *arena;
  co_expression *e;
  co_cell fields[4];
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_arena_create(&arena, ctx), CO_OK);
  for (int i = 0; i < 4; i++)
    fields[i] = (co_cell){cells[i], strlen(cells[i])};
  if (parse(&e, arena, text, condition) != CO_OK)
    fail_msg("%s: %s", text, co_error_last()->message);
  double got = co_expression_value(e, fields, NULL, bad);
  co_arena_free(arena);
  co_context_free(ctx);
  return got;
}

static void numbers(void **state) {
  (void)state;
  int64_t bad;
  static const struct {
    const char *text;
    double want;
  } cases[] = {
      {"Quantity*UnitPrice", 15}, {"1 + 2 * 3", 7}, {"(1 + 2) * 3", 9}, {"-Quantity - 1", -7},
      {"8 / 2 / 2", 2},           {"1.5e1", 15},    {"- - 2", 2},       {"UnitPrice / 0.5 - 5", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_true(value(cases[i].text, false, &bad) == cases[i].want);
    assert_int_equal(bad, -1);
  }
  assert_true(isnan(value("\"unit price\" * 2", false, &bad))); // missing
  assert_int_equal(bad, -1);
  assert_true(isnan(value("Quantity / 0", false, &bad)));
  assert_true(isnan(value("InvoiceNo + 1", false, &bad)));
  assert_int_equal(bad, 2);
}

static void conditions(void **state) {
  (void)state;
  int64_t bad;
  static const char *const hold[] = {"Quantity > 0",
                                     "Quantity = 6.0",
                                     "InvoiceNo like 'C%'",
                                     "InvoiceNo like '_5363__'",
                                     "InvoiceNo = 'C536379' and Quantity != 7",
                                     "NOT InvoiceNo LIKE '%8'",
                                     "InvoiceNo not like '%8'",
                                     "\"unit price\" is null or Quantity < 0",
                                     "Quantity is not null",
                                     "(Quantity >= 6) and (UnitPrice <= 2.5)",
                                     "InvoiceNo <> 1",
                                     "Quantity + 1 > UnitPrice * 2",
                                     "'abc' < InvoiceNo or InvoiceNo >= 'C'"};
  static const char *const fail_[] = {"Quantity < 0", "\"unit price\" > 0",
                                      "not \"unit price\" > 0", // missing stays missing
                                      "\"unit price\" > 0 or Quantity = 5", "InvoiceNo = 'C'"};
  for (size_t i = 0; i < sizeof hold / sizeof *hold; i++)
    if (value(hold[i], true, &bad) != 1 || bad != -1) fail_msg("%s", hold[i]);
  for (size_t i = 0; i < sizeof fail_ / sizeof *fail_; i++)
    if (value(fail_[i], true, &bad) != 0 || bad != -1) fail_msg("%s", fail_[i]);
  (void)value("InvoiceNo < 3", true, &bad);
  assert_int_equal(bad, 2);
}

static void mistakes(void **state) {
  (void)state;
  static const struct {
    const char *text, *message;
    bool condition;
    co_status status;
  } cases[] = {{"Quantity >", "something is missing at byte 11", true, CO_ERR_USAGE},
               {"Quantity", "a condition is wanted", true, CO_ERR_USAGE},
               {"Quantity > 0", "a number is wanted", false, CO_ERR_USAGE},
               {"Quantity > 0 Quantity", "not understood at byte 14", true, CO_ERR_USAGE},
               {"(Quantity > 0", "a parenthesis is not closed", true, CO_ERR_USAGE},
               {"InvoiceNo = 'C", "a quote is not closed", true, CO_ERR_USAGE},
               {"Price > 0", "there is no column 'Price'", true, CO_ERR_DATA},
               {"Quantity > 0 and 3", "a condition is wanted", true, CO_ERR_USAGE},
               {"1e999", "no number", false, CO_ERR_USAGE},
               {"", "something is missing", true, CO_ERR_USAGE}};
  co_context *ctx;
  co_arena *arena;
  co_expression *e;
  char deep[2001];
  memset(deep, '(', 2000);
  deep[2000] = '\0';
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  assert_int_equal(co_arena_create(&arena, ctx), CO_OK);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(parse(&e, arena, cases[i].text, cases[i].condition), cases[i].status);
    if (!strstr(co_error_last()->message, cases[i].message))
      fail_msg("%s: %s", cases[i].text, co_error_last()->message);
  }
  assert_int_equal(parse(&e, arena, deep, true), CO_ERR_USAGE);
  memset(deep, '-', 2000);
  assert_int_equal(parse(&e, arena, deep, true), CO_ERR_USAGE);
  co_arena_free(arena);
  co_context_free(ctx);
}

static void moments(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t want; // -1: none
  } cases[] = {{"1970-01-02", 86400},
               {"2011-09-01 00:00:01", 1314835201},
               {"20110901", 1314835200},
               {"2011-09-01T02:00:00+02:00", 1314835200},
               {"1314835200", 1314835200},
               {"2011-02-30", -1},
               {"20110231", -1},
               {"yesterday", -1},
               {"12345", -1},
               {"", -1}};
  int64_t seconds;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const co_cell cell = {cases[i].text, strlen(cases[i].text)};
    bool good = co_moment_read(&cell, &seconds);
    if (good != (cases[i].want >= 0) || (good && seconds != cases[i].want))
      fail_msg("%s: %lld", cases[i].text, (long long)seconds);
  }
  assert_true(co_duration_read("90d", &seconds) && seconds == 90 * 86400);
  assert_true(co_duration_read("2w", &seconds) && seconds == 14 * 86400);
  assert_true(co_duration_read("30m", &seconds) && seconds == 1800);
  static const char *const none[] = {"", "d", "90", "-1d", "1.5d", "90 d", "999999999999d", "9x"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    assert_false(co_duration_read(none[i], &seconds));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(conditions),
                                     cmocka_unit_test(mistakes), cmocka_unit_test(moments)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
