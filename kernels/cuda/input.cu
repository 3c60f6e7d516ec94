// SPDX-License-Identifier: Apache-2.0
// The input section: fetching rows of a resident table, casts, normalisation, augmentation.
#include "kernels/cuda/launch.h"

#include "host/core/rng.h"
#include "kernels/cuda/grid.cuh"

namespace co {

// Rows of `row` words; a word is the widest type that divides a row.
template <typename Word, typename Index>
__global__ void gather(Word *y, const Word *table, const Index *index, int64_t count,
                       unsigned row) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    int64_t n = i / row;
    y[i] = table[static_cast<int64_t>(index[n]) * row + (i - n * row)];
  }
}

// Events of `event` words, T of them a row; beyond a row's length, zeros.
template <typename Word>
__global__ void gather_events(Word *y, const Word *table, const int64_t *begin,
                              const int32_t *lengths, int64_t count, int64_t T, unsigned event) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    int64_t at = i / event, n = at / T, t = at - n * T;
    y[i] = t < lengths[n] ? table[(begin[n] + t) * event + (i - at * event)] : Word{};
  }
}

__global__ void lookup(int32_t *y, const int32_t *x, const int32_t *map, int64_t count, int64_t K) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    int64_t at = static_cast<int64_t>(x[i]) + 1;
    y[i] = map[at >= 0 && at < K ? at : 0];
  }
}

template <typename Y, typename X> __global__ void cast(Y *y, const X *x, int64_t count) {
  for (int64_t i = grid_index(); i < count; i += grid_size())
    y[i] = static_cast<Y>(static_cast<float>(x[i]));
}

template <typename Y, typename X>
__global__ void normalize(Y *y, const X *x, const float *mean, const float *scale, unsigned count,
                          unsigned channels) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    unsigned c = static_cast<unsigned>(i) % channels;
    y[i] = static_cast<Y>((static_cast<float>(x[i]) - mean[c]) * scale[c]);
  }
}

__global__ void impute(float *y, float *flags, const float *x, const float *fill, int64_t count,
                       unsigned channels) {
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    float value = x[i];
    bool missing = value != value;
    y[i] = missing ? fill[i % channels] : value;
    if (flags) flags[i] = missing ? 1.0f : 0.0f;
  }
}

// Images of H x W x C; some blocks an image, so that the random draw of an image is made once a
// thread and not once a pixel.
struct Images {
  unsigned H, W, C, blocks; // blocks an image
};

constexpr int pixels_per_thread = 8;

static Images images_of(const co_shape &x) {
  Images s;
  s.H = static_cast<unsigned>(x.dim[1]);
  s.W = static_cast<unsigned>(x.dim[2]);
  s.C = static_cast<unsigned>(x.dim[3]);
  unsigned per_block = block_threads * pixels_per_thread;
  s.blocks = (s.H * s.W * s.C + per_block - 1) / per_block;
  return s;
}

template <typename Y, typename X>
__global__ void flip(Y *y, const X *x, const int64_t *ids, const co_step *step, Images s,
                     float rate, uint32_t purpose) {
  unsigned n = blockIdx.x / s.blocks, size = s.H * s.W * s.C;
  uint32_t bits = co_random_bits(step->seed, static_cast<uint64_t>(ids[n]), step->epoch, purpose);
  bool mirrored = co_uniform_from_bits(bits) < rate;
  int64_t image = static_cast<int64_t>(n) * size;
  for (unsigned i = blockIdx.x % s.blocks * blockDim.x + threadIdx.x; i < size;
       i += s.blocks * blockDim.x) {
    unsigned pixel = i / s.C, w = pixel % s.W;
    unsigned from = mirrored ? i + (s.W - 1 - 2 * w) * s.C : i; // wraps around below zero: mod 2^32
    y[image + i] = static_cast<Y>(static_cast<float>(x[image + from]));
  }
}

// Uniform in [-pad, pad], from 32 random bits without a division.
__device__ __forceinline__ int shift_from_bits(uint32_t bits, unsigned pad) {
  return static_cast<int>((static_cast<uint64_t>(bits) * (2 * pad + 1)) >> 32) -
         static_cast<int>(pad);
}

