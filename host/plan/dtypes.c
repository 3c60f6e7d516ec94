// SPDX-License-Identifier: Apache-2.0
// Pass 7: the element type policy. Graphs write f32 for "real".
//
// The double policy makes it f64. Under the bf16 policy activations and their gradients are bf16,
// and what reads a parameter as data (DENSE, CONV2D) reads its bf16 copy in the store, the mirror.
// Parameters themselves, their gradients, statistics, losses and the graph's inputs and outputs
// stay f32: casts are put in where they meet bf16. But a kernel's gradient that the backend makes in
// bf16 anyway stays so where nothing is added to it.
#include <string.h>

#include "host/plan/pass.h"

// ---- double ------------------------------------------------------------------------------------

static void make_double(co_plan *plan) {
  for (int64_t i = 0; i < plan->value_count; i++)
    if (plan->values[i].info.desc.dtype == CO_F32)
      plan->values[i].info.desc.dtype = plan->options.real;
  for (int64_t i = 0; i < plan->op_count; i++)
    if (co_op_get_info(plan->ops[i].desc.op)->typed && plan->ops[i].desc.attr.dtype == CO_F32)
      plan->ops[i].desc.attr.dtype = plan->options.real;
}

// ---- bf16 --------------------------------------------------------------------------------------

typedef struct narrowing {
  co_plan *plan;
  co_store *store;
  co_plan_op *old; // the operations before the pass
  int64_t old_count;
  co_value *narrow; // per value before the pass: its bf16 copy, CO_NO_VALUE if none yet
} narrowing;

static co_dtype dtype_of(const narrowing *n, co_value value) {
  return n->plan->values[value].info.desc.dtype;
}

static co_status new_narrow(narrowing *n, co_value of, co_storage storage, co_value *out) {
  co_plan *plan = n->plan;
  char *name = co_arena_format(plan->arena, "%s bf16", plan->values[of].info.name);
  if (!name) return CO_ERR_MEMORY;
  co_tensor_desc desc = plan->values[of].info.desc;
  desc.dtype = CO_BF16;
  CO_RETURN_IF_FAILED(co_plan_add_value(plan, name, &desc, storage, 0, out));
  n->narrow[of] = *out;
  return CO_OK;
}

static co_status cast(narrowing *n, const co_plan_op *for_op, co_value from, co_value to) {
  co_plan_op op = co_plan_op_make(CO_OP_CAST, for_op->layer, "element type");
  op.backward = for_op->backward;
  op.desc.attr.dtype = dtype_of(n, to);
  op.in[CO_CAST_x] = from;
  op.out[CO_CAST_y] = to;
  return co_plan_add_op(n->plan, &op, NULL);
}

// Replaces an operand by its bf16 form: itself, a copy made before, the store's mirror, a cast.
static co_status narrow_input(narrowing *n, const co_plan_op *for_op, co_value *operand) {
  co_value from = *operand;
  if (dtype_of(n, from) != CO_F32) return CO_OK;
  if (n->narrow[from] != CO_NO_VALUE) {
    *operand = n->narrow[from];
    return CO_OK;
  }
  if (n->plan->values[from].info.storage != CO_STORAGE_PARAM) {
    CO_RETURN_IF_FAILED(new_narrow(n, from, CO_STORAGE_ARENA, operand));
    return cast(n, for_op, from, *operand);
  }
  if (n->store->allocated && !n->store->mirrored)
    return co_fail(CO_ERR_INTERNAL, "the store has no mirror");
  n->store->mirrored = true;
  CO_RETURN_IF_FAILED(new_narrow(n, from, CO_STORAGE_MIRROR, operand));
  n->plan->values[*operand].param = n->plan->values[from].param;
  return CO_OK;
}

// Of the input section: an output that the network reads in bf16.
static bool is_narrow_output(const narrowing *n, int64_t output) {
  return n->plan->options.narrow_outputs && n->plan->options.narrow_outputs[output];
}

// Softmax, losses and metrics compute in f32 from what there is. Operations of the input section
// read what there is, and write bf16 only for the network: raw features are not rounded before they
// are normalised.
static bool reads_either(co_op op) {
  const co_op_info *info = co_op_get_info(op);
  return info->follows || info->input;
}

static bool is_read_by_input(const narrowing *n, co_value value) {
  for (int64_t i = 0; i < n->old_count; i++)
    for (int k = 0; co_op_get_info(n->old[i].desc.op)->input && k < CO_OP_MAX_OPERANDS; k++)
      if (n->old[i].in[k] == value) return true;
  return false;
}

// Whether an operation reads `value` where no bf16 may be: a loss its target.
static bool needs_wide(co_op op, const co_value *in, co_value value) {
  uint32_t may_in, may_out;
  co_op_bf16_operands(op, &may_in, &may_out);
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
    if (in[k] == value && !(may_in >> k & 1)) return true;
  return false;
}

static bool stays_wide(const narrowing *n, co_value value);

