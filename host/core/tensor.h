// SPDX-License-Identifier: Apache-2.0
// Element types, shapes and tensor descriptions. Shared with CUDA sources: common subset of C11
// and C++17, no allocation.
#ifndef COHORT_CORE_TENSOR_H
#define COHORT_CORE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_dtype {
  CO_U8,
  CO_I32,
  CO_I64,
  CO_F32,
  CO_F64,
  CO_BF16, // data under the bf16 policy (kernels/ops.h says where)
  CO_DTYPE_COUNT
} co_dtype;

enum { CO_MAX_RANK = 6 };

// Symbolic extents in graphs (a plan replaces them): the batch rows N and, per event table, the
// padded length T. CO_DIM_T - k is the length of event table k.
#define CO_DIM_N ((int64_t)-1)
#define CO_DIM_T ((int64_t)-2)

// Extents in elements, outermost first. Rank 0 is a scalar (one element).
typedef struct co_shape {
  int32_t rank;
  int64_t dim[CO_MAX_RANK];
} co_shape;

// Memory order. 0 is canonical: dense row-major in logical order (activations N,H,W,C; dense
// kernels in,out; convolution kernels H,W,I,O). Other values are ids owned by a backend.
typedef int32_t co_layout;
#define CO_LAYOUT_CANONICAL ((co_layout)0)

typedef struct co_tensor_desc {
  co_dtype dtype;
  co_layout layout;
  co_shape shape;
} co_tensor_desc;

size_t co_dtype_size(co_dtype dtype);
const char *co_dtype_name(co_dtype dtype); // "u8", "i32", "i64", "f32", "f64", "bf16"

co_shape co_shape_make(int rank, ...); // int64_t extents; pass literals as (int64_t)
bool co_shape_equal(const co_shape *a, const co_shape *b);
int64_t co_shape_count(const co_shape *shape); // product of extents; -1 on overflow or symbolic
// "(128, 28, 28, 1)"; symbolic extents print as N and T. Writes at most `size` bytes with NUL.
void co_shape_print(const co_shape *shape, char *out, size_t size);

// Bytes of the canonical layout.
size_t co_tensor_bytes(const co_tensor_desc *desc);

#ifdef __cplusplus
}
#endif
#endif
