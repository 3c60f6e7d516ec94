// SPDX-License-Identifier: Apache-2.0
// One product by cuBLASLt, which counts columns first: a row-major matrix is its transpose there.
#ifndef COHORT_KERNELS_CUDA_CUBLAS_PRODUCT_H
#define COHORT_KERNELS_CUDA_CUBLAS_PRODUCT_H

#include <cublasLt.h>

#include "kernels/cuda/cuda.h"

typedef struct co_cuda_product {
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t a, b, d; // column-major, D (m, n) = op(A) op(B); C is D
  cublasLtMatmulAlgo_t algo;
  size_t workspace;
  float beta; // read by each run
} co_cuda_product;

typedef struct co_cuda_product_shape {
  uint64_t m, n, k;
  cublasOperation_t transpose_a, transpose_b;
  cublasLtEpilogue_t epilogue;
  float beta;
  cudaDataType_t factors, result; // of a and b, of d and the vector
  int64_t mask_bits;              // of a row of the mask, 0 = no mask
  int64_t ld_a, ld_b, ld_d;       // from column to column; 0 = the matrix is a whole one
  int32_t batch;                  // products of one shape; 0 = one
  int64_t step_a, step_b, step_d; // elements from one to the next
} co_cuda_product_shape;

// The candidate-th algorithm in cuBLASLt's order; its description becomes `way` (CO_CUDA_WAY).
// CO_ERR_DEVICE without a message where cuBLASLt has none for it.
co_status co_cuda_product_create(co_cuda *cuda, const co_cuda_product_shape *s, int candidate,
                                 char *way, co_cuda_product *p);
// Enqueues it, with scratch memory at call->workspace. `vector` and `mask` are the epilogue's or NULL.
co_status co_cuda_product_run(co_cuda *cuda, co_cuda_product *p, const void *a, const void *b,
                              void *d, void *vector, void *mask, const co_cuda_call *call);
void co_cuda_product_free(co_cuda_product *p); // of zeros, too

// cublas_catalogue.c, cublas_matmul.c
co_status co_cuda_plan_catalogue(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                                 co_cuda_answer *answer, co_prepared **out);
co_status co_cuda_plan_matmul(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                              co_cuda_answer *answer, co_prepared **out);

#endif
