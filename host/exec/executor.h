// SPDX-License-Identifier: Apache-2.0
// A plan bound to a store and to memory. Running allocates nothing.
#ifndef COHORT_HOST_EXEC_EXECUTOR_H
#define COHORT_HOST_EXEC_EXECUTOR_H

#include "host/plan/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

// Device memory that executors of one program share, because they never run at once. Borrowed.
typedef struct co_memory {
  void *arena;     // at least the plan's arena_bytes
  void *step;      // sizeof(co_step)
  void *metrics;   // the graph's metric_doubles
  double *results; // the graph's result_doubles
  bool averages;   // parameters are read as their moving average, where the store keeps one
} co_memory;

typedef struct co_executor co_executor;
co_status co_executor_create(co_executor **out, const co_plan *plan, co_store *store,
                             const co_memory *memory);
void co_executor_free(co_executor *executor); // NULL is legal
// The graph's constants as they are by now (co_graph_add_variable).
co_status co_executor_upload_constants(co_executor *executor);
// `address` is device memory holding graph input `input` (its position in graph->inputs).
void co_executor_bind(co_executor *executor, int64_t input, const void *address);
// All that changes from step to step: the inputs (per graph input; NULL leaves one as it is), the
// step scalars and where results go.
void co_executor_bind_all(co_executor *executor, const void *const *inputs, void *step,
                          double *results);
co_status co_executor_run(co_executor *executor);
// From now on runs are timed, operation by operation; on devices that are done when an operation returns.
co_status co_executor_time(co_executor *executor);
// Seconds by operation since then, and how many runs; NULL where they are not timed.
const double *co_executor_times(const co_executor *executor, int64_t *runs);
// Where a plan value lies; valid between runs for observed values.
void *co_executor_address(const co_executor *executor, co_value value);
// Downloads output `output` (its position in graph->outputs), canonical, plan's element type.
co_status co_executor_read_output(co_executor *executor, int64_t output, void *host);
const co_plan *co_executor_plan(const co_executor *executor);

#ifdef __cplusplus
}
#endif
#endif
