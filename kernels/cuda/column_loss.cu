// SPDX-License-Identifier: Apache-2.0
// Losses of columns of several kinds: a warp a row and column.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/rows.cuh"

namespace co {

struct ColumnSizes {
  int64_t N, W, V, F;
};

// kernels/ref/column_loss.c has the formulas. Of classes: the largest logit and the sum of
// exponentials without the target's, so that neither a small loss nor its slope is a difference of
// equals.
struct Classes {
  float largest, rest, own; // own: the target's exponential, NaN of a wild one
  int64_t target;           // -1: a wild one
};

__device__ __forceinline__ Classes classes_of(const float *x, float t, int64_t size, int lane) {
  Classes c = {-INFINITY, 0, NAN,
               t >= 0 && t < static_cast<float>(size) ? static_cast<int64_t>(t) : -1};
  for (int64_t k = lane; k < size; k += warp_lanes)
    c.largest = fmaxf(c.largest, x[k]);
  c.largest = warp_max(c.largest);
  for (int64_t k = lane; k < size; k += warp_lanes)
    c.rest += k == c.target ? 0.0f : expf(x[k] - c.largest);
  c.rest = warp_sum(c.rest);
  if (c.target >= 0) c.own = expf(x[c.target] - c.largest);
  return c;
}

__device__ __forceinline__ float loss_of_classes(const float *x, float t, int64_t size, int lane) {
  Classes c = classes_of(x, t, size, lane);
  if (c.target < 0) return NAN;
  return x[c.target] == c.largest ? log1pf(c.rest)
                                  : logf(c.rest + c.own) + (c.largest - x[c.target]);
}

__device__ __forceinline__ float loss_of_values(const float *x, const float *target, int64_t size,
                                                bool logits, int lane) {
  float sum = 0;
  for (int64_t k = lane; k < size; k += warp_lanes) {
    float error = x[k] - target[k];
    sum +=
        logits ? fmaxf(x[k], 0.0f) - target[k] * x[k] + log1pf(expf(-fabsf(x[k]))) : error * error;
  }
  return warp_sum(sum) / static_cast<float>(size);
}

__global__ void column_loss(float *y, const float *x, const float *target, const int32_t *columns,
                            ColumnSizes s) {
  int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  for (int64_t i = first_row<warp_lanes>(); i < s.N * s.F; i += row_step<warp_lanes>()) {
    const int32_t *c = columns + 4 * (i % s.F);
    const float *own = x + i / s.F * s.W + c[0], *wanted = target + i / s.F * s.V + c[1];
    float loss = c[3] == CO_PART_CLASSES
                     ? loss_of_classes(own, wanted[0], c[2], lane)
                     : loss_of_values(own, wanted, c[2], c[3] == CO_PART_LOGITS, lane);
    if (lane == 0) y[i] = loss;
  }
}

__device__ __forceinline__ float sigmoid_of(float x) {
  float e = expf(-fabsf(x)), inverse = 1.0f / (1.0f + e);
  return x >= 0 ? inverse : e * inverse;
}

__global__ void column_loss_backward(float *dx, const float *x, const float *target,
                                     const int32_t *columns, const float *dy, ColumnSizes s,
                                     bool accumulate) {
  int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  for (int64_t i = first_row<warp_lanes>(); i < s.N * s.F; i += row_step<warp_lanes>()) {
    const int32_t *c = columns + 4 * (i % s.F);
    int64_t begin = i / s.F * s.W + c[0];
    const float *own = x + begin, *wanted = target + i / s.F * s.V + c[1];
    float share = dy[i] / static_cast<float>(c[2]);
    if (c[3] == CO_PART_CLASSES) {
      Classes classes = classes_of(own, wanted[0], c[2], lane);
      float sum = classes.rest + classes.own;
      for (int64_t k = lane; k < c[2]; k += warp_lanes)
        put(&dx[begin + k],
            dy[i] * (k == classes.target ? -classes.rest : expf(own[k] - classes.largest)) / sum,
            accumulate);
      continue;
    }
    for (int64_t k = lane; k < c[2]; k += warp_lanes)
      put(&dx[begin + k],
          share * (c[3] == CO_PART_LOGITS ? sigmoid_of(own[k]) - wanted[k]
                                          : 2.0f * (own[k] - wanted[k])),
          accumulate);
  }
}

static ColumnSizes sizes_of(const co_op_desc *desc) {
  return {desc->in[0].shape.dim[0], desc->in[0].shape.dim[1], desc->in[1].shape.dim[1],
          desc->in[2].shape.dim[0]};
}

} // namespace co

extern "C" cudaError_t co_cuda_column_loss(const co_cuda_call *call) {
  co::ColumnSizes s = co::sizes_of(call->desc);
  CO_LAUNCH(co::column_loss, co::blocks_for(s.N * s.F * co::warp_lanes), co::block_threads, 0,
            call->stream, static_cast<float *>(call->out[CO_COLUMN_LOSS_y]),
            static_cast<const float *>(call->in[CO_COLUMN_LOSS_x]),
            static_cast<const float *>(call->in[CO_COLUMN_LOSS_target]),
            static_cast<const int32_t *>(call->in[CO_COLUMN_LOSS_columns]), s);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_column_loss_backward(const co_cuda_call *call) {
  co::ColumnSizes s = co::sizes_of(call->desc);
  float *dx = static_cast<float *>(call->out[CO_COLUMN_LOSS_BACKWARD_dx]);
  bool accumulate = co_cuda_accumulates(call->desc, CO_COLUMN_LOSS_BACKWARD_dx);
  CO_LAUNCH(co::column_loss_backward, co::blocks_for(s.N * s.F * co::warp_lanes), co::block_threads,
            0, call->stream, dx, static_cast<const float *>(call->in[CO_COLUMN_LOSS_BACKWARD_x]),
            static_cast<const float *>(call->in[CO_COLUMN_LOSS_BACKWARD_target]),
            static_cast<const int32_t *>(call->in[CO_COLUMN_LOSS_BACKWARD_columns]),
            static_cast<const float *>(call->in[CO_COLUMN_LOSS_BACKWARD_dy]), s, accumulate);
  return cudaGetLastError();
}