template <typename Y, typename X>
__global__ void shifted_crop(Y *y, const X *x, const int64_t *ids, const co_step *step, Images s,
                             unsigned pad, float fill, uint32_t purpose) {
  unsigned n = blockIdx.x / s.blocks, size = s.H * s.W * s.C;
  uint64_t id = static_cast<uint64_t>(ids[n]);
  int down = shift_from_bits(co_random_bits(step->seed, 2 * id, step->epoch, purpose), pad);
  int right = shift_from_bits(co_random_bits(step->seed, 2 * id + 1, step->epoch, purpose), pad);
  int64_t image = static_cast<int64_t>(n) * size;
  for (unsigned i = blockIdx.x % s.blocks * blockDim.x + threadIdx.x; i < size;
       i += s.blocks * blockDim.x) {
    unsigned pixel = i / s.C;
    int h = static_cast<int>(pixel / s.W) - down, w = static_cast<int>(pixel % s.W) - right;
    bool vacated = h < 0 || h >= static_cast<int>(s.H) || w < 0 || w >= static_cast<int>(s.W);
    int64_t from = image + (static_cast<int64_t>(h) * s.W + w) * s.C + i % s.C;
    y[image + i] = static_cast<Y>(vacated ? fill : static_cast<float>(x[from]));
  }
}

// ---- all of it in one pass

struct InputRows {
  void *y; // f32 or bf16
  const void *table;
  const int64_t *index, *ids; // or NULL
  const co_step *step;
  const float *mean, *scale; // or NULL
  int64_t rows;
  unsigned row, channels; // elements of a row, and of mean
  Images images;
  float rate, fill;
  unsigned pad;
  uint32_t flip_purpose, crop_purpose;

  __device__ int64_t stored(int64_t n) const {
    return (index ? index[n] : n) * row;
  }
  __device__ float normalized(float value, unsigned at) const {
    if (mean == nullptr) return value;
    unsigned c = at % channels;
    return (value - mean[c]) * scale[c];
  }
};

template <typename Y, typename T> __global__ void input_rows(InputRows a) {
  Y *y = static_cast<Y *>(a.y);
  const T *table = static_cast<const T *>(a.table);
  int64_t count = a.rows * a.row;
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    int64_t n = i / a.row;
    unsigned at = static_cast<unsigned>(i - n * a.row);
    y[i] = static_cast<Y>(a.normalized(static_cast<float>(table[a.stored(n) + at]), at));
  }
}

// Augmented images: pieces of an image go to blocks in turn.
template <typename Y, typename T> __global__ void input_images(InputRows a) {
  Y *y = static_cast<Y *>(a.y);
  const T *table = static_cast<const T *>(a.table);
  Images s = a.images;
  int width = static_cast<int>(s.W), height = static_cast<int>(s.H);
  for (int64_t piece = blockIdx.x; piece < a.rows * s.blocks; piece += gridDim.x) {
    int64_t n = piece / s.blocks, first = a.stored(n);
    uint64_t id = static_cast<uint64_t>(a.ids[n]), seed = a.step->seed;
    uint32_t epoch = a.step->epoch;
    bool mirrored = co_uniform_from_bits(co_random_bits(seed, id, epoch, a.flip_purpose)) < a.rate;
    int down = 0, right = 0;
    if (a.pad > 0) {
      down = shift_from_bits(co_random_bits(seed, 2 * id, epoch, a.crop_purpose), a.pad);
      right = shift_from_bits(co_random_bits(seed, 2 * id + 1, epoch, a.crop_purpose), a.pad);
    }
    unsigned part = static_cast<unsigned>(piece - n * s.blocks);
    for (unsigned i = part * blockDim.x + threadIdx.x; i < a.row; i += s.blocks * blockDim.x) {
      unsigned pixel = i / s.C;
      int h = static_cast<int>(pixel / s.W) - down, w = static_cast<int>(pixel % s.W) - right;
      bool vacated = h < 0 || h >= height || w < 0 || w >= width;
      if (mirrored) w = width - 1 - w;
      int64_t from = (static_cast<int64_t>(h) * width + w) * s.C + i % s.C;
      float value = vacated ? a.fill : static_cast<float>(table[first + from]);
      y[n * a.row + i] = static_cast<Y>(a.normalized(value, i));
    }
  }
}

