// SPDX-License-Identifier: Apache-2.0
// What the machine has for CUDA, and what of it is missing.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda.h"

// GPU generations of the kernels, as CMAKE_CUDA_ARCHITECTURES with commas: "80-real,90". CMake knows;
// the emulator runs anywhere.
#ifndef CO_CUDA_CODES
#define CO_CUDA_CODES "75"
#endif

// ---- generations -------------------------------------------------------------------------------

typedef struct code {
  int capability;
  bool machine, portable; // for this generation alone; compiled by the driver for any later one
} code;

// Takes one from "80-real,90a-virtual,100".
static bool next_code(const char **at, code *out) {
  if (**at == '\0') return false;
  char *end;
  out->capability = (int)strtol(*at, &end, 10);
  bool specific = *end == 'a' || *end == 'f'; // runs on no other generation
  size_t length = strcspn(end, ",");
  out->machine = strstr(end, "-virtual") == NULL || strstr(end, "-virtual") > end + length;
  out->portable =
      (strstr(end, "-real") == NULL || strstr(end, "-real") > end + length) && !specific;
  *at = end + length + (end[length] == ',');
  return true;
}

// Machine code runs on later minor versions of its generation, too.
static bool has_code(int capability) {
  const char *at = CO_CUDA_CODES;
  code c;
  while (next_code(&at, &c)) {
    bool same = c.capability / 10 == capability / 10 && c.capability <= capability;
    if ((c.machine && same) || (c.portable && c.capability <= capability)) return true;
  }
  return false;
}

static int least_capability(void) {
  const char *at = CO_CUDA_CODES;
  int least = 0;
  code c;
  while (next_code(&at, &c))
    if (least == 0 || c.capability < least) least = c.capability;
  return least;
}

// ---- one device --------------------------------------------------------------------------------

