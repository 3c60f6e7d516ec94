// SPDX-License-Identifier: Apache-2.0
// A program's insides, shared by program.c (planning, memory) and submission.c (running).
#ifndef COHORT_HOST_EXEC_PROGRAM_PRIVATE_H
#define COHORT_HOST_EXEC_PROGRAM_PRIVATE_H

#include "host/exec/program.h"

enum { CO_SUBMISSION_RESULTS = 3 }; // doubles of a step: squared gradient norm, gate (2)

// One plan with its executor.
typedef struct co_unit {
  co_plan *plan;
  co_executor *executor;
  co_shape_class shape;
  bool add;      // adds to the gradients
  bool training; // of input sections: augments
} co_unit;

typedef struct co_phase {
  co_phase_options options;
  void *optimizer_options;
  co_graph *update_graph;
  co_unit *units; // forward and backward, by shape of the micro-batch and add
  int64_t unit_count, unit_capacity;
  co_unit update;
  int64_t updates;   // made
  int64_t submitted; // the same, with those in flight
} co_phase;

enum { CO_EVALUATION = -1 }; // in place of a phase

enum { CO_CAPTURED_GRAPHS = 48 }; // kept; the one not used for longest makes way

// Steps as they were recorded, for the addresses of one submission: one, or as many as fit.
typedef struct co_captured_graph {
  int slot;
  int64_t phase, count;
  co_shape_class shape;
  void *graph;
  int64_t used; // number of the submission that launched it last
} co_captured_graph;

// What has run once, as it must before it can be recorded: libraries load what they need then.
typedef struct co_known_class {
  int64_t phase;
  co_shape_class shape;
} co_known_class;

// One submission: up to `submission_limit` steps.
typedef struct co_submission {
  char *staged;    // device
  double *results; // device; the host's own memory where the device reads that
  // Page-locked where the device works beside the host: results, then metrics; outputs.
  double *host_results;
  char *host_outputs;
  co_fence *sent, *done;
  int64_t phase, count;
  co_shape_class shape;
  bool metrics; // were asked for
} co_submission;

struct co_program {
  co_context *ctx;
  const co_graph *graph;
  co_backend *backend;
  co_program_options options;
  co_store *store;
  co_phase *phases;
  co_unit *evaluations; // by shape
  int64_t evaluation_count;
  size_t arena_bytes, workspace_bytes;
  size_t kept_bytes;               // of all plans together
  const co_plan *largest;          // that needs the most of the arena
  void *arena, *step, *metrics[2]; // metrics: training, evaluation
  // Devices with memory of their own: the input section, and what steps bring along.
  co_unit *sections;
  int64_t section_count, section_capacity;
  bool *made_inputs; // per input of the network: the section makes it; NULL = there is none
  size_t section_bytes;
  void *section_arena;
  const void **section_inputs, **network_inputs; // room to bind from, per input of the graph
  const void **fixed;                            // per section input: device memory, or NULL
  co_staging_layout layouts[2];                  // of training, of evaluation
  size_t staged_bytes[2];                        // of the largest
  char *staging;                                 // one batch, page-locked, once it is needed
  co_submission submissions[CO_SUBMISSION_DEPTH];
  int first_submission, in_flight, depth;
  int64_t submission_limit[2]; // training, evaluation
  int64_t submissions_made;    // the number of the next one
  co_captured_graph captured_graphs[CO_CAPTURED_GRAPHS];
  int64_t captured_graph_count;
  co_known_class *known_classes; // there is room for all that were planned
  int64_t known_class_count, known_class_capacity;
  bool not_capturable;
  size_t *output_offset; // per graph output, in host_outputs
  const void **outputs;  // room for a submission's
};

static inline bool co_program_is_on_device(const co_program *program) {
  return !program->backend->api->host_memory;
}

static inline bool co_program_reads_outputs(const co_program *program) {
  return program->options.evaluation_outputs || program->options.evaluation_mode == CO_MODE_INFER;
}

// step.c: one step, for rows and scalars that were staged and copied to the device, or that lie in the
// host's memory.
typedef struct co_step_rows {
  char *staged;              // on the device; else NULL, and
  const void *const *inputs; // per input of the network
  const co_step *scalars;
} co_step_rows;
co_status co_program_run_step(co_program *program, const co_submission *submission,
                              const co_step_rows *rows, double *results);

// update_rows.c: of tables with `rows` in a phase's update graph. `lists` has two values an entry: unique
// ids and sums of their gradients. `norm`, the operands of GRADIENT_NORM, has g and segments of the other
// parameters, CO_NO_VALUE where none are trained; then the first table's sums take their place, if there
// is one. The squares of the others come before.
co_status co_phase_sum_rows(co_program *program, co_phase *p, co_value *lists, co_value *norm);
co_status co_phase_update_rows(co_program *program, co_phase *p, const co_value *lists,
                               const co_update_operands *operands);
// Whether the phase trains such a table.
bool co_phase_trains_rows(const co_program *program, const co_phase *p, int64_t entry);
// CO_ERR_CONFIG where a phase cannot go with such tables.
co_status co_program_check_rows(const co_program *program);

// submission_memory.c: memory and limits of submissions.
co_status co_program_create_submissions(co_program *program);
void co_program_free_submissions(co_program *program);
size_t co_program_submission_bytes(const co_program *program); // device memory of one
// One row of a graph's input, as plans read it; lengths of event tables stay symbolic.
co_tensor_desc co_program_row(const co_program *program, const co_graph *graph, int64_t input);

// Units of a micro-batch (sections: of one for training, too); NULL where none was planned.
co_unit *co_phase_find_unit(co_phase *p, const co_shape_class *shape, bool add);
co_unit *co_program_find_evaluation(co_program *program, const co_shape_class *shape);
co_unit *co_program_find_section(co_program *program, const co_shape_class *shape, bool training);

#endif
