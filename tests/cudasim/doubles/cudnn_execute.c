// SPDX-License-Identifier: Apache-2.0
// From a plan and a variant pack to a call on the stream: pointers are checked and frozen here.
#include <stdio.h>
#include <stdlib.h>

#include "cudnn_double.h"

static const dn_binding *find_binding(const dn_call *call, const dn_tensor *tensor) {
  for (int64_t i = 0; i < call->binding_count; i++)
    if (call->bindings[i].uid == tensor->uid) return &call->bindings[i];
  return NULL;
}

static size_t bytes_of(const dn_tensor *tensor) {
  return (size_t)(tensor->n * tensor->c * tensor->h * tensor->w) * dn_type_bytes(tensor->type);
}

// Every tensor of the graph that is not virtual has its uid in the pack, in range and aligned.
static cudnnStatus_t check_binding(const dn_call *call, const dn_descriptor *descriptor) {
  dn_tensor tensor = dn_resolve_tensor(descriptor);
  if (tensor.is_virtual) return CUDNN_STATUS_SUCCESS;
  const dn_binding *binding = find_binding(call, &tensor);
  if (binding == NULL)
    return dn_fail(CUDNN_STATUS_BAD_PARAM, "the variant pack lacks tensor uid %lld",
                   (long long)tensor.uid);
  char name[48];
  snprintf(name, sizeof name, "tensor uid %lld", (long long)tensor.uid);
  co_double_need_device(name, binding->data, bytes_of(&tensor));
  if ((uintptr_t)binding->data % (uintptr_t)tensor.alignment != 0)
    co_double_die("%s=%p is not aligned to %lld bytes", name, (void *)binding->data,
                  (long long)tensor.alignment);
  return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_bindings(const dn_call *call) {
  const dn_attribute *operations = dn_find(call->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
  for (int64_t i = 0; i < operations->count; i++) {
    dn_operation op = dn_resolve_operation(((dn_descriptor **)operations->data)[i]);
    const dn_descriptor *tensors[] = {op.x, op.w, op.y};
    for (int t = 0; t < 3; t++) {
      if (tensors[t] == NULL) continue;
      cudnnStatus_t status = check_binding(call, tensors[t]);
      if (status != CUDNN_STATUS_SUCCESS) return status;
    }
  }
  return CUDNN_STATUS_SUCCESS;
}

static void claim_operands(const dn_call *call) {
  const dn_attribute *operations = dn_find(call->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
  for (int64_t i = 0; i < operations->count; i++) {
    dn_operation op = dn_resolve_operation(((dn_descriptor **)operations->data)[i]);
    const dn_descriptor *tensors[] = {op.x, op.w, op.y};
    const int made = op.kind == DN_BACKWARD_DATA ? 0 : op.kind == DN_BACKWARD_FILTER ? 1 : 2;
    for (int t = 0; t < 3; t++) {
      if (tensors[t] == NULL) continue;
      dn_tensor tensor = dn_resolve_tensor(tensors[t]);
      if (!tensor.is_virtual)
        co_double_claim(find_binding(call, &tensor)->data, bytes_of(&tensor), t == made);
    }
  }
  co_double_claim(call->workspace, call->workspace_bytes, true);
}

static void destroy_call(void *closure) {
  co_double_object_release(((dn_call *)closure)->plan);
  free(closure);
}

static dn_call *new_call(dn_descriptor *plan, const dn_descriptor *pack) {
  const dn_attribute *uids = dn_find(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const dn_attribute *pointers = dn_find(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  const dn_attribute *workspace = dn_find(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  const dn_descriptor *engine = dn_child(dn_child(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG),
                                         CUDNN_ATTR_ENGINECFG_ENGINE);
  int64_t index = dn_integer(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0);
  dn_call *call = calloc(1, sizeof *call + (size_t)uids->count * sizeof *call->bindings);
  if (call == NULL) abort();
  co_double_object_retain(plan);
  call->plan = plan;
  call->graph = dn_child(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
  call->engine = index;
  call->nondeterministic = dn_engine_nondeterministic(call->graph, index);
  call->operands = dn_engine_operands(call->graph, index);
  call->workspace = workspace == NULL ? NULL : *(void *const *)workspace->data;
  call->workspace_bytes = (size_t)dn_engine_workspace(index);
  call->binding_count = uids->count;
  for (int64_t i = 0; i < uids->count; i++)
    call->bindings[i] =
        (dn_binding){((const int64_t *)uids->data)[i], ((char *const *)pointers->data)[i]};
  return call;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan_handle,
                                  cudnnBackendDescriptor_t pack_handle) {
  DOUBLE_ENTER();
  co_double_object_get(CO_DOUBLE_CUDNN, handle, "handle");
  if (co_double_state() != cudaSuccess)
    return dn_fail(CUDNN_STATUS_EXECUTION_FAILED, "the device is lost");
  dn_descriptor *plan = dn_get(plan_handle, "executionPlan");
  const dn_descriptor *pack = dn_get(pack_handle, "variantPack");
  if (plan->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ||
      pack->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
    return dn_fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "a plan and a pack are needed");
  if (!plan->finalized || !pack->finalized)
    return dn_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "plan or pack");
  dn_call *call = new_call(plan, pack);
  cudnnStatus_t status = check_bindings(call);
  if (status != CUDNN_STATUS_SUCCESS) {
    destroy_call(call);
    return status;
  }
  co_double_need_device("workspace", call->workspace, call->workspace_bytes);
  claim_operands(call);
  cudaError_t error = co_double_submit(handle->stream, CO_DOUBLE_KERNEL, "a cuDNN graph", dn_run,
                                       NULL, destroy_call, call);
  return error == cudaSuccess ? CUDNN_STATUS_SUCCESS
                              : dn_fail(CUDNN_STATUS_EXECUTION_FAILED, "launch refused");
}
