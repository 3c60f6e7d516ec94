// SPDX-License-Identifier: Apache-2.0
// Pooling.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/pool.cuh"

namespace co {

// A thread has N neighbouring channels: `count` such groups are in all images.
template <int N, typename T, typename Index>
__global__ void max_pool(T *y, Index *argmax, const T *x, unsigned count, Pool s) {
  unsigned groups = static_cast<unsigned>(s.C) / N;
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned group = static_cast<unsigned>(i);
    int winner[N];
    Pack<N> best = pool_window<N>(s, group / groups, static_cast<int>(group % groups) * N, x,
                                  winner, [](Pack<N> &) {});
    store<N>(y + i * N, best);
    if (argmax) store_winners<N>(argmax + i * N, winner);
  }
}

template <int N, typename T, typename Index>
__global__ void max_pool_backward(T *dx, const T *dy, const Index *argmax, unsigned count, Pool s,
                                  bool accumulate) {
  unsigned groups = static_cast<unsigned>(s.C) / N;
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned group = static_cast<unsigned>(i);
    Pack<N> sum = unpool<N>(s, group / groups, static_cast<int>(group % groups) * N, dy, argmax);
    if (accumulate) {
      Pack<N> before = load<N>(dx + i * N);
      for (int k = 0; k < N; k++)
        sum.x[k] += before.x[k];
    }
    store<N>(dx + i * N, sum);
  }
}

// The pixels [*begin, *end) of the image under the window at position p.
__device__ __forceinline__ void under_window(const Pool &s, int axis, int p, int size, int *begin,
                                             int *end) {
  int start = p * s.stride[axis] - s.pad[axis], stop = start + s.kernel[axis];
  *begin = start < 0 ? 0 : start;
  *end = stop > size ? size : stop;
}

template <typename T> __global__ void average_pool(T *y, const T *x, unsigned count, Pool s) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned rest = static_cast<unsigned>(i);
    int c = static_cast<int>(rest % s.C), top, bottom, left, right;
    rest /= s.C;
    under_window(s, 1, static_cast<int>(rest % s.Q), s.W, &left, &right);
    rest /= s.Q;
    under_window(s, 0, static_cast<int>(rest % s.P), s.H, &top, &bottom);
    const T *image = x + static_cast<int64_t>(rest / s.P) * s.H * s.W * s.C + c;
    float sum = 0;
    for (int h = top; h < bottom; h++)
      for (int w = left; w < right; w++)
        sum += static_cast<float>(image[static_cast<int64_t>(h * s.W + w) * s.C]);
    put(&y[i], sum / static_cast<float>((bottom - top) * (right - left)), false);
  }
}

template <typename T>
__global__ void average_pool_backward(T *dx, const T *dy, unsigned count, Pool s, bool accumulate) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned rest = static_cast<unsigned>(i);
    int c = static_cast<int>(rest % s.C);
    rest /= s.C;
    int w = static_cast<int>(rest % s.W) + s.pad[1];
    rest /= s.W;
    int h = static_cast<int>(rest % s.H) + s.pad[0];
    const T *image = dy + static_cast<int64_t>(rest / s.H) * s.P * s.Q * s.C + c;
    int first_p, last_p, first_q, last_q, top, bottom, left, right;
    windows_over(h, s.kernel[0], s.stride[0], s.P, &first_p, &last_p);
    windows_over(w, s.kernel[1], s.stride[1], s.Q, &first_q, &last_q);
    float sum = 0;
    for (int p = first_p; p <= last_p; p++)
      for (int q = first_q; q <= last_q; q++) {
        under_window(s, 0, p, s.H, &top, &bottom);
        under_window(s, 1, q, s.W, &left, &right);
        sum += static_cast<float>(image[static_cast<int64_t>(p * s.Q + q) * s.C]) /
               static_cast<float>((bottom - top) * (right - left));
      }
    put(&dx[i], sum, accumulate);
  }
}

// One thread an image and channel: neighbours read neighbouring channels.
template <typename T>
__global__ void mean_of_images(T *y, const T *x, unsigned count, unsigned pixels, unsigned C) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned c = static_cast<unsigned>(i) % C;
    const T *image = x + static_cast<int64_t>(static_cast<unsigned>(i) / C) * pixels * C + c;
    double sum = 0;
    for (unsigned k = 0; k < pixels; k++)
      sum += static_cast<double>(static_cast<float>(image[static_cast<int64_t>(k) * C]));
    put(&y[i], static_cast<float>(sum / pixels), false);
  }
}

