// SPDX-License-Identifier: Apache-2.0
// A program: the plans of a training job over one graph and one store, as a list of phases. A phase
// differentiates some losses with respect to some parameter groups and updates those; supervised
// training is one phase, a GAN two that alternate. An effective batch is cut into micro-batches of
// at most `rows`; gradients add up over them, then one update follows.
#ifndef COHORT_HOST_PROGRAM_H
#define COHORT_HOST_PROGRAM_H

#include "host/executor.h"
#include "host/optim/optimizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_phase_options {
  uint32_t losses, groups; // 0 = all
  const co_optimizer_class *optimizer;
  const void *optimizer_options; // copied
  double clip_norm;              // of the global gradient norm, 0 = off
} co_phase_options;

typedef struct co_program_options {
  int64_t rows;              // of a micro-batch
  const int64_t *batch_rows; // the effective batch sizes that will occur
  int64_t batch_row_count;   // (full, and the last partial one)
  int64_t evaluation_rows;   // 0 = no evaluation plan
  co_mode evaluation_mode;   // CO_MODE_EVALUATE or CO_MODE_INFER
  const co_phase_options *phases;
  int64_t phase_count; // 0 = nothing is trained
  co_dtype real;
  bool bf16; // with CO_F32: as co_plan_options has it, in all plans
  bool no_fusion;
} co_program_options;

// What one step did. Norm and `finite` are of the update's gradient.
typedef struct co_step_result {
  double gradient_norm;
  bool finite; // false: the update was skipped
} co_step_result;

typedef struct co_program co_program;
// `graph` and `backend` are borrowed. All memory is taken here.
co_status co_program_create(co_program **out, const co_graph *graph, co_backend *backend,
                            const co_program_options *options);
void co_program_free(co_program *program);
co_store *co_program_store(co_program *program);

// One effective batch of `rows` (one of batch_rows) through a phase. `inputs` has an address
// per graph input with `rows` rows each, in host memory (copied to a device that does not read it),
// NULL where the phase's losses do not need it. Of `step`
// the caller fills seed, step, epoch, learning_rate and inv_norm; the rest is filled here.
co_status co_program_step(co_program *program, int64_t phase, int64_t rows,
                          const void *const *inputs, const co_step *step, co_step_result *result);
// Updates made by a phase so far (Adam's t); part of a checkpoint.
int64_t co_program_updates(const co_program *program, int64_t phase);
void co_program_set_updates(co_program *program, int64_t phase, int64_t updates);

// One evaluation batch of exactly `evaluation_rows` rows (pad with weight 0).
co_status co_program_evaluate(co_program *program, const void *const *inputs);
co_executor *co_program_evaluator(co_program *program);

// Accumulators of the graph's metrics: of training, or of evaluation.
co_status co_program_read_metrics(co_program *program, bool evaluation, double *out);
co_status co_program_write_metrics(co_program *program, bool evaluation, const double *values);
co_status co_program_clear_metrics(co_program *program, bool evaluation);

typedef struct co_program_bytes {
  size_t parameters, mirror, state, gradients, slots, arena, workspace, total;
} co_program_bytes;
void co_program_get_bytes(const co_program *program, co_program_bytes *out);
// The i-th plan, for tables and tests; NULL past the end.
const co_plan *co_program_plan(const co_program *program, int64_t i);

#ifdef __cplusplus
}
#endif
#endif
