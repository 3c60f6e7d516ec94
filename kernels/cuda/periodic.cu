// SPDX-License-Identifier: Apache-2.0
// Sines and cosines of numbers by trained frequencies.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"

namespace co {

constexpr float turn = 6.2831853071795865f;

// Of 2 pi t, with whole turns taken off before they are rounded.
__device__ __forceinline__ void waves(float t, float *sine, float *cosine) {
  float angle = turn * (t - rintf(t));
  *sine = sinf(angle);
  *cosine = cosf(angle);
}

struct PeriodicSizes {
  int64_t N, C, K;
};

__global__ void periodic(float *y, const float *x, const float *w, PeriodicSizes s) {
  for (int64_t i = grid_index(); i < s.N * s.C * s.K; i += grid_size()) {
    int64_t k = i % s.K, number = i / s.K;
    waves(w[number % s.C * s.K + k] * x[number], &y[2 * number * s.K + k],
          &y[(2 * number + 1) * s.K + k]);
  }
}

// What the angle's slope is, of one number and frequency.
__device__ __forceinline__ float slope_of(const float *dy, float t, int64_t number, int64_t k,
                                          int64_t K) {
  float sine, cosine;
  waves(t, &sine, &cosine);
  return dy[2 * number * K + k] * cosine - dy[(2 * number + 1) * K + k] * sine;
}

struct PeriodicGradient {
  float *dx, *dw; // dx or nullptr
  const float *x, *w, *dy;
  bool add_x, add_w;
};

// A thread an element of dw, over all rows in their order, then one an element of dx.
__global__ void periodic_backward(PeriodicGradient g, PeriodicSizes s) {
  int64_t weights = s.C * s.K, all = weights + (g.dx ? s.N * s.C : 0);
  for (int64_t i = grid_index(); i < all; i += grid_size()) {
    double sum = 0;
    if (i < weights) {
      int64_t c = i / s.K;
      for (int64_t n = 0; n < s.N; n++) {
        int64_t number = n * s.C + c;
        float value = g.x[number];
        sum += static_cast<double>(value) *
               static_cast<double>(slope_of(g.dy, g.w[i] * value, number, i % s.K, s.K));
      }
      put(&g.dw[i], turn * static_cast<float>(sum), g.add_w);
      continue;
    }
    int64_t number = i - weights;
    const float *rates = g.w + number % s.C * s.K;
    for (int64_t k = 0; k < s.K; k++)
      sum += static_cast<double>(rates[k]) *
             static_cast<double>(slope_of(g.dy, rates[k] * g.x[number], number, k, s.K));
    put(&g.dx[number], turn * static_cast<float>(sum), g.add_x);
  }
}

static PeriodicSizes sizes_of(const co_op_desc *desc) {
  const int64_t *w = desc->in[1].shape.dim;
  return {desc->in[0].shape.dim[0], w[0], w[1]};
}

} // namespace co

extern "C" cudaError_t co_cuda_periodic(const co_cuda_call *call) {
  co::PeriodicSizes s = co::sizes_of(call->desc);
  CO_LAUNCH(co::periodic, co::blocks_for(s.N * s.C * s.K), co::block_threads, 0, call->stream,
            static_cast<float *>(call->out[CO_PERIODIC_y]),
            static_cast<const float *>(call->in[CO_PERIODIC_x]),
            static_cast<const float *>(call->in[CO_PERIODIC_w]), s);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_periodic_backward(const co_cuda_call *call) {
  co::PeriodicSizes s = co::sizes_of(call->desc);
  co::PeriodicGradient g = {static_cast<float *>(call->out[CO_PERIODIC_BACKWARD_dx]),
                            static_cast<float *>(call->out[CO_PERIODIC_BACKWARD_dw]),
                            static_cast<const float *>(call->in[CO_PERIODIC_BACKWARD_x]),
                            static_cast<const float *>(call->in[CO_PERIODIC_BACKWARD_w]),
                            static_cast<const float *>(call->in[CO_PERIODIC_BACKWARD_dy]),
                            co_cuda_accumulates(call->desc, CO_PERIODIC_BACKWARD_dx),
                            co_cuda_accumulates(call->desc, CO_PERIODIC_BACKWARD_dw)};
  CO_LAUNCH(co::periodic_backward, co::blocks_for(s.C * s.K + (g.dx ? s.N * s.C : 0)),
            co::block_threads, 0, call->stream, g, s);
  return cudaGetLastError();
}
