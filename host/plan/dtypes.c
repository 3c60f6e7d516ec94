// SPDX-License-Identifier: Apache-2.0
// Pass 5: the element type policy. Graphs write f32 for "real"; the double policy makes it f64.
#include "host/plan/pass.h"

co_status co_pass_dtypes(co_plan *plan) {
  if (plan->options.real == CO_F32) return CO_OK;
  for (int64_t i = 0; i < plan->value_count; i++) {
    co_plan_value *value = &plan->values[i];
    if (value->info.desc.dtype != CO_F32) continue;
    if (value->info.storage == CO_STORAGE_CONSTANT)
      return co_fail(CO_ERR_INTERNAL, "constant '%s' has no double form", value->info.name);
    value->info.desc.dtype = plan->options.real;
  }
  for (int64_t i = 0; i < plan->op_count; i++)
    if ((plan->ops[i].desc.op == CO_OP_CAST || plan->ops[i].desc.op == CO_OP_INPUT_ROWS) &&
        plan->ops[i].desc.attr.dtype == CO_F32)
      plan->ops[i].desc.attr.dtype = plan->options.real;
  return CO_OK;
}
