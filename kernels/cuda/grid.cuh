// SPDX-License-Identifier: Apache-2.0
// How work is cut into blocks. The cut depends on shapes alone, never on the device, so that sums
// have the same bits on every GPU.
#ifndef COHORT_KERNELS_CUDA_GRID_CUH
#define COHORT_KERNELS_CUDA_GRID_CUH

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"

namespace co {

using bf16 = __nv_bfloat16;

inline bool is_bf16(const co_tensor_desc &operand) {
  return operand.dtype == CO_BF16;
}

constexpr int block_threads = 256;
constexpr int64_t most_blocks = 4096; // enough to fill any device several times

// Blocks for `items` independent pieces of work, one per thread; kernels loop over the rest.
inline unsigned blocks_for(int64_t items) {
  int64_t blocks = (items + block_threads - 1) / block_threads;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks > most_blocks ? most_blocks : blocks);
}

// Index of this thread in a one-dimensional grid, and the number of its threads.
__device__ __forceinline__ int64_t grid_index() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ __forceinline__ int64_t grid_size() {
  return static_cast<int64_t>(gridDim.x) * blockDim.x;
}

// Activations let a NaN pass, so that divergence is seen.
__device__ __forceinline__ float activate(co_activation activation, float value) {
  return activation == CO_ACTIVATION_RELU && value < 0 ? 0.0f : value;
}

// Data are float or bf16, computed in float whatever they are stored as, and rounded once, here.
template <typename T>
__device__ __forceinline__ void put(T *element, float value, bool accumulate) {
  *element = static_cast<T>(accumulate ? static_cast<float>(*element) + value : value);
}

} // namespace co

#endif
