// SPDX-License-Identifier: Apache-2.0
// What cuBLASLt is asked: its handle, one product with an epilogue, and the algorithm for it.
#include "kernels/cuda/cublas_product.h"

#include <stdio.h>
#include <string.h>

static co_status check(const co_cuda *cuda, cublasStatus_t status) {
  if (status == CUBLAS_STATUS_SUCCESS) return CO_OK;
  return cuda->host.fail(CO_ERR_DEVICE, "%s: cuBLASLt: %s", cuda->name,
                         cublasLtGetStatusString(status));
}

size_t co_cuda_cublas_version(void) {
  return cublasLtGetVersion();
}

co_status co_cuda_cublas_check(const co_host_api *host) {
  size_t version = cublasLtGetVersion(), major = version / 10000;
  if (major == CUBLAS_VER_MAJOR) return CO_OK;
  co_status status = host->fail(CO_ERR_DEVICE, "cuBLASLt %zu.%zu is installed, %d is needed", major,
                                version / 100 % 100, CUBLAS_VER_MAJOR);
  host->hint("install cuBLAS %d (libcublasLt.so.%d), or use --device cpu", CUBLAS_VER_MAJOR,
             CUBLAS_VER_MAJOR);
  return status;
}

static co_status handle_of(co_cuda *cuda, cublasLtHandle_t *out) {
  if (cuda->cublaslt == NULL) {
    cublasLtHandle_t handle = NULL;
    CO_RETURN_IF_FAILED(check(cuda, cublasLtCreate(&handle)));
    cuda->cublaslt = handle;
  }
  *out = cuda->cublaslt;
  return CO_OK;
}

void co_cuda_cublas_close(co_cuda *cuda) {
  if (cuda->cublaslt) (void)cublasLtDestroy(cuda->cublaslt);
  cuda->cublaslt = NULL;
}

void co_cuda_product_free(co_cuda_product *p) {
  if (p->a) (void)cublasLtMatrixLayoutDestroy(p->a);
  if (p->b) (void)cublasLtMatrixLayoutDestroy(p->b);
  if (p->d) (void)cublasLtMatrixLayoutDestroy(p->d);
  if (p->desc) (void)cublasLtMatmulDescDestroy(p->desc);
  memset(p, 0, sizeof *p);
}

static cublasStatus_t set(co_cuda_product *p, cublasLtMatmulDescAttributes_t name,
                          const void *value, size_t bytes) {
  return cublasLtMatmulDescSetAttribute(p->desc, name, value, bytes);
}

static bool has_vector(cublasLtEpilogue_t epilogue) {
  return epilogue != CUBLASLT_EPILOGUE_DEFAULT && epilogue != CUBLASLT_EPILOGUE_RELU &&
         epilogue != CUBLASLT_EPILOGUE_RELU_AUX && epilogue != CUBLASLT_EPILOGUE_DRELU;
}

static cublasStatus_t layout(cublasLtMatrixLayout_t *out, cudaDataType_t type, uint64_t rows,
                             uint64_t columns, int64_t ld) {
  return cublasLtMatrixLayoutCreate(out, type, rows, columns, ld ? ld : (int64_t)rows);
}

