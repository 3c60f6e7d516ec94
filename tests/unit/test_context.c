// SPDX-License-Identifier: Apache-2.0
// Labels: tsan
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "host/core/context.h"

static int set_up(void **state) {
  co_context *ctx;
  if (co_context_create(&ctx, NULL) != CO_OK) return -1;
  *state = ctx;
  return 0;
}

static int tear_down(void **state) {
  co_context *ctx = *state;
  int64_t live = co_alloc_get_stats(ctx).live_blocks;
  co_context_free(ctx);
  return live == 0 ? 0 : -1;
}

static void blocks_are_aligned_and_counted(void **state) {
  co_context *ctx = *state;
  void *block[40];
  int64_t bytes = 0;
  for (size_t i = 0; i < 40; i++) {
    block[i] = co_alloc(ctx, i * 37);
    assert_non_null(block[i]);
    assert_int_equal((uintptr_t)block[i] % 64, 0);
    memset(block[i], 0xA5, i * 37);
    bytes += (int64_t)(i * 37);
  }
  co_alloc_stats stats = co_alloc_get_stats(ctx);
  assert_int_equal(stats.live_blocks, 40);
  assert_int_equal(stats.live_bytes, bytes);
  assert_int_equal(stats.peak_bytes, bytes);
  assert_int_equal(stats.calls, 40);
  for (size_t i = 0; i < 40; i++)
    co_free(ctx, block[i]);
  co_free(ctx, NULL);
  stats = co_alloc_get_stats(ctx);
  assert_int_equal(stats.live_blocks, 0);
  assert_int_equal(stats.live_bytes, 0);
  assert_int_equal(stats.peak_bytes, bytes);
}

static void realloc_keeps_contents(void **state) {
  co_context *ctx = *state;
  char *p = co_realloc(ctx, NULL, 3);
  memcpy(p, "abc", 3);
  p = co_realloc(ctx, p, 1000);
  assert_memory_equal(p, "abc", 3);
  assert_int_equal((uintptr_t)p % 64, 0);
  co_alloc_fail_at(ctx, 1, false);
  assert_null(co_realloc(ctx, p, 2000));
  assert_memory_equal(p, "abc", 3); // the old block lives
  p = co_realloc(ctx, p, 2);
  assert_memory_equal(p, "ab", 2);
  assert_int_equal(co_alloc_get_stats(ctx).live_bytes, 2);
  co_free(ctx, p);
}

static void impossible_sizes_fail(void **state) {
  co_context *ctx = *state;
  co_error_clear();
  assert_null(co_alloc(ctx, SIZE_MAX));
  assert_int_equal(co_error_last()->status, CO_ERR_MEMORY);
  assert_non_null(strstr(co_error_last()->message, "18446744073709551615"));
  assert_null(co_alloc(ctx, SIZE_MAX - 10));
  assert_null(co_alloc_zero(ctx, SIZE_MAX / 4, 8));
  assert_null(co_alloc_zero(ctx, (size_t)1 << 32, (size_t)1 << 32));
  unsigned char *zeroed = co_alloc_zero(ctx, 3, 5);
  for (int i = 0; i < 15; i++)
    assert_int_equal(zeroed[i], 0);
  co_free(ctx, zeroed);
  void *none = co_alloc_zero(ctx, 0, 8);
  assert_non_null(none);
  co_free(ctx, none);
}

static void nth_allocation_fails(void **state) {
  co_context *ctx = *state;
  for (int persistent = 0; persistent <= 1; persistent++) {
    co_alloc_fail_at(ctx, 3, persistent);
    void *p[5];
    for (int i = 0; i < 5; i++) {
      p[i] = co_alloc(ctx, 8);
      int fails = i == 2 || (persistent && i > 2);
      assert_int_equal(p[i] == NULL, fails);
    }
    co_alloc_fail_at(ctx, 0, false);
    for (int i = 0; i < 5; i++)
      co_free(ctx, p[i]);
    void *again = co_alloc(ctx, 8);
    assert_non_null(again);
    co_free(ctx, again);
  }
}

static void nth_io_fails(void **state) {
  co_context *ctx = *state;
  assert_int_equal(co_io_fault(ctx), 0);
  co_io_fail_at(ctx, 2, false, 28);
  assert_int_equal(co_io_fault(ctx), 0);
  assert_int_equal(co_io_fault(ctx), 28);
  assert_int_equal(co_io_fault(ctx), 0);
  co_io_fail_at(ctx, 1, true, 5);
  assert_int_equal(co_io_fault(ctx), 5);
  assert_int_equal(co_io_fault(ctx), 5);
  co_io_fail_at(ctx, 0, false, 0);
  assert_int_equal(co_io_fault(ctx), 0);
  assert_int_equal(co_io_calls(ctx), 7);
}

static void *churn(void *ctx) {
  for (int i = 0; i < 2000; i++) {
    char *text = co_format(ctx, "%d", i);
    co_log(ctx, CO_LOG_WARN, "churn", "%d", i);
    co_free(ctx, text);
  }
  return NULL;
}

