// SPDX-License-Identifier: Apache-2.0
// Pass 3: reverse-mode differentiation, operation by operation from the rules of kernels/ops_list.h.
#include <string.h>

#include "host/plan/pass.h"

typedef struct backward {
  co_plan *plan;
  co_store *store;
  bool *wanted;       // per value: a gradient is needed
  co_value *gradient; // per value: the gradient so far, CO_NO_VALUE if none
  co_value
      *parameter;  // per store entry: its gradient value, CO_NO_VALUE if none yet; with `rows` the
                   // first of three: ids, rows and count of its list
  int64_t tracked; // values covered by the arrays (those of the forward plan)
} backward;

static bool trains(const co_plan *plan, const co_store *store, const co_plan_value *value) {
  if (value->info.storage != CO_STORAGE_PARAM) return false;
  const co_param_info *info = &store->entries[value->param].info;
  return info->trainable && (!plan->options.groups || plan->options.groups >> info->group & 1);
}

static bool is_seed(const co_graph *graph, co_value input) {
  for (int64_t i = 0; i < graph->output_count; i++)
    if (graph->outputs[i].seed == input) return true;
  return false;
}

// In training those of parameters, else those of the graph's inputs.
static void mark_wanted(backward *b) {
  const co_plan *plan = b->plan;
  const co_graph *graph = plan->graph;
  const bool train = plan->options.mode == CO_MODE_TRAIN;
  for (int64_t i = 0; i < b->tracked; i++)
    b->wanted[i] = train && trains(plan, b->store, &plan->values[i]);
  for (int64_t i = 0; !train && i < graph->input_count; i++)
    b->wanted[graph->inputs[i]] = plan->values[graph->inputs[i]].info.desc.dtype == CO_F32 &&
                                  !is_seed(graph, graph->inputs[i]);
  for (int64_t i = 0; i < plan->op_count; i++) {
    const co_plan_op *op = &plan->ops[i];
    bool any = false;
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      any = any || (op->in[k] != CO_NO_VALUE && b->wanted[op->in[k]]);
    for (int k = 0; any && k < CO_OP_MAX_OPERANDS; k++)
      if (op->out[k] != CO_NO_VALUE && plan->values[op->out[k]].info.storage == CO_STORAGE_ARENA)
        b->wanted[op->out[k]] = true;
  }
}

static co_status new_gradient(backward *b, co_value of, co_value *out) {
  char *name = co_arena_format(b->plan->arena, "d(%s)", b->plan->values[of].info.name);
  if (!name) return CO_ERR_MEMORY;
  co_tensor_desc desc = b->plan->values[of].info.desc;
  return co_plan_add_value(b->plan, name, &desc, CO_STORAGE_ARENA, 0, out);
}

// A further contribution to an activation's gradient: in graph order, by ADD.
static co_status contribute(backward *b, co_value to, co_value part, const char *layer) {
  co_value *total = &b->gradient[to];
  if (*total == CO_NO_VALUE) {
    *total = part;
    return CO_OK;
  }
  co_plan_op add = co_plan_op_make(CO_OP_ADD, layer, "sum of gradients");
  add.backward = true;
  add.in[CO_ADD_a] = *total;
  add.in[CO_ADD_b] = part;
  CO_RETURN_IF_FAILED(new_gradient(b, to, total));
  add.out[CO_ADD_y] = *total;
  return co_plan_add_op(b->plan, &add, NULL);
}

// Where the gradient of a parameter goes; later writers of an effective step add.
static co_status parameter_gradient(backward *b, co_value of, co_value *out, bool *add) {
  int32_t entry = b->plan->values[of].param;
  *add = b->plan->options.add_gradients || b->parameter[entry] != CO_NO_VALUE;
  if (b->parameter[entry] == CO_NO_VALUE) {
    CO_RETURN_IF_FAILED(new_gradient(b, of, &b->parameter[entry]));
    co_plan_value *value = &b->plan->values[b->parameter[entry]];
    value->info.storage = CO_STORAGE_GRADIENT;
    value->param = entry;
    b->plan->has_gradient[entry] = true;
  }
  *out = b->parameter[entry];
  return CO_OK;
}

