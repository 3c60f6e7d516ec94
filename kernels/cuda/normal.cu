// SPDX-License-Identifier: Apache-2.0
// Normal distributions of a bottleneck's numbers, element by element (kernels/ref/normal.c).
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"

namespace co {

__global__ void sample_normal(float *y, const float *mean, const float *log_variance,
                              const float *noise, int64_t count) {
  for (int64_t i = grid_index(); i < count; i += grid_size())
    y[i] = mean[i] + expf(0.5f * log_variance[i]) * noise[i];
}

__global__ void sample_normal_backward(float *dlog_variance, const float *log_variance,
                                       const float *noise, const float *dy, int64_t count,
                                       bool accumulate) {
  for (int64_t i = grid_index(); i < count; i += grid_size())
    put(&dlog_variance[i], 0.5f * dy[i] * noise[i] * expf(0.5f * log_variance[i]), accumulate);
}

__global__ void kl_normal(float *y, const float *mean, const float *log_variance, int64_t count) {
  for (int64_t i = grid_index(); i < count; i += grid_size())
    y[i] = 0.5f * (mean[i] * mean[i] + (expm1f(log_variance[i]) - log_variance[i]));
}

__global__ void kl_normal_backward(float *dmean, float *dlog_variance, const float *mean,
                                   const float *log_variance, const float *dy, int64_t count,
                                   bool add_mean, bool add_log_variance) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    put(&dmean[i], dy[i] * mean[i], add_mean);
    put(&dlog_variance[i], 0.5f * dy[i] * expm1f(log_variance[i]), add_log_variance);
  }
}

} // namespace co

extern "C" cudaError_t co_cuda_sample_normal(const co_cuda_call *call) {
  int64_t count = co_cuda_count(&call->desc->in[0].shape);
  CO_LAUNCH(co::sample_normal, co::blocks_for(count), co::block_threads, 0, call->stream,
            static_cast<float *>(call->out[0]), static_cast<const float *>(call->in[0]),
            static_cast<const float *>(call->in[1]), static_cast<const float *>(call->in[2]),
            count);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_sample_normal_backward(const co_cuda_call *call) {
  int64_t count = co_cuda_count(&call->desc->in[0].shape);
  CO_LAUNCH(co::sample_normal_backward, co::blocks_for(count), co::block_threads, 0, call->stream,
            static_cast<float *>(call->out[0]), static_cast<const float *>(call->in[0]),
            static_cast<const float *>(call->in[1]), static_cast<const float *>(call->in[2]), count,
            co_cuda_accumulates(call->desc, 0));
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_kl_normal(const co_cuda_call *call) {
  int64_t count = co_cuda_count(&call->desc->in[0].shape);
  CO_LAUNCH(co::kl_normal, co::blocks_for(count), co::block_threads, 0, call->stream,
            static_cast<float *>(call->out[0]), static_cast<const float *>(call->in[0]),
            static_cast<const float *>(call->in[1]), count);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_kl_normal_backward(const co_cuda_call *call) {
  int64_t count = co_cuda_count(&call->desc->in[0].shape);
  CO_LAUNCH(co::kl_normal_backward, co::blocks_for(count), co::block_threads, 0, call->stream,
            static_cast<float *>(call->out[0]), static_cast<float *>(call->out[1]),
            static_cast<const float *>(call->in[0]), static_cast<const float *>(call->in[1]),
            static_cast<const float *>(call->in[2]), count, co_cuda_accumulates(call->desc, 0),
            co_cuda_accumulates(call->desc, 1));
  return cudaGetLastError();
}
