// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host/core/text_width.h"

static void test_widths(void **state) {
  (void)state;
  assert_int_equal(co_text_width(""), 0);
  assert_int_equal(co_text_width("plan"), 4);
  assert_int_equal(co_text_width("dépense"), 7);
  assert_int_equal(co_text_width("de\xCC\x81pense"), 7); // e, then the accent
  assert_int_equal(co_text_width("Île-de-France"), 13);
  assert_int_equal(co_text_width("评论"), 4);
  assert_int_equal(co_text_width("ひらがな 한글"), 13);
  assert_int_equal(co_text_width("ＡＢ"), 4);
  assert_int_equal(co_text_width("👍🏽!"), 3);
  assert_int_equal(co_text_width("… – €"), 5);
  assert_int_equal(co_text_width("a\xFF\xE8\xAF"), 4); // not well-formed
}

static void check(const char *wanted, const char *text, int width, int most, bool right) {
  co_text out;
  co_context *ctx = NULL;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  co_text_init(&out, ctx);
  co_text_pad(&out, text, width, most, right);
  assert_string_equal(out.data ? out.data : "", wanted);
  co_text_free(&out);
  co_context_free(ctx);
}

static void test_padding(void **state) {
  (void)state;
  check("été   ", "été", 6, 0, false);
  check("   été", "été", 6, 0, true);
  check("评论  ", "评论", 6, 0, false);
  check("  评论", "评论", 6, 6, true);
  check("评论", "评论", 3, 0, false);
  check("dép…", "dépense", 4, 4, false);
  check("评… ", "评论区", 4, 4, false); // half a character is none
  check(" 评…", "评论区", 4, 4, true);
  check("a?b?c", "a\nb\xC2\x9B\x63", 0, 0, false);
  check("\xFF ", "\xFF", 2, 0, false);
}

static void test_ends_of_lines(void **state) {
  (void)state;
  co_text out;
  co_context *ctx = NULL;
  assert_int_equal(co_context_create(&ctx, NULL), CO_OK);
  co_text_init(&out, ctx);
  co_text_end_line(&out);
  co_text_printf(&out, "a b  ");
  co_text_end_line(&out);
  co_text_printf(&out, "   ");
  co_text_end_line(&out);
  assert_string_equal(out.data, "\na b\n\n");
  co_text_free(&out);
  co_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_widths),
      cmocka_unit_test(test_padding),
      cmocka_unit_test(test_ends_of_lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
