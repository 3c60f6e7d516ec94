// SPDX-License-Identifier: Apache-2.0
// cuBLASLt products with epilogues. Everything is computed in double and rounded once.
//
// Stricter than the real library where its answer is not known without a GPU: an epilogue with a
// vector or mask needs a column-major D, and no batches; relu makes a 0 of NaN.
#include <stdlib.h>
#include <string.h>

#include "cublaslt_double.h"
#include "gemm.h"

enum {
  ALGORITHMS = 3,           // for each problem
  FAST_WORKSPACE = 1 << 20, // what the fast algorithm asks for, if allowed
  WORKSPACE_ALIGNMENT = 16,
  MASK_LD_BITS = 128
};
static const uint64_t algo_magic = 0x636F686F72744C74u;

typedef enum vector_kind { NO_VECTOR, VECTOR_IN, VECTOR_OUT } vector_kind;
typedef enum mask_kind { NO_MASK, MASK_IN, MASK_OUT } mask_kind;

typedef struct epilogue_rule {
  cublasLtEpilogue_t epilogue;
  vector_kind vector;
  mask_kind mask;
  bool relu;
} epilogue_rule;

static const epilogue_rule epilogue_rules[] = {
    {CUBLASLT_EPILOGUE_DEFAULT, NO_VECTOR, NO_MASK, false},
    {CUBLASLT_EPILOGUE_BIAS, VECTOR_IN, NO_MASK, false},
    {CUBLASLT_EPILOGUE_RELU, NO_VECTOR, NO_MASK, true},
    {CUBLASLT_EPILOGUE_RELU_BIAS, VECTOR_IN, NO_MASK, true},
    {CUBLASLT_EPILOGUE_RELU_AUX, NO_VECTOR, MASK_OUT, true},
    {CUBLASLT_EPILOGUE_RELU_AUX_BIAS, VECTOR_IN, MASK_OUT, true},
    {CUBLASLT_EPILOGUE_DRELU, NO_VECTOR, MASK_IN, false},
    {CUBLASLT_EPILOGUE_DRELU_BGRAD, VECTOR_OUT, MASK_IN, false},
    {CUBLASLT_EPILOGUE_BGRADA, VECTOR_OUT, NO_MASK, false},
    {CUBLASLT_EPILOGUE_BGRADB, VECTOR_OUT, NO_MASK, false},
};

// A product as the descriptors describe it; matrices as op(A), op(B), C, D without data.
typedef struct problem {
  gemm_matrix a, b, c, d;
  int64_t batch, stride_a, stride_b, stride_c, stride_d; // strides in bytes
  epilogue_rule epilogue;
  cudaDataType_t vector_type;
  int64_t vector_length;
  int64_t mask_ld;
  bool tf32;
  uint64_t hash;
} problem;

typedef struct matmul_call {
  problem p;
  float alpha, beta;
  char *vector, *mask;
  void *workspace;
  size_t workspace_bytes;
  uint64_t algorithm;
} matmul_call;

// What cublasLtMatmulAlgo_t holds.
typedef struct algo_data {
  uint64_t magic, hash, workspace, index;
  uint32_t alignment[4];
  uint64_t vector_alignment;
} algo_data;

_Static_assert(sizeof(algo_data) <= sizeof(cublasLtMatmulAlgo_t), "algorithm fits");

static epilogue_rule find_epilogue(uint32_t epilogue) {
  for (size_t i = 0; i < sizeof epilogue_rules / sizeof *epilogue_rules; i++)
    if (epilogue_rules[i].epilogue == epilogue) return epilogue_rules[i];
  co_double_die("epilogue=%u not modelled", epilogue);
}

// ---- from descriptors to a problem

