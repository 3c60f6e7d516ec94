// SPDX-License-Identifier: Apache-2.0
// Whether a machine has the memory that was planned, asked before it is taken: a system that
// promises more than it has would end the process later, without a word.
#ifndef COHORT_HOST_EXEC_MEMORY_H
#define COHORT_HOST_EXEC_MEMORY_H

#include "host/plan/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

// Bytes of host memory that this process may use: the machine's, or the limit of a control group
// (cgroup v1 or v2: containers, batch systems) above it; SIZE_MAX if neither is told.
size_t co_memory_limit(void);
// The least limit of the groups that a file like /proc/self/cgroup names, and of those above them:
// `unified` and `memory` are where the hierarchies of v2 and of v1's controller are mounted.
size_t co_memory_group_limit(const char *file, const char *unified, const char *memory);

// Before co_store_allocate, after all plans of its parameters: CO_ERR_MEMORY if the store and the
// arena (of `largest`, the plan that needs most, or NULL) do not fit into host memory, naming the
// bytes and the layer that needs most. Memory of a device is the device's to refuse.
co_status co_memory_check(const co_plan *largest, co_store *store, bool training, int slots);
// The same for batches of `rows` being prepared: `copies` of `bytes`.
co_status co_memory_check_batches(int64_t rows, size_t bytes, int copies);

#ifdef __cplusplus
}
#endif
#endif
