// SPDX-License-Identifier: Apache-2.0
// Channels of a row times a number each; its gradient is a sum over all between row and channel.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/reduce.cuh"

namespace co {

template <typename T>
__global__ void scale_channels(T *y, const T *x, const T *s, int64_t count, int64_t row,
                               int64_t channels, bool accumulate) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    float factor = static_cast<float>(s[i / row * channels + i % channels]);
    put(&y[i], static_cast<float>(x[i]) * factor, accumulate);
  }
}

constexpr int slots = block_threads / warp_lanes;

// A block sums a warp's channels of a row, each warp every so-many-th place.
template <typename T>
__global__ void scale_channels_backward(T *ds, const T *x, const T *dy, int64_t rows, int64_t row,
                                        int64_t channels, int64_t tiles, bool accumulate) {
  CO_SHARED_2D(float, sums, slots, warp_lanes);
  int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  int slot = static_cast<int>(threadIdx.x) / warp_lanes;
  for (int64_t tile = blockIdx.x; tile < rows * tiles; tile += gridDim.x) {
    int64_t n = tile / tiles, c = tile % tiles * warp_lanes + lane;
    float sum = 0;
    if (c < channels)
      for (int64_t i = slot * channels + c; i < row; i += slots * channels)
        sum += static_cast<float>(x[n * row + i]) * static_cast<float>(dy[n * row + i]);
    __syncthreads(); // others may still read the sums of the tile before
    sums[slot][lane] = sum;
    __syncthreads();
    if (slot == 0 && c < channels) {
      for (int k = 1; k < slots; k++)
        sum += sums[k][lane];
      put(&ds[n * channels + c], sum, accumulate);
    }
  }
}

template <typename T> static cudaError_t launch_scale(const co_cuda_call *call) {
  const co_shape *shape = &call->desc->in[CO_SCALE_CHANNELS_x].shape;
  int64_t count = co_cuda_count(shape);
  CO_LAUNCH(scale_channels<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[CO_SCALE_CHANNELS_y]),
            static_cast<const T *>(call->in[CO_SCALE_CHANNELS_x]),
            static_cast<const T *>(call->in[CO_SCALE_CHANNELS_s]), count, co_cuda_row(shape),
            co_cuda_last(shape), co_cuda_accumulates(call->desc, CO_SCALE_CHANNELS_y));
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_scale_backward(const co_cuda_call *call) {
  const co_shape *shape = &call->desc->in[CO_SCALE_CHANNELS_BACKWARD_x].shape;
  int64_t channels = co_cuda_last(shape), tiles = (channels + warp_lanes - 1) / warp_lanes;
  CO_LAUNCH(scale_channels_backward<T>, blocks_for(shape->dim[0] * tiles * block_threads),
            block_threads, 0, call->stream,
            static_cast<T *>(call->out[CO_SCALE_CHANNELS_BACKWARD_ds]),
            static_cast<const T *>(call->in[CO_SCALE_CHANNELS_BACKWARD_x]),
            static_cast<const T *>(call->in[CO_SCALE_CHANNELS_BACKWARD_dy]), shape->dim[0],
            co_cuda_row(shape), channels, tiles,
            co_cuda_accumulates(call->desc, CO_SCALE_CHANNELS_BACKWARD_ds));
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_scale_channels(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_scale<co::bf16>(call)
                                        : co::launch_scale<float>(call);
}

extern "C" cudaError_t co_cuda_scale_channels_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_scale_backward<co::bf16>(call)
                                        : co::launch_scale_backward<float>(call);
}
