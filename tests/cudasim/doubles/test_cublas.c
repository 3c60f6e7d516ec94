// SPDX-License-Identifier: Apache-2.0
// Every product of the cuBLAS double against three plain loops.
#include <cublas_v2.h>
#include <string.h>

#include "bfloat16.h"
#include "check.h"
#include "cuda_double.h"

static cublasHandle_t handle;

typedef struct product {
  int transa, transb, m, n, k, lda, ldb, ldc, batch;
  float alpha, beta;
} product;

static size_t size_a(const product *p) {
  return (size_t)p->lda * (size_t)(p->transa ? p->m : p->k);
}

static size_t size_b(const product *p) {
  return (size_t)p->ldb * (size_t)(p->transb ? p->k : p->n);
}

static size_t size_c(const product *p) {
  return (size_t)p->ldc * (size_t)p->n;
}

static void reference(const product *p, const float *a, const float *b, const float *c,
                      double *result) {
  for (size_t i = 0; i < size_c(p) * (size_t)p->batch; i++)
    result[i] = c[i];
  for (int batch = 0; batch < p->batch; batch++)
    for (int j = 0; j < p->n; j++)
      for (int i = 0; i < p->m; i++) {
        const float *left = a + size_a(p) * (size_t)batch, *right = b + size_b(p) * (size_t)batch;
        double sum = 0;
        for (int l = 0; l < p->k; l++)
          sum += (double)(p->transa ? left[i * p->lda + l] : left[l * p->lda + i]) *
                 (double)(p->transb ? right[l * p->ldb + j] : right[j * p->ldb + l]);
        double *to = &result[size_c(p) * (size_t)batch + (size_t)(j * p->ldc + i)];
        *to = p->alpha * sum + (p->beta == 0 ? 0 : p->beta * *to);
      }
}

static void narrow(uint16_t *to, const float *from, size_t count) {
  for (size_t i = 0; i < count; i++)
    to[i] = bfloat16_from_float(from[i]);
}

typedef enum entry_point { SGEMM, SGEMM_BATCHED, GEMM_EX, GEMM_BATCHED_EX } entry_point;