static bool view_layout(const lt_layout *layout, const char *name, gemm_matrix *matrix,
                        int64_t *stride) {
  if (gemm_type_bytes((cudaDataType_t)layout->type) == 0)
    co_double_die("type of %s=%u not modelled", name, layout->type);
  if (layout->order != CUBLASLT_ORDER_COL && layout->order != CUBLASLT_ORDER_ROW)
    co_double_die("order of %s=%d not modelled", name, layout->order);
  bool column_major = layout->order == CUBLASLT_ORDER_COL;
  int64_t needed = (int64_t)(column_major ? layout->rows : layout->columns);
  if (layout->rows == 0 || layout->columns == 0 || layout->ld < needed || layout->batch < 1) {
    co_double_complain("%s: rows=%llu cols=%llu ld=%lld batch count=%d", name,
                       (unsigned long long)layout->rows, (unsigned long long)layout->columns,
                       (long long)layout->ld, layout->batch);
    return false;
  }
  *matrix = (gemm_matrix){.type = (cudaDataType_t)layout->type,
                          .rows = (int64_t)layout->rows,
                          .columns = (int64_t)layout->columns,
                          .row_step = column_major ? 1 : layout->ld,
                          .column_step = column_major ? layout->ld : 1};
  *stride = layout->batch_stride * (int64_t)gemm_type_bytes(matrix->type);
  return true;
}

static void add_to_hash(uint64_t *hash, const void *data, size_t bytes) {
  for (size_t i = 0; i < bytes; i++)
    *hash = (*hash ^ ((const unsigned char *)data)[i]) * 0x100000001B3u;
}

static uint64_t hash_problem(const lt_desc *desc, const lt_layout *const layouts[4]) {
  uint64_t hash = 0xCBF29CE484222325u;
  add_to_hash(&hash, &desc->compute, sizeof desc->compute);
  add_to_hash(&hash, &desc->trans_a, sizeof desc->trans_a);
  add_to_hash(&hash, &desc->trans_b, sizeof desc->trans_b);
  add_to_hash(&hash, &desc->epilogue, sizeof desc->epilogue);
  add_to_hash(&hash, &desc->bias_type, sizeof desc->bias_type);
  add_to_hash(&hash, &desc->aux_ld, sizeof desc->aux_ld);
  for (int i = 0; i < 4; i++) {
    const lt_layout *l = layouts[i];
    add_to_hash(&hash, &l->type, sizeof l->type);
    add_to_hash(&hash, &l->order, sizeof l->order);
    add_to_hash(&hash, &l->rows, sizeof l->rows);
    add_to_hash(&hash, &l->columns, sizeof l->columns);
    add_to_hash(&hash, &l->ld, sizeof l->ld);
    add_to_hash(&hash, &l->batch, sizeof l->batch);
    add_to_hash(&hash, &l->batch_stride, sizeof l->batch_stride);
  }
  return hash;
}

static void check_desc(const lt_desc *desc) {
  if (desc->compute != CUBLAS_COMPUTE_32F && desc->compute != CUBLAS_COMPUTE_32F_PEDANTIC &&
      desc->compute != CUBLAS_COMPUTE_32F_FAST_TF32)
    co_double_die("compute type=%d not modelled", desc->compute);
  if (desc->compute == CUBLAS_COMPUTE_32F_FAST_TF32 && co_double_setting("COHORT_SIM_NO_TF32", 0))
    co_double_die("a product that may round to TF32");
  if (desc->scale != CUDA_R_32F) co_double_die("scale type=%d not modelled", desc->scale);
  if (desc->pointer_mode != CUBLASLT_POINTER_MODE_HOST)
    co_double_die("pointer mode=%d not modelled", desc->pointer_mode);
  if (desc->trans_c != CUBLAS_OP_N) co_double_die("transC=%d not modelled", desc->trans_c);
  if ((desc->trans_a != CUBLAS_OP_N && desc->trans_a != CUBLAS_OP_T) ||
      (desc->trans_b != CUBLAS_OP_N && desc->trans_b != CUBLAS_OP_T))
    co_double_die("transA=%d transB=%d not modelled", desc->trans_a, desc->trans_b);
}

static bool same_matrix(const lt_layout *a, const lt_layout *b) {
  return a->type == b->type && a->order == b->order && a->rows == b->rows &&
         a->columns == b->columns && a->batch == b->batch;
}

