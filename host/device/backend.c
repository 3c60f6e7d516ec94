// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // dladdr; before any header
#include "host/device/backend.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/library.h"
#include "kernels/cuda_plugin.h"
#include "kernels/ref/ref.h"

enum { PATH_BYTES = 4096 };

// ---- the driver --------------------------------------------------------------------------------

static co_status no_driver(const char *format, int code) {
  co_status status = co_fail(CO_ERR_DEVICE, format, code);
  co_hint("install or update the NVIDIA driver, or use --device cpu");
  return status;
}

// Before the plugin, which would load much and then say less. *found: there is a driver at all.
static co_status check_driver(bool *found) {
  enum { NO_DEVICE = 100 };
  void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  *found = driver != NULL;
  if (!driver) return no_driver("no NVIDIA driver: libcuda.so.1 cannot be loaded", 0);
  int (*initialise)(unsigned flags) = NULL;
  co_library_find(driver, "cuInit", &initialise);
  int code = initialise ? initialise(0) : -1;
  // It stays loaded if it works: the plugin needs it, and drivers do not like to be unloaded.
  if (code == 0) return CO_OK;
  if (code != NO_DEVICE)
    return no_driver("the NVIDIA driver does not start (cuInit gives %d)", code);
  co_status status = co_fail(CO_ERR_DEVICE, "no NVIDIA GPU is visible");
  co_hint("check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu");
  return status;
}

// ---- the plugin --------------------------------------------------------------------------------

static void cut_name(char *path) {
  char *slash = strrchr(path, '/');
  if (slash) *slash = '\0';
}

// Folder number i to look in: of the library, of the program, where either is installed.
static bool folder(int i, char *out, size_t size) {
  Dl_info info;
  ssize_t length;
  memset(&info, 0, sizeof info);
  switch (i / 2) {
  case 0:
    length = readlink("/proc/self/exe", out, size - 1);
    if (length < 0) return false;
    out[length] = '\0';
    break;
  case 1:
    if (!dladdr((const void *)(uintptr_t)co_backend_open_device, &info) || !info.dli_fname ||
        !strchr(info.dli_fname, '/') || strlen(info.dli_fname) >= size)
      return false;
    (void)snprintf(out, size, "%s", info.dli_fname);
    break;
  default:
    return false;
  }
  cut_name(out);
#ifdef COHORT_PLUGIN_FOLDER // from the program's folder, once installed
  size_t end = strlen(out);
  if (i % 2 == 1) (void)snprintf(out + end, size - end, "/%s", COHORT_PLUGIN_FOLDER);
#endif
  return true;
}

static co_status load_plugin(void **out) {
  char path[PATH_BYTES], where[PATH_BYTES + 32];
  *out = NULL;
  for (int i = 0; i < 4 && !*out; i++) {
    if (!folder(i, path, sizeof path)) continue;
    (void)snprintf(where, sizeof where, "%s/" CO_CUDA_PLUGIN_NAME, path);
    if (access(where, R_OK) != 0) continue;
    *out = dlopen(where, RTLD_NOW | RTLD_LOCAL);
    if (!*out) goto broken;
  }
  if (!*out) *out = dlopen(CO_CUDA_PLUGIN_NAME, RTLD_NOW | RTLD_LOCAL);
  if (*out) return CO_OK;
broken:;
  const char *reason = dlerror();
  co_status status;
  if (reason && strncmp(reason, CO_CUDA_PLUGIN_NAME ":", sizeof CO_CUDA_PLUGIN_NAME) == 0 &&
      strstr(reason, "No such file")) {
    status =
        co_fail(CO_ERR_DEVICE, "this installation has no CUDA plugin (" CO_CUDA_PLUGIN_NAME ")");
    co_hint("build with the CUDA toolkit (cmake -D COHORT_CUDA=ON), or use --device cpu");
  } else {
    status = co_fail(CO_ERR_DEVICE, "the CUDA plugin cannot be loaded: %s",
                     reason ? reason : "unknown reason");
    co_hint("install the CUDA libraries it names, or use --device cpu");
  }
  return status;
}

static const char *op_name(co_op op) {
  return co_op_get_info(op)->name;
}

// The reference takes whatever keeps to the contract.
static co_status check(const co_op_desc *desc) {
  co_op_choice choice;
  return co_ref_query(desc, &choice);
}

