// SPDX-License-Identifier: Apache-2.0
// Pass 8: where the backend has it, a dense layer saves which of its units are active as bits, and
// the product behind it in the backward pass applies them and sums the bias gradient: one pass over
// the gradient less. The backend is asked about either operation; where it refuses one, the plan
// keeps the pair. Where one masks but does not sum as well (never in bf16), the bias gradient is left
// to the weights' gradient, which reads the same.
#include "host/plan/pass.h"

static int64_t find_writer(const co_plan *plan, co_value value) {
  for (int64_t i = 0; i < plan->op_count; i++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      if (plan->ops[i].desc.op != CO_OP_COUNT && plan->ops[i].out[k] == value) return i;
  return -1;
}

// RELU_BACKWARD or RELU_BIAS_BACKWARD of a dense layer's y, right behind a DENSE_BACKWARD_DATA.
static bool matches(const co_plan *plan, const co_plan_op *relu, int64_t *layer, int64_t *product) {
  if (relu->desc.op != CO_OP_RELU_BACKWARD && relu->desc.op != CO_OP_RELU_BIAS_BACKWARD)
    return false;
  co_value dy = relu->in[CO_RELU_BACKWARD_dy];
  *layer = find_writer(plan, relu->in[CO_RELU_BACKWARD_y]);
  *product = find_writer(plan, dy);
  if (*layer < 0 || *product < 0) return false;
  const co_plan_op *forward = &plan->ops[*layer], *data = &plan->ops[*product];
  const co_value_info *between = &plan->values[dy].info;
  return forward->desc.op == CO_OP_DENSE && forward->out[CO_DENSE_mask] == CO_NO_VALUE &&
         forward->desc.attr.activation == CO_ACTIVATION_RELU &&
         data->desc.op == CO_OP_DENSE_BACKWARD_DATA && between->storage == CO_STORAGE_ARENA &&
         !between->observed && co_plan_count_readers(plan, dy, NULL) == 1 &&
         !relu->desc.accumulate && !data->desc.accumulate; // products cannot add to a bias gradient
}

// The weights' gradient that can give the bias gradient `db` as well: it reads dz, and nothing from
// operation `first` on writes db before it does.
static int64_t find_weights(const co_plan *plan, int64_t first, co_value dz, co_value db) {
  for (int64_t i = first; i < plan->op_count; i++) {
    const co_plan_op *op = &plan->ops[i];
    if (op->desc.op == CO_OP_DENSE_BACKWARD_WEIGHTS && op->in[CO_DENSE_BACKWARD_WEIGHTS_dy] == dz)
      return op->out[CO_DENSE_BACKWARD_WEIGHTS_db] == CO_NO_VALUE ? i : -1;
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      if (op->out[k] == db) return -1;
  }
  return -1;
}

// Asks for a masked product, without a bias gradient if need be; *weights is then the operation that
// makes it, else -1.
static co_status ask_backward(co_plan *plan, co_plan_op *backward, int64_t at, bool *offers,
                              int64_t *weights) {
  *weights = -1;
  co_value *db = &backward->out[CO_DENSE_RELU_BACKWARD_db];
  backward->note = *db == CO_NO_VALUE ? "fused relu" : "fused relu, bias gradient";
  CO_RETURN_IF_FAILED(co_plan_offers(plan, backward, offers, NULL));
  if (*offers || *db == CO_NO_VALUE) return CO_OK;
  *weights = find_weights(plan, at + 1, backward->out[CO_DENSE_RELU_BACKWARD_dx], *db);
  if (*weights < 0) return CO_OK;
  *db = CO_NO_VALUE;
  backward->note = "fused relu";
  return co_plan_offers(plan, backward, offers, NULL);
}

static co_status fuse(co_plan *plan, int64_t at) {
  int64_t layer, product, weights;
  if (!matches(plan, &plan->ops[at], &layer, &product)) return CO_OK;
  co_plan_op forward = plan->ops[layer], backward = plan->ops[at];
  const co_plan_value *y = &plan->values[forward.out[CO_DENSE_y]];
  co_tensor_desc desc = y->info.desc;
  desc.dtype = CO_U8;
  char *name = co_arena_format(plan->arena, "%s active", y->info.name);
  if (!name) return CO_ERR_MEMORY;
  co_value mask;
  CO_RETURN_IF_FAILED(co_plan_add_value(plan, name, &desc, CO_STORAGE_ARENA, 0, &mask));
  forward.out[CO_DENSE_mask] = mask;
  backward.desc = plan->ops[product].desc;
  backward.desc.op = CO_OP_DENSE_RELU_BACKWARD;
  const co_value *data = plan->ops[product].in;
  backward.in[CO_DENSE_RELU_BACKWARD_dy] = data[CO_DENSE_BACKWARD_DATA_dy];
  backward.in[CO_DENSE_RELU_BACKWARD_w] = data[CO_DENSE_BACKWARD_DATA_w];
  backward.in[CO_DENSE_RELU_BACKWARD_mask] = mask;
  bool has_forward, has_backward;
  CO_RETURN_IF_FAILED(co_plan_offers(plan, &forward, &has_forward, NULL));
  CO_RETURN_IF_FAILED(ask_backward(plan, &backward, at, &has_backward, &weights));
  if (!has_forward || !has_backward) return CO_OK;
  if (weights >= 0)
    plan->ops[weights].out[CO_DENSE_BACKWARD_WEIGHTS_db] =
        plan->ops[at].out[CO_RELU_BIAS_BACKWARD_db];
  plan->ops[layer] = forward;
  plan->ops[at] = backward;
  plan->ops[product].desc.op = CO_OP_COUNT;
  return CO_OK;
}

co_status co_pass_fuse_masks(co_plan *plan) {
  if (!plan->backend->api->relu_masks) return CO_OK;
  for (int64_t i = 0; i < plan->op_count; i++)
    CO_RETURN_IF_FAILED(fuse(plan, i));
  co_plan_compact(plan);
  return CO_OK;
}
