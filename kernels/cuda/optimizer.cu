// SPDX-License-Identifier: Apache-2.0
// Gradient norm with its gate, and updates over flat parameter blocks, one launch whatever the
// number of segments and types of gradients: a thread block takes a fixed range of elements and
// searches the segments in it.
// Vectors: gradient_norm sgd adam ema rmsprop
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/update.cuh"

namespace co {

constexpr int64_t range = 4 * block_threads; // elements a block takes at once: four a thread

// Elements at + first to at + last of the four at `at`, which is a multiple of four: those that one
// segment lists.
struct Quad {
  int64_t at;
  int first, last;
  __device__ bool lists(int k) const {
    return k >= first && k < last;
  }
  __device__ bool is_whole() const {
    return first == 0 && last == 4;
  }
};

using Four = Pack<4>; // 0 where the segment lists nothing

template <typename T> __device__ __forceinline__ Four read(const T *from, const Quad &q) {
  if (q.is_whole()) return load<4>(from + q.at);
  Four four;
#pragma unroll
  for (int k = 0; k < 4; k++)
    four.x[k] = q.lists(k) ? static_cast<float>(from[q.at + k]) : 0.0f;
  return four;
}

template <typename T>
__device__ __forceinline__ void write(T *to, const Quad &q, const Four &four) {
  if (q.is_whole()) {
    store<4>(to + q.at, four);
    return;
  }
#pragma unroll
  for (int k = 0; k < 4; k++)
    if (q.lists(k)) to[q.at + k] = static_cast<T>(four.x[k]);
}

// Gradients of a flat block: of its first elements f32, of those from `split` on in bf16. No quad has
// both. Kernels are given the members one by one: the doubles see pointers among arguments only.
struct Gradients {
  const float *wide;
  const bf16 *narrow; // nullptr if there are none
  int64_t split;
  __device__ __forceinline__ Four at(Quad q) const {
    if (narrow == nullptr || q.at < split) return read(wide, q);
    q.at -= split;
    return read(narrow, q);
  }
};

static Gradients gradients_of(const co_cuda_call *call, int g, int narrow) {
  return {static_cast<const float *>(call->in[g]), static_cast<const bf16 *>(call->in[narrow]),
          co_cuda_count(&call->desc->in[g].shape)};
}

// The first segment that ends after `at`.
__device__ __forceinline__ int64_t segment_after(const co_segment *segments, int64_t count,
                                                 int64_t at) {
  int64_t low = 0, high = count;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (segments[middle].begin + segments[middle].count <= at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// visit(quad, segment) for the elements that segments list. Ranges go to blocks in turn.
template <typename Visit>
__device__ __forceinline__ void for_each_listed(const co_segment *segments, int64_t count,
                                                int64_t elements, Visit visit) {
  for (int64_t from = static_cast<int64_t>(blockIdx.x) * range; from < elements;
       from += static_cast<int64_t>(gridDim.x) * range) {
    int64_t to = from + range < elements ? from + range : elements;
    for (int64_t s = segment_after(segments, count, from); s < count; s++) {
      int64_t begin = segments[s].begin, end = begin + segments[s].count;
      if (begin >= to) break;
      // Threads stay with elements of their own place in the range: aligned whatever begin is.
      int64_t at = from + 4 * static_cast<int64_t>(threadIdx.x);
      Quad q = {at, begin > at ? static_cast<int>(min(begin - at, int64_t{4})) : 0,
                end < at + 4 ? static_cast<int>(max(end - at, int64_t{0})) : 4};
      if (q.first < q.last) visit(q, segments[s]);
    }
  }
}

struct Gate {
  double *gate; // or NULL
  double clip_norm;
  __device__ void put(double sum) const {
    if (gate == nullptr) return;
    double norm = sqrt(sum);
    gate[0] = isfinite(sum) ? 1 : 0;
    gate[1] = clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1;
  }
};

// `before`: what is added to the sum, or NULL.
__global__ void gradient_norm(double *sum, double *partials, const float *wide, const bf16 *narrow,
                              int64_t split, const co_segment *segments, int64_t count,
                              int64_t elements, bool accumulate, const double *before, Gate gate,
                              unsigned *ticket) {
  const Gradients g = {wide, narrow, split};
  double squares = 0;
  for_each_listed(segments, count, elements, [&](const Quad &q, const co_segment &) {
    Four four = g.at(q);
#pragma unroll
    for (int k = 0; k < 4; k++)
      squares += static_cast<double>(four.x[k]) * static_cast<double>(four.x[k]);
  });
  grid_sums<1>(partials, ticket, &squares, [&](int, double total) {
    if (before) total += *before;
    *sum = accumulate ? *sum + total : total;
    gate.put(*sum);
  });
}

struct Update {
  float *w, *m, *v;
  bf16 *mirror; // nullptr if there is none
  const co_segment *segments;
  int64_t count, elements;
  const co_step *step;
  const double *gate;
};

__global__ void sgd(Update u, const float *wide, const bf16 *narrow, int64_t split, float limit,
                    float weight_decay, float momentum, bool nesterov) {
  if (u.gate[0] == 0) return;
  const Gradients gradients = {wide, narrow, split};
  float clip = static_cast<float>(u.gate[1]);
  double learning_rate = u.step->learning_rate;
  for_each_listed(u.segments, u.count, u.elements, [&](const Quad &q, const co_segment &segment) {
    float rate = static_cast<float>(learning_rate * segment.rate);
    float l2 = weight_decay * static_cast<float>(segment.decay);
    Four w = read(u.w, q), g = gradients.at(q), m = {};
    if (u.m) m = read(u.m, q);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      float direction = clipped(clip, limit, g.x[k]) + l2 * w.x[k];
      if (u.m) {
        m.x[k] = momentum * m.x[k] + direction;
        direction = nesterov ? direction + momentum * m.x[k] : m.x[k];
      }
      w.x[k] -= rate * direction;
    }
    write(u.w, q, w);
    if (u.m) write(u.m, q, m);
    if (u.mirror) write(u.mirror, q, w);
  });
}

__global__ void adam(Update u, const float *wide, const bf16 *narrow, int64_t split, float limit,
                     float weight_decay, AdamFactors f) {
  if (u.gate[0] == 0) return;
  const Gradients gradients = {wide, narrow, split};
  float clip = static_cast<float>(u.gate[1]);
  AdamCorrection correction = {static_cast<float>(u.step->bias_correction1),
                               static_cast<float>(u.step->bias_correction2)};
  double learning_rate = u.step->learning_rate;
  for_each_listed(u.segments, u.count, u.elements, [&](const Quad &q, const co_segment &segment) {
    float rate = static_cast<float>(learning_rate * segment.rate);
    float decay = weight_decay * static_cast<float>(segment.decay);
    Four w = read(u.w, q), g = gradients.at(q), m = read(u.m, q), v = read(u.v, q);
#pragma unroll
    for (int k = 0; k < 4; k++)
      adam_element(f, correction, rate, decay, clipped(clip, limit, g.x[k]), &w.x[k], &m.x[k],
                   &v.x[k]);
    write(u.w, q, w);
    if (u.mirror) write(u.mirror, q, w);
    write(u.m, q, m);
    write(u.v, q, v);
  });
}

__global__ void ema(float *average, const float *w, const co_segment *segments, int64_t count,
                    int64_t elements, const co_step *step, const double *gate) {
  if (gate[0] == 0) return;
  float rate = static_cast<float>(step->ema_rate);
  for_each_listed(segments, count, elements, [&](const Quad &q, const co_segment &) {
    Four mean = read(average, q), weight = read(w, q);
#pragma unroll
    for (int k = 0; k < 4; k++)
      mean.x[k] += rate * (weight.x[k] - mean.x[k]);
    write(average, q, mean);
  });
}

struct RmspropFactors {
  float limit, weight_decay, momentum, kept, added, epsilon;
};

__global__ void rmsprop(Update u, const float *wide, const bf16 *narrow, int64_t split,
                        RmspropFactors f) {
  if (u.gate[0] == 0) return;
  const Gradients gradients = {wide, narrow, split};
  float clip = static_cast<float>(u.gate[1]);
  double learning_rate = u.step->learning_rate;
  for_each_listed(u.segments, u.count, u.elements, [&](const Quad &q, const co_segment &segment) {
    float rate = static_cast<float>(learning_rate * segment.rate);
    float l2 = f.weight_decay * static_cast<float>(segment.decay);
    Four w = read(u.w, q), g = gradients.at(q), v = read(u.v, q), m = {};
    if (u.m) m = read(u.m, q);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      float gradient = clipped(clip, f.limit, g.x[k]) + l2 * w.x[k];
      v.x[k] = f.kept * v.x[k] + f.added * gradient * gradient;
      float direction = gradient / (sqrtf(v.x[k]) + f.epsilon);
      if (u.m) m.x[k] = direction += f.momentum * m.x[k];
      w.x[k] -= rate * direction;
    }
    write(u.w, q, w);
    write(u.v, q, v);
    if (u.m) write(u.m, q, m);
    if (u.mirror) write(u.mirror, q, w);
  });
}

static unsigned range_blocks(int64_t elements, int64_t most) {
  int64_t blocks = (elements + range - 1) / range;
  return static_cast<unsigned>(blocks < most ? blocks : most);
}

constexpr int64_t norm_blocks = 1024;

static int64_t segment_count(const co_op_desc *desc, int operand) {
  return co_cuda_count(&desc->in[operand].shape) / static_cast<int64_t>(sizeof(co_segment));
}

static int64_t norm_elements(const co_op_desc *desc) {
  int64_t wide = desc->in[CO_GRADIENT_NORM_g].shape.dim[0];
  return co_cuda_has_in(desc, CO_GRADIENT_NORM_narrow)
             ? wide + desc->in[CO_GRADIENT_NORM_narrow].shape.dim[0]
             : wide;
}

} // namespace co

