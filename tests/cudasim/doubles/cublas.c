// SPDX-License-Identifier: Apache-2.0
// Double of libcublas: handles and dense products of float and bfloat16 matrices with float
// compute. TF32 is computed as float.
#include <cublas_v2.h>
#include <stdlib.h>

#include "gemm.h"

struct cublasContext {
  co_double_object object;
  cudaStream_t stream;
  void *workspace; // NULL: the library's own
  size_t workspace_bytes;
  cublasMath_t math;
  cublasAtomicsMode_t atomics;
};

typedef struct gemm_arguments {
  cublasOperation_t transa, transb;
  int64_t m, n, k;
  const void *alpha, *beta;
  const void *a, *b;
  void *c;
  cudaDataType_t a_type, b_type, c_type;
  int64_t lda, ldb, ldc;
  int64_t stride_a, stride_b, stride_c;
  int64_t batch;
} gemm_arguments;

typedef struct gemm_call {
  gemm_matrix a, b, c;
  int64_t stride_a, stride_b, stride_c; // bytes
  int64_t batch;
  float alpha, beta;
  void *workspace;
  size_t workspace_bytes;
} gemm_call;

static cublasHandle_t get(cublasHandle_t handle) {
  return co_double_object_get(CO_DOUBLE_CUBLAS, handle, "handle");
}

