// SPDX-License-Identifier: Apache-2.0
// RECURRENT: a block a row, its threads the columns of sums, the events one after another. Plain:
// state lies in scratch memory, and every block reads the kernels anew for every event.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/grid.cuh"

namespace co {

// Sums of an event are groups of U columns: LSTM's gates; GRU's z, r and the two parts of n, which
// are not added up.
struct Recurrent {
  int64_t N, T;
  int I, U, width, saved, groups; // width: gates U; saved: S U
  co_rnn_cell cell;
  bool reverse;
  co_rnn_function gates, states;
};

static Recurrent recurrent_of(const co_op_desc *desc) { // places are the same in the backward
  const int64_t *x = desc->in[CO_RECURRENT_x].shape.dim;
  int U = static_cast<int>(desc->in[CO_RECURRENT_recurrent].shape.dim[0]);
  co_rnn_cell cell = desc->attr.cell;
  return {x[0],
          x[1],
          static_cast<int>(x[2]),
          U,
          static_cast<int>(co_rnn_gates(cell)) * U,
          static_cast<int>(co_rnn_saved(cell)) * U,
          cell == CO_CELL_SIMPLE_RNN ? 1 : 4,
          cell,
          desc->attr.reverse != 0,
          desc->attr.gates,
          desc->attr.states};
}

__device__ __forceinline__ int64_t length_of(const int32_t *lengths, int64_t n, int64_t T) {
  if (lengths == nullptr) return T;
  int64_t length = lengths[n];
  return length < 0 ? 0 : length < T ? length : T;
}

// Where the k-th event of row n that is gone through lies.
__device__ __forceinline__ int64_t place_of(const Recurrent &s, int64_t n, int64_t k,
                                            int64_t length) {
  return n * s.T + (s.reverse ? length - 1 - k : k);
}

__device__ __forceinline__ float sigmoid(float z) {
  return 1.0f / (1.0f + expf(-z));
}

__device__ __forceinline__ float bend(co_rnn_function function, float z) {
  return function == CO_RNN_RELU ? fmaxf(z, 0.0f) : fminf(fmaxf(0.2f * z + 0.5f, 0.0f), 1.0f);
}

__device__ __forceinline__ float gate(const Recurrent &s, float z) {
  return s.gates == CO_RNN_OWN ? sigmoid(z) : bend(s.gates, z);
}

__device__ __forceinline__ float squash(const Recurrent &s, float z) {
  return s.states == CO_RNN_OWN ? tanhf(z) : bend(s.states, z);
}

// Slopes by the functions' values.
__device__ __forceinline__ float bent_slope(co_rnn_function function, float y) {
  return function == CO_RNN_RELU ? (y > 0 ? 1.0f : 0.0f) : (y > 0 && y < 1 ? 0.2f : 0.0f);
}

__device__ __forceinline__ float gate_slope(const Recurrent &s, float y) {
  return s.gates == CO_RNN_OWN ? y * (1 - y) : bent_slope(s.gates, y);
}

__device__ __forceinline__ float squash_slope(const Recurrent &s, float y) {
  return s.states == CO_RNN_OWN ? (1 - y) * (1 + y) : bent_slope(s.states, y);
}

// The column of the sums that a column of the recurrent kernel adds to; the kernel's are in place.
__device__ __forceinline__ int recurrent_column(const Recurrent &s, int j) {
  return s.cell == CO_CELL_GRU && j >= 2 * s.U ? j + s.U : j;
}

// Column j of the sums: x kernel + h recurrent + the biases.
template <typename T>
__device__ __forceinline__ float column_sum(const T *x, const float *h, const float *kernel,
                                            const float *recurrent, const float *bias, int j,
                                            const Recurrent &s) {
  bool gru = s.cell == CO_CELL_GRU, takes_x = !gru || j < 3 * s.U;
  bool takes_h = !gru || j / s.U != 2;
  int64_t width = s.width, back = gru && j >= 3 * s.U ? j - s.U : j;
  float z = takes_x ? bias[j] : 0.0f;
  for (int i = 0; takes_x && i < s.I; i++)
    z += static_cast<float>(x[i]) * kernel[i * width + j];
  if (gru && takes_h) z += bias[width + back];
  for (int u = 0; takes_h && u < s.U; u++)
    z += h[u] * recurrent[u * width + back];
  return z;
}

// The cell of unit u: sums z to the values saved, v[k U], and the states.
__device__ __forceinline__ void next_state(const Recurrent &s, const float *z, int u, float *v,
                                           float *h, float *c) {
  int U = s.U;
  if (s.cell == CO_CELL_SIMPLE_RNN) {
    v[0] = *h = squash(s, z[u]);
  } else if (s.cell == CO_CELL_GRU) {
    float keep = gate(s, z[u]), reset = gate(s, z[U + u]), part = z[3 * U + u];
    float fresh = squash(s, z[2 * U + u] + reset * part);
    float take =
        s.gates == CO_RNN_OWN ? sigmoid(-z[u]) : 1 - keep; // of sigmoids 1 - keep would cancel
    *h = keep * *h + take * fresh;
    v[0] = keep, v[U] = reset, v[2 * U] = fresh, v[3 * U] = part, v[4 * U] = *h;
  } else {
    float i = gate(s, z[u]), f = gate(s, z[U + u]), g = squash(s, z[2 * U + u]);
    float o = gate(s, z[3 * U + u]);
    *c = f * *c + i * g;
    *h = o * squash(s, *c);
    v[0] = i, v[U] = f, v[2 * U] = g, v[3 * U] = o, v[4 * U] = *c;
  }
}

// Scratch of a row: sums (groups U), h (U), c (U), values saved (S U) where nobody wants them. y and
// saved may be absent.
static size_t row_scratch(const Recurrent &s) {
  return static_cast<size_t>((s.groups + 2) * s.U + s.saved);
}

template <typename T>
__global__ void recurrent_forward(T *last, T *y, float *saved, float *scratch, int64_t row_floats,
                                  const T *x, const int32_t *lengths, const float *kernel,
                                  const float *recurrent, const float *bias, Recurrent s) {
  int U = s.U, columns = s.groups * U;
  for (int64_t n = blockIdx.x; n < s.N; n += gridDim.x) {
    int64_t length = length_of(lengths, n, s.T);
    float *z = scratch + n * row_floats, *h = z + columns, *c = h + U, *spare = c + U;
    for (int u = threadIdx.x; u < U; u += blockDim.x)
      h[u] = c[u] = 0;
    __syncthreads();
    for (int64_t k = 0; k < length; k++) {
      int64_t row = place_of(s, n, k, length);
      for (int j = threadIdx.x; j < columns; j += blockDim.x)
        z[j] = column_sum(x + row * s.I, h, kernel, recurrent, bias, j, s);
      __syncthreads();
      for (int u = threadIdx.x; u < U; u += blockDim.x) {
        next_state(s, z, u, (saved ? saved + row * s.saved : spare) + u, &h[u], &c[u]);
        if (y) y[row * U + u] = static_cast<T>(h[u]);
      }
      __syncthreads();
    }
    int64_t from = n * s.T + length, padding = s.T - length; // rows of events
    for (int64_t i = threadIdx.x; saved && i < padding * s.saved; i += blockDim.x)
      saved[from * s.saved + i] = 0;
    for (int64_t i = threadIdx.x; y && i < padding * U; i += blockDim.x)
      y[from * U + i] = static_cast<T>(0.0f);
    for (int u = threadIdx.x; u < U; u += blockDim.x)
      last[n * U + u] = static_cast<T>(h[u]);
    __syncthreads();
  }
}

// ---- backward

struct RecurrentBackward {
  const int32_t *lengths;
  const float *kernel, *recurrent, *saved;
  float *dz, *before; // (N, T, groups U), and the h before each event (N, T, U)
  float *state;       // of a row: dh (U), dc (U)
};

// The h of unit u after an event.
__device__ __forceinline__ float state_of(const Recurrent &s, const float *saved, int u) {
  float last = saved[s.saved - s.U + u];
  return s.cell == CO_CELL_LSTM ? saved[3 * s.U + u] * squash(s, last) : last;
}

// dz of unit u at one event; dc passes on to the event before, *dh is left with what reaches the
// state before past the products.
__device__ __forceinline__ void unit_backward(const RecurrentBackward &b, const Recurrent &s,
                                              int64_t row, bool first, int u, float *dh,
                                              float *dc) {
  int U = s.U;
  const float *v = b.saved + row * s.saved + u;
  const float *past = b.saved + (s.reverse ? row + 1 : row - 1) * s.saved;
  float *dz = b.dz + row * s.groups * U + u, h = first ? 0.0f : state_of(s, past, u);
  b.before[row * U + u] = h;
  if (s.cell == CO_CELL_SIMPLE_RNN) {
    dz[0] = *dh * squash_slope(s, v[0]);
    *dh = 0;
  } else if (s.cell == CO_CELL_GRU) {
    float z = v[0], r = v[U], n = v[2 * U], dn = *dh * (1 - z) * squash_slope(s, n);
    dz[0] = *dh * (h - n) * gate_slope(s, z);
    dz[U] = dn * v[3 * U] * gate_slope(s, r);
    dz[2 * U] = dn;
    dz[3 * U] = dn * r;
    *dh *= z;
  } else {
    float i = v[0], f = v[U], g = v[2 * U], o = v[3 * U], bent = squash(s, v[4 * U]);
    float c = first ? 0.0f : past[4 * U + u], d = *dc + *dh * o * squash_slope(s, bent);
    dz[0] = d * g * gate_slope(s, i);
    dz[U] = d * c * gate_slope(s, f);
    dz[2 * U] = d * i * squash_slope(s, g);
    dz[3 * U] = *dh * bent * gate_slope(s, o);
    *dc = d * f;
    *dh = 0;
  }
}

__device__ __forceinline__ float kernel_row(const Recurrent &s, const float *kernel, int64_t i,
                                            const float *dz) {
  float sum = 0;
  for (int j = 0; j < s.width; j++)
    sum += dz[j] * kernel[i * s.width + j];
  return sum;
}

__device__ __forceinline__ float recurrent_row(const Recurrent &s, const float *recurrent,
                                               int64_t i, const float *dz) {
  float sum = 0;
  for (int j = 0; j < s.width; j++)
    sum += dz[recurrent_column(s, j)] * recurrent[i * s.width + j];
  return sum;
}

// Back along the events of a row: dz, before and dx. dx, dlast and dy may be absent.
template <typename T>
__global__ void recurrent_events(T *dx, const T *dlast, const T *dy, RecurrentBackward b,
                                 Recurrent s, bool accumulate) {
  int U = s.U;
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
    for (int64_t k = length; k-- > 0;) {
      int64_t row = place_of(s, n, k, length);
      for (int u = threadIdx.x; u < U; u += blockDim.x) {
        if (dy) dh[u] += static_cast<float>(dy[row * U + u]);
        unit_backward(b, s, row, k == 0, u, &dh[u], &dc[u]);
      }
      __syncthreads();
      const float *dz = b.dz + row * s.groups * U;
      for (int u = threadIdx.x; u < U; u += blockDim.x)
        dh[u] += recurrent_row(s, b.recurrent, u, dz);
      for (int i = threadIdx.x; dx && i < s.I; i += blockDim.x)
        put(&dx[row * s.I + i], kernel_row(s, b.kernel, i, dz), accumulate);
      __syncthreads();
    }
    __syncthreads();
  }
}