static cublasStatus_t repeat(cublasLtMatrixLayout_t matrix, int32_t batch, int64_t step) {
  cublasStatus_t status = cublasLtMatrixLayoutSetAttribute(
      matrix, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  return cublasLtMatrixLayoutSetAttribute(matrix, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                          &step, sizeof step);
}

static cublasStatus_t describe(const co_cuda *cuda, const co_cuda_product_shape *s,
                               co_cuda_product *p) {
  bool ta = s->transpose_a == CUBLAS_OP_T, tb = s->transpose_b == CUBLAS_OP_T;
  bool exact = cuda->strict_f32 || s->factors != CUDA_R_32F; // bf16 has nothing to round to TF32
  cublasComputeType_t compute = exact ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_FAST_TF32;
  // Only its alignment matters to the heuristics, which want one where there will be one.
  const void *vector = (const void *)(uintptr_t)16;
  cublasStatus_t status = cublasLtMatmulDescCreate(&p->desc, compute, CUDA_R_32F);
  if (status == CUBLAS_STATUS_SUCCESS)
    status = set(p, CUBLASLT_MATMUL_DESC_TRANSA, &s->transpose_a, sizeof s->transpose_a);
  if (status == CUBLAS_STATUS_SUCCESS)
    status = set(p, CUBLASLT_MATMUL_DESC_TRANSB, &s->transpose_b, sizeof s->transpose_b);
  if (status == CUBLAS_STATUS_SUCCESS)
    status = set(p, CUBLASLT_MATMUL_DESC_EPILOGUE, &s->epilogue, sizeof s->epilogue);
  if (status == CUBLAS_STATUS_SUCCESS && has_vector(s->epilogue))
    status = set(p, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &vector, sizeof vector);
  if (status == CUBLAS_STATUS_SUCCESS && s->mask_bits)
    status = set(p, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &vector, sizeof vector);
  if (status == CUBLAS_STATUS_SUCCESS && s->mask_bits)
    status = set(p, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &s->mask_bits, sizeof s->mask_bits);
  if (status == CUBLAS_STATUS_SUCCESS)
    status = layout(&p->a, s->factors, ta ? s->k : s->m, ta ? s->m : s->k, s->ld_a);
  if (status == CUBLAS_STATUS_SUCCESS)
    status = layout(&p->b, s->factors, tb ? s->n : s->k, tb ? s->k : s->n, s->ld_b);
  if (status == CUBLAS_STATUS_SUCCESS) status = layout(&p->d, s->result, s->m, s->n, s->ld_d);
  if (s->batch && status == CUBLAS_STATUS_SUCCESS) status = repeat(p->a, s->batch, s->step_a);
  if (s->batch && status == CUBLAS_STATUS_SUCCESS) status = repeat(p->b, s->batch, s->step_b);
  if (s->batch && status == CUBLAS_STATUS_SUCCESS) status = repeat(p->d, s->batch, s->step_d);
  return status;
}

// An algorithm by all that makes it another: "algorithm 21, tile 18, …", less what is 0 or not known of
// the device.
static void describe_algorithm(const cublasLtMatmulAlgo_t *algo, char *out, size_t size) {
  static const struct {
    const char *name;
    cublasLtMatmulAlgoConfigAttributes_t attribute;
    size_t bytes;
  } parts[] = {{"algorithm", CUBLASLT_ALGO_CONFIG_ID, 4},
               {"tile", CUBLASLT_ALGO_CONFIG_TILE_ID, 4},
               {"stages", CUBLASLT_ALGO_CONFIG_STAGES_ID, 4},
               {"split", CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 4},
               {"reduction", CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 4},
               {"swizzle", CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, 4},
               {"custom", CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, 4},
               {"inner", CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, 2},
               {"cluster", CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 2}};
  size_t length = 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts && length < size; i++) {
    uint16_t small = 0;
    uint32_t large = 0;
    size_t written;
    bool is_small = parts[i].bytes == sizeof small;
    void *value = is_small ? (void *)&small : (void *)&large;
    cublasStatus_t status = cublasLtMatmulAlgoConfigGetAttribute(algo, parts[i].attribute, value,
                                                                 parts[i].bytes, &written);
    unsigned number = is_small ? small : (unsigned)large;
    if (status == CUBLAS_STATUS_SUCCESS && (i == 0 || number > 0))
      length += (size_t)snprintf(out + length, size - length, "%s%s %u", length ? ", " : "",
                                 parts[i].name, number);
  }
}

co_status co_cuda_product_create(co_cuda *cuda, const co_cuda_product_shape *s, int candidate,
                                 char *way, co_cuda_product *p) {
  cublasLtHandle_t handle;
  cublasLtMatmulPreference_t preference = NULL;
  cublasLtMatmulHeuristicResult_t results[CO_CUDA_CANDIDATES];
  const size_t limit = CO_CUDA_WORKSPACE_LIMIT;
  int found = 0;
  memset(p, 0, sizeof *p);
  if (cuda->planning) {
    p->workspace = limit;
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(handle_of(cuda, &handle));
  cublasStatus_t status = describe(cuda, s, p);
  if (status == CUBLAS_STATUS_SUCCESS) status = cublasLtMatmulPreferenceCreate(&preference);
  if (status == CUBLAS_STATUS_SUCCESS)
    status = cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &limit, sizeof limit);
  if (status == CUBLAS_STATUS_SUCCESS)
    status = cublasLtMatmulAlgoGetHeuristic(handle, p->desc, p->a, p->b, p->d, p->d, preference,
                                            candidate + 1, results, &found);
  if (preference) (void)cublasLtMatmulPreferenceDestroy(preference);
  const cublasLtMatmulHeuristicResult_t *result = &results[candidate];
  if (status == CUBLAS_STATUS_SUCCESS && found > candidate &&
      result->state == CUBLAS_STATUS_SUCCESS) {
    p->algo = result->algo;
    p->workspace = result->workspaceSize;
    p->beta = s->beta;
    describe_algorithm(&p->algo, way, CO_CUDA_WAY);
    return CO_OK;
  }
  co_cuda_product_free(p);
  if (status == CUBLAS_STATUS_SUCCESS || status == CUBLAS_STATUS_NOT_SUPPORTED)
    return CO_ERR_DEVICE;
  return check(cuda, status);
}

co_status co_cuda_product_run(co_cuda *cuda, co_cuda_product *p, const void *a, const void *b,
                              void *d, void *vector, void *mask, const co_cuda_call *call) {
  const float one = 1;
  if (mask)
    CO_RETURN_IF_FAILED(
        check(cuda, set(p, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &mask, sizeof mask)));
  if (vector)
    CO_RETURN_IF_FAILED(
        check(cuda, set(p, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &vector, sizeof vector)));
  return check(cuda,
               cublasLtMatmul(cuda->cublaslt, p->desc, &one, a, p->a, b, p->b, &p->beta, d, p->d, d,
                              p->d, &p->algo, call->workspace, p->workspace, call->stream));
}
