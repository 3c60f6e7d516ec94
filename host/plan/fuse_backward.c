// SPDX-License-Identifier: Apache-2.0
// Pass 4: RELU_BACKWARD and the bias gradient of the dense layer below read the same tensor: one
// pass over it gives both.
#include "host/plan/pass.h"

static co_plan_op *find_bias_gradient(co_plan *plan, co_value dz) {
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *op = &plan->ops[i];
    if (op->desc.op == CO_OP_DENSE_BACKWARD_WEIGHTS && op->in[1] == dz && op->out[1] != CO_NO_VALUE)
      return op;
  }
  return NULL;
}

co_status co_pass_fuse_backward(co_plan *plan) {
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *mask = &plan->ops[i];
    if (mask->desc.op != CO_OP_RELU_BACKWARD) continue;
    co_plan_op *weights = find_bias_gradient(plan, mask->out[0]);
    if (!weights) continue;
    mask->desc.op = CO_OP_RELU_BIAS_BACKWARD;
    mask->note = "fused bias gradient";
    mask->out[1] = weights->out[1];
    mask->desc.accumulate = (weights->desc.accumulate >> 1 & 1) << 1;
    weights->out[1] = CO_NO_VALUE;
    weights->desc.accumulate &= 1u;
  }
  return CO_OK;
}
