// SPDX-License-Identifier: Apache-2.0
// Element by element, four at a time: any layout will do that all operands share.
// Vectors: map
#include "kernels/cuda/launch.h"

#include "host/core/rng.h"
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/reduce.cuh"

namespace co {

struct Relu {
  __device__ float operator()(float x, float) const {
    return activate(CO_ACTIVATION_RELU, x);
  }
};
struct ReluBackward { // of y and dy
  float scale;
  __device__ float operator()(float y, float dy) const {
    return y > 0 ? dy * scale : 0.0f;
  }
};
struct Sigmoid { // an infinite exponential gives 0
  __device__ float operator()(float x, float) const {
    return 1.0f / (1.0f + expf(-x));
  }
};
struct SigmoidBackward {
  __device__ float operator()(float y, float dy) const {
    return dy * y * (1.0f - y);
  }
};
struct Tanh {
  __device__ float operator()(float x, float) const {
    return tanhf(x);
  }
};
struct TanhBackward {
  __device__ float operator()(float y, float dy) const {
    return dy * (1.0f - y) * (1.0f + y);
  }
};
struct Curve {
  co_function function;
  float alpha;
  __device__ float operator()(float x, float) const {
    switch (function) {
    case CO_FUNCTION_GELU:
      return 0.5f * x * erfcf(-0.70710678f * x);
    case CO_FUNCTION_SILU:
      return x / (1.0f + expf(-x));
    case CO_FUNCTION_ELU:
      return x > 0 ? x : alpha * expm1f(x);
    default:
      return x > 0 ? x : alpha * x;
    }
  }
};
struct CurveBackward { // of x and dy
  co_function function;
  float alpha;
  __device__ float operator()(float x, float dy) const {
    switch (function) {
    case CO_FUNCTION_GELU:
      return dy * (0.5f * erfcf(-0.70710678f * x) + 0.39894228f * x * expf(-0.5f * x * x));
    case CO_FUNCTION_SILU:
      return dy * (1.0f + x / (1.0f + expf(x))) / (1.0f + expf(-x));
    case CO_FUNCTION_ELU:
      return x > 0 ? dy : dy * (alpha * expf(x));
    default:
      return x > 0 ? dy : dy * alpha;
    }
  }
};
struct Multiply {
  __device__ float operator()(float a, float b) const {
    return a * b;
  }
};
struct Add {
  co_activation activation;
  __device__ float operator()(float a, float b) const {
    return activate(activation, a + b);
  }
};
struct First {
  __device__ float operator()(float x, float) const {
    return x;
  }
};

// y (+)= f(a, b). No restrict: y may be the memory of a.
template <typename Y, typename T, typename F>
__global__ void map(Y *y, const T *a, const T *b, int64_t count, bool accumulate, F f) {
  for (int64_t i = 4 * grid_index(); i < count; i += 4 * grid_size()) {
    int valid = count - i < 4 ? static_cast<int>(count - i) : 4;
    float4 p = valid == 4 ? load4(a + i) : load4_tail(a + i, valid, 0.0f);
    float4 q = valid == 4 ? load4(b + i) : load4_tail(b + i, valid, 0.0f);
    float4 r = make_float4(f(p.x, q.x), f(p.y, q.y), f(p.z, q.z), f(p.w, q.w));
    if (accumulate) {
      float4 old = valid == 4 ? load4(y + i) : load4_tail(y + i, valid, 0.0f);
      r = make_float4(old.x + r.x, old.y + r.y, old.z + r.z, old.w + r.w);
    }
    if (valid == 4)
      store4(y + i, r);
    else
      store4_tail(y + i, valid, r);
  }
}

__global__ void widen(float *y, const bf16 *x, int64_t count, bool accumulate) {
  for (int64_t i = grid_index(); i < count; i += grid_size())
    put(&y[i], static_cast<float>(x[i]), accumulate);
}

// The mask of CO_OP_DROPOUT. Philox gives the bits of four consecutive elements at once; where the
// row offset is no multiple of four, those of a thread lie in two blocks. `skipped`: numbers between
// the last element of a row and the first of the next.
template <typename T>
__global__ void dropout(T *y, const T *x, const co_step *step, int64_t count, int64_t row,
                        int64_t skipped, float rate, float scale, uint32_t purpose,
                        bool accumulate) {
  uint64_t seed = step->seed;
  uint32_t number = step->step;
  uint64_t first = static_cast<uint64_t>(step->row_offset * (row + skipped));
  for (int64_t i = 4 * grid_index(); i < count; i += 4 * grid_size()) {
    uint64_t element = first + static_cast<uint64_t>(i + (skipped ? i / row * skipped : 0));
    co_philox_block block = co_philox(seed, element >> 2, number, purpose);
    for (int k = 0; k < 4 && i + k < count; k++, element++) {
      bool jumps = k > 0 && skipped && (i + k) % row == 0;
      if (jumps) element += static_cast<uint64_t>(skipped);
      if (jumps || (k > 0 && (element & 3) == 0))
        block = co_philox(seed, element >> 2, number, purpose);
      unsigned word = static_cast<unsigned>(element & 3);
      uint32_t bits = word < 2 ? (word == 0 ? block.word[0] : block.word[1])
                               : (word == 2 ? block.word[2] : block.word[3]);
      bool kept = co_uniform_from_bits(bits) >= rate;
      put(&y[i + k], kept ? static_cast<float>(x[i + k]) * scale : 0.0f, accumulate);
    }
  }
}

// The same where the elements of a row take its `draws` in turn.
template <typename T>
__global__ void dropout_in_turn(T *y, const T *x, const co_step *step, int64_t count, int64_t row,
                                int64_t draws, float rate, float scale, uint32_t purpose,
                                bool accumulate) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    int64_t element = (step->row_offset + i / row) * draws + i % draws;
    uint32_t bits = co_random_bits(step->seed, static_cast<uint64_t>(element), step->step, purpose);
    bool kept = co_uniform_from_bits(bits) >= rate;
    put(&y[i], kept ? static_cast<float>(x[i]) * scale : 0.0f, accumulate);
  }
}