// Finds what a rule's operand name stands for in the forward operation: d<output> is the incoming
// gradient, else a forward operand.
static co_value rule_input(const backward *b, const co_plan_op *op, const co_value *dy,
                           const char *name, size_t length) {
  const co_op_info *info = co_op_get_info(op->desc.op);
  (void)b;
  int i = co_operand_find(info->inputs, name, length);
  if (i >= 0) return op->in[i];
  i = co_operand_find(info->outputs, name, length);
  if (i >= 0) return op->out[i];
  i = co_operand_find(info->outputs, name + 1, length - 1);
  return i >= 0 ? dy[i] : CO_NO_VALUE;
}

static co_value rule_target(const co_plan_op *op, const char *name, size_t length) {
  int i = co_operand_find(co_op_get_info(op->desc.op)->inputs, name + 1, length - 1);
  return i >= 0 ? op->in[i] : CO_NO_VALUE;
}

// Chooses where each result of a backward operation goes. `contribution` gets, per result, the
// activation that it is a gradient of.
static co_status place_results(backward *b, const co_plan_op *op, const co_rule *rule,
                               co_plan_op *made, co_value *contribution) {
  for (int i = 0; i < rule->outputs; i++) {
    contribution[i] = CO_NO_VALUE;
    co_value target = rule_target(op, rule->out[i].name, rule->out[i].length);
    if (target == CO_NO_VALUE) continue;
    bool wanted = b->wanted[target];
    if (!wanted && rule->out[i].optional) continue;
    if (wanted && b->plan->values[target].info.storage == CO_STORAGE_PARAM) {
      bool add;
      CO_RETURN_IF_FAILED(parameter_gradient(b, target, &made->out[i], &add));
      if (add) made->desc.accumulate |= 1u << i;
      continue;
    }
    CO_RETURN_IF_FAILED(new_gradient(b, target, &made->out[i]));
    if (wanted) contribution[i] = target;
  }
  return CO_OK;
}

// Results add to gradients in the order in which operations of two operands would give them, each
// joining one more: the last first, and the first two as they come. The sum of a value that stands
// more than once among the operands depends on it.
static int contribution_order(int i, int count) {
  return i < count - 2 ? count - 1 - i : i - (count > 2 ? count - 2 : 0);
}

// What comes to a parameter as it is goes into its gradient by a copy.
static co_status pass_on(backward *b, const co_plan_op *op, co_value to, co_value part) {
  if (!b->wanted[to] || b->plan->values[to].info.storage != CO_STORAGE_PARAM)
    return contribute(b, to, part, op->layer);
  co_plan_op copy = co_plan_op_make(CO_OP_RESHAPE, op->layer, NULL);
  bool add;
  copy.backward = true;
  copy.desc.attr.shape = b->plan->values[to].info.desc.shape;
  copy.in[CO_RESHAPE_x] = part;
  CO_RETURN_IF_FAILED(parameter_gradient(b, to, &copy.out[CO_RESHAPE_y], &add));
  if (add) copy.desc.accumulate = 1u << CO_RESHAPE_y;
  return co_plan_add_op(b->plan, &copy, NULL);
}

static co_status apply_rule(backward *b, const co_plan_op *op, const co_rule *rule,
                            const co_value *dy) {
  bool any = false;
  for (int i = 0; i < rule->outputs; i++) {
    co_value target = rule_target(op, rule->out[i].name, rule->out[i].length);
    any = any || (target != CO_NO_VALUE && b->wanted[target]);
  }
  if (!any) return CO_OK;
  if (rule->op < 0)
    return pass_on(b, op, rule_target(op, rule->out[0].name, rule->out[0].length),
                   rule_input(b, op, dy, rule->in[0].name, rule->in[0].length));
  co_plan_op made = co_plan_op_make((co_op)rule->op, op->layer, NULL);
  made.backward = true;
  made.desc.attr = op->desc.attr;
  made.desc.attr.activation = CO_ACTIVATION_NONE;
  for (int i = 0; i < rule->inputs; i++)
    made.in[i] = rule_input(b, op, dy, rule->in[i].name, rule->in[i].length);
  co_value contribution[CO_OP_MAX_OPERANDS];
  CO_RETURN_IF_FAILED(place_results(b, op, rule, &made, contribution));
  if (made.desc.op == CO_OP_RESHAPE)
    made.desc.attr.shape = b->plan->values[made.out[CO_RESHAPE_y]].info.desc.shape;
  CO_RETURN_IF_FAILED(co_plan_add_op(b->plan, &made, NULL));
  for (int i = 0; i < rule->outputs; i++) {
    int k = contribution_order(i, rule->outputs);
    if (contribution[k] != CO_NO_VALUE)
      CO_RETURN_IF_FAILED(contribute(b, contribution[k], made.out[k], op->layer));
  }
  return CO_OK;
}

