// SPDX-License-Identifier: Apache-2.0
// Every allocation and every operation on files of a training failing in turn: a clean error,
// nothing leaked, and the run can be resumed to the bytes of one that never failed.
// Labels: slow
// Timeout: 600
#include "tests/train/training.h"

#include <errno.h>

static const char tiny_config[] =
    "input_features:\n"
    "  - {name: image, type: image, encoder: {type: stacked_cnn, filters: [2], output_size: 3}}\n"
    "output_features:\n"
    "  - {name: label, type: category}\n"
    "trainer:\n"
    "  max_steps: 2\n"
    "  batch_size: 6\n"
    "  steps_per_checkpoint: 1\n"
    "  optimizer: {type: adam}\n";

typedef struct fault {
  int64_t allocation, operation; // which one fails, 0 = none
  int error;
  int64_t allocations, operations; // how many there were
} fault;

// Trains with the fault; checks that nothing leaks and that errors are told.
static int train_with(fault *f, const training *t) {
  cohort_context *context;
  cohort_result *result = NULL;
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  cohort_train_options request = training_options(t);
  int64_t allocations = co_alloc_get_stats(context->ctx).calls;
  int64_t operations = co_io_calls(context->ctx);
  co_alloc_fail_at(context->ctx, f->allocation, false);
  if (f->operation) co_io_fail_at(context->ctx, f->operation, false, f->error);
  int status = cohort_train(context, &request, &result);
  f->allocations = co_alloc_get_stats(context->ctx).calls - allocations;
  f->operations = co_io_calls(context->ctx) - operations;
  cohort_error error;
  if (status != 0 && result) {
    assert_true(cohort_result_error(result, 0, &error));
    assert_int_equal(error.status, status);
    assert_true(*error.message);
    assert_null(strchr(error.message, '\n'));
  }
  cohort_result_free(result);
  assert_int_equal(co_alloc_get_stats(context->ctx).live_blocks, 1); // the context
  cohort_context_free(context);
  return status;
}

static const training first = {
    .run_dir = "run", .config = "c.yaml", .dataset = "d.h5", .workers = 1};

static void prepare(fault *f) {
  make_images("d.h5", 24, 3);
  write_text("c.yaml", tiny_config);
  training t = first;
  t.run_dir = "whole";
  assert_int_equal(train_with(f, &t), 0);
}

static void check_resumable(const char *what, int64_t n, int64_t of, int status) {
  fault none = {0};
  training again = first;
  again.resume = "auto";
  int resumed = train_with(&none, &again);
  const char *difference = resumed ? "exit code" : run_difference("whole", "run");
  if (resumed || *difference)
    fail_msg("%s %lld of %lld failed (exit %d): resumed with %d, %s", what, (long long)n,
             (long long)of, status, resumed, difference);
  assert_int_equal(count_temporaries("run"), 0);
  remove_tree("run");
}

static void test_allocations(void **state) {
  (void)state;
  fault whole = {0};
  prepare(&whole);
  int64_t clean = 0;
  for (int64_t n = 1; n <= whole.allocations; n++) {
    fault f = {.allocation = n};
    int status = train_with(&f, &first);
    if (status != 0 && status != CO_ERR_MEMORY)
      fail_msg("allocation %lld of %lld: exit %d, %s", (long long)n, (long long)whole.allocations,
               status, co_error_last()->message);
    clean += status == CO_ERR_MEMORY;
    // Resuming is checked where a run directory exists, which most failures do not reach.
    if (n % 7 == 0 || n == whole.allocations)
      check_resumable("allocation", n, whole.allocations, status);
    remove_tree("run");
  }
  print_message("%lld allocations, %lld failed\n", (long long)whole.allocations, (long long)clean);
  assert_true(clean * 10 > whole.allocations * 9);
}

static void test_operations(void **state) {
  (void)state;
  fault whole = {0};
  prepare(&whole);
  for (int64_t n = 1; n <= whole.operations; n++) {
    fault f = {.operation = n, .error = n % 2 ? ENOSPC : EIO};
    int status = train_with(&f, &first);
    if (status != 0 && status != CO_ERR_IO)
      fail_msg("operation %lld of %lld: exit %d, %s", (long long)n, (long long)whole.operations,
               status, co_error_last()->message);
    check_resumable("operation", n, whole.operations, status);
  }
  print_message("%lld operations\n", (long long)whole.operations);
}

int main(void) {
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_operations),
                                     TRAINING_TEST(test_allocations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
