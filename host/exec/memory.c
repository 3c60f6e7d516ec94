// SPDX-License-Identifier: Apache-2.0
#include "host/exec/memory.h"

#include <stdio.h>

#include "host/core/memory.h"

static const char *name_of(const char *layer) {
  return layer && *layer ? layer : "an input";
}

// The layer whose results and workspace are the most bytes of a plan.
static size_t largest_result(const co_plan *plan, const char **layer) {
  size_t most = 0;
  for (int64_t i = 0; plan && i < plan->op_count; i++) {
    const co_plan_op *op = &plan->ops[i];
    size_t bytes = op->choice.workspace;
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      if (op->out[k] != CO_NO_VALUE && plan->values[op->out[k]].info.storage == CO_STORAGE_ARENA)
        bytes += plan->values[op->out[k]].bytes;
    if (bytes <= most) continue;
    most = bytes;
    *layer = name_of(op->layer);
  }
  return most;
}

static size_t largest_parameter(const co_store *store, const char **layer) {
  size_t most = 0;
  for (int64_t i = 0; i < store->count; i++) {
    if (store->entries[i].bytes <= most) continue;
    most = store->entries[i].bytes;
    *layer = name_of(store->entries[i].info.layer);
  }
  return most;
}

static void hint_of(const co_plan *plan, bool training, bool parameters) {
  if (parameters)
    co_hint("most of it is parameters%s: use fewer units or filters",
            training ? ", with their gradients and the optimizer's values" : "");
  else if (plan->options.mode == CO_MODE_TRAIN)
    co_hint("lower trainer.batch_size; raising trainer.accumulate_grad_batches as much keeps the "
            "updates what they are");
  else
    co_hint(training ? "lower trainer.eval_batch_size"
                     : "score fewer rows at a time: --batch-size");
}

co_status co_memory_check(const co_plan *largest, co_store *store, bool training, int slots) {
  if (!store->backend->api->host_memory) return CO_OK;
  size_t left = co_context_memory_left(store->ctx), kept = co_store_bytes(store, training, slots);
  size_t arena = largest ? largest->arena_bytes + largest->kept_bytes : 0;
  if (kept <= left && arena <= left - kept) return CO_OK;
  bool parameters = kept > arena;
  const char *layer = "";
  size_t most = parameters ? largest_parameter(store, &layer) : largest_result(largest, &layer);
  char all[32], has[32], part[32], rows[64] = "";
  if (!parameters)
    snprintf(rows, sizeof rows, " for %lld rows", (long long)largest->options.shape.rows);
  co_status status =
      co_fail(CO_ERR_MEMORY,
              "the plan needs %zu bytes (%s), and there are %s; most of it is layer '%s' with %s%s",
              kept + arena, co_memory_print(all, (double)(kept + arena)),
              co_memory_print(has, (double)left), layer, co_memory_print(part, (double)most), rows);
  hint_of(largest, training, parameters);
  return status;
}

co_status co_memory_check_batches(int64_t rows, size_t bytes, int copies) {
  size_t limit = co_memory_limit(NULL);
  if (bytes <= limit / (size_t)copies) return CO_OK;
  char all[32], has[32];
  co_status status = co_fail(
      CO_ERR_MEMORY, "preparing %d batches of %lld rows at a time needs %s, and there are %s",
      copies, (long long)rows, co_memory_print(all, (double)bytes * copies),
      co_memory_print(has, (double)limit));
  co_hint("use smaller batches, or fewer --workers");
  return status;
}
