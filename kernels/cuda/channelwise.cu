// SPDX-License-Identifier: Apache-2.0
// Biases: added behind a product that could not do it itself, and their gradients.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"

namespace co {

struct AddValue {
  const float *x;
  __device__ void operator()(int64_t i, int64_t, double *sums) const {
    sums[0] += static_cast<double>(x[i]);
  }
};

struct AddReluBackward { // and writes dx
  const float *y, *dy;
  float *dx;
  bool accumulate;
  __device__ void operator()(int64_t i, int64_t, double *sums) const {
    float value = y[i] > 0 ? dy[i] : 0.0f;
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

__global__ void bias_activation(float *y, const float *b, unsigned count, unsigned channels,
                                co_activation activation) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    float bias = b ? b[static_cast<unsigned>(i) % channels] : 0.0f;
    y[i] = activate(activation, y[i] + bias);
  }
}

} // namespace co

extern "C" size_t co_cuda_relu_bias_backward_scratch(const co_op_desc *desc) {
  return co::column_scratch(co::columns_of(desc->in[0].shape), 1);
}

extern "C" cudaError_t co_cuda_relu_bias_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  co::AddReluBackward add = {static_cast<const float *>(call->in[0]),
                             static_cast<const float *>(call->in[1]),
                             static_cast<float *>(call->out[0]), co_cuda_accumulates(desc, 0)};
  co::PutSum finish = {static_cast<float *>(call->out[1]), co_cuda_accumulates(desc, 1)};
  return co::sum_columns<1>(co::columns_of(desc->in[0].shape), call->workspace, call, add, finish);
}

extern "C" size_t co_cuda_column_sum_scratch(int64_t rows, int64_t channels) {
  return co::column_scratch(co::columns_of(rows, channels), 1);
}

extern "C" cudaError_t co_cuda_column_sum(float *sum, const float *x, int64_t rows,
                                          int64_t channels, bool accumulate, void *scratch,
                                          const co_cuda_call *call) {
  return co::sum_columns<1>(co::columns_of(rows, channels), scratch, call, co::AddValue{x},
                            co::PutSum{sum, accumulate});
}

extern "C" cudaError_t co_cuda_bias_activation(float *y, const float *b, int64_t count,
                                               int64_t channels, co_activation activation,
                                               cudaStream_t stream) {
  CO_LAUNCH(co::bias_activation, co::blocks_for(count), co::block_threads, 0, stream, y, b,
            static_cast<unsigned>(count), static_cast<unsigned>(channels), activation);
  return cudaGetLastError();
}
