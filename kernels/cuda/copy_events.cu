// SPDX-License-Identifier: Apache-2.0
// Copying classes of events into logits.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"

namespace co {

struct CopiedEvents {
  const float *x, *score;
  const int32_t *codes, *lengths;
  int64_t N, T, K;
  float shift; // logarithm of the factor
};

__device__ __forceinline__ int64_t length_of(const CopiedEvents &a, int64_t n) {
  int64_t length = a.lengths[n];
  return length < 0 ? 0 : length < a.T ? length : a.T;
}

// A thread owns a logit and looks through the events of its row, which are read by all threads of a
// block at once, in their order.
__global__ void copy_events(float *y, CopiedEvents a) {
  for (int64_t i = grid_index(); i < a.N * a.K; i += grid_size()) {
    int64_t n = i / a.K, length = length_of(a, n);
    int32_t wanted = static_cast<int32_t>(i % a.K) + 1;
    float sum = a.x[i];
    for (int64_t t = 0; t < length; t++) {
      if (a.codes[n * a.T + t] != wanted) continue;
      float score = a.score[n * a.T + t] + a.shift, most = sum > score ? sum : score;
      sum = most + log1pf(expf((sum > score ? score : sum) - most));
    }
    y[i] = sum;
  }
}

__global__ void copy_events_backward(float *dx, float *dscore, const float *y, const float *dy,
                                     CopiedEvents a, bool add_x, bool add_score) {
  int64_t logits = dx ? a.N * a.K : 0, events = dscore ? a.N * a.T : 0;
  for (int64_t i = grid_index(); i < logits + events; i += grid_size()) {
    if (i < logits) {
      put(&dx[i], dy[i] * expf(a.x[i] - y[i]), add_x);
      continue;
    }
    int64_t event = i - logits, n = event / a.T, k = a.codes[event] - 1;
    bool counts = k >= 0 && k < a.K && event - n * a.T < length_of(a, n);
    int64_t at = n * a.K + (counts ? k : 0);
    put(&dscore[event], counts ? dy[at] * expf(a.score[event] + a.shift - y[at]) : 0.0f, add_score);
  }
}

// The operands that both have, in the same places.
static CopiedEvents copied(const co_cuda_call *call) {
  const int64_t *score = call->desc->in[CO_COPY_EVENTS_score].shape.dim;
  return {static_cast<const float *>(call->in[CO_COPY_EVENTS_x]),
          static_cast<const float *>(call->in[CO_COPY_EVENTS_score]),
          static_cast<const int32_t *>(call->in[CO_COPY_EVENTS_codes]),
          static_cast<const int32_t *>(call->in[CO_COPY_EVENTS_lengths]),
          score[0],
          score[1],
          call->desc->in[CO_COPY_EVENTS_x].shape.dim[1],
          static_cast<float>(log(call->desc->attr.factor))};
}

} // namespace co

extern "C" cudaError_t co_cuda_copy_events(const co_cuda_call *call) {
  co::CopiedEvents a = co::copied(call);
  CO_LAUNCH(co::copy_events, co::blocks_for(a.N * a.K), co::block_threads, 0, call->stream,
            static_cast<float *>(call->out[CO_COPY_EVENTS_y]), a);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_copy_events_backward(const co_cuda_call *call) {
  co::CopiedEvents a = co::copied(call);
  float *dx = static_cast<float *>(call->out[CO_COPY_EVENTS_BACKWARD_dx]);
  float *dscore = static_cast<float *>(call->out[CO_COPY_EVENTS_BACKWARD_dscore]);
  CO_LAUNCH(co::copy_events_backward,
            co::blocks_for((dx ? a.N * a.K : 0) + (dscore ? a.N * a.T : 0)), co::block_threads, 0,
            call->stream, dx, dscore,
            static_cast<const float *>(call->in[CO_COPY_EVENTS_BACKWARD_y]),
            static_cast<const float *>(call->in[CO_COPY_EVENTS_BACKWARD_dy]), a,
            co_cuda_accumulates(call->desc, CO_COPY_EVENTS_BACKWARD_dx),
            co_cuda_accumulates(call->desc, CO_COPY_EVENTS_BACKWARD_dscore));
  return cudaGetLastError();
}
