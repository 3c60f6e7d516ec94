// SPDX-License-Identifier: Apache-2.0
// Classes drawn for a batch, and the logits of each row's own class and of those.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/sampling.h"

namespace co {

__global__ void sample_classes(int32_t *classes, float *shift, const int32_t *bounds, int64_t K,
                               int64_t S, const co_step *step, uint32_t purpose) {
  for (int64_t s = grid_index(); s < S; s += grid_size()) {
    classes[s] = co_sample_class(step, purpose, bounds, K, s);
    shift[s] = static_cast<float>(-co_log_expected(bounds, classes[s], S));
  }
}

// The operands that both directions have.
struct Sampled {
  const float *x, *own;
  const int32_t *target, *classes;
  int64_t N, D, S;
};

// A warp a row, for the product with its own class.
__global__ void own_logits(float *y, Sampled a) {
  int64_t warps = grid_size() / warp_lanes;
  int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  for (int64_t n = grid_index() / warp_lanes; n < a.N; n += warps) {
    float sum = 0;
    for (int64_t d = lane; d < a.D; d += warp_lanes)
      sum += a.x[n * a.D + d] * a.own[n * a.D + d];
    sum = warp_sum(sum);
    if (lane == 0) y[n * (1 + a.S)] = sum;
  }
}

__global__ void sampled_logits(float *y, const float *z, const float *shift, Sampled a) {
  for (int64_t i = grid_index(); i < a.N * a.S; i += grid_size()) {
    int64_t n = i / a.S, s = i % a.S;
    y[n * (1 + a.S) + 1 + s] =
        a.classes[s] == a.target[n] ? static_cast<float>(CO_NO_LOGIT) : z[i] + shift[s];
  }
}

struct SampledGradients {
  float *dx, *down, *dz;
  bool add_x, add_own, add_z;
};

__global__ void sampled_logits_backward(SampledGradients g, const float *dy, Sampled a) {
  int64_t features = a.N * a.D;
  for (int64_t i = grid_index(); i < features + a.N * a.S; i += grid_size()) {
    if (i < features) {
      float slope = dy[i / a.D * (1 + a.S)];
      put(&g.dx[i], slope * a.own[i], g.add_x);
      put(&g.down[i], slope * a.x[i], g.add_own);
      continue;
    }
    int64_t n = (i - features) / a.S, s = (i - features) % a.S;
    put(&g.dz[i - features], a.classes[s] == a.target[n] ? 0.0f : dy[n * (1 + a.S) + 1 + s],
        g.add_z);
  }
}

} // namespace co

extern "C" cudaError_t co_cuda_sample_classes(const co_cuda_call *call) {
  int64_t S = call->desc->out[CO_SAMPLE_CLASSES_classes].shape.dim[0];
  CO_LAUNCH(co::sample_classes, co::blocks_for(S), co::block_threads, 0, call->stream,
            static_cast<int32_t *>(call->out[CO_SAMPLE_CLASSES_classes]),
            static_cast<float *>(call->out[CO_SAMPLE_CLASSES_shift]),
            static_cast<const int32_t *>(call->in[CO_SAMPLE_CLASSES_bounds]),
            call->desc->in[CO_SAMPLE_CLASSES_bounds].shape.dim[0], S,
            static_cast<const co_step *>(call->in[CO_SAMPLE_CLASSES_step]),
            call->desc->attr.purpose);
  return cudaGetLastError();
}

extern "C" int co_cuda_sampled_logits_launches(const co_op_desc *desc) {
  (void)desc;
  return 2;
}

extern "C" cudaError_t co_cuda_sampled_logits(const co_cuda_call *call) {
  const co_shape &x = call->desc->in[CO_SAMPLED_LOGITS_x].shape;
  co::Sampled a = {static_cast<const float *>(call->in[CO_SAMPLED_LOGITS_x]),
                   static_cast<const float *>(call->in[CO_SAMPLED_LOGITS_own]),
                   static_cast<const int32_t *>(call->in[CO_SAMPLED_LOGITS_target]),
                   static_cast<const int32_t *>(call->in[CO_SAMPLED_LOGITS_classes]),
                   x.dim[0],
                   x.dim[1],
                   call->desc->in[CO_SAMPLED_LOGITS_z].shape.dim[1]};
  float *y = static_cast<float *>(call->out[CO_SAMPLED_LOGITS_y]);
  CO_LAUNCH(co::own_logits, co::blocks_for(a.N * co::warp_lanes), co::block_threads, 0,
            call->stream, y, a);
  CO_LAUNCH(co::sampled_logits, co::blocks_for(a.N * a.S), co::block_threads, 0, call->stream, y,
            static_cast<const float *>(call->in[CO_SAMPLED_LOGITS_z]),
            static_cast<const float *>(call->in[CO_SAMPLED_LOGITS_shift]), a);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_sampled_logits_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  const co_shape &x = desc->in[CO_SAMPLED_LOGITS_BACKWARD_x].shape;
  co::Sampled a = {static_cast<const float *>(call->in[CO_SAMPLED_LOGITS_BACKWARD_x]),
                   static_cast<const float *>(call->in[CO_SAMPLED_LOGITS_BACKWARD_own]),
                   static_cast<const int32_t *>(call->in[CO_SAMPLED_LOGITS_BACKWARD_target]),
                   static_cast<const int32_t *>(call->in[CO_SAMPLED_LOGITS_BACKWARD_classes]),
                   x.dim[0],
                   x.dim[1],
                   desc->in[CO_SAMPLED_LOGITS_BACKWARD_classes].shape.dim[0]};
  co::SampledGradients g = {static_cast<float *>(call->out[CO_SAMPLED_LOGITS_BACKWARD_dx]),
                            static_cast<float *>(call->out[CO_SAMPLED_LOGITS_BACKWARD_down]),
                            static_cast<float *>(call->out[CO_SAMPLED_LOGITS_BACKWARD_dz]),
                            co_cuda_accumulates(desc, CO_SAMPLED_LOGITS_BACKWARD_dx),
                            co_cuda_accumulates(desc, CO_SAMPLED_LOGITS_BACKWARD_down),
                            co_cuda_accumulates(desc, CO_SAMPLED_LOGITS_BACKWARD_dz)};
  CO_LAUNCH(co::sampled_logits_backward, co::blocks_for(a.N * (a.D + a.S)), co::block_threads, 0,
            call->stream, g, static_cast<const float *>(call->in[CO_SAMPLED_LOGITS_BACKWARD_dy]),
            a);
  return cudaGetLastError();
}
