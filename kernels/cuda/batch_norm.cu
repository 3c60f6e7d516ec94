// SPDX-License-Identifier: Apache-2.0
// Batch normalisation: sums by channel, then element by element with a few numbers a channel, which
// lie at the start of the workspace. With a pool behind it, neither the normalised image nor the
// gradient of it is written: windows and pixels are gone through as in pool.cu, to the same bits (in
// bf16 without the roundings between).
// Vectors: column_sums normalize_batch pool_batch batch_norm_dx batch_norm_inference
// Vectors: batch_norm_inference_dx
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/pool.cuh"

namespace co {

template <typename T> struct AddMoments {
  const T *x;
  template <int V> __device__ void add(int64_t i, double (*sums)[2]) const {
    Pack<V> values = load<V>(x + i);
#pragma unroll
    for (int v = 0; v < V; v++) {
      double value = static_cast<double>(values.x[v]);
      sums[v][0] += value;
      sums[v][1] += value * value;
    }
  }
  __device__ void four(int64_t i, int64_t, double (*sums)[2]) const {
    add<4>(i, sums);
  }
  __device__ void operator()(int64_t i, int64_t, double *sums) const {
    add<1>(i, reinterpret_cast<double(*)[2]>(sums));
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

template <int V, typename T>
__global__ void normalize_batch(T *y, const T *x, const float4 *scale, Columns c,
                                co_activation activation) {
  int64_t channel, row, step;
  if (!own_channels<V>(c, &channel, &row, &step)) return;
  float4 s[V];
#pragma unroll
  for (int v = 0; v < V; v++)
    s[v] = scale[channel + v];
  for (; row < c.rows; row += step) {
    Pack<V> values = load<V>(x + row * c.channels + channel);
#pragma unroll
    for (int v = 0; v < V; v++)
      values.x[v] = activate(activation, (values.x[v] - s[v].x) * s[v].y + s[v].z);
    store<V>(y + row * c.channels + channel, values);
  }
}

// Columns c are those of the windows.
template <int V, typename T, typename Index>
__global__ void pool_batch(T *y, Index *argmax, const T *x, const float4 *scale, Columns c,
                           Pool p) {
  int64_t channel, row, step;
  if (!own_channels<V>(c, &channel, &row, &step)) return;
  float4 s[V];
#pragma unroll
  for (int v = 0; v < V; v++)
    s[v] = scale[channel + v];
  auto normalize = [&](Pack<V> &values) {
#pragma unroll
    for (int v = 0; v < V; v++)
      values.x[v] = (values.x[v] - s[v].x) * s[v].y + s[v].z;
  };
  for (; row < c.rows; row += step) {
    int winner[V];
    Pack<V> best = pool_window<V>(p, static_cast<unsigned>(row), static_cast<int>(channel), x,
                                  winner, normalize);
    store<V>(y + row * c.channels + channel, best);
    store_winners<V>(argmax + row * c.channels + channel, winner);
  }
}

// Where the gradient of the normalised comes from: element i, of channel c on.
template <typename T> struct Straight {
  const T *dy;
  template <int V> __device__ __forceinline__ Pack<V> at(int64_t i, int64_t) const {
    return load<V>(dy + i);
  }
};

template <typename T> struct BelowRelu { // that gave y
  const T *dy, *y;
  template <int V> __device__ __forceinline__ Pack<V> at(int64_t i, int64_t) const {
    Pack<V> gradients = load<V>(dy + i), results = load<V>(y + i);
#pragma unroll
    for (int v = 0; v < V; v++)
      if (!(results.x[v] > 0.0f)) gradients.x[v] = 0.0f;
    return gradients;
  }
};

template <typename T, typename Index> struct BelowPool {
  const T *dy;
  const Index *argmax;
  Pool pool;
  template <int V> __device__ __forceinline__ Pack<V> at(int64_t i, int64_t c) const {
    unsigned pixel = static_cast<unsigned>(i) / static_cast<unsigned>(pool.C);
    return unpool<V>(pool, pixel, static_cast<int>(c), dy, argmax);
  }
};

template <typename Gradients, typename T> struct AddGradients { // and them times x - mean
  const T *x;
  Gradients gradients;
  const float *mean;
  template <int V> __device__ void add(int64_t i, int64_t c, double (*sums)[2]) const {
    Pack<V> values = load<V>(x + i), below = gradients.template at<V>(i, c);
#pragma unroll
    for (int v = 0; v < V; v++) {
      double d = static_cast<double>(below.x[v]);
      sums[v][0] += d;
      sums[v][1] += d * (static_cast<double>(values.x[v]) - static_cast<double>(mean[c + v]));
    }
  }
  __device__ void four(int64_t i, int64_t c, double (*sums)[2]) const {
    add<4>(i, c, sums);
  }
  __device__ void operator()(int64_t i, int64_t c, double *sums) const {
    add<1>(i, c, reinterpret_cast<double(*)[2]>(sums));
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

template <typename Gradients, int V, typename T>
__global__ void batch_norm_dx(T *dx, const T *x, Gradients gradients, const float4 *scale,
                              Columns c, bool accumulate) {
  int64_t channel, row, step;
  if (!own_channels<V>(c, &channel, &row, &step)) return;
  float4 s[V];
#pragma unroll
  for (int v = 0; v < V; v++)
    s[v] = scale[channel + v];
  for (; row < c.rows; row += step) {
    int64_t i = row * c.channels + channel;
    Pack<V> values = load<V>(x + i), d = gradients.template at<V>(i, channel);
    Pack<V> before = {};
    if (accumulate) before = load<V>(dx + i);
#pragma unroll
    for (int v = 0; v < V; v++)
      d.x[v] = before.x[v] + (d.x[v] * s[v].y + (values.x[v] - s[v].x) * s[v].z + s[v].w);
    store<V>(dx + i, d);
  }
}

template <int V, typename T>
__global__ void batch_norm_inference(T *y, const T *x, const float *gamma, const float *beta,
                                     const float *mean, const float *variance, Columns c,
                                     float epsilon, co_activation activation) {
  int64_t channel, row, step;
  if (!own_channels<V>(c, &channel, &row, &step)) return;
  Pack<V> center = load<V>(mean + channel), offset = load<V>(beta + channel);
  Pack<V> scale = load<V>(gamma + channel), spread = load<V>(variance + channel);
#pragma unroll
  for (int v = 0; v < V; v++)
    scale.x[v] /= sqrtf(spread.x[v] + epsilon);
  for (; row < c.rows; row += step) {
    Pack<V> values = load<V>(x + row * c.channels + channel);
#pragma unroll
    for (int v = 0; v < V; v++)
      values.x[v] = activate(activation, (values.x[v] - center.x[v]) * scale.x[v] + offset.x[v]);
    store<V>(y + row * c.channels + channel, values);
  }
}

template <int V, typename T>
__global__ void batch_norm_inference_dx(T *dx, const T *dy, const float *gamma,
                                        const float *variance, Columns c, float epsilon,
                                        bool accumulate) {
  int64_t channel, row, step;
  if (!own_channels<V>(c, &channel, &row, &step)) return;
  Pack<V> scale = load<V>(gamma + channel), spread = load<V>(variance + channel);
#pragma unroll
  for (int v = 0; v < V; v++)
    scale.x[v] /= sqrtf(spread.x[v] + epsilon);
  for (; row < c.rows; row += step) {
    int64_t i = row * c.channels + channel;
    Pack<V> d = load<V>(dy + i), before = {};
    if (accumulate) before = load<V>(dx + i);
#pragma unroll
    for (int v = 0; v < V; v++)
      d.x[v] = before.x[v] + d.x[v] * scale.x[v];
    store<V>(dx + i, d);
  }
}

struct Fold {
  float *kernel, *bias;
  const float *w, *gamma, *beta, *mean, *variance, *b; // b or nullptr
  int64_t count, channels, inner; // inner: elements of w from one channel to the next
  double epsilon;
};

// A thread an element of the kernel, then one of the bias.
__global__ void fold_batch_norm(Fold f) {
  for (int64_t i = grid_index(); i < f.count + f.channels; i += grid_size()) {
    bool weight = i < f.count;
    int64_t c = weight ? i / f.inner % f.channels : i - f.count;
    double scale =
        static_cast<double>(f.gamma[c]) / sqrt(static_cast<double>(f.variance[c]) + f.epsilon);
    if (weight) {
      f.kernel[i] = static_cast<float>(static_cast<double>(f.w[i]) * scale);
      continue;
    }
    double offset = (f.b ? static_cast<double>(f.b[c]) : 0) - static_cast<double>(f.mean[c]);
    f.bias[c] = static_cast<float>(offset * scale + static_cast<double>(f.beta[c]));
  }
}

// Elements from one channel to the next, as w lies: (KH, KW, …, channels, …), or (last, KH, KW, …).
static int64_t inner_of(const co_op_desc *desc) {
  const co_tensor_desc &w = desc->in[CO_FOLD_BATCH_NORM_w];
  int64_t inner = 1, axis = desc->attr.axis;
  const bool first = w.layout != CO_LAYOUT_CANONICAL && axis == w.shape.rank - 1;
  for (int64_t i = first ? 0 : axis + 1; i < w.shape.rank; i++)
    if (w.layout == CO_LAYOUT_CANONICAL || i < w.shape.rank - 1) inner *= w.shape.dim[i];
  return inner;
}

static size_t scale_bytes(const Columns &c) {
  return static_cast<size_t>(c.channels) * sizeof(float4);
}

static size_t scratch(const co_op_desc *desc) {
  Columns c = wide_columns_of(desc->in[0].shape);
  return scale_bytes(c) + column_scratch(c, 2);
}

template <typename T, typename Index>
static cudaError_t launch_pool_batch(const co_cuda_call *call, const float4 *scale) {
  const co_op_desc *desc = call->desc;
  Columns c = wide_columns_of(desc->out[0].shape);
  CO_LAUNCH_COLUMNS(c, (pool_batch<4, T, Index>), (pool_batch<1, T, Index>), call->stream,
                    static_cast<T *>(call->out[0]),
                    static_cast<Index *>(call->out[CO_BATCH_NORM_argmax]),
                    static_cast<const T *>(call->in[0]), scale, c,
                    pool_of(desc->attr, desc->in[0].shape, desc->out[0].shape));
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_batch_norm(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  Columns c = wide_columns_of(desc->in[0].shape);
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
  cudaError_t error =
      sum_wide_columns<2>(c, static_cast<char *>(call->workspace) + scale_bytes(c), call,
                          AddMoments<T>{static_cast<const T *>(call->in[0])}, finish);
  if (error != cudaSuccess) return error;
  if (co_cuda_has_out(desc, CO_BATCH_NORM_argmax))
    return desc->out[CO_BATCH_NORM_argmax].layout == CO_LAYOUT_CANONICAL
               ? launch_pool_batch<T, int32_t>(call, scale)
               : launch_pool_batch<T, uint8_t>(call, scale);
  CO_LAUNCH_COLUMNS(c, (normalize_batch<4, T>), (normalize_batch<1, T>), call->stream,
                    static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]), scale, c,
                    desc->attr.activation);
  return cudaGetLastError();
}

template <typename T, typename Gradients>
static cudaError_t launch_batch_norm_backward(const co_cuda_call *call, Gradients gradients) {
  const co_op_desc *desc = call->desc;
  Columns c = wide_columns_of(desc->in[0].shape);
  float *const *in = reinterpret_cast<float *const *>(call->in);
  float *const *out = reinterpret_cast<float *const *>(call->out);
  float4 *scale = static_cast<float4 *>(call->workspace);
  AddGradients<Gradients, T> add = {static_cast<const T *>(call->in[0]), gradients, in[2]};
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
  cudaError_t error = sum_wide_columns<2>(c, static_cast<char *>(call->workspace) + scale_bytes(c),
                                          call, add, finish);
  if (error != cudaSuccess) return error;
  CO_LAUNCH_COLUMNS(c, (batch_norm_dx<Gradients, 4, T>), (batch_norm_dx<Gradients, 1, T>),
                    call->stream, static_cast<T *>(call->out[0]), add.x, gradients, scale, c,
                    co_cuda_accumulates(desc, 0));
  return cudaGetLastError();
}

template <typename T> static cudaError_t choose_batch_norm_backward(const co_cuda_call *call) {
  enum { argmax_at = CO_BATCH_NORM_BACKWARD_argmax, y_at = CO_BATCH_NORM_BACKWARD_y };
  const co_op_desc *desc = call->desc;
  const T *dy = static_cast<const T *>(call->in[CO_BATCH_NORM_BACKWARD_dy]);
  const void *argmax = call->in[argmax_at];
  const T *y = static_cast<const T *>(call->in[y_at]);
  if (co_cuda_has_in(desc, argmax_at)) {
    Pool pool = pool_of(desc->attr, desc->in[0].shape, desc->in[CO_BATCH_NORM_BACKWARD_dy].shape);
    if (desc->in[argmax_at].layout == CO_LAYOUT_CANONICAL)
      return launch_batch_norm_backward<T>(
          call, BelowPool<T, int32_t>{dy, static_cast<const int32_t *>(argmax), pool});
    return launch_batch_norm_backward<T>(
        call, BelowPool<T, uint8_t>{dy, static_cast<const uint8_t *>(argmax), pool});
  }
  return co_cuda_has_in(desc, y_at) ? launch_batch_norm_backward<T>(call, BelowRelu<T>{dy, y})
                                    : launch_batch_norm_backward<T>(call, Straight<T>{dy});
}

template <typename T> static cudaError_t launch_batch_norm_inference(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  float *const *in = reinterpret_cast<float *const *>(call->in);
  Columns c = wide_columns_of(desc->in[0].shape);
  CO_LAUNCH_COLUMNS(c, (batch_norm_inference<4, T>), (batch_norm_inference<1, T>), call->stream,
                    static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]), in[1],
                    in[2], in[3], in[4], c, static_cast<float>(desc->attr.epsilon),
                    desc->attr.activation);
  return cudaGetLastError();
}

template <typename T>
static cudaError_t launch_batch_norm_inference_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  float *const *in = reinterpret_cast<float *const *>(call->in);
  Columns c = wide_columns_of(desc->in[0].shape);
  CO_LAUNCH_COLUMNS(c, (batch_norm_inference_dx<4, T>), (batch_norm_inference_dx<1, T>),
                    call->stream, static_cast<T *>(call->out[0]),
                    static_cast<const T *>(call->in[0]), in[1], in[2], c,
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

extern "C" cudaError_t co_cuda_fold_batch_norm(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  float *const *in = reinterpret_cast<float *const *>(call->in);
  float *const *out = reinterpret_cast<float *const *>(call->out);
  const co_shape &w = desc->in[CO_FOLD_BATCH_NORM_w].shape;
  co::Fold f = {out[CO_FOLD_BATCH_NORM_kernel],
                out[CO_FOLD_BATCH_NORM_bias],
                in[CO_FOLD_BATCH_NORM_w],
                in[CO_FOLD_BATCH_NORM_gamma],
                in[CO_FOLD_BATCH_NORM_beta],
                in[CO_FOLD_BATCH_NORM_running_mean],
                in[CO_FOLD_BATCH_NORM_running_variance],
                co_cuda_has_in(desc, CO_FOLD_BATCH_NORM_b) ? in[CO_FOLD_BATCH_NORM_b] : nullptr,
                co_cuda_count(&w),
                w.dim[desc->attr.axis],
                co::inner_of(desc),
                desc->attr.epsilon};
  CO_LAUNCH(co::fold_batch_norm, co::blocks_for(f.count + f.channels), co::block_threads, 0,
            call->stream, f);
  return cudaGetLastError();
}