// Elements of dkernel (I, G U), drecurrent (U, G U) below it and dbias last, one a thread: sums over
// the events of each row, then over rows.
template <typename T>
__global__ void recurrent_gradients(float *dkernel, float *drecurrent, float *dbias, const T *x,
                                    RecurrentBackward b, Recurrent s, unsigned accumulate) {
  int weights = s.I + s.U, rows = weights + (s.cell == CO_CELL_GRU ? 2 : 1);
  int64_t count = static_cast<int64_t>(rows) * s.width, columns = s.groups * s.U;
  for (int64_t e = grid_index(); e < count; e += grid_size()) {
    int i = static_cast<int>(e / s.width), j = static_cast<int>(e % s.width);
    bool of_state = (i >= s.I && i < weights) || i > weights;
    int column = of_state ? recurrent_column(s, j) : j;
    float total = 0;
    for (int64_t n = 0; n < s.N; n++) {
      int64_t length = length_of(b.lengths, n, s.T);
      float sum = 0;
      for (int64_t row = n * s.T; row < n * s.T + length; row++) {
        float factor = i < s.I       ? static_cast<float>(x[row * s.I + i])
                       : i < weights ? b.before[row * s.U + i - s.I]
                                     : 1.0f;
        sum += factor * b.dz[row * columns + column];
      }
      total += sum;
    }
    if (i < s.I)
      put(&dkernel[e], total, accumulate >> CO_RECURRENT_BACKWARD_dkernel & 1);
    else if (i < weights)
      put(&drecurrent[e - static_cast<int64_t>(s.I) * s.width], total,
          accumulate >> CO_RECURRENT_BACKWARD_drecurrent & 1);
    else
      put(&dbias[e - static_cast<int64_t>(weights) * s.width], total,
          accumulate >> CO_RECURRENT_BACKWARD_dbias & 1);
  }
}

