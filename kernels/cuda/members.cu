// SPDX-License-Identifier: Apache-2.0
// Networks of several members: row n K + k is member k's of row n. Gradients of parameters are sums
// over rows n of a matrix (N, parameters), in a launch of their own.
#include "kernels/cuda/launch.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/rows.cuh"

namespace co {

// ---- scale

template <typename T>
__global__ void member_scale(T *y, const T *x, const float *r, int64_t count, int64_t members,
                             int64_t width) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    int64_t at = i % width, row = i / width;
    float value = static_cast<float>(x[row / members * width + at]);
    y[i] = static_cast<T>(value * r[row % members * width + at]);
  }
}

template <typename T>
__global__ void member_scale_dx(T *dx, const T *dy, const float *r, int64_t count, int64_t members,
                                int64_t width, bool accumulate) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    int64_t at = i % width, n = i / width;
    float sum = 0;
    for (int64_t k = 0; k < members; k++)
      sum += static_cast<float>(dy[(n * members + k) * width + at]) * r[k * width + at];
    put(&dx[i], sum, accumulate);
  }
}

template <typename T> struct AddScale {
  const T *x, *dy;
  int64_t channels, width; // channels = members * width
  __device__ void operator()(int64_t i, int64_t c, double *sums) const {
    float value = static_cast<float>(x[i / channels * width + c % width]);
    sums[0] += static_cast<double>(value) * static_cast<double>(static_cast<float>(dy[i]));
  }
};

struct PutScale {
  float *dr;
  bool accumulate;
  __device__ void operator()(int64_t c, const double *sums) const {
    put(&dr[c], static_cast<float>(sums[0]), accumulate);
  }
};

template <typename T> static cudaError_t launch_scale(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  const co_shape *r = &desc->in[CO_MEMBER_SCALE_r].shape;
  int64_t count = co_cuda_count(&desc->out[CO_MEMBER_SCALE_y].shape);
  CO_LAUNCH(member_scale<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<T *>(call->out[CO_MEMBER_SCALE_y]),
            static_cast<const T *>(call->in[CO_MEMBER_SCALE_x]),
            static_cast<const float *>(call->in[CO_MEMBER_SCALE_r]), count, r->dim[0], r->dim[1]);
  return cudaGetLastError();
}

static Columns scale_columns(const co_op_desc *desc) {
  return columns_of(desc->in[CO_MEMBER_SCALE_BACKWARD_x].shape.dim[0],
                    co_cuda_count(&desc->in[CO_MEMBER_SCALE_BACKWARD_r].shape));
}

template <typename T> static cudaError_t launch_scale_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  const co_shape *r = &desc->in[CO_MEMBER_SCALE_BACKWARD_r].shape;
  const T *x = static_cast<const T *>(call->in[CO_MEMBER_SCALE_BACKWARD_x]);
  const T *dy = static_cast<const T *>(call->in[CO_MEMBER_SCALE_BACKWARD_dy]);
  if (co_cuda_has_out(desc, CO_MEMBER_SCALE_BACKWARD_dx)) {
    int64_t count = co_cuda_count(&desc->in[CO_MEMBER_SCALE_BACKWARD_x].shape);
    CO_LAUNCH(member_scale_dx<T>, blocks_for(count), block_threads, 0, call->stream,
              static_cast<T *>(call->out[CO_MEMBER_SCALE_BACKWARD_dx]), dy,
              static_cast<const float *>(call->in[CO_MEMBER_SCALE_BACKWARD_r]), count, r->dim[0],
              r->dim[1], co_cuda_accumulates(desc, CO_MEMBER_SCALE_BACKWARD_dx));
    cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess) return error;
  }
  Columns c = scale_columns(desc);
  return sum_columns<1>(c, call->workspace, call, AddScale<T>{x, dy, c.channels, r->dim[1]},
                        PutScale{static_cast<float *>(call->out[CO_MEMBER_SCALE_BACKWARD_dr]),
                                 co_cuda_accumulates(desc, CO_MEMBER_SCALE_BACKWARD_dr)});
}

// ---- dense

struct MemberSizes {
  int64_t rows, members, inputs, outputs;
};

static MemberSizes sizes_of(const co_tensor_desc *in) { // x, w, …
  const int64_t *dim = in[1].shape.dim;
  return {in[0].shape.dim[0], dim[0], dim[1], dim[2]};
}

// A group of threads for each element of y.
template <int Width, typename T>
__global__ void member_dense(T *y, const T *x, const float *w, const float *b, MemberSizes s) {
  int lane = static_cast<int>(threadIdx.x) % Width;
  for (int64_t at = first_row<Width>(); at < s.rows * s.outputs; at += row_step<Width>()) {
    int64_t row = at / s.outputs, o = at % s.outputs, k = row % s.members;
    float sum = 0;
    for (int64_t i = lane; i < s.inputs; i += Width)
      sum += static_cast<float>(x[row * s.inputs + i]) * w[(k * s.inputs + i) * s.outputs + o];
    sum = Group<Width>::sum(sum);
    if (lane == 0) y[at] = static_cast<T>(sum + b[k * s.outputs + o]);
  }
}

