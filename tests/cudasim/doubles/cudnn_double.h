// SPDX-License-Identifier: Apache-2.0
// Structures behind cuDNN backend descriptors: a bag of attributes each, with typed access.
#ifndef COHORT_CUDASIM_CUDNN_DOUBLE_H
#define COHORT_CUDASIM_CUDNN_DOUBLE_H

#include <cudnn.h>

#include "double.h"

enum { DN_MAX_ATTRIBUTES = 8, DN_RANK = 4, DN_ENGINES = 4 };

typedef struct dn_attribute {
  int name, type;
  int64_t count;
  void *data;
} dn_attribute;

typedef struct dn_descriptor {
  co_double_object object;
  cudnnBackendDescriptorType_t type;
  bool finalized;
  int attribute_count;
  dn_attribute attributes[DN_MAX_ATTRIBUTES];
} dn_descriptor;

struct cudnnContext {
  co_double_object object;
  cudaStream_t stream;
};

// A tensor descriptor, resolved. Extents are N, C, H, W; memory is dense N, H, W, C.
typedef struct dn_tensor {
  int64_t uid;
  cudnnDataType_t type;
  int64_t n, c, h, w;
  int64_t alignment;
  bool is_virtual;
} dn_tensor;

typedef enum dn_operation_kind {
  DN_FORWARD,
  DN_BACKWARD_DATA,
  DN_BACKWARD_FILTER,
  DN_POINTWISE
} dn_operation_kind;

// An operation descriptor, resolved. Of a convolution: x, w, y; of a pointwise operation:
// x, b (may be absent), y, where a backward one has x = forward input, b = dy, y = dx.
typedef struct dn_operation {
  dn_operation_kind kind;
  cudnnPointwiseMode_t mode;
  bool propagates_nan; // of relu
  const dn_descriptor *x, *w, *y;
  int64_t padding[2], padding_after[2], stride[2], dilation[2];
  double alpha, beta;
} dn_operation;

// What an engine makes of the operands of a convolution in float.
typedef enum dn_operands { DN_FLOAT, DN_TF32, DN_BFLOAT16 } dn_operands;

// cudnn_descriptor.c
dn_descriptor *dn_get(const void *handle, const char *argument);
const dn_attribute *dn_find(const dn_descriptor *descriptor, int name);
const dn_descriptor *dn_child(const dn_descriptor *descriptor, int name); // NULL if absent
int64_t dn_integer(const dn_descriptor *descriptor, int name, int64_t fallback);
cudnnStatus_t dn_fail(cudnnStatus_t status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void dn_set_child(dn_descriptor *descriptor, int name, dn_descriptor *child);
void dn_set_integer(dn_descriptor *descriptor, int name, int64_t value);

// cudnn_check.c
cudnnStatus_t dn_check(const dn_descriptor *descriptor); // what finalize has to say
dn_tensor dn_resolve_tensor(const dn_descriptor *tensor);
dn_operation dn_resolve_operation(const dn_descriptor *operation);
// Why no engine can run the graph; NULL if one can.
const char *dn_unsupported(const dn_descriptor *graph);

// cudnn_engine.c
int64_t dn_engine_workspace(int64_t engine);
bool dn_engine_nondeterministic(const dn_descriptor *graph, int64_t engine);
dn_operands dn_engine_operands(const dn_descriptor *graph, int64_t engine);
cudnnStatus_t dn_get_heuristics(const dn_descriptor *heuristics, int64_t requested, int64_t *count,
                                void *array);
cudnnStatus_t dn_get_notes(const dn_descriptor *engine, int name, int64_t requested, int64_t *count,
                           void *array);

// cudnn_compute.c
typedef struct dn_binding {
  int64_t uid;
  char *data;
} dn_binding;

typedef struct dn_call {
  dn_descriptor *plan; // held
  const dn_descriptor *graph;
  int64_t engine;
  bool nondeterministic;
  dn_operands operands;
  void *workspace;
  size_t workspace_bytes;
  int64_t binding_count;
  dn_binding bindings[];
} dn_call;

size_t dn_type_bytes(cudnnDataType_t type); // 0: not modelled
void dn_run(void *call);

#endif
