// SPDX-License-Identifier: Apache-2.0
// Between the library and libcohort_cuda.so. The plugin holds no copy of host/core: what it needs
// of it comes through co_host_api, and co_context is a name to it. It exports one function.
#ifndef COHORT_KERNELS_CUDA_PLUGIN_H
#define COHORT_KERNELS_CUDA_PLUGIN_H

#include "kernels/backend.h"
#include "kernels/cuda_machine.h"

#ifdef __cplusplus
extern "C" {
#endif

// Counts every change of this file, backend.h, descriptor.h or what they include: library and plugin pass
// structures to each other.
#define CO_CUDA_ABI 33u

typedef struct co_host_api {
  co_context *ctx; // for the functions below
  void (*log)(co_context *ctx, co_log_level level, const char *event, const char *format, ...)
      CO_PRINTF(4, 5);
  co_status (*fail)(co_status status, const char *format, ...) CO_PRINTF(2, 3);
  void (*hint)(const char *format, ...) CO_PRINTF(1, 2);
  const co_error *(*error)(void);
  void *(*alloc_zero)(co_context *ctx, size_t count, size_t size); // 64-byte aligned
  void (*free)(co_context *ctx, void *pointer);
  const char *(*op_name)(co_op op);
  // Whether the descriptor keeps to the contract: operands complete, shapes concrete, only sums and
  // gradients accumulated into.
  co_status (*check)(const co_op_desc *desc);
  const co_backend_options *options; // never NULL; borrowed during open
  // Not NULL: nothing is opened (*out stays NULL); what there is is described here.
  co_cuda_machine *machine;
} co_host_api;

// `abi` is the caller's CO_CUDA_ABI; with any other than the plugin's own, host is not read and
// CO_ERR_DEVICE returned. Opens device `device_index` of those CUDA shows.
typedef co_status co_cuda_open_function(co_backend **out, const co_host_api *host, uint32_t abi,
                                        int device_index);
#define CO_CUDA_OPEN_SYMBOL "co_cuda_open"
#define CO_CUDA_PLUGIN_NAME "libcohort_cuda.so"

#ifdef __cplusplus
}
#endif
#endif
