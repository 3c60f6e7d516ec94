// SPDX-License-Identifier: Apache-2.0
// Every pixel of an image several times. Both ways gather: an element of the result asks where it is
// from, so that no two threads write one and the order of sums is fixed.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"

namespace co {

struct Upsample { // extents fit 32 bits, as query makes sure
  unsigned H, W, C, down, right;
};

template <typename T> __global__ void upsample(T *y, const T *x, unsigned count, Upsample s) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned rest = static_cast<unsigned>(i);
    unsigned c = rest % s.C;
    rest /= s.C;
    unsigned w = rest % (s.W * s.right) / s.right;
    rest /= s.W * s.right;
    unsigned h = rest % (s.H * s.down) / s.down;
    rest /= s.H * s.down;
    y[i] = x[((rest * s.H + h) * s.W + w) * s.C + c];
  }
}

template <typename T>
__global__ void upsample_backward(T *dx, const T *dy, unsigned count, Upsample s, bool accumulate) {
  unsigned row = s.W * s.right * s.C;
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned rest = static_cast<unsigned>(i);
    unsigned c = rest % s.C;
    rest /= s.C;
    unsigned w = rest % s.W;
    rest /= s.W; // over images and their rows
    const T *corner = dy + static_cast<int64_t>(rest) * s.down * row +
                      static_cast<int64_t>(w) * s.right * s.C + c;
    float sum = 0;
    for (unsigned down = 0; down < s.down; down++)
      for (unsigned right = 0; right < s.right; right++)
        sum += static_cast<float>(corner[static_cast<int64_t>(down) * row + right * s.C]);
    put(&dx[i], sum, accumulate);
  }
}

static Upsample upsample_of(const co_op_attr &attr, const co_shape &x) {
  Upsample s;
  s.H = static_cast<unsigned>(x.dim[1]);
  s.W = static_cast<unsigned>(x.dim[2]);
  s.C = static_cast<unsigned>(x.dim[3]);
  s.down = static_cast<unsigned>(attr.stride[0]);
  s.right = static_cast<unsigned>(attr.stride[1]);
  return s;
}

template <typename T> static cudaError_t launch_upsample(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape);
  CO_LAUNCH(upsample<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]),
            static_cast<unsigned>(count), upsample_of(desc->attr, desc->in[0].shape));
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_upsample_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape);
  CO_LAUNCH(upsample_backward<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]),
            static_cast<unsigned>(count), upsample_of(desc->attr, desc->out[0].shape),
            co_cuda_accumulates(desc, 0));
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_upsample2d(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_upsample<co::bf16>(call)
                                        : co::launch_upsample<float>(call);
}

extern "C" cudaError_t co_cuda_upsample2d_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_upsample_backward<co::bf16>(call)
                                        : co::launch_upsample_backward<float>(call);
}
