// SPDX-License-Identifier: Apache-2.0
// MATMUL and its gradients where cuBLASLt does not: tiles in shared memory; of small results a warp
// for each element. Sums go along `inner` in an order that the shape alone decides.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/rows.cuh"
#include "kernels/matmul.h"

namespace co {

constexpr int tile = 16; // by as many: a block
static_assert(tile * tile == block_threads, "a thread for each element of a tile");

template <typename T> struct Product {
  const T *a, *b;
  T *y;
  co_row_product of;
  bool accumulate;
};

template <typename T> __global__ void multiply_elements(Product<T> p) {
  int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  for (int64_t i = first_row<warp_lanes>(); i < p.of.count * p.of.size;
       i += row_step<warp_lanes>()) {
    int64_t n = i / p.of.size, row = i % p.of.size / p.of.columns, column = i % p.of.columns;
    const T *a = p.a + n * p.of.a_size + row * p.of.a_row;
    const T *b = p.b + n * p.of.b_size + column * p.of.b_column;
    float sum = 0;
    for (int64_t k = lane; k < p.of.inner; k += warp_lanes)
      sum += static_cast<float>(a[k * p.of.a_inner]) * static_cast<float>(b[k * p.of.b_inner]);
    sum = Group<warp_lanes>::sum(sum);
    if (lane == 0) put(&p.y[i], sum, p.accumulate);
  }
}

// Neighbouring threads read neighbours of a and of b, however these lie.
template <typename T> __global__ void multiply_tiles(Product<T> p) {
  CO_SHARED_2D(float, left, tile, tile + 1);
  CO_SHARED_2D(float, right, tile, tile + 1);
  int x = static_cast<int>(threadIdx.x) % tile, z = static_cast<int>(threadIdx.x) / tile;
  int64_t across = (p.of.columns + tile - 1) / tile, down = (p.of.rows + tile - 1) / tile;
  for (int64_t t = blockIdx.x; t < p.of.count * across * down; t += gridDim.x) {
    int64_t n = t / (across * down), row = t / across % down * tile, column = t % across * tile;
    const T *a = p.a + n * p.of.a_size, *b = p.b + n * p.of.b_size;
    float sum = 0;
    for (int64_t first = 0; first < p.of.inner; first += tile) {
      int64_t i = row + (p.of.turned_a ? x : z), k = first + (p.of.turned_a ? z : x);
      bool there = i < p.of.rows && k < p.of.inner;
      float value = there ? static_cast<float>(a[i * p.of.a_row + k * p.of.a_inner]) : 0.0f;
      left[p.of.turned_a ? x : z][p.of.turned_a ? z : x] = value;
      int64_t j = column + (p.of.turned_b ? z : x);
      k = first + (p.of.turned_b ? x : z);
      there = j < p.of.columns && k < p.of.inner;
      value = there ? static_cast<float>(b[k * p.of.b_inner + j * p.of.b_column]) : 0.0f;
      right[p.of.turned_b ? x : z][p.of.turned_b ? z : x] = value;
      __syncthreads();
      for (int s = 0; s < tile; s++)
        sum += left[z][s] * right[s][x];
      __syncthreads();
    }
    if (row + z < p.of.rows && column + x < p.of.columns)
      put(&p.y[n * p.of.size + (row + z) * p.of.columns + column + x], sum, p.accumulate);
  }
}

template <typename T> static cudaError_t launch_matmul(const co_cuda_call *call) {
  co_row_product of = co_row_product_of(call->desc);
  Product<T> p = {static_cast<const T *>(call->in[of.a]), static_cast<const T *>(call->in[of.b]),
                  static_cast<T *>(call->out[0]), of, co_cuda_accumulates(call->desc, 0)};
  if (of.size < tile) {
    CO_LAUNCH(multiply_elements<T>, blocks_for(of.count * of.size * warp_lanes), block_threads, 0,
              call->stream, p);
    return cudaGetLastError();
  }
  int64_t tiles = of.count * ((of.columns + tile - 1) / tile) * ((of.rows + tile - 1) / tile);
  CO_LAUNCH(multiply_tiles<T>, blocks_for(tiles * block_threads), block_threads, 0, call->stream,
            p);
  return cudaGetLastError();
}

static cudaError_t matmul(const co_cuda_call *call) {
  return is_bf16(call->desc->in[0]) ? launch_matmul<bf16>(call) : launch_matmul<float>(call);
}

} // namespace co

extern "C" cudaError_t co_cuda_matmul(const co_cuda_call *call) {
  return co::matmul(call);
}

extern "C" cudaError_t co_cuda_matmul_backward_a(const co_cuda_call *call) {
  return co::matmul(call);
}

extern "C" cudaError_t co_cuda_matmul_backward_b(const co_cuda_call *call) {
  return co::matmul(call);
}