template <typename T>
__global__ void member_dense_dx(T *dx, const T *dy, const float *w, MemberSizes s,
                                bool accumulate) {
  for (int64_t at = grid_index(); at < s.rows * s.inputs; at += grid_size()) {
    int64_t row = at / s.inputs, i = at % s.inputs, k = row % s.members;
    float sum = 0;
    for (int64_t o = 0; o < s.outputs; o++)
      sum += static_cast<float>(dy[row * s.outputs + o]) * w[(k * s.inputs + i) * s.outputs + o];
    put(&dx[at], sum, accumulate);
  }
}

// Channels: dw (members, inputs, outputs), then db (members, outputs).
template <typename T> struct AddMember {
  const T *x, *dy;
  MemberSizes s;
  int64_t weights, channels;
  __device__ void operator()(int64_t at, int64_t c, double *sums) const {
    int64_t n = at / channels, place = c < weights ? c : c - weights;
    int64_t k = place / (c < weights ? s.inputs * s.outputs : s.outputs), row = n * s.members + k;
    int64_t i = place / s.outputs % s.inputs, o = place % s.outputs;
    double d = static_cast<double>(static_cast<float>(dy[row * s.outputs + o]));
    double value = c < weights ? static_cast<double>(static_cast<float>(x[row * s.inputs + i])) : 1;
    sums[0] += value * d;
  }
};

struct PutMember {
  float *dw, *db;
  int64_t weights;
  bool accumulate_w, accumulate_b;
  __device__ void operator()(int64_t c, const double *sums) const {
    if (c < weights)
      put(&dw[c], static_cast<float>(sums[0]), accumulate_w);
    else
      put(&db[c - weights], static_cast<float>(sums[0]), accumulate_b);
  }
};

static Columns dense_columns(const MemberSizes &s) {
  return columns_of(s.rows / s.members, s.members * (s.inputs + 1) * s.outputs);
}

template <typename T> static cudaError_t launch_dense(const co_cuda_call *call) {
  MemberSizes s = sizes_of(call->desc->in);
  T *y = static_cast<T *>(call->out[CO_MEMBER_DENSE_y]);
  const T *x = static_cast<const T *>(call->in[CO_MEMBER_DENSE_x]);
  const float *w = static_cast<const float *>(call->in[CO_MEMBER_DENSE_w]);
  const float *b = static_cast<const float *>(call->in[CO_MEMBER_DENSE_b]);
  int width = width_for(s.inputs);
  unsigned grid = blocks_for(s.rows * s.outputs * width);
  if (width == 1)
    CO_LAUNCH((member_dense<1, T>), grid, block_threads, 0, call->stream, y, x, w, b, s);
  else if (width == warp_lanes)
    CO_LAUNCH((member_dense<warp_lanes, T>), grid, block_threads, 0, call->stream, y, x, w, b, s);
  else
    CO_LAUNCH((member_dense<block_threads, T>), grid, block_threads, 0, call->stream, y, x, w, b,
              s);
  return cudaGetLastError();
}

template <typename T> static cudaError_t launch_dense_backward(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  MemberSizes s = sizes_of(desc->in);
  const T *x = static_cast<const T *>(call->in[CO_MEMBER_DENSE_BACKWARD_x]);
  const T *dy = static_cast<const T *>(call->in[CO_MEMBER_DENSE_BACKWARD_dy]);
  if (co_cuda_has_out(desc, CO_MEMBER_DENSE_BACKWARD_dx)) {
    CO_LAUNCH(member_dense_dx<T>, blocks_for(s.rows * s.inputs), block_threads, 0, call->stream,
              static_cast<T *>(call->out[CO_MEMBER_DENSE_BACKWARD_dx]), dy,
              static_cast<const float *>(call->in[CO_MEMBER_DENSE_BACKWARD_w]), s,
              co_cuda_accumulates(desc, CO_MEMBER_DENSE_BACKWARD_dx));
    cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess) return error;
  }
  Columns c = dense_columns(s);
  int64_t weights = s.members * s.inputs * s.outputs;
  return sum_columns<1>(c, call->workspace, call, AddMember<T>{x, dy, s, weights, c.channels},
                        PutMember{static_cast<float *>(call->out[CO_MEMBER_DENSE_BACKWARD_dw]),
                                  static_cast<float *>(call->out[CO_MEMBER_DENSE_BACKWARD_db]),
                                  weights, co_cuda_accumulates(desc, CO_MEMBER_DENSE_BACKWARD_dw),
                                  co_cuda_accumulates(desc, CO_MEMBER_DENSE_BACKWARD_db)});
}