template <typename T>
__global__ void mean_of_images_backward(T *dx, const T *dy, unsigned count, unsigned pixels,
                                        unsigned C, bool accumulate) {
  float share = static_cast<float>(pixels);
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned row = static_cast<unsigned>(i) / C, c = static_cast<unsigned>(i) % C;
    put(&dx[i], static_cast<float>(dy[static_cast<int64_t>(row / pixels) * C + c]) / share,
        accumulate);
  }
}

template <int N, typename T, typename Index>
static cudaError_t launch_max_pool(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape) / N;
  CO_LAUNCH((max_pool<N, T, Index>), blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<Index *>(call->out[1]),
            static_cast<const T *>(call->in[0]), static_cast<unsigned>(count),
            pool_of(desc->attr, desc->in[0].shape, desc->out[0].shape));
  return cudaGetLastError();
}

template <int N, typename T, typename Index>
static cudaError_t launch_max_pool_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape) / N;
  CO_LAUNCH((max_pool_backward<N, T, Index>), blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]),
            static_cast<const Index *>(call->in[1]), static_cast<unsigned>(count),
            pool_of(desc->attr, desc->out[0].shape, desc->in[0].shape),
            co_cuda_accumulates(desc, 0));
  return cudaGetLastError();
}

template <int N, typename T, typename Index>
static cudaError_t launch_max_pool_of(const co_cuda_call *call) {
  return call->desc->op == CO_OP_MAX_POOL2D ? launch_max_pool<N, T, Index>(call)
                                            : launch_max_pool_backward<N, T, Index>(call);
}

// Winners in 32 bits, which nobody asks for but tests, go one by one.
template <typename T> static cudaError_t launch_max_pool_as(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  bool forward = desc->op == CO_OP_MAX_POOL2D, absent = forward && call->out[1] == nullptr;
  const co_tensor_desc &argmax = forward ? desc->out[1] : desc->in[1];
  if (!absent && argmax.layout == CO_LAYOUT_CANONICAL)
    return launch_max_pool_of<1, T, int32_t>(call);
  return co_cuda_last(&desc->out[0].shape) % 4 == 0 ? launch_max_pool_of<4, T, uint8_t>(call)
                                                    : launch_max_pool_of<1, T, uint8_t>(call);
}

template <typename T> static cudaError_t launch_average_pool(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape);
  CO_LAUNCH(average_pool<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]),
            static_cast<unsigned>(count),
            pool_of(desc->attr, desc->in[0].shape, desc->out[0].shape));
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_average_pool_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape);
  CO_LAUNCH(average_pool_backward<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]),
            static_cast<unsigned>(count),
            pool_of(desc->attr, desc->out[0].shape, desc->in[0].shape),
            co_cuda_accumulates(desc, 0));
  return cudaGetLastError();
}

static unsigned pixels_of(const co_shape &x) {
  return static_cast<unsigned>(x.dim[1] * x.dim[2]);
}

template <typename T> static cudaError_t launch_mean(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape);
  CO_LAUNCH(mean_of_images<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]),
            static_cast<unsigned>(count), pixels_of(desc->in[0].shape),
            static_cast<unsigned>(co_cuda_last(&desc->in[0].shape)));
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_mean_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape);
  CO_LAUNCH(mean_of_images_backward<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]),
            static_cast<unsigned>(count), pixels_of(desc->out[0].shape),
            static_cast<unsigned>(co_cuda_last(&desc->out[0].shape)), co_cuda_accumulates(desc, 0));
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_max_pool2d(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_max_pool_as<co::bf16>(call)
                                        : co::launch_max_pool_as<float>(call);
}

extern "C" cudaError_t co_cuda_max_pool2d_backward(const co_cuda_call *call) {
  return co_cuda_max_pool2d(call);
}

extern "C" cudaError_t co_cuda_global_average_pool2d(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_mean<co::bf16>(call)
                                        : co::launch_mean<float>(call);
}

extern "C" cudaError_t co_cuda_global_average_pool2d_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_mean_backward<co::bf16>(call)
                                        : co::launch_mean_backward<float>(call);
}

extern "C" cudaError_t co_cuda_average_pool2d(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_average_pool<co::bf16>(call)
                                        : co::launch_average_pool<float>(call);
}

extern "C" cudaError_t co_cuda_average_pool2d_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_average_pool_backward<co::bf16>(call)
                                        : co::launch_average_pool_backward<float>(call);
}
