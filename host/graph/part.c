// SPDX-License-Identifier: Apache-2.0
// Parts of graphs.
#include <string.h>

#include "host/graph/graph.h"

typedef struct cutting {
  const co_graph *from;
  co_graph *to;
  bool *needed;   // per value of `from`
  co_value *made; // likewise: what it is in `to`, CO_NO_VALUE = not yet
} cutting;

static co_status add_source(cutting *c, co_value value) {
  const co_graph *from = c->from;
  const co_value_info *info = &from->values[value];
  co_value *out = &c->made[value];
  switch (info->storage) {
  case CO_STORAGE_INPUT:
    return co_graph_add_input(c->to, info->name, info->desc.dtype, &info->desc.shape, out);
  case CO_STORAGE_PARAM:
  case CO_STORAGE_STATE:
    return co_graph_add_param(c->to, info->name, &from->params[info->index], out);
  case CO_STORAGE_CONSTANT:
    return co_graph_add_constant(c->to, info->name, info->desc.dtype, &info->desc.shape,
                                 from->constants[info->index].bytes, out);
  case CO_STORAGE_STEP:
    return co_graph_get_step(c->to, out);
  default:
    return co_fail(CO_ERR_INTERNAL, "'%s' is made by nothing", info->name);
  }
}

static bool is_made(const co_graph *graph, co_value value) {
  return graph->values[value].storage == CO_STORAGE_ARENA;
}

static co_status copy_operation(cutting *c, const co_graph_op *op) {
  co_value in[CO_OP_MAX_OPERANDS], out[CO_OP_MAX_OPERANDS];
  c->to->layer = NULL; // names of parameters are whole
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
    in[k] = out[k] = CO_NO_VALUE;
    if (op->in[k] == CO_NO_VALUE) continue;
    if (c->made[op->in[k]] == CO_NO_VALUE) CO_RETURN_IF_FAILED(add_source(c, op->in[k]));
    in[k] = c->made[op->in[k]];
  }
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) // statistics are written where they are read
    if (op->out[k] != CO_NO_VALUE)
      out[k] = is_made(c->from, op->out[k]) ? CO_WANTED_VALUE : c->made[op->out[k]];
  c->to->layer = op->layer ? co_arena_strdup(c->to->arena, op->layer) : NULL;
  if (op->layer && !c->to->layer) return CO_ERR_MEMORY;
  CO_RETURN_IF_FAILED(co_graph_add_op(c->to, op->op, &op->attr, in, out));
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
    if (op->out[k] != CO_NO_VALUE && c->made[op->out[k]] == CO_NO_VALUE)
      c->made[op->out[k]] = out[k];
  return CO_OK;
}

static bool makes_needed(const cutting *c, const co_graph_op *op) {
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
    if (op->out[k] != CO_NO_VALUE && is_made(c->from, op->out[k]) && c->needed[op->out[k]] &&
        c->made[op->out[k]] == CO_NO_VALUE)
      return true;
  return false;
}

static co_status copy_operations(cutting *c) {
  const co_graph *from = c->from;
  bool *keep = co_arena_alloc(c->to->arena, (size_t)from->op_count + 1, sizeof *keep);
  if (!keep) return CO_ERR_MEMORY;
  for (int64_t i = from->op_count - 1; i >= 0; i--) {
    keep[i] = makes_needed(c, &from->ops[i]);
    for (int k = 0; keep[i] && k < CO_OP_MAX_OPERANDS; k++)
      if (from->ops[i].in[k] != CO_NO_VALUE) c->needed[from->ops[i].in[k]] = true;
  }
  for (int64_t i = 0; i < from->op_count; i++)
    if (keep[i]) CO_RETURN_IF_FAILED(copy_operation(c, &from->ops[i]));
  c->to->layer = NULL;
  return CO_OK;
}

static co_status add_ends(cutting *c, const co_value *to, int64_t count, bool seeds) {
  for (int64_t i = 0; i < count; i++) {
    const co_value_info *info = &c->from->values[to[i]];
    if (c->made[to[i]] == CO_NO_VALUE) CO_RETURN_IF_FAILED(add_source(c, to[i]));
    CO_RETURN_IF_FAILED(co_graph_add_output(c->to, info->name, c->made[to[i]]));
    char *name = co_arena_format(c->to->arena, "d(%s)", info->name);
    if (!name) return CO_ERR_MEMORY;
    if (seeds)
      CO_RETURN_IF_FAILED(co_graph_add_input(c->to, name, info->desc.dtype, &info->desc.shape,
                                             &c->to->outputs[i].seed));
  }
  return CO_OK;
}

static co_status cut(cutting *c, const co_value *from, int64_t from_count, const co_value *to,
                     int64_t to_count, bool seeds) {
  co_arena *arena = c->to->arena;
  size_t count = (size_t)c->from->value_count;
  c->needed = co_arena_alloc(arena, count + 1, sizeof *c->needed);
  c->made = co_arena_alloc(arena, count + 1, sizeof *c->made);
  if (!c->needed || !c->made) return CO_ERR_MEMORY;
  memcpy(c->to->max_length, c->from->max_length, sizeof c->to->max_length);
  for (size_t i = 0; i < count; i++)
    c->made[i] = CO_NO_VALUE;
  for (int64_t i = 0; i < from_count; i++) {
    const co_tensor_desc *desc = &c->from->values[from[i]].desc;
    char *name = co_arena_format(arena, "from %lld", (long long)i);
    if (!name) return CO_ERR_MEMORY;
    CO_RETURN_IF_FAILED(
        co_graph_add_input(c->to, name, desc->dtype, &desc->shape, &c->made[from[i]]));
  }
  for (int64_t i = 0; i < to_count; i++)
    c->needed[to[i]] = true;
  CO_RETURN_IF_FAILED(copy_operations(c));
  return add_ends(c, to, to_count, seeds);
}

co_status co_graph_part(co_graph **out, const co_graph *graph, const co_value *from,
                        int64_t from_count, const co_value *to, int64_t to_count, bool seeds) {
  cutting c = {.from = graph};
  *out = NULL;
  CO_RETURN_IF_FAILED(co_graph_create(&c.to, graph->ctx));
  co_status status = cut(&c, from, from_count, to, to_count, seeds);
  if (status == CO_OK) {
    *out = c.to;
    return CO_OK;
  }
  co_error error;
  co_error_copy(&error);
  co_graph_free(c.to);
  return co_error_raise(&error);
}
