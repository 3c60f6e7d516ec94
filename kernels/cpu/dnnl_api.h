// SPDX-License-Identifier: Apache-2.0
// The part of oneDNN that Cohort uses, the same over 2.6 and 3.x: memory descriptors as values,
// creation of primitive descriptors, and execution with data handles set at run time. Only
// kernels/cpu sees this file. All scratch memory is the caller's (scratchpad mode user).
#ifndef COHORT_KERNELS_CPU_DNNL_API_H
#define COHORT_KERNELS_CPU_DNNL_API_H

#include <dnnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/core/status.h"

// oneDNN 2 has descriptors by value, oneDNN 3 owned handles; co_md hides which.
typedef struct co_md {
  dnnl_memory_desc_t value;
} co_md;
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t co_md_borrowed;
#else
typedef const dnnl_memory_desc_t *co_md_borrowed;
#endif

co_md_borrowed co_md_borrow(const co_md *md);
co_status co_md_clone(co_md *out, co_md_borrowed md);
// Legal on a zeroed co_md.
void co_md_free(co_md *md);
co_status co_md_strided(co_md *out, dnnl_data_type_t type, int rank, const int64_t *dims,
                        const int64_t *strides);
co_status co_md_any(co_md *out, dnnl_data_type_t type, int rank, const int64_t *dims);
// float32, rank 4, blocks of `block` (4, 8 or 16) on dimension 1, the rest dense: nChw16c and its like.
co_status co_md_channel_blocked(co_md *out, const int64_t dims[4], int block);

bool co_md_equal(co_md_borrowed a, co_md_borrowed b);
size_t co_md_bytes(co_md_borrowed md);
// What is left of a descriptor once versions are hidden.
typedef struct co_md_form {
  int rank, blocks;
  int64_t dims[DNNL_MAX_NDIMS], padded[DNNL_MAX_NDIMS], strides[DNNL_MAX_NDIMS];
  int64_t block_size[DNNL_MAX_NDIMS], block_dim[DNNL_MAX_NDIMS];
  bool blocked; // false: a format that strides and blocks do not describe
} co_md_form;
void co_md_describe(co_md_borrowed md, co_md_form *out);
// "aBcd16b": dimensions by falling stride, capital where blocked, then the inner blocks.
void co_md_name(co_md_borrowed md, char *out, size_t size);

// An engine and a stream on the CPU.
typedef struct co_dnnl {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
} co_dnnl;
co_status co_dnnl_open(co_dnnl *out);
void co_dnnl_close(co_dnnl *dnnl);
// Whether the processor multiplies bf16 itself, so that its primitives are worth asking for.
bool co_dnnl_has_bf16(void);

typedef struct co_dnnl_attr {
  bool accumulate; // destination += result
  bool relu;       // then the activation
} co_dnnl_attr;

typedef struct co_dnnl_window {
  dnnl_dims_t stride, dilation, pad_begin, pad_end; // dilation as oneDNN counts: 0 = dense
} co_dnnl_window;

// Creation of primitive descriptors: the status of oneDNN, so that callers may fall back. Release
// with dnnl_primitive_desc_destroy. `bias` may be NULL.
typedef enum co_dnnl_conv {
  CO_DNNL_CONV_FORWARD,
  CO_DNNL_CONV_BACKWARD_DATA,
  CO_DNNL_CONV_BACKWARD_WEIGHTS,
  CO_DNNL_DECONV_FORWARD,
  CO_DNNL_DECONV_BACKWARD_WEIGHTS
} co_dnnl_conv;
// w has rank 5 where there are groups. x, w, y: source, weights, destination, or their gradients where the kind says so.
dnnl_status_t co_dnnl_conv_create(dnnl_primitive_desc_t *out, const co_dnnl *dnnl,
                                  co_dnnl_conv kind, const co_md *x, const co_md *w,
                                  const co_md *bias, const co_md *y, const co_dnnl_window *window,
                                  const co_dnnl_attr *attr);
dnnl_status_t co_dnnl_matmul_create(dnnl_primitive_desc_t *out, const co_dnnl *dnnl, const co_md *a,
                                    const co_md *b, const co_md *bias, const co_md *c,
                                    const co_dnnl_attr *attr);
dnnl_status_t co_dnnl_reorder_create(dnnl_primitive_desc_t *out, const co_dnnl *dnnl,
                                     const co_md *x, const co_md *y);

const char *co_dnnl_implementation(dnnl_primitive_desc_t pd); // "jit:avx512_core"
size_t co_dnnl_scratch_bytes(dnnl_primitive_desc_t pd);
// Borrowed; index as DNNL_ARG_*.
co_md_borrowed co_dnnl_md(dnnl_primitive_desc_t pd, int arg);

// A primitive with its arguments; the order in which they were given is the order of the handles.
enum { CO_DNNL_MAX_ARGS = 6 };
typedef struct co_dnnl_exec {
  dnnl_primitive_t primitive;
  dnnl_exec_arg_t args[CO_DNNL_MAX_ARGS + 1];
  int count;
  bool scratch; // the argument after the last is the scratchpad
} co_dnnl_exec;
// `args`: DNNL_ARG_*, `count` of them. On failure *out is zeroed.
co_status co_dnnl_exec_create(co_dnnl_exec *out, const co_dnnl *dnnl, dnnl_primitive_desc_t pd,
                              const int *args, int count);
void co_dnnl_exec_free(co_dnnl_exec *exec);
co_status co_dnnl_exec_run(const co_dnnl_exec *exec, const co_dnnl *dnnl, void *const *handles,
                           void *scratch);

// A primitive some of whose operands lie otherwise than the caller's: those are moved to and from places in the
// workspace. `given` are the caller's descriptors, in the order of `args`; bit i of `results`: operand i is written.
typedef struct co_dnnl_packed {
  co_dnnl_exec exec, move[CO_DNNL_MAX_ARGS];
  size_t place[CO_DNNL_MAX_ARGS]; // in the workspace
  uint32_t moved, results;
  size_t bytes; // of the workspace
} co_dnnl_packed;
// Finds what must be moved and the workspace; `create`: makes it ready to run, too. CO_ERR_DEVICE if oneDNN cannot move
// an operand. On failure *out is zeroed.
co_status co_dnnl_packed_create(co_dnnl_packed *out, const co_dnnl *dnnl, dnnl_primitive_desc_t pd,
                                const int *args, const co_md *const *given, int count,
                                uint32_t results, bool create);
void co_dnnl_packed_free(co_dnnl_packed *packed);
co_status co_dnnl_packed_run(const co_dnnl_packed *packed, const co_dnnl *dnnl,
                             void *const *handles, void *workspace);

// Records an error of oneDNN: `what` failed.
co_status co_dnnl_fail(dnnl_status_t status, const char *what);
const char *co_dnnl_status_name(dnnl_status_t status);

#endif
