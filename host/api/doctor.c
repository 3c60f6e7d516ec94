// SPDX-License-Identifier: Apache-2.0
// cohort_doctor: what this machine offers. Finding something missing is an answer, not a failure.
#include <stdio.h>
#include <unistd.h>

#include "datasets/image.h"
#include "datasets/image_archive.h"
#include "datasets/postgres.h"
#include "datasets/pseudonym.h"
#include "datasets/rows.h"
#include "datasets/source.h"
#include "host/api/api.h"
#include "host/config/config.h"
#include "host/core/h5.h"
#include "host/core/memory.h"
#include "host/device/backend.h"
#include "host/device/machine.h"
#include "host/eval/xgboost.h"

static void fact(cohort_result *result, const char *key, const char *value) {
  co_json_key(&result->json, key);
  co_json_string(&result->json, value);
  co_text_printf(&result->text, "%-10s %s\n", key, value);
}

static void number(cohort_result *result, const char *key, int64_t value) {
  co_json_key(&result->json, key);
  co_json_int(&result->json, value);
}

static void text(cohort_result *result, const char *key, const char *value) {
  co_json_key(&result->json, key);
  co_json_string(&result->json, value);
}

// Opened as training would open it, so that what is missing is said in training's words, with the
// way out. Libraries that work, but slowly, come after what keeps from working.
static void report_use(co_context *ctx, cohort_result *result, const co_cuda_machine *machine) {
  co_backend *backend = NULL;
  char missing[2 * sizeof co_error_last()->message] = "";
  bool usable = co_backend_open_device(&backend, ctx, "cuda", NULL) == CO_OK;
  const co_error *error = co_error_last();
  if (!usable)
    snprintf(missing, sizeof missing, "%s%s%s", error->message, error->hint[0] ? "; " : "",
             error->hint);
  else if (machine->cudnn_problem[0])
    snprintf(missing, sizeof missing, "%s; %s", machine->cudnn_problem,
             machine->cudnn ? "install the right one, or models with convolutions fail"
                            : "install it, or convolutions and recurrent layers are slow");
  co_json_key(&result->json, "cuda");
  co_json_string(&result->json, usable ? "cuda:0 is usable" : "not usable");
  co_json_key(&result->json, "cuda_usable");
  co_json_bool(&result->json, usable);
  text(result, "cuda_missing", missing[0] ? missing : NULL);
  co_text_printf(&result->text, "%-10s %s\n", "cuda", usable ? "cuda:0 is usable" : "not usable");
  if (missing[0]) co_text_printf(&result->text, "%-10s %s\n", "missing", missing);
  if (backend) backend->api->free(backend);
  co_error_clear();
}

// A version as major * 10000 + minor * 100 + patch (cuDNN 8: major * 1000), or NULL where there is
// none.
static const char *print_version(char *out, size_t size, size_t version) {
  if (!version) return NULL;
  size_t unit = version < 10000 ? 1000 : 10000;
  snprintf(out, size, "%zu.%zu.%zu", version / unit, version % unit / 100, version % 100);
  return out;
}

// CUDA's own, as major * 1000 + minor * 10.
static const char *print_cuda(char *out, size_t size, int version) {
  if (!version) return NULL;
  snprintf(out, size, "%d.%d", version / 1000, version % 1000 / 10);
  return out;
}

static void report_device(cohort_result *result, int i, const co_cuda_device_info *device) {
  co_json *json = &result->json;
  char name[16], capability[32];
  snprintf(name, sizeof name, "cuda:%d", i);
  snprintf(capability, sizeof capability, "%d.%d", device->capability / 10,
           device->capability % 10);
  co_json_open(json, '{');
  text(result, "device", name);
  text(result, "name", device->name);
  text(result, "compute_capability", capability);
  co_json_key(json, "has_code");
  co_json_bool(json, device->has_code);
  number(result, "memory_bytes", (int64_t)device->memory_total);
  number(result, "memory_free_bytes", (int64_t)device->memory_free);
  text(result, "problem", device->problem[0] ? device->problem : NULL);
  text(result, "hint", device->hint[0] ? device->hint : NULL);
  co_json_close(json);
  co_text_printf(&result->text, "%-10s %s, ", name, device->name);
  if (!device->problem[0])
    co_text_printf(&result->text, "%.1f of %.1f GiB free", (double)device->memory_free / (1 << 30),
                   (double)device->memory_total / (1 << 30));
  else
    co_text_printf(&result->text, "%.1f GiB", (double)device->memory_total / (1 << 30));
  co_text_printf(&result->text, ", compute capability %s%s%s%s\n", capability,
                 device->has_code ? "" : " (no code for it)", device->problem[0] ? "; " : "",
                 device->problem);
}

