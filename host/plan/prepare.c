// SPDX-License-Identifier: Apache-2.0
// Pass 10: sizes become exact and the backend creates its primitives.
#include "host/plan/pass.h"

co_status co_pass_prepare(co_plan *plan) {
  co_backend *backend = plan->backend;
  for (int64_t i = 0; i < plan->value_count; i++) {
    co_plan_value *value = &plan->values[i];
    // Values without a layout were never used by an operation.
    if (value->info.desc.layout != CO_LAYOUT_ANY)
      value->bytes = backend->api->layout_bytes(backend, &value->info.desc);
  }
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *op = &plan->ops[i];
    co_status status = backend->api->prepare(backend, &op->desc, &op->prepared);
    if (status != CO_OK) {
      if (op->layer) co_note("layer '%s'", op->layer);
      return status;
    }
    plan->flops += co_op_flops(&op->desc);
    if (op->choice.workspace > plan->workspace_bytes) plan->workspace_bytes = op->choice.workspace;
  }
  return CO_OK;
}
