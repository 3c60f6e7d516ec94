// SPDX-License-Identifier: Apache-2.0
#include "gemm.h"

#include <stdlib.h>
#include <string.h>

#include "bfloat16.h"
#include "tf32.h"

enum { LANES = 8 };

const char *gemm_status_name(cublasStatus_t status) {
  switch (status) {
  case CUBLAS_STATUS_SUCCESS:
    return "CUBLAS_STATUS_SUCCESS";
  case CUBLAS_STATUS_NOT_INITIALIZED:
    return "CUBLAS_STATUS_NOT_INITIALIZED";
  case CUBLAS_STATUS_INVALID_VALUE:
    return "CUBLAS_STATUS_INVALID_VALUE";
  case CUBLAS_STATUS_EXECUTION_FAILED:
    return "CUBLAS_STATUS_EXECUTION_FAILED";
  case CUBLAS_STATUS_NOT_SUPPORTED:
    return "CUBLAS_STATUS_NOT_SUPPORTED";
  default:
    return "CUBLAS_STATUS unknown to the double";
  }
}

size_t gemm_type_bytes(cudaDataType_t type) {
  return type == CUDA_R_32F ? 4 : type == CUDA_R_16BF ? 2 : 0;
}

size_t gemm_bytes(const gemm_matrix *m) {
  if (m->rows == 0 || m->columns == 0) return 0;
  int64_t last = gemm_index(m, m->rows - 1, m->columns - 1);
  return (size_t)(last + 1) * gemm_type_bytes(m->type);
}

gemm_matrix gemm_transposed(gemm_matrix m) {
  return (gemm_matrix){m.data, m.type, m.columns, m.rows, m.column_step, m.row_step};
}

gemm_matrix gemm_moved(gemm_matrix m, int64_t bytes) {
  if (m.data != NULL) m.data += bytes;
  return m;
}

bool gemm_overlap(const gemm_matrix *a, const gemm_matrix *b) {
  return a->data < b->data + gemm_bytes(b) && b->data < a->data + gemm_bytes(a);
}

int64_t gemm_index(const gemm_matrix *m, int64_t row, int64_t column) {
  return row * m->row_step + column * m->column_step;
}

float gemm_load(const void *data, cudaDataType_t type, int64_t index) {
  return type == CUDA_R_32F ? ((const float *)data)[index]
                            : bfloat16_to_float(((const uint16_t *)data)[index]);
}

void gemm_store(void *data, cudaDataType_t type, int64_t index, double value) {
  if (type == CUDA_R_32F)
    ((float *)data)[index] = (float)value;
  else
    ((uint16_t *)data)[index] = bfloat16_from_float((float)value);
}

// Rows one behind the other, padded with zeros to a multiple of LANES.
static float *pack(const gemm_matrix *m, int64_t padded, bool tf32) {
  float *packed = calloc((size_t)(m->rows * padded) + 1, sizeof *packed);
  if (packed == NULL) abort();
  for (int64_t i = 0; i < m->rows; i++)
    for (int64_t j = 0; j < m->columns; j++) {
      float value = gemm_load(m->data, m->type, gemm_index(m, i, j));
      packed[i * padded + j] = tf32 ? tf32_cut(value) : value;
    }
  return packed;
}

static double dot(const float *a, const float *b, int64_t n) {
  double lanes[LANES] = {0};
  for (int64_t k = 0; k < n; k += LANES)
    for (int l = 0; l < LANES; l++)
      lanes[l] += (double)a[k + l] * b[k + l];
  double sum = 0;
  for (int l = 0; l < LANES; l++)
    sum += lanes[l];
  return sum;
}

void gemm_multiply(const gemm_matrix *a, const gemm_matrix *b, bool tf32, double *product) {
  int64_t padded = (a->columns + LANES - 1) / LANES * LANES;
  gemm_matrix columns = gemm_transposed(*b);
  float *left = pack(a, padded, tf32), *right = pack(&columns, padded, tf32);
  for (int64_t j = 0; j < b->columns; j++)
    for (int64_t i = 0; i < a->rows; i++)
      product[i + j * a->rows] = dot(left + i * padded, right + j * padded, padded);
  free(left);
  free(right);
}
