// SPDX-License-Identifier: Apache-2.0
// Inside the CUDA plugin: its state, layouts, and how an implementation of an operation is written.
// An implementation is a row of a table: our own kernels give a launcher and masks, those of vendor
// libraries a plan function.
#ifndef COHORT_KERNELS_CUDA_CUDA_H
#define COHORT_KERNELS_CUDA_CUDA_H

#include "kernels/cuda/kernels.h"
#include "kernels/cuda_plugin.h"

// Convolution kernels as cuDNN wants them: logical (KH, KW, I, O) lies as (O, KH, KW, I). Masks of
// dense layers (N, O) as cuBLASLt makes them: a bit an element, the lowest of a byte first, rows of
// CO_CUDA_MASK_BITS(O) bits. All other tensors are canonical.
#define CO_CUDA_LAYOUT_OHWI ((co_layout)1)
#define CO_CUDA_LAYOUT_MASK ((co_layout)2)
#define CO_CUDA_MASK_BITS(units) (((units) + 127) / 128 * 128)

enum {
  CO_CUDA_ALIGNMENT = 256,
  CO_CUDA_STAGING = 512 << 10, // bytes of pinned memory in each of the staging buffers
  CO_CUDA_REASON = 256
};
// Scratch memory that a vendor library may ask for; the arena pays it once for all operations.
#define CO_CUDA_WORKSPACE_LIMIT ((size_t)64 << 20)

typedef struct co_cuda {
  co_backend base; // first
  co_backend_api api;
  co_host_api host;
  char name[16];
  int device;
  bool strict_f32;
  char force[32];              // prefix of implementations' names, "" = none
  cudaStream_t stream, copies; // the queues
  bool capturing;
  struct { // uploads go through two halves in turn, so that they need not wait
    char *memory;
    cudaEvent_t copied[2];
    int half;
    size_t used;
  } up;
  char *down;
  unsigned *tickets; // of all launches of `stream`
  void *cublaslt;    // of cublas_dense.c, made when first needed
  void *cudnn;       // of cudnn_conv.c, likewise
} co_cuda;

typedef struct co_cuda_impl co_cuda_impl;

struct co_prepared {
  const co_cuda_impl *impl;
  co_op_desc desc;
  co_status (*run)(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call);
  void (*release)(co_cuda *cuda, co_prepared *prepared); // frees what it holds, not itself; or NULL
};

typedef struct co_cuda_answer {
  co_op_choice choice; // all canonical at first
  char reason[CO_CUDA_REASON];
  bool accumulate; // refused only because of desc->accumulate
} co_cuda_answer;

struct co_cuda_impl {
  co_op op;
  const char *name;
  // CO_OK: accepted, answer->choice says how, and *out is made if out is not NULL. CO_ERR_DEVICE
  // through co_cuda_refuse: not by this implementation. Anything else: a failure.
  co_status (*plan)(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                    co_cuda_answer *answer, co_prepared **out);
  // Our own kernels (plan is co_cuda_plan_kernel):
  co_cuda_launcher *launch;
  co_cuda_scratch *scratch; // NULL = none
  uint32_t f32_in, f32_out; // operands that must be f32 if present
  bool large;               // counts elements in 64 bits everywhere
  bool same;                // all operands in one layout, whichever it is
};

co_status co_cuda_plan_kernel(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                              co_cuda_answer *answer, co_prepared **out);
co_status co_cuda_refuse(co_cuda_answer *answer, const char *format, ...) CO_PRINTF(2, 3);
// Allocates `size` bytes that start with a co_prepared, zeroed but for its base.
co_status co_cuda_prepared_create(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                                  size_t size, co_prepared **out);
// CO_OK, or CO_ERR_DEVICE with "cuda:0: what: the error's text".
co_status co_cuda_check(const co_cuda *cuda, cudaError_t error, const char *what);

// Tables end with a row of name NULL; rows of one operation in order of preference.
extern const co_cuda_impl co_cuda_kernels[], co_cuda_cublas[], co_cuda_cudnn[];
void co_cuda_cublas_close(co_cuda *cuda);
void co_cuda_cudnn_close(co_cuda *cuda);

#endif