// Of a device, or (host->machine) what there is.
static co_status call_plugin(co_backend **out, co_context *ctx, int index,
                             const co_backend_options *options, co_cuda_machine *machine) {
  const co_host_api host = {.ctx = ctx,
                            .log = co_log,
                            .fail = co_fail,
                            .hint = co_hint,
                            .error = co_error_last,
                            .alloc_zero = co_alloc_zero,
                            .free = co_free,
                            .op_name = op_name,
                            .check = check,
                            .options = options,
                            .machine = machine};
  co_cuda_open_function *open_plugin = NULL;
  void *plugin;
  CO_RETURN_IF_FAILED(load_plugin(&plugin)); // stays loaded: CUDA cannot be unloaded safely
  co_library_find(plugin, CO_CUDA_OPEN_SYMBOL, &open_plugin);
  co_error_clear();
  co_status status = open_plugin ? open_plugin(out, &host, CO_CUDA_ABI, index) : CO_ERR_DEVICE;
  if (status == CO_OK || co_error_last()->status == status) return status;
  status = co_fail(CO_ERR_DEVICE, "the CUDA plugin is of another version of Cohort");
  co_hint("install program and plugin together, or use --device cpu");
  return status;
}

static co_status open_cuda(co_backend **out, co_context *ctx, int index,
                           const co_backend_options *options, bool *driver) {
  if (!options->planning) CO_RETURN_IF_FAILED(check_driver(driver));
  return call_plugin(out, ctx, index, options, NULL);
}

static void keep_error(char *problem, char *hint) {
  (void)snprintf(problem, CO_CUDA_TEXT, "%.*s", CO_CUDA_TEXT - 1, co_error_last()->message);
  (void)snprintf(hint, CO_CUDA_TEXT, "%.*s", CO_CUDA_TEXT - 1, co_error_last()->hint);
  co_error_clear();
}

void co_backend_describe_cuda(co_cuda_machine *out, co_context *ctx, bool brief) {
  const co_backend_options options = {0};
  co_backend *none = NULL;
  bool driver = false;
  memset(out, 0, sizeof *out);
  out->brief = brief;
  co_error_clear();
  bool answers = check_driver(&driver) == CO_OK;
  char problem[CO_CUDA_TEXT], hint[CO_CUDA_TEXT];
  keep_error(problem, hint);
  out->loaded = call_plugin(&none, ctx, 0, &options, out) == CO_OK;
  if (!out->loaded) keep_error(out->problem, out->hint);
  // Without a driver, the plugin can only say so, and less well.
  if (answers) return;
  (void)snprintf(out->problem, sizeof out->problem, "%s", problem);
  (void)snprintf(out->hint, sizeof out->hint, "%s", hint);
}

// "auto": as far as can be told without a device opened for work.
static co_status plan_auto(co_backend **out, co_context *ctx, const co_backend_options *options) {
  co_cuda_machine *machine = co_alloc_zero(ctx, 1, sizeof *machine);
  bool driver = false;
  if (!machine) return CO_ERR_MEMORY;
  co_backend_describe_cuda(machine, ctx, true);
  bool usable = !machine->problem[0];
  co_free(ctx, machine);
  return usable ? open_cuda(out, ctx, 0, options, &driver) : co_cpu_backend_open(out, ctx, options);
}

// ---- names -------------------------------------------------------------------------------------

static bool cuda_index(const char *device, int *out) {
  if (strcmp(device, "cuda") == 0) {
    *out = 0;
    return true;
  }
  if (strncmp(device, "cuda:", 5) != 0) return false;
  const char *digits = device + 5;
  size_t length = strlen(digits);
  if (length < 1 || length > 3 || strspn(digits, "0123456789") != length) return false;
  *out = (int)strtol(digits, NULL, 10);
  return true;
}

co_status co_backend_open_device(co_backend **out, co_context *ctx, const char *device,
                                 const co_backend_options *options) {
  const co_backend_options defaults = {0};
  bool driver = false;
  int index;
  *out = NULL;
  if (!options) options = &defaults;
  if (!device || strcmp(device, "auto") == 0) {
    if (options->planning) return plan_auto(out, ctx, options);
    co_status status = open_cuda(out, ctx, 0, options, &driver);
    if (status != CO_ERR_DEVICE) return status;
    // Without a driver nobody expects a GPU to be used; otherwise somebody will ask why it is not.
    co_log(ctx, driver ? CO_LOG_INFO : CO_LOG_DEBUG, "device", "device=cpu reason=\"%s\"",
           co_error_last()->message);
    co_error_clear();
    return co_cpu_backend_open(out, ctx, options);
  }
  if (strcmp(device, "cpu") == 0) return co_cpu_backend_open(out, ctx, options);
  if (strcmp(device, "ref") == 0) return co_ref_backend_open(out, ctx, options);
  if (cuda_index(device, &index)) return open_cuda(out, ctx, index, options, &driver);
  co_status status = co_fail(CO_ERR_DEVICE, "--device %s: no such device", device);
  co_hint("devices are auto, cpu, cuda, cuda:0 and so on");
  return status;
}
