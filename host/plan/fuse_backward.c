// SPDX-License-Identifier: Apache-2.0
// Pass 4: cheaper orders and joins of neighbouring backward operations.
#include "host/plan/pass.h"

static co_plan_op *find_forward_pool(co_plan *plan, co_value argmax) {
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_MAX_POOL2D &&
        plan->ops[i].out[CO_MAX_POOL2D_argmax] == argmax)
      return &plan->ops[i];
  return NULL;
}

// Both name their operands in the same order.
enum { WEIGHTS_dy = CO_DENSE_BACKWARD_WEIGHTS_dy, WEIGHTS_db = CO_DENSE_BACKWARD_WEIGHTS_db };

static bool makes_bias_gradient(co_op op) {
  return op == CO_OP_DENSE_BACKWARD_WEIGHTS || op == CO_OP_CONV2D_BACKWARD_WEIGHTS ||
         op == CO_OP_CONV2D_TRANSPOSE_BACKWARD_WEIGHTS;
}

// The operation whose bias gradient is the sum of `dz`: directly, or of `dz` spread by an unpooling
// that keeps sums.
static co_plan_op *find_bias_gradient(co_plan *plan, co_value dz) {
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *op = &plan->ops[i];
    if (makes_bias_gradient(op->desc.op) && op->in[WEIGHTS_dy] == dz &&
        op->out[WEIGHTS_db] != CO_NO_VALUE)
      return op;
    if (op->desc.op == CO_OP_MAX_POOL2D_BACKWARD && op->in[CO_MAX_POOL2D_BACKWARD_dy] == dz)
      return find_bias_gradient(plan, op->out[CO_MAX_POOL2D_BACKWARD_dx]);
  }
  return NULL;
}

// RELU_BACKWARD(y, MAX_POOL2D_BACKWARD(dy)) with the pool reading y. A pooled value is positive
// exactly where the element it came from is, so the mask may be applied to the smaller tensor
// first, with the pooled values; the unpooled activation need not be kept for it. Where that would
// not make a bias gradient as well, the pool leaves out by itself what is not positive.
static co_status mask_before_unpooling(co_plan *plan, int64_t unpool_at, int64_t mask_at) {
  co_plan_op *unpool = &plan->ops[unpool_at], *mask = &plan->ops[mask_at];
  co_plan_op *pool = find_forward_pool(plan, unpool->in[CO_MAX_POOL2D_BACKWARD_argmax]);
  if (!pool || pool->in[CO_MAX_POOL2D_x] != mask->in[CO_RELU_BACKWARD_y]) return CO_OK;
  if (!find_bias_gradient(plan, mask->out[CO_RELU_BACKWARD_dx])) {
    pool->desc.attr.activation = CO_ACTIVATION_RELU;
    unpool->out[CO_MAX_POOL2D_BACKWARD_dx] = mask->out[CO_RELU_BACKWARD_dx];
    unpool->note = "below the relu";
    mask->desc.op = CO_OP_COUNT;
    return CO_OK;
  }
  co_value pooled = pool->out[CO_MAX_POOL2D_y], masked;
  co_value dy = unpool->in[CO_MAX_POOL2D_BACKWARD_dy];
  co_tensor_desc desc = plan->values[pooled].info.desc;
  char *name = co_arena_format(plan->arena, "%s masked", plan->values[dy].info.name);
  if (!name) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_plan_add_value(plan, name, &desc, CO_STORAGE_ARENA, 0, &masked));
  co_plan_op first = *mask, second = *unpool;
  first.in[CO_RELU_BACKWARD_y] = pooled;
  first.in[CO_RELU_BACKWARD_dy] = dy;
  first.out[CO_RELU_BACKWARD_dx] = masked;
  first.note = "before unpooling";
  second.in[CO_MAX_POOL2D_BACKWARD_dy] = masked;
  second.out[CO_MAX_POOL2D_BACKWARD_dx] = mask->out[CO_RELU_BACKWARD_dx];
  *unpool = first;
  *mask = second;
  return CO_OK;
}

