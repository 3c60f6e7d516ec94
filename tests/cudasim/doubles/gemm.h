// SPDX-License-Identifier: Apache-2.0
// What the doubles of cuBLAS and cuBLASLt share: names of statuses, matrices seen through two
// strides, and a plain product in double precision.
#ifndef COHORT_CUDASIM_GEMM_H
#define COHORT_CUDASIM_GEMM_H

#include <cublas_api.h>

#include "double.h"

const char *gemm_status_name(cublasStatus_t status);

// Element (i, j) lies i * row_step + j * column_step elements behind data.
typedef struct gemm_matrix {
  char *data;
  cudaDataType_t type;
  int64_t rows, columns;
  int64_t row_step, column_step;
} gemm_matrix;

size_t gemm_type_bytes(cudaDataType_t type);  // 0: not modelled
size_t gemm_bytes(const gemm_matrix *matrix); // from data to the last element
gemm_matrix gemm_transposed(gemm_matrix matrix);
// The matrix `bytes` further on; NULL (a matrix that is not read) stays NULL.
gemm_matrix gemm_moved(gemm_matrix matrix, int64_t bytes);
bool gemm_overlap(const gemm_matrix *a, const gemm_matrix *b);

float gemm_load(const void *data, cudaDataType_t type, int64_t index);
void gemm_store(void *data, cudaDataType_t type, int64_t index, double value);
int64_t gemm_index(const gemm_matrix *matrix, int64_t row, int64_t column);

// product[i + j * a->rows] = sum over k of a(i, k) * b(k, j), of operands cut to TF32 if that is so.
void gemm_multiply(const gemm_matrix *a, const gemm_matrix *b, bool tf32, double *product);

#endif
