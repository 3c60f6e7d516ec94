// SPDX-License-Identifier: Apache-2.0
// Convolutions without a library: slow, for machines without cuDNN and for what it refuses (padding
// that is uneven, most of all). Kernels lie (O, KH, KW, I), as for cuDNN.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"

namespace co {

struct Conv { // extents fit 32 bits, as query makes sure
  int N, H, W, C, KH, KW, P, Q, O;
  int I, G; // channels and results of one group
  int stride[2], dilation[2], pad[2];
};

template <typename T>
__global__ void conv_forward(T *y, const T *x, const T *w, const T *b, unsigned count, Conv s,
                             co_activation activation) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned rest = static_cast<unsigned>(i);
    int o = static_cast<int>(rest % s.O);
    rest /= s.O;
    int q = static_cast<int>(rest % s.Q);
    rest /= s.Q;
    int p = static_cast<int>(rest % s.P);
    const T *image = x + static_cast<int64_t>(rest / s.P) * s.H * s.W * s.C;
    const T *kernel = w + static_cast<int64_t>(o) * s.KH * s.KW * s.I;
    float sum = 0;
    for (int kh = 0; kh < s.KH; kh++) {
      int h = p * s.stride[0] - s.pad[0] + kh * s.dilation[0];
      if (h < 0 || h >= s.H) continue;
      for (int kw = 0; kw < s.KW; kw++) {
        int v = q * s.stride[1] - s.pad[1] + kw * s.dilation[1];
        if (v < 0 || v >= s.W) continue;
        const T *pixel = image + static_cast<int64_t>(h * s.W + v) * s.C + o / s.G * s.I;
        const T *tap = kernel + static_cast<int64_t>(kh * s.KW + kw) * s.I;
        for (int c = 0; c < s.I; c++)
          sum += static_cast<float>(pixel[c]) * static_cast<float>(tap[c]);
      }
    }
    y[i] = static_cast<T>(activate(activation, sum + (b ? static_cast<float>(b[o]) : 0.0f)));
  }
}

// The output position whose tap k lies over row or column i of x, -1 if there is none.
__device__ __forceinline__ int position_over(const Conv &s, int axis, int i, int k, int count) {
  int from_begin = i + s.pad[axis] - k * s.dilation[axis];
  if (from_begin < 0 || from_begin % s.stride[axis] != 0) return -1;
  int p = from_begin / s.stride[axis];
  return p < count ? p : -1;
}

// The gradient of x; with a bias and an activation (else NULL and none) a transposed convolution.
template <typename T>
__global__ void conv_backward_data(T *dx, const T *dy, const T *w, const T *b, unsigned count,
                                   Conv s, co_activation activation, bool accumulate) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned rest = static_cast<unsigned>(i);
    int c = static_cast<int>(rest % s.C);
    rest /= s.C;
    int v = static_cast<int>(rest % s.W);
    rest /= s.W;
    int h = static_cast<int>(rest % s.H);
    const T *image = dy + static_cast<int64_t>(rest / s.H) * s.P * s.Q * s.O;
    float sum = 0;
    for (int kh = 0; kh < s.KH; kh++) {
      int p = position_over(s, 0, h, kh, s.P);
      if (p < 0) continue;
      for (int kw = 0; kw < s.KW; kw++) {
        int q = position_over(s, 1, v, kw, s.Q);
        if (q < 0) continue;
        const T *pixel = image + static_cast<int64_t>(p * s.Q + q) * s.O;
        const T *tap = w + static_cast<int64_t>(kh * s.KW + kw) * s.I + c % s.I;
        for (int o = c / s.I * s.G; o < (c / s.I + 1) * s.G; o++)
          sum += static_cast<float>(pixel[o]) *
                 static_cast<float>(tap[static_cast<int64_t>(o) * s.KH * s.KW * s.I]);
      }
    }
    sum += b ? static_cast<float>(b[c]) : 0.0f;
    put(&dx[i], activate(activation, sum), accumulate);
  }
}

// A warp a weight: its lanes share the output positions.
template <typename T, typename W>
__global__ void conv_backward_weights(W *dw, const T *x, const T *dy, int64_t count, Conv s,
                                      bool accumulate) {
  int lane = static_cast<int>(threadIdx.x) % warp_lanes;
  int64_t positions = static_cast<int64_t>(s.N) * s.P * s.Q;
  for (int64_t i = grid_index() / warp_lanes; i < count; i += grid_size() / warp_lanes) {
    int kw = static_cast<int>(i / s.I % s.KW), kh = static_cast<int>(i / s.I / s.KW % s.KH);
    int o = static_cast<int>(i / s.I / s.KW / s.KH);
    int c = o / s.G * s.I + static_cast<int>(i % s.I);
    double sum = 0;
    for (int64_t at = lane; at < positions; at += warp_lanes) {
      int64_t n = at / s.Q / s.P;
      int h = static_cast<int>(at / s.Q % s.P) * s.stride[0] - s.pad[0] + kh * s.dilation[0];
      int v = static_cast<int>(at % s.Q) * s.stride[1] - s.pad[1] + kw * s.dilation[1];
      if (h < 0 || h >= s.H || v < 0 || v >= s.W) continue;
      float pixel = static_cast<float>(x[((n * s.H + h) * s.W + v) * s.C + c]);
      sum += static_cast<double>(pixel) * static_cast<double>(static_cast<float>(dy[at * s.O + o]));
    }
    sum = warp_sum(sum);
    if (lane == 0) put(&dw[i], static_cast<float>(sum), accumulate);
  }
}

