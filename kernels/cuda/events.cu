// SPDX-License-Identifier: Apache-2.0
// The largest of a row's events, their neighbours side by side, their order turned around. A thread owns a result.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"

namespace co {

__device__ __forceinline__ int64_t length_of(const int32_t *lengths, int64_t n, int64_t T_) {
  int64_t length = lengths[n];
  return length < 0 ? 0 : length < T_ ? length : T_;
}

// Of the largest the first; `length` is above 0.
template <typename T>
__device__ __forceinline__ int64_t largest(const T *x, int64_t length, int64_t C) {
  int64_t best = 0;
  for (int64_t t = 1; t < length; t++)
    if (static_cast<float>(x[t * C]) > static_cast<float>(x[best * C])) best = t;
  return best;
}

template <typename T>
__global__ void max_events(T *y, const T *x, const int32_t *lengths, int64_t N, int64_t T_,
                           int64_t C) {
  for (int64_t i = grid_index(); i < N * C; i += grid_size()) {
    int64_t n = i / C, length = length_of(lengths, n, T_);
    const T *row = x + n * T_ * C + i % C;
    y[i] = length ? row[largest(row, length, C) * C] : static_cast<T>(0.0f);
  }
}

template <typename T>
__global__ void max_events_backward(T *dx, const T *x, const T *dy, const int32_t *lengths,
                                    int64_t N, int64_t T_, int64_t C, bool accumulate) {
  for (int64_t i = grid_index(); i < N * C; i += grid_size()) {
    int64_t n = i / C, first = n * T_ * C + i % C, length = length_of(lengths, n, T_);
    int64_t best = length ? largest(x + first, length, C) : -1;
    for (int64_t t = 0; t < T_; t++)
      put(&dx[first + t * C], t == best ? static_cast<float>(dy[i]) : 0.0f, accumulate);
  }
}

// lengths NULL: all rows have T events.
template <typename T>
__global__ void reverse_events(T *y, const T *x, const int32_t *lengths, int64_t N, int64_t T_,
                               int64_t C, bool accumulate) {
  for (int64_t i = grid_index(); i < N * T_ * C; i += grid_size()) {
    int64_t c = i % C, t = i / C % T_, n = i / C / T_;
    int64_t length = lengths ? length_of(lengths, n, T_) : T_;
    float value = t < length ? static_cast<float>(x[(n * T_ + length - 1 - t) * C + c]) : 0.0f;
    put(&y[i], value, accumulate);
  }
}

struct Unfolding {
  const int32_t *lengths;
  int64_t N, T, C, K, step, pad;
};

template <typename T> __global__ void unfold_events(T *y, const T *x, Unfolding u) {
  for (int64_t i = grid_index(); i < u.N * u.T * u.K * u.C; i += grid_size()) {
    int64_t c = i % u.C, k = i / u.C % u.K, t = i / u.C / u.K % u.T, n = i / u.C / u.K / u.T;
    int64_t s = t + k * u.step - u.pad, length = length_of(u.lengths, n, u.T);
    bool there = t < length && s >= 0 && s < length;
    y[i] = there ? x[(n * u.T + s) * u.C + c] : static_cast<T>(0.0f);
  }
}

template <typename T>
__global__ void unfold_events_backward(T *dx, const T *dy, Unfolding u, bool accumulate) {
  for (int64_t i = grid_index(); i < u.N * u.T * u.C; i += grid_size()) {
    int64_t c = i % u.C, s = i / u.C % u.T, n = i / u.C / u.T;
    int64_t length = length_of(u.lengths, n, u.T);
    float sum = 0;
    for (int64_t k = 0; k < u.K && s < length; k++) {
      int64_t t = s - k * u.step + u.pad;
      if (t >= 0 && t < length) sum += static_cast<float>(dy[((n * u.T + t) * u.K + k) * u.C + c]);
    }
    put(&dx[i], sum, accumulate);
  }
}

static Unfolding unfolding(const co_cuda_call *call, const int64_t *dim, int lengths) {
  const co_op_attr *attr = &call->desc->attr;
  return {static_cast<const int32_t *>(call->in[lengths]),
          dim[0],
          dim[1],
          dim[2],
          attr->kernel[0],
          attr->dilation[0],
          attr->pad_begin[0]};
}

template <typename T> static cudaError_t launch_max(const co_cuda_call *call) {
  const int64_t *dim = call->desc->in[CO_MAX_EVENTS_x].shape.dim;
  CO_LAUNCH(max_events<T>, blocks_for(dim[0] * dim[2]), block_threads, 0, call->stream,
            static_cast<T *>(call->out[CO_MAX_EVENTS_y]),
            static_cast<const T *>(call->in[CO_MAX_EVENTS_x]),
            static_cast<const int32_t *>(call->in[CO_MAX_EVENTS_lengths]), dim[0], dim[1], dim[2]);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_max_backward(const co_cuda_call *call) {
  const int64_t *dim = call->desc->in[CO_MAX_EVENTS_BACKWARD_x].shape.dim;
  CO_LAUNCH(max_events_backward<T>, blocks_for(dim[0] * dim[2]), block_threads, 0, call->stream,
            static_cast<T *>(call->out[CO_MAX_EVENTS_BACKWARD_dx]),
            static_cast<const T *>(call->in[CO_MAX_EVENTS_BACKWARD_x]),
            static_cast<const T *>(call->in[CO_MAX_EVENTS_BACKWARD_dy]),
            static_cast<const int32_t *>(call->in[CO_MAX_EVENTS_BACKWARD_lengths]), dim[0], dim[1],
            dim[2], co_cuda_accumulates(call->desc, CO_MAX_EVENTS_BACKWARD_dx));
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_unfold(const co_cuda_call *call) {
  Unfolding u =
      unfolding(call, call->desc->in[CO_UNFOLD_EVENTS_x].shape.dim, CO_UNFOLD_EVENTS_lengths);
  CO_LAUNCH(unfold_events<T>, blocks_for(u.N * u.T * u.K * u.C), block_threads, 0, call->stream,
            static_cast<T *>(call->out[CO_UNFOLD_EVENTS_y]),
            static_cast<const T *>(call->in[CO_UNFOLD_EVENTS_x]), u);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_unfold_backward(const co_cuda_call *call) {
  Unfolding u = unfolding(call, call->desc->out[CO_UNFOLD_EVENTS_BACKWARD_dx].shape.dim,
                          CO_UNFOLD_EVENTS_BACKWARD_lengths);
  CO_LAUNCH(unfold_events_backward<T>, blocks_for(u.N * u.T * u.C), block_threads, 0, call->stream,
            static_cast<T *>(call->out[CO_UNFOLD_EVENTS_BACKWARD_dx]),
            static_cast<const T *>(call->in[CO_UNFOLD_EVENTS_BACKWARD_dy]), u,
            co_cuda_accumulates(call->desc, CO_UNFOLD_EVENTS_BACKWARD_dx));
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_reverse(const co_cuda_call *call) {
  const int64_t *dim = call->desc->in[CO_REVERSE_EVENTS_x].shape.dim;
  bool cut = co_cuda_has_in(call->desc, CO_REVERSE_EVENTS_lengths);
  CO_LAUNCH(reverse_events<T>, blocks_for(dim[0] * dim[1] * dim[2]), block_threads, 0, call->stream,
            static_cast<T *>(call->out[CO_REVERSE_EVENTS_y]),
            static_cast<const T *>(call->in[CO_REVERSE_EVENTS_x]),
            cut ? static_cast<const int32_t *>(call->in[CO_REVERSE_EVENTS_lengths]) : nullptr,
            dim[0], dim[1], dim[2], co_cuda_accumulates(call->desc, CO_REVERSE_EVENTS_y));
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_reverse_events(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_REVERSE_EVENTS_x]) ? co::launch_reverse<co::bf16>(call)
                                                          : co::launch_reverse<float>(call);
}

extern "C" cudaError_t co_cuda_max_events(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_MAX_EVENTS_x]) ? co::launch_max<co::bf16>(call)
                                                      : co::launch_max<float>(call);
}

extern "C" cudaError_t co_cuda_max_events_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_MAX_EVENTS_BACKWARD_dy])
             ? co::launch_max_backward<co::bf16>(call)
             : co::launch_max_backward<float>(call);
}

extern "C" cudaError_t co_cuda_unfold_events(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_UNFOLD_EVENTS_x]) ? co::launch_unfold<co::bf16>(call)
                                                         : co::launch_unfold<float>(call);
}

extern "C" cudaError_t co_cuda_unfold_events_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_UNFOLD_EVENTS_BACKWARD_dy])
             ? co::launch_unfold_backward<co::bf16>(call)
             : co::launch_unfold_backward<float>(call);
}
