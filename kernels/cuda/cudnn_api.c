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

static void load(co_cuda *cuda, co_cudnn *dnn) {
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL); // stays loaded, as CUDA itself
  if (!library) {
    (void)snprintf(dnn->missing, sizeof dnn->missing,
                   "cuDNN " TEXT(CUDNN_MAJOR) " (" LIBRARY ") is not installed");
    return;
  }
  const char *absent = NULL;
#define X(member, function)                                                                        \
  if (!find(library, #function, (void *)&dnn->member, sizeof dnn->member)) absent = #function;
  CO_CUDNN_FUNCTIONS(X)
#undef X
  if (absent) {
    (void)snprintf(dnn->missing, sizeof dnn->missing, LIBRARY " lacks %s", absent);
    return;
  }
  cudnnStatus_t status = dnn->create(&dnn->handle);
  if (status == CUDNN_STATUS_SUCCESS) status = dnn->set_stream(dnn->handle, cuda->stream);
  if (status != CUDNN_STATUS_SUCCESS) {
    (void)snprintf(dnn->missing, sizeof dnn->missing, "cuDNN does not start: %s",
                   dnn->get_error_string(status));
    return;
  }
  cuda->host.log(cuda->base.ctx, CO_LOG_INFO, "device", "device=%s cudnn=%zu", cuda->name,
                 dnn->get_version());
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
  return dnn->missing[0] ? co_cuda_refuse(answer, "%s", dnn->missing) : CO_OK;
}

void co_cuda_cudnn_close(co_cuda *cuda) {
  co_cudnn *dnn = cuda->cudnn;
  if (dnn == NULL) return;
  if (dnn->handle) (void)dnn->destroy(dnn->handle);
  cuda->host.free(cuda->base.ctx, dnn);
  cuda->cudnn = NULL;
}
