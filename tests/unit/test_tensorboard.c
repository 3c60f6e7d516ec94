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
  co_context *ctx;
  co_text text, summary;
  char hex[sizeof expected] = "";
  OK(co_context_create(&ctx, NULL));
  co_text_init(&text, ctx);
  co_event_version(&text, 1234.5);
  co_text_init(&summary, ctx);
  co_summary_scalar(&summary, "loss", 0.5);
  co_summary_scalar(&summary, "not a number", NAN);
  co_summary_scalar(&summary, "bought/roc_auc", 0.1);
  co_event_summary(&text, 1700000000.25, 300, &summary);
  OK(text.status);
  assert_int_equal(2 * text.length, sizeof expected - 1);
  for (size_t i = 0; i < text.length; i++)
    snprintf(hex + 2 * i, 3, "%02x", (unsigned char)text.data[i]);
  assert_string_equal(hex, expected);
  co_text_free(&text);
  assert_int_equal(co_alloc_get_stats(ctx).live_blocks, 0);
  co_context_free(ctx);
}

// scripts/gen_tensorboard: what tensorboard 2.21 makes of histograms, a picture and hyperparameters.
static const char expected_details[] = "1804000000000000e2c9ee960900001040fc54d94110ac022a89080aa60"
                                       "40a0e776569676874732f6b65726e656c2a93"
                                       "0409000000000000f0bf110000000000000040190000000000001440210"
                                       "000000000000e40290000000000a0224032f0"
                                       "01cdccccccccccecbf9a9999999999e9bf666666666666e6bf333333333"
                                       "333e3bf000000000000e0bf9a9999999999d9"
                                       "bf343333333333d3bf989999999999c9bf989999999999b9bf000000000"
                                       "0000000a09999999999b93f989999999999c9"
                                       "3f343333333333d33f989999999999d93f000000000000e03f343333333"
                                       "333e33f666666666666e63f9a9999999999e9"
                                       "3fccccccccccccec3f000000000000f03f9a9999999999f13f343333333"
                                       "333f33fccccccccccccf43f666666666666f6"
                                       "3f000000000000f83f9a9999999999f93f343333333333fb3fccccccccc"
                                       "cccfc3f666666666666fe3f00000000000000"
                                       "403af001000000000000f03f00000000000000000000000000000000000"
                                       "0000000000000000000000000000000000000"
                                       "00000000000000000000000000000000000000000000000000000000000"
                                       "0000000000000000000000000000000000000"
                                       "00000000000000000000f03f00000000000000000000000000000000000"
                                       "000000000f03f000000000000000000000000"
                                       "00000000000000000000000000000000000000000000000000000000000"
                                       "0000000000000000000000000000000000000"
                                       "00000000000000000000000000000000000000000000000000000000000"
                                       "0000000000000000000000000000000000000"
                                       "000000400a510a0c776569676874732f626961732a4109000000000000e"
                                       "03f11000000000000e03f1900000000000008"
                                       "4021000000000000f83f29000000000000e83f3208000000000000e03f3"
                                       "a0800000000000008400a4b0a0c696e707574"
                                       "732f70686f746f2229080210031803222189504e470d0a1a0a0000000d4"
                                       "9484452000000030000000208020000000000"
                                       "00004a100a080a06696d616765731a04726f77730a530a1c5f687061726"
                                       "16d735f2f73657373696f6e5f73746172745f"
                                       "696e666f42060801120212004a2b0a290a0768706172616d73121e1a1c0"
                                       "a110a04736565641209110000000000004540"
                                       "2900000040fc54d9410a550a1c5f68706172616d735f2f73657373696f6"
                                       "e5f73746172745f696e666f42060801120212"
                                       "004a2d0a2b0a0768706172616d7312201a1e0a130a0d747261696e65722"
                                       "e7265666974120220012900000040fc54d941"
                                       "0a500a1c5f68706172616d735f2f73657373696f6e5f73746172745f696"
                                       "e666f42060801120212004a280a260a076870"
                                       "6172616d73121b1a190a0e0a047479706512061a046164616d290000004"
                                       "0fc54d9410a400a1a5f68706172616d735f2f"
                                       "73657373696f6e5f656e645f696e666f42060801120212004a1a0a180a0"
                                       "768706172616d73120d220b08011100004040"
                                       "fc54d9412976b723";

static void add_details(co_text *summary) {
  static const float values[] = {-1, 0.25F, INFINITY, 0.5F, 2, NAN, 2},
                     equal[] = {0.5F, 0.5F, 0.5F};
  static const char png_bytes[] =
      "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\3\0\0\0\2\10\2\0\0\0\0\0\0\0";
  const co_hparam hparams[] = {{"seed", CO_HPARAM_NUMBER, 42, NULL},
                               {"trainer.refit", CO_HPARAM_BOOL, 1, NULL},
                               {"type", CO_HPARAM_TEXT, 0, "adam"}};
  const float nothing = NAN;
  co_text png;
  co_text_init(&png, summary->ctx);
  co_text_append(&png, png_bytes, sizeof png_bytes - 1);
  co_summary_histogram(summary, "weights/kernel", values, 7);
  co_summary_histogram(summary, "weights/bias", equal, 3);
  co_summary_histogram(summary, "weights/nothing", &nothing, 1);
  co_summary_image(summary, "inputs/photo", "rows", &png);
  for (int i = 0; i < 3; i++)
    co_summary_session_start(summary, &hparams[i], 1, 1700000000);
  co_summary_session_end(summary, true, 1700000001);
  co_text_free(&png);
}

static void test_details(void **state) {
  (void)state;
  co_context *ctx;
  co_text text, summary;
  OK(co_context_create(&ctx, NULL));
  co_text_init(&text, ctx);
  co_text_init(&summary, ctx);
  add_details(&summary);
  co_event_summary(&text, 1700000000.25, 300, &summary);
  OK(text.status);
  assert_int_equal(2 * text.length, sizeof expected_details - 1);
  for (size_t i = 0; i < text.length; i++) {
    char hex[3];
    snprintf(hex, sizeof hex, "%02x", (unsigned char)text.data[i]);
    if (memcmp(hex, expected_details + 2 * i, 2) != 0) fail_msg("byte %zu is %s", i, hex);
  }
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

static void add_loss(co_writer *w, co_context *ctx, int64_t step, double loss) {
  co_text summary;
  co_text_init(&summary, ctx);
  co_summary_scalar(&summary, "loss", loss);
  OK(co_events_add(w, ctx, step, &summary));
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
    add_loss(w, ctx, step, 1.0 / (double)step);
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
  add_loss(w, ctx, 30, 0.25);
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
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes), cmocka_unit_test(test_details),
                                     cmocka_unit_test(test_goes_on)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
