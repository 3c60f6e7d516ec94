// SPDX-License-Identifier: Apache-2.0
// The device, its properties, versions and error names.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "double.h"

// Figures of a small device of the Hopper kind.
enum {
  MULTIPROCESSORS = 4,
  SHARED_PER_BLOCK = 48 << 10,
  SHARED_PER_BLOCK_OPTIN = 227 << 10,
  SHARED_PER_MULTIPROCESSOR = 228 << 10,
  THREADS_PER_BLOCK = 1024,
  THREADS_PER_MULTIPROCESSOR = 2048,
  BLOCKS_PER_MULTIPROCESSOR = 32,
  REGISTERS = 65536,
  L2_BYTES = 50 << 20
};

static _Thread_local int current_device;

static int device_count(void) {
  return (int)co_double_setting("COHORT_SIM_DEVICES", 1);
}

static void read_capability(int *major, int *minor) {
  const char *text = getenv("COHORT_SIM_CAPABILITY");
  *major = 9;
  *minor = 0;
  if (text == NULL || *text == '\0') return;
  int used = 0;
  if (sscanf(text, "%d.%d%n", major, minor, &used) != 2 || text[used] != '\0')
    co_double_die("COHORT_SIM_CAPABILITY=%s is not of the form 9.0", text);
}

cudaError_t cudaGetDeviceCount(int *count) {
  DOUBLE_ENTER();
  cudaError_t state = co_double_state();
  // Without a usable driver the real library leaves *count as it was.
  if (state == cudaErrorNoDevice)
    *count = 0;
  else if (state != cudaErrorInsufficientDriver)
    *count = device_count();
  return co_double_error(state);
}

// Others than the first can only be described.
cudaError_t cudaSetDevice(int device) {
  CUDART_ENTER();
  if (device < 0 || device >= device_count()) return co_double_error(cudaErrorInvalidDevice);
  if (co_double_setting("COHORT_SIM_BUSY", 0)) return co_double_error(cudaErrorDevicesUnavailable);
  current_device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
  CUDART_ENTER();
  *device = current_device;
  return cudaSuccess;
}

void co_double_need_first_device(void) {
  if (current_device != 0) co_double_die("device %d: only the first is modelled", current_device);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device) {
  CUDART_ENTER();
  if (device < 0 || device >= device_count()) return co_double_error(cudaErrorInvalidDevice);
  memset(p, 0xA5,
         sizeof *p); // whatever is not modelled is nonsense, so that nobody reads it unawares
  read_capability(&p->major, &p->minor);
  snprintf(p->name, sizeof p->name, "cudasim");
  p->totalGlobalMem = co_double_total_memory();
  p->sharedMemPerBlock = SHARED_PER_BLOCK;
  p->sharedMemPerBlockOptin = SHARED_PER_BLOCK_OPTIN;
  p->sharedMemPerMultiprocessor = SHARED_PER_MULTIPROCESSOR;
  p->reservedSharedMemPerBlock = 1024;
  p->regsPerBlock = REGISTERS;
  p->regsPerMultiprocessor = REGISTERS;
  p->warpSize = 32;
  p->maxThreadsPerBlock = THREADS_PER_BLOCK;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = THREADS_PER_BLOCK;
  p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 2147483647;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->multiProcessorCount = MULTIPROCESSORS;
  p->maxThreadsPerMultiProcessor = THREADS_PER_MULTIPROCESSOR;
  p->maxBlocksPerMultiProcessor = BLOCKS_PER_MULTIPROCESSOR;
  p->l2CacheSize = L2_BYTES;
  p->totalConstMem = 65536;
  p->concurrentKernels = 1;
  p->asyncEngineCount = 2;
  p->unifiedAddressing = 1;
  p->cooperativeLaunch = 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
  CUDART_ENTER();
  if (device != 0) return co_double_error(cudaErrorInvalidDevice);
  int major, minor;
  read_capability(&major, &minor);
  switch (attribute) {
  case cudaDevAttrMaxThreadsPerBlock:
    *value = THREADS_PER_BLOCK;
    break;
  case cudaDevAttrMaxSharedMemoryPerBlock:
    *value = SHARED_PER_BLOCK;
    break;
  case cudaDevAttrMaxSharedMemoryPerBlockOptin:
    *value = SHARED_PER_BLOCK_OPTIN;
    break;
  case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
    *value = SHARED_PER_MULTIPROCESSOR;
    break;
  case cudaDevAttrMaxThreadsPerMultiProcessor:
    *value = THREADS_PER_MULTIPROCESSOR;
    break;
  case cudaDevAttrWarpSize:
    *value = 32;
    break;
  case cudaDevAttrMultiProcessorCount:
    *value = MULTIPROCESSORS;
    break;
  case cudaDevAttrComputeCapabilityMajor:
    *value = major;
    break;
  case cudaDevAttrComputeCapabilityMinor:
    *value = minor;
    break;
  case cudaDevAttrL2CacheSize:
    *value = L2_BYTES;
    break;
  case cudaDevAttrUnifiedAddressing:
  case cudaDevAttrConcurrentKernels:
  case cudaDevAttrCooperativeLaunch:
    *value = 1;
    break;
  default:
    co_double_die("attr=%d not modelled", (int)attribute);
  }
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
  DOUBLE_ENTER();
  uint64_t driver = co_double_setting("COHORT_SIM_DRIVER", CUDART_VERSION);
  *version = (int)driver;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
  DOUBLE_ENTER();
  *version = CUDART_VERSION;
  return cudaSuccess;
}

