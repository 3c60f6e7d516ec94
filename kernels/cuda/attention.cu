// SPDX-License-Identifier: Apache-2.0
// Attention over events, and pooling. A block an event of a head: its threads first reckon with one
// event of the others each, a tile at a time, then with one feature each. Scores lie in shared memory
// alone. Plain: every block reads the keys anew, and scores are reckoned once for their largest and
// once for their use.
#include <math.h>

#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/reduce.cuh"

namespace co {

struct Attention {
  int64_t N, T, E;
  int H, D, B; // B = 0: no bias
  bool causal;
  float scale;
  const int32_t *lengths;
  const float *bias;
};

static Attention attention_of(const co_cuda_call *call) { // places are the same in the backward
  const co_op_desc *desc = call->desc;
  const int64_t *q = desc->in[CO_ATTENTION_q].shape.dim, H = desc->attr.heads;
  bool biased = co_cuda_has_in(desc, CO_ATTENTION_bias);
  Attention a;
  a.N = q[0];
  a.T = q[1];
  a.E = q[2];
  a.H = static_cast<int>(H);
  a.D = static_cast<int>(q[2] / H);
  a.B = biased ? static_cast<int>(desc->in[CO_ATTENTION_bias].shape.dim[1]) : 0;
  a.causal = desc->attr.causal != 0;
  a.scale = 1 / sqrtf(static_cast<float>(a.D));
  a.lengths = static_cast<const int32_t *>(call->in[CO_ATTENTION_lengths]);
  a.bias = static_cast<const float *>(call->in[CO_ATTENTION_bias]);
  return a;
}

__device__ __forceinline__ int64_t events_of(const int32_t *lengths, int64_t n, int64_t T) {
  int64_t length = lengths[n];
  return length < 0 ? 0 : length < T ? length : T;
}

// Event t of head h of row n, by the number of its block.
struct Place {
  int64_t n, t, length, first, at; // of the head's part: of the row's first event, of this one
  int h;
};

__device__ __forceinline__ Place place_of(const Attention &a, int64_t block) {
  Place p;
  p.t = block % a.T;
  p.h = static_cast<int>(block / a.T % a.H);
  p.n = block / a.T / a.H;
  p.length = events_of(a.lengths, p.n, a.T);
  p.first = p.n * a.T * a.E + static_cast<int64_t>(p.h) * a.D;
  p.at = p.first + p.t * a.E;
  return p;
}

template <typename T> __device__ __forceinline__ float product(const T *x, const T *y, int count) {
  float sum = 0;
  for (int d = 0; d < count; d++)
    sum += static_cast<float>(x[d]) * static_cast<float>(y[d]);
  return sum;
}

template <typename T>
__device__ __forceinline__ float score_of(const Attention &a, int h, const T *q, const T *k,
                                          int64_t t, int64_t j) {
  float score = product(q, k, a.D) * a.scale;
  if (a.B == 0) return score;
  int64_t apart = t < j ? j - t : t - j;
  return score + a.bias[static_cast<int64_t>(h) * a.B + (apart < a.B ? apart : a.B - 1)];
}

template <typename T>
__global__ void attention(T *y, float *logsum, const T *q, const T *k, const T *v, Attention a) {
  CO_SHARED(float, tile, block_threads);
  for (int64_t block = blockIdx.x; block < a.N * a.H * a.T; block += gridDim.x) {
    Place p = place_of(a, block);
    int64_t seen = p.t >= p.length ? 0 : a.causal ? p.t + 1 : p.length;
    float most = -INFINITY, sum = 0;
    for (int64_t j = threadIdx.x; j < seen; j += blockDim.x)
      most = fmaxf(most, score_of(a, p.h, q + p.at, k + p.first + j * a.E, p.t, j));
    most = block_max(most);
    for (int d = threadIdx.x; d < a.D; d += blockDim.x)
      y[p.at + d] = static_cast<T>(0.0f);
    for (int64_t j = threadIdx.x; j < seen; j += blockDim.x)
      sum += expf(score_of(a, p.h, q + p.at, k + p.first + j * a.E, p.t, j) - most);
    sum = block_sum(sum);
    if (logsum && threadIdx.x == 0) logsum[block] = seen ? most + logf(sum) : 0.0f;
    // Features are kept by their threads from tile to tile, in turns where there are more.
    for (int from = 0; seen && from < a.D; from += blockDim.x) {
      int d = from + threadIdx.x;
      float mean = 0;
      for (int64_t begin = 0; begin < seen; begin += block_threads) {
        int64_t j = begin + threadIdx.x;
        __syncthreads();
        if (j < seen)
          tile[threadIdx.x] =
              expf(score_of(a, p.h, q + p.at, k + p.first + j * a.E, p.t, j) - most) / sum;
        __syncthreads();
        int count = static_cast<int>(seen - begin < block_threads ? seen - begin : block_threads);
        for (int i = 0; d < a.D && i < count; i++)
          mean += tile[i] * static_cast<float>(v[p.first + (begin + i) * a.E + d]);
      }
      if (d < a.D) y[p.at + d] = static_cast<T>(mean);
    }
  }
}

// ---- backward

template <typename T> struct Saved {
  const T *q, *k, *v, *y, *dy;
  const float *logsum;
};

// The weight p of event j in event t, and the gradient of its score.
template <typename T> struct Pair { float p, ds; };

template <typename T>
__device__ __forceinline__ Pair<T> pair_of(const Attention &a, const Saved<T> &s, const Place &p,
                                           int64_t t, int64_t j) {
  int64_t at = p.first + t * a.E, from = p.first + j * a.E;
  float score = score_of(a, p.h, s.q + at, s.k + from, t, j);
  Pair<T> pair;
  pair.p = expf(score - s.logsum[(p.n * a.H + p.h) * a.T + t]);
  float sum = 0;
  for (int d = 0; d < a.D; d++)
    sum += static_cast<float>(s.dy[at + d]) *
           (static_cast<float>(s.v[from + d]) - static_cast<float>(s.y[at + d]));
  pair.ds = pair.p * sum;
  return pair;
}

template <typename T>
__global__ void attention_queries(T *dq, Saved<T> s, Attention a, bool accumulate) {
  CO_SHARED(float, tile, block_threads);
  for (int64_t block = blockIdx.x; block < a.N * a.H * a.T; block += gridDim.x) {
    Place p = place_of(a, block);
    int64_t seen = p.t >= p.length ? 0 : a.causal ? p.t + 1 : p.length;
    for (int from = 0; from < a.D; from += blockDim.x) {
      int d = from + threadIdx.x;
      float sum = 0;
      for (int64_t begin = 0; begin < seen; begin += block_threads) {
        int64_t j = begin + threadIdx.x;
        __syncthreads();
        if (j < seen) tile[threadIdx.x] = pair_of(a, s, p, p.t, j).ds;
        __syncthreads();
        int count = static_cast<int>(seen - begin < block_threads ? seen - begin : block_threads);
        for (int i = 0; d < a.D && i < count; i++)
          sum += tile[i] * static_cast<float>(s.k[p.first + (begin + i) * a.E + d]);
      }
      if (d < a.D) put(&dq[p.at + d], sum * a.scale, accumulate);
    }
  }
}

template <typename T>
__global__ void attention_keys(T *dk, T *dv, Saved<T> s, Attention a, unsigned accumulate) {
  CO_SHARED(float, weights, block_threads);
  CO_SHARED(float, gradients, block_threads);
  for (int64_t block = blockIdx.x; block < a.N * a.H * a.T; block += gridDim.x) {
    Place p = place_of(a, block);
    int64_t first = p.t >= p.length ? p.length : a.causal ? p.t : 0; // that see this one
    for (int from = 0; from < a.D; from += blockDim.x) {
      int d = from + threadIdx.x;
      float of_key = 0, of_value = 0;
      for (int64_t begin = first; begin < p.length; begin += block_threads) {
        int64_t t = begin + threadIdx.x, left = p.length - begin;
        __syncthreads();
        if (t < p.length) {
          Pair<T> pair = pair_of(a, s, p, t, p.t);
          weights[threadIdx.x] = pair.p;
          gradients[threadIdx.x] = pair.ds;
        }
        __syncthreads();
        int count = static_cast<int>(left < block_threads ? left : block_threads);
        for (int i = 0; d < a.D && i < count; i++) {
          int64_t at = p.first + (begin + i) * a.E + d;
          of_key += gradients[i] * static_cast<float>(s.q[at]);
          of_value += weights[i] * static_cast<float>(s.dy[at]);
        }
      }
      if (d >= a.D) continue;
      put(&dk[p.at + d], of_key * a.scale, accumulate >> CO_ATTENTION_BACKWARD_dk & 1);
      put(&dv[p.at + d], of_value, accumulate >> CO_ATTENTION_BACKWARD_dv & 1);
    }
  }
}

// Of each row: the sum over the events that are b apart, the last b for all that are further.
template <typename T> __global__ void attention_bias_rows(float *sums, Saved<T> s, Attention a) {
  for (int64_t block = blockIdx.x; block < a.N * a.H * a.B; block += gridDim.x) {
    int64_t b = block % a.B;
    Place p = place_of(a, block / a.B * a.T); // of the head's first event
    float sum = 0;
    for (int64_t t = threadIdx.x; t < p.length; t += blockDim.x)
      for (int64_t apart = b; apart < (b + 1 < a.B ? b + 1 : p.length); apart++) {
        if (apart <= t) sum += pair_of(a, s, p, t, t - apart).ds;
        if (!a.causal && apart > 0 && t + apart < p.length)
          sum += pair_of(a, s, p, t, t + apart).ds;
      }
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[block] = sum;
  }
}

__global__ void attention_bias(float *dbias, const float *sums, int64_t N, int64_t count,
                               bool accumulate) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    float sum = 0;
    for (int64_t n = 0; n < N; n++)
      sum += sums[n * count + i];
    put(&dbias[i], sum, accumulate);
  }
}

