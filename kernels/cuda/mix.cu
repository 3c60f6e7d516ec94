// SPDX-License-Identifier: Apache-2.0
// Images mixed with others of the batch. Some blocks an image, whose draws each block makes once.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"
#include "kernels/mix.h"

namespace co {

struct Images { // extents fit 32 bits, as query makes sure
  int N, H, W, C;
  unsigned blocks; // blocks an image
};

template <typename T>
__global__ void mix_rows(T *y, const T *x, const co_step *step, Images s, co_op_attr attr) {
  CO_SHARED(co_mixed, drawn, 1);
  unsigned n = blockIdx.x / s.blocks, size = static_cast<unsigned>(s.H * s.W * s.C);
  if (threadIdx.x == 0) drawn[0] = co_mix_draw(step, &attr, n, s.N, s.H, s.W);
  __syncthreads();
  const co_mixed m = drawn[0];
  const T *mine = x + static_cast<int64_t>(n) * size, *others = x + m.other * size;
  for (unsigned i = blockIdx.x % s.blocks * blockDim.x + threadIdx.x; i < size;
       i += s.blocks * blockDim.x) {
    int h = static_cast<int>(i / s.C / s.W), w = static_cast<int>(i / s.C % s.W);
    double share = co_mix_share(&m, h, w);
    double own = static_cast<float>(mine[i]), other = static_cast<float>(others[i]);
    double value = share == 1 ? own : share == 0 ? other : other + share * (own - other);
    y[static_cast<int64_t>(n) * size + i] = static_cast<T>(static_cast<float>(value));
  }
}

template <typename T> static cudaError_t launch_mix(const co_cuda_call *call) {
  const int64_t *dim = call->desc->in[CO_MIX_ROWS_x].shape.dim;
  Images s;
  s.N = static_cast<int>(dim[0]);
  s.H = static_cast<int>(dim[1]);
  s.W = static_cast<int>(dim[2]);
  s.C = static_cast<int>(dim[3]);
  unsigned per_block = block_threads * 8;
  s.blocks = (static_cast<unsigned>(s.H * s.W * s.C) + per_block - 1) / per_block;
  CO_LAUNCH(mix_rows<T>, static_cast<unsigned>(dim[0]) * s.blocks, block_threads, 0, call->stream,
            static_cast<T *>(call->out[CO_MIX_ROWS_y]),
            static_cast<const T *>(call->in[CO_MIX_ROWS_x]),
            static_cast<const co_step *>(call->in[CO_MIX_ROWS_step]), s, call->desc->attr);
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_mix_rows(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_mix<co::bf16>(call)
                                        : co::launch_mix<float>(call);
}
