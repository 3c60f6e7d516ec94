// SPDX-License-Identifier: Apache-2.0
//
// The few functions of the CUDA runtime that launchers call, for tests of kernels alone. A library
// member of its own: a test that links a double of the whole runtime first never pulls it in.
#include <cstring>

#include "control.h"

// Faults abort in the emulator, so nothing is ever left to report.
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}

cudaError_t cudaPeekAtLastError() {
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  return value >= 0 && emu_set_dynamic_shared_limit(kernel, static_cast<size_t>(value))
             ? cudaSuccess
             : cudaErrorInvalidValue;
}

// Everything has already run when a copy is asked for.
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t) {
  memcpy(to, from, bytes);
  return cudaSuccess;
}