// A network's last layer is an affine map: far from zero, bf16 would leave no digit of what it reads.
static bool is_last_affine(const narrowing *n, const co_plan_op *op) {
  return op->desc.op == CO_OP_BATCH_NORM_INFERENCE && stays_wide(n, op->out[0]);
}

static bool is_read_wide(const narrowing *n, co_value value) {
  for (int64_t i = 0; i < n->old_count; i++)
    if (needs_wide(n->old[i].desc.op, n->old[i].in, value) ||
        (n->old[i].in[0] == value && is_last_affine(n, &n->old[i])))
      return true;
  return false;
}

static bool stays_wide(const narrowing *n, co_value value) {
  if (n->plan->values[value].info.storage != CO_STORAGE_ARENA || is_read_wide(n, value))
    return true;
  for (int64_t i = 0; i < n->plan->graph->output_count; i++)
    if (n->plan->outputs[i] == value && !is_narrow_output(n, i)) return true;
  return false;
}

// A reshape is a view of what it reads, or a copy into a parameter's gradient.
static bool is_wide_reshape(const narrowing *n, const co_plan_op *op) {
  return op->desc.op == CO_OP_RESHAPE && dtype_of(n, op->in[0]) == CO_F32 &&
         (is_read_wide(n, op->out[0]) ||
          n->plan->values[op->out[0]].info.storage == CO_STORAGE_GRADIENT);
}

// What comes in f32 and is read so on the other side of a reshape, as weights of a loss are.
static bool is_wide_share(const narrowing *n, const co_plan_op *op) {
  const co_value out = op->out[0];
  if (op->desc.op != CO_OP_POOL_EVENTS_BACKWARD ||
      dtype_of(n, op->in[CO_POOL_EVENTS_BACKWARD_dy]) != CO_F32)
    return false;
  for (int64_t i = 0; i < n->old_count; i++)
    if (n->old[i].desc.op == CO_OP_RESHAPE && n->old[i].in[0] == out &&
        is_read_wide(n, n->old[i].out[0]))
      return true;
  return is_read_wide(n, out);
}

// Whether the operation's data become bf16 here.
static bool narrows(const narrowing *n, const co_plan_op *op) {
  const co_op_info *info = co_op_get_info(op->desc.op);
  if (is_wide_reshape(n, op) || is_wide_share(n, op)) return false;
  if (is_last_affine(n, op)) return false;
  if (info->follows) return dtype_of(n, op->in[0]) == CO_BF16;
  if (info->input) return !stays_wide(n, op->out[0]) && !is_read_by_input(n, op->out[0]);
  return true;
}

static co_status narrow_inputs(narrowing *n, co_plan_op *op, uint32_t may) {
  if (reads_either(op->desc.op)) return CO_OK;
  // A dense layer whose result is an output writes f32, and adds the bias in f32.
  uint32_t or_in, or_out;
  co_op_bf16_or_f32(op->desc.op, &or_in, &or_out);
  if (or_in && stays_wide(n, op->out[0])) may &= ~or_in;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if ((may >> i & 1) && op->in[i] != CO_NO_VALUE)
      CO_RETURN_IF_FAILED(narrow_input(n, op, &op->in[i]));
  return CO_OK;
}

static int count_writers(const narrowing *n, co_value value) {
  int count = 0;
  for (int64_t i = 0; i < n->old_count; i++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      count += n->old[i].out[k] == value;
  return count;
}

// A parameter's gradient that may be either: as the store has it, or, in its first plan, as the backend
// makes it.
static co_status choose_gradient(narrowing *n, const co_plan_op *op, int output) {
  const co_value value = op->out[output];
  co_plan_value *gradient = &n->plan->values[value];
  if (gradient->info.storage != CO_STORAGE_GRADIENT) return CO_OK;
  co_store_entry *entry = &n->store->entries[gradient->param];
  if (n->plan->options.narrow_gradients && count_writers(n, value) == 1) {
    co_op_choice choice;
    bool offered;
    gradient->info.desc.dtype = CO_BF16;
    CO_RETURN_IF_FAILED(co_plan_offers(n->plan, op, &offered, &choice));
    const bool narrow = offered && choice.narrow >> output & 1;
    if (n->store->allocated && narrow != entry->narrow)
      return co_fail(CO_ERR_INTERNAL, "the store has the gradient of '%s' in %s", entry->info.name,
                     entry->narrow ? "bf16" : "f32");
    entry->narrow = narrow;
  }
  gradient->info.desc.dtype = entry->narrow ? CO_BF16 : CO_F32;
  return CO_OK;
}

// What must stay f32 is written as bf16 first and cast then; `wide` gets those.
static co_status narrow_outputs(narrowing *n, co_plan_op *op, uint32_t may, co_value *wide) {
  uint32_t or_in, or_out;
  co_op_bf16_or_f32(op->desc.op, &or_in, &or_out);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    wide[i] = CO_NO_VALUE;
    co_value value = op->out[i];
    if (!(may >> i & 1) || value == CO_NO_VALUE || dtype_of(n, value) != CO_F32) continue;
    if (!stays_wide(n, value)) {
      n->plan->values[value].info.desc.dtype = CO_BF16;
      continue;
    }
    if (or_out >> i & 1) {
      CO_RETURN_IF_FAILED(choose_gradient(n, op, i));
      continue;
    }
    if (op->desc.accumulate >> i & 1)
      return co_fail(CO_ERR_INTERNAL, "'%s' cannot be added to in bf16",
                     n->plan->values[value].info.name);
    wide[i] = value;
    CO_RETURN_IF_FAILED(new_narrow(n, value, CO_STORAGE_ARENA, &op->out[i]));
  }
  return CO_OK;
}

