// SPDX-License-Identifier: Apache-2.0
//
// Host side of the kernel emulator, usable from C and C++: how kernels are scheduled, and what
// happens to a launch. A test double of the CUDA runtime installs a hook and runs the calls when
// its streams say so; without a hook a kernel runs at once, inside the launch.
#ifndef COHORT_TESTS_CUDASIM_CONTROL_H
#define COHORT_TESTS_CUDASIM_CONTROL_H

#include <cuda_runtime_api.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The order in which the threads of a block advance between synchronisations. No order is promised
// by CUDA, so a kernel must give right results under each of them.
enum emu_schedule {
  EMU_IN_ORDER,   // thread 0, 1, 2, ...
  EMU_RANDOM,     // a new random order after every barrier; blocks in random order too
  EMU_WARP_GREEDY // a random warp as far as it gets, then the next: shows missing protective
                  // barriers
};

struct emu_options {
  enum emu_schedule schedule;
  uint64_t seed;
  int workers; // host threads that share the blocks of a grid
};

// Replaces the options for later runs. They start as CO_EMU_SCHEDULE (in-order, random,
// warp-greedy), CO_EMU_SEED and CO_EMU_WORKERS of the environment say; NULL goes back to those.
void emu_configure(const struct emu_options *options);

// A launched kernel with its configuration and a copy of its arguments.
struct emu_call;

const char *emu_call_kernel(const struct emu_call *call); // as written at the launch
void emu_call_run(struct emu_call *call); // any number of times, as graph replay does
void emu_call_free(struct emu_call *call);
// The pointers among its arguments; those in structures are not known. NULL past the end.
struct emu_pointer {
  const void *address;
  int writes; // it points to what is not const
};
const struct emu_pointer *emu_call_pointer(const struct emu_call *call, size_t i);

// The hook takes ownership of the call.
typedef void emu_launch_hook(void *context, struct emu_call *call, cudaStream_t stream);
void emu_set_launch_hook(emu_launch_hook *hook, void *context);

// cudaFuncAttributeMaxDynamicSharedMemorySize of a kernel: without it 48 KiB, with it up to 227
// KiB. Returns false for more than that.
#define EMU_SHARED_DEFAULT ((size_t)48 << 10)
#define EMU_SHARED_OPT_IN ((size_t)227 << 10)
int emu_set_dynamic_shared_limit(const void *kernel, size_t bytes);

// Launches a kernel by its mangled name with the address of each argument, as code compiled by nvcc
// does. Finds every kernel that some CO_LAUNCH of the process names and that the dynamic symbol
// table shows (link with -rdynamic, or from a shared library). Returns false if there is none.
int emu_launch_by_name(const char *mangled, void **arguments, dim3 grid, dim3 block,
                       size_t shared_bytes, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
