// SPDX-License-Identifier: Apache-2.0
// cuBLASLt handles and descriptors: attributes are fields, found in a table for each kind.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cublaslt_double.h"
#include "gemm.h"

typedef struct attribute {
  int id;
  size_t offset, bytes;
} attribute;

#define FIELD(type, name) offsetof(type, name), sizeof(((type *)NULL)->name)

static const attribute desc_attributes[] = {
    {CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, FIELD(lt_desc, compute)},
    {CUBLASLT_MATMUL_DESC_SCALE_TYPE, FIELD(lt_desc, scale)},
    {CUBLASLT_MATMUL_DESC_POINTER_MODE, FIELD(lt_desc, pointer_mode)},
    {CUBLASLT_MATMUL_DESC_TRANSA, FIELD(lt_desc, trans_a)},
    {CUBLASLT_MATMUL_DESC_TRANSB, FIELD(lt_desc, trans_b)},
    {CUBLASLT_MATMUL_DESC_TRANSC, FIELD(lt_desc, trans_c)},
    {CUBLASLT_MATMUL_DESC_EPILOGUE, FIELD(lt_desc, epilogue)},
    {CUBLASLT_MATMUL_DESC_BIAS_POINTER, FIELD(lt_desc, bias)},
    {CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, FIELD(lt_desc, bias_type)},
    {CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, FIELD(lt_desc, aux)},
    {CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, FIELD(lt_desc, aux_ld)},
    {-1, 0, 0},
};

static const attribute layout_attributes[] = {
    {CUBLASLT_MATRIX_LAYOUT_TYPE, FIELD(lt_layout, type)},
    {CUBLASLT_MATRIX_LAYOUT_ORDER, FIELD(lt_layout, order)},
    {CUBLASLT_MATRIX_LAYOUT_ROWS, FIELD(lt_layout, rows)},
    {CUBLASLT_MATRIX_LAYOUT_COLS, FIELD(lt_layout, columns)},
    {CUBLASLT_MATRIX_LAYOUT_LD, FIELD(lt_layout, ld)},
    {CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, FIELD(lt_layout, batch)},
    {CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, FIELD(lt_layout, batch_stride)},
    {-1, 0, 0},
};

static const attribute preference_attributes[] = {
    {CUBLASLT_MATMUL_PREF_SEARCH_MODE, FIELD(lt_preference, search_mode)},
    {CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, FIELD(lt_preference, max_workspace)},
    {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, FIELD(lt_preference, reduction_mask)},
    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, FIELD(lt_preference, alignment[0])},
    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, FIELD(lt_preference, alignment[1])},
    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, FIELD(lt_preference, alignment[2])},
    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, FIELD(lt_preference, alignment[3])},
    {-1, 0, 0},
};

static const attribute *find(const attribute *table, int id) {
  while (table->id >= 0 && table->id != id)
    table++;
  if (table->id < 0) co_double_die("attr=%d not modelled", id);
  return table;
}