// Below a fused activation the incoming gradient is masked first.
static co_status through_activation(backward *b, const co_plan_op *op, co_value *dy) {
  co_plan_op mask = co_plan_op_make(CO_OP_RELU_BACKWARD, op->layer, NULL);
  mask.backward = true;
  mask.in[CO_RELU_BACKWARD_y] = op->out[0];
  mask.in[CO_RELU_BACKWARD_dy] = *dy;
  CO_RETURN_IF_FAILED(new_gradient(b, op->out[0], dy));
  mask.out[CO_RELU_BACKWARD_dx] = *dy;
  return co_plan_add_op(b->plan, &mask, NULL);
}

// A loss carries its own gradient: outputs named d<input>.
static co_status seed(backward *b, const co_plan_op *op) {
  const co_op_info *info = co_op_get_info(op->desc.op);
  for (int i = 0; i < co_operand_count(info->outputs); i++) {
    const char *name;
    size_t length;
    bool optional;
    co_operand_get(info->outputs, i, &name, &length, &optional);
    co_value target = name[0] == 'd' ? rule_target(op, name, length) : CO_NO_VALUE;
    if (target != CO_NO_VALUE && b->wanted[target])
      CO_RETURN_IF_FAILED(contribute(b, target, op->out[i], op->layer));
  }
  return CO_OK;
}

// ---- tables with `rows` -------------------------------------------------------------------------

static co_status add_list(backward *b, int32_t entry, co_block block, co_dtype dtype,
                          const co_shape *shape) {
  co_value value;
  const co_tensor_desc desc = {dtype, CO_LAYOUT_CANONICAL, *shape};
  CO_RETURN_IF_FAILED(co_plan_add_value(b->plan, b->store->entries[entry].info.name, &desc,
                                        CO_STORAGE_ROWS, block, &value));
  b->plan->values[value].param = entry;
  return CO_OK;
}

static co_status create_list(backward *b, int32_t entry) {
  const co_store_entry *table = &b->store->entries[entry];
  const co_shape ids = co_shape_make(1, table->row_capacity), one = co_shape_make(1, 1),
                 rows = co_shape_make(2, table->row_capacity, table->info.shape.dim[1]);
  if (!table->row_capacity)
    return co_fail(CO_ERR_INTERNAL, "no room is reserved for gradients of '%s'", table->info.name);
  b->parameter[entry] = (co_value)b->plan->value_count;
  b->plan->has_gradient[entry] = true;
  CO_RETURN_IF_FAILED(add_list(b, entry, CO_BLOCK_IDS, CO_I32, &ids));
  CO_RETURN_IF_FAILED(add_list(b, entry, CO_BLOCK_GRADIENT, CO_F32, &rows));
  return add_list(b, entry, CO_BLOCK_COUNT, CO_I32, &one);
}

// In place of EMBEDDING's rule, whose result is as large as the table.
static co_status append_rows(backward *b, const co_plan_op *op, co_value dy) {
  const int32_t entry = b->plan->values[op->in[CO_EMBEDDING_table]].param;
  const bool first = b->parameter[entry] == CO_NO_VALUE;
  if (first) CO_RETURN_IF_FAILED(create_list(b, entry));
  const co_value list = b->parameter[entry];
  co_plan_op made = co_plan_op_make(CO_OP_APPEND_ROWS, op->layer, NULL);
  made.backward = true;
  made.desc.attr.append = !first || b->plan->options.add_gradients;
  made.in[CO_APPEND_ROWS_index] = op->in[CO_EMBEDDING_index];
  made.in[CO_APPEND_ROWS_dy] = dy;
  made.in[CO_APPEND_ROWS_ids] = made.out[CO_APPEND_ROWS_new_ids] = list;
  made.in[CO_APPEND_ROWS_rows] = made.out[CO_APPEND_ROWS_new_rows] = list + 1;
  made.in[CO_APPEND_ROWS_count] = made.out[CO_APPEND_ROWS_new_count] = list + 2;
  return co_plan_add_op(b->plan, &made, NULL);
}

