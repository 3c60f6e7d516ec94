// SPDX-License-Identifier: Apache-2.0
// Gradients of some rows of a table, and the updates that they make. Time goes with the positions of a
// batch, never with the rows of the table.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/update.cuh"

namespace co {

struct List {
  int32_t *ids;
  float *rows;
  int32_t *count;
  int64_t room, D;
};

template <typename T>
__global__ void append_rows(List list, const int32_t *index, const T *dy, int64_t positions,
                            bool append, unsigned *ticket) {
  const int64_t first = append ? *list.count : 0;
  if (positions > list.room - first) positions = list.room - first;
  for (int64_t i = grid_index(); i < positions * list.D; i += grid_size()) {
    if (i < positions) list.ids[first + i] = index[i];
    list.rows[first * list.D + i] = static_cast<float>(dy[i]);
  }
  if (!comes_last(ticket, gridDim.x)) return; // all others have read the count
  if (threadIdx.x == 0) *list.count = static_cast<int32_t>(first + positions);
}

// ---- sums: a stable sort by id, tile by tile and then merged; a block sums the entries of each id

using Key = unsigned long long; // id, then position; what is of no row comes last

__device__ __forceinline__ Key key_of(const int32_t *ids, int32_t count, int64_t i) {
  bool good = i < count && ids[i] >= 0;
  return (good ? static_cast<Key>(ids[i]) : Key{0xFFFFFFFFu}) << 32 | static_cast<Key>(i);
}
__device__ __forceinline__ int32_t id_of(Key key) {
  return static_cast<int32_t>(key >> 32); // -1: of no row
}

constexpr int tile_size = block_threads;

__global__ void sort_tiles(Key *keys, const int32_t *ids, const int32_t *count, int64_t n) {
  CO_SHARED(Key, tile, tile_size);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * tile_size;
  const int here = static_cast<int>(min(n - first, int64_t{tile_size}));
  const int thread = static_cast<int>(threadIdx.x);
  Key key = 0;
  if (thread < here) tile[thread] = key = key_of(ids, *count, first + thread);
  __syncthreads();
  int rank = 0;
  for (int i = 0; i < here; i++)
    rank += tile[i] < key;
  if (thread < here) keys[first + rank] = key;
}

// Neighbouring runs of `length` become one: a key goes as far on as there are smaller ones in the other.
__global__ void merge_runs(Key *to, const Key *from, int64_t n, int64_t length) {
  for (int64_t i = grid_index(); i < n; i += grid_size()) {
    const int64_t begin = i / (2 * length) * (2 * length);
    const bool left = i - begin < length;
    int64_t low = left ? begin + length : begin, end = left ? begin + 2 * length : begin + length;
    if (low > n) low = n;
    if (end > n) end = n;
    const int64_t other = low;
    const Key key = from[i];
    while (low < end) {
      const int64_t middle = (low + end) / 2;
      if (from[middle] < key)
        low = middle + 1;
      else
        end = middle;
    }
    to[(left ? i : i - length) + (low - other)] = key;
  }
}

__global__ void sum_rows(int32_t *unique, float *sums, const Key *keys, const float *rows,
                         Columns c) {
  const int lane = static_cast<int>(threadIdx.x) % c.lanes;
  const int slot = static_cast<int>(threadIdx.x) / c.lanes;
  for (int64_t i = blockIdx.x; i < c.rows; i += gridDim.x) {
    const int32_t id = id_of(keys[i]);
    const bool first = id >= 0 && (i == 0 || id_of(keys[i - 1]) != id);
    if (threadIdx.x == 0) unique[i] = first ? id : -1;
    float *to = sums + i * c.channels;
    if (!first) {
      for (int64_t d = threadIdx.x; d < c.channels; d += block_threads)
        to[d] = 0;
      continue;
    }
    for (int64_t column = lane; column - lane < c.channels; column += c.lanes) {
      double sum[1][1] = {{0}};
      if (column < c.channels)
        for (int64_t k = i + slot; k < c.rows && id_of(keys[k]) == id; k += c.slots)
          sum[0][0] += static_cast<double>(
              rows[static_cast<int64_t>(keys[k] & 0xFFFFFFFFu) * c.channels + column]);
      sum_slots<1, 1>(c, slot, sum);
      if (slot == 0 && column < c.channels) to[column] = static_cast<float>(sum[0][0]);
    }
  }
}

static int merges_of(int64_t n) {
  int merges = 0;
  for (int64_t length = tile_size; length < n; length *= 2)
    merges++;
  return merges;
}

// ---- updates

struct RowUpdate {
  float *w;
  const float *g;
  const int32_t *ids;
  int64_t V, D, R;
  const co_step *step;
  const double *gate;
  float limit, weight_decay;
  double rate;
  __device__ bool takes(int64_t entry) const {
    return ids[entry] >= 0 && ids[entry] < V;
  }
  __device__ float gradient(int64_t i) const {
    return clipped(static_cast<float>(gate[1]), limit, g[i]);
  }
  __device__ float learning_rate() const {
    return static_cast<float>(step->learning_rate * rate);
  }
};

static RowUpdate update_of(const co_op_desc *desc, float *w, const void *g, const void *ids,
                           const void *step, const void *gate, int list) {
  const co_op_attr *attr = &desc->attr;
  return {w,
          static_cast<const float *>(g),
          static_cast<const int32_t *>(ids),
          desc->in[0].shape.dim[0],
          desc->in[0].shape.dim[1],
          desc->in[list].shape.dim[0],
          static_cast<const co_step *>(step),
          static_cast<const double *>(gate),
          limit_of(attr),
          static_cast<float>(attr->weight_decay),
          attr->rate};
}

__global__ void sgd_rows(RowUpdate u) {
  if (u.gate[0] == 0) return;
  const float rate = u.learning_rate();
  for (int64_t i = grid_index(); i < u.R * u.D; i += grid_size()) {
    const int64_t entry = i / u.D;
    if (!u.takes(entry)) continue;
    float *w = u.w + u.ids[entry] * u.D + (i - entry * u.D);
    *w -= rate * (u.gradient(i) + u.weight_decay * *w);
  }
}

__global__ void count_updates(RowUpdate u, int32_t *steps, AdamCorrection *corrections,
                              double beta1, double beta2) {
  if (u.gate[0] == 0) return;
  for (int64_t i = grid_index(); i < u.R; i += grid_size()) {
    if (!u.takes(i)) continue;
    const int32_t t = ++steps[u.ids[i]];
    corrections[i] = {static_cast<float>(1 / (1 - pow(beta1, static_cast<double>(t)))),
                      static_cast<float>(1 / (1 - pow(beta2, static_cast<double>(t))))};
  }
}

__global__ void adam_rows(RowUpdate u, float *m, float *v, const AdamCorrection *corrections,
                          AdamFactors f) {
  if (u.gate[0] == 0) return;
  const float rate = u.learning_rate();
  for (int64_t i = grid_index(); i < u.R * u.D; i += grid_size()) {
    const int64_t entry = i / u.D;
    if (!u.takes(entry)) continue;
    const int64_t at = u.ids[entry] * u.D + (i - entry * u.D);
    adam_element(f, corrections[entry], rate, u.weight_decay, u.gradient(i), &u.w[at], &m[at],
                 &v[at]);
  }
}

template <typename T> static cudaError_t launch_append(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  const co_shape *rows = &desc->in[CO_APPEND_ROWS_rows].shape;
  const List list = {static_cast<int32_t *>(call->out[CO_APPEND_ROWS_new_ids]),
                     static_cast<float *>(call->out[CO_APPEND_ROWS_new_rows]),
                     static_cast<int32_t *>(call->out[CO_APPEND_ROWS_new_count]), rows->dim[0],
                     rows->dim[1]};
  const int64_t positions = co_cuda_count(&desc->in[CO_APPEND_ROWS_index].shape);
  CO_LAUNCH(append_rows<T>, blocks_for(positions * list.D), block_threads, 0, call->stream, list,
            static_cast<const int32_t *>(call->in[CO_APPEND_ROWS_index]),
            static_cast<const T *>(call->in[CO_APPEND_ROWS_dy]), positions, desc->attr.append != 0,
            call->tickets);
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_append_rows(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_APPEND_ROWS_dy]) ? co::launch_append<co::bf16>(call)
                                                        : co::launch_append<float>(call);
}

