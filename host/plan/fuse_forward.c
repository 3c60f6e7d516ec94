// SPDX-License-Identifier: Apache-2.0
// Pass 2: activations become epilogues, flattens become multi-dimensional inputs of DENSE, metrics
// outputs of their loss. Observed values are never fused away.
#include "host/plan/pass.h"

// Operations whose attr.activation is honoured.
static bool takes_activation(co_op op) {
  return op == CO_OP_DENSE || op == CO_OP_CONV2D || op == CO_OP_ADD ||
         op == CO_OP_BATCH_NORM_INFERENCE;
}

static int64_t find_writer(const co_plan *plan, co_value value) {
  for (int64_t i = 0; i < plan->op_count; i++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      if (plan->ops[i].desc.op != CO_OP_COUNT && plan->ops[i].out[k] == value) return i;
  return -1;
}

static bool may_vanish(const co_plan *plan, co_value value) {
  const co_value_info *info = &plan->values[value].info;
  return info->storage == CO_STORAGE_ARENA && !info->observed &&
         co_plan_count_readers(plan, value, NULL) == 1;
}

static void fuse_activation(co_plan *plan, co_plan_op *relu) {
  int64_t writer = find_writer(plan, relu->in[0]);
  if (writer < 0 || !may_vanish(plan, relu->in[0])) return;
  co_plan_op *op = &plan->ops[writer];
  if (!takes_activation(op->desc.op) || op->desc.attr.activation != CO_ACTIVATION_NONE) return;
  op->desc.attr.activation = CO_ACTIVATION_RELU;
  op->out[0] = relu->out[0];
  op->note = "fused relu";
  relu->desc.op = CO_OP_COUNT;
}

// RESHAPE (N, …) -> (N, I) before DENSE: DENSE reads the unflattened tensor, whatever its layout.
static void fuse_flatten(co_plan *plan, co_plan_op *dense) {
  int64_t writer = find_writer(plan, dense->in[0]);
  if (writer < 0 || plan->ops[writer].desc.op != CO_OP_RESHAPE) return;
  co_plan_op *reshape = &plan->ops[writer];
  const co_shape *from = &plan->values[reshape->in[0]].info.desc.shape;
  const co_shape *to = &plan->values[reshape->out[0]].info.desc.shape;
  if (!may_vanish(plan, dense->in[0]) || to->rank != 2 || from->rank < 3 ||
      from->dim[0] != to->dim[0])
    return;
  dense->in[0] = reshape->in[0];
  dense->note = dense->note ? "fused flatten and relu" : "fused flatten";
  reshape->desc.op = CO_OP_COUNT;
}

// A loss that has seen every logit can count the hits as well.
static void join_hits(co_plan *plan, co_plan_op *hits) {
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *loss = &plan->ops[i];
    if (loss->desc.op != CO_OP_SOFTMAX_CROSS_ENTROPY || loss->out[3] != CO_NO_VALUE) continue;
    if (loss->in[0] != hits->in[0] || loss->in[1] != hits->in[1] || loss->in[2] != hits->in[2])
      continue;
    loss->out[3] = hits->out[0];
    loss->desc.accumulate |= (hits->desc.accumulate & 1) << 3;
    loss->note = "fused hits";
    hits->desc.op = CO_OP_COUNT;
    return;
  }
}

co_status co_pass_fuse_forward(co_plan *plan) {
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_RELU) fuse_activation(plan, &plan->ops[i]);
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_DENSE) fuse_flatten(plan, &plan->ops[i]);
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_CATEGORICAL_HITS) join_hits(plan, &plan->ops[i]);
  co_plan_compact(plan);
  return CO_OK;
}
