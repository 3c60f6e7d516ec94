// SPDX-License-Identifier: Apache-2.0
// Whether operations of a plan that may run at the same time share memory, told apart from how the
// planner packs it: only by what waits for what, and by addresses.
#ifndef COHORT_TESTS_BRANCHES_H
#define COHORT_TESTS_BRANCHES_H

#include <stdio.h>

#include "host/plan/plan.h"

typedef struct access {
  co_storage storage;
  int32_t which; // of what is not in the arena: store entry, or index
  size_t begin, end;
  bool writes;
} access;

enum { MOST_ACCESSES = 2 * CO_OP_MAX_OPERANDS + 1 };

static inline void note_access(const co_plan *plan, co_value id, bool writes, access *list,
                               int *count) {
  if (id == CO_NO_VALUE) return;
  while (plan->values[id].view_of != CO_NO_VALUE)
    id = plan->values[id].view_of;
  const co_plan_value *value = &plan->values[id];
  const bool arena = value->info.storage == CO_STORAGE_ARENA;
  list[(*count)++] = (access){.storage = value->info.storage,
                              .which = arena               ? 0
                                       : value->param >= 0 ? value->param
                                                           : value->info.index,
                              .begin = arena ? value->offset : 0,
                              .end = arena ? value->offset + value->bytes : 1,
                              .writes = writes};
}

static inline int list_accesses(const co_plan *plan, const co_plan_op *op, access *list) {
  int count = 0;
  for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
    note_access(plan, op->in[k], false, list, &count);
    note_access(plan, op->out[k], true, list, &count);
  }
  if (op->choice.workspace)
    list[count++] = (access){.storage = CO_STORAGE_ARENA,
                             .begin = op->workspace_offset,
                             .end = op->workspace_offset + op->choice.workspace,
                             .writes = true};
  return count;
}

static inline bool share_memory(const co_plan *plan, const co_plan_op *a, const co_plan_op *b) {
  access x[MOST_ACCESSES], y[MOST_ACCESSES];
  const int nx = list_accesses(plan, a, x), ny = list_accesses(plan, b, y);
  for (int i = 0; i < nx; i++)
    for (int k = 0; k < ny; k++) {
      if (x[i].storage == CO_STORAGE_BLOCK || y[k].storage == CO_STORAGE_BLOCK) return true;
      if (x[i].storage == y[k].storage && x[i].which == y[k].which && x[i].begin < y[k].end &&
          y[k].begin < x[i].end && (x[i].writes || y[k].writes))
        return true;
    }
  return false;
}

// How many operations run beside others; -1 with a message where one shares memory with what may run at
// the same time, or where nothing waits for it.
static inline int count_beside(const co_plan *plan) {
  const co_plan_op *pending = NULL;
  int count = 0;
  for (int64_t i = 0; i < plan->op_count; i++) {
    const co_plan_op *op = &plan->ops[i];
    if (op->waits) pending = NULL;
    if (pending && (op->beside || share_memory(plan, pending, op))) {
      (void)fprintf(stderr, "%s of '%s' may run beside %s of '%s'\n",
                    co_op_get_info(pending->desc.op)->name, pending->layer,
                    co_op_get_info(op->desc.op)->name, op->layer);
      return -1;
    }
    if (!op->beside) continue;
    pending = op;
    count++;
  }
  return plan->joins || !pending ? count : -1;
}

#endif
