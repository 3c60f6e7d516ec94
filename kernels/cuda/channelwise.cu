// SPDX-License-Identifier: Apache-2.0
// Biases: added behind a product that could not do it itself, and their gradients.
// Vectors: column_sums bias_activation
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"

namespace co {

template <typename T> struct AddValue {
  const T *x;
  template <int V> __device__ void add(int64_t i, double (*sums)[1]) const {
    Pack<V> values = load<V>(x + i);
#pragma unroll
    for (int v = 0; v < V; v++)
      sums[v][0] += static_cast<double>(values.x[v]);
  }
  __device__ void four(int64_t i, int64_t, double (*sums)[1]) const {
    add<4>(i, sums);
  }
  __device__ void operator()(int64_t i, int64_t, double *sums) const {
    add<1>(i, reinterpret_cast<double(*)[1]>(sums));
  }
};

template <typename T> struct AddReluBackward { // and writes dx
  const T *y, *dy;
  T *dx;
  float scale;
  bool accumulate;
  template <int V> __device__ void add(int64_t i, double (*sums)[1]) const {
    Pack<V> results = load<V>(y + i), d = load<V>(dy + i);
#pragma unroll
    for (int v = 0; v < V; v++) {
      d.x[v] = results.x[v] > 0 ? d.x[v] * scale : 0.0f;
      sums[v][0] += static_cast<double>(d.x[v]);
    }
    if (accumulate) {
      Pack<V> before = load<V>(dx + i);
#pragma unroll
      for (int v = 0; v < V; v++)
        d.x[v] += before.x[v];
    }
    store<V>(dx + i, d);
  }
  __device__ void four(int64_t i, int64_t, double (*sums)[1]) const {
    add<4>(i, sums);
  }
  __device__ void operator()(int64_t i, int64_t, double *sums) const {
    add<1>(i, reinterpret_cast<double(*)[1]>(sums));
  }
};

struct PutSum {
  float *sum;
  bool accumulate;
  __device__ void operator()(int64_t channel, const double *sums) const {
    put(&sum[channel], static_cast<float>(sums[0]), accumulate);
  }
};

template <int V, typename T>
__global__ void bias_activation(T *y, const T *b, Columns c, co_activation activation) {
  int64_t channel, row, step;
  if (!own_channels<V>(c, &channel, &row, &step)) return;
  Pack<V> bias = {};
  if (b) bias = load<V>(b + channel);
  for (; row < c.rows; row += step) {
    Pack<V> values = load<V>(y + row * c.channels + channel);
#pragma unroll
    for (int v = 0; v < V; v++)
      values.x[v] = activate(activation, values.x[v] + bias.x[v]);
    store<V>(y + row * c.channels + channel, values);
  }
}

template <typename T>
static void launch_bias_activation(T *y, const T *b, const Columns &c, co_activation activation,
                                   cudaStream_t stream) {
  CO_LAUNCH_COLUMNS(c, (bias_activation<4, T>), (bias_activation<1, T>), stream, y, b, c,
                    activation);
}

template <typename T> static cudaError_t launch_relu_bias_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  AddReluBackward<T> add = {static_cast<const T *>(call->in[0]),
                            static_cast<const T *>(call->in[1]), static_cast<T *>(call->out[0]),
                            static_cast<float>(1 / (1 - desc->attr.rate)),
                            co_cuda_accumulates(desc, 0)};
  PutSum finish = {static_cast<float *>(call->out[1]), co_cuda_accumulates(desc, 1)};
  return sum_wide_columns<1>(wide_columns_of(desc->in[0].shape), call->workspace, call, add,
                             finish);
}

} // namespace co

extern "C" size_t co_cuda_relu_bias_backward_scratch(const co_op_desc *desc) {
  return co::column_scratch(co::wide_columns_of(desc->in[0].shape), 1);
}

extern "C" cudaError_t co_cuda_relu_bias_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_relu_bias_backward<co::bf16>(call)
                                        : co::launch_relu_bias_backward<float>(call);
}

extern "C" size_t co_cuda_column_sum_scratch(int64_t rows, int64_t channels) {
  return co::column_scratch(co::wide_columns_of(rows, channels), 1);
}

extern "C" cudaError_t co_cuda_column_sum(float *sum, const void *x, co_dtype dtype, int64_t rows,
                                          int64_t channels, bool accumulate, void *scratch,
                                          const co_cuda_call *call) {
  co::Columns columns = co::wide_columns_of(rows, channels);
  co::PutSum finish = {sum, accumulate};
  if (dtype == CO_BF16)
    return co::sum_wide_columns<1>(
        columns, scratch, call, co::AddValue<co::bf16>{static_cast<const co::bf16 *>(x)}, finish);
  return co::sum_wide_columns<1>(columns, scratch, call,
                                 co::AddValue<float>{static_cast<const float *>(x)}, finish);
}

extern "C" cudaError_t co_cuda_bias_activation(void *y, const void *b, co_dtype dtype,
                                               int64_t count, int64_t channels,
                                               co_activation activation, cudaStream_t stream) {
  co::Columns columns = co::wide_columns_of(count / channels, channels);
  if (dtype == CO_BF16)
    co::launch_bias_activation(static_cast<co::bf16 *>(y), static_cast<const co::bf16 *>(b),
                               columns, activation, stream);
  else
    co::launch_bias_activation(static_cast<float *>(y), static_cast<const float *>(b), columns,
                               activation, stream);
  return cudaGetLastError();
}