template <typename Y, typename T>
static cudaError_t launch_input(const InputRows &a, cudaStream_t stream) {
  if (a.ids) {
    int64_t pieces = a.rows * a.images.blocks;
    CO_LAUNCH((input_images<Y, T>), static_cast<unsigned>(pieces < 1 << 20 ? pieces : 1 << 20),
              block_threads, 0, stream, a);
  } else {
    CO_LAUNCH((input_rows<Y, T>), blocks_for(a.rows * a.row), block_threads, 0, stream, a);
  }
  return cudaGetLastError();
}

template <typename Y>
static cudaError_t launch_input_from(const InputRows &a, const co_op_desc *desc,
                                     cudaStream_t stream) {
  switch (desc->in[0].dtype) {
  case CO_U8:
    return launch_input<Y, uint8_t>(a, stream);
  case CO_I32:
    return launch_input<Y, int32_t>(a, stream);
  case CO_I64:
    return launch_input<Y, int64_t>(a, stream);
  case CO_F64:
    return launch_input<Y, double>(a, stream);
  default:
    return launch_input<Y, float>(a, stream);
  }
}

template <typename Word, typename Index>
static cudaError_t launch_gather_by(const co_cuda_call *call, size_t row_bytes) {
  unsigned row = static_cast<unsigned>(row_bytes / sizeof(Word));
  int64_t count = call->desc->in[1].shape.dim[0] * row;
  CO_LAUNCH((gather<Word, Index>), blocks_for(count), block_threads, 0, call->stream,
            static_cast<Word *>(call->out[0]), static_cast<const Word *>(call->in[0]),
            static_cast<const Index *>(call->in[1]), count, row);
  return cudaGetLastError();
}

template <typename Word>
static cudaError_t launch_gather(const co_cuda_call *call, size_t row_bytes) {
  return call->desc->in[1].dtype == CO_I32 ? launch_gather_by<Word, int32_t>(call, row_bytes)
                                           : launch_gather_by<Word, int64_t>(call, row_bytes);
}

template <typename Y, typename X> static cudaError_t launch_cast_from(const co_cuda_call *call) {
  int64_t count = co_cuda_count(&call->desc->in[0].shape);
  CO_LAUNCH((cast<Y, X>), blocks_for(count), block_threads, 0, call->stream,
            static_cast<Y *>(call->out[0]), static_cast<const X *>(call->in[0]), count);
  return cudaGetLastError();
}

template <typename Y> static cudaError_t launch_cast(const co_cuda_call *call) {
  switch (call->desc->in[0].dtype) {
  case CO_U8:
    return launch_cast_from<Y, uint8_t>(call);
  case CO_I32:
    return launch_cast_from<Y, int32_t>(call);
  case CO_I64:
    return launch_cast_from<Y, int64_t>(call);
  case CO_F64:
    return launch_cast_from<Y, double>(call);
  case CO_BF16:
    return launch_cast_from<Y, bf16>(call);
  default:
    return launch_cast_from<Y, float>(call);
  }
}

template <typename Y, typename X> static cudaError_t launch_normalize(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->in[0].shape);
  CO_LAUNCH((normalize<Y, X>), blocks_for(count), block_threads, 0, call->stream,
            static_cast<Y *>(call->out[0]), static_cast<const X *>(call->in[0]),
            static_cast<const float *>(call->in[1]), static_cast<const float *>(call->in[2]),
            static_cast<unsigned>(count), static_cast<unsigned>(desc->in[1].shape.dim[0]));
  return cudaGetLastError();
}

template <typename Y, typename X> static cudaError_t launch_flip(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  Images s = images_of(desc->in[0].shape);
  CO_LAUNCH((flip<Y, X>), static_cast<unsigned>(desc->in[0].shape.dim[0] * s.blocks), block_threads,
            0, call->stream, static_cast<Y *>(call->out[0]), static_cast<const X *>(call->in[0]),
            static_cast<const int64_t *>(call->in[1]), static_cast<const co_step *>(call->in[2]), s,
            static_cast<float>(desc->attr.rate), desc->attr.purpose);
  return cudaGetLastError();
}

template <typename Y, typename X> static cudaError_t launch_shifted_crop(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  Images s = images_of(desc->in[0].shape);
  CO_LAUNCH((shifted_crop<Y, X>), static_cast<unsigned>(desc->in[0].shape.dim[0] * s.blocks),
            block_threads, 0, call->stream, static_cast<Y *>(call->out[0]),
            static_cast<const X *>(call->in[0]), static_cast<const int64_t *>(call->in[1]),
            static_cast<const co_step *>(call->in[2]), s, static_cast<unsigned>(desc->attr.pad),
            static_cast<float>(desc->attr.fill), desc->attr.purpose);
  return cudaGetLastError();
}