static bool reads_rows(const backward *b, const co_plan_op *op) {
  if (op->desc.op != CO_OP_EMBEDDING) return false;
  const co_plan_value *table = &b->plan->values[op->in[CO_EMBEDDING_table]];
  return table->info.storage == CO_STORAGE_PARAM && b->store->entries[table->param].info.rows;
}

static co_status differentiate(backward *b, co_plan_op op) {
  const co_op_info *info = co_op_get_info(op.desc.op);
  CO_RETURN_IF_FAILED(seed(b, &op));
  co_value dy[CO_OP_MAX_OPERANDS];
  bool any = false;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    bool tracked = op.out[i] != CO_NO_VALUE && op.out[i] < b->tracked;
    dy[i] = tracked ? b->gradient[op.out[i]] : CO_NO_VALUE;
    any = any || dy[i] != CO_NO_VALUE;
  }
  if (!any) return CO_OK;
  bool below = false;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    below = below || (op.in[i] != CO_NO_VALUE && b->wanted[op.in[i]]);
  if (!below) return CO_OK;
  if (reads_rows(b, &op)) return append_rows(b, &op, dy[0]);
  if (!*info->backward)
    return co_fail(CO_ERR_CONFIG, "layer '%s': %s has no gradient, but %s",
                   op.layer ? op.layer : "?", info->name,
                   b->plan->options.mode == CO_MODE_TRAIN
                       ? "parameters before it are to be trained"
                       : "what it makes of its inputs is to be told");
  if (op.desc.attr.activation != CO_ACTIVATION_NONE)
    CO_RETURN_IF_FAILED(through_activation(b, &op, &dy[0]));
  const char *cursor = info->backward;
  co_rule rule;
  while (co_rule_next(&cursor, &rule))
    CO_RETURN_IF_FAILED(apply_rule(b, &op, &rule, dy));
  return CO_OK;
}

// The gradients of outputs, where they come from outside.
static co_status seed_outputs(backward *b) {
  const co_graph *graph = b->plan->graph;
  if (b->plan->options.mode == CO_MODE_TRAIN) return CO_OK;
  for (int64_t i = 0; i < graph->output_count; i++)
    if (graph->outputs[i].seed != CO_NO_VALUE && b->wanted[b->plan->outputs[i]])
      CO_RETURN_IF_FAILED(contribute(b, b->plan->outputs[i], graph->outputs[i].seed, NULL));
  return CO_OK;
}

static void keep_gradients(backward *b) {
  co_plan *plan = b->plan;
  if (plan->options.mode == CO_MODE_TRAIN) return;
  for (int64_t i = 0; i < plan->graph->input_count; i++) {
    co_value input = plan->graph->inputs[i];
    plan->gradients[i] = b->wanted[input] ? b->gradient[input] : CO_NO_VALUE;
    if (plan->gradients[i] != CO_NO_VALUE) plan->values[plan->gradients[i]].info.observed = true;
  }
}

co_status co_pass_backward(co_plan *plan, co_store *store) {
  size_t count = (size_t)plan->value_count, entries = (size_t)store->count;
  backward b = {.plan = plan, .store = store, .tracked = plan->value_count};
  b.wanted = co_arena_alloc(plan->arena, count + 1, sizeof *b.wanted);
  b.gradient = co_arena_alloc(plan->arena, count + 1, sizeof *b.gradient);
  b.parameter = co_arena_alloc(plan->arena, entries + 1, sizeof *b.parameter);
  if (!b.wanted || !b.gradient || !b.parameter) return CO_ERR_MEMORY;
  for (size_t i = 0; i < count; i++)
    b.gradient[i] = CO_NO_VALUE;
  for (size_t i = 0; i < entries; i++)
    b.parameter[i] = CO_NO_VALUE;
  mark_wanted(&b);
  CO_RETURN_IF_FAILED(seed_outputs(&b));
  for (int64_t i = plan->op_count - 1; i >= 0; i--)
    CO_RETURN_IF_FAILED(differentiate(&b, plan->ops[i]));
  keep_gradients(&b);
  return CO_OK;
}
