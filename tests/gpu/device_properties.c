// SPDX-License-Identifier: Apache-2.0
// device_properties [DEVICE]: writes the properties of a GPU as cuDNN serialises them, in JSON, to
// standard output; the version of cuDNN goes to standard error. With this file in place of
// tests/cudasim/h100.json, the engine check without a device asks about a real one.
// Exit 0, 1 where something fails, 77 where cuDNN is missing.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cudnn.h>

enum { MAX_JSON = 1 << 16, NOT_RUN = 77 };

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define LIBRARY "libcudnn.so." TEXT(CUDNN_MAJOR)

// Loaded by name, so that the program also starts where cuDNN lies in a folder of Python's.
#define FUNCTIONS(X)                                                                               \
  X(cudnnBackendCreateDescriptor)                                                                  \
  X(cudnnBackendSetAttribute)                                                                      \
  X(cudnnBackendFinalize)                                                                          \
  X(cudnnBackendGetAttribute)                                                                      \
  X(cudnnBackendDestroyDescriptor)                                                                 \
  X(cudnnGetErrorString)                                                                           \
  X(cudnnGetVersion)

typedef struct api {
#define X(name) __typeof__(name) *name;
  FUNCTIONS(X)
#undef X
} api;

static int load(api *dnn) {
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    (void)fprintf(stderr, "NOT RUN: %s\n", dlerror());
    return NOT_RUN;
  }
#define X(name)                                                                                    \
  {                                                                                                \
    void *symbol = dlsym(library, #name);                                                          \
    if (symbol == NULL) {                                                                          \
      (void)fprintf(stderr, LIBRARY " lacks " #name "\n");                                         \
      return 1;                                                                                    \
    }                                                                                              \
    memcpy(&dnn->name, &symbol, sizeof symbol);                                                    \
  }
  FUNCTIONS(X)
#undef X
  return 0;
}

int main(int argc, char **argv) {
  static char json[MAX_JSON];
  api dnn;
  int code = load(&dnn);
  if (code != 0) return code;
  (void)fprintf(stderr, "cuDNN %zu\n", dnn.cudnnGetVersion());
  int32_t device = argc > 1 ? (int32_t)strtol(argv[1], NULL, 10) : 0;
  int64_t bytes = 0;
  cudnnBackendDescriptor_t properties = NULL;
  cudnnStatus_t status =
      dnn.cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &properties);
  if (status == CUDNN_STATUS_SUCCESS)
    status = dnn.cudnnBackendSetAttribute(properties, CUDNN_ATTR_DEVICEPROP_DEVICE_ID,
                                          CUDNN_TYPE_INT32, 1, &device);
  if (status == CUDNN_STATUS_SUCCESS) status = dnn.cudnnBackendFinalize(properties);
  if (status == CUDNN_STATUS_SUCCESS)
    status = dnn.cudnnBackendGetAttribute(properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                          CUDNN_TYPE_CHAR, (int64_t)sizeof json, &bytes, json);
  if (properties != NULL) (void)dnn.cudnnBackendDestroyDescriptor(properties);
  if (status != CUDNN_STATUS_SUCCESS) {
    (void)fprintf(stderr, "device properties: %s\n", dnn.cudnnGetErrorString(status));
    return 1;
  }
  size_t length = bytes > 0 && bytes <= MAX_JSON ? strnlen(json, (size_t)bytes) : 0;
  if (length == 0) {
    (void)fprintf(stderr, "device properties: cuDNN gave nothing\n");
    return 1;
  }
  return fwrite(json, 1, length, stdout) == length && fputc('\n', stdout) != EOF ? 0 : 1;
}
