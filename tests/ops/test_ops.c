// SPDX-License-Identifier: Apache-2.0
// test_ops [-o OP] [-k CASE] [-b DEVICE] [-f IMPLEMENTATION] [--tf32] [--launches] [--list]: checks
// operations on ref and cpu, or on a device, such as cuda:0. With --tf32 the device may round f32
// operands, which fails on a GPU but not on its double; with --launches what operations say of
// their launches is compared with what the double counts. Of the sweeps of cases all run, or what the
// environment's COHORT_TEST_SWEEP says: "none", or a quarter, "1" to "4".
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "host/device/backend.h"
#include "kernels/ref/ref.h"
#include "ops_test.h"

static int usage(void) {
  (void)fprintf(
      stderr,
      "usage: test_ops [-o OP] [-k CASE] [-b DEVICE] [-f IMPLEMENTATION] [--tf32] [--launches] "
      "[--list]\n");
  return 2;
}

static bool open_backend(ops_suite *suite, co_context *ctx, const char *device,
                         const co_backend_options *options) {
  if (co_backend_open_device(&suite->backends[suite->backend_count], ctx, device, options) !=
      CO_OK) {
    (void)fprintf(stderr, "%s: %s\n", device, co_error_last()->message);
    return false;
  }
  suite->backend_count++;
  return true;
}

// The double of the CUDA runtime counts launches (tests/cudasim/doubles/cuda_double.h).
static bool find_counter(ops_report *report) {
  void *plugin = dlopen("libcohort_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
  void *symbol = plugin ? dlsym(plugin, "co_double_enqueued") : NULL;
  memcpy((void *)&report->enqueued, &symbol, sizeof symbol);
  if (plugin) (void)dlclose(plugin);
  if (!symbol) (void)fprintf(stderr, "--launches: nothing counts them\n");
  return symbol != NULL;
}

static bool choose_sweep(int *out) {
  const char *text = getenv("COHORT_TEST_SWEEP");
  *out = OPS_SWEEP_ALL;
  if (text == NULL || strcmp(text, "all") == 0) return true;
  *out = OPS_SWEEP_NONE;
  if (strcmp(text, "none") == 0) return true;
  *out = text[0] - '0';
  if (*out >= 1 && *out <= OPS_SWEEP_PARTS && text[1] == '\0') return true;
  (void)fprintf(stderr, "COHORT_TEST_SWEEP is all, none or 1 to %d, not '%s'\n", OPS_SWEEP_PARTS,
                text);
  return false;
}

int main(int argc, char **argv) {
  ops_suite suite = {
      .families = ops_families, .reference = co_ref_run, .report = {.stream = stderr}};
  const char *only_backend = NULL;
  bool count = false;
  co_backend_options chosen = {.strict_f32 = true};
  if (!choose_sweep(&suite.sweep)) return 2;
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
    else if (strcmp(argv[i], "-f") == 0 && value)
      chosen.force = argv[++i];
    else if (strcmp(argv[i], "--tf32") == 0)
      suite.tf32 = true, chosen.strict_f32 = false;
    else if (strcmp(argv[i], "--launches") == 0)
      count = true;
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
  if (only_backend != NULL) {
    if (!open_backend(&suite, ctx, only_backend, &chosen)) return 1;
    if (count && !find_counter(&suite.report)) return 1;
  } else if (!open_backend(&suite, ctx, "ref", &chosen) ||
             !open_backend(&suite, ctx, "cpu", &chosen)) {
    return 1;
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
