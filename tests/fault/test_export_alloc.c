// SPDX-License-Identifier: Apache-2.0
// Every allocation and every operation on files of an export failing in turn: a clean error, nothing
// leaked, and no file but the whole one.
// Labels: slow
#include "tests/train/training.h"

#include <errno.h>

typedef struct fault {
  int64_t allocation, operation;   // which one fails, 0 = none
  int64_t allocations, operations; // how many there were
} fault;

static int export_with(fault *f, const char *model, const char *format, const char *output) {
  char path[512];
  cohort_context *context;
  cohort_result *result = NULL;
  snprintf(path, sizeof path, COHORT_TEST_SOURCE_DIR "/tests/golden/onnx/%s.h5", model);
  const cohort_export_options options = {.model = path, .format = format, .output = output};
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  int64_t allocations = co_alloc_get_stats(context->ctx).calls;
  int64_t operations = co_io_calls(context->ctx);
  co_alloc_fail_at(context->ctx, f->allocation, false);
  if (f->operation) co_io_fail_at(context->ctx, f->operation, false, ENOSPC);
  int status = cohort_export(context, &options, &result);
  f->allocations = co_alloc_get_stats(context->ctx).calls - allocations;
  f->operations = co_io_calls(context->ctx) - operations;
  cohort_error error;
  if (status != 0 && result) {
    assert_true(cohort_result_error(result, 0, &error));
    assert_int_equal(error.status, status);
    assert_null(strchr(error.message, '\n'));
  }
  cohort_result_free(result);
  assert_int_equal(co_alloc_get_stats(context->ctx).live_blocks, 1); // the context
  cohort_context_free(context);
  return status;
}

static void fail_each(const char *model, const char *format) {
  fault whole = {0};
  int failed = 0;
  assert_int_equal(export_with(&whole, model, format, "whole"), 0);
  for (int kind = 0; kind < 2; kind++)
    for (int64_t n = 1; n <= (kind ? whole.operations : whole.allocations); n++) {
      fault one = {.allocation = kind ? 0 : n, .operation = kind ? n : 0};
      int status = export_with(&one, model, format, "part");
      bool there = access("part", F_OK) == 0; // it may be published before the answer fails
      assert_true(there || status != 0);
      if (there && !same_file("whole", "part"))
        fail_msg("%s as %s: %lld of %d makes other bytes", model, format, (long long)n, kind);
      if (status != 0) assert_int_equal(status, kind ? CO_ERR_IO : CO_ERR_MEMORY);
      failed += status != 0;
      assert_int_equal(count_temporaries("."), 0);
      remove("part");
    }
  printf("%s as %s: %d failed\n", model, format, failed);
  assert_true(failed > 0);
  remove("whole");
}

static void test_c(void **unused) {
  (void)unused;
  fail_each("table", "c");
}

static void test_onnx(void **unused) {
  (void)unused;
  fail_each("events", "onnx");
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_c), TRAINING_TEST(test_onnx)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