static unsigned blocks_of(int64_t items) {
  return static_cast<unsigned>(items < 1 ? 1 : items < most_blocks ? items : most_blocks);
}

template <typename T> static cudaError_t launch_attention(const co_cuda_call *call) {
  Attention a = attention_of(call);
  void *const *in = call->in;
  CO_LAUNCH(attention<T>, blocks_of(a.N * a.H * a.T), block_threads, 0, call->stream,
            static_cast<T *>(call->out[CO_ATTENTION_y]),
            static_cast<float *>(call->out[CO_ATTENTION_logsum]),
            static_cast<const T *>(in[CO_ATTENTION_q]), static_cast<const T *>(in[CO_ATTENTION_k]),
            static_cast<const T *>(in[CO_ATTENTION_v]), a);
  return cudaGetLastError();
}

template <typename T>
static cudaError_t launch_bias(const co_cuda_call *call, const Saved<T> &s, const Attention &a) {
  float *sums = static_cast<float *>(call->workspace);
  int64_t count = static_cast<int64_t>(a.H) * a.B;
  CO_LAUNCH(attention_bias_rows<T>, blocks_of(a.N * count), block_threads, 0, call->stream, sums, s,
            a);
  cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) return error;
  CO_LAUNCH(attention_bias, blocks_for(count), block_threads, 0, call->stream,
            static_cast<float *>(call->out[CO_ATTENTION_BACKWARD_dbias]), sums, a.N, count,
            co_cuda_accumulates(call->desc, CO_ATTENTION_BACKWARD_dbias));
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_attention_backward(const co_cuda_call *call) {
  Attention a = attention_of(call);
  void *const *in = call->in, *const *out = call->out;
  Saved<T> s = {static_cast<const T *>(in[CO_ATTENTION_BACKWARD_q]),
                static_cast<const T *>(in[CO_ATTENTION_BACKWARD_k]),
                static_cast<const T *>(in[CO_ATTENTION_BACKWARD_v]),
                static_cast<const T *>(in[CO_ATTENTION_BACKWARD_y]),
                static_cast<const T *>(in[CO_ATTENTION_BACKWARD_dy]),
                static_cast<const float *>(in[CO_ATTENTION_BACKWARD_logsum])};
  unsigned blocks = blocks_of(a.N * a.H * a.T);
  CO_LAUNCH(attention_queries<T>, blocks, block_threads, 0, call->stream,
            static_cast<T *>(out[CO_ATTENTION_BACKWARD_dq]), s, a,
            co_cuda_accumulates(call->desc, CO_ATTENTION_BACKWARD_dq));
  cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) return error;
  CO_LAUNCH(attention_keys<T>, blocks, block_threads, 0, call->stream,
            static_cast<T *>(out[CO_ATTENTION_BACKWARD_dk]),
            static_cast<T *>(out[CO_ATTENTION_BACKWARD_dv]), s, a, call->desc->accumulate);
  error = cudaGetLastError();
  if (error != cudaSuccess || !co_cuda_has_out(call->desc, CO_ATTENTION_BACKWARD_dbias))
    return error;
  return launch_bias(call, s, a);
}

