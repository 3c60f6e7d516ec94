// SPDX-License-Identifier: Apache-2.0
//
// Reductions and vector access for device code. The order of every reduction is fixed by the shape
// of the block alone, so equal input gives equal bits in each run.
#ifndef COHORT_KERNELS_CUDA_REDUCE_CUH
#define COHORT_KERNELS_CUDA_REDUCE_CUH

#include <math.h>

#include "kernels/cuda/launch.h"

namespace co {

constexpr unsigned full_warp = 0xffffffffu;
constexpr int warp_lanes = 32;
constexpr int max_warps = 32;

// The operations. Combining is commutative to the bit, which the butterfly below relies on to give
// all lanes the same result.
struct Sum {
  template <typename T> static __device__ __forceinline__ T identity() {
    return T(0);
  }
  template <typename T> static __device__ __forceinline__ T combine(T a, T b) {
    return a + b;
  }
};
// A NaN is ignored, as by fmax; the maximum of nothing is minus infinity.
struct Max {
  template <typename T> static __device__ __forceinline__ T identity() {
    return T(-INFINITY);
  }
  static __device__ __forceinline__ float combine(float a, float b) {
    return fmaxf(a, b);
  }
  static __device__ __forceinline__ double combine(double a, double b) {
    return fmax(a, b);
  }
};

struct Least { // of indices
  template <typename T> static __device__ __forceinline__ T identity() {
    return T(0x7fffffffffffffffLL);
  }
  template <typename T> static __device__ __forceinline__ T combine(T a, T b) {
    return a < b ? a : b;
  }
};

// All 32 lanes call it and get the result.
template <typename Op, typename T> __device__ __forceinline__ T warp_reduce(T value) {
#pragma unroll
  for (int distance = warp_lanes / 2; distance > 0; distance /= 2)
    value = Op::combine(value, __shfl_xor_sync(full_warp, value, distance));
  return value;
}

template <typename T> __device__ __forceinline__ T warp_sum(T value) {
  return warp_reduce<Sum>(value);
}
template <typename T> __device__ __forceinline__ T warp_max(T value) {
  return warp_reduce<Max>(value);
}

// All threads of the block call it and get the result. The block has a multiple of 32 threads, in
// any number of dimensions. It contains two barriers.
template <typename Op, typename T> __device__ __forceinline__ T block_reduce(T value) {
  CO_SHARED(T, partial, max_warps);
  unsigned index = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  unsigned lane = index % warp_lanes;
  unsigned warps = blockDim.x * blockDim.y * blockDim.z / warp_lanes;
  value = warp_reduce<Op>(value);
  __syncthreads(); // other warps may still read the result of an earlier reduction
  if (lane == 0) partial[index / warp_lanes] = value;
  __syncthreads();
  // Every warp reduces the partial results by itself: cheaper than a third barrier.
  value = lane < warps ? partial[lane] : Op::template identity<T>();
  return warp_reduce<Op>(value);
}

template <typename T> __device__ __forceinline__ T block_sum(T value) {
  return block_reduce<Sum>(value);
}
template <typename T> __device__ __forceinline__ T block_max(T value) {
  return block_reduce<Max>(value);
}

// Whether this block is the last of `blocks` to come here: then all its threads see what the threads
// of the others wrote before they came. All threads of a one-dimensional block call it, at most once
// in a kernel. The ticket is 0 before the first block comes and after the last.
__device__ __forceinline__ bool comes_last(unsigned *ticket, unsigned blocks) {
  CO_SHARED(bool, last, 1);
  __threadfence(); // what this thread wrote, before the ticket of its block
  __syncthreads();
  if (threadIdx.x == 0) {
    last[0] = atomicInc(ticket, blocks - 1) == blocks - 1; // wraps around to 0
    __threadfence(); // the tickets of the others, before what is read of them
  }
  __syncthreads();
  return last[0];
}

// Sums over all threads of a one-dimensional grid: of each block, then of the blocks, by the one that
// comes last. Every thread calls it, once in a kernel; thread 0 of that block calls put(k, sum) for
// each of K sums. partials: K of each block, not read where there is one.
template <int K, typename Put>
__device__ __forceinline__ void grid_sums(double *partials, unsigned *ticket, const double *values,
                                          Put put) {
  double sums[K];
#pragma unroll
  for (int k = 0; k < K; k++)
    sums[k] = block_sum(values[k]);
  if (gridDim.x > 1) {
#pragma unroll
    for (int k = 0; k < K; k++)
      if (threadIdx.x == 0) partials[static_cast<size_t>(blockIdx.x) * K + k] = sums[k];
    if (!comes_last(ticket, gridDim.x)) return;
#pragma unroll
    for (int k = 0; k < K; k++) {
      double value = 0;
      for (unsigned i = threadIdx.x; i < gridDim.x; i += blockDim.x)
        value += partials[static_cast<size_t>(i) * K + k];
      sums[k] = block_sum(value);
    }
  }
#pragma unroll
  for (int k = 0; k < K; k++)
    if (threadIdx.x == 0) put(k, sums[k]);
}

// ---- four values at once, computed in float whatever they are stored as

// The address is a multiple of four elements: 16 bytes of float, 8 of bf16, in one access. (A struct
// of two pairs is read in halves.)
__device__ __forceinline__ float4 load4(const float *from) {
  return *reinterpret_cast<const float4 *>(from);
}
__device__ __forceinline__ float4
load4(const __nv_bfloat16 *from) { // the upper half of a float each
  uint2 bits = *reinterpret_cast<const uint2 *>(from);
  return make_float4(__uint_as_float(bits.x << 16), __uint_as_float(bits.x & 0xFFFF0000u),
                     __uint_as_float(bits.y << 16), __uint_as_float(bits.y & 0xFFFF0000u));
}

__device__ __forceinline__ void store4(float *to, float4 four) {
  *reinterpret_cast<float4 *>(to) = four;
}
__device__ __forceinline__ void store4(__nv_bfloat16 *to, float4 four) {
  __nv_bfloat162 low = __float22bfloat162_rn(make_float2(four.x, four.y));
  __nv_bfloat162 high = __float22bfloat162_rn(make_float2(four.z, four.w));
  *reinterpret_cast<uint2 *>(to) = make_uint2(*reinterpret_cast<const unsigned *>(&low),
                                              *reinterpret_cast<const unsigned *>(&high));
}

// N values in registers; load and store are one access for N = 4, at a multiple of four elements.
template <int N> struct Pack { float x[N]; };

template <int N, typename T> __device__ __forceinline__ Pack<N> load(const T *from) {
  Pack<N> pack;
  if constexpr (N == 4) {
    float4 four = load4(from);
    pack.x[0] = four.x, pack.x[1] = four.y, pack.x[2] = four.z, pack.x[3] = four.w;
  } else {
#pragma unroll
    for (int k = 0; k < N; k++)
      pack.x[k] = static_cast<float>(from[k]);
  }
  return pack;
}

template <int N, typename T> __device__ __forceinline__ void store(T *to, const Pack<N> &pack) {
  if constexpr (N == 4) {
    store4(to, make_float4(pack.x[0], pack.x[1], pack.x[2], pack.x[3]));
  } else {
#pragma unroll
    for (int k = 0; k < N; k++)
      to[k] = static_cast<T>(pack.x[k]);
  }
}

// The last `valid` < 4 elements of an array; the rest reads as `fill` and is not written.
template <typename T>
__device__ __forceinline__ float4 load4_tail(const T *from, int valid, float fill) {
  return make_float4(valid > 0 ? static_cast<float>(from[0]) : fill,
                     valid > 1 ? static_cast<float>(from[1]) : fill,
                     valid > 2 ? static_cast<float>(from[2]) : fill, fill);
}
template <typename T> __device__ __forceinline__ void store4_tail(T *to, int valid, float4 four) {
  if (valid > 0) to[0] = static_cast<T>(four.x);
  if (valid > 1) to[1] = static_cast<T>(four.y);
  if (valid > 2) to[2] = static_cast<T>(four.z);
}

} // namespace co

#endif
