// SPDX-License-Identifier: Apache-2.0
// Pass 6: tables that are read, or summed up, one after the other become one operation of many.
#include "host/plan/pass.h"

enum { MOST_TABLES = CO_OP_MAX_OPERANDS / 2 };

typedef struct use {
  int64_t writer; // the last operation that writes a value, -1 if none does
  int64_t count;  // operations that read or write it
} use;

static void count_uses(const co_plan *plan, use *uses) {
  for (int64_t v = 0; v < plan->value_count; v++)
    uses[v] = (use){-1, 0};
  for (int64_t i = 0; i < plan->op_count; i++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
      const co_value in = plan->ops[i].in[k], out = plan->ops[i].out[k];
      if (in != CO_NO_VALUE) uses[in].count++;
      if (out == CO_NO_VALUE) continue;
      uses[out].count++;
      uses[out].writer = i;
    }
}

static int tables_of(const co_plan_op *op) {
  int count = 0;
  while (count < MOST_TABLES && op->out[count] != CO_NO_VALUE)
    count++;
  return count;
}

// `op`, of one table, becomes one more of `into`.
static co_status join(co_plan *plan, co_plan_op *into, co_plan_op *op) {
  const int t = tables_of(into);
  into->in[2 * t] = op->in[0];
  into->in[2 * t + 1] = op->in[1];
  into->out[t] = op->out[0];
  into->desc.accumulate |= (op->desc.accumulate & 1) << t;
  into->note = co_arena_format(plan->arena, "%d tables", t + 1);
  op->desc.op = CO_OP_COUNT;
  return into->note ? CO_OK : CO_ERR_MEMORY;
}

co_status co_pass_fuse_tables(co_plan *plan) {
  use *uses = co_arena_alloc(plan->arena, (size_t)plan->value_count + 1, sizeof *uses);
  if (!uses) return CO_ERR_MEMORY;
  count_uses(plan, uses);
  // Rows are picked with the first of them, where indices and table are there by then.
  co_plan_op *first = NULL;
  for (int64_t i = 0; i < plan->op_count; i++) {
    co_plan_op *op = &plan->ops[i];
    if (op->desc.op != CO_OP_EMBEDDING) continue;
    if (first && tables_of(first) < MOST_TABLES &&
        uses[op->in[CO_EMBEDDING_index]].writer < first - plan->ops &&
        uses[op->in[CO_EMBEDDING_table]].writer < first - plan->ops)
      CO_RETURN_IF_FAILED(join(plan, first, op));
    else
      first = op;
  }
  // Gradients are summed with the last of them, where nothing else has to do with them: that of a
  // table which is read twice has two writers.
  co_plan_op *last = NULL;
  for (int64_t i = plan->op_count - 1; i >= 0; i--) {
    co_plan_op *op = &plan->ops[i];
    if (op->desc.op != CO_OP_EMBEDDING_BACKWARD) continue;
    if (last && tables_of(last) < MOST_TABLES &&
        uses[op->out[CO_EMBEDDING_BACKWARD_dtable]].count == 1)
      CO_RETURN_IF_FAILED(join(plan, last, op));
    else
      last = op;
  }
  co_plan_compact(plan);
  return CO_OK;
}
