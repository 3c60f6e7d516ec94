// SPDX-License-Identifier: Apache-2.0
// Batch normalisation: sums by channel, then element by element with a few numbers a channel, which
// lie at the start of the workspace.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"

namespace co {

template <typename T> struct AddMoments {
  const T *x;
  __device__ void operator()(int64_t i, int64_t, double *sums) const {
    double value = static_cast<double>(static_cast<float>(x[i]));
    sums[0] += value;
    sums[1] += value * value;
  }
};

struct PutStatistics {
  float4 *scale; // center, factor, offset, unused
  const float *gamma, *beta, *running_mean, *running_variance;
  float *mean, *variance, *new_mean, *new_variance;
  double rows, epsilon, momentum;
  __device__ void operator()(int64_t c, const double *sums) const {
    double center = sums[0] / rows;
    double spread = sums[1] / rows - center * center;
    if (spread < 0) spread = 0; // rounding; a NaN stays
    double factor = static_cast<double>(gamma[c]) / sqrt(spread + epsilon);
    scale[c] = make_float4(static_cast<float>(center), static_cast<float>(factor), beta[c], 0.0f);
    mean[c] = static_cast<float>(center);
    variance[c] = static_cast<float>(spread);
    // new_* may be the memory of running_*. A batch that is not finite leaves them alone.
    bool finite = isfinite(center) && isfinite(spread);
    double kept = finite ? momentum : 1;
    new_mean[c] = static_cast<float>(kept * static_cast<double>(running_mean[c]) +
                                     (finite ? (1 - kept) * center : 0));
    new_variance[c] = static_cast<float>(kept * static_cast<double>(running_variance[c]) +
                                         (finite ? (1 - kept) * spread : 0));
  }
};

template <typename T>
__global__ void normalize_batch(T *y, const T *x, const float4 *scale, unsigned count,
                                unsigned channels, co_activation activation) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    float4 s = scale[static_cast<unsigned>(i) % channels];
    y[i] = static_cast<T>(activate(activation, (static_cast<float>(x[i]) - s.x) * s.y + s.z));
  }
}

// The gradient below a relu that gave y, if there is one.
template <bool Relu, typename T>
__device__ __forceinline__ float below_relu(const T *y, const T *dy, int64_t i) {
  if (Relu && !(static_cast<float>(y[i]) > 0.0f)) return 0.0f;
  return static_cast<float>(dy[i]);
}

template <bool Relu, typename T> struct AddGradients { // of dy, and of dy times x - mean
  const T *x, *dy, *y;
  const float *mean;
  __device__ void operator()(int64_t i, int64_t c, double *sums) const {
    double d = static_cast<double>(below_relu<Relu>(y, dy, i));
    sums[0] += d;
    sums[1] += d * (static_cast<double>(static_cast<float>(x[i])) - static_cast<double>(mean[c]));
  }
};

struct PutGradients {
  float4 *scale; // mean, and factors of dy, of x - mean, of one
  const float *gamma, *mean, *variance;
  float *dgamma, *dbeta;
  double rows, epsilon;
  bool accumulate_gamma, accumulate_beta;
  __device__ void operator()(int64_t c, const double *sums) const {
    double inverse = 1 / sqrt(static_cast<double>(variance[c]) + epsilon);
    double product = sums[1] * inverse, factor = static_cast<double>(gamma[c]) * inverse;
    put(&dgamma[c], static_cast<float>(product), accumulate_gamma);
    put(&dbeta[c], static_cast<float>(sums[0]), accumulate_beta);
    scale[c] = make_float4(mean[c], static_cast<float>(factor),
                           static_cast<float>(-factor * inverse * product / rows),
                           static_cast<float>(-factor * sums[0] / rows));
  }
};

template <bool Relu, typename T>
__global__ void batch_norm_dx(T *dx, const T *x, const T *dy, const T *y, const float4 *scale,
                              unsigned count, unsigned channels, bool accumulate) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    float4 s = scale[static_cast<unsigned>(i) % channels];
    float d = below_relu<Relu>(y, dy, i);
    put(&dx[i], d * s.y + (static_cast<float>(x[i]) - s.x) * s.z + s.w, accumulate);
  }
}

template <typename T>
__global__ void batch_norm_inference(T *y, const T *x, const float *gamma, const float *beta,
                                     const float *mean, const float *variance, unsigned count,
                                     unsigned channels, float epsilon, co_activation activation) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned c = static_cast<unsigned>(i) % channels;
    float scale = gamma[c] / sqrtf(variance[c] + epsilon);
    float value = (static_cast<float>(x[i]) - mean[c]) * scale + beta[c];
    y[i] = static_cast<T>(activate(activation, value));
  }
}

template <typename T>
__global__ void batch_norm_inference_dx(T *dx, const T *dy, const float *gamma,
                                        const float *variance, unsigned count, unsigned channels,
                                        float epsilon, bool accumulate) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned c = static_cast<unsigned>(i) % channels;
    float scale = gamma[c] / sqrtf(variance[c] + epsilon);
    put(&dx[i], static_cast<float>(dy[i]) * scale, accumulate);
  }
}

