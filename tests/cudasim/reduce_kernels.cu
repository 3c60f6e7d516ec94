// SPDX-License-Identifier: Apache-2.0
//
// Kernels around the helpers of reduce.cuh; compiled for the emulator and, as a check, with nvcc.
#include "reduce_kernels.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/reduce.cuh"

namespace {

template <typename T>
__global__ void row_statistics(const T *__restrict__ x, T *__restrict__ sum, T *__restrict__ max,
                               int columns) {
  const T *row = x + static_cast<size_t>(blockIdx.x) * columns;
  int first = threadIdx.x + blockDim.x * threadIdx.y;
  int step = blockDim.x * blockDim.y;
  T row_sum = 0;
  T row_max = -INFINITY;
  for (int c = first; c < columns; c += step) {
    row_sum += row[c];
    row_max = co::Max::combine(row_max, row[c]);
  }
  // Twice the same reduction back to back: the second must not overtake readers of the first.
  row_sum = co::block_sum(row_sum);
  T threads = co::block_sum(T(1));
  row_max = co::block_max(row_max);
  if (first == 0) {
    sum[blockIdx.x] = row_sum;
    max[blockIdx.x] = row_max * threads / T(step);
  }
}

template <typename T> __global__ void twice4(const T *__restrict__ x, T *__restrict__ y, int n) {
  int i = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  bool whole = i + 4 <= n;
  float4 v = whole ? co::load4(x + i) : co::load4_tail(x + i, n - i, 0.0f);
  v = make_float4(2 * v.x, 2 * v.y, 2 * v.z, 2 * v.w);
  if (whole)
    co::store4(y + i, v);
  else
    co::store4_tail(y + i, n - i, v);
}

} // namespace

template <typename T>
cudaError_t launch_row_statistics(const T *x, T *sum, T *max, int rows, int columns, dim3 block,
                                  cudaStream_t stream) {
  CO_LAUNCH(row_statistics<T>, rows, block, 0, stream, x, sum, max, columns);
  return cudaGetLastError();
}

template <typename T> cudaError_t launch_twice4(const T *x, T *y, int n, cudaStream_t stream) {
  CO_LAUNCH(twice4<T>, (n + 511) / 512, 128, 0, stream, x, y, n);
  return cudaGetLastError();
}

template cudaError_t launch_row_statistics(const float *, float *, float *, int, int, dim3,
                                           cudaStream_t);
template cudaError_t launch_row_statistics(const double *, double *, double *, int, int, dim3,
                                           cudaStream_t);
template cudaError_t launch_twice4(const float *, float *, int, cudaStream_t);
template cudaError_t launch_twice4(const __nv_bfloat16 *, __nv_bfloat16 *, int, cudaStream_t);
