// SPDX-License-Identifier: Apache-2.0
// An image within zeros, or cut out of a larger one: an element of the result asks where it is from.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"

namespace co {

struct Placed { // extents fit 32 bits, as query makes sure
  int H, W, P, Q, C, top, left;
};

template <typename T>
__global__ void place(T *y, const T *x, unsigned count, Placed s, bool accumulate) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned rest = static_cast<unsigned>(i);
    int c = static_cast<int>(rest % s.C);
    rest /= s.C;
    int w = static_cast<int>(rest % s.Q) - s.left;
    rest /= s.Q;
    int h = static_cast<int>(rest % s.P) - s.top;
    int64_t row = static_cast<int64_t>(rest / s.P) * s.H + h;
    bool there = h >= 0 && h < s.H && w >= 0 && w < s.W;
    put(&y[i], there ? static_cast<float>(x[(row * s.W + w) * s.C + c]) : 0.0f, accumulate);
  }
}

template <typename T> static cudaError_t launch_place(const co_cuda_call *call, int sign) {
  const co_op_desc *desc = call->desc;
  const int64_t *x = desc->in[0].shape.dim, *y = desc->out[0].shape.dim;
  int64_t count = co_cuda_count(&desc->out[0].shape);
  Placed s;
  s.H = static_cast<int>(x[1]);
  s.W = static_cast<int>(x[2]);
  s.P = static_cast<int>(y[1]);
  s.Q = static_cast<int>(y[2]);
  s.C = static_cast<int>(y[3]);
  s.top = sign * static_cast<int>(desc->attr.pad_begin[0]);
  s.left = sign * static_cast<int>(desc->attr.pad_begin[1]);
  CO_LAUNCH(place<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]),
            static_cast<unsigned>(count), s, co_cuda_accumulates(desc, 0));
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_pad2d(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_place<co::bf16>(call, 1)
                                        : co::launch_place<float>(call, 1);
}

extern "C" cudaError_t co_cuda_pad2d_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_place<co::bf16>(call, -1)
                                        : co::launch_place<float>(call, -1);
}