static cublasStatus_t resolve_epilogue(const lt_desc *desc, problem *p) {
  p->epilogue = find_epilogue(desc->epilogue);
  bool has_vector = p->epilogue.vector != NO_VECTOR, has_mask = p->epilogue.mask != NO_MASK;
  if (has_mask && co_double_setting("COHORT_SIM_RELU_MASKS", 1) == 0)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if ((has_vector || has_mask) && (p->d.row_step != 1 || p->batch > 1)) {
    co_double_complain("epilogue=%u with a row-major or batched D is refused", desc->epilogue);
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  p->vector_length = p->epilogue.epilogue == CUBLASLT_EPILOGUE_BGRADB ? p->d.columns : p->d.rows;
  p->vector_type = desc->bias_type == -1 ? p->d.type : (cudaDataType_t)desc->bias_type;
  if (has_vector && gemm_type_bytes(p->vector_type) == 0)
    co_double_die("bias data type=%d not modelled", desc->bias_type);
  if (has_vector && p->vector_type != p->d.type) {
    co_double_complain("bias data type=%d is not that of D", desc->bias_type);
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  p->mask_ld = desc->aux_ld;
  if (has_mask && (desc->aux_ld % MASK_LD_BITS != 0 || desc->aux_ld < p->d.rows)) {
    co_double_complain("aux ld=%lld: a multiple of %d, at least %lld, is needed",
                       (long long)desc->aux_ld, MASK_LD_BITS, (long long)p->d.rows);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t resolve(const lt_desc *desc, const lt_layout *const layouts[4], problem *p) {
  const lt_layout *a = layouts[0], *b = layouts[1], *c = layouts[2], *d = layouts[3];
  check_desc(desc);
  if (!view_layout(a, "Adesc", &p->a, &p->stride_a) ||
      !view_layout(b, "Bdesc", &p->b, &p->stride_b) ||
      !view_layout(c, "Cdesc", &p->c, &p->stride_c) ||
      !view_layout(d, "Ddesc", &p->d, &p->stride_d))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (desc->trans_a == CUBLAS_OP_T) p->a = gemm_transposed(p->a);
  if (desc->trans_b == CUBLAS_OP_T) p->b = gemm_transposed(p->b);
  p->batch = d->batch;
  if (p->a.columns != p->b.rows || p->d.rows != p->a.rows || p->d.columns != p->b.columns ||
      a->batch != d->batch || b->batch != d->batch || !same_matrix(c, d)) {
    co_double_complain("op(A) is %lld x %lld, op(B) %lld x %lld, D %lld x %lld; C must equal D",
                       (long long)p->a.rows, (long long)p->a.columns, (long long)p->b.rows,
                       (long long)p->b.columns, (long long)p->d.rows, (long long)p->d.columns);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (p->a.type != p->b.type || (p->a.type == CUDA_R_32F && p->d.type != CUDA_R_32F)) {
    co_double_complain("types %d, %d, %d do not go together", p->a.type, p->b.type, p->d.type);
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (desc->compute == CUBLAS_COMPUTE_32F_FAST_TF32 && p->a.type != CUDA_R_32F) {
    co_double_complain("compute type FAST_TF32 is for f32 operands");
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  p->tf32 = desc->compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  p->hash = hash_problem(desc, layouts);
  return resolve_epilogue(desc, p);
}

// ---- heuristics

static uint64_t alignment_of(const void *pointer) {
  if (pointer == NULL) return WORKSPACE_ALIGNMENT;
  uint64_t lowest = (uintptr_t)pointer & -(uintptr_t)pointer;
  return lowest > 256 ? 256 : lowest;
}

cublasStatus_t
cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc_handle,
                               cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                               cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                               cublasLtMatmulPreference_t preference_handle, int requested,
                               cublasLtMatmulHeuristicResult_t results[], int *returned) {
  DOUBLE_ENTER();
  co_double_object_get(CO_DOUBLE_CUBLASLT, handle, "lightHandle");
  const lt_desc *desc = lt_get_desc(desc_handle);
  const lt_layout *layouts[4] = {lt_get_layout(a, "Adesc"), lt_get_layout(b, "Bdesc"),
                                 lt_get_layout(c, "Cdesc"), lt_get_layout(d, "Ddesc")};
  const lt_preference *preference = lt_get_preference(preference_handle);
  *returned = 0;
  if (requested < 1) return CUBLAS_STATUS_INVALID_VALUE;
  if (preference->search_mode != CUBLASLT_SEARCH_BEST_FIT)
    co_double_die("search mode=%u not modelled", preference->search_mode);
  problem p;
  cublasStatus_t status = resolve(desc, layouts, &p);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  algo_data data = {
      .magic = algo_magic, .hash = p.hash, .vector_alignment = alignment_of(desc->bias)};
  static uint64_t asked; // calls are serialised
  data.workspace = preference->max_workspace >= FAST_WORKSPACE ? FAST_WORKSPACE : 0;
  if (data.workspace > 0 && co_double_setting("COHORT_SIM_FICKLE", 0))
    data.workspace += 256 * asked++;
  memcpy(data.alignment, preference->alignment, sizeof data.alignment);
  data.index = co_double_setting("COHORT_SIM_FEWER", 0);
  for (int i = 0; i < requested && data.index < ALGORITHMS; i++, data.index++, ++*returned) {
    memset(&results[i], 0, sizeof results[i]);
    memcpy(&results[i].algo, &data, sizeof data);
    results[i].workspaceSize = data.workspace;
    results[i].state = CUBLAS_STATUS_SUCCESS;
    results[i].wavesCount = 1;
  }
  return CUBLAS_STATUS_SUCCESS;
}

// Of its numbers only the first makes an algorithm another; the newest ones are not known of old devices.
cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t name,
                                                    void *value, size_t bytes, size_t *written) {
  DOUBLE_ENTER();
  algo_data data;
  memcpy(&data, algo, sizeof data);
  if (data.magic != algo_magic) co_double_die("algo did not come from the heuristics");
  bool small =
      name == CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID || name == CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID;
  if (bytes < (small ? sizeof(uint16_t) : sizeof(uint32_t))) return CUBLAS_STATUS_INVALID_VALUE;
  if (name == CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID) return CUBLAS_STATUS_NOT_SUPPORTED;
  const uint32_t number = name == CUBLASLT_ALGO_CONFIG_ID ? (uint32_t)data.index : 0;
  memcpy(value, &number, small ? sizeof(uint16_t) : sizeof number);
  if (written) *written = small ? sizeof(uint16_t) : sizeof number;
  return CUBLAS_STATUS_SUCCESS;
}

// ---- execution

static void sum_rows(const matmul_call *call, const gemm_matrix *m) {
  for (int64_t i = 0; i < m->rows; i++) {
    double sum = 0;
    for (int64_t k = 0; k < m->columns; k++)
      sum += gemm_load(m->data, m->type, gemm_index(m, i, k));
    gemm_store(call->vector, call->p.vector_type, i, sum);
  }
}

static double finish_element(const matmul_call *call, int64_t i, int64_t j, double value) {
  const epilogue_rule *rule = &call->p.epilogue;
  if (rule->vector == VECTOR_IN) value += gemm_load(call->vector, call->p.vector_type, i);
  if (rule->mask != NO_MASK) {
    int64_t bit = j * call->p.mask_ld + i;
    unsigned char *byte = (unsigned char *)call->mask + bit / 8;
    unsigned char one = (unsigned char)(1u << bit % 8);
    if (rule->mask == MASK_IN) return *byte & one ? value : 0;
    *byte = (unsigned char)(value > 0 ? *byte | one : *byte & ~one);
  }
  return rule->relu && !(value > 0) ? 0 : value; // of NaN, too
}

static void finish_batch(const matmul_call *call, const double *product, const char *c, char *d) {
  const problem *p = &call->p;
  bool column_sums = p->epilogue.epilogue == CUBLASLT_EPILOGUE_DRELU_BGRAD;
  for (int64_t i = 0; i < p->d.rows; i++) {
    double sum = 0;
    for (int64_t j = 0; j < p->d.columns; j++) {
      double value = call->alpha * product[i + j * p->d.rows];
      if (call->beta != 0)
        value += call->beta * (double)gemm_load(c, p->c.type, gemm_index(&p->c, i, j));
      value = finish_element(call, i, j, value);
      sum += value;
      gemm_store(d, p->d.type, gemm_index(&p->d, i, j), value);
    }
    if (column_sums) gemm_store(call->vector, p->vector_type, i, sum);
  }
}

static void run_matmul(void *closure) {
  const matmul_call *call = closure;
  const problem *p = &call->p;
  bool fast = call->algorithm == co_double_setting("COHORT_SIM_FAST_ALGORITHM", UINT64_MAX);
  co_double_charge(fast ? 1 : 10);
  co_double_poison_workspace(call->workspace, call->workspace_bytes);
  double *product = calloc((size_t)(p->d.rows * p->d.columns), sizeof *product);
  if (product == NULL) abort();
  for (int64_t batch = 0; batch < p->batch; batch++) {
    gemm_matrix a = gemm_moved(p->a, batch * p->stride_a);
    gemm_matrix b = gemm_moved(p->b, batch * p->stride_b);
    gemm_matrix c = gemm_moved(p->c, batch * p->stride_c);
    if (call->alpha != 0) gemm_multiply(&a, &b, p->tf32, product);
    finish_batch(call, product, c.data, p->d.data + batch * p->stride_d);
  }
  gemm_matrix columns_of_b = gemm_transposed(p->b);
  if (p->epilogue.epilogue == CUBLASLT_EPILOGUE_BGRADA) sum_rows(call, &p->a);
  if (p->epilogue.epilogue == CUBLASLT_EPILOGUE_BGRADB) sum_rows(call, &columns_of_b);
  free(product);
  co_double_poison_workspace(call->workspace, call->workspace_bytes);
}

static void need_matrix(const char *name, const gemm_matrix *matrix, int64_t stride,
                        int64_t batch) {
  co_double_need_device(name, matrix->data, gemm_bytes(matrix) + (size_t)((batch - 1) * stride));
}

static cublasStatus_t check_algo(const cublasLtMatmulAlgo_t *algo, matmul_call *call,
                                 size_t workspace_bytes) {
  if (algo == NULL) return CUBLAS_STATUS_SUCCESS; // the library chooses, with what it is given
  algo_data data;
  memcpy(&data, algo, sizeof data);
  if (data.magic != algo_magic) co_double_die("algo did not come from the heuristics");
  call->algorithm = data.index;
  if (data.hash != call->p.hash) {
    co_double_complain("algo belongs to another problem");
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (data.workspace > workspace_bytes) {
    co_double_complain("workspaceSizeInBytes=%zu, algo needs %llu", workspace_bytes,
                       (unsigned long long)data.workspace);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const problem *p = &call->p;
  const void *pointers[4] = {p->a.data, p->b.data, call->beta != 0 ? p->c.data : NULL, p->d.data};
  for (int i = 0; i < 4; i++)
    if ((uintptr_t)pointers[i] % data.alignment[i] != 0) {
      co_double_complain("%c=%p is not aligned to the %u bytes told to the heuristics", "ABCD"[i],
                         pointers[i], data.alignment[i]);
      return CUBLAS_STATUS_INVALID_VALUE;
    }
  if ((uintptr_t)call->vector % data.vector_alignment != 0) {
    co_double_complain("bias pointer is less aligned than the one shown to the heuristics");
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

static void check_pointers(const matmul_call *call) {
  const problem *p = &call->p;
  if (call->alpha != 0) {
    need_matrix("A", &p->a, p->stride_a, p->batch);
    need_matrix("B", &p->b, p->stride_b, p->batch);
    if (gemm_overlap(&p->a, &p->d) || gemm_overlap(&p->b, &p->d))
      co_double_die("D overlaps A or B");
  }
  need_matrix("D", &p->d, p->stride_d, p->batch);
  if (call->beta != 0) {
    need_matrix("C", &p->c, p->stride_c, p->batch);
    if (p->c.data != p->d.data && gemm_overlap(&p->c, &p->d)) co_double_die("D overlaps C in part");
    if (p->c.data == p->d.data && p->c.column_step != p->d.column_step)
      co_double_die("C and D are one matrix with two layouts");
  }
  if (p->epilogue.vector != NO_VECTOR)
    co_double_need_device("bias pointer", call->vector,
                          (size_t)p->vector_length * gemm_type_bytes(p->vector_type));
  if (p->epilogue.mask != NO_MASK)
    co_double_need_device("epilogue aux pointer", call->mask,
                          (size_t)(p->mask_ld * p->d.columns / 8));
}

// Those that lie one behind the other are one piece of memory: pieces are few.
static void claim_matrix(const gemm_matrix *matrix, int64_t stride, int64_t batch, bool writes) {
  if (stride == (int64_t)gemm_bytes(matrix)) {
    co_double_claim(matrix->data, gemm_bytes(matrix) * (size_t)batch, writes);
    return;
  }
  for (int64_t i = 0; i < batch; i++) {
    gemm_matrix one = gemm_moved(*matrix, i * stride);
    co_double_claim(one.data, gemm_bytes(&one), writes);
  }
}

static void claim_operands(const matmul_call *call) {
  const problem *p = &call->p;
  claim_matrix(&p->a, p->stride_a, p->batch, false);
  claim_matrix(&p->b, p->stride_b, p->batch, false);
  if (call->beta != 0) claim_matrix(&p->c, p->stride_c, p->batch, false);
  claim_matrix(&p->d, p->stride_d, p->batch, true);
  co_double_claim(call->workspace, call->workspace_bytes, true);
  if (p->epilogue.vector != NO_VECTOR)
    co_double_claim(call->vector, (size_t)p->vector_length * gemm_type_bytes(p->vector_type),
                    p->epilogue.vector == VECTOR_OUT);
  if (p->epilogue.mask != NO_MASK)
    co_double_claim(call->mask, (size_t)(p->mask_ld * p->d.columns / 8),
                    p->epilogue.mask == MASK_OUT);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc_handle,
                              const void *alpha, const void *a, cublasLtMatrixLayout_t a_layout,
                              const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                              const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream) {
  DOUBLE_ENTER();
  co_double_object_get(CO_DOUBLE_CUBLASLT, handle, "lightHandle");
  if (co_double_state() != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
  const lt_desc *desc = lt_get_desc(desc_handle);
  const lt_layout *layouts[4] = {lt_get_layout(a_layout, "Adesc"), lt_get_layout(b_layout, "Bdesc"),
                                 lt_get_layout(c_layout, "Cdesc"),
                                 lt_get_layout(d_layout, "Ddesc")};
  matmul_call call = {.vector = desc->bias,
                      .mask = desc->aux,
                      .workspace = workspace,
                      .workspace_bytes = workspace_bytes};
  cublasStatus_t status = resolve(desc, layouts, &call.p);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  co_double_need_host("alpha", alpha, sizeof(float));
  co_double_need_host("beta", beta, sizeof(float));
  if (alpha == NULL || beta == NULL) return CUBLAS_STATUS_INVALID_VALUE;
  call.alpha = *(const float *)alpha;
  call.beta = *(const float *)beta;
  call.p.a.data = (char *)a;
  call.p.b.data = (char *)b;
  call.p.c.data = (char *)c;
  call.p.d.data = d;
  status = check_algo(algo, &call, workspace_bytes);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  check_pointers(&call);
  co_double_need_device("workspace", workspace, workspace_bytes);
  if ((uintptr_t)workspace % WORKSPACE_ALIGNMENT != 0) {
    co_double_complain("workspace=%p is not aligned to %d bytes", workspace, WORKSPACE_ALIGNMENT);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  matmul_call *closure = malloc(sizeof *closure);
  if (closure == NULL) abort();
  *closure = call;
  claim_operands(&call);
  cudaError_t error = co_double_submit(stream, CO_DOUBLE_KERNEL, "a cuBLASLt product", run_matmul,
                                       NULL, free, closure);
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
