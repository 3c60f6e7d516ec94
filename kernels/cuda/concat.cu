// SPDX-License-Identifier: Apache-2.0
// Tensors side by side in the last dimension, and apart again: one launch for all of them.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"

namespace co {

// Some of the tensors that lie side by side in the columns of another.
template <typename T> struct Parts {
  T *part[CO_OP_MAX_OPERANDS];
  unsigned begin[CO_OP_MAX_OPERANDS + 1]; // of each, counting only the columns of these parts
  unsigned column[CO_OP_MAX_OPERANDS];    // of each, among all columns
  unsigned width, across;                 // columns of these parts, all columns
  unsigned count;                         // elements of these parts
  unsigned accumulate;                    // bits
};

// The part of the i-th element of all, its index there, and in what all lie in.
template <typename T> struct Place {
  int part;
  unsigned inner, outer;
  __device__ Place(const Parts<T> &parts, int64_t i) : part(0) {
    unsigned row = static_cast<unsigned>(i) / parts.width;
    unsigned at = static_cast<unsigned>(i) % parts.width;
    while (at >= parts.begin[part + 1])
      part++;
    at -= parts.begin[part];
    inner = row * (parts.begin[part + 1] - parts.begin[part]) + at;
    outer = row * parts.across + parts.column[part] + at;
  }
};

template <typename T> __global__ void concat(T *y, Parts<T> parts) {
  for (int64_t i = grid_index(); i < parts.count; i += grid_size()) {
    Place<T> place(parts, i);
    y[place.outer] = parts.part[place.part][place.inner];
  }
}

// part (+)= its columns of dy.
template <typename T> __global__ void concat_backward(const T *dy, Parts<T> parts) {
  for (int64_t i = grid_index(); i < parts.count; i += grid_size()) {
    Place<T> place(parts, i);
    put(&parts.part[place.part][place.inner], static_cast<float>(dy[place.outer]),
        (parts.accumulate >> place.part & 1) != 0);
  }
}

// Those of `present` out of `all`, whose columns in `whole` are attr.parts.
template <typename T>
static Parts<T> choose_parts(const co_cuda_call *call, const co_tensor_desc *whole,
                             uint32_t present, void *const *all) {
  Parts<T> out = {};
  int number = 0;
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
    unsigned width = static_cast<unsigned>(call->desc->attr.parts[k]);
    if (present >> k & 1) {
      out.part[number] = static_cast<T *>(all[k]);
      out.begin[number] = out.width;
      out.column[number] = out.across;
      out.accumulate |= (call->desc->accumulate >> k & 1) << number;
      out.width += width;
      out.begin[++number] = out.width;
    }
    out.across += width;
  }
  out.count = static_cast<unsigned>(co_cuda_count(&whole->shape)) / out.across * out.width;
  return out;
}

template <typename T> static cudaError_t launch_concat(const co_cuda_call *call) {
  Parts<T> parts = choose_parts<T>(call, &call->desc->out[0], call->desc->has_in, call->in);
  CO_LAUNCH(concat<T>, blocks_for(parts.count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), parts);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_concat_backward(const co_cuda_call *call) {
  Parts<T> parts = choose_parts<T>(call, &call->desc->in[0], call->desc->has_out, call->out);
  CO_LAUNCH(concat_backward<T>, blocks_for(parts.count), block_threads, 0, call->stream,
            static_cast<const T *>(call->in[0]), parts);
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_concat(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_concat<co::bf16>(call)
                                        : co::launch_concat<float>(call);
}

extern "C" cudaError_t co_cuda_concat_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_concat_backward<co::bf16>(call)
                                        : co::launch_concat_backward<float>(call);
}
