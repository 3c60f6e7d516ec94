// SPDX-License-Identifier: Apache-2.0
// Biases: added behind a product that could not do it itself, and their gradients.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"

namespace co {

template <typename T> struct AddValue {
  const T *x;
  __device__ void operator()(int64_t i, int64_t, double *sums) const {
    sums[0] += static_cast<double>(static_cast<float>(x[i]));
  }
};

template <typename T> struct AddReluBackward { // and writes dx
  const T *y, *dy;
  T *dx;
  float scale;
  bool accumulate;
  __device__ void operator()(int64_t i, int64_t, double *sums) const {
    float value = static_cast<float>(y[i]) > 0 ? static_cast<float>(dy[i]) * scale : 0.0f;
    put(&dx[i], value, accumulate);
    sums[0] += static_cast<double>(value);
  }
};

struct PutSum {
  float *sum;
  bool accumulate;
  __device__ void operator()(int64_t channel, const double *sums) const {
    put(&sum[channel], static_cast<float>(sums[0]), accumulate);
  }
};

template <typename T>
__global__ void bias_activation(T *y, const T *b, unsigned count, unsigned channels,
                                co_activation activation) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    float bias = b ? static_cast<float>(b[static_cast<unsigned>(i) % channels]) : 0.0f;
    y[i] = static_cast<T>(activate(activation, static_cast<float>(y[i]) + bias));
  }
}

template <typename T> static cudaError_t launch_relu_bias_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  AddReluBackward<T> add = {static_cast<const T *>(call->in[0]),
                            static_cast<const T *>(call->in[1]), static_cast<T *>(call->out[0]),
                            static_cast<float>(1 / (1 - desc->attr.rate)),
                            co_cuda_accumulates(desc, 0)};
  PutSum finish = {static_cast<float *>(call->out[1]), co_cuda_accumulates(desc, 1)};
  return sum_columns<1>(columns_of(desc->in[0].shape), call->workspace, call, add, finish);
}

} // namespace co

extern "C" size_t co_cuda_relu_bias_backward_scratch(const co_op_desc *desc) {
  return co::column_scratch(co::columns_of(desc->in[0].shape), 1);
}

extern "C" cudaError_t co_cuda_relu_bias_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_relu_bias_backward<co::bf16>(call)
                                        : co::launch_relu_bias_backward<float>(call);
}

extern "C" size_t co_cuda_column_sum_scratch(int64_t rows, int64_t channels) {
  return co::column_scratch(co::columns_of(rows, channels), 1);
}

extern "C" cudaError_t co_cuda_column_sum(float *sum, const void *x, co_dtype dtype, int64_t rows,
                                          int64_t channels, bool accumulate, void *scratch,
                                          const co_cuda_call *call) {
  co::Columns columns = co::columns_of(rows, channels);
  co::PutSum finish = {sum, accumulate};
  if (dtype == CO_BF16)
    return co::sum_columns<1>(columns, scratch, call,
                              co::AddValue<co::bf16>{static_cast<const co::bf16 *>(x)}, finish);
  return co::sum_columns<1>(columns, scratch, call,
                            co::AddValue<float>{static_cast<const float *>(x)}, finish);
}

extern "C" cudaError_t co_cuda_bias_activation(void *y, const void *b, co_dtype dtype,
                                               int64_t count, int64_t channels,
                                               co_activation activation, cudaStream_t stream) {
  unsigned n = static_cast<unsigned>(count), across = static_cast<unsigned>(channels);
  if (dtype == CO_BF16)
    CO_LAUNCH(co::bias_activation<co::bf16>, co::blocks_for(count), co::block_threads, 0, stream,
              static_cast<co::bf16 *>(y), static_cast<const co::bf16 *>(b), n, across, activation);
  else
    CO_LAUNCH(co::bias_activation<float>, co::blocks_for(count), co::block_threads, 0, stream,
              static_cast<float *>(y), static_cast<const float *>(b), n, across, activation);
  return cudaGetLastError();
}
