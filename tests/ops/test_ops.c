// SPDX-License-Identifier: Apache-2.0
// test_ops [-o OP] [-k CASE] [-b cpu|ref] [--list]: checks operations on the backends.
#include <string.h>

#include "kernels/ref/ref.h"
#include "ops_test.h"

static int usage(void) {
  (void)fprintf(stderr, "usage: test_ops [-o OP] [-k CASE] [-b cpu|ref] [--list]\n");
  return 2;
}

typedef co_status open_function(co_backend **, co_context *, const co_backend_options *);

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    open_function *open;
  } offered[] = {
    {"ref", co_ref_backend_open},
#if COHORT_TEST_CPU
    {"cpu", co_cpu_backend_open},
#endif
  };
  ops_suite suite = {
      .families = ops_families, .reference = co_ref_run, .report = {.stream = stderr}};
  const char *only_backend = NULL;
  for (int i = 1; i < argc; i++) {
    bool value = i + 1 < argc;
    if (strcmp(argv[i], "--list") == 0)
      suite.list = true;
    else if (strcmp(argv[i], "-o") == 0 && value)
      suite.only_op = argv[++i];
    else if (strcmp(argv[i], "-k") == 0 && value)
      suite.only_case = argv[++i];
    else if (strcmp(argv[i], "-b") == 0 && value)
      only_backend = argv[++i];
    else
      return usage();
  }
  bool known = suite.only_op == NULL;
  for (int op = 0; op < CO_OP_COUNT && !known; op++)
    known = strcmp(co_op_get_info((co_op)op)->name, suite.only_op) == 0;
  if (!known) {
    (void)fprintf(stderr, "no operation '%s'\n", suite.only_op);
    return 2;
  }
  co_context *ctx = NULL;
  const co_context_options options = {.threads = 2, .level = CO_LOG_WARN};
  if (co_context_create(&ctx, &options) != CO_OK) return 1;
  for (size_t i = 0; i < sizeof offered / sizeof offered[0]; i++) {
    if (only_backend != NULL && strcmp(only_backend, offered[i].name) != 0) continue;
    co_backend *backend = NULL;
    if (offered[i].open(&backend, ctx, NULL) != CO_OK) {
      (void)fprintf(stderr, "%s: %s\n", offered[i].name, co_error_last()->message);
      return 1;
    }
    suite.backends[suite.backend_count++] = backend;
  }
  if (suite.backend_count == 0) {
    (void)fprintf(stderr, "no backend '%s' in this build\n", only_backend);
    return 2;
  }
  ops_suite_run(&suite);
  for (int i = 0; i < suite.backend_count; i++)
    suite.backends[i]->api->free(suite.backends[i]);
  int64_t leaked = co_alloc_get_stats(ctx).live_blocks;
  co_context_free(ctx);
  if (suite.list) return 0;
  if (leaked != 0) (void)fprintf(stderr, "FAIL %lld blocks leaked\n", (long long)leaked);
  (void)printf("%d checks, %d failures, %d refusals to accumulate\n", suite.report.checks,
               suite.report.failures, suite.report.refusals);
  if (suite.report.checks == 0) (void)fprintf(stderr, "nothing was selected\n");
  return suite.report.failures == 0 && leaked == 0 && suite.report.checks > 0 ? 0 : 1;
}
