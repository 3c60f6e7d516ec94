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

enum { CO_MAX_RANK = 6, CO_MAX_EVENT_TABLES = 4 };

// Symbolic extents in graphs, which a plan replaces: the batch rows N, the padded length of event
// table k (T0 … T3), and their product, of a tensor whose rows are the events of all rows.
#define CO_DIM_N ((int64_t)-1)
#define CO_DIM_T(k) ((int64_t)-2 - (int64_t)(k))
#define CO_DIM_NT(k) (CO_DIM_T(CO_MAX_EVENT_TABLES) - (int64_t)(k))
// Rows that each are there `members` times, of networks of several members; 0 of all other extents.
#define CO_DIM_MEMBERS(members) (CO_DIM_NT(CO_MAX_EVENT_TABLES) - (int64_t)(members))
int64_t co_dim_members(int64_t extent);

// Extents in elements, outermost first. Rank 0 is a scalar (one element).
typedef struct co_shape {
  int32_t rank;
  int64_t dim[CO_MAX_RANK];
} co_shape;

// What a plan puts in place of symbolic extents. `t` is 0 where a graph has no such event table.
typedef struct co_shape_class {
  int64_t rows;
  int64_t t[CO_MAX_EVENT_TABLES];
} co_shape_class;

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
// Replaces symbolic extents by those of a class; N·T beyond int64_t becomes -1. Extents that the
// class has no length for become 0.
void co_shape_bind(co_shape *shape, const co_shape_class *class_);
bool co_shape_class_equal(const co_shape_class *a, const co_shape_class *b);
// The event table whose length an extent is, or holds as a factor (N·T); -1 if none.
int co_dim_event_table(int64_t extent);
// "(128, 28, 28, 1)"; symbolic extents print as N, T0 and N*T0. Writes at most `size` bytes with NUL.
void co_shape_print(const co_shape *shape, char *out, size_t size);

// Bytes of the canonical layout.
size_t co_tensor_bytes(const co_tensor_desc *desc);

#ifdef __cplusplus
}
#endif
#endif
