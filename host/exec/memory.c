// SPDX-License-Identifier: Apache-2.0
#include "host/exec/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- what there is -----------------------------------------------------------------------------

// A file that holds one number; SIZE_MAX for "max", and where there is none.
static size_t read_limit(const char *folder, const char *name) {
  char path[1200], text[64] = "";
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "r");
  if (!file) return SIZE_MAX;
  bool read = fgets(text, sizeof text, file) != NULL;
  fclose(file);
  char *end;
  unsigned long long value = strtoull(text, &end, 10);
  return read && end != text ? (size_t)value : SIZE_MAX;
}

// The least limit of a group and all above it, up to the root of the hierarchy.
static size_t least_limit(const char *root, const char *group, const char *name) {
  char folder[1100];
  size_t least = SIZE_MAX, root_length = strlen(root);
  snprintf(folder, sizeof folder, "%s%s", root, group);
  for (;;) {
    size_t limit = read_limit(folder, name);
    if (limit < least) least = limit;
    char *slash = strrchr(folder, '/');
    if (strlen(folder) <= root_length || !slash) return least;
    *slash = '\0';
  }
}

// Lines of /proc/self/cgroup: "0::/group" (v2), "9:memory:/group" (v1).
size_t co_memory_group_limit(const char *path, const char *unified, const char *memory) {
  char line[1024];
  size_t least = SIZE_MAX;
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'),
         *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) continue;
    *group++ = '\0';
    size_t limit = SIZE_MAX;
    if (!controllers[1])
      limit = least_limit(unified, group, "memory.max");
    else if (strcmp(controllers + 1, "memory") == 0)
      limit = least_limit(memory, group, "memory.limit_in_bytes");
    if (limit < least) least = limit;
  }
  if (file) fclose(file);
  return least;
}

size_t co_memory_limit(void) {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  size_t machine = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX;
  size_t group =
      co_memory_group_limit("/proc/self/cgroup", "/sys/fs/cgroup", "/sys/fs/cgroup/memory");
  return group < machine ? group : machine;
}

// ---- what is wanted ----------------------------------------------------------------------------

// "123.4 GiB"
static const char *in_units(char out[32], double value) {
  static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  int unit = 0;
  for (; value >= 1024 && unit < 6; unit++)
    value /= 1024;
  snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
  return out;
}

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
  size_t limit = co_memory_limit(), kept = co_store_bytes(store, training, slots);
  size_t arena = largest ? largest->arena_bytes : 0;
  if (kept <= limit && arena <= limit - kept) return CO_OK;
  bool parameters = kept > arena;
  const char *layer = "";
  size_t most = parameters ? largest_parameter(store, &layer) : largest_result(largest, &layer);
  char all[32], has[32], part[32], rows[64] = "";
  if (!parameters)
    snprintf(rows, sizeof rows, " for %lld rows", (long long)largest->options.shape.rows);
  co_status status =
      co_fail(CO_ERR_MEMORY,
              "the plan needs %zu bytes (%s), and there are %s; most of it is layer '%s' with %s%s",
              kept + arena, in_units(all, (double)(kept + arena)), in_units(has, (double)limit),
              layer, in_units(part, (double)most), rows);
  hint_of(largest, training, parameters);
  return status;
}

co_status co_memory_check_batches(int64_t rows, size_t bytes, int copies) {
  size_t limit = co_memory_limit();
  if (bytes <= limit / (size_t)copies) return CO_OK;
  char all[32], has[32];
  co_status status = co_fail(
      CO_ERR_MEMORY, "preparing %d batches of %lld rows at a time needs %s, and there are %s",
      copies, (long long)rows, in_units(all, (double)bytes * copies), in_units(has, (double)limit));
  co_hint("use smaller batches, or fewer --workers");
  return status;
}