template <typename Word>
static cudaError_t launch_gather_events(const co_cuda_call *call, size_t event_bytes) {
  const int64_t *y = call->desc->out[0].shape.dim;
  unsigned event = static_cast<unsigned>(event_bytes / sizeof(Word));
  int64_t count = y[0] * y[1] * event;
  CO_LAUNCH(gather_events<Word>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<Word *>(call->out[0]),
            static_cast<const Word *>(call->in[CO_GATHER_EVENTS_table]),
            static_cast<const int64_t *>(call->in[CO_GATHER_EVENTS_begin]),
            static_cast<const int32_t *>(call->in[CO_GATHER_EVENTS_lengths]), count, y[1], event);
  return cudaGetLastError();
}

// launch<result, x>(call), each float or bf16.
#define CO_BY_TYPES(launch, call)                                                                  \
  (is_bf16((call)->desc->out[0])                                                                   \
       ? (is_bf16((call)->desc->in[0]) ? launch<bf16, bf16>(call) : launch<bf16, float>(call))     \
       : (is_bf16((call)->desc->in[0]) ? launch<float, bf16>(call) : launch<float, float>(call)))

// Elements of one width.
template <typename Word>
__global__ void swap_noise(Word *y, const Word *x, const co_step *step, int64_t count, int64_t row,
                           float rate, uint32_t purpose) {
  uint64_t first = static_cast<uint64_t>(step->row_offset * row);
  uint64_t rows = static_cast<uint64_t>(count / row);
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    uint64_t draw = 2 * (first + static_cast<uint64_t>(i));
    co_philox_block bits = co_philox(step->seed, draw >> 2, step->step, purpose);
    bool high = (draw & 2) != 0; // the word pair of this element
    uint64_t other = (static_cast<uint64_t>(high ? bits.word[3] : bits.word[1]) * rows) >> 32;
    bool swapped = co_uniform_from_bits(high ? bits.word[2] : bits.word[0]) < rate;
    y[i] = x[swapped ? static_cast<int64_t>(other) * row + i % row : i];
  }
}

template <typename Word> static cudaError_t launch_swap_noise(const co_cuda_call *call) {
  const co_shape *shape = &call->desc->in[0].shape;
  int64_t count = co_cuda_count(shape);
  CO_LAUNCH(swap_noise<Word>, blocks_for(count), block_threads, 0, call->stream,
            static_cast<Word *>(call->out[0]), static_cast<const Word *>(call->in[0]),
            static_cast<const co_step *>(call->in[1]), count, co_cuda_row(shape),
            static_cast<float>(call->desc->attr.rate), call->desc->attr.purpose);
  return cudaGetLastError();
}

// `stride`: draws of a row; `of_step`: whatever the micro-batch.
__global__ void index_dropout(int32_t *y, const int32_t *x, const co_step *step, int64_t count,
                              int64_t row, int64_t stride, bool of_step, float rate,
                              uint32_t purpose) {
  const int64_t first = of_step ? 0 : step->row_offset;
  for (int64_t i = grid_index(); i < count; i += grid_size()) {
    int64_t element = (first + i / row) * stride + i % row;
    uint32_t bits = co_random_bits(step->seed, static_cast<uint64_t>(element), step->step, purpose);
    y[i] = co_uniform_from_bits(bits) < rate ? 0 : x[i];
  }
}

} // namespace co

extern "C" cudaError_t co_cuda_gather(const co_cuda_call *call) {
  const co_tensor_desc *table = &call->desc->in[0];
  size_t row = static_cast<size_t>(co_cuda_row(&table->shape)) * co_cuda_element(table->dtype);
  if (row % 16 == 0) return co::launch_gather<uint4>(call, row);
  if (row % 4 == 0) return co::launch_gather<uint32_t>(call, row);
  return co::launch_gather<uint8_t>(call, row);
}

extern "C" cudaError_t co_cuda_gather_events(const co_cuda_call *call) {
  const co_tensor_desc *table = &call->desc->in[CO_GATHER_EVENTS_table];
  size_t event = static_cast<size_t>(co_cuda_row(&table->shape)) * co_cuda_element(table->dtype);
  if (event % 16 == 0) return co::launch_gather_events<uint4>(call, event);
  if (event % 4 == 0) return co::launch_gather_events<uint32_t>(call, event);
  return co::launch_gather_events<uint8_t>(call, event);
}

