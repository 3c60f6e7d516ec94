// SPDX-License-Identifier: Apache-2.0
// Pass 9: memory layouts. Operations are asked one after another; where an operand lies otherwise
// than its reader wants, a REORDER is put in between (once per value and layout).
#include <string.h>

#include "host/plan/pass.h"

typedef struct layouts {
  co_plan *plan;
  co_store *store;
  co_plan_op *old; // the operations before the pass
  int64_t old_count;
  struct copy {
    co_value from, to;
    co_layout layout;
  } * copies; // REORDERs made so far
  int64_t copy_count, copy_capacity;
} layouts;

static co_status query(layouts *l, co_plan_op *op) {
  co_backend *backend = l->plan->backend;
  co_status status = backend->api->query(backend, &op->desc, &op->choice);
  if (status != CO_OK && op->layer && !op->desc.accumulate) co_note("layer '%s'", op->layer);
  return status;
}

static bool fixed(const co_plan_value *value) {
  return value->info.storage != CO_STORAGE_ARENA || value->info.observed;
}

// Facts for the backend: where operands lie, or ANY where the choice is free.
static void state_facts(layouts *l, co_plan_op *op) {
  co_plan *plan = l->plan;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    for (int side = 0; side < 2; side++) {
      co_value id = side ? op->out[i] : op->in[i];
      if (id == CO_NO_VALUE) continue;
      co_plan_value *value = &plan->values[id];
      if (value->param >= 0) value->info.desc.layout = l->store->entries[value->param].home.layout;
      co_tensor_desc *desc = side ? &op->desc.out[i] : &op->desc.in[i];
      desc->layout = side && !fixed(value) ? CO_LAYOUT_ANY : value->info.desc.layout;
    }
  }
}

static co_status new_value(layouts *l, co_value like, const char *suffix, co_layout layout,
                           co_value *out) {
  co_plan *plan = l->plan;
  char *name = co_arena_format(plan->arena, "%s %s", plan->values[like].info.name, suffix);
  if (!name) return CO_ERR_MEMORY;
  co_tensor_desc desc = plan->values[like].info.desc;
  desc.layout = layout;
  return co_plan_add_value(plan, name, &desc, CO_STORAGE_ARENA, 0, out);
}

static co_status append(layouts *l, co_plan_op op) {
  co_plan_describe(l->plan, &op);
  CO_RETURN_IF_FAILED(query(l, &op));
  return co_plan_add_op(l->plan, &op, NULL);
}

static co_status append_reorder(layouts *l, co_value from, co_value to, const co_plan_op *for_op) {
  co_plan_op op = co_plan_op_make(CO_OP_REORDER, for_op->layer, "layout");
  op.backward = for_op->backward;
  op.in[CO_REORDER_x] = from;
  op.out[CO_REORDER_y] = to;
  return append(l, op);
}

// Makes operand `from` available in `layout`.
static co_status in_layout(layouts *l, co_value from, co_layout layout, const co_plan_op *for_op,
                           co_value *out) {
  for (int64_t i = 0; i < l->copy_count; i++) {
    if (l->copies[i].from != from || l->copies[i].layout != layout) continue;
    *out = l->copies[i].to;
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(new_value(l, from, "reordered", layout, out));
  CO_RETURN_IF_FAILED(append_reorder(l, from, *out, for_op));
  CO_RETURN_IF_FAILED(co_grow(l->plan->ctx, (void **)&l->copies, &l->copy_capacity, l->copy_count,
                              sizeof *l->copies));
  l->copies[l->copy_count++] = (struct copy){from, *out, layout};
  return CO_OK;
}

static co_status place_inputs(layouts *l, co_plan_op *op) {
  co_plan *plan = l->plan;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (op->in[i] == CO_NO_VALUE) continue;
    co_plan_value *value = &plan->values[op->in[i]];
    co_layout wanted = op->choice.in[i];
    if (value->info.desc.layout == CO_LAYOUT_ANY) { // the first reader fixes a parameter's home
      value->info.desc.layout = wanted;
      l->store->entries[value->param].home.layout = wanted;
    }
    if (value->info.desc.layout != wanted)
      CO_RETURN_IF_FAILED(in_layout(l, op->in[i], wanted, op, &op->in[i]));
  }
  return CO_OK;
}

