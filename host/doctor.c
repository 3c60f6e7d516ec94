// SPDX-License-Identifier: Apache-2.0
// cohort_doctor: what this machine offers. Finding something missing is an answer, not a failure.
#include <stdio.h>
#include <unistd.h>

#include "datasets/import.h"
#include "host/backend.h"
#include "host/core/h5.h"
#include "host/job.h"
#include "host/machine.h"

static void fact(cohort_result *result, const char *key, const char *value) {
  co_json_key(&result->json, key);
  co_json_string(&result->json, value);
  co_text_printf(&result->text, "%-10s %s\n", key, value);
}

// Opened as training would open it, so that what is missing is said in training's words.
static void report_cuda(co_context *ctx, cohort_result *result) {
  co_backend *backend = NULL;
  bool usable = co_backend_open_device(&backend, ctx, "cuda", NULL) == CO_OK;
  char line[sizeof co_error_last()->message + 32];
  if (usable)
    snprintf(line, sizeof line, "%s is usable", backend->api->name);
  else
    snprintf(line, sizeof line, "not usable: %s", co_error_last()->message);
  fact(result, "cuda", line);
  co_json_key(&result->json, "cuda_usable");
  co_json_bool(&result->json, usable);
  if (backend) backend->api->free(backend);
  co_error_clear();
}

static void report(co_context *ctx, cohort_result *result) {
  char text[256];
  fact(result, "cohort", cohort_version());
  co_machine_find_cpu(text, sizeof text);
  fact(result, "cpu", text);
  co_machine_find_isa(text, sizeof text);
  fact(result, "isa", text);
  co_json_key(&result->json, "threads");
  co_json_int(&result->json, co_context_threads(ctx));
  co_text_printf(&result->text, "%-10s %d\n", "threads", co_context_threads(ctx));
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  int64_t memory = pages > 0 && page > 0 ? (int64_t)pages * page : 0;
  co_json_key(&result->json, "memory_bytes");
  co_json_int(&result->json, memory);
  co_text_printf(&result->text, "%-10s %.1f GiB\n", "memory", (double)memory / (1 << 30));
  co_dnnl_library_version(text, sizeof text);
  fact(result, "onednn", text);
  co_h5_version(text, sizeof text);
  fact(result, "hdf5", text);
  fact(result, "libyaml", co_yaml_version());
  fact(result, "zlib", co_zlib_version());
  report_cuda(ctx, result);
}

cohort_status cohort_doctor(cohort_context *context, cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  report(context->ctx, *out);
  return co_result_finish(*out, "doctor", CO_OK);
}