// ---- pooling

template <typename T>
__global__ void pool_events(T *y, const T *x, const int32_t *lengths, int64_t N, int64_t T_,
                            int64_t C, int64_t pooling) {
  for (int64_t i = grid_index(); i < N * C; i += grid_size()) {
    int64_t n = i / C, c = i % C, length = events_of(lengths, n, T_);
    float sum = 0;
    for (int64_t t = pooling == CO_POOL_LAST && length ? length - 1 : 0; t < length; t++)
      sum += static_cast<float>(x[(n * T_ + t) * C + c]);
    if (pooling == CO_POOL_MEAN && length) sum /= static_cast<float>(length);
    y[i] = static_cast<T>(sum);
  }
}

template <typename T>
__global__ void pool_events_backward(T *dx, const T *dy, const int32_t *lengths, int64_t N,
                                     int64_t T_, int64_t C, int64_t pooling, bool accumulate) {
  for (int64_t i = grid_index(); i < N * T_ * C; i += grid_size()) {
    int64_t n = i / C / T_, t = i / C % T_, length = events_of(lengths, n, T_);
    bool counts = t < length && (pooling != CO_POOL_LAST || t == length - 1);
    float value = counts ? static_cast<float>(dy[n * C + i % C]) : 0.0f;
    if (pooling == CO_POOL_MEAN && length) value /= static_cast<float>(length);
    put(&dx[i], value, accumulate);
  }
}