// ---- mean, repeat

struct Exponentials { // the logarithm of their sum is largest + log(total)
  float largest, total;
  __device__ void add(float x) {
    if (x > largest) {
      total = total * expf(largest - x) + 1.0f;
      largest = x;
    } else {
      total += expf(x - largest);
    }
  }
};

// kernels/ref/members.c has the formulas.
template <typename T>
__global__ void member_mean(float *y, const T *x, int64_t count, int64_t members, int64_t width,
                            co_link link) {
  for (int64_t at = grid_index(); at < count; at += grid_size()) {
    int64_t n = at / width, o = at % width;
    Exponentials so = {-INFINITY, 0.0f}, others = {-INFINITY, 0.0f};
    float sum = 0;
    for (int64_t k = 0; k < members; k++) {
      const T *row = x + (n * members + k) * width;
      float value = static_cast<float>(row[o]);
      sum += value;
      if (link == CO_LINK_SIGMOID) {
        float near = log1pf(expf(-fabsf(value)));
        so.add(-((value >= 0 ? 0.0f : -value) + near));
        others.add(-((value >= 0 ? value : 0.0f) + near));
      } else if (link == CO_LINK_SOFTMAX) {
        Exponentials all = {-INFINITY, 0.0f};
        for (int64_t i = 0; i < width; i++)
          all.add(static_cast<float>(row[i]));
        so.add(value - all.largest - logf(all.total));
        others.add(0.0f);
      }
    }
    y[at] = link == CO_LINK_NONE
                ? sum / static_cast<float>(members)
                : so.largest - others.largest + logf(so.total) - logf(others.total);
  }
}

template <typename T> static cudaError_t launch_mean(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->out[0].shape);
  CO_LAUNCH(member_mean<T>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<float *>(call->out[0]), static_cast<const T *>(call->in[0]), count,
            desc->attr.members, desc->in[0].shape.dim[1], desc->attr.link);
  return cudaGetLastError();
}

// Words of four bytes; of reals, times the factor.
__global__ void repeat(uint32_t *y, const uint32_t *x, int64_t count, int64_t row, int64_t members,
                       bool real, float factor) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    int64_t from = i / row / members * row + i % row;
    if (real)
      reinterpret_cast<float *>(y)[i] = reinterpret_cast<const float *>(x)[from] * factor;
    else
      y[i] = x[from];
  }
}

} // namespace co

extern "C" size_t co_cuda_member_scale_backward_scratch(const co_op_desc *desc) {
  return co::column_scratch(co::scale_columns(desc), 1);
}

extern "C" size_t co_cuda_member_dense_backward_scratch(const co_op_desc *desc) {
  return co::column_scratch(co::dense_columns(co::sizes_of(desc->in)), 1);
}

extern "C" int co_cuda_member_scale_backward_launches(const co_op_desc *desc) {
  return co_cuda_has_out(desc, CO_MEMBER_SCALE_BACKWARD_dx) ? 2 : 1;
}

extern "C" int co_cuda_member_dense_backward_launches(const co_op_desc *desc) {
  return co_cuda_has_out(desc, CO_MEMBER_DENSE_BACKWARD_dx) ? 2 : 1;
}

extern "C" cudaError_t co_cuda_member_scale(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_scale<co::bf16>(call)
                                        : co::launch_scale<float>(call);
}

extern "C" cudaError_t co_cuda_member_scale_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_scale_backward<co::bf16>(call)
                                        : co::launch_scale_backward<float>(call);
}

extern "C" cudaError_t co_cuda_member_dense(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_dense<co::bf16>(call)
                                        : co::launch_dense<float>(call);
}

extern "C" cudaError_t co_cuda_member_dense_backward(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_dense_backward<co::bf16>(call)
                                        : co::launch_dense_backward<float>(call);
}

extern "C" cudaError_t co_cuda_member_mean(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_mean<co::bf16>(call)
                                        : co::launch_mean<float>(call);
}

extern "C" cudaError_t co_cuda_repeat(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t words = static_cast<int64_t>(co_cuda_element(desc->in[0].dtype) / sizeof(uint32_t));
  if (words == 0) return cudaErrorInvalidValue; // neither targets nor weights are so narrow
  int64_t row = co_cuda_row(&desc->in[0].shape) * words;
  int64_t count = co_cuda_count(&desc->out[0].shape) * words;
  CO_LAUNCH(co::repeat, co::blocks_for(count), co::block_threads, 0, call->stream,
            static_cast<uint32_t *>(call->out[0]), static_cast<const uint32_t *>(call->in[0]),
            count, row, desc->attr.members, desc->in[0].dtype == CO_F32,
            static_cast<float>(desc->attr.factor));
  return cudaGetLastError();
}
