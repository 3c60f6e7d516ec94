// SPDX-License-Identifier: Apache-2.0
// Layer normalisation: a group of threads a row. Gradients of gamma and beta are sums by column, in a
// launch of their own.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/rows.cuh"

namespace co {

template <typename T> struct NormRows {
  const T *x;
  const float *gamma, *beta;
  T *y;
  float *mean, *inverse; // may be NULL
  int64_t rows, channels;
  double epsilon;
};

template <int Width, typename T> __global__ void layer_norm(NormRows<T> a) {
  int lane = static_cast<int>(threadIdx.x) % Width;
  float channels = static_cast<float>(a.channels);
  for (int64_t n = first_row<Width>(); n < a.rows; n += row_step<Width>()) {
    const T *x = a.x + n * a.channels;
    float sum = 0, squares = 0;
    for (int64_t c = lane; c < a.channels; c += Width)
      sum += static_cast<float>(x[c]);
    float mean = Group<Width>::sum(sum) / channels;
    for (int64_t c = lane; c < a.channels; c += Width) {
      float off = static_cast<float>(x[c]) - mean;
      squares += off * off;
    }
    double variance = static_cast<double>(Group<Width>::sum(squares) / channels);
    float inverse = static_cast<float>(1 / sqrt(variance + a.epsilon));
    for (int64_t c = lane; c < a.channels; c += Width)
      a.y[n * a.channels + c] =
          static_cast<T>(a.gamma[c] * ((static_cast<float>(x[c]) - mean) * inverse) + a.beta[c]);
    if (lane == 0 && a.mean) a.mean[n] = mean;
    if (lane == 0 && a.inverse) a.inverse[n] = inverse;
  }
}

template <typename T> struct NormGradient {
  const T *x, *dy;
  const float *gamma, *mean, *inverse;
  T *dx;
  int64_t rows, channels;
  bool accumulate;
};

// kernels/ref/layer_norm.c has the formula.
template <int Width, typename T> __global__ void layer_norm_dx(NormGradient<T> a) {
  int lane = static_cast<int>(threadIdx.x) % Width;
  float channels = static_cast<float>(a.channels);
  for (int64_t n = first_row<Width>(); n < a.rows; n += row_step<Width>()) {
    const T *x = a.x + n * a.channels, *dy = a.dy + n * a.channels;
    float mean = a.mean[n], inverse = a.inverse[n], sum = 0, product = 0;
    for (int64_t c = lane; c < a.channels; c += Width) {
      float g = a.gamma[c] * static_cast<float>(dy[c]);
      sum += g;
      product += g * ((static_cast<float>(x[c]) - mean) * inverse);
    }
    sum = Group<Width>::sum(sum) / channels;
    product = Group<Width>::sum(product) / channels;
    for (int64_t c = lane; c < a.channels; c += Width) {
      float normal = (static_cast<float>(x[c]) - mean) * inverse;
      float g = a.gamma[c] * static_cast<float>(dy[c]);
      put(&a.dx[n * a.channels + c], inverse * (g - sum - normal * product), a.accumulate);
    }
  }
}

template <typename T> struct AddNormGradients { // of gamma, of beta
  const T *x, *dy;
  const float *mean, *inverse;
  int64_t channels;
  __device__ void operator()(int64_t i, int64_t, double *sums) const {
    int64_t n = i / channels;
    float d = static_cast<float>(dy[i]);
    sums[0] += static_cast<double>(d * ((static_cast<float>(x[i]) - mean[n]) * inverse[n]));
    sums[1] += static_cast<double>(d);
  }
};

struct PutNormGradients {
  float *dgamma, *dbeta;
  bool accumulate_gamma, accumulate_beta;
  __device__ void operator()(int64_t c, const double *sums) const {
    put(&dgamma[c], static_cast<float>(sums[0]), accumulate_gamma);
    put(&dbeta[c], static_cast<float>(sums[1]), accumulate_beta);
  }
};

template <typename T> static cudaError_t launch_layer_norm(const co_cuda_call *call) {
  const co_shape *shape = &call->desc->in[0].shape;
  int64_t channels = co_cuda_last(shape), rows = co_cuda_count(shape) / channels;
  NormRows<T> a = {static_cast<const T *>(call->in[CO_LAYER_NORM_x]),
                   static_cast<const float *>(call->in[CO_LAYER_NORM_gamma]),
                   static_cast<const float *>(call->in[CO_LAYER_NORM_beta]),
                   static_cast<T *>(call->out[CO_LAYER_NORM_y]),
                   static_cast<float *>(call->out[CO_LAYER_NORM_mean]),
                   static_cast<float *>(call->out[CO_LAYER_NORM_inverse]),
                   rows,
                   channels,
                   call->desc->attr.epsilon};
  int width = width_for(channels);
  unsigned grid = blocks_for(rows * width);
  if (width == 1)
    CO_LAUNCH((layer_norm<1, T>), grid, block_threads, 0, call->stream, a);
  else if (width == warp_lanes)
    CO_LAUNCH((layer_norm<warp_lanes, T>), grid, block_threads, 0, call->stream, a);
  else
    CO_LAUNCH((layer_norm<block_threads, T>), grid, block_threads, 0, call->stream, a);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_layer_norm_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  Columns c = columns_of(desc->in[0].shape);
  NormGradient<T> a = {static_cast<const T *>(call->in[CO_LAYER_NORM_BACKWARD_x]),
                       static_cast<const T *>(call->in[CO_LAYER_NORM_BACKWARD_dy]),
                       static_cast<const float *>(call->in[CO_LAYER_NORM_BACKWARD_gamma]),
                       static_cast<const float *>(call->in[CO_LAYER_NORM_BACKWARD_mean]),
                       static_cast<const float *>(call->in[CO_LAYER_NORM_BACKWARD_inverse]),
                       static_cast<T *>(call->out[CO_LAYER_NORM_BACKWARD_dx]),
                       c.rows,
                       c.channels,
                       co_cuda_accumulates(desc, CO_LAYER_NORM_BACKWARD_dx)};
  int width = width_for(c.channels);
  unsigned grid = blocks_for(c.rows * width);
  if (width == 1)
    CO_LAUNCH((layer_norm_dx<1, T>), grid, block_threads, 0, call->stream, a);
  else if (width == warp_lanes)
    CO_LAUNCH((layer_norm_dx<warp_lanes, T>), grid, block_threads, 0, call->stream, a);
  else
    CO_LAUNCH((layer_norm_dx<block_threads, T>), grid, block_threads, 0, call->stream, a);
  cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) return error;
  return sum_columns<2>(
      c, call->workspace, call, AddNormGradients<T>{a.x, a.dy, a.mean, a.inverse, a.channels},
      PutNormGradients{static_cast<float *>(call->out[CO_LAYER_NORM_BACKWARD_dgamma]),
                       static_cast<float *>(call->out[CO_LAYER_NORM_BACKWARD_dbeta]),
                       co_cuda_accumulates(desc, CO_LAYER_NORM_BACKWARD_dgamma),
                       co_cuda_accumulates(desc, CO_LAYER_NORM_BACKWARD_dbeta)});
}

} // namespace co

extern "C" size_t co_cuda_layer_norm_backward_scratch(const co_op_desc *desc) {
  return co::column_scratch(co::columns_of(desc->in[0].shape), 2);
}

extern "C" int co_cuda_layer_norm_backward_launches(const co_op_desc *desc) {
  (void)desc;
  return 2;
}

extern "C" cudaError_t co_cuda_layer_norm(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_layer_norm<co::bf16>(call)
                                        : co::launch_layer_norm<float>(call);
}

extern "C" cudaError_t co_cuda_layer_norm_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_layer_norm_backward<co::bf16>(call)
                                        : co::launch_layer_norm_backward<float>(call);
}
