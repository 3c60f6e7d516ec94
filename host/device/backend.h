// SPDX-License-Identifier: Apache-2.0
// Backends by the name of their device.
#ifndef COHORT_HOST_DEVICE_BACKEND_H
#define COHORT_HOST_DEVICE_BACKEND_H

#include "kernels/backend.h"
#include "kernels/cuda_machine.h"

#ifdef __cplusplus
extern "C" {
#endif

// "ref", "cpu", "cuda" (= "cuda:0"), "cuda:N", or "auto" (also NULL): CUDA where it can be used,
// else the CPU, with the reason in the log (at level debug where there is no NVIDIA driver at all).
// CUDA comes as a plugin, libcohort_cuda.so, loaded only when asked for: beside the program or
// library, then from the library path. What is missing is CO_ERR_DEVICE with a hint at the way out.
// `options` may be NULL. With options->planning CUDA needs no driver and no device, and "auto" is
// CUDA where cuda:0 looks usable without opening it.
co_status co_backend_open_device(co_backend **out, co_context *ctx, const char *device,
                                 const co_backend_options *options);

// What of CUDA there is, without opening a device for work. `brief`: see co_cuda_machine. What is
// missing is told there, too; it is no failure. Leaves no error behind.
void co_backend_describe_cuda(co_cuda_machine *out, co_context *ctx, bool brief);

#ifdef __cplusplus
}
#endif
#endif