static co_status order_masks(co_plan *plan) {
  for (int64_t i = 0; i < plan->op_count; i++) {
    int64_t reader;
    co_value dx = plan->ops[i].out[CO_MAX_POOL2D_BACKWARD_dx];
    if (plan->ops[i].desc.op != CO_OP_MAX_POOL2D_BACKWARD ||
        co_plan_count_readers(plan, dx, &reader) != 1 ||
        plan->ops[reader].desc.op != CO_OP_RELU_BACKWARD ||
        plan->ops[reader].in[CO_RELU_BACKWARD_dy] != dx)
      continue;
    CO_RETURN_IF_FAILED(mask_before_unpooling(plan, i, reader));
  }
  co_plan_compact(plan);
  return CO_OK;
}

static co_plan_op *find_dropout(co_plan *plan, co_value x, uint32_t purpose) {
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *op = &plan->ops[i];
    if (op->desc.op == CO_OP_DROPOUT && !op->backward && op->in[CO_DROPOUT_x] == x &&
        op->desc.attr.purpose == purpose)
      return op;
  }
  return NULL;
}

// RELU_BACKWARD(y, DROPOUT(dy)) with a DROPOUT in front that reads y: what is positive behind that was
// kept by both, so nothing needs to be drawn again, nor y be kept.
static void join_dropout(co_plan *plan, co_plan_op *mask) {
  const co_value between = mask->in[CO_RELU_BACKWARD_dy];
  for (co_plan_op *back = plan->ops; back < mask; back++) {
    if (back->desc.op != CO_OP_DROPOUT || !back->backward || back->out[CO_DROPOUT_y] != between)
      continue;
    const co_plan_op *forward =
        find_dropout(plan, mask->in[CO_RELU_BACKWARD_y], back->desc.attr.purpose);
    const co_value_info *info = &plan->values[between].info;
    if (!forward || info->observed || info->storage != CO_STORAGE_ARENA || back->desc.accumulate ||
        co_plan_count_readers(plan, between, NULL) != 1)
      return;
    mask->in[CO_RELU_BACKWARD_y] = forward->out[CO_DROPOUT_y];
    mask->in[CO_RELU_BACKWARD_dy] = back->in[CO_DROPOUT_x];
    mask->desc.attr.rate = back->desc.attr.rate;
    mask->note = "fused dropout";
    back->desc.op = CO_OP_COUNT;
    return;
  }
}

