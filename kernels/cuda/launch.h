// SPDX-License-Identifier: Apache-2.0
//
// First include of every .cu file. The few constructs of CUDA C++ that are not C++ are written with
// the macros below, so that one source compiles with nvcc and, for the tests, with a plain C++
// compiler on the emulator of tests/cudasim.
//
//   CO_LAUNCH(kernel, grid, block, shared_bytes, stream, args...)
//     Starts a kernel. The kernel is named, not passed in a variable; a template with commas goes
//     in parentheses: CO_LAUNCH((scale<float, 4>), grid, 256, 0, stream, x, n).
//   CO_SHARED(T, name, n), CO_SHARED_2D(T, name, rows, columns)
//     A static shared array. It is aligned for T only: declare it as float4 to read it as float4.
//   CO_DYNAMIC_SHARED(T, name)
//     T *name, the shared memory whose size the launch gives; aligned to 16 bytes.
#ifndef COHORT_KERNELS_CUDA_LAUNCH_H
#define COHORT_KERNELS_CUDA_LAUNCH_H

#if defined(CO_CUDASIM)

#include "tests/cudasim/emu.h"

#elif defined(__CUDACC__)

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define CO_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                  \
  kernel<<<(grid), (block), (shared_bytes), (stream)>>>(__VA_ARGS__)
#define CO_SHARED(T, name, n) __shared__ T name[n]
#define CO_SHARED_2D(T, name, rows, columns) __shared__ T name[rows][columns]
// One name and one type for all kernels of a file: extern arrays of different types would clash.
#define CO_DYNAMIC_SHARED(T, name)                                                                 \
  extern __shared__ __align__(16) unsigned char co_dynamic_shared[];                               \
  T *name = reinterpret_cast<T *>(co_dynamic_shared)

#else
#error "launch.h needs nvcc, or -DCO_CUDASIM for the emulator"
#endif

#endif