template <typename T> static cudaError_t launch_pool(const co_cuda_call *call) {
  const int64_t *dim = call->desc->in[CO_POOL_EVENTS_x].shape.dim;
  CO_LAUNCH(pool_events<T>, blocks_for(dim[0] * dim[2]), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[CO_POOL_EVENTS_x]),
            static_cast<const int32_t *>(call->in[CO_POOL_EVENTS_lengths]), dim[0], dim[1], dim[2],
            call->desc->attr.pooling);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_pool_backward(const co_cuda_call *call) {
  const int64_t *dim = call->desc->out[0].shape.dim;
  CO_LAUNCH(pool_events_backward<T>, blocks_for(dim[0] * dim[1] * dim[2]), block_threads, 0,
            call->stream, static_cast<T *>(call->out[0]),
            static_cast<const T *>(call->in[CO_POOL_EVENTS_BACKWARD_dy]),
            static_cast<const int32_t *>(call->in[CO_POOL_EVENTS_BACKWARD_lengths]), dim[0], dim[1],
            dim[2], call->desc->attr.pooling, co_cuda_accumulates(call->desc, 0));
  return cudaGetLastError();
}

} // namespace co

extern "C" size_t co_cuda_attention_backward_scratch(const co_op_desc *desc) {
  if (!co_cuda_has_out(desc, CO_ATTENTION_BACKWARD_dbias)) return 0;
  const int64_t *bias = desc->in[CO_ATTENTION_BACKWARD_bias].shape.dim;
  return static_cast<size_t>(desc->in[CO_ATTENTION_BACKWARD_q].shape.dim[0] * bias[0] * bias[1]) *
         sizeof(float);
}

extern "C" int co_cuda_attention_backward_launches(const co_op_desc *desc) {
  return co_cuda_has_out(desc, CO_ATTENTION_BACKWARD_dbias) ? 4 : 2;
}

extern "C" cudaError_t co_cuda_attention(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_ATTENTION_q]) ? co::launch_attention<co::bf16>(call)
                                                     : co::launch_attention<float>(call);
}

extern "C" cudaError_t co_cuda_attention_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_ATTENTION_BACKWARD_q])
             ? co::launch_attention_backward<co::bf16>(call)
             : co::launch_attention_backward<float>(call);
}

extern "C" cudaError_t co_cuda_pool_events(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_POOL_EVENTS_x]) ? co::launch_pool<co::bf16>(call)
                                                       : co::launch_pool<float>(call);
}

extern "C" cudaError_t co_cuda_pool_events_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_POOL_EVENTS_BACKWARD_dy])
             ? co::launch_pool_backward<co::bf16>(call)
             : co::launch_pool_backward<float>(call);
}
