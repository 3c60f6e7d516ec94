// SPDX-License-Identifier: Apache-2.0
// The maximum over windows of images and the gradient below it, for the kernels that pool: those of
// MAX_POOL2D, and of BATCH_NORM with the pool behind it. A pixel asks the windows over it whether it
// has won, so that no two threads write one element and the order of the sum is fixed.
#ifndef COHORT_KERNELS_CUDA_POOL_CUH
#define COHORT_KERNELS_CUDA_POOL_CUH

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/reduce.cuh"

namespace co {

struct Pool { // extents fit 32 bits, as query makes sure
  int H, W, C, P, Q;
  int kernel[2], stride[2], pad[2];
  co_activation activation; // forward
};

// Of a window's positions a byte holds 255, and 255 for none; -1 in 32 bits.
template <int N, typename Index>
__device__ __forceinline__ void store_winners(Index *to, const int (&winner)[N]) {
  if constexpr (N == 4 && sizeof(Index) == 1) {
    unsigned four = 0;
    for (int k = 0; k < N; k++)
      four |= (static_cast<unsigned>(winner[k]) & 255u) << 8 * k;
    *reinterpret_cast<unsigned *>(to) = four;
  } else {
    for (int k = 0; k < N; k++)
      to[k] = static_cast<Index>(winner[k]);
  }
}

template <int N, typename Index>
__device__ __forceinline__ void load_winners(int (&winner)[N], const Index *from) {
  if constexpr (N == 4 && sizeof(Index) == 1) {
    unsigned four = *reinterpret_cast<const unsigned *>(from);
    for (int k = 0; k < N; k++)
      winner[k] = static_cast<int>(four >> 8 * k & 255u);
  } else {
    for (int k = 0; k < N; k++)
      winner[k] = static_cast<int>(from[k]);
  }
}

inline Pool pool_of(const co_op_attr &attr, const co_shape &x, const co_shape &y) {
  Pool s;
  s.H = static_cast<int>(x.dim[1]);
  s.W = static_cast<int>(x.dim[2]);
  s.C = static_cast<int>(x.dim[3]);
  s.P = static_cast<int>(y.dim[1]);
  s.Q = static_cast<int>(y.dim[2]);
  for (int axis = 0; axis < 2; axis++) {
    s.kernel[axis] = static_cast<int>(attr.kernel[axis]);
    s.stride[axis] = static_cast<int>(attr.stride[axis]);
    s.pad[axis] = static_cast<int>(attr.pad_begin[axis]);
  }
  s.activation = attr.activation;
  return s;
}

// The result of a window, and the position it is from, of the N channels from c on of x (images,
// H, W, C). `map` is applied to what is read first; NaN wins only where it comes first.
template <int N, typename T, typename Map>
__device__ __forceinline__ Pack<N> pool_window(const Pool &s, unsigned window, int c, const T *x,
                                               int (&winner)[N], Map map) {
  int q = static_cast<int>(window % s.Q);
  unsigned rest = window / s.Q;
  int p = static_cast<int>(rest % s.P), top = p * s.stride[0] - s.pad[0];
  int left = q * s.stride[1] - s.pad[1];
  const T *image = x + static_cast<int64_t>(rest / s.P) * s.H * s.W * s.C + c;
  Pack<N> best;
  for (int k = 0; k < N; k++)
    best.x[k] = 0, winner[k] = -1;
  for (int kh = 0; kh < s.kernel[0]; kh++) {
    int h = top + kh;
    if (h < 0 || h >= s.H) continue;
    for (int kw = 0; kw < s.kernel[1]; kw++) {
      int w = left + kw;
      if (w < 0 || w >= s.W) continue;
      Pack<N> value = load<N>(image + static_cast<int64_t>(h * s.W + w) * s.C);
      map(value);
      for (int k = 0; k < N; k++) {
        if (winner[k] >= 0 && !(value.x[k] > best.x[k])) continue;
        best.x[k] = value.x[k];
        winner[k] = kh * s.kernel[1] + kw;
      }
    }
  }
  for (int k = 0; k < N; k++) {
    if (s.activation == CO_ACTIVATION_RELU && !(best.x[k] > 0)) winner[k] = -1;
    best.x[k] = activate(s.activation, best.x[k]);
  }
  return best;
}

// The positions p >= 0 whose window [p stride, p stride + kernel) holds `at` are first ... last.
__device__ __forceinline__ void windows_over(int at, int kernel, int stride, int positions,
                                             int *first, int *last) {
  *first = at < kernel ? 0 : (at - kernel) / stride + 1;
  *last = at / stride < positions ? at / stride : positions - 1;
}

// The sum of dy over the windows that a pixel has won, of the N channels from c on.
template <int N, typename T, typename Index>
__device__ __forceinline__ Pack<N> unpool(const Pool &s, unsigned pixel, int c, const T *dy,
                                          const Index *argmax) {
  int w = static_cast<int>(pixel % s.W) + s.pad[1];
  unsigned rest = pixel / s.W;
  int h = static_cast<int>(rest % s.H) + s.pad[0];
  int64_t image = static_cast<int64_t>(rest / s.H) * s.P * s.Q * s.C + c;
  int first_p, last_p, first_q, last_q;
  windows_over(h, s.kernel[0], s.stride[0], s.P, &first_p, &last_p);
  windows_over(w, s.kernel[1], s.stride[1], s.Q, &first_q, &last_q);
  Pack<N> sum;
  for (int k = 0; k < N; k++)
    sum.x[k] = 0;
  for (int p = first_p; p <= last_p; p++)
    for (int q = first_q; q <= last_q; q++) {
      int64_t at = image + static_cast<int64_t>(p * s.Q + q) * s.C;
      int tap = (h - p * s.stride[0]) * s.kernel[1] + w - q * s.stride[1], winner[N];
      load_winners<N>(winner, argmax + at);
      Pack<N> gradient = load<N>(dy + at);
      for (int k = 0; k < N; k++)
        if (winner[k] == tap) sum.x[k] += gradient.x[k];
    }
  return sum;
}

} // namespace co

#endif
