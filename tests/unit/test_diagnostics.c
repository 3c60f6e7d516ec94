// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "host/core/diagnostics.h"

static void errors_are_collected_in_order(void **unused) {
  (void)unused;
  co_context *ctx;
  co_diagnostics list;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  co_diagnostics_init(&list, ctx);
  co_error_clear();
  assert_int_equal(co_diagnostics_result(&list), CO_OK);
  co_fail(CO_ERR_DATA, "the current one");
  for (int i = 0; i < 20; i++)
    assert_int_equal(
        co_diagnostics_add(&list, CO_ERR_CONFIG, "f.yaml", i, 2, i ? NULL : "try", "no %d\nx", i),
        CO_OK);
  assert_string_equal(co_error_last()->message, "the current one");
  assert_int_equal(co_diagnostics_add_last(&list), CO_OK);
  assert_int_equal(list.count, 21);
  assert_string_equal(list.item[19].message, "no 19 x");
  assert_string_equal(list.item[19].hint, "");
  assert_int_equal(list.item[19].line, 19);
  assert_int_equal(list.item[20].status, CO_ERR_DATA);
  assert_int_equal(co_diagnostics_result(&list), CO_ERR_CONFIG);
  assert_string_equal(co_error_last()->message, "no 0 x");
  assert_string_equal(co_error_last()->hint, "try");
  // The first of a status comes to the head, the others keep their order.
  co_error_clear();
  assert_int_equal(co_diagnostics_lead(&list, CO_ERR_DATA), CO_OK);
  assert_int_equal(list.count, 21);
  assert_string_equal(list.item[0].message, "the current one");
  assert_string_equal(list.item[1].message, "no 0 x");
  assert_string_equal(list.item[20].message, "no 19 x");
  co_fail(CO_ERR_IO, "ended it");
  assert_int_equal(co_diagnostics_lead(&list, CO_ERR_IO), CO_OK);
  assert_string_equal(list.item[0].message, "ended it");
  assert_int_equal(co_diagnostics_lead(&list, CO_ERR_MODEL), CO_OK);
  assert_int_equal(list.item[0].status, CO_ERR_MODEL);
  assert_int_equal(list.count, 23);
  co_diagnostics_free(&list);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_alloc_fail_at(ctx, 1, false);
  assert_int_equal(co_diagnostics_add(&list, CO_ERR_CONFIG, NULL, 0, 0, NULL, "x"), CO_ERR_MEMORY);
  assert_int_equal(co_error_last()->status, CO_ERR_MEMORY);
  assert_int_equal(list.count, 0);
  co_diagnostics_free(&list);
  co_context_free(ctx);
}

static void near_words_are_found(void **unused) {
  (void)unused;
  static const char *const words[] = {"dropout", "dense", "learning_rate", "epochs", "x"};
  assert_string_equal(co_nearest("dorpout", words, 5), "dropout"); // one swap
  assert_string_equal(co_nearest("denes", words, 5), "dense");
  assert_string_equal(co_nearest("lerning_rat", words, 5), "learning_rate");
  assert_string_equal(co_nearest("learningrate", words, 5), "learning_rate");
  assert_string_equal(co_nearest("epoch", words, 5), "epochs");
  assert_string_equal(co_nearest("y", words, 5), "x");
  assert_null(co_nearest("depth", words, 4));
  assert_null(co_nearest("dnse_", words, 4)); // two steps, one allowed
  assert_null(co_nearest("dense", words, 0));
  // Of "ca" and "abc", optimal string alignment gives 3, not 2: no edit inside a swapped pair.
  static const char *const pair[] = {"abcxxxxx"};
  assert_null(co_nearest("caxxxxx", pair, 1));
  char longer[300];
  memset(longer, 'a', sizeof longer);
  longer[299] = '\0';
  assert_null(co_nearest(longer, words, 5));
  const char *long_list[] = {longer, "ab"};
  assert_string_equal(co_nearest("aa", long_list, 2), "ab");
  static const char *const tie[] = {"cat", "bat"};
  assert_string_equal(co_nearest("rat", tie, 2), "cat");
  static const char *const exact[] = {"cat", "rat"};
  assert_string_equal(co_nearest("rat", exact, 2), "rat");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(errors_are_collected_in_order),
      cmocka_unit_test(near_words_are_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