extern "C" size_t co_cuda_gradient_norm_scratch(const co_op_desc *desc) {
  unsigned blocks = co::range_blocks(co::norm_elements(desc), co::norm_blocks);
  return blocks > 1 ? blocks * sizeof(double) : 0;
}

extern "C" cudaError_t co_cuda_gradient_norm(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t elements = co::norm_elements(desc);
  unsigned blocks = co::range_blocks(elements, co::norm_blocks);
  co::Gradients g = co::gradients_of(call, CO_GRADIENT_NORM_g, CO_GRADIENT_NORM_narrow);
  co::Gate gate = {static_cast<double *>(call->out[CO_GRADIENT_NORM_gate]), desc->attr.clip_norm};
  CO_LAUNCH(co::gradient_norm, blocks, co::block_threads, 0, call->stream,
            static_cast<double *>(call->out[CO_GRADIENT_NORM_sum]),
            static_cast<double *>(call->workspace), g.wide, g.narrow, g.split,
            static_cast<const co_segment *>(call->in[CO_GRADIENT_NORM_segments]),
            co::segment_count(desc, CO_GRADIENT_NORM_segments), elements,
            co_cuda_accumulates(desc, CO_GRADIENT_NORM_sum),
            static_cast<const double *>(call->in[CO_GRADIENT_NORM_before]), gate, call->tickets);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_sgd(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  const co_op_attr *attr = &desc->attr;
  int64_t elements = desc->in[CO_SGD_w].shape.dim[0];
  co::Gradients g = co::gradients_of(call, CO_SGD_g, CO_SGD_narrow);
  co::Update u = {static_cast<float *>(call->out[CO_SGD_new_w]),
                  static_cast<float *>(call->out[CO_SGD_new_m]),
                  nullptr,
                  static_cast<co::bf16 *>(call->out[CO_SGD_mirror]),
                  static_cast<const co_segment *>(call->in[CO_SGD_segments]),
                  co::segment_count(desc, CO_SGD_segments),
                  elements,
                  static_cast<const co_step *>(call->in[CO_SGD_step]),
                  static_cast<const double *>(call->in[CO_SGD_gate])};
  CO_LAUNCH(co::sgd, co::range_blocks(elements, co::most_blocks), co::block_threads, 0,
            call->stream, u, g.wide, g.narrow, g.split, co::limit_of(attr),
            static_cast<float>(attr->weight_decay), static_cast<float>(attr->momentum),
            attr->nesterov != 0);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_ema(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t elements = desc->in[0].shape.dim[0];
  CO_LAUNCH(co::ema, co::range_blocks(elements, co::most_blocks), co::block_threads, 0,
            call->stream, static_cast<float *>(call->out[CO_EMA_new_ema]),
            static_cast<const float *>(call->in[CO_EMA_w]),
            static_cast<const co_segment *>(call->in[CO_EMA_segments]),
            co::segment_count(desc, CO_EMA_segments), elements,
            static_cast<const co_step *>(call->in[CO_EMA_step]),
            static_cast<const double *>(call->in[CO_EMA_gate]));
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_adam(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  const co_op_attr *attr = &desc->attr;
  int64_t elements = desc->in[CO_ADAM_w].shape.dim[0];
  co::Gradients g = co::gradients_of(call, CO_ADAM_g, CO_ADAM_narrow);
  co::Update u = {static_cast<float *>(call->out[CO_ADAM_new_w]),
                  static_cast<float *>(call->out[CO_ADAM_new_m]),
                  static_cast<float *>(call->out[CO_ADAM_new_v]),
                  static_cast<co::bf16 *>(call->out[CO_ADAM_mirror]),
                  static_cast<const co_segment *>(call->in[CO_ADAM_segments]),
                  co::segment_count(desc, CO_ADAM_segments),
                  elements,
                  static_cast<const co_step *>(call->in[CO_ADAM_step]),
                  static_cast<const double *>(call->in[CO_ADAM_gate])};
  CO_LAUNCH(co::adam, co::range_blocks(elements, co::most_blocks), co::block_threads, 0,
            call->stream, u, g.wide, g.narrow, g.split, co::limit_of(attr),
            static_cast<float>(attr->weight_decay), co::adam_factors(attr));
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_rmsprop(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  const co_op_attr *attr = &desc->attr;
  int64_t elements = desc->in[0].shape.dim[0];
  co::Gradients g = co::gradients_of(call, CO_RMSPROP_g, CO_RMSPROP_narrow);
  co::Update u = {static_cast<float *>(call->out[CO_RMSPROP_new_w]),
                  static_cast<float *>(call->out[CO_RMSPROP_new_m]),
                  static_cast<float *>(call->out[CO_RMSPROP_new_v]),
                  static_cast<co::bf16 *>(call->out[CO_RMSPROP_mirror]),
                  static_cast<const co_segment *>(call->in[CO_RMSPROP_segments]),
                  co::segment_count(desc, CO_RMSPROP_segments),
                  elements,
                  static_cast<const co_step *>(call->in[CO_RMSPROP_step]),
                  static_cast<const double *>(call->in[CO_RMSPROP_gate])};
  co::RmspropFactors f = {co::limit_of(attr),
                          static_cast<float>(attr->weight_decay),
                          static_cast<float>(attr->momentum),
                          static_cast<float>(attr->beta2),
                          static_cast<float>(attr->added),
                          static_cast<float>(attr->epsilon)};
  CO_LAUNCH(co::rmsprop, co::range_blocks(elements, co::most_blocks), co::block_threads, 0,
            call->stream, u, g.wide, g.narrow, g.split, f);
  return cudaGetLastError();
}