// A tied layer's gradient has several writers, of which the first of a step overwrites.
static bool written_between(const co_plan_op *first, const co_plan_op *last, co_value value) {
  for (const co_plan_op *op = first + 1; op < last; op++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      if (op->out[k] == value) return true;
  return false;
}

// RELU_BACKWARD and the bias gradient below read the same tensor: one pass over it gives both.
static void join_bias_gradient(co_plan *plan, co_plan_op *mask) {
  co_plan_op *weights = find_bias_gradient(plan, mask->out[CO_RELU_BACKWARD_dx]);
  if (!weights || written_between(mask, weights, weights->out[WEIGHTS_db])) return;
  mask->desc.op = CO_OP_RELU_BIAS_BACKWARD;
  mask->note = mask->desc.attr.rate > 0 ? "fused dropout, bias gradient"
               : mask->note             ? "before unpooling, fused bias gradient"
                                        : "fused bias gradient";
  uint32_t adds = weights->desc.accumulate >> WEIGHTS_db & 1;
  mask->out[CO_RELU_BIAS_BACKWARD_db] = weights->out[WEIGHTS_db];
  mask->desc.accumulate = adds << CO_RELU_BIAS_BACKWARD_db;
  weights->out[WEIGHTS_db] = CO_NO_VALUE;
  weights->desc.accumulate &= ~(1u << WEIGHTS_db);
}

// BATCH_NORM_BACKWARD reads the gradient twice anyway: it masks it by itself.
static void join_batch_norm(co_plan *plan, co_plan_op *mask) {
  const co_value masked = mask->out[CO_RELU_BACKWARD_dx];
  const co_value_info *info = &plan->values[masked].info;
  int64_t reader;
  if (mask->desc.attr.rate > 0 || info->observed || info->storage != CO_STORAGE_ARENA ||
      co_plan_count_readers(plan, masked, &reader) != 1)
    return;
  co_plan_op *norm = &plan->ops[reader];
  if (norm->desc.op != CO_OP_BATCH_NORM_BACKWARD || norm->in[CO_BATCH_NORM_BACKWARD_dy] != masked)
    return;
  norm->in[CO_BATCH_NORM_BACKWARD_dy] = mask->in[CO_RELU_BACKWARD_dy];
  norm->in[CO_BATCH_NORM_BACKWARD_y] = mask->in[CO_RELU_BACKWARD_y];
  norm->note = "fused relu";
  mask->desc.op = CO_OP_COUNT;
}

static void pool_within(co_plan_op *norm, const co_plan_op *pool) {
  for (int axis = 0; axis < 2; axis++) {
    norm->desc.attr.kernel[axis] = pool->desc.attr.kernel[axis];
    norm->desc.attr.stride[axis] = pool->desc.attr.stride[axis];
    norm->desc.attr.pad_begin[axis] = pool->desc.attr.pad_begin[axis];
    norm->desc.attr.pad_end[axis] = pool->desc.attr.pad_end[axis];
  }
}

// Whether `value` is written for the one operation `*reader` alone.
static bool passes_by(const co_plan *plan, co_value value, int64_t *reader) {
  const co_value_info *info = &plan->values[value].info;
  return !info->observed && info->storage == CO_STORAGE_ARENA &&
         co_plan_count_readers(plan, value, reader) == 1;
}

// The pool's windows are gone through where the normalised image would be written, if nobody else
// reads it.
static void join_pool(co_plan *plan, co_plan_op *pool) {
  for (co_plan_op *norm = plan->ops; norm < pool; norm++) {
    int64_t reader;
    if (norm->desc.op != CO_OP_BATCH_NORM ||
        norm->out[CO_BATCH_NORM_y] != pool->in[CO_MAX_POOL2D_x])
      continue;
    if (!passes_by(plan, norm->out[CO_BATCH_NORM_y], &reader)) return;
    norm->out[CO_BATCH_NORM_y] = pool->out[CO_MAX_POOL2D_y];
    norm->out[CO_BATCH_NORM_argmax] = pool->out[CO_MAX_POOL2D_argmax];
    pool_within(norm, pool);
    norm->note = norm->note ? "fused relu and pooling" : "fused pooling";
    pool->desc.op = CO_OP_COUNT;
    return;
  }
}

// BATCH_NORM_BACKWARD finds the gradient of a pixel by the windows over it.
static void join_unpooling(co_plan *plan, co_plan_op *unpool) {
  const co_value dx = unpool->out[CO_MAX_POOL2D_BACKWARD_dx];
  int64_t reader;
  if (!passes_by(plan, dx, &reader)) return;
  co_plan_op *norm = &plan->ops[reader];
  if (norm->desc.op != CO_OP_BATCH_NORM_BACKWARD || norm->in[CO_BATCH_NORM_BACKWARD_dy] != dx ||
      norm->in[CO_BATCH_NORM_BACKWARD_y] != CO_NO_VALUE)
    return;
  co_plan_op *pool = find_forward_pool(plan, unpool->in[CO_MAX_POOL2D_BACKWARD_argmax]);
  norm->in[CO_BATCH_NORM_BACKWARD_dy] = unpool->in[CO_MAX_POOL2D_BACKWARD_dy];
  norm->in[CO_BATCH_NORM_BACKWARD_argmax] = unpool->in[CO_MAX_POOL2D_BACKWARD_argmax];
  pool_within(norm, unpool);
  norm->note = unpool->note ? "fused relu and unpooling" : "fused unpooling";
  unpool->desc.op = CO_OP_COUNT;
  if (pool) join_pool(plan, pool);
}

co_status co_pass_fuse_backward(co_plan *plan) {
  CO_RETURN_IF_FAILED(order_masks(plan));
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_RELU_BACKWARD) join_dropout(plan, &plan->ops[i]);
  co_plan_compact(plan);
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_RELU_BACKWARD) join_bias_gradient(plan, &plan->ops[i]);
  for (int64_t i = 0; i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_RELU_BACKWARD) join_batch_norm(plan, &plan->ops[i]);
  for (int64_t i = 0; plan->backend->api->norm_pools && i < plan->op_count; i++)
    if (plan->ops[i].desc.op == CO_OP_MAX_POOL2D_BACKWARD) join_unpooling(plan, &plan->ops[i]);
  co_plan_compact(plan);
  return CO_OK;
}
