// SPDX-License-Identifier: Apache-2.0
// Rows of tables by index, and the gradients of tables: one launch for all of them, a row of the
// grid for each.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/reduce.cuh"

namespace co {

constexpr int most_tables = CO_OP_MAX_OPERANDS / 2;

struct Table {
  const int32_t *index;
  const float *rows;
  void *y;
  int64_t count, V; // count: elements of y
  unsigned D;
  bool narrow; // y is bf16
};

struct Tables {
  Table of[most_tables];
};

template <typename T> __device__ void pick_rows(const Table &t, T *y) {
  for (int64_t i = grid_index(); i < t.count; i += grid_size()) {
    int64_t position = i / t.D, row = t.index[position];
    y[i] = static_cast<T>(row >= 0 && row < t.V ? t.rows[row * t.D + (i - position * t.D)] : NAN);
  }
}

__global__ void embedding(Tables tables) {
  const Table &t = tables.of[blockIdx.y];
  if (t.narrow)
    pick_rows(t, static_cast<bf16 *>(t.y));
  else
    pick_rows(t, static_cast<float *>(t.y));
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
  Columns columns; // of dy, how they are summed
};

template <typename T> struct Gradients { TableRows<T> of[most_tables]; };

// position, row: of the list; rows count from the block's first. leads: memory for whether an entry is
// the first of its row.
template <typename T>
__device__ void add_listed(const TableRows<T> &a, int64_t first, int count, const int *position,
                           const int *row, bool *leads) {
  const Columns &c = a.columns;
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

template <typename T> __global__ void embedding_backward(Gradients<T> gradients) {
  CO_SHARED(int, position, list_size);
  CO_SHARED(int, row, list_size);
  CO_SHARED(bool, leads, list_size);
  CO_SHARED(int, found, warps);
  const TableRows<T> &a = gradients.of[blockIdx.y];
  if (blockIdx.x * a.tile >= a.V) return; // others have more rows
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
      add_listed(a, first, count, position, row, leads);
      count = 0;
    }
  }
}

template <typename T> static cudaError_t launch_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  Gradients<T> gradients = {};
  unsigned tables = 0, blocks = 1;
  for (int k = 0; k < most_tables; k++) {
    if (!co_cuda_has_out(desc, k)) continue;
    int64_t positions = co_cuda_count(&desc->in[2 * k].shape);
    int64_t V = desc->out[k].shape.dim[0], D = desc->out[k].shape.dim[1];
    int64_t tile = (V + most_tiles - 1) / most_tiles;
    unsigned tiles = static_cast<unsigned>((V + tile - 1) / tile);
    gradients.of[tables++] = {static_cast<float *>(call->out[k]),
                              static_cast<const int32_t *>(call->in[2 * k]),
                              static_cast<const T *>(call->in[2 * k + 1]),
                              positions,
                              V,
                              D,
                              tile,
                              co_cuda_accumulates(desc, k),
                              columns_of(positions, D)};
    if (tiles > blocks) blocks = tiles;
  }
  CO_LAUNCH(embedding_backward<T>, dim3(blocks, tables), block_threads, 0, call->stream, gradients);
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_embedding(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  co::Tables tables = {};
  unsigned count = 0;
  int64_t most = 0;
  for (int k = 0; k < co::most_tables; k++) {
    if (!co_cuda_has_out(desc, k)) continue;
    const co_shape &table = desc->in[2 * k + 1].shape;
    int64_t elements = co_cuda_count(&desc->out[k].shape);
    tables.of[count++] = {static_cast<const int32_t *>(call->in[2 * k]),
                          static_cast<const float *>(call->in[2 * k + 1]),
                          call->out[k],
                          elements,
                          table.dim[0],
                          static_cast<unsigned>(table.dim[1]),
                          co::is_bf16(desc->out[k])};
    if (elements > most) most = elements;
  }
  CO_LAUNCH(co::embedding, dim3(co::blocks_for(most), count), co::block_threads, 0, call->stream,
            tables);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_embedding_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[1]) ? co::launch_backward<co::bf16>(call)
                                        : co::launch_backward<float>(call);
}
