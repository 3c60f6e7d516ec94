// SPDX-License-Identifier: Apache-2.0
// What the files of cohort_verify_parity share: verify.c opens, runs and compares, parity_side.c is
// one of the computations compared, parity_report.c tells what came out.
#ifndef COHORT_HOST_API_PARITY_H
#define COHORT_HOST_API_PARITY_H

#include "host/api/api.h"
#include "host/eval/opening.h"
#include "host/feed/pipeline.h"

enum { CO_PARITY_INFERENCE, CO_PARITY_TRAINING, CO_PARITY_STAGES };
// Plans as training and scoring use them, and plans in which every layer's output is one of the
// graph's.
enum { CO_PARITY_AS_USED, CO_PARITY_OBSERVED, CO_PARITY_KINDS };

typedef struct co_parity_unit {
  co_plan *plan;
  co_executor *executor;
} co_parity_unit;

typedef struct co_parity_side {
  co_backend *backend;
  co_dtype real;
  bool bf16;
  co_store *store;
  co_parity_unit units[CO_PARITY_STAGES][CO_PARITY_KINDS];
  void *arena, *step, *metrics;
  void **inputs; // its own copies, NULL where the pipeline's are read as they lie
} co_parity_side;

// How two versions of a tensor differ. All in the tensor's own unit.
typedef struct co_parity_difference {
  double largest;  // difference of two elements; infinite where one is not finite
  double scale;    // largest element of the reference
  double rounding; // the largest difference that rounding alone has made, in any draw
} co_parity_difference;

typedef struct co_parity {
  cohort_context *context;
  co_context *ctx;
  const cohort_verify_parity_options *options;
  cohort_result *result;
  co_arena *arena;
  co_diagnostics problems;
  char *path;
  co_model_file file;
  co_dataset *dataset;
  co_model *model;
  co_pipeline *pipeline;
  co_view view;
  bool has_view;
  co_split split;
  co_shape_class shape;   // of all batches
  int64_t batches;        // run so far
  int64_t *layer_outputs; // per layer: position in the graph's outputs
  co_parity_side device, reference, rounded;
  co_parity_difference *outputs[CO_PARITY_STAGES]; // per output of the graph: rounding alone
  co_parity_difference *losses;                    // per loss: likewise
  co_parity_difference *gradients, *statistics;    // per entry of the reference's store
  co_parity_difference *batch_gradients;           // of the last batch; `gradients`: what counts
  double *mine, *theirs;                           // values of one tensor
  int64_t capacity;
  co_precision precision;              // of the device
  double tolerance, tolerance_outputs; // beside rounding: of gradients, of all else
  double roundings;                    // how many times `rounding` is allowed, by default
  int64_t compared, failed;
  double largest; // difference of all, each told in its tensor's unit
  char *first;    // what is wrong with the first row out of tolerance
  char *culprit;  // its layer
} co_parity;

// ---- parity_side.c -----------------------------------------------------------------------------

// In this order: a store that knows the model's parameters; plans, before and after the layers are
// observed; memory, executors and weights.
co_status co_parity_side_start(co_parity_side *side, const co_parity *p, co_backend *backend,
                               co_dtype real);
co_status co_parity_side_plan(co_parity_side *side, const co_parity *p, int kind);
co_status co_parity_side_finish(co_parity_side *side, const co_parity *p);
void co_parity_side_free(co_parity_side *side, const co_parity *p); // legal on a zeroed struct
// The batch in p->view becomes this side's.
co_status co_parity_side_give(co_parity_side *side, co_parity *p, const co_step *step);
co_status co_parity_side_run(co_parity_side *side, const co_parity *p, int stage, int kind);

// ---- parity_report.c ---------------------------------------------------------------------------

// The largest difference that is right, in the tensor's unit.
double co_parity_allowed(const co_parity *p, const co_parity_difference *d, bool gradient);
void co_parity_report_head(co_parity *p);
// One row of the table. `part` is the tensor's name within the layer, "" if it needs none.
co_status co_parity_report_row(co_parity *p, int stage, const char *layer, const char *kind,
                               const char *part, const co_parity_difference *difference);
co_status co_parity_report_verdict(co_parity *p);

#endif
