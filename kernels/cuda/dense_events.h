// SPDX-License-Identifier: Apache-2.0
// Between RECURRENT's operands and what cuDNN's recurrent layers take: events first, (T, N, …) in the
// order in which they are gone through, float, every row with T events.
//
// cuDNN wants the lengths on the host when a call is enqueued, and a recorded graph would keep those of
// the batch it was recorded with. So it is told that all rows have T events, and the padding, which
// stands at the end of every row in this order (also of one gone through backwards, because it is
// reversed within its own length), is kept from doing harm here, by the lengths on the device:
//   forward: x is 0 there, whatever lies behind a row. An event's state depends on those before it
//     alone, so the states of real events are right, and those of padding, which are finite, are
//     never read: y is 0 there, and `last` is picked at the last real event.
//   backward: the gradients of the states of padding are 0 (dy is not read there, dlast enters at the
//     last real event), and so is all that is a product of them: going back from the end of a row,
//     nothing arrives at its last real event but dy and dlast. 0 times a finite value is added to the
//     gradients of the weights, so these are exact, too. dx is 0 there.
#ifndef COHORT_KERNELS_CUDA_DENSE_EVENTS_H
#define COHORT_KERNELS_CUDA_DENSE_EVENTS_H

#include "kernels/cuda/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_CUDA_MOST_GATES = 4 };

// A layer, and where its weights lie in cuDNN's weight space: of gate g (in the order of ops.h) the
// matrices (U, I) and (U, U) and the biases (U), in floats from its start; -1 = there is no such bias.
typedef struct co_cuda_dense_events {
  int64_t N, T;
  int I, U, gates;
  bool reverse;
  struct {
    int64_t x, h, x_bias, h_bias;
  } at[CO_CUDA_MOST_GATES];
} co_cuda_dense_events;

// All of these are one launch on the call's stream. RECURRENT: its x and weights to xs (T, N, I) and the
// weight space; ys (T, N, U) to y and last.
cudaError_t co_cuda_dense_events_begin(const co_cuda_call *call, const co_cuda_dense_events *layer,
                                       float *xs, float *weights);
cudaError_t co_cuda_dense_events_end(const co_cuda_call *call, const co_cuda_dense_events *layer,
                                     const float *ys);

// RECURRENT_BACKWARD: the same, and dy with dlast to dys (T, N, U); the `weight_floats` of dweights, a
// weight space that cuDNN adds to, are cleared. Then dxs (T, N, I) and dweights to the results.
typedef struct co_cuda_dense_gradients {
  float *xs, *weights, *dys, *dxs, *dweights;
  int64_t weight_floats;
} co_cuda_dense_gradients;
cudaError_t co_cuda_dense_events_backward_begin(const co_cuda_call *call,
                                                const co_cuda_dense_events *layer,
                                                const co_cuda_dense_gradients *to);
cudaError_t co_cuda_dense_events_backward_end(const co_cuda_call *call,
                                              const co_cuda_dense_events *layer,
                                              const co_cuda_dense_gradients *from);

#ifdef __cplusplus
}
#endif
#endif