template <typename Y, typename T, typename F>
static cudaError_t launch_map_of(const co_cuda_call *call, const void *a, const void *b, F f) {
  int64_t count = co_cuda_count(&call->desc->in[0].shape);
  CO_LAUNCH((map<Y, T, F>), blocks_for((count + 3) / 4), block_threads, 0, call->stream,
            static_cast<Y *>(call->out[0]), static_cast<const T *>(a), static_cast<const T *>(b),
            count, co_cuda_accumulates(call->desc, 0), f);
  return cudaGetLastError();
}

template <typename F>
static cudaError_t launch_map(const co_cuda_call *call, const void *a, const void *b, F f) {
  return is_bf16(call->desc->in[0]) ? launch_map_of<bf16, bf16>(call, a, b, f)
                                    : launch_map_of<float, float>(call, a, b, f);
}

template <typename T> static cudaError_t launch_dropout(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->in[0].shape), row = co_cuda_row(&desc->in[0].shape);
  T *y = static_cast<T *>(call->out[0]);
  const T *x = static_cast<const T *>(call->in[0]);
  const co_step *step = static_cast<const co_step *>(call->in[1]);
  float rate = static_cast<float>(desc->attr.rate);
  float scale = static_cast<float>(1 / (1 - desc->attr.rate));
  if (desc->attr.draws)
    CO_LAUNCH(dropout_in_turn<T>, blocks_for(count), block_threads, 0, call->stream, y, x, step,
              count, row, desc->attr.draws, rate, scale, desc->attr.purpose,
              co_cuda_accumulates(desc, 0));
  else
    CO_LAUNCH(dropout<T>, blocks_for((count + 3) / 4), block_threads, 0, call->stream, y, x, step,
              count, row, co_draws_of_row(desc) - row, rate, scale, desc->attr.purpose,
              co_cuda_accumulates(desc, 0));
  return cudaGetLastError();
}

} // namespace co

extern "C" cudaError_t co_cuda_relu(const co_cuda_call *call) {
  return co::launch_map(call, call->in[0], call->in[0], co::Relu{});
}

extern "C" cudaError_t co_cuda_relu_backward(const co_cuda_call *call) {
  return co::launch_map(call, call->in[0], call->in[1],
                        co::ReluBackward{static_cast<float>(1 / (1 - call->desc->attr.rate))});
}

extern "C" cudaError_t co_cuda_sigmoid(const co_cuda_call *call) {
  if (co::is_bf16(call->desc->in[0]) && !co::is_bf16(call->desc->out[0]))
    return co::launch_map_of<float, co::bf16>(call, call->in[0], call->in[0], co::Sigmoid{});
  return co::launch_map(call, call->in[0], call->in[0], co::Sigmoid{});
}

extern "C" cudaError_t co_cuda_sigmoid_backward(const co_cuda_call *call) {
  return co::launch_map(call, call->in[0], call->in[1], co::SigmoidBackward{});
}

extern "C" cudaError_t co_cuda_tanh(const co_cuda_call *call) {
  return co::launch_map(call, call->in[0], call->in[0], co::Tanh{});
}

extern "C" cudaError_t co_cuda_tanh_backward(const co_cuda_call *call) {
  return co::launch_map(call, call->in[0], call->in[1], co::TanhBackward{});
}

extern "C" cudaError_t co_cuda_activation(const co_cuda_call *call) {
  const co_op_attr *attr = &call->desc->attr;
  return co::launch_map(call, call->in[0], call->in[0],
                        co::Curve{attr->function, static_cast<float>(attr->alpha)});
}

extern "C" cudaError_t co_cuda_activation_backward(const co_cuda_call *call) {
  const co_op_attr *attr = &call->desc->attr;
  return co::launch_map(call, call->in[0], call->in[1],
                        co::CurveBackward{attr->function, static_cast<float>(attr->alpha)});
}

extern "C" cudaError_t co_cuda_multiply(const co_cuda_call *call) {
  return co::launch_map(call, call->in[0], call->in[1], co::Multiply{});
}

extern "C" cudaError_t co_cuda_add(const co_cuda_call *call) {
  return co::launch_map(call, call->in[0], call->in[1], co::Add{call->desc->attr.activation});
}

extern "C" cudaError_t co_cuda_reshape(const co_cuda_call *call) {
  if (!co_cuda_accumulates(call->desc, 0)) return co_cuda_copy(call);
  return co::launch_map(call, call->in[0], call->in[0], co::First{});
}

extern "C" cudaError_t co_cuda_dropout(const co_cuda_call *call) {
  return co::is_bf16(call->desc->in[0]) ? co::launch_dropout<co::bf16>(call)
                                        : co::launch_dropout<float>(call);
}

extern "C" cudaError_t co_cuda_widen(float *y, const void *x, int64_t count, bool accumulate,
                                     cudaStream_t stream) {
  CO_LAUNCH(co::widen, co::blocks_for(count), co::block_threads, 0, stream, y,
            static_cast<const co::bf16 *>(x), count, accumulate);
  return cudaGetLastError();
}
