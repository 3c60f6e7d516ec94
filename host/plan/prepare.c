// SPDX-License-Identifier: Apache-2.0
// Pass 10: sizes become exact, what is made once is found, and the backend creates its primitives.
#include "host/plan/pass.h"

// Whether the operation makes weights of parameters, and of nothing else.
static bool makes_weights(const co_plan *plan, const co_plan_op *op) {
  if (op->desc.op != CO_OP_FOLD_BATCH_NORM && op->desc.op != CO_OP_REORDER) return false;
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
    if (op->out[k] != CO_NO_VALUE && plan->values[op->out[k]].info.observed) return false;
    if (op->in[k] == CO_NO_VALUE) continue;
    const co_plan_value *value = &plan->values[co_plan_root(plan, op->in[k])];
    if (value->param < 0 && !value->once && value->info.storage != CO_STORAGE_CONSTANT)
      return false;
  }
  return true;
}

static void keep(co_plan *plan, co_value id) {
  if (id == CO_NO_VALUE) return;
  const size_t alignment = plan->backend->api->alignment;
  co_plan_value *value = &plan->values[co_plan_root(plan, id)];
  if (!value->once || value->info.storage != CO_STORAGE_ARENA) return;
  value->info.storage = CO_STORAGE_KEPT;
  value->offset = plan->kept_bytes;
  plan->kept_bytes += (value->bytes + alignment - 1) / alignment * alignment;
}

// In scoring, weights are made once. A device's work may be recorded, with all operations of a run.
static void find_weights(co_plan *plan) {
  if (plan->options.mode != CO_MODE_INFER || !plan->backend->api->host_memory) return;
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *op = &plan->ops[i];
    if (!makes_weights(plan, op)) continue;
    op->once = true;
    op->note = op->desc.op == CO_OP_REORDER ? "layout, once" : "once";
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      if (op->out[k] != CO_NO_VALUE) plan->values[op->out[k]].once = true;
  }
  for (int64_t i = 0; i < plan->op_count; i++)
    for (int k = 0; !plan->ops[i].once && k < CO_OP_MAX_OPERANDS; k++)
      keep(plan, plan->ops[i].in[k]);
}

co_status co_pass_prepare(co_plan *plan) {
  co_backend *backend = plan->backend;
  for (int64_t i = 0; i < plan->value_count; i++) {
    co_plan_value *value = &plan->values[i];
    // Values without a layout were never used by an operation.
    if (value->info.desc.layout != CO_LAYOUT_ANY)
      value->bytes = backend->api->layout_bytes(backend, &value->info.desc);
  }
  find_weights(plan);
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *op = &plan->ops[i];
    co_status status = backend->api->prepare(backend, &op->desc, &op->prepared);
    if (status != CO_OK) {
      if (op->layer) co_note("layer '%s'", op->layer);
      return status;
    }
    if (!op->once) plan->flops += co_op_flops(&op->desc);
    if (op->choice.workspace > plan->workspace_bytes) plan->workspace_bytes = op->choice.workspace;
  }
  return CO_OK;
}
