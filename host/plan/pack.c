// SPDX-License-Identifier: Apache-2.0
// Pass 12: the arena. Values and workspaces live from the operation that writes them first to the
// one that uses them last; the largest are placed first, each at the lowest offset free throughout
// its life (greedy by size: Pisarchyk & Lee, "Efficient memory management for deep neural net
// inference", 2020).
#include <stdlib.h>

#include "host/plan/pass.h"

typedef struct interval {
  size_t bytes, offset;
  int32_t first, last;
  int32_t order;  // keeps sorting stable
  co_value value; // or CO_NO_VALUE for a workspace
  int64_t workspace_of;
} interval;

static void touch(co_plan *plan, co_value id, int32_t first, int32_t last) {
  if (id == CO_NO_VALUE) return;
  co_plan_value *value = &plan->values[co_plan_root(plan, id)];
  if (value->first < 0) value->first = first;
  if (value->last < last) value->last = last;
}

static void find_lifetimes(co_plan *plan) {
  for (int64_t i = 0; i < plan->op_count; i++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
      touch(plan, plan->ops[i].in[k], (int32_t)i, plan->ops[i].until);
      touch(plan, plan->ops[i].out[k], (int32_t)i, plan->ops[i].until);
    }
  // Observed values are read after the run.
  for (int64_t i = 0; i < plan->value_count; i++)
    if (plan->values[i].info.observed) {
      co_plan_value *value = &plan->values[co_plan_root(plan, (co_value)i)];
      if (value->first >= 0) value->last = (int32_t)plan->op_count;
    }
}

static int by_size(const void *a, const void *b) {
  const interval *x = a, *y = b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
  return x->order < y->order ? -1 : 1;
}

static int by_offset(const void *a, const void *b) {
  const interval *const *x = a, *const *y = b;
  if ((*x)->offset != (*y)->offset) return (*x)->offset < (*y)->offset ? -1 : 1;
  return (*x)->order < (*y)->order ? -1 : 1;
}

// The lowest offset where `item` fits between the placed ones that live at the same time.
static void place(interval *item, interval **placed, int64_t count, interval **scratch) {
  int64_t overlapping = 0;
  for (int64_t i = 0; i < count; i++)
    if (placed[i]->first <= item->last && item->first <= placed[i]->last)
      scratch[overlapping++] = placed[i];
  qsort(scratch, (size_t)overlapping, sizeof *scratch, by_offset);
  size_t offset = 0;
  for (int64_t i = 0; i < overlapping; i++) {
    if (scratch[i]->offset >= offset + item->bytes) break;
    size_t end = scratch[i]->offset + scratch[i]->bytes;
    if (end > offset) offset = end;
  }
  item->offset = offset;
}

static size_t align_up(size_t bytes, size_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

static int64_t collect(co_plan *plan, interval *items) {
  size_t alignment = plan->backend->api->alignment;
  int64_t count = 0;
  for (int64_t i = 0; i < plan->value_count; i++) {
    const co_plan_value *value = &plan->values[i];
    if (value->info.storage != CO_STORAGE_ARENA || value->view_of != CO_NO_VALUE ||
        value->first < 0)
      continue;
    items[count] = (interval){.bytes = align_up(value->bytes, alignment),
                              .first = value->first,
                              .last = value->last,
                              .order = (int32_t)count,
                              .value = (co_value)i};
    count++;
  }
  for (int64_t i = 0; i < plan->op_count; i++) {
    if (!plan->ops[i].choice.workspace) continue;
    items[count] = (interval){.bytes = align_up(plan->ops[i].choice.workspace, alignment),
                              .first = (int32_t)i,
                              .last = plan->ops[i].until,
                              .order = (int32_t)count,
                              .value = CO_NO_VALUE,
                              .workspace_of = i};
    count++;
  }
  return count;
}

co_status co_pass_pack(co_plan *plan) {
  find_lifetimes(plan);
  size_t most = (size_t)(plan->value_count + plan->op_count) + 1;
  interval *items = co_alloc_zero(plan->ctx, most, sizeof *items);
  interval **placed = co_alloc_zero(plan->ctx, 2 * most, sizeof *placed);
  if (items && placed) {
    int64_t count = collect(plan, items);
    qsort(items, (size_t)count, sizeof *items, by_size);
    for (int64_t i = 0; i < count; i++) {
      place(&items[i], placed, i, placed + most);
      placed[i] = &items[i];
      if (items[i].value != CO_NO_VALUE)
        plan->values[items[i].value].offset = items[i].offset;
      else
        plan->ops[items[i].workspace_of].workspace_offset = items[i].offset;
      size_t end = items[i].offset + items[i].bytes;
      if (end > plan->arena_bytes) plan->arena_bytes = end;
    }
  }
  co_status status = items && placed ? CO_OK : CO_ERR_MEMORY;
  co_free(plan->ctx, items);
  co_free(plan->ctx, placed);
  return status;
}
