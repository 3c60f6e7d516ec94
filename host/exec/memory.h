// SPDX-License-Identifier: Apache-2.0
// Whether a machine has the memory that was planned, asked before it is taken: a system that
// promises more than it has would end the process later, without a word.
#ifndef COHORT_HOST_EXEC_MEMORY_H
#define COHORT_HOST_EXEC_MEMORY_H

#include "host/plan/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

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