static void counters_hold_under_threads(void **state) {
  co_context *ctx = *state;
  pthread_t thread[4];
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&thread[i], NULL, churn, ctx), 0);
  for (int i = 0; i < 4; i++)
    pthread_join(thread[i], NULL);
  co_alloc_stats stats = co_alloc_get_stats(ctx);
  assert_int_equal(stats.live_blocks, 0);
  assert_int_equal(stats.live_bytes, 0);
  assert_int_equal(stats.calls, 8000);
  assert_int_equal(co_context_warning_count(ctx), 8000);
}

typedef struct records {
  int count;
  co_log_level level;
  char event[32], text[4096];
} records;

static void remember(void *user, co_log_level level, const char *event, const char *text) {
  records *r = user;
  r->count++;
  r->level = level;
  snprintf(r->event, sizeof r->event, "%s", event);
  snprintf(r->text, sizeof r->text, "%s", text);
}

static void log_obeys_its_level(void **state) {
  co_context *ctx = *state;
  records r = {0};
  co_context_set_log(ctx, CO_LOG_INFO, remember, &r);
  co_log(ctx, CO_LOG_DEBUG, "train", "hidden");
  assert_int_equal(r.count, 0);
  co_log(ctx, CO_LOG_INFO, "train", "step=%d\nmore", 7);
  assert_int_equal(r.count, 1);
  assert_string_equal(r.event, "train");
  assert_string_equal(r.text, "step=7 more");
  char longer[3000];
  memset(longer, 'y', sizeof longer);
  longer[sizeof longer - 1] = '\0';
  co_log(ctx, CO_LOG_ERROR, "x", "%s!", longer);
  assert_int_equal(strlen(r.text), 3000);
  assert_int_equal(r.level, CO_LOG_ERROR);
  co_context_set_log(ctx, CO_LOG_TRACE, NULL, NULL);
  co_log(ctx, CO_LOG_INFO, "x", "nowhere");
  assert_int_equal(r.count, 2);
}

static void warnings_are_kept(void **state) {
  co_context *ctx = *state;
  records r = {0};
  co_context_set_log(ctx, CO_LOG_ERROR, remember, &r);
  co_alloc_fail_at(ctx, 1, true); // warnings need none of the counted memory
  for (int i = 0; i < 130; i++)
    co_log(ctx, CO_LOG_WARN, "w", "warning %d", i);
  co_log(ctx, CO_LOG_ERROR, "e", "not a warning");
  co_alloc_fail_at(ctx, 0, false);
  assert_int_equal(co_context_warning_count(ctx), 130);
  assert_int_equal(r.count, 1);
  assert_string_equal(co_context_warning(ctx, 0), "warning 0");
  assert_string_equal(co_context_warning(ctx, 99), "warning 99");
  assert_null(co_context_warning(ctx, 100));
  assert_null(co_context_warning(ctx, -1));
}

static void threads_have_a_default(void **state) {
  co_context *ctx = *state;
  assert_true(co_context_threads(ctx) >= 1);
  int all = co_context_threads(ctx);
  co_context_set_threads(ctx, 3);
  assert_int_equal(co_context_threads(ctx), 3);
  co_context_set_threads(ctx, 0);
  assert_int_equal(co_context_threads(ctx), all);
  co_context *other;
  co_context_options options = {.threads = 5, .level = CO_LOG_TRACE};
  assert_int_equal(co_context_create(&other, &options), CO_OK);
  assert_int_equal(co_context_threads(other), 5);
  assert_string_equal(co_context_threads_why(other), "given");
  co_context_free(other);
  co_context_free(NULL);
}

static void a_limit_bounds_the_default(void **state) {
  (void)state;
  co_context *limited;
  co_context_options options = {.thread_limit = 1, .limit_why = "a rule"};
  assert_int_equal(co_context_create(&limited, &options), CO_OK);
  assert_int_equal(co_context_threads(limited), 1);
  assert_int_equal(co_context_thread_limit(limited), 1);
  assert_string_equal(co_context_limit_why(limited), "a rule");
  co_context_free(limited);
  options = (co_context_options){.threads = 7, .threads_why = "a wish", .thread_limit = 4096};
  assert_int_equal(co_context_create(&limited, &options), CO_OK);
  assert_int_equal(co_context_threads(limited), 7);
  assert_string_equal(co_context_threads_why(limited), "a wish");
  co_context_free(limited);
}

static void count_alive(void *user, int seconds) {
  int *last = user;
  last[0]++;
  last[1] = seconds;
}

static void signs_of_life_are_passed_on(void **state) {
  co_context *ctx = *state, *asking;
  int last[2] = {0, 0};
  co_alive(ctx, CO_PATIENCE); // nobody asks
  co_context_options options = {.alive = count_alive, .alive_user = last};
  assert_int_equal(co_context_create(&asking, &options), CO_OK);
  assert_int_equal(last[0], 0);
  co_alive(asking, CO_PATIENCE_DISK);
  assert_int_equal(last[0], 1);
  assert_int_equal(last[1], CO_PATIENCE_DISK);
  assert_int_equal(co_io_fault(asking), 0); // every operation on a file is one
  assert_int_equal(last[0], 2);
  assert_int_equal(last[1], CO_PATIENCE);
  co_context_free(asking);
}

