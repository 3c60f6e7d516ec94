// SPDX-License-Identifier: Apache-2.0
// Dense layers by cuBLASLt; bias, relu, the relu's mask and what a mask lets pass as epilogues.
// cuBLASLt counts columns first, so a row-major matrix is its transpose there: y = x w is computed
// as y' = w' x'.
#include <cublasLt.h>
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/cuda.h"

typedef struct product {
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t a, b, d; // column-major, D (m, n) = op(A) op(B); C is D
  cublasLtMatmulAlgo_t algo;
  size_t workspace;
  float beta;
} product;

typedef struct dense {
  co_prepared base;
  product product;
  bool sums_bias; // db by our own kernel
  size_t sum_offset;
} dense;

// What a pass multiplies. The operands a, b and vector are indices of inputs, d of outputs.
typedef struct shape {
  uint64_t m, n, k;
  cublasOperation_t transpose_a, transpose_b;
  cublasLtEpilogue_t epilogue;
  float beta;
  cudaDataType_t factors, result; // of a and b, of d and the vector
  int64_t mask_bits;              // of a row of the mask, 0 = no mask
} shape;

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

static void product_free(product *p) {
  if (p->a) (void)cublasLtMatrixLayoutDestroy(p->a);
  if (p->b) (void)cublasLtMatrixLayoutDestroy(p->b);
  if (p->d) (void)cublasLtMatrixLayoutDestroy(p->d);
  if (p->desc) (void)cublasLtMatmulDescDestroy(p->desc);
  memset(p, 0, sizeof *p);
}

static cublasStatus_t set(product *p, cublasLtMatmulDescAttributes_t name, const void *value,
                          size_t bytes) {
  return cublasLtMatmulDescSetAttribute(p->desc, name, value, bytes);
}

static bool has_vector(cublasLtEpilogue_t epilogue) {
  return epilogue != CUBLASLT_EPILOGUE_DEFAULT && epilogue != CUBLASLT_EPILOGUE_RELU &&
         epilogue != CUBLASLT_EPILOGUE_RELU_AUX && epilogue != CUBLASLT_EPILOGUE_DRELU;
}

static cublasStatus_t describe(const co_cuda *cuda, const shape *s, product *p) {
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
    status = cublasLtMatrixLayoutCreate(&p->a, s->factors, ta ? s->k : s->m, ta ? s->m : s->k,
                                        (int64_t)(ta ? s->k : s->m));
  if (status == CUBLAS_STATUS_SUCCESS)
    status = cublasLtMatrixLayoutCreate(&p->b, s->factors, tb ? s->n : s->k, tb ? s->k : s->n,
                                        (int64_t)(tb ? s->n : s->k));
  if (status == CUBLAS_STATUS_SUCCESS)
    status = cublasLtMatrixLayoutCreate(&p->d, s->result, s->m, s->n, (int64_t)s->m);
  return status;
}

