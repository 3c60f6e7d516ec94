// SPDX-License-Identifier: Apache-2.0
// Pass 5: a loss over many classes and the products around it become LINEAR_CROSS_ENTROPY, which holds
// a tile of the logits at a time, where logits and their gradient would be large and nobody else reads
// them. Below that size whole logits are faster: tiles compute them twice. Classes may
// be copied from a row's events in between.
#include "host/plan/pass.h"

// The product that makes logits, the loss, and the products that read the logits' gradient: of x and
// of w. Between them COPY_EVENTS and its backward. -1 where an operation is not there or not needed.
typedef struct catalogue {
  int64_t logits, copy, loss, copy_backward, dx, dw;
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

// Events of which classes are copied into the logits.
static bool match_copy(const co_plan *plan, catalogue *c, co_value *logits, co_value *slopes) {
  const int64_t copy = find_writer(plan, *logits);
  if (copy < 0 || plan->ops[copy].desc.op != CO_OP_COPY_EVENTS) return true;
  for (int64_t i = c->loss + 1; i < plan->op_count && c->copy_backward < 0; i++)
    if (plan->ops[i].desc.op == CO_OP_COPY_EVENTS_BACKWARD &&
        plan->ops[i].in[CO_COPY_EVENTS_BACKWARD_dy] == *slopes)
      c->copy_backward = i;
  if (c->copy_backward < 0 || !passes_by(plan, *logits, 2) || !passes_by(plan, *slopes, 1))
    return false;
  const co_plan_op *backward = &plan->ops[c->copy_backward];
  c->copy = copy;
  *logits = plan->ops[copy].in[CO_COPY_EVENTS_x];
  *slopes = backward->out[CO_COPY_EVENTS_BACKWARD_dx];
  return !(backward->desc.accumulate >> CO_COPY_EVENTS_BACKWARD_dx & 1);
}

static bool match(const co_plan *plan, int64_t loss, catalogue *out) {
  const co_plan_op *op = &plan->ops[loss];
  if (op->desc.op != CO_OP_SOFTMAX_CROSS_ENTROPY) return false;
  co_value logits = op->in[CO_SOFTMAX_CROSS_ENTROPY_x];
  co_value slopes = op->out[CO_SOFTMAX_CROSS_ENTROPY_dx];
  *out =
      (catalogue){.loss = loss, .copy = -1, .copy_backward = -1, .logits = -1, .dx = -1, .dw = -1};
  if (slopes == CO_NO_VALUE || !match_copy(plan, out, &logits, &slopes)) return false;
  out->logits = find_writer(plan, logits);
  if (out->logits < 0) return false;
  const co_plan_op *product = &plan->ops[out->logits];
  if (!is_product(plan, product) || !passes_by(plan, logits, out->copy < 0 ? 1 : 2)) return false;
  for (int64_t i = loss + 1; slopes != CO_NO_VALUE && i < plan->op_count; i++) {
    if (out->dx < 0 && makes_dx(product, &plan->ops[i], slopes)) out->dx = i;
    if (out->dw < 0 && makes_dw(product, &plan->ops[i], slopes)) out->dw = i;
  }
  const int readers = (out->dx >= 0) + (out->dw >= 0);
  if (readers == 0) return out->copy >= 0 && slopes == CO_NO_VALUE; // scores alone are trained
  return passes_by(plan, slopes, readers);
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
  if (c->copy >= 0) {
    const co_plan_op *copy = &plan->ops[c->copy];
    made.desc.attr.factor = copy->desc.attr.factor;
    made.in[CO_LINEAR_CROSS_ENTROPY_score] = copy->in[CO_COPY_EVENTS_score];
    made.in[CO_LINEAR_CROSS_ENTROPY_codes] = copy->in[CO_COPY_EVENTS_codes];
    made.in[CO_LINEAR_CROSS_ENTROPY_lengths] = copy->in[CO_COPY_EVENTS_lengths];
    take(&made, CO_LINEAR_CROSS_ENTROPY_dscore, &plan->ops[c->copy_backward],
         CO_COPY_EVENTS_BACKWARD_dscore);
  }
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

// The first of the operations that read slopes: what they write is read behind them.
static int64_t place_of(const catalogue *c) {
  if (c->copy_backward >= 0) return c->copy_backward;
  return c->dx < 0 || (c->dw >= 0 && c->dw < c->dx) ? c->dw : c->dx;
}

static void drop(co_plan *plan, int64_t i) {
  if (i >= 0) plan->ops[i].desc.op = CO_OP_COUNT;
}

// With the types that a later pass gives its operands.
static co_status offers(const co_plan *plan, const co_plan_op *made, bool *out) {
  co_plan_op asked = *made;
  uint32_t in = 0, narrow = 0;
  co_plan_describe(plan, &asked);
  if (plan->options.bf16) co_op_bf16_operands(asked.desc.op, &in, &narrow);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (in >> i & 1) asked.desc.in[i].dtype = CO_BF16;
    if (narrow >> i & 1) asked.desc.out[i].dtype = CO_BF16;
  }
  return co_plan_asks(plan, asked.desc, out, NULL);
}

static co_status fuse(co_plan *plan, int64_t loss) {
  const size_t most = plan->options.logit_bytes ? plan->options.logit_bytes : CO_PLAN_LOGIT_BYTES;
  catalogue c;
  if (!match(plan, loss, &c)) return CO_OK;
  const co_value logits = plan->ops[c.logits].out[PRODUCT_y];
  // Given to values by a later pass, but not to those that events go into.
  const bool bf16 = plan->options.bf16 && c.copy < 0;
  const size_t bytes = co_tensor_bytes(&plan->values[logits].info.desc) / (bf16 ? 2 : 1);
  const int64_t at = place_of(&c);
  if (bytes <= most || !may_meet(plan, &c, at)) return CO_OK;
  bool offered;
  co_plan_op made = join(plan, &c);
  CO_RETURN_IF_FAILED(offers(plan, &made, &offered));
  const char *format = offered ? "in tiles: not %.0f MiB of logits and their gradient"
                               : "%.0f MiB of logits and their gradient";
  const double arrays = c.copy < 0 ? 2 : 4; // with events and without them
  const char *note = co_arena_format(plan->arena, format, arrays * (double)bytes / 1048576);
  if (!note) return CO_ERR_MEMORY;
  if (!offered) {
    plan->ops[loss].note = note;
    return CO_OK;
  }
  made.note = note;
  drop(plan, c.logits);
  drop(plan, c.copy);
  drop(plan, c.loss);
  drop(plan, c.copy_backward);
  drop(plan, c.dx);
  drop(plan, c.dw);
  plan->ops[at] = made;
  return CO_OK;
}

co_status co_pass_fuse_catalogue(co_plan *plan) {
  for (int64_t i = 0; i < plan->op_count; i++)
    CO_RETURN_IF_FAILED(fuse(plan, i));
  co_plan_compact(plan);
  return CO_OK;
}