static void report_libraries(cohort_result *result, const co_cuda_machine *m) {
  char version[4][64], driver[64];
  co_machine_find_nvidia_driver(driver, sizeof driver, "/proc/driver/nvidia/version");
  const struct {
    const char *key, *label, *value;
  } rows[] = {
      {"cuda_driver", "driver", print_cuda(version[0], 64, m->driver)},
      {"cuda_runtime", "runtime", print_cuda(version[1], 64, m->runtime)},
      {"cublaslt", "cublaslt", print_version(version[2], 64, m->cublaslt)},
      {"cudnn", "cudnn", print_version(version[3], 64, m->cudnn)},
  };
  text(result, "nvidia_driver", driver[0] ? driver : NULL);
  if (driver[0]) co_text_printf(&result->text, "%-10s %s\n", "nvidia", driver);
  text(result, "cuda_plugin", m->loaded ? m->codes : NULL);
  number(result, "cuda_plugin_abi", m->abi);
  if (m->loaded)
    co_text_printf(&result->text, "%-10s interface %u, code for %s\n", "plugin", (unsigned)m->abi,
                   m->codes);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    bool is_cudnn = i == 3 && m->cudnn_problem[0];
    text(result, rows[i].key, rows[i].value);
    if (!m->loaded) continue;
    co_text_printf(&result->text, "%-10s %s%s%s%s%s\n", rows[i].label,
                   i < 2 && rows[i].value ? "CUDA " : "", rows[i].value ? rows[i].value : "none",
                   is_cudnn ? " (" : "", is_cudnn ? m->cudnn_problem : "", is_cudnn ? ")" : "");
  }
  text(result, "cudnn_problem", m->cudnn_problem[0] ? m->cudnn_problem : NULL);
}

static co_status report_cuda(co_context *ctx, cohort_result *result) {
  co_cuda_machine *machine = co_alloc_zero(ctx, 1, sizeof *machine);
  if (!machine) return CO_ERR_MEMORY;
  co_backend_describe_cuda(machine, ctx, false);
  report_use(ctx, result, machine);
  report_libraries(result, machine);
  co_json_key(&result->json, "cuda_devices");
  co_json_open(&result->json, '[');
  for (int i = 0; i < machine->device_count && i < CO_CUDA_MOST_DEVICES; i++)
    report_device(result, i, &machine->devices[i]);
  co_json_close(&result->json);
  co_free(ctx, machine);
  return CO_OK;
}

// What is compared with the memory that a plan or a data set needs, before it is taken.
static void report_memory_limit(cohort_result *result) {
  char source[CO_MEMORY_SOURCE_BYTES], amount[32];
  size_t limit = co_memory_limit(source);
  bool told = limit != SIZE_MAX;
  number(result, "memory_limit_bytes", told ? (int64_t)limit : 0);
  text(result, "memory_limit_source", told ? source : NULL);
  co_text_printf(&result->text, "%-10s %s%s%s%s\n", "limit",
                 told ? co_memory_print(amount, (double)limit) : "none known", told ? " (" : "",
                 source, told ? ")" : "");
}

// What is opened on use alone.
static void report_xgboost(cohort_result *result) {
  co_xgboost library;
  int major, minor, patch;
  char found[64];
  if (co_xgboost_open(&library) == CO_OK) {
    library.version(&major, &minor, &patch);
    (void)snprintf(found, sizeof found, "%d.%d.%d", major, minor, patch);
    fact(result, "xgboost", found);
    return;
  }
  co_json_key(&result->json, "xgboost");
  co_json_null(&result->json);
  text(result, "xgboost_missing", co_error_last()->message);
  co_text_printf(&result->text, "%-10s %s\n           hint: %s\n", "xgboost",
                 co_error_last()->message, co_error_last()->hint);
  co_error_clear();
}

static co_status report(co_context *ctx, cohort_result *result) {
  char found[256];
  fact(result, "cohort", cohort_version());
  co_machine_find_cpu(found, sizeof found);
  fact(result, "cpu", found);
  co_machine_find_isa(found, sizeof found);
  fact(result, "isa", found);
  co_json_key(&result->json, "threads");
  co_json_int(&result->json, co_context_threads(ctx));
  text(result, "threads_why", co_context_threads_why(ctx));
  co_text_printf(&result->text, "%-10s %d (%s)\n", "threads", co_context_threads(ctx),
                 co_context_threads_why(ctx));
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  int64_t memory = pages > 0 && page > 0 ? (int64_t)pages * page : 0;
  co_json_key(&result->json, "memory_bytes");
  co_json_int(&result->json, memory);
  co_text_printf(&result->text, "%-10s %.1f GiB\n", "memory", (double)memory / (1 << 30));
  report_memory_limit(result);
  co_dnnl_library_version(found, sizeof found);
  fact(result, "onednn", found);
  fact(result, "bf16", co_dnnl_bf16());
  co_h5_version(found, sizeof found);
  fact(result, "hdf5", found);
  fact(result, "libyaml", co_yaml_version());
  fact(result, "jansson", co_jansson_version());
  fact(result, "zlib", co_zlib_version());
  co_image_jpeg_version(found);
  fact(result, "jpeg", found);
  co_image_png_version(found);
  fact(result, "png", found);
  co_image_webp_version(found);
  fact(result, "webp", found);
  co_image_archive_version(found);
  fact(result, "archive", found);
  report_xgboost(result);
  co_sqlite_version(found);
  fact(result, "sqlite", found);
  co_postgres_version(found);
  fact(result, "postgresql", found);
  co_sodium_version(found);
  fact(result, "sodium", found);
  return report_cuda(ctx, result);
}

cohort_status cohort_doctor(cohort_context *context, cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  return co_result_finish(*out, "doctor", report(context->ctx, *out));
}