static co_status no_driver(const co_host_api *host) {
  int driver = 0;
  co_status status;
  (void)cudaDriverGetVersion(&driver);
  if (driver == 0)
    status = host->fail(CO_ERR_DEVICE, "no NVIDIA driver answers");
  else
    status = host->fail(
        CO_ERR_DEVICE, "the NVIDIA driver is for CUDA %d.%d at most; %d.%d is needed",
        driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  host->hint("update the NVIDIA driver, or use --device cpu");
  return status;
}

static co_status count_devices(const co_host_api *host, int *count) {
  *count = 0;
  cudaError_t error = cudaGetDeviceCount(count);
  if (error != cudaSuccess) (void)cudaGetLastError();
  if (error == cudaErrorInsufficientDriver) return no_driver(host);
  co_status status = CO_OK;
  if (error == cudaErrorNoDevice || (error == cudaSuccess && *count == 0)) {
    status = host->fail(CO_ERR_DEVICE, "no NVIDIA GPU is visible");
    host->hint("check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu");
  } else if (error != cudaSuccess) {
    status = host->fail(CO_ERR_DEVICE, "CUDA does not start: %s", cudaGetErrorString(error));
    host->hint("check nvidia-smi, or use --device cpu");
  }
  return status;
}

static co_status device_failed(const co_host_api *host, int index, cudaError_t error) {
  if (error == cudaSuccess) return CO_OK;
  (void)cudaGetLastError();
  co_status status = host->fail(error == cudaErrorMemoryAllocation ? CO_ERR_MEMORY : CO_ERR_DEVICE,
                                "cuda:%d: %s", index, cudaGetErrorString(error));
  if (error == cudaErrorDevicesUnavailable)
    host->hint("another program may have the GPU to itself (nvidia-smi tells): wait for it, choose "
               "another device, or use --device cpu");
  else
    host->hint("check nvidia-smi, or use --device cpu");
  return status;
}

co_status co_cuda_find_device(const co_host_api *host, int index,
                              struct cudaDeviceProp *properties) {
  int count;
  CO_RETURN_IF_FAILED(count_devices(host, &count));
  if (index < 0 || index >= count) {
    co_status status = host->fail(CO_ERR_DEVICE, "cuda:%d: there is no such device", index);
    host->hint(count > 1 ? "devices are cuda:0 to cuda:%d" : "the only device is cuda:%d",
               count - 1);
    return status;
  }
  CO_RETURN_IF_FAILED(device_failed(host, index, cudaGetDeviceProperties(properties, index)));
  int capability = 10 * properties->major + properties->minor, least = least_capability();
  if (has_code(capability)) return CO_OK;
  co_status status;
  if (capability < least) {
    status = host->fail(CO_ERR_DEVICE, "cuda:%d: %s has compute capability %d.%d; %d.%d is needed",
                        index, properties->name, properties->major, properties->minor, least / 10,
                        least % 10);
    host->hint("use --device cpu");
  } else {
    status = host->fail(
        CO_ERR_DEVICE, "cuda:%d: %s has compute capability %d.%d; this plugin has code for %s",
        index, properties->name, properties->major, properties->minor, CO_CUDA_CODES);
    host->hint("build with -D COHORT_CUDA_ARCHITECTURES=%d, or use --device cpu", capability);
  }
  return status;
}

// The first call that needs the device itself.
co_status co_cuda_enter_device(const co_host_api *host, int index) {
  return device_failed(host, index, cudaSetDevice(index));
}

// ---- all of it ---------------------------------------------------------------------------------

static void keep_error(const co_host_api *host, char *problem, char *hint) {
  const co_error *error = host->error();
  (void)snprintf(problem, CO_CUDA_TEXT, "%.*s", CO_CUDA_TEXT - 1, error->message);
  (void)snprintf(hint, CO_CUDA_TEXT, "%.*s", CO_CUDA_TEXT - 1, error->hint);
}

static void describe_device(const co_host_api *host, int index, co_cuda_device_info *out) {
  struct cudaDeviceProp properties;
  memset(&properties, 0, sizeof properties);
  co_status status = co_cuda_find_device(host, index, &properties);
  (void)snprintf(out->name, sizeof out->name, "%s", properties.name);
  out->memory_total = properties.totalGlobalMem;
  out->capability = 10 * properties.major + properties.minor;
  out->has_code = has_code(out->capability);
  if (status == CO_OK && !host->machine->brief) {
    status = co_cuda_enter_device(host, index);
    size_t available = 0, total = 0;
    if (status == CO_OK) status = device_failed(host, index, cudaMemGetInfo(&available, &total));
    out->memory_free = available;
  }
  if (status != CO_OK) keep_error(host, out->problem, out->hint);
}

void co_cuda_describe_machine(const co_host_api *host) {
  co_cuda_machine *out = host->machine;
  out->abi = CO_CUDA_ABI;
  (void)snprintf(out->codes, sizeof out->codes, "%s", CO_CUDA_CODES);
  (void)cudaDriverGetVersion(&out->driver);
  (void)cudaRuntimeGetVersion(&out->runtime);
  out->cublaslt = co_cuda_cublas_version();
  if (!out->brief) out->cudnn = co_cuda_cudnn_version(out->cudnn_problem, CO_CUDA_TEXT);
  co_status status = count_devices(host, &out->device_count);
  for (int i = 0; i < out->device_count && i < CO_CUDA_MOST_DEVICES; i++)
    describe_device(host, i, &out->devices[i]);
  if (out->device_count > 0 && !out->brief) (void)cudaSetDevice(0);
  if (status == CO_OK) status = co_cuda_cublas_check(host);
  if (status != CO_OK) {
    keep_error(host, out->problem, out->hint);
    return;
  }
  // "cuda" is the first one.
  memcpy(out->problem, out->devices[0].problem, sizeof out->problem);
  memcpy(out->hint, out->devices[0].hint, sizeof out->hint);
}
