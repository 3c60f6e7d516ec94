// SPDX-License-Identifier: Apache-2.0
// The cuBLASLt double: orders, transposes, batches and every epilogue against plain loops.
#include <cublasLt.h>
#include <string.h>

#include "bfloat16.h"
#include "check.h"
#include "cuda_double.h"

enum { M = 6, N = 5, K = 9, MASK_LD = 128, WORKSPACE = 1 << 20 };

static cublasLtHandle_t handle;
static void *workspace;

typedef struct matrix {
  int rows, columns; // as stored
  bool row_major, transposed;
  int ld;
  float *host;
  void *device;
  cublasLtMatrixLayout_t layout;
  cudaDataType_t type;
} matrix;

static size_t stored(const matrix *m) {
  return (size_t)m->ld * (size_t)(m->row_major ? m->rows : m->columns);
}

// Element (i, j) of op(m).
static float *at(const matrix *m, int i, int j) {
  int row = m->transposed ? j : i, column = m->transposed ? i : j;
  return &m->host[m->row_major ? row * m->ld + column : column * m->ld + row];
}

static void *upload(const float *values, size_t count, cudaDataType_t type) {
  if (type == CUDA_R_32F) return to_device(values, count * sizeof *values);
  uint16_t *narrow = malloc(count * sizeof *narrow);
  CHECK(narrow != NULL);
  for (size_t i = 0; i < count; i++)
    narrow[i] = bfloat16_from_float(values[i]);
  void *device = to_device(narrow, count * sizeof *narrow);
  free(narrow);
  return device;
}

static void download(float *values, const void *device, size_t count, cudaDataType_t type) {
  if (type == CUDA_R_32F) {
    from_device(values, device, count * sizeof *values);
    return;
  }
  uint16_t *narrow = malloc(count * sizeof *narrow);
  CHECK(narrow != NULL);
  from_device(narrow, device, count * sizeof *narrow);
  for (size_t i = 0; i < count; i++)
    values[i] = bfloat16_to_float(narrow[i]);
  free(narrow);
}

// A rows x columns op(matrix).
static matrix new_matrix(int rows, int columns, bool transposed, bool row_major,
                         cudaDataType_t type) {
  matrix m = {.rows = transposed ? columns : rows,
              .columns = transposed ? rows : columns,
              .row_major = row_major,
              .transposed = transposed,
              .type = type};
  m.ld = (row_major ? m.columns : m.rows) + 3;
  m.host = new_numbers(stored(&m));
  m.device = upload(m.host, stored(&m), type);
  CHECK_OK(
      cublasLtMatrixLayoutCreate(&m.layout, type, (uint64_t)m.rows, (uint64_t)m.columns, m.ld));
  cublasLtOrder_t order = row_major ? CUBLASLT_ORDER_ROW : CUBLASLT_ORDER_COL;
  CHECK_OK(cublasLtMatrixLayoutSetAttribute(m.layout, CUBLASLT_MATRIX_LAYOUT_ORDER, &order,
                                            sizeof order));
  return m;
}

static void free_matrix(matrix *m) {
  CHECK_OK(cublasLtMatrixLayoutDestroy(m->layout));
  CHECK_OK(cudaFree(m->device));
  free(m->host);
}

typedef struct variant {
  cublasLtEpilogue_t epilogue;
  bool transa, transb, a_row_major, b_row_major, c_row_major;
  cudaDataType_t type, result_type;
  float alpha, beta;
} variant;

static cublasLtMatmulDesc_t new_desc(const variant *v, void *bias, void *mask) {
  cublasLtMatmulDesc_t desc;
  int32_t ta = v->transa ? CUBLAS_OP_T : CUBLAS_OP_N, tb = v->transb ? CUBLAS_OP_T : CUBLAS_OP_N;
  int64_t mask_ld = MASK_LD;
  cublasComputeType_t compute =
      v->type == CUDA_R_32F ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  CHECK_OK(cublasLtMatmulDescCreate(&desc, compute, CUDA_R_32F));
#define SET(name, value)                                                                           \
  CHECK_OK(                                                                                        \
      cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_##name, &(value), sizeof(value)))
  SET(TRANSA, ta);
  SET(TRANSB, tb);
  SET(EPILOGUE, v->epilogue);
  SET(BIAS_POINTER, bias);
  SET(EPILOGUE_AUX_POINTER, mask);
  SET(EPILOGUE_AUX_LD, mask_ld);
#undef SET
  return desc;
}

static cublasStatus_t multiply(cublasLtMatmulDesc_t desc, const variant *v, const matrix *a,
                               const matrix *b, const matrix *c) {
  cublasLtMatmulPreference_t preference;
  cublasLtMatmulHeuristicResult_t result;
  uint64_t limit = WORKSPACE;
  int found = 0;
  CHECK_OK(cublasLtMatmulPreferenceCreate(&preference));
  CHECK_OK(cublasLtMatmulPreferenceSetAttribute(
      preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &limit, sizeof limit));
  cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle, desc, a->layout, b->layout, c->layout, c->layout, preference, 1, &result, &found);
  CHECK_OK(cublasLtMatmulPreferenceDestroy(preference));
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  CHECK(found == 1 && result.state == CUBLAS_STATUS_SUCCESS && result.workspaceSize <= WORKSPACE);
  return cublasLtMatmul(handle, desc, &v->alpha, a->device, a->layout, b->device, b->layout,
                        &v->beta, c->device, c->layout, c->device, c->layout, &result.algo,
                        workspace, WORKSPACE, NULL);
}

