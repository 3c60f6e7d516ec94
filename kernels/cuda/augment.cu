// SPDX-License-Identifier: Apache-2.0
// Parts of images, turned, in other colours, with a piece cut out. Some blocks an image, whose draws
// each block makes once.
#include "kernels/cuda/launch.h"

#include "kernels/augment.h"
#include "kernels/cuda/grid.cuh"

namespace co {

struct Augment { // extents fit 32 bits, as query makes sure
  int H, W, C;
  unsigned blocks; // blocks an image
  double fill;
};

template <typename Y, typename X>
__global__ void augment(Y *y, const X *x, const int64_t *ids, const co_step *step, Augment s,
                        co_op_attr attr) {
  CO_SHARED(co_augmented, drawn, 1);
  unsigned n = blockIdx.x / s.blocks, size = static_cast<unsigned>(s.H * s.W * s.C);
  if (threadIdx.x == 0) drawn[0] = co_augment_draw(step, &attr, ids[n], s.H, s.W);
  __syncthreads();
  const co_augmented a = drawn[0];
  const X *image = x + static_cast<int64_t>(n) * size;
  for (unsigned i = blockIdx.x % s.blocks * blockDim.x + threadIdx.x; i < size;
       i += s.blocks * blockDim.x) {
    int c = static_cast<int>(i % s.C), w = static_cast<int>(i / s.C % s.W);
    int h = static_cast<int>(i / s.C / s.W);
    int64_t rows[2], columns[2];
    double sums[2], value = s.fill;
    double down = co_augment_around(a.top + a.hh * h + a.hw * w, s.H, rows);
    double right = co_augment_around(a.left + a.wh * h + a.ww * w, s.W, columns);
    for (int k = 0; k < 2; k++) {
      const X *row = image + rows[k] * s.W * s.C + c;
      double first = static_cast<float>(row[columns[0] * s.C]);
      sums[k] = first + right * (static_cast<float>(row[columns[1] * s.C]) - first);
    }
    if (!co_augment_is_cut(&a, h, w))
      value = co_augment_coloured(&a, sums[0] + down * (sums[1] - sums[0]));
    y[static_cast<int64_t>(n) * size + i] = static_cast<Y>(static_cast<float>(value));
  }
}

template <typename Y, typename X> static cudaError_t launch_augment(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  const int64_t *dim = desc->in[0].shape.dim;
  Augment s;
  s.H = static_cast<int>(dim[1]);
  s.W = static_cast<int>(dim[2]);
  s.C = static_cast<int>(dim[3]);
  unsigned per_block = block_threads * 8;
  s.blocks = (static_cast<unsigned>(s.H * s.W * s.C) + per_block - 1) / per_block;
  s.fill = desc->attr.fill;
  CO_LAUNCH((augment<Y, X>), static_cast<unsigned>(dim[0]) * s.blocks, block_threads, 0,
            call->stream, static_cast<Y *>(call->out[0]), static_cast<const X *>(call->in[0]),
            static_cast<const int64_t *>(call->in[1]), static_cast<const co_step *>(call->in[2]), s,
            desc->attr);
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_augment(const co_cuda_call *call) {
  using co::bf16;
  bool from = co::is_bf16(call->desc->in[0]);
  if (co::is_bf16(call->desc->out[0]))
    return from ? co::launch_augment<bf16, bf16>(call) : co::launch_augment<bf16, float>(call);
  return from ? co::launch_augment<float, bf16>(call) : co::launch_augment<float, float>(call);
}
