// SPDX-License-Identifier: Apache-2.0
// Sums over all rows of a (rows, channels) matrix, for every channel, in one launch and a fixed
// order: each block sums a chunk of rows, then the last block of those channels over the chunks.
// Sums are double: such kernels wait for memory, so it costs nothing, and it spares the second pass
// of a variance.
#ifndef COHORT_KERNELS_CUDA_COLUMNS_CUH
#define COHORT_KERNELS_CUDA_COLUMNS_CUH

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/reduce.cuh"

namespace co {

struct Columns {
  int64_t rows, channels;
  int64_t chunk, chunks; // rows of a block, and how many such
  int64_t tiles;         // blocks side by side
  int width;             // channels of a thread, side by side
  int lanes, slots;      // threads across and rows of a block; powers of two
};

inline Columns columns_of(int64_t rows, int64_t channels, int width = 1) {
  Columns c;
  c.rows = rows;
  c.channels = channels;
  c.width = width;
  c.lanes = 1;
  while (c.lanes * width < channels && c.lanes < warp_lanes)
    c.lanes *= 2;
  c.slots = block_threads / c.lanes;
  c.tiles = (channels + c.lanes * width - 1) / (c.lanes * width);
  int64_t most = 512 / c.tiles; // enough for any device, few for the block that comes last
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

// Four channels a thread where that divides all of them.
inline Columns wide_columns_of(int64_t rows, int64_t channels) {
  return columns_of(rows, channels, channels % 4 == 0 ? 4 : 1);
}

inline Columns wide_columns_of(const co_shape &shape) {
  int64_t channels = co_cuda_last(&shape);
  return wide_columns_of(co_cuda_count(&shape) / channels, channels);
}

inline size_t column_scratch(const Columns &c, int sums) {
  return c.chunks == 1 ? 0 : static_cast<size_t>(c.chunks * sums * c.channels) * sizeof(double);
}

// Adds up `sums` over the slots of each lane, in a tree; slot 0 gets them. Two barriers at least.
template <int K, int V>
__device__ __forceinline__ void sum_slots(const Columns &c, int slot, double (*sums)[K]) {
  CO_SHARED_2D(double, shared, K, block_threads);
#pragma unroll
  for (int v = 0; v < V; v++) {
    __syncthreads(); // others may still read an earlier sum
#pragma unroll
    for (int k = 0; k < K; k++)
      shared[k][threadIdx.x] = sums[v][k];
    for (int half = c.slots / 2; half > 0; half /= 2) {
      __syncthreads();
      if (slot < half)
#pragma unroll
        for (int k = 0; k < K; k++)
          shared[k][threadIdx.x] += shared[k][threadIdx.x + half * c.lanes];
    }
#pragma unroll
    for (int k = 0; k < K; k++)
      sums[v][k] = shared[k][threadIdx.x];
  }
}

// add(index of the element, channel, sums) for each element, or add.four(index of the first of four,
// its channel, sums of each) where V = 4; finish(channel, sums) once a channel. A ticket a tile.
template <int K, int V, typename Add, typename Finish>
__global__ void column_sums(double *partials, unsigned *tickets, Columns c, Add add,
                            Finish finish) {
  int lane = static_cast<int>(threadIdx.x) % c.lanes;
  int slot = static_cast<int>(threadIdx.x) / c.lanes;
  int64_t chunk = static_cast<int64_t>(blockIdx.x) % c.chunks;
  int64_t tile = static_cast<int64_t>(blockIdx.x) / c.chunks;
  int64_t channel = (tile * c.lanes + lane) * V;
  int64_t end = (chunk + 1) * c.chunk < c.rows ? (chunk + 1) * c.chunk : c.rows;
  bool mine = channel < c.channels;
  double sums[V][K] = {};
  if (mine)
    for (int64_t row = chunk * c.chunk + slot; row < end; row += c.slots) {
      if constexpr (V == 4)
        add.four(row * c.channels + channel, channel, sums);
      else
        add(row * c.channels + channel, channel, sums[0]);
    }
  sum_slots<K, V>(c, slot, sums);
  if (c.chunks > 1) {
    if (slot == 0 && mine)
#pragma unroll
      for (int v = 0; v < V; v++)
#pragma unroll
        for (int k = 0; k < K; k++)
          partials[(chunk * K + k) * c.channels + channel + v] = sums[v][k];
    if (!comes_last(tickets + tile, static_cast<unsigned>(c.chunks))) return;
#pragma unroll
    for (int v = 0; v < V; v++)
#pragma unroll
      for (int k = 0; k < K; k++)
        sums[v][k] = 0;
    if (mine)
      for (int64_t i = slot; i < c.chunks; i += c.slots)
#pragma unroll
        for (int k = 0; k < K; k++)
#pragma unroll
          for (int v = 0; v < V; v++)
            sums[v][k] += partials[(i * K + k) * c.channels + channel + v];
    sum_slots<K, V>(c, slot, sums);
  }
  if (slot == 0 && mine)
#pragma unroll
    for (int v = 0; v < V; v++)
      finish(channel + v, sums[v]);
}

template <int K, int V, typename Add, typename Finish>
cudaError_t launch_column_sums(const Columns &c, void *scratch, const co_cuda_call *call, Add add,
                               Finish finish) {
  // More chunks than one only where tiles are fewer than 512, hence than tickets; with one there is no
  // scratch memory, and behind the address may lie somebody else's.
  double *partials = c.chunks > 1 ? static_cast<double *>(scratch) : nullptr;
  CO_LAUNCH((column_sums<K, V, Add, Finish>), static_cast<unsigned>(c.chunks * c.tiles),
            block_threads, 0, call->stream, partials, call->tickets, c, add, finish);
  return cudaGetLastError();
}

// For columns_of.
template <int K, typename Add, typename Finish>
cudaError_t sum_columns(const Columns &c, void *scratch, const co_cuda_call *call, Add add,
                        Finish finish) {
  return launch_column_sums<K, 1>(c, scratch, call, add, finish);
}

// For wide_columns_of, where `add` has `four`.
template <int K, typename Add, typename Finish>
cudaError_t sum_wide_columns(const Columns &c, void *scratch, const co_cuda_call *call, Add add,
                             Finish finish) {
  return c.width == 4 ? launch_column_sums<K, 4>(c, scratch, call, add, finish)
                      : launch_column_sums<K, 1>(c, scratch, call, add, finish);
}

// ---- element by element, each thread with channels of its own, so that what belongs to them stays
// in registers

// Blocks for own_channels.
inline unsigned column_blocks(const Columns &c) {
  int64_t groups = (c.rows + c.slots - 1) / c.slots, most = most_blocks / c.tiles;
  if (groups > most) groups = most;
  return static_cast<unsigned>((groups < 1 ? 1 : groups) * c.tiles);
}

// Launches `four` or `one`, the kernel for channels by fours or for any.
#define CO_LAUNCH_COLUMNS(c, four, one, stream, ...)                                               \
  do {                                                                                             \
    if ((c).width == 4)                                                                            \
      CO_LAUNCH(four, column_blocks(c), block_threads, 0, stream, __VA_ARGS__);                    \
    else                                                                                           \
      CO_LAUNCH(one, column_blocks(c), block_threads, 0, stream, __VA_ARGS__);                     \
  } while (0)

// The first channel and row of a thread and the step to its next row; false if it has none.
template <int V>
__device__ __forceinline__ bool own_channels(const Columns &c, int64_t *channel, int64_t *row,
                                             int64_t *step) {
  int lane = static_cast<int>(threadIdx.x) % c.lanes;
  int slot = static_cast<int>(threadIdx.x) / c.lanes;
  int64_t groups = static_cast<int64_t>(gridDim.x) / c.tiles;
  *channel = (static_cast<int64_t>(blockIdx.x) / groups * c.lanes + lane) * V;
  *row = static_cast<int64_t>(blockIdx.x) % groups * c.slots + slot;
  *step = groups * c.slots;
  return *channel < c.channels;
}

} // namespace co

#endif