// wanted[i + j * M], and the vector and mask that the epilogue makes.
static void reference(const variant *v, const matrix *a, const matrix *b, const matrix *c,
                      const float *bias, const unsigned char *mask, double *wanted,
                      double *wanted_vector, unsigned char *wanted_mask) {
  bool has_bias = v->epilogue & CUBLASLT_EPILOGUE_BIAS, relu = v->epilogue & CUBLASLT_EPILOGUE_RELU;
  bool gradient = (v->epilogue & ~16) == CUBLASLT_EPILOGUE_DRELU;
  memcpy(wanted_mask, mask, MASK_LD / 8 * N);
  for (int i = 0; i < N + M; i++)
    wanted_vector[i] = 0;
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) {
      double sum = 0;
      for (int k = 0; k < K; k++)
        sum += (double)*at(a, i, k) * *at(b, k, j);
      sum = v->alpha * sum + (v->beta == 0 ? 0 : v->beta * (double)*at(c, i, j));
      if (has_bias) sum += bias[i];
      int bit = j * MASK_LD + i;
      if (relu && (v->epilogue & 128)) {
        wanted_mask[bit / 8] &= (unsigned char)~(1u << bit % 8);
        if (sum > 0) wanted_mask[bit / 8] |= (unsigned char)(1u << bit % 8);
      }
      if (relu && sum < 0) sum = 0;
      if (gradient && !(mask[bit / 8] >> bit % 8 & 1)) sum = 0;
      wanted[i + j * M] = sum;
      if (v->epilogue == CUBLASLT_EPILOGUE_DRELU_BGRAD) wanted_vector[i] += sum;
    }
  for (int k = 0; k < K; k++) {
    for (int i = 0; i < M && v->epilogue == CUBLASLT_EPILOGUE_BGRADA; i++)
      wanted_vector[i] += *at(a, i, k);
    for (int j = 0; j < N && v->epilogue == CUBLASLT_EPILOGUE_BGRADB; j++)
      wanted_vector[j] += *at(b, k, j);
  }
}

static void test_variant(const variant *v) {
  matrix a = new_matrix(M, K, v->transa, v->a_row_major, v->type);
  matrix b = new_matrix(K, N, v->transb, v->b_row_major, v->type);
  matrix c = new_matrix(M, N, false, v->c_row_major, v->result_type);
  float bias[M + N], got[M * N];
  unsigned char mask[MASK_LD / 8 * N], wanted_mask[MASK_LD / 8 * N];
  double wanted[M * N], wanted_vector[M + N];
  fill_numbers(bias, M + N);
  for (size_t i = 0; i < sizeof mask; i++)
    mask[i] = (unsigned char)(i * 37 + 11);
  void *device_bias = upload(bias, M + N, v->result_type);
  void *device_mask = to_device(mask, sizeof mask);
  reference(v, &a, &b, &c, bias, mask, wanted, wanted_vector, wanted_mask);

  cublasLtMatmulDesc_t desc = new_desc(v, device_bias, device_mask);
  CHECK_OK(multiply(desc, v, &a, &b, &c));
  download(c.host, c.device, stored(&c), v->result_type);
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++)
      got[i + j * M] = *at(&c, i, j);
  double tolerance = v->result_type == CUDA_R_32F ? 1e-6 : 1.0 / 128;
  check_close(got, wanted, M * N, tolerance, "D");
  bool writes_vector = v->epilogue == CUBLASLT_EPILOGUE_BGRADA ||
                       v->epilogue == CUBLASLT_EPILOGUE_BGRADB ||
                       v->epilogue == CUBLASLT_EPILOGUE_DRELU_BGRAD;
  if (writes_vector) {
    size_t length = v->epilogue == CUBLASLT_EPILOGUE_BGRADB ? N : M;
    download(bias, device_bias, length, v->result_type);
    check_close(bias, wanted_vector, length, tolerance, "bias gradient");
  }
  from_device(mask, device_mask, sizeof mask);
  CHECK(memcmp(mask, wanted_mask, sizeof mask) == 0);
  CHECK_OK(cublasLtMatmulDescDestroy(desc));
  CHECK_OK(cudaFree(device_bias));
  CHECK_OK(cudaFree(device_mask));
  free_matrix(&a);
  free_matrix(&b);
  free_matrix(&c);
}