static cublasStatus_t state_status(void) {
  return co_double_state() == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

// ---- handles

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
  DOUBLE_ENTER();
  *handle = NULL;
  if (co_double_state() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = co_double_object_new(CO_DOUBLE_CUBLAS, sizeof **handle, NULL);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  DOUBLE_ENTER();
  co_double_object_close(get(handle));
  return CUBLAS_STATUS_SUCCESS;
}

// As in the real library, a new stream means the default workspace again.
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  DOUBLE_ENTER();
  co_double_need_stream(stream);
  get(handle)->stream = stream;
  handle->workspace = NULL;
  handle->workspace_bytes = 0;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t *stream) {
  DOUBLE_ENTER();
  *stream = get(handle)->stream;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes) {
  DOUBLE_ENTER();
  get(handle);
  co_double_need_device("workspace", workspace, bytes);
  if ((uintptr_t)workspace % 256 != 0) {
    co_double_complain("workspace=%p is not aligned to 256 bytes", workspace);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  handle->workspace = workspace;
  handle->workspace_bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  DOUBLE_ENTER();
  const cublasMath_t known = CUBLAS_PEDANTIC_MATH | CUBLAS_TF32_TENSOR_OP_MATH |
                             CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
  if (mode & ~known) co_double_die("mode=%d not modelled", (int)mode);
  get(handle)->math = mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t *mode) {
  DOUBLE_ENTER();
  *mode = get(handle)->math;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode) {
  DOUBLE_ENTER();
  get(handle);
  if (mode != CUBLAS_POINTER_MODE_HOST) co_double_die("mode=%d not modelled", (int)mode);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t mode) {
  DOUBLE_ENTER();
  get(handle)->atomics = mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t handle, int *version) {
  DOUBLE_ENTER();
  if (handle != NULL) get(handle);
  *version = CUBLAS_VERSION;
  return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusName(cublasStatus_t status) {
  return gemm_status_name(status);
}

const char *cublasGetStatusString(cublasStatus_t status) {
  return gemm_status_name(status);
}

// ---- products

static void run_gemm(void *closure) {
  const gemm_call *call = closure;
  co_double_poison_workspace(call->workspace, call->workspace_bytes);
  double *product = calloc((size_t)(call->c.rows * call->c.columns), sizeof *product);
  if (product == NULL) abort();
  for (int64_t batch = 0; batch < call->batch; batch++) {
    gemm_matrix a = gemm_moved(call->a, batch * call->stride_a);
    gemm_matrix b = gemm_moved(call->b, batch * call->stride_b);
    char *c = call->c.data + batch * call->stride_c;
    if (call->alpha != 0) gemm_multiply(&a, &b, false, product);
    for (int64_t j = 0; j < call->c.columns; j++)
      for (int64_t i = 0; i < call->c.rows; i++) {
        int64_t index = gemm_index(&call->c, i, j);
        double value = call->alpha * product[i + j * call->c.rows];
        if (call->beta != 0) value += call->beta * (double)gemm_load(c, call->c.type, index);
        gemm_store(c, call->c.type, index, value);
      }
  }
  free(product);
  co_double_poison_workspace(call->workspace, call->workspace_bytes);
}

static gemm_matrix column_major(const char *name, const void *data, cudaDataType_t type,
                                int64_t rows, int64_t columns, int64_t ld, cublasOperation_t op) {
  if (gemm_type_bytes(type) == 0) co_double_die("type of %s=%d not modelled", name, (int)type);
  if (op != CUBLAS_OP_N && op != CUBLAS_OP_T) co_double_die("trans%s=%d not modelled", name, op);
  gemm_matrix matrix = {(char *)data, type, rows, columns, 1, ld};
  if (op == CUBLAS_OP_N) return matrix;
  matrix.rows = columns;
  matrix.columns = rows;
  return gemm_transposed(matrix);
}

static bool bad_leading_dimension(const char *name, int64_t ld, int64_t rows) {
  if (ld >= 1 && ld >= rows) return false;
  co_double_complain("ld%s=%lld is less than the %lld rows stored", name, (long long)ld,
                     (long long)rows);
  return true;
}

static void need_batch(const char *name, const gemm_matrix *matrix, int64_t stride, int64_t batch) {
  co_double_need_device(name, matrix->data, gemm_bytes(matrix) + (size_t)((batch - 1) * stride));
  if ((uintptr_t)matrix->data % gemm_type_bytes(matrix->type) != 0)
    co_double_die("%s=%p is not aligned to its element type", name, (void *)matrix->data);
}

// A batch as a whole, with what lies between its matrices.
static void claim_batch(const gemm_matrix *matrix, int64_t stride, int64_t batch, bool writes) {
  co_double_claim(matrix->data, gemm_bytes(matrix) + (size_t)((batch - 1) * stride), writes);
}

static void claim_operands(const gemm_call *call, bool reads) {
  if (reads) {
    claim_batch(&call->a, call->stride_a, call->batch, false);
    claim_batch(&call->b, call->stride_b, call->batch, false);
  }
  claim_batch(&call->c, call->stride_c, call->batch, true);
  co_double_claim(call->workspace, call->workspace_bytes, true);
}

static cublasStatus_t gemm(cublasHandle_t handle, const gemm_arguments *g) {
  get(handle);
  if (state_status() != CUBLAS_STATUS_SUCCESS) return state_status();
  if (g->m < 0 || g->n < 0 || g->k < 0 || g->batch < 0 || g->alpha == NULL || g->beta == NULL) {
    co_double_complain("m=%lld n=%lld k=%lld batchCount=%lld alpha=%p beta=%p", (long long)g->m,
                       (long long)g->n, (long long)g->k, (long long)g->batch, g->alpha, g->beta);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (bad_leading_dimension("a", g->lda, g->transa == CUBLAS_OP_N ? g->m : g->k) ||
      bad_leading_dimension("b", g->ldb, g->transb == CUBLAS_OP_N ? g->k : g->n) ||
      bad_leading_dimension("c", g->ldc, g->m))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (g->a_type != g->b_type || (g->a_type == CUDA_R_32F && g->c_type != CUDA_R_32F)) {
    co_double_complain("types %d, %d, %d do not go together", g->a_type, g->b_type, g->c_type);
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  co_double_need_host("alpha", g->alpha, sizeof(float));
  co_double_need_host("beta", g->beta, sizeof(float));
  if (g->m == 0 || g->n == 0 || g->batch == 0) return CUBLAS_STATUS_SUCCESS;
  gemm_call call = {
      .a = column_major("a", g->a, g->a_type, g->m, g->k, g->lda, g->transa),
      .b = column_major("b", g->b, g->b_type, g->k, g->n, g->ldb, g->transb),
      .c = column_major("c", g->c, g->c_type, g->m, g->n, g->ldc, CUBLAS_OP_N),
      .stride_a = g->stride_a * (int64_t)gemm_type_bytes(g->a_type),
      .stride_b = g->stride_b * (int64_t)gemm_type_bytes(g->b_type),
      .stride_c = g->stride_c * (int64_t)gemm_type_bytes(g->c_type),
      .batch = g->batch,
      .alpha = *(const float *)g->alpha,
      .beta = *(const float *)g->beta,
      .workspace = handle->workspace,
      .workspace_bytes = handle->workspace_bytes,
  };
  const bool reads = call.alpha != 0 && g->k > 0;
  if (reads) {
    need_batch("A", &call.a, call.stride_a, call.batch);
    need_batch("B", &call.b, call.stride_b, call.batch);
    if (gemm_overlap(&call.a, &call.c) || gemm_overlap(&call.b, &call.c))
      co_double_die("C overlaps A or B");
  }
  need_batch("C", &call.c, call.stride_c, call.batch);
  if (call.batch > 1 && call.stride_c < (int64_t)gemm_bytes(&call.c))
    co_double_die("strideC=%lld: the results of a batch overlap", (long long)g->stride_c);
  co_double_need_device("workspace", call.workspace, call.workspace_bytes);
  if (call.workspace == NULL && co_double_stream_capturing(handle->stream))
    co_double_die("capture without cublasSetWorkspace: the library would allocate memory");
  gemm_call *closure = malloc(sizeof *closure);
  if (closure == NULL) abort();
  *closure = call;
  claim_operands(&call, reads);
  cudaError_t error = co_double_submit(handle->stream, CO_DOUBLE_KERNEL, "a cuBLAS product",
                                       run_gemm, NULL, free, closure);
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

static void need_float_compute(cublasComputeType_t compute, cublasGemmAlgo_t algo) {
  if (compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_PEDANTIC &&
      compute != CUBLAS_COMPUTE_32F_FAST_TF32)
    co_double_die("computeType=%d not modelled", (int)compute);
  if (algo != CUBLAS_GEMM_DEFAULT && algo != CUBLAS_GEMM_DEFAULT_TENSOR_OP)
    co_double_die("algo=%d not modelled", (int)algo);
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t transa,
                              cublasOperation_t transb, int m, int n, int k, const float *alpha,
                              const float *a, int lda, const float *b, int ldb, const float *beta,
                              float *c, int ldc) {
  DOUBLE_ENTER();
  return gemm(handle, &(gemm_arguments){transa, transb, m, n,          k,          alpha,      beta,
                                        a,      b,      c, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, lda,
                                        ldb,    ldc,    0, 0,          0,          1});
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa,
                                         cublasOperation_t transb, int m, int n, int k,
                                         const float *alpha, const float *a, int lda,
                                         long long stride_a, const float *b, int ldb,
                                         long long stride_b, const float *beta, float *c, int ldc,
                                         long long stride_c, int batch) {
  DOUBLE_ENTER();
  return gemm(handle,
              &(gemm_arguments){transa, transb, m,        n,          k,          alpha,      beta,
                                a,      b,      c,        CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, lda,
                                ldb,    ldc,    stride_a, stride_b,   stride_c,   batch});
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa,
                            cublasOperation_t transb, int m, int n, int k, const void *alpha,
                            const void *a, cudaDataType a_type, int lda, const void *b,
                            cudaDataType b_type, int ldb, const void *beta, void *c,
                            cudaDataType c_type, int ldc, cublasComputeType_t compute,
                            cublasGemmAlgo_t algo) {
  DOUBLE_ENTER();
  need_float_compute(compute, algo);
  return gemm(handle, &(gemm_arguments){transa, transb, m,      n,   k,   alpha, beta, a, b, c,
                                        a_type, b_type, c_type, lda, ldb, ldc,   0,    0, 0, 1});
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transa,
                                          cublasOperation_t transb, int m, int n, int k,
                                          const void *alpha, const void *a, cudaDataType a_type,
                                          int lda, long long stride_a, const void *b,
                                          cudaDataType b_type, int ldb, long long stride_b,
                                          const void *beta, void *c, cudaDataType c_type, int ldc,
                                          long long stride_c, int batch,
                                          cublasComputeType_t compute, cublasGemmAlgo_t algo) {
  DOUBLE_ENTER();
  need_float_compute(compute, algo);
  return gemm(handle, &(gemm_arguments){transa, transb, m,        n,        k,        alpha,  beta,
                                        a,      b,      c,        a_type,   b_type,   c_type, lda,
                                        ldb,    ldc,    stride_a, stride_b, stride_c, batch});
}