static size_t scale_bytes(const Columns &c) {
  return static_cast<size_t>(c.channels) * sizeof(float4);
}

static size_t scratch(const co_op_desc *desc) {
  Columns c = columns_of(desc->in[0].shape);
  return scale_bytes(c) + column_scratch(c, 2);
}

template <typename T> static cudaError_t launch_batch_norm(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  Columns c = columns_of(desc->in[0].shape);
  float *const *in = reinterpret_cast<float *const *>(call->in);
  float *const *out = reinterpret_cast<float *const *>(call->out);
  float4 *scale = static_cast<float4 *>(call->workspace);
  PutStatistics finish = {scale,
                          in[1],
                          in[2],
                          in[3],
                          in[4],
                          out[1],
                          out[2],
                          out[3],
                          out[4],
                          static_cast<double>(c.rows),
                          desc->attr.epsilon,
                          desc->attr.momentum};
  cudaError_t error = sum_columns<2>(c, static_cast<char *>(call->workspace) + scale_bytes(c), call,
                                     AddMoments<T>{static_cast<const T *>(call->in[0])}, finish);
  if (error != cudaSuccess) return error;
  int64_t count = c.rows * c.channels;
  CO_LAUNCH(normalize_batch<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]), scale,
            static_cast<unsigned>(count), static_cast<unsigned>(c.channels), desc->attr.activation);
  return cudaGetLastError();
}

template <bool Relu, typename T>
static cudaError_t launch_batch_norm_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  Columns c = columns_of(desc->in[0].shape);
  float *const *in = reinterpret_cast<float *const *>(call->in); // x gamma mean variance dy (y)
  float *const *out = reinterpret_cast<float *const *>(call->out);
  float4 *scale = static_cast<float4 *>(call->workspace);
  AddGradients<Relu, T> add = {static_cast<const T *>(call->in[0]),
                               static_cast<const T *>(call->in[4]),
                               static_cast<const T *>(call->in[5]), in[2]};
  PutGradients finish = {scale,
                         in[1],
                         in[2],
                         in[3],
                         out[1],
                         out[2],
                         static_cast<double>(c.rows),
                         desc->attr.epsilon,
                         co_cuda_accumulates(desc, 1),
                         co_cuda_accumulates(desc, 2)};
  cudaError_t error =
      sum_columns<2>(c, static_cast<char *>(call->workspace) + scale_bytes(c), call, add, finish);
  if (error != cudaSuccess) return error;
  int64_t count = c.rows * c.channels;
  CO_LAUNCH((batch_norm_dx<Relu, T>), blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), add.x, add.dy, add.y, scale,
            static_cast<unsigned>(count), static_cast<unsigned>(c.channels),
            co_cuda_accumulates(desc, 0));
  return cudaGetLastError();
}

template <typename T> static cudaError_t choose_batch_norm_backward(const co_cuda_call *call) {
  return co_cuda_has_in(call->desc, 5) ? launch_batch_norm_backward<true, T>(call)
                                       : launch_batch_norm_backward<false, T>(call);
}

template <typename T> static cudaError_t launch_batch_norm_inference(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  float *const *in = reinterpret_cast<float *const *>(call->in);
  int64_t count = co_cuda_count(&desc->in[0].shape);
  CO_LAUNCH(batch_norm_inference<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]), in[1], in[2],
            in[3], in[4], static_cast<unsigned>(count),
            static_cast<unsigned>(co_cuda_last(&desc->in[0].shape)),
            static_cast<float>(desc->attr.epsilon), desc->attr.activation);
  return cudaGetLastError();
}

template <typename T>
static cudaError_t launch_batch_norm_inference_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  float *const *in = reinterpret_cast<float *const *>(call->in);
  int64_t count = co_cuda_count(&desc->in[0].shape);
  CO_LAUNCH(batch_norm_inference_dx<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]), in[1], in[2],
            static_cast<unsigned>(count), static_cast<unsigned>(co_cuda_last(&desc->in[0].shape)),
            static_cast<float>(desc->attr.epsilon), co_cuda_accumulates(desc, 0));
  return cudaGetLastError();
}

} // namespace co

extern "C" size_t co_cuda_batch_norm_scratch(const co_op_desc *desc) {
  return co::scratch(desc);
}

extern "C" size_t co_cuda_batch_norm_backward_scratch(const co_op_desc *desc) {
  return co::scratch(desc);
}

extern "C" int co_cuda_batch_norm_launches(const co_op_desc *desc) {
  (void)desc;
  return 2;
}

extern "C" cudaError_t co_cuda_batch_norm(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_batch_norm<co::bf16>(call)
                                        : co::launch_batch_norm<float>(call);
}

extern "C" cudaError_t co_cuda_batch_norm_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::choose_batch_norm_backward<co::bf16>(call)
                                        : co::choose_batch_norm_backward<float>(call);
}

extern "C" cudaError_t co_cuda_batch_norm_inference(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_batch_norm_inference<co::bf16>(call)
                                        : co::launch_batch_norm_inference<float>(call);
}

extern "C" cudaError_t co_cuda_batch_norm_inference_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_batch_norm_inference_backward<co::bf16>(call)
                                        : co::launch_batch_norm_inference_backward<float>(call);
}
