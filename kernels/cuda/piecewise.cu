// SPDX-License-Identifier: Apache-2.0
// Numbers by bins: their places among edges, and dense layers over their piecewise linear encoding.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"

namespace co {

__global__ void piecewise_linear(float *y, const float *x, const float *edges, int64_t count,
                                 int64_t C, int64_t K) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    const float *edge = edges + i % C * K;
    float value = x[i], place = 0;
    int64_t below = 0, above = K; // edges that are not above; the first that is
    while (below < above) {
      int64_t middle = (below + above) / 2;
      if (edge[middle] <= value && isfinite(edge[middle]))
        below = middle + 1;
      else
        above = middle;
    }
    if (below > 0) {
      int64_t k = below - 1;
      place = static_cast<float>(k);
      if (k + 1 < K && isfinite(edge[k + 1])) place += (value - edge[k]) / (edge[k + 1] - edge[k]);
    }
    y[i] = isnan(value) ? value : place;
  }
}

// The encoding's k-th number; NaN passes.
__device__ __forceinline__ float part_of(float place, int64_t k) {
  float part = place - static_cast<float>(k);
  return part < 0 ? 0 : part > 1 ? 1 : part;
}

struct PiecewiseSizes {
  int64_t N, C, B, D;
};

template <typename T>
__global__ void piecewise_dense(T *y, const float *x, const float *w, const float *b,
                                PiecewiseSizes s, co_activation activation) {
  for (int64_t i = grid_index(); i < s.N * s.C * s.D; i += grid_size()) {
    int64_t d = i % s.D, number = i / s.D, c = number % s.C;
    const float *weights = w + c * s.B * s.D + d;
    float place = x[number], sum = b[c * s.D + d];
    if (isnan(place)) sum = place;
    for (int64_t k = 0; k < s.B && static_cast<float>(k) < place; k++)
      sum += part_of(place, k) * weights[k * s.D];
    y[i] = static_cast<T>(activate(activation, sum));
  }
}

template <typename T> struct PiecewiseGradient {
  float *dx, *dw, *db; // dx or nullptr
  const float *x, *w;
  const T *dy;
  bool add_x, add_w, add_b;
};

// A thread an element of dw and db, over all rows in their order, then one an element of dx.
template <typename T>
__global__ void piecewise_dense_backward(PiecewiseGradient<T> g, PiecewiseSizes s) {
  int64_t weights = s.C * (s.B + 1) * s.D, all = weights + (g.dx ? s.N * s.C : 0);
  for (int64_t i = grid_index(); i < all; i += grid_size()) {
    if (i >= weights) {
      int64_t number = i - weights, c = number % s.C;
      float place = g.x[number];
      double sum = isnan(place) ? static_cast<double>(place) : 0;
      if (place >= 0 && place < static_cast<float>(s.B)) {
        const float *row = g.w + (c * s.B + static_cast<int64_t>(place)) * s.D;
        for (int64_t d = 0; d < s.D; d++)
          sum += static_cast<double>(static_cast<float>(g.dy[number * s.D + d])) *
                 static_cast<double>(row[d]);
      }
      put(&g.dx[number], static_cast<float>(sum), g.add_x);
      continue;
    }
    int64_t d = i % s.D, k = i / s.D % (s.B + 1), c = i / (s.D * (s.B + 1)); // k = B: the bias
    double sum = 0;
    for (int64_t n = 0; n < s.N; n++) {
      int64_t number = n * s.C + c;
      float part = k < s.B ? part_of(g.x[number], k) : 1.0f;
      sum += static_cast<double>(part) *
             static_cast<double>(static_cast<float>(g.dy[number * s.D + d]));
    }
    if (k < s.B)
      put(&g.dw[(c * s.B + k) * s.D + d], static_cast<float>(sum), g.add_w);
    else
      put(&g.db[c * s.D + d], static_cast<float>(sum), g.add_b);
  }
}

static PiecewiseSizes sizes_of(const co_op_desc *desc) {
  const int64_t *w = desc->in[CO_PIECEWISE_DENSE_w].shape.dim;
  return {desc->in[CO_PIECEWISE_DENSE_x].shape.dim[0], w[0], w[1], w[2]};
}

template <typename T> static cudaError_t launch_piecewise_dense(const co_cuda_call *call) {
  PiecewiseSizes s = sizes_of(call->desc);
  CO_LAUNCH(piecewise_dense<T>, blocks_for(s.N * s.C * s.D), block_threads, 0, call->stream,
            static_cast<T *>(call->out[CO_PIECEWISE_DENSE_y]),
            static_cast<const float *>(call->in[CO_PIECEWISE_DENSE_x]),
            static_cast<const float *>(call->in[CO_PIECEWISE_DENSE_w]),
            static_cast<const float *>(call->in[CO_PIECEWISE_DENSE_b]), s,
            call->desc->attr.activation);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_piecewise_dense_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  PiecewiseSizes s = sizes_of(desc);
  PiecewiseGradient<T> g = {static_cast<float *>(call->out[CO_PIECEWISE_DENSE_BACKWARD_dx]),
                            static_cast<float *>(call->out[CO_PIECEWISE_DENSE_BACKWARD_dw]),
                            static_cast<float *>(call->out[CO_PIECEWISE_DENSE_BACKWARD_db]),
                            static_cast<const float *>(call->in[CO_PIECEWISE_DENSE_BACKWARD_x]),
                            static_cast<const float *>(call->in[CO_PIECEWISE_DENSE_BACKWARD_w]),
                            static_cast<const T *>(call->in[CO_PIECEWISE_DENSE_BACKWARD_dy]),
                            co_cuda_accumulates(desc, CO_PIECEWISE_DENSE_BACKWARD_dx),
                            co_cuda_accumulates(desc, CO_PIECEWISE_DENSE_BACKWARD_dw),
                            co_cuda_accumulates(desc, CO_PIECEWISE_DENSE_BACKWARD_db)};
  CO_LAUNCH(piecewise_dense_backward<T>, blocks_for(s.C * (s.B + 1) * s.D + (g.dx ? s.N * s.C : 0)),
            block_threads, 0, call->stream, g, s);
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_piecewise_linear(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->in[0].shape), C = desc->in[0].shape.dim[1];
  CO_LAUNCH(co::piecewise_linear, co::blocks_for(count), co::block_threads, 0, call->stream,
            static_cast<float *>(call->out[0]), static_cast<const float *>(call->in[0]),
            static_cast<const float *>(call->in[1]), count, C, desc->in[1].shape.dim[0] / C);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_piecewise_dense(const co_cuda_call *call) {
  return co::is_bf16(call->desc->out[0]) ? co::launch_piecewise_dense<co::bf16>(call)
                                         : co::launch_piecewise_dense<float>(call);
}

extern "C" cudaError_t co_cuda_piecewise_dense_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_PIECEWISE_DENSE_BACKWARD_dy])
             ? co::launch_piecewise_dense_backward<co::bf16>(call)
             : co::launch_piecewise_dense_backward<float>(call);
}
