// SPDX-License-Identifier: Apache-2.0
// LSTM: a block a row, its threads the columns of the gates, the events one after another. Plain:
// state lies in scratch memory, and every block reads the kernels anew for every event.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"

namespace co {

struct Lstm {
  int64_t N, T;
  int I, U;
};

static Lstm lstm_of(const co_op_desc *desc) { // places are the same in the backward
  const int64_t *x = desc->in[CO_LSTM_x].shape.dim;
  return {x[0], x[1], static_cast<int>(x[2]),
          static_cast<int>(desc->in[CO_LSTM_recurrent].shape.dim[0])};
}

__device__ __forceinline__ int64_t length_of(const int32_t *lengths, int64_t n, int64_t T) {
  int64_t length = lengths[n];
  return length < 0 ? 0 : length < T ? length : T;
}

__device__ __forceinline__ float sigmoid(float z) {
  return 1.0f / (1.0f + expf(-z));
}

// Column j of x kernel + h recurrent + bias.
template <typename T>
__device__ __forceinline__ float gate_sum(const T *x, const float *h, const float *kernel,
                                          const float *recurrent, const float *bias, int j,
                                          const Lstm &s) {
  int64_t width = 4 * s.U;
  float z = bias[j];
  for (int i = 0; i < s.I; i++)
    z += static_cast<float>(x[i]) * kernel[i * width + j];
  for (int u = 0; u < s.U; u++)
    z += h[u] * recurrent[u * width + j];
  return z;
}

// Scratch of a row: gates (4 U), h (U), c (U). y, gates and cells may be absent.
template <typename T>
__global__ void lstm(T *last, T *y, float *gates, float *cells, float *scratch, const T *x,
                     const int32_t *lengths, const float *kernel, const float *recurrent,
                     const float *bias, Lstm s) {
  int U = s.U, width = 4 * U;
  for (int64_t n = blockIdx.x; n < s.N; n += gridDim.x) {
    int64_t length = length_of(lengths, n, s.T);
    float *z = scratch + n * 6 * U, *h = z + width, *c = h + U;
    for (int u = threadIdx.x; u < U; u += blockDim.x)
      h[u] = c[u] = 0;
    __syncthreads();
    for (int64_t t = 0; t < length; t++) {
      int64_t row = n * s.T + t;
      for (int j = threadIdx.x; j < width; j += blockDim.x) {
        float sum = gate_sum(x + row * s.I, h, kernel, recurrent, bias, j, s);
        z[j] = j / U == 2 ? tanhf(sum) : sigmoid(sum);
        if (gates) gates[row * width + j] = z[j];
      }
      __syncthreads();
      for (int u = threadIdx.x; u < U; u += blockDim.x) {
        c[u] = z[U + u] * c[u] + z[u] * z[2 * U + u];
        h[u] = z[3 * U + u] * tanhf(c[u]);
        if (cells) cells[row * U + u] = c[u];
        if (y) y[row * U + u] = static_cast<T>(h[u]);
      }
      __syncthreads();
    }
    int64_t from = n * s.T + length, padding = s.T - length; // rows of events
    for (int64_t i = threadIdx.x; gates && i < padding * width; i += blockDim.x)
      gates[from * width + i] = 0;
    for (int64_t i = threadIdx.x; i < padding * U; i += blockDim.x) {
      if (cells) cells[from * U + i] = 0;
      if (y) y[from * U + i] = static_cast<T>(0.0f);
    }
    for (int u = threadIdx.x; u < U; u += blockDim.x)
      last[n * U + u] = static_cast<T>(h[u]);
    __syncthreads();
  }
}

// ---- backward

struct LstmBackward {
  const int32_t *lengths;
  const float *kernel, *recurrent, *gates, *cells;
  float *dz, *before; // (N, T, 4 U), and the h before each event (N, T, U)
  float *state;       // of a row: dh (U), dc (U)
};

// dz of unit u at one event; dc passes on to the event before.
__device__ __forceinline__ void gates_backward(const LstmBackward &b, const Lstm &s, int64_t row,
                                               bool first, int u, float dh, float *dc) {
  int U = s.U, width = 4 * U;
  const float *gates = b.gates + row * width;
  float i = gates[u], f = gates[U + u], g = gates[2 * U + u], o = gates[3 * U + u];
  float c_before = first ? 0.0f : b.cells[(row - 1) * U + u], bent = tanhf(b.cells[row * U + u]);
  float d = *dc + dh * o * (1 - bent * bent);
  float *dz = b.dz + row * width;
  dz[u] = d * g * i * (1 - i);
  dz[U + u] = d * c_before * f * (1 - f);
  dz[2 * U + u] = d * i * (1 - g * g);
  dz[3 * U + u] = dh * bent * o * (1 - o);
  *dc = d * f;
  b.before[row * U + u] = first ? 0.0f : (gates - width)[3 * U + u] * tanhf(c_before);
}

__device__ __forceinline__ float dot_row(const float *kernel, int64_t i, const float *dz,
                                         int width) {
  float sum = 0;
  for (int j = 0; j < width; j++)
    sum += dz[j] * kernel[i * width + j];
  return sum;
}

// Down the events of a row: dz, before and dx. dx, dlast and dy may be absent.
template <typename T>
__global__ void lstm_events(T *dx, const T *dlast, const T *dy, LstmBackward b, Lstm s,
                            bool accumulate) {
  int U = s.U, width = 4 * U;
  for (int64_t n = blockIdx.x; n < s.N; n += gridDim.x) {
    int64_t length = length_of(b.lengths, n, s.T);
    float *dh = b.state + n * 2 * U, *dc = dh + U;
    for (int u = threadIdx.x; u < U; u += blockDim.x) {
      dh[u] = dlast ? static_cast<float>(dlast[n * U + u]) : 0.0f;
      dc[u] = 0;
    }
    for (int64_t i = threadIdx.x; dx && !accumulate && i < (s.T - length) * s.I; i += blockDim.x)
      dx[(n * s.T + length) * s.I + i] = static_cast<T>(0.0f);
    __syncthreads();
    for (int64_t t = length; t-- > 0;) {
      int64_t row = n * s.T + t;
      for (int u = threadIdx.x; u < U; u += blockDim.x) {
        float d = dh[u] + (dy ? static_cast<float>(dy[row * U + u]) : 0.0f);
        gates_backward(b, s, row, t == 0, u, d, &dc[u]);
      }
      __syncthreads();
      const float *dz = b.dz + row * width;
      for (int u = threadIdx.x; u < U; u += blockDim.x)
        dh[u] = dot_row(b.recurrent, u, dz, width);
      for (int i = threadIdx.x; dx && i < s.I; i += blockDim.x)
        put(&dx[row * s.I + i], dot_row(b.kernel, i, dz, width), accumulate);
      __syncthreads();
    }
    __syncthreads();
  }
}

// Elements of dkernel (I, 4 U), drecurrent (U, 4 U) below it and dbias (4 U) last, one a thread:
// sums over the events of each row, then over rows.
template <typename T>
__global__ void lstm_gradients(float *dkernel, float *drecurrent, float *dbias, const T *x,
                               LstmBackward b, Lstm s, unsigned accumulate) {
  int width = 4 * s.U;
  int64_t count = static_cast<int64_t>(s.I + s.U + 1) * width;
  for (int64_t e = grid_index(); e < count; e += grid_size()) {
    int i = static_cast<int>(e / width), j = static_cast<int>(e % width);
    float total = 0;
    for (int64_t n = 0; n < s.N; n++) {
      int64_t length = length_of(b.lengths, n, s.T);
      float sum = 0;
      for (int64_t row = n * s.T; row < n * s.T + length; row++) {
        float factor = i < s.I         ? static_cast<float>(x[row * s.I + i])
                       : i < s.I + s.U ? b.before[row * s.U + i - s.I]
                                       : 1.0f;
        sum += factor * b.dz[row * width + j];
      }
      total += sum;
    }
    if (i < s.I)
      put(&dkernel[e], total, accumulate >> CO_LSTM_BACKWARD_dkernel & 1);
    else if (i < s.I + s.U)
      put(&drecurrent[e - static_cast<int64_t>(s.I) * width], total,
          accumulate >> CO_LSTM_BACKWARD_drecurrent & 1);
    else
      put(&dbias[j], total, accumulate >> CO_LSTM_BACKWARD_dbias & 1);
  }
}

static unsigned row_blocks(const Lstm &s) {
  return static_cast<unsigned>(s.N < most_blocks ? s.N : most_blocks);
}

template <typename T> static cudaError_t launch_lstm(const co_cuda_call *call) {
  Lstm s = lstm_of(call->desc);
  void *const *in = call->in, *const *out = call->out;
  CO_LAUNCH(lstm<T>, row_blocks(s), block_threads, 0, call->stream,
            static_cast<T *>(out[CO_LSTM_last]), static_cast<T *>(out[CO_LSTM_y]),
            static_cast<float *>(out[CO_LSTM_gates]), static_cast<float *>(out[CO_LSTM_cells]),
            static_cast<float *>(call->workspace), static_cast<const T *>(in[CO_LSTM_x]),
            static_cast<const int32_t *>(in[CO_LSTM_lengths]),
            static_cast<const float *>(in[CO_LSTM_kernel]),
            static_cast<const float *>(in[CO_LSTM_recurrent]),
            static_cast<const float *>(in[CO_LSTM_bias]), s);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_lstm_backward(const co_cuda_call *call) {
  Lstm s = lstm_of(call->desc);
  void *const *in = call->in, *const *out = call->out;
  float *dz = static_cast<float *>(call->workspace), *before = dz + s.N * s.T * 4 * s.U;
  LstmBackward b = {static_cast<const int32_t *>(in[CO_LSTM_BACKWARD_lengths]),
                    static_cast<const float *>(in[CO_LSTM_BACKWARD_kernel]),
                    static_cast<const float *>(in[CO_LSTM_BACKWARD_recurrent]),
                    static_cast<const float *>(in[CO_LSTM_BACKWARD_gates]),
                    static_cast<const float *>(in[CO_LSTM_BACKWARD_cells]),
                    dz,
                    before,
                    before + s.N * s.T * s.U};
  CO_LAUNCH(lstm_events<T>, row_blocks(s), block_threads, 0, call->stream,
            static_cast<T *>(out[CO_LSTM_BACKWARD_dx]),
            static_cast<const T *>(in[CO_LSTM_BACKWARD_dlast]),
            static_cast<const T *>(in[CO_LSTM_BACKWARD_dy]), b, s,
            co_cuda_accumulates(call->desc, CO_LSTM_BACKWARD_dx));
  cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) return error;
  CO_LAUNCH(lstm_gradients<T>, blocks_for(static_cast<int64_t>(s.I + s.U + 1) * 4 * s.U),
            block_threads, 0, call->stream, static_cast<float *>(out[CO_LSTM_BACKWARD_dkernel]),
            static_cast<float *>(out[CO_LSTM_BACKWARD_drecurrent]),
            static_cast<float *>(out[CO_LSTM_BACKWARD_dbias]),
            static_cast<const T *>(in[CO_LSTM_BACKWARD_x]), b, s, call->desc->accumulate);
  return cudaGetLastError();
}

} // namespace co

extern "C" size_t co_cuda_lstm_scratch(const co_op_desc *desc) {
  co::Lstm s = co::lstm_of(desc);
  return static_cast<size_t>(s.N) * 6 * static_cast<size_t>(s.U) * sizeof(float);
}

extern "C" size_t co_cuda_lstm_backward_scratch(const co_op_desc *desc) {
  co::Lstm s = co::lstm_of(desc);
  return static_cast<size_t>(s.N) * (static_cast<size_t>(s.T) * 5 + 2) * static_cast<size_t>(s.U) *
         sizeof(float);
}

extern "C" int co_cuda_lstm_backward_launches(const co_op_desc *desc) {
  (void)desc;
  return 2;
}

extern "C" cudaError_t co_cuda_lstm(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_LSTM_x]) ? co::launch_lstm<co::bf16>(call)
                                                : co::launch_lstm<float>(call);
}

extern "C" cudaError_t co_cuda_lstm_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_LSTM_BACKWARD_x]) ? co::launch_lstm_backward<co::bf16>(call)
                                                         : co::launch_lstm_backward<float>(call);
}
