// SPDX-License-Identifier: Apache-2.0
// Structures behind the opaque cuBLASLt descriptors.
#ifndef COHORT_CUDASIM_CUBLASLT_DOUBLE_H
#define COHORT_CUDASIM_CUBLASLT_DOUBLE_H

#include <cublasLt.h>

#include "double.h"

typedef struct lt_desc {
  co_double_object object;
  int32_t compute, scale, pointer_mode;
  int32_t trans_a, trans_b, trans_c;
  uint32_t epilogue;
  void *bias;
  int32_t bias_type; // -1: that of D
  void *aux;
  int64_t aux_ld;
} lt_desc;

typedef struct lt_layout {
  co_double_object object;
  uint32_t type;
  int32_t order;
  uint64_t rows, columns;
  int64_t ld;
  int32_t batch;
  int64_t batch_stride; // elements
} lt_layout;

typedef struct lt_preference {
  co_double_object object;
  uint64_t max_workspace;
  uint32_t alignment[4]; // of A, B, C, D
  uint32_t search_mode, reduction_mask;
} lt_preference;

const lt_desc *lt_get_desc(const void *handle);
const lt_layout *lt_get_layout(const void *handle, const char *argument);
const lt_preference *lt_get_preference(const void *handle);

#endif