// Where the result must lie elsewhere (or be added there), the operation writes a temporary.
static co_status divert_outputs(layouts *l, co_plan_op *op, uint32_t add, co_value *final) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    final[i] = CO_NO_VALUE;
    if (op->out[i] == CO_NO_VALUE) continue;
    co_layout made = op->choice.out[i];
    co_plan_value *value = &l->plan->values[op->out[i]];
    if (!fixed(value)) value->info.desc.layout = made;
    // What reads a parameter first and makes its gradient as well has just fixed its home.
    if (value->param >= 0) value->info.desc.layout = l->store->entries[value->param].home.layout;
    if (value->info.desc.layout == made && !(add >> i & 1)) continue;
    final[i] = op->out[i];
    CO_RETURN_IF_FAILED(new_value(l, final[i], "part", made, &op->out[i]));
  }
  return CO_OK;
}

static co_status deliver_outputs(layouts *l, const co_plan_op *op, uint32_t add,
                                 const co_value *final) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (final[i] == CO_NO_VALUE) continue;
    co_value part = op->out[i];
    co_layout home = l->plan->values[final[i]].info.desc.layout;
    if (!(add >> i & 1)) {
      CO_RETURN_IF_FAILED(append_reorder(l, part, final[i], op));
      continue;
    }
    if (l->plan->values[part].info.desc.layout != home)
      CO_RETURN_IF_FAILED(in_layout(l, part, home, op, &part));
    co_plan_op sum = co_plan_op_make(CO_OP_ADD, op->layer, "accumulate");
    sum.backward = op->backward;
    sum.in[CO_ADD_a] = sum.out[CO_ADD_y] = final[i];
    sum.in[CO_ADD_b] = part;
    CO_RETURN_IF_FAILED(append(l, sum));
  }
  return CO_OK;
}

static co_status place(layouts *l, co_plan_op op) {
  uint32_t add = 0; // outputs whose accumulation the backend leaves to us
  co_plan_describe(l->plan, &op);
  state_facts(l, &op);
  co_status status = query(l, &op);
  if (status == CO_ERR_DEVICE && op.desc.accumulate) {
    add = op.desc.accumulate;
    op.desc.accumulate = 0;
    status = query(l, &op);
  }
  CO_RETURN_IF_FAILED(status);
  CO_RETURN_IF_FAILED(place_inputs(l, &op));
  co_value final[CO_OP_MAX_OPERANDS];
  uint32_t accumulate = op.desc.accumulate;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) { // an accumulated output in a foreign layout
    if (op.out[i] == CO_NO_VALUE || !(accumulate >> i & 1)) continue;
    if (l->plan->values[op.out[i]].info.desc.layout == op.choice.out[i]) continue;
    add |= 1u << i;
    op.desc.accumulate &= ~(1u << i);
  }
  CO_RETURN_IF_FAILED(divert_outputs(l, &op, add, final));
  co_plan_describe(l->plan, &op);
  CO_RETURN_IF_FAILED(query(l, &op)); // the final answer, on facts only
  CO_RETURN_IF_FAILED(co_plan_add_op(l->plan, &op, NULL));
  return deliver_outputs(l, &op, add, final);
}

// What goes into a parameter's gradient is copied there.
static bool is_view(const co_plan *plan, const co_plan_op *op) {
  return op->desc.op == CO_OP_RESHAPE &&
         plan->values[op->out[CO_RESHAPE_y]].info.storage != CO_STORAGE_GRADIENT;
}

// RESHAPE of a canonical tensor moves no byte: its result is a view.
static co_status place_reshape(layouts *l, const co_plan_op *op) {
  co_value from = op->in[CO_RESHAPE_x];
  if (l->plan->values[from].info.desc.layout != CO_LAYOUT_CANONICAL)
    CO_RETURN_IF_FAILED(in_layout(l, from, CO_LAYOUT_CANONICAL, op, &from));
  co_plan_value *value = &l->plan->values[op->out[CO_RESHAPE_y]];
  value->view_of = from;
  value->info.desc.layout = CO_LAYOUT_CANONICAL;
  return CO_OK;
}

co_status co_pass_layouts(co_plan *plan, co_store *store) {
  layouts l = {.plan = plan, .store = store, .old = plan->ops, .old_count = plan->op_count};
  plan->ops = NULL;
  plan->op_count = plan->op_capacity = 0;
  co_status status = CO_OK;
  for (int64_t i = 0; i < l.old_count && status == CO_OK; i++)
    status = is_view(plan, &l.old[i]) ? place_reshape(&l, &l.old[i]) : place(&l, l.old[i]);
  co_free(plan->ctx, l.old);
  co_free(plan->ctx, l.copies);
  return status;
}