static co_status narrow_operation(narrowing *n, co_plan_op op) {
  uint32_t in, out;
  co_value wide[CO_OP_MAX_OPERANDS];
  co_op_bf16_operands(op.desc.op, &in, &out);
  if (!(in | out) || !narrows(n, &op)) return co_plan_add_op(n->plan, &op, NULL);
  CO_RETURN_IF_FAILED(narrow_inputs(n, &op, in));
  CO_RETURN_IF_FAILED(narrow_outputs(n, &op, out, wide));
  if (co_op_get_info(op.desc.op)->typed) op.desc.attr.dtype = dtype_of(n, op.out[0]);
  CO_RETURN_IF_FAILED(co_plan_add_op(n->plan, &op, NULL));
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (wide[i] != CO_NO_VALUE) CO_RETURN_IF_FAILED(cast(n, &op, op.out[i], wide[i]));
  return CO_OK;
}

static bool is_read_wide_in(const co_graph *graph, co_value value) {
  for (int64_t i = 0; i < graph->op_count; i++)
    if (needs_wide(graph->ops[i].op, graph->ops[i].in, value)) return true;
  return false;
}

bool co_plan_reads_bf16(const co_graph *graph, co_value input) {
  bool any = false;
  if (graph->values[input].desc.dtype != CO_F32) return false;
  for (int64_t i = 0; i < graph->op_count; i++) {
    const co_graph_op *op = &graph->ops[i];
    uint32_t in, out;
    co_op_bf16_operands(op->op, &in, &out);
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
      if (op->in[k] != input) continue;
      if (!(in >> k & 1) || reads_either(op->op)) return false;
      if (op->op == CO_OP_RESHAPE && is_read_wide_in(graph, op->out[0])) return false;
      any = true;
    }
  }
  for (int64_t i = 0; i < graph->output_count; i++)
    if (graph->outputs[i].value == input) return false;
  return any;
}

static void narrow_graph_inputs(co_plan *plan) {
  const co_graph *graph = plan->graph;
  for (int64_t i = 0; plan->options.narrow_inputs && i < graph->input_count; i++)
    if (plan->options.narrow_inputs[i] && co_plan_reads_bf16(graph, graph->inputs[i]))
      plan->values[graph->inputs[i]].info.desc.dtype = CO_BF16;
}

// Outputs asked for in bf16 that no operation could write so.
static co_status narrow_graph_outputs(narrowing *n) {
  co_plan *plan = n->plan;
  for (int64_t i = 0; i < plan->graph->output_count; i++) {
    co_value value = plan->outputs[i];
    if (!is_narrow_output(n, i) || value == CO_NO_VALUE || dtype_of(n, value) != CO_F32) continue;
    const co_plan_op nowhere = co_plan_op_make(CO_OP_CAST, NULL, NULL);
    CO_RETURN_IF_FAILED(narrow_input(n, &nowhere, &plan->outputs[i]));
    plan->values[plan->outputs[i]].info.observed = true;
  }
  return CO_OK;
}

static co_status make_bf16(co_plan *plan, co_store *store) {
  narrowing n = {.plan = plan, .store = store, .old = plan->ops, .old_count = plan->op_count};
  n.narrow = co_arena_alloc(plan->arena, (size_t)plan->value_count + 1, sizeof *n.narrow);
  if (!n.narrow) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < plan->value_count; i++)
    n.narrow[i] = CO_NO_VALUE;
  plan->ops = NULL;
  plan->op_count = plan->op_capacity = 0;
  co_status status = CO_OK;
  narrow_graph_inputs(plan);
  for (int64_t i = 0; i < n.old_count && status == CO_OK; i++)
    status = narrow_operation(&n, n.old[i]);
  if (status == CO_OK) status = narrow_graph_outputs(&n);
  co_free(plan->ctx, n.old);
  return status;
}

co_status co_pass_dtypes(co_plan *plan, co_store *store) {
  if (plan->options.bf16 && plan->options.real != CO_F32)
    return co_fail(CO_ERR_INTERNAL, "bf16 goes with parameters in f32");
  if (plan->options.real != CO_F32) {
    make_double(plan);
    return CO_OK;
  }
  // An update works on whole blocks of f32; its mirror is bf16 in the graph already.
  bool narrow = plan->options.bf16 && plan->options.mode != CO_MODE_UPDATE;
  co_status status = narrow ? make_bf16(plan, store) : CO_OK;
  plan->options.narrow_inputs = plan->options.narrow_outputs = NULL; // the caller's
  return status;
}
