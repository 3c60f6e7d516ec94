// SPDX-License-Identifier: Apache-2.0
// Pass 5: a loss over many classes and the products around it become LINEAR_CROSS_ENTROPY, which holds
// a tile of the logits at a time, where logits and their gradient would be large and nobody else reads
// them. Below that size whole logits are faster: tiles compute them twice. In bf16 they
// stay whole.
#include "host/plan/pass.h"

// The product that makes logits, the loss, and the products that read the logits' gradient: of x and
// of w, -1 where that gradient is not needed.
typedef struct catalogue {
  int64_t logits, loss, dx, dw;
} catalogue;

static int64_t find_writer(const co_plan *plan, co_value value) {
  for (int64_t i = 0; i < plan->op_count; i++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      if (plan->ops[i].out[k] == value) return i;
  return -1;
}

// Whether `value` lives for `readers` operations alone.
static bool passes_by(const co_plan *plan, co_value value, int readers) {
  const co_value_info *info = &plan->values[value].info;
  return info->storage == CO_STORAGE_ARENA && !info->observed &&
         co_plan_count_readers(plan, value, NULL) == readers;
}

static bool is_product(const co_plan *plan, const co_plan_op *op) {
  if (op->desc.op == CO_OP_DENSE_BACKWARD_DATA) return true; // of a table, a row a class
  return op->desc.op == CO_OP_DENSE && op->desc.attr.activation == CO_ACTIVATION_NONE &&
         op->out[CO_DENSE_mask] == CO_NO_VALUE &&
         plan->values[op->in[CO_DENSE_x]].info.desc.shape.rank == 2;
}

// Both products name x first and w second; which operand of the weights' gradient is which depends on
// the side that w stands on.
enum { PRODUCT_x = CO_DENSE_x, PRODUCT_w = CO_DENSE_w, PRODUCT_y = CO_DENSE_y };

static bool makes_dx(const co_plan_op *product, const co_plan_op *op, co_value slopes) {
  const co_op other = product->desc.op == CO_OP_DENSE ? CO_OP_DENSE_BACKWARD_DATA : CO_OP_DENSE;
  return op->desc.op == other && op->in[PRODUCT_x] == slopes &&
         op->in[PRODUCT_w] == product->in[PRODUCT_w] && !op->desc.accumulate;
}

static bool makes_dw(const co_plan_op *product, const co_plan_op *op, co_value slopes) {
  const bool dense = product->desc.op == CO_OP_DENSE;
  const co_value x = product->in[PRODUCT_x];
  return op->desc.op == CO_OP_DENSE_BACKWARD_WEIGHTS &&
         op->in[CO_DENSE_BACKWARD_WEIGHTS_x] == (dense ? x : slopes) &&
         op->in[CO_DENSE_BACKWARD_WEIGHTS_dy] == (dense ? slopes : x);
}

static bool match(const co_plan *plan, int64_t loss, catalogue *out) {
  const co_plan_op *op = &plan->ops[loss];
  if (op->desc.op != CO_OP_SOFTMAX_CROSS_ENTROPY) return false;
  const co_value logits = op->in[CO_SOFTMAX_CROSS_ENTROPY_x];
  const co_value slopes = op->out[CO_SOFTMAX_CROSS_ENTROPY_dx];
  *out = (catalogue){.logits = find_writer(plan, logits), .loss = loss, .dx = -1, .dw = -1};
  if (out->logits < 0 || slopes == CO_NO_VALUE) return false;
  const co_plan_op *product = &plan->ops[out->logits];
  if (!is_product(plan, product) || !passes_by(plan, logits, 1)) return false;
  for (int64_t i = loss + 1; i < plan->op_count; i++) {
    if (out->dx < 0 && makes_dx(product, &plan->ops[i], slopes)) out->dx = i;
    if (out->dw < 0 && makes_dw(product, &plan->ops[i], slopes)) out->dw = i;
  }
  const int readers = (out->dx >= 0) + (out->dw >= 0);
  return readers > 0 && passes_by(plan, slopes, readers);
}

static bool has_output(const co_plan_op *op, co_value value) {
  for (int k = 0; value != CO_NO_VALUE && k < CO_OP_MAX_OPERANDS; k++)
    if (op->out[k] == value) return true;
  return false;
}

// Whether everything can be made where the first of the gradients is: nobody reads or writes what the
// loss gives, or writes a gradient of the same weights, in between.
static bool may_meet(const co_plan *plan, const catalogue *c, int64_t at) {
  const co_plan_op *loss = &plan->ops[c->loss];
  const int64_t last = c->dw > c->dx ? c->dw : c->dx;
  for (int64_t i = c->loss + 1; i < at; i++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
      const co_plan_op *op = &plan->ops[i];
      if (has_output(loss, op->in[k]) || has_output(loss, op->out[k])) return false;
    }
  for (int64_t i = at + 1; c->dw >= 0 && i < last; i++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      if (i != c->dw && has_output(&plan->ops[i], plan->ops[c->dw].out[k])) return false;
  return true;
}

// Output `from` of `op` with its bit of accumulation.
static void take(co_plan_op *made, int to, const co_plan_op *op, int from) {
  made->out[to] = op->out[from];
  made->desc.accumulate |= (op->desc.accumulate >> from & 1) << to;
}

static co_plan_op join(const co_plan *plan, const catalogue *c) {
  const co_plan_op *product = &plan->ops[c->logits], *loss = &plan->ops[c->loss];
  const bool dense = product->desc.op == CO_OP_DENSE;
  co_plan_op made = co_plan_op_make(CO_OP_LINEAR_CROSS_ENTROPY, product->layer, NULL);
  made.backward = true; // most of its work: gradients, and logits for them
  made.desc.attr.output = loss->desc.attr.output;
  made.desc.attr.label_smoothing = loss->desc.attr.label_smoothing;
  made.desc.attr.transposed = !dense;
  made.in[CO_LINEAR_CROSS_ENTROPY_x] = product->in[PRODUCT_x];
  made.in[CO_LINEAR_CROSS_ENTROPY_w] = product->in[PRODUCT_w];
  if (dense) made.in[CO_LINEAR_CROSS_ENTROPY_b] = product->in[CO_DENSE_b];
  made.in[CO_LINEAR_CROSS_ENTROPY_target] = loss->in[CO_SOFTMAX_CROSS_ENTROPY_target];
  made.in[CO_LINEAR_CROSS_ENTROPY_weight] = loss->in[CO_SOFTMAX_CROSS_ENTROPY_weight];
  made.in[CO_LINEAR_CROSS_ENTROPY_step] = loss->in[CO_SOFTMAX_CROSS_ENTROPY_step];
  take(&made, CO_LINEAR_CROSS_ENTROPY_loss, loss, CO_SOFTMAX_CROSS_ENTROPY_loss);
  take(&made, CO_LINEAR_CROSS_ENTROPY_sum, loss, CO_SOFTMAX_CROSS_ENTROPY_sum);
  take(&made, CO_LINEAR_CROSS_ENTROPY_hits, loss, CO_SOFTMAX_CROSS_ENTROPY_hits);
  if (c->dx >= 0) take(&made, CO_LINEAR_CROSS_ENTROPY_dx, &plan->ops[c->dx], PRODUCT_y);
  if (c->dw < 0) return made;
  take(&made, CO_LINEAR_CROSS_ENTROPY_dw, &plan->ops[c->dw], CO_DENSE_BACKWARD_WEIGHTS_dw);
  take(&made, CO_LINEAR_CROSS_ENTROPY_db, &plan->ops[c->dw], CO_DENSE_BACKWARD_WEIGHTS_db);
  return made;
}

static co_status fuse(co_plan *plan, int64_t loss) {
  const size_t most = plan->options.logit_bytes ? plan->options.logit_bytes : CO_PLAN_LOGIT_BYTES;
  catalogue c;
  if (!match(plan, loss, &c)) return CO_OK;
  const co_value logits = plan->ops[loss].in[CO_SOFTMAX_CROSS_ENTROPY_x];
  const bool bf16 = plan->options.bf16; // given to values by a later pass
  const size_t bytes = co_tensor_bytes(&plan->values[logits].info.desc) / (bf16 ? 2 : 1);
  const int64_t at = c.dx < 0 || (c.dw >= 0 && c.dw < c.dx) ? c.dw : c.dx;
  if (bytes <= most || !may_meet(plan, &c, at)) return CO_OK;
  bool offers = false;
  co_plan_op made = join(plan, &c);
  if (!bf16) CO_RETURN_IF_FAILED(co_plan_offers(plan, &made, &offers, NULL));
  const char *format = offers ? "in tiles: not %.0f MiB of logits and their gradient"
                              : "%.0f MiB of logits and their gradient";
  const char *note = co_arena_format(plan->arena, format, 2 * (double)bytes / 1048576);
  if (!note) return CO_ERR_MEMORY;
  if (!offers) {
    plan->ops[loss].note = note;
    return CO_OK;
  }
  made.note = note;
  plan->ops[c.logits].desc.op = plan->ops[loss].desc.op = CO_OP_COUNT;
  if (c.dx >= 0) plan->ops[c.dx].desc.op = CO_OP_COUNT;
  if (c.dw >= 0) plan->ops[c.dw].desc.op = CO_OP_COUNT;
  plan->ops[at] = made;
  return CO_OK;
}

co_status co_pass_fuse_catalogue(co_plan *plan) {
  for (int64_t i = 0; i < plan->op_count; i++)
    CO_RETURN_IF_FAILED(fuse(plan, i));
  co_plan_compact(plan);
  return CO_OK;
}
