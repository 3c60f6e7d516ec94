// SPDX-License-Identifier: Apache-2.0
// Layer and group normalisation: a group of threads a part. Gradients of gamma and beta are sums by
// column, in a launch of their own.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/rows.cuh"
#include "kernels/norm.h"

namespace co {

template <typename T> struct Norm {
  const T *x;
  const float *gamma, *beta; // beta NULL: of root mean squares
  T *y;
  float *mean, *inverse; // may be NULL
  co_norm_parts parts;
  double epsilon;
};

template <int Width, typename T> __global__ void layer_norm(Norm<T> a) {
  int lane = static_cast<int>(threadIdx.x) % Width;
  float size = static_cast<float>(a.parts.size);
  for (int64_t p = first_row<Width>(); p < a.parts.count; p += row_step<Width>()) {
    float sum = 0, squares = 0;
    for (int64_t i = lane; a.beta && i < a.parts.size; i += Width)
      sum += static_cast<float>(a.x[co_norm_place(&a.parts, p, i)]);
    float mean = a.beta ? Group<Width>::sum(sum) / size : 0;
    for (int64_t i = lane; i < a.parts.size; i += Width) {
      float off = static_cast<float>(a.x[co_norm_place(&a.parts, p, i)]) - mean;
      squares += off * off;
    }
    double variance = static_cast<double>(Group<Width>::sum(squares) / size);
    float inverse = static_cast<float>(1 / sqrt(variance + a.epsilon));
    for (int64_t i = lane; i < a.parts.size; i += Width) {
      int64_t at = co_norm_place(&a.parts, p, i), c = co_norm_channel(&a.parts, p, i);
      float scaled = a.gamma[c] * ((static_cast<float>(a.x[at]) - mean) * inverse);
      a.y[at] = static_cast<T>(a.beta ? scaled + a.beta[c] : scaled);
    }
    if (lane == 0 && a.mean) a.mean[p] = mean;
    if (lane == 0 && a.inverse) a.inverse[p] = inverse;
  }
}

template <typename T> struct NormGradient {
  const T *x, *dy;
  const float *gamma, *mean, *inverse; // mean NULL: of root mean squares
  T *dx;
  co_norm_parts parts;
  bool accumulate;
};

// kernels/ref/layer_norm.c has the formula.
template <int Width, typename T> __global__ void layer_norm_dx(NormGradient<T> a) {
  int lane = static_cast<int>(threadIdx.x) % Width;
  float size = static_cast<float>(a.parts.size);
  for (int64_t p = first_row<Width>(); p < a.parts.count; p += row_step<Width>()) {
    float mean = a.mean ? a.mean[p] : 0, inverse = a.inverse[p], sum = 0, product = 0;
    for (int64_t i = lane; i < a.parts.size; i += Width) {
      int64_t at = co_norm_place(&a.parts, p, i);
      float g = a.gamma[co_norm_channel(&a.parts, p, i)] * static_cast<float>(a.dy[at]);
      sum += g;
      product += g * ((static_cast<float>(a.x[at]) - mean) * inverse);
    }
    sum = a.mean ? Group<Width>::sum(sum) / size : 0;
    product = Group<Width>::sum(product) / size;
    for (int64_t i = lane; i < a.parts.size; i += Width) {
      int64_t at = co_norm_place(&a.parts, p, i);
      float normal = (static_cast<float>(a.x[at]) - mean) * inverse;
      float g = a.gamma[co_norm_channel(&a.parts, p, i)] * static_cast<float>(a.dy[at]);
      put(&a.dx[at], inverse * (g - sum - normal * product), a.accumulate);
    }
  }
}

template <typename T> struct AddNormGradients { // of gamma, of beta
  const T *x, *dy;
  const float *mean, *inverse;
  co_norm_parts parts;
  __device__ void operator()(int64_t i, int64_t, double *sums) const {
    int64_t p = co_norm_part(&parts, i);
    float d = static_cast<float>(dy[i]), centre = mean ? mean[p] : 0;
    sums[0] += static_cast<double>(d * ((static_cast<float>(x[i]) - centre) * inverse[p]));
    sums[1] += static_cast<double>(d);
  }
};

struct PutNormGradients {
  float *dgamma, *dbeta; // or NULL
  bool accumulate_gamma, accumulate_beta;
  __device__ void operator()(int64_t c, const double *sums) const {
    if (dgamma) put(&dgamma[c], static_cast<float>(sums[0]), accumulate_gamma);
    if (dbeta) put(&dbeta[c], static_cast<float>(sums[1]), accumulate_beta);
  }
};

// Whether somebody needs the gradient of gamma or of beta.
static bool sums_columns(const co_op_desc *desc) {
  return co_cuda_has_out(desc, CO_LAYER_NORM_BACKWARD_dgamma) ||
         co_cuda_has_out(desc, CO_LAYER_NORM_BACKWARD_dbeta);
}

template <typename T> static cudaError_t launch_layer_norm(const co_cuda_call *call) {
  Norm<T> a = {static_cast<const T *>(call->in[CO_LAYER_NORM_x]),
               static_cast<const float *>(call->in[CO_LAYER_NORM_gamma]),
               static_cast<const float *>(call->in[CO_LAYER_NORM_beta]),
               static_cast<T *>(call->out[CO_LAYER_NORM_y]),
               static_cast<float *>(call->out[CO_LAYER_NORM_mean]),
               static_cast<float *>(call->out[CO_LAYER_NORM_inverse]),
               co_norm_parts_of(call->desc),
               call->desc->attr.epsilon};
  int width = width_for(a.parts.size);
  unsigned grid = blocks_for(a.parts.count * width);
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
                       co_norm_parts_of(desc),
                       co_cuda_accumulates(desc, CO_LAYER_NORM_BACKWARD_dx)};
  int width = width_for(a.parts.size);
  unsigned grid = blocks_for(a.parts.count * width);
  if (width == 1)
    CO_LAUNCH((layer_norm_dx<1, T>), grid, block_threads, 0, call->stream, a);
  else if (width == warp_lanes)
    CO_LAUNCH((layer_norm_dx<warp_lanes, T>), grid, block_threads, 0, call->stream, a);
  else
    CO_LAUNCH((layer_norm_dx<block_threads, T>), grid, block_threads, 0, call->stream, a);
  cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess || !sums_columns(desc)) return error;
  return sum_columns<2>(
      c, call->workspace, call, AddNormGradients<T>{a.x, a.dy, a.mean, a.inverse, a.parts},
      PutNormGradients{static_cast<float *>(call->out[CO_LAYER_NORM_BACKWARD_dgamma]),
                       static_cast<float *>(call->out[CO_LAYER_NORM_BACKWARD_dbeta]),
                       co_cuda_accumulates(desc, CO_LAYER_NORM_BACKWARD_dgamma),
                       co_cuda_accumulates(desc, CO_LAYER_NORM_BACKWARD_dbeta)});
}

} // namespace co

extern "C" size_t co_cuda_layer_norm_backward_scratch(const co_op_desc *desc) {
  return co::sums_columns(desc) ? co::column_scratch(co::columns_of(desc->in[0].shape), 2) : 0;
}

extern "C" int co_cuda_layer_norm_backward_launches(const co_op_desc *desc) {
  return co::sums_columns(desc) ? 2 : 1;
}

extern "C" cudaError_t co_cuda_layer_norm(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_layer_norm<co::bf16>(call)
                                        : co::launch_layer_norm<float>(call);
}

extern "C" cudaError_t co_cuda_layer_norm_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_layer_norm_backward<co::bf16>(call)
                                        : co::launch_layer_norm_backward<float>(call);
}