extern "C" cudaError_t co_cuda_lookup(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->in[0].shape);
  CO_LAUNCH(co::lookup, co::blocks_for(count), co::block_threads, 0, call->stream,
            static_cast<int32_t *>(call->out[0]), static_cast<const int32_t *>(call->in[0]),
            static_cast<const int32_t *>(call->in[1]), count, desc->in[1].shape.dim[0]);
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_cast(const co_cuda_call *call) {
  return co::is_bf16(call->desc->out[0]) ? co::launch_cast<co::bf16>(call)
                                         : co::launch_cast<float>(call);
}

extern "C" cudaError_t co_cuda_impute(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  int64_t count = co_cuda_count(&desc->in[0].shape);
  CO_LAUNCH(co::impute, co::blocks_for(count), co::block_threads, 0, call->stream,
            static_cast<float *>(call->out[0]), static_cast<float *>(call->out[1]),
            static_cast<const float *>(call->in[0]), static_cast<const float *>(call->in[1]), count,
            static_cast<unsigned>(desc->in[1].shape.dim[0]));
  return cudaGetLastError();
}

extern "C" cudaError_t co_cuda_normalize(const co_cuda_call *call) {
  using namespace co;
  return CO_BY_TYPES(launch_normalize, call);
}

extern "C" cudaError_t co_cuda_flip(const co_cuda_call *call) {
  using namespace co;
  return CO_BY_TYPES(launch_flip, call);
}

extern "C" cudaError_t co_cuda_shifted_crop(const co_cuda_call *call) {
  using namespace co;
  return CO_BY_TYPES(launch_shifted_crop, call);
}

extern "C" cudaError_t co_cuda_input_rows(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  const co_op_attr *attr = &desc->attr;
  const co_shape *shape = &desc->out[0].shape;
  co::InputRows a = {call->out[0],
                     call->in[0],
                     static_cast<const int64_t *>(call->in[1]),
                     static_cast<const int64_t *>(call->in[2]),
                     static_cast<const co_step *>(call->in[3]),
                     static_cast<const float *>(call->in[4]),
                     static_cast<const float *>(call->in[5]),
                     shape->dim[0],
                     static_cast<unsigned>(co_cuda_row(shape)),
                     call->in[4] ? static_cast<unsigned>(desc->in[4].shape.dim[0]) : 1u,
                     call->in[2] ? co::images_of(*shape) : co::Images{},
                     static_cast<float>(attr->rate),
                     static_cast<float>(attr->fill),
                     static_cast<unsigned>(attr->pad),
                     attr->purpose,
                     attr->crop_purpose};
  return co::is_bf16(desc->out[0]) ? co::launch_input_from<co::bf16>(a, desc, call->stream)
                                   : co::launch_input_from<float>(a, desc, call->stream);
}

extern "C" cudaError_t co_cuda_swap_noise(const co_cuda_call *call) {
  switch (co_cuda_element(call->desc->in[0].dtype)) {
  case 1:
    return co::launch_swap_noise<uint8_t>(call);
  case 2:
    return co::launch_swap_noise<uint16_t>(call);
  case 4:
    return co::launch_swap_noise<uint32_t>(call);
  default:
    return co::launch_swap_noise<uint64_t>(call);
  }
}

extern "C" cudaError_t co_cuda_index_dropout(const co_cuda_call *call) {
  const co_op_desc *desc = call->desc;
  const co_shape *shape = &desc->in[CO_INDEX_DROPOUT_x].shape;
  const int64_t count = co_cuda_count(shape);
  CO_LAUNCH(co::index_dropout, co::blocks_for(count), co::block_threads, 0, call->stream,
            static_cast<int32_t *>(call->out[CO_INDEX_DROPOUT_y]),
            static_cast<const int32_t *>(call->in[CO_INDEX_DROPOUT_x]),
            static_cast<const co_step *>(call->in[CO_INDEX_DROPOUT_step]), count,
            co_cuda_row(shape), co_draws_of_row(desc), desc->attr.draws < 0,
            static_cast<float>(desc->attr.rate), desc->attr.purpose);
  return cudaGetLastError();
}
