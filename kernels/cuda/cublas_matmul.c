// SPDX-License-Identifier: Apache-2.0
// MATMUL and its gradients by one strided batch of cuBLASLt, which counts columns first: y' = b' a'.
#include <string.h>

#include "kernels/cuda/cublas_product.h"
#include "kernels/matmul.h"

// Kernels count those of a batch by the z of a grid, which ends there.
enum { MOST_MATRICES = 65535 };

typedef struct matmul {
  co_prepared base;
  co_cuda_product product;
  co_row_product of;
} matmul;

static co_status run(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  matmul *self = (matmul *)prepared;
  return co_cuda_product_run(cuda, &self->product, call->in[self->of.b], call->in[self->of.a],
                             call->out[0], NULL, NULL, call);
}

static void release(co_cuda *cuda, co_prepared *prepared) {
  (void)cuda;
  co_cuda_product_free(&((matmul *)prepared)->product);
}

static co_cuda_product_shape shape_of(const co_row_product *of, const co_op_desc *desc) {
  const bool bf16 = desc->in[0].dtype == CO_BF16;
  return (co_cuda_product_shape){.m = (uint64_t)of->columns,
                                 .n = (uint64_t)of->rows,
                                 .k = (uint64_t)of->inner,
                                 .transpose_a = of->turned_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                                 .transpose_b = of->turned_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                                 .epilogue = CUBLASLT_EPILOGUE_DEFAULT,
                                 .beta = co_cuda_accumulates(desc, 0) ? 1 : 0,
                                 .factors = bf16 ? CUDA_R_16BF : CUDA_R_32F,
                                 .result = bf16 ? CUDA_R_16BF : CUDA_R_32F,
                                 .batch = (int32_t)of->count,
                                 .step_a = of->b_size,
                                 .step_b = of->a_size,
                                 .step_d = of->size};
}

co_status co_cuda_plan_matmul(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                              co_cuda_answer *answer, co_prepared **out) {
  matmul self;
  memset(&self, 0, sizeof self);
  self.of = co_row_product_of(desc);
  for (int i = 0; i < 2; i++)
    if (!co_cuda_is_data(&desc->in[i])) return co_cuda_refuse(answer, "f32 and bf16 only");
  if (!co_cuda_is_data(&desc->out[0])) return co_cuda_refuse(answer, "f32 and bf16 only");
  if (self.of.size == 1) return co_cuda_refuse(answer, "one number a row is no product");
  if (self.of.count > MOST_MATRICES) return co_cuda_refuse(answer, "too many rows");
  const co_cuda_product_shape s = shape_of(&self.of, desc);
  char way[CO_CUDA_WAY];
  co_status status = co_cuda_product_create(cuda, &s, 0, way, &self.product);
  if (status == CO_ERR_DEVICE) return co_cuda_refuse(answer, "cuBLASLt has no algorithm for it");
  CO_RETURN_IF_FAILED(status);
  answer->choice.workspace = self.product.workspace;
  answer->choice.launches = 1;
  answer->choice.planned = cuda->planning;
  co_prepared *prepared = NULL;
  if (out) status = co_cuda_prepared_create(cuda, impl, desc, sizeof self, &prepared);
  if (prepared == NULL) {
    co_cuda_product_free(&self.product);
    return status;
  }
  self.base = *prepared;
  self.base.run = run;
  self.base.release = release;
  *(matmul *)prepared = self;
  *out = prepared;
  return CO_OK;
}
