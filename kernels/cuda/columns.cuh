// SPDX-License-Identifier: Apache-2.0
// Sums over all rows of a (rows, channels) matrix, for every channel, in two stages and a fixed
// order: each block sums a chunk of rows, then a warp a channel over the chunks. Sums are double:
// such kernels wait for memory, so it costs nothing, and it spares the second pass of a variance.
#ifndef COHORT_KERNELS_CUDA_COLUMNS_CUH
#define COHORT_KERNELS_CUDA_COLUMNS_CUH

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/reduce.cuh"

namespace co {

struct Columns {
  int64_t rows, channels;
  int64_t chunk, chunks; // rows of a block, and how many such
  int64_t tiles;         // blocks side by side
  int lanes, slots;      // channels and rows of a block read at once; powers of two
};

inline Columns columns_of(int64_t rows, int64_t channels) {
  Columns c;
  c.rows = rows;
  c.channels = channels;
  c.lanes = 1;
  while (c.lanes < channels && c.lanes < warp_lanes)
    c.lanes *= 2;
  c.slots = block_threads / c.lanes;
  c.tiles = (channels + c.lanes - 1) / c.lanes;
  int64_t most = 1024 / c.tiles; // blocks enough for any device
  int64_t wanted = rows / (c.slots * 8);
  if (wanted > most) wanted = most;
  if (wanted < 1) wanted = 1;
  c.chunk = (rows + wanted - 1) / wanted;
  c.chunks = (rows + c.chunk - 1) / c.chunk;
  return c;
}

inline Columns columns_of(const co_shape &shape) {
  int64_t channels = co_cuda_last(&shape);
  return columns_of(co_cuda_count(&shape) / channels, channels);
}

inline size_t column_scratch(const Columns &c, int sums) {
  return c.chunks == 1 ? 0 : static_cast<size_t>(c.chunks * sums * c.channels) * sizeof(double);
}

inline int column_launches(const Columns &c) {
  return c.chunks == 1 ? 1 : 2;
}

// add(index of the element, channel, sums) for each element; finish(channel, sums) once a channel.
template <int K, typename Add, typename Finish>
__global__ void column_sums(double *partials, Columns c, Add add, Finish finish) {
  CO_SHARED_2D(double, shared, K, block_threads);
  int lane = static_cast<int>(threadIdx.x) % c.lanes;
  int slot = static_cast<int>(threadIdx.x) / c.lanes;
  int64_t chunk = static_cast<int64_t>(blockIdx.x) % c.chunks;
  int64_t channel = static_cast<int64_t>(blockIdx.x) / c.chunks * c.lanes + lane;
  int64_t end = (chunk + 1) * c.chunk < c.rows ? (chunk + 1) * c.chunk : c.rows;
  double sums[K];
#pragma unroll
  for (int k = 0; k < K; k++)
    sums[k] = 0;
  if (channel < c.channels)
    for (int64_t row = chunk * c.chunk + slot; row < end; row += c.slots)
      add(row * c.channels + channel, channel, sums);
#pragma unroll
  for (int k = 0; k < K; k++)
    shared[k][threadIdx.x] = sums[k];
  for (int half = c.slots / 2; half > 0; half /= 2) {
    __syncthreads();
    if (slot < half)
#pragma unroll
      for (int k = 0; k < K; k++)
        shared[k][threadIdx.x] += shared[k][threadIdx.x + half * c.lanes];
  }
  if (slot > 0 || channel >= c.channels) return;
#pragma unroll
  for (int k = 0; k < K; k++)
    sums[k] = shared[k][threadIdx.x];
  if (c.chunks == 1) {
    finish(channel, sums);
    return;
  }
#pragma unroll
  for (int k = 0; k < K; k++)
    partials[(chunk * K + k) * c.channels + channel] = sums[k];
}

template <int K, typename Finish>
__global__ void column_finish(const double *partials, Columns c, Finish finish) {
  int64_t channel = grid_index() / warp_lanes;
  int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  if (channel >= c.channels) return; // whole warps
  double sums[K];
#pragma unroll
  for (int k = 0; k < K; k++)
    sums[k] = 0;
  for (int64_t chunk = lane; chunk < c.chunks; chunk += warp_lanes)
#pragma unroll
    for (int k = 0; k < K; k++)
      sums[k] += partials[(chunk * K + k) * c.channels + channel];
#pragma unroll
  for (int k = 0; k < K; k++)
    sums[k] = warp_sum(sums[k]);
  if (lane == 0) finish(channel, sums);
}

template <int K, typename Add, typename Finish>
cudaError_t sum_columns(const Columns &c, void *scratch, cudaStream_t stream, Add add,
                        Finish finish) {
  double *partials = static_cast<double *>(scratch);
  CO_LAUNCH((column_sums<K, Add, Finish>), static_cast<unsigned>(c.chunks * c.tiles), block_threads,
            0, stream, partials, c, add, finish);
  if (c.chunks == 1) return cudaGetLastError();
  constexpr int channels_per_block = block_threads / warp_lanes;
  CO_LAUNCH((column_finish<K, Finish>),
            static_cast<unsigned>((c.channels + channels_per_block - 1) / channels_per_block),
            block_threads, 0, stream, partials, c, finish);
  return cudaGetLastError();
}

} // namespace co

#endif
