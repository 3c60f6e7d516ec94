// SPDX-License-Identifier: Apache-2.0
// A group of threads per row: one, a warp or a block, as the row is long.
#ifndef COHORT_KERNELS_CUDA_ROWS_CUH
#define COHORT_KERNELS_CUDA_ROWS_CUH

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/reduce.cuh"

namespace co {

// Threads that share a row. All threads of a group follow the same path.
template <int Width> struct Group;

template <> struct Group<1> {
  static __device__ float sum(float x) {
    return x;
  }
  static __device__ float largest(float x) {
    return x;
  }
  static __device__ long long least(long long x) {
    return x;
  }
};
template <> struct Group<warp_lanes> {
  static __device__ float sum(float x) {
    return warp_sum(x);
  }
  static __device__ float largest(float x) {
    return warp_max(x);
  }
  static __device__ long long least(long long x) {
    return warp_reduce<Least>(x);
  }
  static __device__ void wait() { // for what the group's other threads wrote
    __syncwarp();
  }
};
template <> struct Group<block_threads> {
  static __device__ float sum(float x) {
    return block_sum(x);
  }
  static __device__ float largest(float x) {
    return block_max(x);
  }
  static __device__ long long least(long long x) {
    return block_reduce<Least>(x);
  }
  static __device__ void wait() {
    __syncthreads();
  }
};

template <int Width> __device__ __forceinline__ int64_t first_row() {
  return static_cast<int64_t>(blockIdx.x) * (block_threads / Width) + threadIdx.x / Width;
}
template <int Width> __device__ __forceinline__ int64_t row_step() {
  return static_cast<int64_t>(gridDim.x) * (block_threads / Width);
}

inline int width_for(int64_t row) {
  return row <= 2 ? 1 : row <= 2048 ? warp_lanes : block_threads;
}

} // namespace co

#endif
