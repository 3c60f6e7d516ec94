// SPDX-License-Identifier: Apache-2.0
// Rows of a table by index, and the gradient of the table.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/reduce.cuh"

namespace co {

template <typename T>
__global__ void embedding(T *y, const int32_t *index, const float *table, int64_t count, int64_t V,
                          unsigned D) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    int64_t position = i / D, row = index[position];
    y[i] = static_cast<T>(row >= 0 && row < V ? table[row * D + (i - position * D)] : NAN);
  }
}

// ---- backward
// A block owns some rows of the gradient and looks through all positions for theirs, in ascending
// order, so that nothing is added by two blocks. It lists what it finds, and sums each row that the
// list names: slots of threads take its positions in turn, then the slots are added in a tree.

constexpr int per_thread = 4; // positions looked at in one round
constexpr int round_size = block_threads * per_thread;
constexpr int list_size = 2 * round_size;
constexpr int64_t most_tiles = 256;
constexpr int warps = block_threads / warp_lanes;

template <typename T> struct TableRows {
  float *dtable;
  const int32_t *index;
  const T *dy;
  int64_t positions, V, D;
  int64_t tile; // rows of a block
  bool accumulate;
};

// position, row: of the list; rows count from the block's first. leads: memory for whether an entry is
// the first of its row.
template <typename T>
__device__ void add_listed(const TableRows<T> &a, const Columns &c, int64_t first, int count,
                           const int *position, const int *row, bool *leads) {
  int thread = static_cast<int>(threadIdx.x), lane = thread % c.lanes, slot = thread / c.lanes;
  for (int i = thread; i < count; i += block_threads) {
    int j = 0;
    while (row[j] != row[i])
      j++;
    leads[i] = j == i;
  }
  __syncthreads();
  for (int i = 0; i < count; i++) {
    if (!leads[i]) continue;
    int wanted = row[i];
    float *sums = a.dtable + (first + wanted) * a.D;
    for (int64_t column = lane; column - lane < a.D; column += c.lanes) {
      double sum[1][1] = {{0}};
      if (column < a.D)
        for (int k = i + slot; k < count; k += c.slots)
          if (row[k] == wanted)
            sum[0][0] += static_cast<double>(static_cast<float>(a.dy[position[k] * a.D + column]));
      sum_slots<1, 1>(c, slot, sum);
      if (slot == 0 && column < a.D) put(&sums[column], static_cast<float>(sum[0][0]), true);
    }
  }
}

template <typename T> __global__ void embedding_backward(TableRows<T> a, Columns c) {
  CO_SHARED(int, position, list_size);
  CO_SHARED(int, row, list_size);
  CO_SHARED(bool, leads, list_size);
  CO_SHARED(int, found, warps);
  unsigned lane = threadIdx.x % warp_lanes;
  int warp = static_cast<int>(threadIdx.x) / warp_lanes, count = 0; // count: of the whole block
  int64_t first = blockIdx.x * a.tile, end = first + a.tile < a.V ? first + a.tile : a.V;
  for (int64_t i = first * a.D + threadIdx.x; !a.accumulate && i < end * a.D; i += block_threads)
    a.dtable[i] = 0;
  for (int64_t base = 0; base < a.positions; base += round_size) {
    int64_t at = base + warp * (warp_lanes * per_thread) + lane;
    int64_t rows[per_thread];
    unsigned votes[per_thread];
    int mine = 0, place = count;
#pragma unroll
    for (int k = 0; k < per_thread; k++) {
      int64_t p = at + k * warp_lanes;
      rows[k] = p < a.positions ? a.index[p] : -1;
      votes[k] = __ballot_sync(full_warp, rows[k] >= first && rows[k] < end);
      mine += __popc(votes[k]);
    }
    if (lane == 0) found[warp] = mine;
    __syncthreads();
    for (int w = 0; w < warps; w++) {
      place += w < warp ? found[w] : 0;
      count += found[w];
    }
#pragma unroll
    for (int k = 0; k < per_thread; k++) {
      if (votes[k] >> lane & 1u) {
        int entry = place + __popc(votes[k] & ((1u << lane) - 1u));
        position[entry] = static_cast<int>(at + k * warp_lanes);
        row[entry] = static_cast<int>(rows[k] - first);
      }
      place += __popc(votes[k]);
    }
    __syncthreads();
    if (count > list_size - round_size || (base + round_size >= a.positions && count > 0)) {
      add_listed(a, c, first, count, position, row, leads);
      count = 0;
    }
  }
}

template <typename T> static cudaError_t launch_embedding(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape);
  CO_LAUNCH(embedding<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const int32_t *>(call->in[0]),
            static_cast<const float *>(call->in[1]), count, desc->in[1].shape.dim[0],
            static_cast<unsigned>(desc->in[1].shape.dim[1]));
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_embedding_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t V = desc->out[0].shape.dim[0], D = desc->out[0].shape.dim[1];
  int64_t tile = (V + most_tiles - 1) / most_tiles;
  TableRows<T> a = {static_cast<float *>(call->out[0]),
                    static_cast<const int32_t *>(call->in[0]),
                    static_cast<const T *>(call->in[1]),
                    co_cuda_count(&desc->in[0].shape),
                    V,
                    D,
                    tile,
                    co_cuda_accumulates(desc, 0)};
  CO_LAUNCH(embedding_backward<T>, static_cast<unsigned>((V + tile - 1) / tile), block_threads, 0,
            call->stream, a, columns_of(a.positions, D));
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_embedding(const co_cuda_call *call) {
  return co::is_bf16(call->desc->out[0]) ? co::launch_embedding<co::bf16>(call)
                                         : co::launch_embedding<float>(call);
}

extern "C" cudaError_t co_cuda_embedding_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[1]) ? co::launch_embedding_backward<co::bf16>(call)
                                        : co::launch_embedding_backward<float>(call);
}
