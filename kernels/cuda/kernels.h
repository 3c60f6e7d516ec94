// SPDX-License-Identifier: Apache-2.0
// The launchers of our own kernels, one per operation and all of one form: they take shapes and
// attributes from the descriptor, enqueue and never wait. Those that need scratch memory have a
// function for its size beside them. Shared by C and CUDA sources.
#ifndef COHORT_KERNELS_CUDA_KERNELS_H
#define COHORT_KERNELS_CUDA_KERNELS_H

#include <cuda_runtime_api.h>

#include "kernels/descriptor.h"

#ifdef __cplusplus
extern "C" {
#endif

// Counters on the device that the blocks of a launch share (comes_last in reduce.cuh). They are 0
// before each launch and each launch leaves them so: the launches of a stream, which run one after
// another, share them.
enum { CO_CUDA_TICKETS = 1024 };

typedef struct co_cuda_call {
  const co_op_desc *desc;
  void *const *in;
  void *const *out;
  void *workspace;
  cudaStream_t stream;
  unsigned *tickets; // CO_CUDA_TICKETS
} co_cuda_call;

typedef cudaError_t co_cuda_launcher(const co_cuda_call *call);
typedef size_t co_cuda_scratch(const co_op_desc *desc);
typedef int co_cuda_launches(const co_op_desc *desc); // that the launcher enqueues

// Every operation may have a launcher of its name, a size of scratch memory and a count of launches:
// the table (table.c) says which has.
#define X(ENUM, name, ...)                                                                         \
  co_cuda_launcher co_cuda_##name;                                                                 \
  co_cuda_scratch co_cuda_##name##_scratch;                                                        \
  co_cuda_launches co_cuda_##name##_launches;
CO_OPS(X)
#undef X

co_cuda_scratch co_cuda_loss_scratch; // loss.cu: of the losses and metrics
// reorder.cu
co_cuda_launcher co_cuda_copy; // in[0] to out[0], any type
// x (rows, columns) to y (columns, rows), f32 or bf16.
cudaError_t co_cuda_transpose(void *y, const void *x, co_dtype dtype, int64_t rows, int64_t columns,
                              cudaStream_t stream);

// Between masks of a byte an element (rows, units) and of bits, rows of `stride` bytes.
cudaError_t co_cuda_pack_mask(void *bits, const void *bytes, int64_t rows, int64_t units,
                              int64_t stride, cudaStream_t stream);
cudaError_t co_cuda_unpack_mask(void *bytes, const void *bits, int64_t rows, int64_t units,
                                int64_t stride, cudaStream_t stream);

// ---- helpers of the vendor files, in channelwise.cu
// sum (C) (+)= sum over rows of x (rows, C); scratch of co_cuda_column_sum_scratch bytes; stream and
// tickets are those of the call.
size_t co_cuda_column_sum_scratch(int64_t rows, int64_t channels);
// x is f32 or bf16, as `dtype` says.
cudaError_t co_cuda_column_sum(float *sum, const void *x, co_dtype dtype, int64_t rows,
                               int64_t channels, bool accumulate, void *scratch,
                               const co_cuda_call *call);
// y (count) = act(y + b (channels)), both f32 or both bf16; b may be NULL.
cudaError_t co_cuda_bias_activation(void *y, const void *b, co_dtype dtype, int64_t count,
                                    int64_t channels, co_activation activation,
                                    cudaStream_t stream);
// Of LINEAR_CROSS_ENTROPY, in catalogue.cu, over tiles of logits: z (N, count) of the classes from `first`
// on. Tiles come in order, the last one makes loss, sum and hits of what `scratch` holds of each row
// (co_cuda_catalogue_scratch bytes). Then z becomes the slopes of the logits in it, tile by tile.
size_t co_cuda_catalogue_scratch(const co_op_desc *desc);
cudaError_t co_cuda_catalogue_statistics(const float *z, int64_t first, int64_t count,
                                         void *scratch, const co_cuda_call *call);
cudaError_t co_cuda_catalogue_slopes(float *z, int64_t first, int64_t count, void *scratch,
                                     const co_cuda_call *call);
// There, too: y (rows, columns) f32 = x bf16, whose rows lie `stride` apart; y (count) bf16 (+)= x f32.
cudaError_t co_cuda_widen_rows(float *y, const void *x, int64_t rows, int64_t columns,
                               int64_t stride, cudaStream_t stream);
cudaError_t co_cuda_round(void *y, const float *x, int64_t count, bool accumulate,
                          cudaStream_t stream);
// y (count) f32 (+)= x bf16, in elementwise.cu.
cudaError_t co_cuda_widen(float *y, const void *x, int64_t count, bool accumulate,
                          cudaStream_t stream);

// ---- shapes, as host/core has them, which the plugin is not linked with

static inline int64_t co_cuda_count(const co_shape *shape) {
  int64_t count = 1;
  for (int i = 0; i < shape->rank; i++)
    count *= shape->dim[i];
  return count;
}
// Elements of one row, and of the last dimension.
static inline int64_t co_cuda_row(const co_shape *shape) {
  return co_cuda_count(shape) / shape->dim[0];
}
static inline int64_t co_cuda_last(const co_shape *shape) {
  return shape->dim[shape->rank - 1];
}
static inline size_t co_cuda_element(co_dtype dtype) {
  return dtype == CO_U8 ? 1 : dtype == CO_BF16 ? 2 : dtype == CO_I32 || dtype == CO_F32 ? 4 : 8;
}
static inline bool co_cuda_is_data(const co_tensor_desc *desc) {
  return desc->dtype == CO_F32 || desc->dtype == CO_BF16;
}
static inline size_t co_cuda_bytes(const co_tensor_desc *desc) {
  return (size_t)co_cuda_count(&desc->shape) * co_cuda_element(desc->dtype);
}
static inline bool co_cuda_has_in(const co_op_desc *desc, int i) {
  return (desc->has_in >> i & 1) != 0;
}
static inline bool co_cuda_has_out(const co_op_desc *desc, int i) {
  return (desc->has_out >> i & 1) != 0;
}
// The gradient of a convolution's kernel, whichever way round it is used.
static inline bool co_cuda_makes_kernel(co_op op) {
  return op == CO_OP_CONV2D_BACKWARD_WEIGHTS || op == CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS;
}
static inline bool co_cuda_accumulates(const co_op_desc *desc, int i) {
  return (desc->accumulate >> i & 1) != 0;
}

#ifdef __cplusplus
}
#endif
#endif