static void library(const co_cuda *cuda, char *out, size_t size) {
  (void)cuda;
  (void)snprintf(out, size, "cuBLASLt %zu", cublasLtGetVersion());
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

// The candidate-th algorithm in cuBLASLt's order; its description becomes `way`. CO_ERR_DEVICE without
// a message where cuBLASLt has none for it.
static co_status product_create(co_cuda *cuda, const shape *s, int candidate, char *way,
                                product *p) {
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
  product_free(p);
  if (status == CUBLAS_STATUS_SUCCESS || status == CUBLAS_STATUS_NOT_SUPPORTED)
    return CO_ERR_DEVICE;
  return check(cuda, status);
}

static co_status product_run(co_cuda *cuda, product *p, const void *a, const void *b, void *d,
                             void *vector, void *mask, const co_cuda_call *call) {
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

// ---- passes ------------------------------------------------------------------------------------

static co_status run_dense(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  dense *self = (dense *)prepared; // y' = w' x'
  return product_run(cuda, &self->product, call->in[CO_DENSE_w], call->in[CO_DENSE_x],
                     call->out[CO_DENSE_y], call->in[CO_DENSE_b], call->out[CO_DENSE_mask], call);
}

static co_status run_backward_data(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  dense *self = (dense *)prepared; // dx' = w dy'
  return product_run(cuda, &self->product, call->in[CO_DENSE_BACKWARD_DATA_w],
                     call->in[CO_DENSE_BACKWARD_DATA_dy], call->out[CO_DENSE_BACKWARD_DATA_dx],
                     NULL, NULL, call);
}

static co_status run_relu_backward(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  dense *self = (dense *)prepared; // dx' = mask of (w dy')
  return product_run(cuda, &self->product, call->in[CO_DENSE_RELU_BACKWARD_w],
                     call->in[CO_DENSE_RELU_BACKWARD_dy], call->out[CO_DENSE_RELU_BACKWARD_dx],
                     call->out[CO_DENSE_RELU_BACKWARD_db], call->in[CO_DENSE_RELU_BACKWARD_mask],
                     call);
}

static co_status run_backward_weights(co_cuda *cuda, co_prepared *prepared,
                                      const co_cuda_call *call) {
  dense *self = (dense *)prepared; // dw' = dy' x
  const co_op_desc *desc = &prepared->desc;
  enum { x = CO_DENSE_BACKWARD_WEIGHTS_x, dy = CO_DENSE_BACKWARD_WEIGHTS_dy };
  enum { dw = CO_DENSE_BACKWARD_WEIGHTS_dw, db = CO_DENSE_BACKWARD_WEIGHTS_db };
  void *bias = call->out[db];
  CO_RETURN_IF_FAILED(product_run(cuda, &self->product, call->in[dy], call->in[x], call->out[dw],
                                  self->sums_bias ? NULL : bias, NULL, call));
  if (bias == NULL || !self->sums_bias) return CO_OK;
  const co_shape *rows = &desc->in[dy].shape;
  return co_cuda_check(cuda,
                       co_cuda_column_sum(bias, call->in[dy], desc->in[dy].dtype, rows->dim[0],
                                          rows->dim[1], co_cuda_accumulates(desc, db),
                                          (char *)call->workspace + self->sum_offset, call),
                       "bias gradient");
}

static void release(co_cuda *cuda, co_prepared *prepared) {
  (void)cuda;
  product_free(&((dense *)prepared)->product);
}

static cudaDataType_t type_of(const co_tensor_desc *operand) {
  return operand->dtype == CO_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static shape shape_of(const co_op_desc *desc) {
  const float beta = co_cuda_accumulates(desc, 0) ? 1 : 0;
  shape s = {.epilogue = CUBLASLT_EPILOGUE_DEFAULT,
             .beta = beta,
             .factors = type_of(&desc->in[0]),
             .result = type_of(&desc->out[0])};
  const int64_t *w = desc->op == CO_OP_DENSE_BACKWARD_WEIGHTS
                         ? desc->out[CO_DENSE_BACKWARD_WEIGHTS_dw].shape.dim
                         : desc->in[CO_DENSE_w].shape.dim;
  uint64_t N = (uint64_t)desc->in[0].shape.dim[0], I = (uint64_t)w[0], O = (uint64_t)w[1];
  bool bias = co_cuda_has_in(desc, 2), relu = desc->attr.activation == CO_ACTIVATION_RELU;
  switch (desc->op) {
  case CO_OP_DENSE:
    s.m = O, s.n = N, s.k = I;
    s.transpose_a = s.transpose_b = CUBLAS_OP_N;
    if (co_cuda_has_out(desc, 1)) { // only relu has a mask
      s.epilogue = bias ? CUBLASLT_EPILOGUE_RELU_AUX_BIAS : CUBLASLT_EPILOGUE_RELU_AUX;
      s.mask_bits = CO_CUDA_MASK_BITS((int64_t)O);
      break;
    }
    s.epilogue = bias   ? (relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS)
                 : relu ? CUBLASLT_EPILOGUE_RELU
                        : CUBLASLT_EPILOGUE_DEFAULT;
    break;
  case CO_OP_DENSE_BACKWARD_DATA:
    s.m = I, s.n = N, s.k = O;
    s.transpose_a = CUBLAS_OP_T;
    s.transpose_b = CUBLAS_OP_N;
    break;
  case CO_OP_DENSE_RELU_BACKWARD:
    s.m = I, s.n = N, s.k = O;
    s.transpose_a = CUBLAS_OP_T;
    s.transpose_b = CUBLAS_OP_N;
    s.epilogue = co_cuda_has_out(desc, 1) ? CUBLASLT_EPILOGUE_DRELU_BGRAD : CUBLASLT_EPILOGUE_DRELU;
    s.mask_bits = CO_CUDA_MASK_BITS((int64_t)I);
    break;
  default:
    s.m = O, s.n = I, s.k = N;
    s.transpose_a = CUBLAS_OP_N;
    s.transpose_b = CUBLAS_OP_T;
    // Over k, the rows. It cannot be added to what db holds.
    if (co_cuda_has_out(desc, 1) && !co_cuda_accumulates(desc, 1))
      s.epilogue = CUBLASLT_EPILOGUE_BGRADA;
    break;
  }
  return s;
}

// f32, and bf16 wherever the contract has it (query has checked that), but for masks. A masked
// product can be added to nothing.
static co_status check_operands(const co_op_desc *desc, co_cuda_answer *answer) {
  uint32_t mask_in = desc->op == CO_OP_DENSE_RELU_BACKWARD ? 1u << CO_DENSE_RELU_BACKWARD_mask : 0;
  uint32_t mask_out = desc->op == CO_OP_DENSE ? desc->has_out & 1u << CO_DENSE_mask : 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if ((co_cuda_has_in(desc, i) && !(mask_in >> i & 1) && !co_cuda_is_data(&desc->in[i])) ||
        (co_cuda_has_out(desc, i) && !(mask_out >> i & 1) && !co_cuda_is_data(&desc->out[i])))
      return co_cuda_refuse(answer, "f32 and bf16 only");
  if (mask_in && desc->accumulate) {
    answer->accumulate = true;
    return co_cuda_refuse(answer, "what is masked cannot be added to");
  }
  if (mask_out && desc->attr.activation != CO_ACTIVATION_RELU)
    return co_cuda_refuse(answer, "only relu has a mask");
  if (mask_in) answer->choice.in[CO_DENSE_RELU_BACKWARD_mask] = CO_CUDA_LAYOUT_MASK;
  if (mask_out) answer->choice.out[CO_DENSE_mask] = CO_CUDA_LAYOUT_MASK;
  return CO_OK;
}

static co_status (*run_of(co_op op))(co_cuda *, co_prepared *, const co_cuda_call *) {
  switch (op) {
  case CO_OP_DENSE:
    return run_dense;
  case CO_OP_DENSE_BACKWARD_DATA:
    return run_backward_data;
  case CO_OP_DENSE_RELU_BACKWARD:
    return run_relu_backward;
  default:
    return run_backward_weights;
  }
}

// The last candidates with a bias gradient leave it to our own kernel.
static co_status create_candidate(co_cuda *cuda, const co_op_desc *desc, co_cuda_answer *answer,
                                  dense *self) {
  shape s = shape_of(desc);
  bool has_bias = desc->op == CO_OP_DENSE_BACKWARD_WEIGHTS && co_cuda_has_out(desc, 1);
  bool fused = s.epilogue == CUBLASLT_EPILOGUE_BGRADA;
  char algorithm[CO_CUDA_WAY] = "";
  int candidate = answer->candidate;
  co_status status = CO_ERR_DEVICE;
  if (!fused || candidate < CO_CUDA_FUSED_CANDIDATES)
    status = product_create(cuda, &s, candidate, algorithm, &self->product);
  else
    candidate -= CO_CUDA_FUSED_CANDIDATES;
  if (status == CO_ERR_DEVICE && fused &&
      (answer->candidate == 0 || answer->candidate >= CO_CUDA_FUSED_CANDIDATES)) {
    s.epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    status = product_create(cuda, &s, candidate, algorithm, &self->product);
  }
  self->sums_bias = has_bias && s.epilogue == CUBLASLT_EPILOGUE_DEFAULT;
  (void)snprintf(answer->way, sizeof answer->way, "%d: %.100s%s", answer->candidate, algorithm,
                 fused && self->sums_bias ? ", bias apart" : "");
  return status;
}

static co_status plan(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                      co_cuda_answer *answer, co_prepared **out) {
  dense self;
  memset(&self, 0, sizeof self);
  CO_RETURN_IF_FAILED(check_operands(desc, answer));
  co_status status = create_candidate(cuda, desc, answer, &self);
  if (status == CO_ERR_DEVICE) return co_cuda_refuse(answer, "cuBLASLt has no algorithm for it");
  CO_RETURN_IF_FAILED(status);
  answer->choice.workspace = self.product.workspace;
  answer->choice.launches = 1;
  answer->choice.planned = cuda->planning;
  if (self.sums_bias) {
    const co_shape *dy = &desc->in[1].shape;
    self.sum_offset =
        (self.product.workspace + CO_CUDA_ALIGNMENT - 1) / CO_CUDA_ALIGNMENT * CO_CUDA_ALIGNMENT;
    answer->choice.workspace = self.sum_offset + co_cuda_column_sum_scratch(dy->dim[0], dy->dim[1]);
    answer->choice.launches++;
    answer->choice.why =
        co_cuda_accumulates(desc, 1) ? "bias gradient by our own kernel: cuBLASLt adds none"
        : answer->candidate
            ? "bias gradient by our own kernel: faster than in the product"
            : "bias gradient by our own kernel: cuBLASLt has none with this product";
  }
  co_prepared *prepared = NULL;
  if (out == NULL) {
    product_free(&self.product);
    return CO_OK;
  }
  status = co_cuda_prepared_create(cuda, impl, desc, sizeof self, &prepared);
  if (status != CO_OK) {
    product_free(&self.product);
    return status;
  }
  self.base = *prepared;
  self.base.run = run_of(desc->op);
  self.base.release = release;
  *(dense *)prepared = self;
  *out = prepared;
  return CO_OK;
}

const co_cuda_impl co_cuda_cublas[] = {
    {.op = CO_OP_DENSE, .name = "cublaslt", .plan = plan, .library = library},
    {.op = CO_OP_DENSE_BACKWARD_DATA, .name = "cublaslt", .plan = plan, .library = library},
    {.op = CO_OP_DENSE_BACKWARD_WEIGHTS, .name = "cublaslt", .plan = plan, .library = library},
    {.op = CO_OP_DENSE_RELU_BACKWARD, .name = "cublaslt", .plan = plan, .library = library},
    {.name = NULL},
};
