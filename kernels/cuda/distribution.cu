// SPDX-License-Identifier: Apache-2.0
// Losses of predicted distributions, and their expected values: a thread a row, in double.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/rows.cuh"
#include "kernels/distribution.h"

namespace co {

constexpr int64_t most_distribution_blocks = 512; // for which co_cuda_loss_scratch has room

struct DistributionLoss {
  co_distribution distribution;
  const float *x, *target, *weight;
  const co_step *step;
  float *loss, *dx;
  double *sum, *partials;
  unsigned *ticket;
  int64_t rows;
  int parameters, output;
  bool accumulate_sum, accumulate_dx;
};

__global__ void distribution_loss(DistributionLoss a) {
  double total = 0, inv_norm = a.step->inv_norm[a.output];
  for (int64_t n = grid_index(); n < a.rows; n += grid_size()) {
    double values[CO_MOST_PARAMETERS] = {}, slope[CO_MOST_PARAMETERS] = {}, value = 0;
    double factor = static_cast<double>(a.weight[n]);
    for (int k = 0; k < a.parameters; k++)
      values[k] = static_cast<double>(a.x[n * a.parameters + k]);
    if (factor != 0) // a missing target may be NaN
      value = co_distribution_loss(a.distribution, values, static_cast<double>(a.target[n]), slope);
    for (int k = 0; k < a.parameters; k++)
      put(&a.dx[n * a.parameters + k], static_cast<float>(factor * inv_norm * slope[k]),
          a.accumulate_dx);
    a.loss[n] = static_cast<float>(value);
    total += factor * value;
  }
  grid_sums<1>(a.partials, a.ticket, &total,
               [&](int, double sum) { *a.sum = a.accumulate_sum ? *a.sum + sum : sum; });
}

__global__ void distribution_mean(float *y, const float *x, int64_t rows, int parameters,
                                  co_distribution distribution) {
  for (int64_t n = grid_index(); n < rows; n += grid_size()) {
    double values[CO_MOST_PARAMETERS] = {};
    for (int k = 0; k < parameters; k++)
      values[k] = static_cast<double>(x[n * parameters + k]);
    y[n] = static_cast<float>(co_distribution_mean(distribution, values));
  }
}

} // namespace co

extern "C" cudaError_t co_cuda_distribution_loss(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  co::DistributionLoss a = {};
  a.distribution = desc->attr.distribution;
  a.x = static_cast<const float *>(call->in[CO_DISTRIBUTION_LOSS_x]);
  a.target = static_cast<const float *>(call->in[CO_DISTRIBUTION_LOSS_target]);
  a.weight = static_cast<const float *>(call->in[CO_DISTRIBUTION_LOSS_weight]);
  a.step = static_cast<const co_step *>(call->in[CO_DISTRIBUTION_LOSS_step]);
  a.loss = static_cast<float *>(call->out[CO_DISTRIBUTION_LOSS_loss]);
  a.dx = static_cast<float *>(call->out[CO_DISTRIBUTION_LOSS_dx]);
  a.sum = static_cast<double *>(call->out[CO_DISTRIBUTION_LOSS_sum]);
  a.partials = static_cast<double *>(call->workspace);
  a.ticket = call->tickets;
  a.rows = desc->in[0].shape.dim[0];
  a.parameters = static_cast<int>(desc->in[0].shape.dim[1]);
  a.output = desc->attr.output;
  a.accumulate_sum = co_cuda_accumulates(desc, CO_DISTRIBUTION_LOSS_sum);
  a.accumulate_dx = co_cuda_accumulates(desc, CO_DISTRIBUTION_LOSS_dx);
  int64_t blocks = (a.rows + co::block_threads - 1) / co::block_threads;
  if (blocks > co::most_distribution_blocks) blocks = co::most_distribution_blocks;
  CO_LAUNCH(co::distribution_loss, static_cast<unsigned>(blocks), co::block_threads, 0,
            call->stream, a);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_distribution_mean(const co_cuda_call *call) {
  const co_shape *x = &call->desc->in[CO_DISTRIBUTION_MEAN_x].shape;
  CO_LAUNCH(co::distribution_mean, co::blocks_for(x->dim[0]), co::block_threads, 0, call->stream,
            static_cast<float *>(call->out[CO_DISTRIBUTION_MEAN_y]),
            static_cast<const float *>(call->in[CO_DISTRIBUTION_MEAN_x]), x->dim[0],
            static_cast<int>(x->dim[1]), call->desc->attr.distribution);
  return cudaGetLastError();
}
