// SPDX-License-Identifier: Apache-2.0
// Pass 4: RELU_BACKWARD and the bias gradient of the dense layer below read the same tensor: one
// pass over it gives both.
#include "host/plan/pass.h"

static bool writes(const co_plan_op *op, co_value value) {
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
    if (op->out[k] == value) return true;
  return false;
}

// The operation after `mask` that makes a bias gradient of its result. Writers of one gradient must
// keep their order (the first of a step overwrites): where a tied layer has one in between, none.
static co_plan_op *find_bias_gradient(co_plan *plan, int64_t mask) {
  co_value dz = plan->ops[mask].out[0];
  for (int64_t i = mask + 1; i < plan->op_count; i++) {
    co_plan_op *op = &plan->ops[i];
    if (op->desc.op != CO_OP_DENSE_BACKWARD_WEIGHTS || op->in[1] != dz || op->out[1] == CO_NO_VALUE)
      continue;
    for (int64_t between = mask + 1; between < i; between++)
      if (writes(&plan->ops[between], op->out[1])) return NULL;
    return op;
  }
  return NULL;
}

co_status co_pass_fuse_backward(co_plan *plan) {
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *mask = &plan->ops[i];
    if (mask->desc.op != CO_OP_RELU_BACKWARD) continue;
    co_plan_op *weights = find_bias_gradient(plan, i);
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
