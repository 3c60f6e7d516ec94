// SPDX-License-Identifier: Apache-2.0
// What a test may ask of the doubles beyond the CUDA interfaces: hand over kernel launches,
// inject faults, look at counters. Exported by the double of libcudart under the symbol version
// COHORT_DOUBLE; the real library has none of it.
//
// Settings from the environment (read when first needed; the functions below override them):
//   COHORT_SIM_SEED=n          order in which streams and graph branches interleave. n % 3 also
//                              says when work runs: 0 as late as allowed, 1 at random moments,
//                              2 as soon as possible
//   COHORT_SIM_LEAKS=1         list what is still allocated at process end, then exit with 97
//   COHORT_SIM_FAIL_ALLOC=n    the n-th cudaMalloc returns cudaErrorMemoryAllocation
//   COHORT_SIM_FAIL_HOST_ALLOC=n  the same for cudaMallocHost and cudaHostAlloc
//   COHORT_SIM_FAIL_LAUNCH=n   the n-th kernel or library call fails while it runs: from then on
//                              every call returns cudaErrorLaunchFailure ("device lost")
//   COHORT_SIM_DEVICES=n       0: cudaErrorNoDevice; all but the first can only be described
//   COHORT_SIM_BUSY=1          cudaSetDevice returns cudaErrorDevicesUnavailable
//   COHORT_SIM_CUBLASLT=n, COHORT_SIM_CUDNN=n  versions that the libraries say they are of
//   COHORT_SIM_DRIVER=n        driver version; 0 or a major version below the toolkit's:
//                              cudaErrorInsufficientDriver
//   COHORT_SIM_CAPABILITY=9.0  compute capability
//   COHORT_SIM_MEMORY=bytes    device memory in all
//   COHORT_SIM_NO_TF32=1       a product or convolution in f32 that may round operands to TF32 aborts
//   COHORT_SIM_RELU_MASKS=0    cuBLASLt has no algorithm for epilogues with a mask
//   COHORT_SIM_FICKLE=1        cuBLASLt's algorithms want more workspace each time it is asked
//   COHORT_SIM_CONV_WORKSPACE=bytes  of cuDNN's deterministic engine with tensor cores
//   COHORT_SIM_FAST_ENGINE=n, COHORT_SIM_FAST_ALGORITHM=n  what of cuDNN, of cuBLASLt takes a microsecond on
//                              the made-up clock, where others take ten
//   COHORT_SIM_FUSION=n        microseconds more for each operation fused with a convolution
//   COHORT_SIM_FEWER=n         cuBLASLt leaves out so many of its algorithms, the first ones
//   COHORT_SIM_KERNELS=file    library with emulated kernels for binaries built by nvcc
#ifndef COHORT_CUDASIM_CUDA_DOUBLE_H
#define COHORT_CUDASIM_CUDA_DOUBLE_H

#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

// Puts a kernel launch on a stream. `run` is called with device memory accessible, later, any
// number of times (a captured launch once per replay), so it must not change the closure.
// `destroy` (may be NULL) is called once, after the last run. Errors (a broken capture, a lost
// device) are kept for cudaGetLastError, as for any launch.
void co_double_enqueue(cudaStream_t stream, void (*run)(void *), void (*destroy)(void *),
                       void *closure);

// Sends the launches of the kernel emulator in this process (../control.h) through
// co_double_enqueue: co_double_connect_emulator(emu_set_launch_hook, emu_call_run, emu_call_free,
// emu_call_kernel, emu_call_pointer).
struct emu_call;
struct emu_pointer;
typedef void co_double_launch_hook(void *context, struct emu_call *call, cudaStream_t stream);
void co_double_connect_emulator(void (*set_launch_hook)(co_double_launch_hook *hook, void *context),
                                void (*run)(struct emu_call *call),
                                void (*free_)(struct emu_call *call),
                                const char *(*name)(const struct emu_call *call),
                                const struct emu_pointer *(*pointer)(const struct emu_call *call,
                                                                     size_t i));

void co_double_set_seed(uint64_t seed);
// n counts from now; 0 switches the fault off.
void co_double_fail_alloc(long n);
void co_double_fail_host_alloc(long n);
void co_double_fail_launch(long n);
// Brings a lost device back, as a fresh process would; existing handles and memory stay valid.
void co_double_revive(void);

typedef struct co_double_counters {
  size_t live_bytes; // device memory, as asked for
  size_t peak_bytes;
  long allocations; // cudaMalloc calls so far, failed ones included
  long launches;    // kernels and library calls that ran, one per replay
  long graph_launches;
  long live_objects; // memory blocks, streams, events, graphs, handles, descriptors
} co_double_counters;

co_double_counters co_double_count(void);
// Kernels, library calls, copies and fills put on streams so far; in a graph once, when recorded.
long co_double_enqueued(void);

#ifdef __cplusplus
}
#endif
#endif
