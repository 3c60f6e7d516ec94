// SPDX-License-Identifier: Apache-2.0
// Copies and the change between the two layouts of a convolution kernel, which is a transposition:
// canonical (KH KW C, O), cuDNN's (O, KH KW C).
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"

namespace co {

constexpr int tile = 32;
constexpr int tile_rows = 8;

template <typename Word>
__global__ void transpose(Word *y, const Word *x, int64_t rows, int64_t columns,
                          int64_t tiles_across) {
  CO_SHARED_2D(Word, values, tile, tile + 1); // one more: no bank conflicts
  int64_t top = static_cast<int64_t>(blockIdx.x) / tiles_across * tile;
  int64_t left = static_cast<int64_t>(blockIdx.x) % tiles_across * tile;
  for (unsigned r = threadIdx.y; r < tile; r += tile_rows)
    if (top + r < rows && left + threadIdx.x < columns)
      values[r][threadIdx.x] = x[(top + r) * columns + left + threadIdx.x];
  __syncthreads();
  for (unsigned r = threadIdx.y; r < tile; r += tile_rows)
    if (left + r < columns && top + threadIdx.x < rows)
      y[(left + r) * rows + top + threadIdx.x] = values[threadIdx.x][r];
}

template <typename Word>
static cudaError_t launch_transpose(void *y, const void *x, int64_t rows, int64_t columns,
                                    cudaStream_t stream) {
  int64_t across = (columns + tile - 1) / tile, down = (rows + tile - 1) / tile;
  CO_LAUNCH(transpose<Word>, static_cast<unsigned>(across * down), dim3(tile, tile_rows), 0, stream,
            static_cast<Word *>(y), static_cast<const Word *>(x), rows, columns, across);
  return cudaGetLastError();
}

__global__ void pack_mask(unsigned char *bits, const unsigned char *bytes, int64_t count,
                          int64_t units, int64_t stride) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    int64_t row = i / stride, first = (i - row * stride) * 8;
    unsigned packed = 0;
    for (int k = 0; k < 8 && first + k < units; k++)
      packed |= (bytes[row * units + first + k] != 0 ? 1u : 0u) << k;
    bits[i] = static_cast<unsigned char>(packed);
  }
}

__global__ void unpack_mask(unsigned char *bytes, const unsigned char *bits, int64_t count,
                            int64_t units, int64_t stride) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    int64_t row = i / units, at = i - row * units;
    bytes[i] = static_cast<unsigned char>(bits[row * stride + at / 8] >> at % 8 & 1);
  }
}

} // namespace co

extern "C" cudaError_t co_cuda_copy(const co_cuda_call *call) {
  return cudaMemcpyAsync(call->out[0], call->in[0], co_cuda_bytes(&call->desc->in[0]),
                         cudaMemcpyDeviceToDevice, call->stream);
}

extern "C" cudaError_t co_cuda_transpose(void *y, const void *x, co_dtype dtype, int64_t rows,
                                         int64_t columns, cudaStream_t stream) {
  return dtype == CO_BF16 ? co::launch_transpose<uint16_t>(y, x, rows, columns, stream)
                          : co::launch_transpose<uint32_t>(y, x, rows, columns, stream);
}

extern "C" cudaError_t co_cuda_pack_mask(void *bits, const void *bytes, int64_t rows, int64_t units,
                                         int64_t stride, cudaStream_t stream) {
  int64_t count = rows * stride;
  CO_LAUNCH(co::pack_mask, co::blocks_for(count), co::block_threads, 0, stream,
            static_cast<unsigned char *>(bits), static_cast<const unsigned char *>(bytes), count,
            units, stride);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_unpack_mask(void *bytes, const void *bits, int64_t rows,
                                           int64_t units, int64_t stride, cudaStream_t stream) {
  int64_t count = rows * units;
  CO_LAUNCH(co::unpack_mask, co::blocks_for(count), co::block_threads, 0, stream,
            static_cast<unsigned char *>(bytes), static_cast<const unsigned char *>(bits), count,
            units, stride);
  return cudaGetLastError();
}
