// SPDX-License-Identifier: Apache-2.0
// Pass 11: what runs beside the rest. On a backend with a second queue an operation that makes nothing but
// gradients of parameters goes there, and those behind it, which carry the gradient on to the layers
// below, do not wait for it. The first queue waits before the next such operation, before one that touches
// what it makes or overwrites what it reads, and at the end. So one at a time is under way beside the
// others, and what it uses lives on for few operations only.
#include "host/plan/pass.h"

// Not of recurrent layers: cuDNN computes them with memory of its own, which is one for both queues.
static bool makes_gradients_only(const co_plan *plan, const co_plan_op *op) {
  bool any = false;
  if (op->desc.op == CO_OP_RECURRENT_BACKWARD) return false;
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
    if (op->out[k] == CO_NO_VALUE) continue;
    if (plan->values[op->out[k]].info.storage != CO_STORAGE_GRADIENT) return false;
    any = true;
  }
  return any && op->backward;
}

static bool same_memory(const co_plan *plan, co_value a, co_value b) {
  if (a == CO_NO_VALUE || b == CO_NO_VALUE) return false;
  a = co_plan_root(plan, a);
  b = co_plan_root(plan, b);
  const co_plan_value *x = &plan->values[a], *y = &plan->values[b];
  // Operations on a whole block of the store stand alone.
  if (x->info.storage == CO_STORAGE_BLOCK || y->info.storage == CO_STORAGE_BLOCK) return true;
  bool stored = x->param >= 0 && x->info.storage == y->info.storage && x->param == y->param;
  return a == b || stored;
}

// Whether one of them writes what the other uses.
static bool depend(const co_plan *plan, const co_plan_op *a, const co_plan_op *b) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      if (same_memory(plan, a->out[i], b->in[k]) || same_memory(plan, a->out[i], b->out[k]) ||
          same_memory(plan, a->in[i], b->out[k]))
        return true;
  return false;
}

// Not where the next one would wait at once.
static bool is_worth_it(const co_plan *plan, int64_t i) {
  const co_plan_op *op = &plan->ops[i];
  return makes_gradients_only(plan, op) && i + 1 < plan->op_count &&
         !makes_gradients_only(plan, op + 1) && !depend(plan, op, op + 1);
}

void co_pass_branches(co_plan *plan) {
  co_plan_op *pending = NULL;
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *op = &plan->ops[i];
    op->until = (int32_t)i;
    if (!plan->backend->api->branch) continue;
    bool beside = is_worth_it(plan, i);
    if (pending && (beside || depend(plan, pending, op))) {
      op->waits = true;
      pending = NULL;
    }
    if (pending) {
      size_t both = pending->choice.workspace + op->choice.workspace;
      pending->until = (int32_t)i;
      if (plan->workspace_bytes < both) plan->workspace_bytes = both;
    }
    if (!beside) continue;
    op->beside = true;
    pending = op;
  }
  plan->joins = pending != NULL;
}