extern "C" size_t co_cuda_sum_rows_scratch(const co_op_desc *desc) {
  return 2 * static_cast<size_t>(desc->in[CO_SUM_ROWS_ids].shape.dim[0]) * sizeof(co::Key);
}

extern "C" int co_cuda_sum_rows_launches(const co_op_desc *desc) {
  return 2 + co::merges_of(desc->in[CO_SUM_ROWS_ids].shape.dim[0]);
}

extern "C" cudaError_t co_cuda_sum_rows(const co_cuda_call *call) {
  const co_shape *rows = &call->desc->in[CO_SUM_ROWS_rows].shape;
  const int64_t n = rows->dim[0];
  co::Key *from = static_cast<co::Key *>(call->workspace), *to = from + n;
  CO_LAUNCH(co::sort_tiles, static_cast<unsigned>((n + co::tile_size - 1) / co::tile_size),
            co::block_threads, 0, call->stream, from,
            static_cast<const int32_t *>(call->in[CO_SUM_ROWS_ids]),
            static_cast<const int32_t *>(call->in[CO_SUM_ROWS_count]), n);
  for (int64_t length = co::tile_size; length < n; length *= 2) {
    CO_LAUNCH(co::merge_runs, co::blocks_for(n), co::block_threads, 0, call->stream, to, from, n,
              length);
    co::Key *swap = from;
    from = to;
    to = swap;
  }
  CO_LAUNCH(
      co::sum_rows, static_cast<unsigned>(n < co::most_blocks ? n : co::most_blocks),
      co::block_threads, 0, call->stream, static_cast<int32_t *>(call->out[CO_SUM_ROWS_unique]),
      static_cast<float *>(call->out[CO_SUM_ROWS_sums]), from,
      static_cast<const float *>(call->in[CO_SUM_ROWS_rows]), co::columns_of(n, rows->dim[1]));
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_sgd_rows(const co_cuda_call *call) {
  const co::RowUpdate u =
      co::update_of(call->desc, static_cast<float *>(call->out[CO_SGD_ROWS_new_w]),
                    call->in[CO_SGD_ROWS_g], call->in[CO_SGD_ROWS_ids], call->in[CO_SGD_ROWS_step],
                    call->in[CO_SGD_ROWS_gate], CO_SGD_ROWS_ids);
  CO_LAUNCH(co::sgd_rows, co::blocks_for(u.R * u.D), co::block_threads, 0, call->stream, u);
  return cudaGetLastError();
}

extern "C" size_t co_cuda_adam_rows_scratch(const co_op_desc *desc) {
  return static_cast<size_t>(desc->in[CO_ADAM_ROWS_ids].shape.dim[0]) * sizeof(co::AdamCorrection);
}

extern "C" int co_cuda_adam_rows_launches(const co_op_desc *desc) {
  (void)desc;
  return 2;
}

extern "C" cudaError_t co_cuda_adam_rows(const co_cuda_call *call) {
  const co_op_attr *attr = &call->desc->attr;
  const co::RowUpdate u =
      co::update_of(call->desc, static_cast<float *>(call->out[CO_ADAM_ROWS_new_w]),
                    call->in[CO_ADAM_ROWS_g], call->in[CO_ADAM_ROWS_ids],
                    call->in[CO_ADAM_ROWS_step], call->in[CO_ADAM_ROWS_gate], CO_ADAM_ROWS_ids);
  co::AdamCorrection *corrections = static_cast<co::AdamCorrection *>(call->workspace);
  CO_LAUNCH(co::count_updates, co::blocks_for(u.R), co::block_threads, 0, call->stream, u,
            static_cast<int32_t *>(call->out[CO_ADAM_ROWS_new_steps]), corrections, attr->beta1,
            attr->beta2);
  CO_LAUNCH(co::adam_rows, co::blocks_for(u.R * u.D), co::block_threads, 0, call->stream, u,
            static_cast<float *>(call->out[CO_ADAM_ROWS_new_m]),
            static_cast<float *>(call->out[CO_ADAM_ROWS_new_v]), corrections,
            co::adam_factors(attr));
  return cudaGetLastError();
}