// ---- kernels as functions

cudaError_t cudaFuncSetAttribute(const void *function, enum cudaFuncAttribute attribute,
                                 int value) {
  CUDART_ENTER();
  if (function == NULL) return co_double_error(cudaErrorInvalidDeviceFunction);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize &&
      attribute != cudaFuncAttributePreferredSharedMemoryCarveout)
    co_double_die("attr=%d not modelled", (int)attribute);
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize &&
      (value < 0 || value > SHARED_PER_BLOCK_OPTIN))
    return co_double_error(cudaErrorInvalidValue);
  // The kernel emulator, if the process shows it, enforces the limit at launches.
  int (*set_limit)(const void *, size_t);
  *(void **)&set_limit = dlsym(RTLD_DEFAULT, "emu_set_dynamic_shared_limit");
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize && set_limit != NULL)
    set_limit(function, (size_t)value);
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int *blocks, const void *function, int block_size, size_t shared_bytes, unsigned flags) {
  CUDART_ENTER();
  if (function == NULL) return co_double_error(cudaErrorInvalidDeviceFunction);
  if (block_size < 1 || block_size > THREADS_PER_BLOCK || shared_bytes > SHARED_PER_BLOCK_OPTIN)
    return co_double_error(cudaErrorInvalidValue);
  if (flags != cudaOccupancyDefault) co_double_die("flags=%u not modelled", flags);
  *blocks = THREADS_PER_MULTIPROCESSOR / block_size;
  if (*blocks > BLOCKS_PER_MULTIPROCESSOR) *blocks = BLOCKS_PER_MULTIPROCESSOR;
  while ((size_t)*blocks * shared_bytes > SHARED_PER_MULTIPROCESSOR)
    --*blocks;
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *function,
                                                          int block_size, size_t shared_bytes) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, block_size,
                                                                shared_bytes, cudaOccupancyDefault);
}

// ---- errors the doubles can return

static const struct error_text {
  cudaError_t error;
  const char *name, *text;
} error_texts[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable",
     "CUDA-capable device(s) is/are busy or unavailable"},
    {cudaErrorIllegalState, "cudaErrorIllegalState",
     "the operation cannot be performed in the present state"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge",
     "operation would result in a merge of separate capture sequences"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
};

static const struct error_text *error_text(cudaError_t error) {
  for (size_t i = 0; i < sizeof error_texts / sizeof *error_texts; i++)
    if (error_texts[i].error == error) return &error_texts[i];
  return NULL;
}

const char *cudaGetErrorName(cudaError_t error) {
  const struct error_text *known = error_text(error);
  return known != NULL ? known->name : "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error) {
  const struct error_text *known = error_text(error);
  return known != NULL ? known->text : "unrecognized error code";
}
