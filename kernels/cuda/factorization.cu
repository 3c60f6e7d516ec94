// SPDX-License-Identifier: Apache-2.0
// The term of a factorisation machine: a warp a row; the gradient of the vectors is a sum over rows, in
// a launch of its own.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/rows.cuh"

namespace co {

template <typename T>
__global__ void factorization(T *y, float *sums, const T *x, const float *v, int64_t rows,
                              int64_t inputs, int64_t factors) {
  int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  for (int64_t n = first_row<warp_lanes>(); n < rows; n += row_step<warp_lanes>()) {
    float pairs = 0;
    for (int64_t d = lane; d < factors; d += warp_lanes) {
      float sum = 0, squares = 0;
      for (int64_t i = 0; i < inputs; i++) {
        float term = v[i * factors + d] * static_cast<float>(x[n * inputs + i]);
        sum += term;
        squares += term * term;
      }
      pairs += (sum * sum - squares) / 2;
      if (sums) sums[n * factors + d] = sum;
    }
    pairs = warp_sum(pairs);
    if (lane == 0) y[n] = static_cast<T>(pairs);
  }
}

template <typename T>
__global__ void factorization_dx(T *dx, const T *x, const float *v, const float *sums, const T *dy,
                                 int64_t count, int64_t inputs, int64_t factors, bool accumulate) {
  for (int64_t at = grid_index(); at < count; at += grid_size()) {
    int64_t n = at / inputs, i = at % inputs;
    float value = static_cast<float>(x[at]), slope = 0;
    for (int64_t d = 0; d < factors; d++) {
      float weight = v[i * factors + d];
      slope += weight * (sums[n * factors + d] - weight * value);
    }
    put(&dx[at], static_cast<float>(dy[n]) * slope, accumulate);
  }
}

template <typename T> struct AddFactors {
  const T *x, *dy;
  const float *v, *sums;
  int64_t inputs, factors, channels;
  __device__ void operator()(int64_t at, int64_t c, double *total) const {
    int64_t n = at / channels, i = c / factors, d = c % factors;
    float value = static_cast<float>(x[n * inputs + i]);
    float rest = sums[n * factors + d] - v[c] * value;
    total[0] += static_cast<double>(static_cast<float>(dy[n]) * value) * static_cast<double>(rest);
  }
};

struct PutFactors {
  float *dv;
  bool accumulate;
  __device__ void operator()(int64_t c, const double *sums) const {
    put(&dv[c], static_cast<float>(sums[0]), accumulate);
  }
};

static Columns factor_columns(const co_op_desc *desc) {
  return columns_of(desc->in[0].shape.dim[0], co_cuda_count(&desc->in[1].shape));
}

template <typename T> static cudaError_t launch_factorization(const co_cuda_call *call) {
  const co_shape *v = &call->desc->in[CO_FACTORIZATION_v].shape;
  int64_t rows = call->desc->in[CO_FACTORIZATION_x].shape.dim[0];
  CO_LAUNCH(factorization<T>, blocks_for(rows * warp_lanes), block_threads, 0, call->stream,
            static_cast<T *>(call->out[CO_FACTORIZATION_y]),
            static_cast<float *>(call->out[CO_FACTORIZATION_sums]),
            static_cast<const T *>(call->in[CO_FACTORIZATION_x]),
            static_cast<const float *>(call->in[CO_FACTORIZATION_v]), rows, v->dim[0], v->dim[1]);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_factorization_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  const int64_t *dim = desc->in[CO_FACTORIZATION_BACKWARD_v].shape.dim;
  const T *x = static_cast<const T *>(call->in[CO_FACTORIZATION_BACKWARD_x]);
  const T *dy = static_cast<const T *>(call->in[CO_FACTORIZATION_BACKWARD_dy]);
  const float *v = static_cast<const float *>(call->in[CO_FACTORIZATION_BACKWARD_v]);
  const float *sums = static_cast<const float *>(call->in[CO_FACTORIZATION_BACKWARD_sums]);
  if (co_cuda_has_out(desc, CO_FACTORIZATION_BACKWARD_dx)) {
    int64_t count = co_cuda_count(&desc->in[CO_FACTORIZATION_BACKWARD_x].shape);
    CO_LAUNCH(factorization_dx<T>, blocks_for(count), block_threads, 0, call->stream,
              static_cast<T *>(call->out[CO_FACTORIZATION_BACKWARD_dx]), x, v, sums, dy, count,
              dim[0], dim[1], co_cuda_accumulates(desc, CO_FACTORIZATION_BACKWARD_dx));
    cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess) return error;
  }
  Columns c = factor_columns(desc);
  return sum_columns<1>(c, call->workspace, call,
                        AddFactors<T>{x, dy, v, sums, dim[0], dim[1], c.channels},
                        PutFactors{static_cast<float *>(call->out[CO_FACTORIZATION_BACKWARD_dv]),
                                   co_cuda_accumulates(desc, CO_FACTORIZATION_BACKWARD_dv)});
}

} // namespace co

extern "C" size_t co_cuda_factorization_backward_scratch(const co_op_desc *desc) {
  return co::column_scratch(co::factor_columns(desc), 1);
}

extern "C" int co_cuda_factorization_backward_launches(const co_op_desc *desc) {
  return co_cuda_has_out(desc, CO_FACTORIZATION_BACKWARD_dx) ? 2 : 1;
}

extern "C" cudaError_t co_cuda_factorization(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_factorization<co::bf16>(call)
                                        : co::launch_factorization<float>(call);
}

extern "C" cudaError_t co_cuda_factorization_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_factorization_backward<co::bf16>(call)
                                        : co::launch_factorization_backward<float>(call);
}