static cublasStatus_t set(void *object, const attribute *table, int id, const void *value,
                          size_t bytes) {
  const attribute *a = find(table, id);
  if (value == NULL || bytes != a->bytes) {
    co_double_complain("attr=%d has %zu bytes, not %zu", id, a->bytes, bytes);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  memcpy((char *)object + a->offset, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t get(const void *object, const attribute *table, int id, void *value,
                          size_t bytes, size_t *written) {
  const attribute *a = find(table, id);
  if (written != NULL) *written = a->bytes;
  if (bytes == 0 && written != NULL) return CUBLAS_STATUS_SUCCESS;
  if (value == NULL || bytes < a->bytes) return CUBLAS_STATUS_INVALID_VALUE;
  memcpy(value, (const char *)object + a->offset, a->bytes);
  return CUBLAS_STATUS_SUCCESS;
}

// ---- handles

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
  DOUBLE_ENTER();
  *handle = NULL;
  if (co_double_state() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = co_double_object_new(CO_DOUBLE_CUBLASLT, sizeof(co_double_object), NULL);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  DOUBLE_ENTER();
  co_double_object_close(co_double_object_get(CO_DOUBLE_CUBLASLT, handle, "lightHandle"));
  return CUBLAS_STATUS_SUCCESS;
}

size_t cublasLtGetVersion(void) {
  return (size_t)co_double_setting("COHORT_SIM_CUBLASLT", CUBLAS_VERSION);
}

size_t cublasLtGetCudartVersion(void) {
  return CUDART_VERSION;
}

const char *cublasLtGetStatusName(cublasStatus_t status) {
  return gemm_status_name(status);
}

const char *cublasLtGetStatusString(cublasStatus_t status) {
  return gemm_status_name(status);
}

// ---- matmul descriptors

const lt_desc *lt_get_desc(const void *handle) {
  return co_double_object_get(CO_DOUBLE_LT_DESC, handle, "computeDesc");
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *result, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  DOUBLE_ENTER();
  lt_desc *desc = co_double_object_new(CO_DOUBLE_LT_DESC, sizeof *desc, NULL);
  desc->compute = (int32_t)compute;
  desc->scale = (int32_t)scale;
  desc->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  desc->bias_type = -1;
  *result = (cublasLtMatmulDesc_t)desc;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  DOUBLE_ENTER();
  co_double_object_close((void *)lt_get_desc(desc));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t id, const void *value,
                                              size_t bytes) {
  DOUBLE_ENTER();
  return set((void *)lt_get_desc(desc), desc_attributes, (int)id, value, bytes);
}

cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t id, void *value,
                                              size_t bytes, size_t *written) {
  DOUBLE_ENTER();
  return get(lt_get_desc(desc), desc_attributes, (int)id, value, bytes, written);
}

// ---- layouts

const lt_layout *lt_get_layout(const void *handle, const char *argument) {
  return co_double_object_get(CO_DOUBLE_LT_LAYOUT, handle, argument);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *result, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t ld) {
  DOUBLE_ENTER();
  lt_layout *layout = co_double_object_new(CO_DOUBLE_LT_LAYOUT, sizeof *layout, NULL);
  layout->type = (uint32_t)type;
  layout->order = CUBLASLT_ORDER_COL;
  layout->rows = rows;
  layout->columns = columns;
  layout->ld = ld;
  layout->batch = 1;
  *result = (cublasLtMatrixLayout_t)layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  DOUBLE_ENTER();
  co_double_object_close((void *)lt_get_layout(layout, "matLayout"));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t id,
                                                const void *value, size_t bytes) {
  DOUBLE_ENTER();
  return set((void *)lt_get_layout(layout, "matLayout"), layout_attributes, (int)id, value, bytes);
}

cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t id, void *value,
                                                size_t bytes, size_t *written) {
  DOUBLE_ENTER();
  return get(lt_get_layout(layout, "matLayout"), layout_attributes, (int)id, value, bytes, written);
}

// ---- preferences

const lt_preference *lt_get_preference(const void *handle) {
  return co_double_object_get(CO_DOUBLE_LT_PREFERENCE, handle, "preference");
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *result) {
  DOUBLE_ENTER();
  lt_preference *preference =
      co_double_object_new(CO_DOUBLE_LT_PREFERENCE, sizeof *preference, NULL);
  for (int i = 0; i < 4; i++)
    preference->alignment[i] = 256;
  preference->search_mode = CUBLASLT_SEARCH_BEST_FIT;
  preference->reduction_mask = CUBLASLT_REDUCTION_SCHEME_MASK;
  *result = (cublasLtMatmulPreference_t)preference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  DOUBLE_ENTER();
  co_double_object_close((void *)lt_get_preference(preference));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t id,
                                                    const void *value, size_t bytes) {
  DOUBLE_ENTER();
  return set((void *)lt_get_preference(preference), preference_attributes, (int)id, value, bytes);
}

cublasStatus_t cublasLtMatmulPreferenceGetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t id,
                                                    void *value, size_t bytes, size_t *written) {
  DOUBLE_ENTER();
  return get(lt_get_preference(preference), preference_attributes, (int)id, value, bytes, written);
}