static void texts_are_formatted(void **state) {
  co_context *ctx = *state;
  char *a = co_strdup(ctx, ""), *b = co_format(ctx, "%0500d|", 1);
  assert_string_equal(a, "");
  assert_int_equal(strlen(b), 501);
  co_free(ctx, a);
  co_free(ctx, b);
}

static void arena_serves_all_sizes(void **state) {
  co_context *ctx = *state;
  co_arena *arena;
  assert_int_equal(co_arena_create(&arena, ctx), CO_OK);
  assert_ptr_equal(co_arena_context(arena), ctx);
  char *last = NULL;
  for (size_t i = 0; i < 3000; i++) {
    char *p = co_arena_alloc(arena, i % 300, 3);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 16, 0);
    assert_ptr_not_equal(p, last);
    for (size_t k = 0; k < i % 300 * 3; k++)
      assert_int_equal(p[k], 0);
    memset(p, 0x5A, i % 300 * 3);
    last = p;
  }
  char *small = co_arena_strdup(arena, "small");
  char *big = co_arena_alloc(arena, 1, 1 << 20);
  memset(big, 1, 1 << 20);
  assert_string_equal(small, "small");
  assert_string_equal(co_arena_strndup(arena, "abcdef", 3), "abc");
  assert_string_equal(co_arena_strndup(arena, "ab", 3), "ab");
  assert_string_equal(co_arena_format(arena, "%s-%d", "x", 4), "x-4");
  assert_null(co_arena_alloc(arena, SIZE_MAX / 2, 3));
  assert_null(co_arena_alloc(arena, SIZE_MAX - 5, 1));
  assert_int_equal(co_error_last()->status, CO_ERR_MEMORY);
  co_alloc_fail_at(ctx, 1, false);
  assert_null(co_arena_alloc(arena, 1, 1 << 20));
  assert_non_null(co_arena_alloc(arena, 1, 1 << 20));
  co_arena_free(arena);
  co_arena_free(NULL);
  co_alloc_fail_at(ctx, 1, false);
  assert_int_equal(co_arena_create(&arena, ctx), CO_ERR_MEMORY);
}

static void arrays_grow(void **state) {
  co_context *ctx = *state;
  int64_t capacity = 0;
  void *data = NULL;
  for (int64_t i = 0; i < 1000; i++) {
    assert_int_equal(co_grow(ctx, &data, &capacity, i, sizeof(int64_t)), CO_OK);
    ((int64_t *)data)[i] = i;
  }
  assert_true(co_alloc_get_stats(ctx).calls < 12);
  for (int64_t i = 0; i < 1000; i++)
    assert_int_equal(((int64_t *)data)[i], i);
  int64_t before = capacity;
  co_alloc_fail_at(ctx, 1, false);
  assert_int_equal(co_grow(ctx, &data, &capacity, capacity, 8), CO_ERR_MEMORY);
  assert_int_equal(capacity, before);
  int64_t huge = INT64_MAX / 2 + 1;
  assert_int_equal(co_grow(ctx, &data, &huge, huge, 8), CO_ERR_MEMORY);
  co_free(ctx, data);
}

static void text_appends(void **state) {
  co_context *ctx = *state;
  co_text text;
  co_text_init(&text, ctx);
  co_text_append(&text, "", 0);
  assert_string_equal(text.data, "");
  for (int i = 0; i < 500; i++)
    co_text_printf(&text, "%d,", i % 10);
  co_text_append(&text, "\0z", 2);
  assert_int_equal(text.status, CO_OK);
  assert_int_equal(text.length, 1002);
  assert_int_equal(strlen(text.data), 1000);
  assert_int_equal(text.data[1001], 'z');
  assert_int_equal(text.data[1002], '\0');
  co_text_free(&text);
  co_text_free(&text);
  co_text_init(&text, ctx);
  co_alloc_fail_at(ctx, 1, false);
  co_text_append(&text, "lost", 4);
  co_text_append(&text, "too late", 8);
  assert_int_equal(text.status, CO_ERR_MEMORY);
  assert_int_equal(text.length, 0);
  co_text_free(&text);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(blocks_are_aligned_and_counted),
      TEST(realloc_keeps_contents),
      TEST(impossible_sizes_fail),
      TEST(nth_allocation_fails),
      TEST(nth_io_fails),
      TEST(counters_hold_under_threads),
      TEST(log_obeys_its_level),
      TEST(warnings_are_kept),
      TEST(threads_have_a_default),
      TEST(a_limit_bounds_the_default),
      TEST(signs_of_life_are_passed_on),
      TEST(texts_are_formatted),
      TEST(arena_serves_all_sizes),
      TEST(arrays_grow),
      TEST(text_appends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
