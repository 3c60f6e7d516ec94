// SPDX-License-Identifier: Apache-2.0
// Pass 1: what the mode needs of the graph, with concrete shapes.
#include <string.h>

#include "host/plan/pass.h"

// Symbolic extents become those of the plan's class, which must have them.
static co_status bind(const co_plan *plan, const char *name, co_shape *shape) {
  const co_shape symbolic = *shape;
  co_shape_bind(shape, &plan->options.shape);
  for (int i = 0; i < shape->rank; i++) {
    int table = co_dim_event_table(symbolic.dim[i]);
    if (table < 0) continue;
    int64_t t = plan->options.shape.t[table], most = plan->graph->max_length[table];
    if (t < 1 || (most && t > most))
      return co_fail(CO_ERR_INTERNAL, "'%s' cannot be planned for T%d = %lld", name, table,
                     (long long)t);
  }
  return CO_OK;
}

static co_status copy_values(co_plan *plan, co_store *store) {
  const co_graph *graph = plan->graph;
  for (int64_t i = 0; i < graph->value_count; i++) {
    const co_value_info *from = &graph->values[i];
    co_tensor_desc desc = from->desc;
    CO_RETURN_IF_FAILED(bind(plan, from->name, &desc.shape));
    co_value made;
    CO_RETURN_IF_FAILED(
        co_plan_add_value(plan, from->name, &desc, from->storage, from->index, &made));
    co_plan_value *value = &plan->values[made];
    value->info.observed = from->observed;
    if (from->storage != CO_STORAGE_PARAM && from->storage != CO_STORAGE_STATE &&
        from->storage != CO_STORAGE_ROWS)
      continue;
    value->param = (int32_t)co_store_find(store, from->name);
    if (value->param < 0)
      return co_fail(CO_ERR_INTERNAL, "parameter '%s' is not in the store", from->name);
  }
  return CO_OK;
}

// Whether this mode computes an output's loss; a phase of training only has its own.
static bool wants_loss(const co_plan *plan, int64_t i) {
  return plan->options.mode != CO_MODE_TRAIN || !plan->options.losses ||
         plan->options.losses >> i & 1;
}

// A metric goes with the loss of its output: the batch of another phase lacks its target, and what is
// trained on a sample of classes has no prediction.
static bool wants_metric(const co_plan *plan, const co_metric_info *metric) {
  const co_graph *graph = plan->graph;
  for (int64_t i = 0; i < graph->loss_count; i++)
    if (strcmp(graph->losses[i].name, metric->output) == 0)
      return wants_loss(plan, i) &&
             !(plan->options.mode == CO_MODE_TRAIN && graph->losses[i].sampled);
  return true;
}

// Marks the values that this mode is asked for.
static void mark_roots(const co_plan *plan, bool *needed) {
  const co_graph *graph = plan->graph;
  co_mode mode = plan->options.mode;
  if (mode != CO_MODE_TRAIN || graph->loss_count == 0)
    for (int64_t i = 0; i < graph->output_count; i++)
      needed[graph->outputs[i].value] = true;
  if (mode == CO_MODE_INFER || mode == CO_MODE_GRADIENT) return;
  for (int64_t i = 0; i < graph->loss_count; i++)
    if (wants_loss(plan, i))
      needed[mode == CO_MODE_TRAIN ? graph->losses[i].sum : graph->losses[i].reported] = true;
  for (int64_t i = 0; i < graph->metric_count; i++)
    if (wants_metric(plan, &graph->metrics[i])) needed[graph->metrics[i].sums] = true;
}

// Applies an operation's inference rule: another operation, or its input passed through.
static void apply_inference(co_plan_op *op, co_value *alias) {
  const co_op_info *info = co_op_get_info(op->desc.op);
  const char *cursor = info->inference;
  co_rule rule;
  if (!co_rule_next(&cursor, &rule)) return;
  co_value in[CO_OP_MAX_OPERANDS], out[CO_OP_MAX_OPERANDS];
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    in[i] = out[i] = CO_NO_VALUE;
  for (int i = 0; i < rule.inputs; i++)
    in[i] = op->in[co_operand_find(info->inputs, rule.in[i].name, rule.in[i].length)];
  for (int i = 0; i < rule.outputs; i++)
    out[i] = op->out[co_operand_find(info->outputs, rule.out[i].name, rule.out[i].length)];
  if (rule.op < 0) {
    alias[out[0]] = in[0];
    op->desc.op = CO_OP_COUNT;
    return;
  }
  op->desc.op = (co_op)rule.op;
  memcpy(op->in, in, sizeof in);
  memcpy(op->out, out, sizeof out);
}

