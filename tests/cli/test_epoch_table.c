// SPDX-License-Identifier: Apache-2.0
// The table of a training: what stands in a line of each width.
// Labels: asan
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "host/cli/cli.h"

static const cohort_epoch example = {.step = 3900,
                                     .number = 10,
                                     .of = 14,
                                     .train_loss = 0.18214,
                                     .validation_loss = 0.20557,
                                     .metric = "label.accuracy",
                                     .metric_value = 0.9321,
                                     .best = true,
                                     .learning_rate = 2.79e-5,
                                     .rows_per_second = 3021.7,
                                     .seconds = 19.3};

static void lines_fit(void **state) {
  (void)state;
  for (int available = 30; available <= 200; available++) {
    char text[512];
    cli_epoch_table table = {0};
    cli_epoch_line(text, sizeof text, &table, &example, available);
    char *second = strchr(text, '\n') + 1;
    assert_true(second - text - 1 <= available);
    assert_true((int)strlen(second) - 1 <= available);
    // What a training is judged by is never left out.
    assert_non_null(strstr(second, "0.1821"));
    assert_non_null(strstr(second, "0.2056"));
    assert_non_null(strstr(second, "0.9321"));
  }
}

static void widths_have_their_lines(void **state) {
  (void)state;
  char text[512];
  cli_epoch_table table = {0};
  cli_epoch_line(text, sizeof text, &table, &example, 79);
  assert_string_equal(
      text, "epoch    step  train loss  val. loss  accuracy      rate   rows/s    time\n"
            "   10    3900      0.1821     0.2056    0.9321  2.79e-05     3022    0:19  best\n");
  memset(&table, 0, sizeof table);
  cli_epoch_line(text, sizeof text, &table, &example, 59);
  assert_string_equal(text, "  step    train   valid. accuracy     rate rows/s  time\n"
                            "  3900   0.1821   0.2056   0.9321 2.79e-05   3022  0:19 *\n");
}

// Heads come once, and again where the lines change.
static void heads_come_once(void **state) {
  (void)state;
  char text[512];
  cli_epoch_table table = {0};
  cohort_epoch epoch = example;
  for (int i = 0; i < 3; i++) {
    epoch.best = i == 0;
    cli_epoch_line(text, sizeof text, &table, &epoch, 100);
    assert_int_equal(strstr(text, "step") != NULL, i == 0);
    assert_int_equal(strstr(text, "best") != NULL, i == 0);
    assert_int_not_equal(text[strlen(text) - 2], ' ');
  }
  cli_epoch_line(text, sizeof text, &table, &epoch, 60);
  assert_non_null(strstr(text, "step"));
}

static void nothing_stands_twice(void **state) {
  (void)state;
  char text[512];
  cli_epoch_table table = {0};
  cohort_epoch epoch = example;
  epoch.metric = "loss";
  epoch.metric_value = epoch.validation_loss;
  cli_epoch_line(text, sizeof text, &table, &epoch, 100);
  char *first = strstr(text, "0.2056");
  assert_non_null(first);
  assert_null(strstr(first + 1, "0.2056"));
  epoch = example; // no validation rows
  epoch.validation_loss = epoch.metric_value = NAN;
  epoch.best = false;
  cli_epoch_line(text, sizeof text, &table, &epoch, 100);
  assert_null(strstr(text, "nan"));
  assert_null(strstr(text, "val."));
}

// Values of any size, and a buffer too small for them.
static void extremes_stay_in_bounds(void **state) {
  (void)state;
  cohort_epoch epoch = {.step = INT64_MAX,
                        .number = INT64_MIN,
                        .train_loss = -1e308,
                        .validation_loss = HUGE_VAL,
                        .metric = "a.metric_with_a_name_that_has_no_end_at_all",
                        .metric_value = 1e-308,
                        .best = true,
                        .learning_rate = 1e-300,
                        .rows_per_second = 1e300,
                        .seconds = 1e300};
  char text[512];
  for (size_t size = 1; size <= sizeof text; size++) {
    cli_epoch_table table = {0};
    memset(text, '#', sizeof text);
    cli_epoch_line(text, size, &table, &epoch, 79);
    assert_non_null(memchr(text, '\0', size));
    for (size_t i = size; i < sizeof text; i++)
      assert_int_equal(text[i], '#');
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_fit),
      cmocka_unit_test(widths_have_their_lines),
      cmocka_unit_test(heads_come_once),
      cmocka_unit_test(nothing_stands_twice),
      cmocka_unit_test(extremes_stay_in_bounds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