static cublasStatus_t call(entry_point entry, const product *p, const void *a, const void *b,
                           void *c, cudaDataType_t type) {
  cublasOperation_t ta = p->transa ? CUBLAS_OP_T : CUBLAS_OP_N;
  cublasOperation_t tb = p->transb ? CUBLAS_OP_T : CUBLAS_OP_N;
  switch (entry) {
  case SGEMM:
    return cublasSgemm(handle, ta, tb, p->m, p->n, p->k, &p->alpha, a, p->lda, b, p->ldb, &p->beta,
                       c, p->ldc);
  case SGEMM_BATCHED:
    return cublasSgemmStridedBatched(handle, ta, tb, p->m, p->n, p->k, &p->alpha, a, p->lda,
                                     (long long)size_a(p), b, p->ldb, (long long)size_b(p),
                                     &p->beta, c, p->ldc, (long long)size_c(p), p->batch);
  case GEMM_EX:
    return cublasGemmEx(handle, ta, tb, p->m, p->n, p->k, &p->alpha, a, type, p->lda, b, type,
                        p->ldb, &p->beta, c, CUDA_R_32F, p->ldc, CUBLAS_COMPUTE_32F_FAST_TF32,
                        CUBLAS_GEMM_DEFAULT);
  default:
    return cublasGemmStridedBatchedEx(handle, ta, tb, p->m, p->n, p->k, &p->alpha, a, type, p->lda,
                                      (long long)size_a(p), b, type, p->ldb, (long long)size_b(p),
                                      &p->beta, c, CUDA_R_32F, p->ldc, (long long)size_c(p),
                                      p->batch, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  }
}

static void test_product(entry_point entry, const product *p, cudaDataType_t type) {
  size_t na = size_a(p) * (size_t)p->batch, nb = size_b(p) * (size_t)p->batch;
  size_t nc = size_c(p) * (size_t)p->batch;
  float *a = new_numbers(na), *b = new_numbers(nb), *c = new_numbers(nc);
  double *wanted = malloc(nc * sizeof *wanted);
  CHECK(wanted != NULL);
  reference(p, a, b, c, wanted);
  size_t element = type == CUDA_R_32F ? 4 : 2;
  uint16_t *na16 = malloc(na * 2), *nb16 = malloc(nb * 2);
  CHECK(na16 != NULL && nb16 != NULL);
  narrow(na16, a, na);
  narrow(nb16, b, nb);
  void *da = to_device(type == CUDA_R_32F ? (void *)a : (void *)na16, na * element);
  void *db = to_device(type == CUDA_R_32F ? (void *)b : (void *)nb16, nb * element);
  void *dc = to_device(c, nc * sizeof *c);
  CHECK_OK(call(entry, p, da, db, dc, type));
  from_device(c, dc, nc * sizeof *c);
  check_close(c, wanted, nc, 1e-6, "product");
  CHECK_OK(cudaFree(da));
  CHECK_OK(cudaFree(db));
  CHECK_OK(cudaFree(dc));
  free(a), free(b), free(c), free(wanted), free(na16), free(nb16);
}

static void test_products(void) {
  for (int trans = 0; trans < 4; trans++)
    for (int entry = SGEMM; entry <= GEMM_BATCHED_EX; entry++) {
      product p = {.transa = trans & 1,
                   .transb = trans >> 1,
                   .m = 5,
                   .n = 7,
                   .k = 11,
                   .ldc = 6,
                   .batch = 1,
                   .alpha = 0.5f,
                   .beta = trans == 0 ? 0 : 2};
      p.lda = (p.transa ? p.k : p.m) + 2;
      p.ldb = (p.transb ? p.n : p.k) + 1;
      if (entry == SGEMM_BATCHED || entry == GEMM_BATCHED_EX) p.batch = 3;
      test_product((entry_point)entry, &p, CUDA_R_32F);
      if (entry >= GEMM_EX) test_product((entry_point)entry, &p, CUDA_R_16BF);
    }
}

// beta = 0 does not read C; m = 0 does nothing; k = 0 scales C.
static void test_edges(void) {
  float one = 1, zero = 0, half = 0.5f, values[4] = {1, 2, 3, 4};
  float *a = to_device(values, sizeof values), *c = device_bytes(sizeof values);
  CHECK_OK(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 1, &one, a, 2, a, 1, &zero, c, 2));
  from_device(values, c, sizeof values);
  CHECK(values[0] == 1 && values[1] == 2 && values[2] == 2 && values[3] == 4);
  CHECK_OK(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 0, 2, 1, &one, NULL, 1, NULL, 1, &zero,
                       NULL, 1));
  CHECK_OK(
      cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 0, &one, NULL, 2, NULL, 1, &half, c, 2));
  from_device(values, c, sizeof values);
  CHECK(values[0] == 0.5f && values[3] == 2);
  CHECK_STATUS(
      cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 1, &one, a, 1, a, 1, &zero, c, 2),
      CUBLAS_STATUS_INVALID_VALUE);
  CHECK_OK(cudaFree(a));
  CHECK_OK(cudaFree(c));
}

// Scalars are read at the call, not at the replay.
static void test_capture(void) {
  float values[2] = {3, 5}, scale = 2, zero = 0, result[2];
  float *a = to_device(values, sizeof values), *c = device_bytes(sizeof values);
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  CHECK_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  CHECK_OK(cublasSetStream(handle, stream));
  void *workspace = device_bytes(1 << 16);
  CHECK_OK(cublasSetWorkspace(handle, workspace, 1 << 16));
  CHECK_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  CHECK_OK(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 1, 1, &scale, a, 2, a, 1, &zero, c, 2));
  CHECK_OK(cudaStreamEndCapture(stream, &graph));
  CHECK_OK(cudaGraphInstantiate(&exec, graph, 0));
  scale = 100;
  CHECK_OK(cudaGraphLaunch(exec, stream));
  from_device(result, c, sizeof result);
  CHECK(result[0] == 18 && result[1] == 30);
  CHECK_OK(cudaGraphExecDestroy(exec));
  CHECK_OK(cudaGraphDestroy(graph));
  CHECK_OK(cublasSetStream(handle, NULL));
  CHECK_OK(cudaStreamDestroy(stream));
  CHECK_OK(cudaFree(workspace));
  CHECK_OK(cudaFree(a));
  CHECK_OK(cudaFree(c));
}

int main(void) {
  int version;
  CHECK_OK(cublasCreate(&handle));
  CHECK_OK(cublasGetVersion(handle, &version));
  CHECK(version == CUBLAS_VERSION);
  CHECK_OK(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH));
  test_products();
  test_edges();
  test_capture();
  CHECK_OK(cublasDestroy(handle));
  setenv("COHORT_SIM_DEVICES", "0", 1);
  CHECK_STATUS(cublasCreate(&handle), CUBLAS_STATUS_NOT_INITIALIZED);
  unsetenv("COHORT_SIM_DEVICES");
  CHECK(co_double_count().live_objects == 0);
  puts("ok");
  return 0;
}