static Conv conv_of(const co_op_attr &attr, const co_shape &x, const co_shape &w,
                    const co_shape &y) {
  Conv s;
  s.N = static_cast<int>(x.dim[0]);
  s.H = static_cast<int>(x.dim[1]);
  s.W = static_cast<int>(x.dim[2]);
  s.C = static_cast<int>(x.dim[3]);
  s.KH = static_cast<int>(w.dim[0]);
  s.KW = static_cast<int>(w.dim[1]);
  s.P = static_cast<int>(y.dim[1]);
  s.Q = static_cast<int>(y.dim[2]);
  s.O = static_cast<int>(y.dim[3]);
  s.I = static_cast<int>(w.dim[2]);
  s.G = s.O / (s.C / s.I);
  for (int axis = 0; axis < 2; axis++) {
    s.stride[axis] = static_cast<int>(attr.stride[axis]);
    s.dilation[axis] = static_cast<int>(attr.dilation[axis]);
    s.pad[axis] = static_cast<int>(attr.pad_begin[axis]);
  }
  return s;
}

template <typename T> static cudaError_t launch_forward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape);
  CO_LAUNCH(conv_forward<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]),
            static_cast<const T *>(call->in[1]), static_cast<const T *>(call->in[2]),
            static_cast<unsigned>(count),
            conv_of(desc->attr, desc->in[0].shape, desc->in[1].shape, desc->out[0].shape),
            desc->attr.activation);
  return cudaGetLastError();
}

template <typename T>
static cudaError_t launch_backward_data(const co_cuda_call *call, const void *bias) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape);
  CO_LAUNCH(conv_backward_data<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[0]), static_cast<const T *>(call->in[0]),
            static_cast<const T *>(call->in[1]), static_cast<const T *>(bias),
            static_cast<unsigned>(count),
            conv_of(desc->attr, desc->out[0].shape, desc->in[1].shape, desc->in[0].shape),
            desc->attr.activation, co_cuda_accumulates(desc, 0));
  return cudaGetLastError();
}

// `image`, `positions`: which inputs are x and dy of the convolution that the kernel is of.
template <typename T, typename W>
static cudaError_t launch_backward_weights(const co_cuda_call *call, int image, int positions) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape);
  CO_LAUNCH(
      (conv_backward_weights<T, W>), blocks_for(count * warp_lanes), block_threads, 0, call->stream,
      static_cast<W *>(call->out[0]), static_cast<const T *>(call->in[image]),
      static_cast<const T *>(call->in[positions]), count,
      conv_of(desc->attr, desc->in[image].shape, desc->out[0].shape, desc->in[positions].shape),
      co_cuda_accumulates(desc, 0));
  cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess || !call->out[1]) return error;
  const co_shape *dy = &desc->in[1].shape;
  return co_cuda_column_sum(static_cast<float *>(call->out[1]), call->in[1], desc->in[1].dtype,
                            co_cuda_count(dy) / co_cuda_last(dy), co_cuda_last(dy),
                            co_cuda_accumulates(desc, 1), call->workspace, call);
}

static cudaError_t backward_weights(const co_cuda_call *call, int image, int positions) {
  if (is_bf16(call->desc->out[0]))
    return launch_backward_weights<bf16, bf16>(call, image, positions);
  return is_bf16(call->desc->in[0]) ? launch_backward_weights<bf16, float>(call, image, positions)
                                    : launch_backward_weights<float, float>(call, image, positions);
}

} // namespace co

extern "C" cudaError_t co_cuda_conv2d(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_forward<co::bf16>(call)
                                        : co::launch_forward<float>(call);
}

extern "C" cudaError_t co_cuda_conv2d_backward_data(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_backward_data<co::bf16>(call, nullptr)
                                        : co::launch_backward_data<float>(call, nullptr);
}

extern "C" size_t co_cuda_conv2d_backward_weights_scratch(const co_op_desc *desc) {
  if (!co_cuda_has_out(desc, 1)) return 0;
  return co::column_scratch(co::wide_columns_of(desc->in[1].shape), 1);
}

extern "C" int co_cuda_conv2d_backward_weights_launches(const co_op_desc *desc) {
  return co_cuda_has_out(desc, 1) ? 2 : 1;
}

extern "C" cudaError_t co_cuda_conv2d_backward_weights(const co_cuda_call *call) {
  return co::backward_weights(call, 0, 1);
}

extern "C" cudaError_t co_cuda_conv2d_transpose(const co_cuda_call *call) {
  const void *bias = call->in[CO_CONV2D_TRANSPOSE_b];
  return co::is_bf16(call->desc->in[0]) ? co::launch_backward_data<co::bf16>(call, bias)
                                        : co::launch_backward_data<float>(call, bias);
}

extern "C" cudaError_t co_cuda_conv2d_transpose_backward_weights(const co_cuda_call *call) {
  return co::backward_weights(call, 1, 0);
}