static unsigned row_blocks(const Recurrent &s) {
  return static_cast<unsigned>(s.N < most_blocks ? s.N : most_blocks);
}

template <typename T> static cudaError_t launch_recurrent(const co_cuda_call *call) {
  Recurrent s = recurrent_of(call->desc);
  void *const *in = call->in, *const *out = call->out;
  CO_LAUNCH(recurrent_forward<T>, row_blocks(s), block_threads, 0, call->stream,
            static_cast<T *>(out[CO_RECURRENT_last]), static_cast<T *>(out[CO_RECURRENT_y]),
            static_cast<float *>(out[CO_RECURRENT_saved]), static_cast<float *>(call->workspace),
            static_cast<int64_t>(row_scratch(s)), static_cast<const T *>(in[CO_RECURRENT_x]),
            static_cast<const int32_t *>(in[CO_RECURRENT_lengths]),
            static_cast<const float *>(in[CO_RECURRENT_kernel]),
            static_cast<const float *>(in[CO_RECURRENT_recurrent]),
            static_cast<const float *>(in[CO_RECURRENT_bias]), s);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_recurrent_backward(const co_cuda_call *call) {
  Recurrent s = recurrent_of(call->desc);
  void *const *in = call->in, *const *out = call->out;
  float *dz = static_cast<float *>(call->workspace), *before = dz + s.N * s.T * s.groups * s.U;
  RecurrentBackward b = {static_cast<const int32_t *>(in[CO_RECURRENT_BACKWARD_lengths]),
                         static_cast<const float *>(in[CO_RECURRENT_BACKWARD_kernel]),
                         static_cast<const float *>(in[CO_RECURRENT_BACKWARD_recurrent]),
                         static_cast<const float *>(in[CO_RECURRENT_BACKWARD_saved]),
                         dz,
                         before,
                         before + s.N * s.T * s.U};
  CO_LAUNCH(recurrent_events<T>, row_blocks(s), block_threads, 0, call->stream,
            static_cast<T *>(out[CO_RECURRENT_BACKWARD_dx]),
            static_cast<const T *>(in[CO_RECURRENT_BACKWARD_dlast]),
            static_cast<const T *>(in[CO_RECURRENT_BACKWARD_dy]), b, s,
            co_cuda_accumulates(call->desc, CO_RECURRENT_BACKWARD_dx));
  cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) return error;
  CO_LAUNCH(recurrent_gradients<T>, blocks_for(static_cast<int64_t>(s.I + s.U + 2) * s.width),
            block_threads, 0, call->stream,
            static_cast<float *>(out[CO_RECURRENT_BACKWARD_dkernel]),
            static_cast<float *>(out[CO_RECURRENT_BACKWARD_drecurrent]),
            static_cast<float *>(out[CO_RECURRENT_BACKWARD_dbias]),
            static_cast<const T *>(in[CO_RECURRENT_BACKWARD_x]), b, s, call->desc->accumulate);
  return cudaGetLastError();
}

} // namespace co

extern "C" size_t co_cuda_recurrent_scratch(const co_op_desc *desc) {
  co::Recurrent s = co::recurrent_of(desc);
  return static_cast<size_t>(s.N) * co::row_scratch(s) * sizeof(float);
}

extern "C" size_t co_cuda_recurrent_backward_scratch(const co_op_desc *desc) {
  co::Recurrent s = co::recurrent_of(desc);
  size_t of_event = static_cast<size_t>(s.groups + 1), of_row = static_cast<size_t>(s.T) * of_event;
  return static_cast<size_t>(s.N) * (of_row + 2) * static_cast<size_t>(s.U) * sizeof(float);
}

extern "C" int co_cuda_recurrent_backward_launches(const co_op_desc *desc) {
  (void)desc;
  return 2;
}

extern "C" cudaError_t co_cuda_recurrent(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_RECURRENT_x]) ? co::launch_recurrent<co::bf16>(call)
                                                     : co::launch_recurrent<float>(call);
}

extern "C" cudaError_t co_cuda_recurrent_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[CO_RECURRENT_BACKWARD_x])
             ? co::launch_recurrent_backward<co::bf16>(call)
             : co::launch_recurrent_backward<float>(call);
}