static void test_variants(void) {
  static const cublasLtEpilogue_t epilogues[] = {
      CUBLASLT_EPILOGUE_DEFAULT,   CUBLASLT_EPILOGUE_BIAS,        CUBLASLT_EPILOGUE_RELU,
      CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_RELU_AUX,    CUBLASLT_EPILOGUE_RELU_AUX_BIAS,
      CUBLASLT_EPILOGUE_DRELU,     CUBLASLT_EPILOGUE_DRELU_BGRAD, CUBLASLT_EPILOGUE_BGRADA,
      CUBLASLT_EPILOGUE_BGRADB};
  for (size_t e = 0; e < sizeof epilogues / sizeof *epilogues; e++)
    for (int bits = 0; bits < 16; bits++)
      for (int types = 0; types < 3; types++) {
        variant v = {.epilogue = epilogues[e],
                     .transa = bits & 1,
                     .transb = bits & 2,
                     .a_row_major = bits & 4,
                     .b_row_major = bits & 8,
                     .alpha = 0.5f,
                     .beta = bits % 3 == 0 ? 1 : 0};
        v.type = types == 0 ? CUDA_R_32F : CUDA_R_16BF;
        v.result_type = types == 2 ? CUDA_R_16BF : CUDA_R_32F;
        v.c_row_major = e == 0 && bits % 2 == 0;
        test_variant(&v);
      }
}

static void test_batches(void) {
  enum { BATCH = 3 };
  float a[BATCH * 4], b[BATCH * 4], d[BATCH * 4], one = 1, zero = 0;
  fill_numbers(a, BATCH * 4);
  fill_numbers(b, BATCH * 4);
  void *da = to_device(a, sizeof a), *db = to_device(b, sizeof b), *dd = device_bytes(sizeof d);
  cublasLtMatrixLayout_t layout;
  cublasLtMatmulDesc_t desc;
  int32_t batch = BATCH;
  int64_t stride = 4;
  CHECK_OK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 2, 2, 2));
  CHECK_OK(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
                                            sizeof batch));
  CHECK_OK(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                            &stride, sizeof stride));
  CHECK_OK(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  CHECK_OK(cublasLtMatmul(handle, desc, &one, da, layout, db, layout, &zero, NULL, layout, dd,
                          layout, NULL, NULL, 0, NULL));
  from_device(d, dd, sizeof d);
  for (int n = 0; n < BATCH; n++) {
    double wanted = (double)a[4 * n] * b[4 * n] + (double)a[4 * n + 2] * b[4 * n + 1];
    CHECK(fabs(d[4 * n] - wanted) < 1e-6);
  }
  CHECK_OK(cublasLtMatmulDescDestroy(desc));
  CHECK_OK(cublasLtMatrixLayoutDestroy(layout));
  CHECK_OK(cudaFree(da));
  CHECK_OK(cudaFree(db));
  CHECK_OK(cudaFree(dd));
}

// What is refused with a status.
static void test_refusals(void) {
  variant v = {.epilogue = CUBLASLT_EPILOGUE_BIAS,
               .type = CUDA_R_32F,
               .result_type = CUDA_R_32F,
               .alpha = 1,
               .c_row_major = true};
  matrix a = new_matrix(M, K, false, false, CUDA_R_32F),
         b = new_matrix(K, N, false, false, CUDA_R_32F);
  matrix c = new_matrix(M, N, false, false, CUDA_R_32F),
         r = new_matrix(M, N, false, true, CUDA_R_32F);
  void *bias = device_bytes(M * sizeof(float)), *mask = device_bytes(MASK_LD / 8 * N);
  cublasLtMatmulDesc_t desc = new_desc(&v, bias, mask);
  CHECK_STATUS(multiply(desc, &v, &a, &b, &r), CUBLAS_STATUS_NOT_SUPPORTED); // row-major D
  CHECK_STATUS(multiply(desc, &v, &b, &a, &c), CUBLAS_STATUS_INVALID_VALUE); // shapes
  int64_t small_ld = M;
  v.epilogue = CUBLASLT_EPILOGUE_RELU_AUX;
  CHECK_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &v.epilogue,
                                          sizeof v.epilogue));
  CHECK_OK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &small_ld,
                                          sizeof small_ld));
  CHECK_STATUS(multiply(desc, &v, &a, &b, &c), CUBLAS_STATUS_INVALID_VALUE);
  char byte = 0;
  CHECK_STATUS(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &byte, 1),
               CUBLAS_STATUS_INVALID_VALUE);
  CHECK_OK(cublasLtMatmulDescDestroy(desc));
  CHECK_OK(cudaFree(bias));
  CHECK_OK(cudaFree(mask));
  free_matrix(&a);
  free_matrix(&b);
  free_matrix(&c);
  free_matrix(&r);
}

int main(void) {
  CHECK_OK(cublasLtCreate(&handle));
  workspace = device_bytes(WORKSPACE);
  test_variants();
  test_batches();
  test_refusals();
  CHECK_OK(cudaFree(workspace));
  CHECK_OK(cublasLtDestroy(handle));
  CHECK(co_double_count().live_objects == 0);
  puts("ok");
  return 0;
}
