// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/launch.h"

#include "kernels/cuda/dense_events.h"
#include "kernels/cuda/grid.cuh"

namespace co {

using Layer = co_cuda_dense_events;

__device__ __forceinline__ int64_t dense_length(const int32_t *lengths, int64_t n, int64_t T) {
  if (lengths == nullptr) return T;
  int64_t length = lengths[n];
  return length < 0 ? 0 : length < T ? length : T;
}

// Of row n the place in time of the k-th event that is gone through, and the other way round.
__device__ __forceinline__ int64_t other_place(const Layer &s, int64_t k, int64_t length) {
  return s.reverse ? length - 1 - k : k;
}

// Element e of xs, and likewise of dys.
template <typename T>
__device__ __forceinline__ float event_value(const Layer &s, const T *x, const int32_t *lengths,
                                             int64_t e, int width) {
  int64_t row = e / width, k = row / s.N, n = row % s.N, length = dense_length(lengths, n, s.T);
  if (k >= length) return 0.0f;
  return static_cast<float>(x[(n * s.T + other_place(s, k, length)) * width + e % width]);
}

static int64_t weight_count(const Layer &s) { // biases included
  return static_cast<int64_t>(s.I + s.U + 2) * s.gates * s.U;
}

// The place in the weight space of element e of kernel, recurrent and, below them, both biases; -1
// where there is none.
__device__ __forceinline__ int64_t place_in_weights(const Layer &s, int64_t e) {
  int64_t width = static_cast<int64_t>(s.gates) * s.U, row = e / width, column = e % width;
  int g = static_cast<int>(column / s.U), u = static_cast<int>(column % s.U);
  if (row < s.I) return s.at[g].x + static_cast<int64_t>(u) * s.I + row;
  row -= s.I;
  if (row < s.U) return s.at[g].h + static_cast<int64_t>(u) * s.U + row;
  int64_t bias = row == s.U ? s.at[g].x_bias : s.at[g].h_bias;
  return bias < 0 ? -1 : bias + u;
}

struct Weights {
  const float *kernel, *recurrent, *bias;
};

__device__ __forceinline__ void pack_weight(const Layer &s, const Weights &w, int64_t e,
                                            float *weights) {
  int64_t width = static_cast<int64_t>(s.gates) * s.U, kernel = s.I * width;
  int64_t both = kernel + s.U * width, to = place_in_weights(s, e);
  if (to < 0) return;
  weights[to] = e < kernel ? w.kernel[e] : e < both ? w.recurrent[e - kernel] : w.bias[e - both];
}

template <typename T>
__global__ void dense_events_begin(float *xs, float *weights, const T *x, const int32_t *lengths,
                                   Weights w, int64_t weight_elements, Layer s) {
  int64_t events = s.T * s.N * s.I;
  for (int64_t e = grid_index(); e < events + weight_elements; e += grid_size()) {
    if (e < events)
      xs[e] = event_value(s, x, lengths, e, s.I);
    else
      pack_weight(s, w, e - events, weights);
  }
}

// Elements of y, if it is there, and of last below it.
template <typename T>
__global__ void dense_events_end(T *y, T *last, const float *ys, const int32_t *lengths, Layer s) {
  int64_t events = y ? s.N * s.T * s.U : 0;
  for (int64_t e = grid_index(); e < events + s.N * s.U; e += grid_size()) {
    bool of_y = e < events;
    int64_t row = (of_y ? e : e - events) / s.U, u = (of_y ? e : e - events) % s.U;
    int64_t n = of_y ? row / s.T : row, length = dense_length(lengths, n, s.T);
    int64_t t = of_y ? row % s.T : 0;
    bool event = of_y ? t < length : length > 0;
    int64_t k = of_y ? other_place(s, t, length) : length - 1;
    float value = event ? ys[(k * s.N + n) * s.U + u] : 0.0f;
    if (of_y)
      y[e] = static_cast<T>(value);
    else
      last[e - events] = static_cast<T>(value);
  }
}

template <typename T>
static cudaError_t begin(const co_cuda_call *call, const Layer *layer, float *xs, float *weights) {
  void *const *in = call->in;
  Weights w = {static_cast<const float *>(in[CO_RECURRENT_kernel]),
               static_cast<const float *>(in[CO_RECURRENT_recurrent]),
               static_cast<const float *>(in[CO_RECURRENT_bias])};
  int64_t count = weight_count(*layer);
  CO_LAUNCH(dense_events_begin<T>, blocks_for(layer->T * layer->N * layer->I + count),
            block_threads, 0, call->stream, xs, weights, static_cast<const T *>(in[CO_RECURRENT_x]),
            static_cast<const int32_t *>(in[CO_RECURRENT_lengths]), w, count, *layer);
  return cudaGetLastError();
}

template <typename T>
static cudaError_t end(const co_cuda_call *call, const Layer *layer, const float *ys) {
  CO_LAUNCH(dense_events_end<T>, blocks_for(layer->N * (layer->T + 1) * layer->U), block_threads, 0,
            call->stream, static_cast<T *>(call->out[CO_RECURRENT_y]),
            static_cast<T *>(call->out[CO_RECURRENT_last]), ys,
            static_cast<const int32_t *>(call->in[CO_RECURRENT_lengths]), *layer);
  return cudaGetLastError();
}

// ---- backward

using Gradients = co_cuda_dense_gradients;

// Element e of dys: dlast enters at the last event that is gone through. Both may be absent.
template <typename T>
__device__ __forceinline__ float state_gradient(const Layer &s, const T *dy, const T *dlast,
                                                const int32_t *lengths, int64_t e) {
  int64_t row = e / s.U, k = row / s.N, n = row % s.N, length = dense_length(lengths, n, s.T);
  float value = dy ? event_value(s, dy, lengths, e, s.U) : 0.0f;
  return dlast && k == length - 1 ? value + static_cast<float>(dlast[n * s.U + e % s.U]) : value;
}

template <typename T>
__global__ void dense_events_backward_begin(Gradients to, const T *x, const T *dy, const T *dlast,
                                            const int32_t *lengths, Weights w,
                                            int64_t weight_elements, Layer s) {
  int64_t events = s.T * s.N * s.I, states = s.T * s.N * s.U;
  int64_t count = events + states + weight_elements + to.weight_floats;
  for (int64_t e = grid_index(); e < count; e += grid_size()) {
    if (e < events)
      to.xs[e] = event_value(s, x, lengths, e, s.I);
    else if (e < events + states)
      to.dys[e - events] = state_gradient(s, dy, dlast, lengths, e - events);
    else if (e < events + states + weight_elements)
      pack_weight(s, w, e - events - states, to.weights);
    else
      to.dweights[e - events - states - weight_elements] = 0;
  }
}

struct Results {
  float *dkernel, *drecurrent, *dbias;
  unsigned accumulate;
};

__device__ __forceinline__ void put_weight(const Layer &s, const Results &to, int64_t e,
                                           const float *dweights) {
  int64_t width = static_cast<int64_t>(s.gates) * s.U, kernel = s.I * width;
  int64_t both = kernel + s.U * width, from = place_in_weights(s, e);
  if (from < 0) return;
  if (e < kernel)
    put(&to.dkernel[e], dweights[from], to.accumulate >> CO_RECURRENT_BACKWARD_dkernel & 1);
  else if (e < both)
    put(&to.drecurrent[e - kernel], dweights[from],
        to.accumulate >> CO_RECURRENT_BACKWARD_drecurrent & 1);
  else
    put(&to.dbias[e - both], dweights[from], to.accumulate >> CO_RECURRENT_BACKWARD_dbias & 1);
}

// Elements of dx, if it is there, and of the gradients of the weights below it.
template <typename T>
__global__ void dense_events_backward_end(T *dx, Results to, const float *dxs,
                                          const float *dweights, const int32_t *lengths,
                                          int64_t weight_elements, Layer s) {
  int64_t events = dx ? s.N * s.T * s.I : 0;
  for (int64_t e = grid_index(); e < events + weight_elements; e += grid_size()) {
    if (e >= events) {
      put_weight(s, to, e - events, dweights);
      continue;
    }
    int64_t row = e / s.I, n = row / s.T, t = row % s.T, length = dense_length(lengths, n, s.T);
    int64_t from = other_place(s, t, length) * s.N + n;
    put(&dx[e], t < length ? dxs[from * s.I + e % s.I] : 0.0f,
        to.accumulate >> CO_RECURRENT_BACKWARD_dx & 1);
  }
}

template <typename T>
static cudaError_t backward_begin(const co_cuda_call *call, const Layer *layer,
                                  const Gradients *to) {
  void *const *in = call->in;
  Weights w = {static_cast<const float *>(in[CO_RECURRENT_BACKWARD_kernel]),
               static_cast<const float *>(in[CO_RECURRENT_BACKWARD_recurrent]), nullptr};
  int64_t count = static_cast<int64_t>(layer->I + layer->U) * layer->gates * layer->U;
  int64_t events = layer->T * layer->N * (layer->I + layer->U);
  CO_LAUNCH(dense_events_backward_begin<T>, blocks_for(events + count + to->weight_floats),
            block_threads, 0, call->stream, *to,
            static_cast<const T *>(in[CO_RECURRENT_BACKWARD_x]),
            static_cast<const T *>(in[CO_RECURRENT_BACKWARD_dy]),
            static_cast<const T *>(in[CO_RECURRENT_BACKWARD_dlast]),
            static_cast<const int32_t *>(in[CO_RECURRENT_BACKWARD_lengths]), w, count, *layer);
  return cudaGetLastError();
}

template <typename T>
static cudaError_t backward_end(const co_cuda_call *call, const Layer *layer,
                                const Gradients *from) {
  void *const *out = call->out;
  Results to = {static_cast<float *>(out[CO_RECURRENT_BACKWARD_dkernel]),
                static_cast<float *>(out[CO_RECURRENT_BACKWARD_drecurrent]),
                static_cast<float *>(out[CO_RECURRENT_BACKWARD_dbias]), call->desc->accumulate};
  int64_t count = weight_count(*layer);
  CO_LAUNCH(dense_events_backward_end<T>, blocks_for(layer->N * layer->T * layer->I + count),
            block_threads, 0, call->stream, static_cast<T *>(out[CO_RECURRENT_BACKWARD_dx]), to,
            from->dxs, from->dweights,
            static_cast<const int32_t *>(call->in[CO_RECURRENT_BACKWARD_lengths]), count, *layer);
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_dense_events_begin(const co_cuda_call *call,
                                                  const co_cuda_dense_events *layer, float *xs,
                                                  float *weights) {
  return co::is_bf16(call->desc->in[CO_RECURRENT_x]) ? co::begin<co::bf16>(call, layer, xs, weights)
                                                     : co::begin<float>(call, layer, xs, weights);
}

extern "C" cudaError_t co_cuda_dense_events_end(const co_cuda_call *call,
                                                const co_cuda_dense_events *layer,
                                                const float *ys) {
  return co::is_bf16(call->desc->in[CO_RECURRENT_x]) ? co::end<co::bf16>(call, layer, ys)
                                                     : co::end<float>(call, layer, ys);
}

extern "C" cudaError_t co_cuda_dense_events_backward_begin(const co_cuda_call *call,
                                                           const co_cuda_dense_events *layer,
                                                           const co_cuda_dense_gradients *to) {
  return co::is_bf16(call->desc->in[CO_RECURRENT_BACKWARD_x])
             ? co::backward_begin<co::bf16>(call, layer, to)
             : co::backward_begin<float>(call, layer, to);
}

extern "C" cudaError_t co_cuda_dense_events_backward_end(const co_cuda_call *call,
                                                         const co_cuda_dense_events *layer,
                                                         const co_cuda_dense_gradients *from) {
  return co::is_bf16(call->desc->in[CO_RECURRENT_BACKWARD_x])
             ? co::backward_end<co::bf16>(call, layer, from)
             : co::backward_end<float>(call, layer, from);
}
