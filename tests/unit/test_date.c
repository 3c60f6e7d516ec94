// SPDX-License-Identifier: Apache-2.0
// Dates in text: forms, zones, and days that there are not.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "datasets/date.h"

typedef struct example {
  const char *text, *format;
  co_date_kind kind;
  double seconds; // as of GNU date -u -d TEXT +%s
} example;

static void dates_are_read(void **state) {
  (void)state;
  static const example examples[] = {
      {"1970-01-01", NULL, CO_DATE_GOOD, 0},
      {"2011-12-31", NULL, CO_DATE_GOOD, 1325289600},
      {"2011-12-31T23:59:59Z", NULL, CO_DATE_GOOD, 1325375999},
      {"2011-12-31 23:59", NULL, CO_DATE_GOOD, 1325375940},
      {"2011-12-31 23:59:59.25+01:00", NULL, CO_DATE_GOOD, 1325372399.25},
      {"2011-12-31T23:59:59-0530", NULL, CO_DATE_GOOD, 1325395799},
      {"1969-12-31 23:59:59", NULL, CO_DATE_GOOD, -1},
      {"0001-01-01", NULL, CO_DATE_GOOD, -62135596800},
      {"9999-12-31", NULL, CO_DATE_GOOD, 253402214400},
      {"2000-02-29", NULL, CO_DATE_GOOD, 951782400},
      {"1900-02-29", NULL, CO_DATE_IMPOSSIBLE, NAN},
      {"2011-02-29", NULL, CO_DATE_IMPOSSIBLE, NAN},
      {"2011-13-01", NULL, CO_DATE_IMPOSSIBLE, NAN},
      {"2011-00-10", NULL, CO_DATE_IMPOSSIBLE, NAN},
      {"0000-01-01", NULL, CO_DATE_IMPOSSIBLE, NAN},
      {"2011-01-01 24:00", NULL, CO_DATE_IMPOSSIBLE, NAN},
      {"2011-01-01 00:00:60", NULL, CO_DATE_IMPOSSIBLE, NAN},
      {"2011-1-1", NULL, CO_DATE_NONE, NAN},
      {"2011-01-01x", NULL, CO_DATE_NONE, NAN},
      {"2011-01-01 ", NULL, CO_DATE_NONE, NAN},
      {"2011-01-01 00", NULL, CO_DATE_NONE, NAN},
      {"2011-01-01 00:00:00+99:00", NULL, CO_DATE_NONE, NAN},
      {"", NULL, CO_DATE_NONE, NAN},
      {"31/12/2011", "%d/%m/%Y", CO_DATE_GOOD, 1325289600},
      {"1/2/2011", "%d/%m/%Y", CO_DATE_GOOD, 1296518400},
      {"31/04/2011", "%d/%m/%Y", CO_DATE_IMPOSSIBLE, NAN},
      {"2011-12-31", "%d/%m/%Y", CO_DATE_NONE, NAN},
      {"12/1/10 8:26", "%m/%d/%y %H:%M", CO_DATE_GOOD, 1291191960},
      {"5 Sep 69", "%d %b %y", CO_DATE_GOOD, 3145564800},
      {"5 september 1970", "%d %B %Y", CO_DATE_GOOD, 21340800},
      {"1/1/2012 12:30 AM", "%m/%d/%Y %I:%M %p", CO_DATE_GOOD, 1325377800},
      {"1/1/2012 1:30 pm", "%m/%d/%Y %I:%M %p", CO_DATE_GOOD, 1325424600},
      {"1/1/2012 13:30 pm", "%m/%d/%Y %I:%M %p", CO_DATE_IMPOSSIBLE, NAN},
      {"20111231%", "%Y%m%d%%", CO_DATE_GOOD, 1325289600}};
  for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
    const example *e = &examples[i];
    double seconds;
    co_date_kind kind = co_date_read(e->text, strlen(e->text), e->format, &seconds);
    if (kind != e->kind || (kind == CO_DATE_GOOD ? seconds != e->seconds : !isnan(seconds)))
      fail_msg("'%s': %d, %.3f", e->text, kind, seconds);
  }
}

static void formats_are_checked(void **state) {
  (void)state;
  assert_int_equal(co_date_check_format("%d.%m.%Y"), CO_OK);
  static const char *const bad[] = {"%d.%m", "%Y-%m-%d %Q", "%Y-%m-%d %", "yesterday", ""};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (co_date_check_format(bad[i]) != CO_ERR_USAGE) fail_msg("'%s'", bad[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(dates_are_read),
                                     cmocka_unit_test(formats_are_checked)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
