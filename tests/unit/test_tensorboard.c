// SPDX-License-Identifier: Apache-2.0
// Event files: the bytes that TensorBoard's own writer makes, and what is kept of a file that goes on.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/train/tensorboard.h"

#define OK(call) assert_int_equal((call), CO_OK)

// RecordWriter of tensorboard 2.21 over Event(wall_time=1234.5, file_version="brain.Event:2"), then
// Event(wall_time=1700000000.25, step=300) with the values loss 0.5 and bought/roc_auc 0.1.
static const char expected[] =
    "1800000000000000a37f4b220900000000004a93401a0d627261696e2e4576656e743a3265b8d3fb"
    "3200000000000000241956ec0900001040fc54d94110ac022a240a0b0a046c6f7373150000003f0a150a0e626f7567"
    "68742f726f635f61756315cdcccc3d6bfcaf37";

static void test_bytes(void **state) {
  (void)state;
  const co_scalar scalars[] = {{"loss", 0.5}, {"not a number", NAN}, {"bought/roc_auc", 0.1}};
  co_context *ctx;
  co_text text;
  char hex[sizeof expected] = "";
  OK(co_context_create(&ctx, NULL));
  co_text_init(&text, ctx);
  co_event_version(&text, 1234.5);
  co_event_scalars(&text, 1700000000.25, 300, scalars, 3);
  OK(text.status);
  assert_int_equal(2 * text.length, sizeof expected - 1);
  for (size_t i = 0; i < text.length; i++)
    snprintf(hex + 2 * i, 3, "%02x", (unsigned char)text.data[i]);
  assert_string_equal(hex, expected);
  co_text_free(&text);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
}

static size_t size_of(co_context *ctx) {
  char *bytes;
  size_t length;
  OK(co_read_file(ctx, "tb/events.out.tfevents.cohort", 1 << 20, CO_ERR_IO, &bytes, &length));
  co_free(ctx, bytes);
  return length;
}

// A record of loss is 8 + 4 + 9 + 2 + 2 + 13 + 4 bytes for steps below 128.
enum { BEGIN = 40, RECORD = 42 };

static void test_goes_on(void **state) {
  (void)state;
  char folder[] = P_tmpdir "/cohort-events-XXXXXX";
  co_context *ctx;
  co_writer *w;
  assert_non_null(mkdtemp(folder));
  assert_int_equal(chdir(folder), 0);
  OK(co_context_create(&ctx, NULL));
  OK(co_events_open(&w, ctx, "tb", 0));
  for (int64_t step = 10; step <= 50; step += 10) {
    const co_scalar scalar = {"loss", 1.0 / (double)step};
    OK(co_events_add(w, ctx, step, &scalar, 1));
  }
  OK(co_writer_close(w));
  assert_int_equal(size_of(ctx), BEGIN + 5 * RECORD);
  // Torn amid a record.
  OK(co_truncate_file(ctx, "tb/events.out.tfevents.cohort", BEGIN + 5 * RECORD - 7));
  OK(co_events_open(&w, ctx, "tb", 1000));
  OK(co_writer_close(w));
  assert_int_equal(size_of(ctx), BEGIN + 4 * RECORD);
  OK(co_events_open(&w, ctx, "tb", 29));
  OK(co_writer_close(w));
  assert_int_equal(size_of(ctx), BEGIN + 2 * RECORD);
  OK(co_events_open(&w, ctx, "tb", 30));
  const co_scalar again = {"loss", 0.25};
  OK(co_events_add(w, ctx, 30, &again, 1));
  OK(co_writer_close(w));
  assert_int_equal(size_of(ctx), BEGIN + 3 * RECORD);
  // What is no record is not kept.
  FILE *file = fopen("tb/events.out.tfevents.cohort", "r+b");
  assert_non_null(file);
  fseek(file, BEGIN + RECORD + 20, SEEK_SET);
  fputc(0x7f, file);
  fclose(file);
  OK(co_events_open(&w, ctx, "tb", 1000));
  OK(co_writer_close(w));
  assert_int_equal(size_of(ctx), BEGIN + RECORD);
  unlink("tb/events.out.tfevents.cohort");
  rmdir("tb");
  assert_int_equal(chdir("/"), 0);
  rmdir(folder);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes), cmocka_unit_test(test_goes_on)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
