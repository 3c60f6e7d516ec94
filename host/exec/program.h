// SPDX-License-Identifier: Apache-2.0
// A program: the plans of a training job over one graph and one store, as a list of phases. A phase
// differentiates some losses with respect to some parameter groups and updates those; supervised
// training is one phase, a GAN two that alternate. An effective batch is cut into micro-batches of
// at most `rows`; gradients add up over them, then one update follows. Plans of all shape classes
// share the store and one arena, as large as the largest of them needs.
#ifndef COHORT_HOST_EXEC_PROGRAM_H
#define COHORT_HOST_EXEC_PROGRAM_H

#include "host/exec/executor.h"
#include "host/exec/staging.h"
#include "host/graph/optim/optimizer.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CO_MAX_PHASES = 8 };

typedef struct co_phase_options {
  uint32_t losses, groups; // 0 = all
  const co_optimizer_class *optimizer;
  const void *optimizer_options; // copied
  double clip_norm;              // of the global gradient norm, 0 = off
  // Of the exponential moving average of its parameters, which evaluation reads; 0 = off. After update
  // t it is min(ema_decay, (1 + t) / (10 + t)), so that the average leaves the first weights early.
  double ema_decay;
  double clip_value; // of each element of the gradient, 0 = off
} co_phase_options;

// The input section, run before the network on devices that have memory of their own. Its inputs
// are rows, staged, or hold no N and lie on the device (tables, statistics).
typedef struct co_input_section {
  const co_graph *graph;
  const int32_t *network_inputs; // per output: the input of the network that it becomes
} co_input_section;

typedef struct co_program_options {
  int64_t rows; // of a micro-batch
  // The classes of the effective batches that will occur: full and last partial one, each with all
  // vectors of lengths. Every one is planned at once; read only while the program is made.
  const co_shape_class *classes;
  int64_t class_count;
  const co_shape_class *evaluation_classes; // likewise; a batch of them is not cut. None: no plan
  int64_t evaluation_class_count;
  co_mode evaluation_mode; // CO_MODE_EVALUATE or CO_MODE_INFER
  bool evaluation_outputs; // the graph's outputs are read: always with CO_MODE_INFER
  const co_phase_options *phases;
  int64_t phase_count; // 0 = nothing is trained
  co_dtype real;
  bool bf16;                       // with CO_F32: as co_plan_options has it, in all plans
  const co_input_section *section; // borrowed; NULL: the network's inputs are delivered
  bool no_fusion;
  size_t logit_bytes; // as co_plan_options has it
  bool no_capture;    // operations are launched one by one: to debug
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
bool co_program_is_bf16(const co_program *program);

// From now on the operations of training are timed. CO_ERR_DEVICE where the device works beside the host.
co_status co_program_time(co_program *program);
typedef void co_time_visitor(void *user, const co_plan *plan, const co_plan_op *op, bool update,
                             double seconds, int64_t runs);
void co_program_visit_times(const co_program *program, co_time_visitor *visit, void *user);

// ---- submissions ----
// Steps are submitted one or more at a time and collected in the same order. A device that
// works beside the host runs them meanwhile, as one recorded graph where it can; the CPU runs them
// before the submission returns.

enum {
  CO_SUBMISSION_STEPS = 32,    // at most, in one submission
  CO_SUBMISSION_STEPS_FEW = 8, // where the limit is above, these are recorded, too
  CO_SUBMISSION_DEPTH = 3 // submissions in flight, at most (on devices that work beside the host)
};

// One effective batch: an address in host memory per graph input (NULL where the phase's losses do
// not need it), or what was staged of it.
typedef struct co_program_batch {
  const void *const *inputs;
  void *staged;
} co_program_batch;

// The layout of staged batches of training or of evaluation, NULL where the device reads host memory.
// Staged batches lie in the backend's host buffers and stay untouched until their submission is collected.
const co_staging_layout *co_program_staging(const co_program *program, bool evaluation);
// Device memory, borrowed, for an input of the section that holds no rows. Before the first submission.
void co_program_fix_input(co_program *program, int64_t section_input, const void *address);
int64_t co_program_submission_limit(const co_program *program,
                                    bool evaluation); // steps of one
// Of so many steps in a row, how many one submission takes best: as many as are recorded together, else a
// power of two, so that there are few sizes.
int64_t co_program_submission_size(const co_program *program, bool evaluation, int64_t steps);
int co_program_depth(const co_program *program); // submissions that may be in flight

// `count` effective batches, all of `shape` (one of the classes), through a phase. Of `steps` the
// caller fills seed, step, epoch, learning_rate and inv_norm; the rest is filled here.
// `take_metrics`: reads the metrics of training after the last of them, and clears them.
// Batches with `inputs` need an empty queue.
co_status co_program_submit(co_program *program, int64_t phase, const co_shape_class *shape,
                            int64_t count, const co_program_batch *batches, const co_step *steps,
                            bool take_metrics);
// `count` evaluation batches of exactly one of the evaluation classes (pad with weight 0).
co_status co_program_submit_evaluation(co_program *program, const co_shape_class *shape,
                                       int64_t count, const co_program_batch *batches);

typedef struct co_submission_result {
  int64_t count;
  co_step_result steps[CO_SUBMISSION_STEPS]; // of a phase
  const double *metrics;                     // if they were to be taken
  const void *const *outputs; // per graph output, canonical, in host memory, where they are read
} co_submission_result;
// The oldest submission; waits for it. What it points to is valid until the next submission. Where a
// step was not finite, later ones of the same queue have taken it for made (Adam's t): drain, then
// stop or go on.
co_status co_program_collect(co_program *program, co_submission_result *out);
// Waits for what is in flight and forgets its results.
void co_program_drain(co_program *program);

// One effective batch submitted and collected.
co_status co_program_step(co_program *program, int64_t phase, const co_shape_class *shape,
                          const void *const *inputs, const co_step *step, co_step_result *result);
// One batch of the first evaluation class submitted and collected; outputs can be read from its
// executor.
co_status co_program_evaluate(co_program *program, const void *const *inputs);
co_executor *co_program_evaluator(co_program *program);
// The network's constants as they are by now: after what was fitted has changed.
co_status co_program_upload_constants(co_program *program);

// Updates made by a phase so far (Adam's t); part of a checkpoint.
int64_t co_program_updates(const co_program *program, int64_t phase);
void co_program_set_updates(co_program *program, int64_t phase, int64_t updates);

// Accumulators of the graph's metrics: of training, or of evaluation.
co_status co_program_read_metrics(co_program *program, bool evaluation, double *out);
co_status co_program_write_metrics(co_program *program, bool evaluation, const double *values);
co_status co_program_clear_metrics(co_program *program, bool evaluation);

typedef struct co_program_bytes {
  size_t parameters, mirror, state, gradients, slots, averages, arena, workspace;
  size_t batches; // input sections and batches on their way, on devices with memory of their own
  size_t total;
} co_program_bytes;
void co_program_get_bytes(const co_program *program, co_program_bytes *out);
// The i-th plan, for tables and tests; NULL past the end.
const co_plan *co_program_plan(const co_program *program, int64_t i);

#ifdef __cplusplus
}
#endif
#endif