// Whether training leaves a layer with statistics as it is: then it uses those that are stored, as Keras does.
static bool is_frozen(const co_plan *plan, const co_store *store, const co_graph_op *op) {
  bool statistics = false, trains = false;
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
    const int32_t param = op->in[k] == CO_NO_VALUE ? -1 : plan->values[op->in[k]].param;
    if (param < 0) continue;
    statistics = statistics || store->entries[param].info.state;
    trains = trains || store->entries[param].info.trainable;
  }
  return statistics && !trains;
}

static co_status copy_operation(co_plan *plan, const co_store *store, const co_graph_op *from,
                                co_value *alias) {
  co_plan_op op = co_plan_op_make(from->op, from->layer, NULL);
  op.desc.attr = from->attr;
  op.desc.accumulate = from->accumulate;
  co_shape_bind(&op.desc.attr.shape, &plan->options.shape);
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
    op.in[k] = from->in[k] == CO_NO_VALUE ? CO_NO_VALUE : alias[from->in[k]];
    op.out[k] = from->out[k];
  }
  co_mode mode = plan->options.mode;
  if (mode != CO_MODE_UPDATE && (mode != CO_MODE_TRAIN || is_frozen(plan, store, from)))
    apply_inference(&op, alias);
  return op.desc.op == CO_OP_COUNT ? CO_OK : co_plan_add_op(plan, &op, NULL);
}

// Whether a gradient rule reads the output itself, not only its gradient.
static bool is_saved(const co_op_info *info, const char *name, size_t length) {
  const char *cursor = info->backward;
  co_rule rule;
  while (co_rule_next(&cursor, &rule))
    for (int i = 0; i < rule.inputs; i++)
      if (rule.in[i].length == length && memcmp(rule.in[i].name, name, length) == 0) return true;
  return false;
}

// In inference a pooling window's position and a loss's gradient are not needed, in no mode the
// results of single events where only the last counts: absent outputs let the backend skip them.
// Metrics and results are read by others.
static bool is_unused_in_training(const co_plan *plan, const co_plan_op *op, int output) {
  const co_op_info *info = co_op_get_info(op->desc.op);
  const co_value_info *value = &plan->values[op->out[output]].info;
  const char *name;
  size_t length;
  bool optional;
  co_operand_get(info->outputs, output, &name, &length, &optional);
  return value->storage == CO_STORAGE_ARENA && !is_saved(info, name, length);
}

static void drop_unread_outputs(co_plan *plan) {
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *op = &plan->ops[i];
    const co_op_info *info = co_op_get_info(op->desc.op);
    for (int k = 0; k < co_operand_count(info->outputs); k++) {
      const char *name;
      size_t length;
      bool optional;
      co_operand_get(info->outputs, k, &name, &length, &optional);
      if (!optional || op->out[k] == CO_NO_VALUE || plan->options.mode == CO_MODE_UPDATE) continue;
      if (co_plan_differentiates(plan) && !is_unused_in_training(plan, op, k)) continue;
      bool read = co_plan_count_readers(plan, op->out[k], NULL) > 0;
      if (!read && !plan->values[op->out[k]].info.observed) op->out[k] = CO_NO_VALUE;
    }
  }
}

co_status co_pass_build(co_plan *plan, co_store *store) {
  const co_graph *graph = plan->graph;
  bool *needed = co_arena_alloc(plan->arena, (size_t)graph->value_count + 1, sizeof *needed);
  co_value *alias = co_arena_alloc(plan->arena, (size_t)graph->value_count + 1, sizeof *alias);
  if (!needed || !alias) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(copy_values(plan, store));
  mark_roots(plan, needed);
  co_graph_mark_needed(graph, needed);
  for (int64_t i = 0; i < graph->value_count; i++)
    alias[i] = (co_value)i;
  for (int64_t i = 0; i < graph->op_count; i++)
    if (plan->options.mode == CO_MODE_UPDATE || co_graph_op_is_needed(&graph->ops[i], needed))
      CO_RETURN_IF_FAILED(copy_operation(plan, store, &graph->ops[i], alias));
  for (int64_t i = 0; i < graph->output_count; i++) {
    co_value value = graph->outputs[i].value;
    plan->outputs[i] = needed[value] ? alias[value] : CO_NO_VALUE;
    if (needed[value]) plan->values[alias[value]].info.observed = true;
  }
  drop_unread_outputs(plan);
  return CO_OK;
}
