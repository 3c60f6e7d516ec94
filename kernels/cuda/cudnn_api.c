// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/cudnn_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define LIBRARY "libcudnn.so." TEXT(CUDNN_MAJOR)

// dlsym gives an object pointer, POSIX says it may be a function all the same.
static bool find(void *library, const char *name, void *function_pointer, size_t size) {
  void *symbol = dlsym(library, name);
  memcpy(function_pointer, &symbol, size);
  return symbol != NULL;
}

// cuDNN 8 counted 8907 for 8.9.7, 9 counts 90100 for 9.1.0.
static size_t major_of(size_t version) {
  return version < 10000 ? version / 1000 : version / 10000;
}

// Why a library that is there is the wrong one; false if it is not.
static bool is_other_version(size_t version, char *problem, size_t size) {
  if (major_of(version) == CUDNN_MAJOR) return false;
  (void)snprintf(problem, size,
                 "cuDNN %zu (version %zu) is installed as " LIBRARY
                 ", " TEXT(CUDNN_MAJOR) " is needed",
                 major_of(version), version);
  return true;
}

static void *open_library(char *problem, size_t size) {
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL); // stays loaded, as CUDA itself
  if (library) return library;
  const char *reason = dlerror();
  if (!reason || strstr(reason, "No such file"))
    (void)snprintf(problem, size, "cuDNN " TEXT(CUDNN_MAJOR) " (" LIBRARY ") is not installed");
  else
    (void)snprintf(problem, size, "cuDNN cannot be loaded: %s", reason);
  return NULL;
}

size_t co_cuda_cudnn_version(char *problem, size_t size) {
  __typeof__(cudnnGetVersion) *get_version = NULL;
  void *library = open_library(problem, size);
  if (!library) return 0;
  if (!find(library, "cudnnGetVersion", (void *)&get_version, sizeof get_version)) {
    (void)snprintf(problem, size, LIBRARY " lacks cudnnGetVersion");
    return 0;
  }
  size_t version = get_version();
  (void)is_other_version(version, problem, size);
  return version;
}

// Public figures of the device that is planned for (CO_CUDA_PLANNED_CAPABILITY), in the form that
// cuDNN takes them in (https://docs.nvidia.com/deeplearning/cudnn, "Deviceless ahead-of-time
// compilation").
static const char planned_device[] =
    "{"
    "\"deviceName\":\"NVIDIA H100 80GB HBM3\",\"cudaDeviceId\":0,\"deviceVer\":900,"
    "\"multiProcessorCount\":132,\"driverVer\":13000,\"totalGlobalMem\":85028896768,"
    "\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],"
    "\"regsPerBlock\":65536,\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,"
    "\"maxSharedMemoryPerBlockOptin\":232448,\"reservedSharedMemoryPerBlock\":1024,"
    "\"maxSharedMemoryPerSM\":233472,\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,"
    "\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"pciDeviceId\":0,\"isTccDriver\":0,"
    "\"supportCoopLaunch\":1,\"smClockRateKHz\":1980000,\"memClockRateKHz\":2619000,"
    "\"l2CacheSize\":52428800"
    "}";

static bool find_functions(co_cudnn *dnn, void *library) {
  const char *absent = NULL;
#define X(member, function)                                                                        \
  if (!find(library, #function, (void *)&dnn->member, sizeof dnn->member)) absent = #function;
  CO_CUDNN_FUNCTIONS(X)
#undef X
  if (!absent) return !is_other_version(dnn->get_version(), dnn->missing, sizeof dnn->missing);
  (void)snprintf(dnn->missing, sizeof dnn->missing, LIBRARY " lacks %s", absent);
  return false;
}

static void load(co_cuda *cuda, co_cudnn *dnn) {
  void *library = open_library(dnn->missing, sizeof dnn->missing);
  if (!library) {
    cuda->host.log(cuda->base.ctx, CO_LOG_WARN, "device",
                   "%s: convolutions and recurrent layers run on slow kernels of our own: %s",
                   cuda->name, dnn->missing);
    return;
  }
  dnn->wrong = true;
  if (!find_functions(dnn, library)) return;
  cudnnStatus_t status = dnn->create(&dnn->handle);
  if (status != CUDNN_STATUS_SUCCESS) {
    (void)snprintf(dnn->missing, sizeof dnn->missing, "cuDNN does not start: %s",
                   dnn->get_error_string(status));
    return;
  }
  dnn->wrong = false;
  cuda->host.log(cuda->base.ctx, CO_LOG_INFO, "device", "device=%s cudnn=%zu", cuda->name,
                 dnn->get_version());
}

static void load_to_plan(co_cuda *cuda, co_cudnn *dnn) {
  void *library = open_library(dnn->missing, sizeof dnn->missing);
  if (library && find_functions(dnn, library)) {
    cudnnStatus_t status =
        dnn->create_descriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &dnn->device);
    if (status == CUDNN_STATUS_SUCCESS)
      status = dnn->set_attribute(dnn->device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                  CUDNN_TYPE_CHAR, sizeof planned_device - 1, planned_device);
    if (status == CUDNN_STATUS_SUCCESS) status = dnn->finalize(dnn->device);
    if (status != CUDNN_STATUS_SUCCESS)
      (void)snprintf(dnn->missing, sizeof dnn->missing, "cuDNN plans for no device: %s",
                     dnn->get_error_string(status));
  }
  if (dnn->missing[0])
    cuda->host.log(cuda->base.ctx, CO_LOG_DEBUG, "device", "%s: engines are taken for granted: %s",
                   cuda->name, dnn->missing);
}

co_status co_cudnn_plan_get(co_cuda *cuda, const co_cudnn **out) {
  co_cudnn *dnn = cuda->cudnn;
  if (dnn == NULL) {
    dnn = cuda->host.alloc_zero(cuda->base.ctx, 1, sizeof *dnn);
    if (dnn == NULL) return CO_ERR_MEMORY;
    load_to_plan(cuda, dnn);
    cuda->cudnn = dnn;
  }
  *out = dnn->missing[0] ? NULL : dnn;
  return CO_OK;
}

co_status co_cudnn_get(co_cuda *cuda, co_cuda_answer *answer, const co_cudnn **out) {
  co_cudnn *dnn = cuda->cudnn;
  if (dnn == NULL) {
    dnn = cuda->host.alloc_zero(cuda->base.ctx, 1, sizeof *dnn);
    if (dnn == NULL) return CO_ERR_MEMORY;
    load(cuda, dnn);
    cuda->cudnn = dnn;
  }
  *out = dnn;
  if (!dnn->missing[0]) return CO_OK;
  if (!dnn->wrong) return co_cuda_refuse(answer, "%s", dnn->missing);
  answer->failed = true;
  co_status status = cuda->host.fail(CO_ERR_DEVICE, "%s: %s", cuda->name, dnn->missing);
  cuda->host.hint("install cuDNN " TEXT(CUDNN_MAJOR) ", or use --device cpu");
  return status;
}

void co_cuda_cudnn_close(co_cuda *cuda) {
  co_cudnn *dnn = cuda->cudnn;
  if (dnn == NULL) return;
  if (dnn->handle) (void)dnn->destroy(dnn->handle);
  if (dnn->device) (void)dnn->destroy_descriptor(dnn->device);
  cuda->host.free(cuda->base.ctx, dnn);
  cuda->cudnn = NULL;
}
