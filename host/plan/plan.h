// SPDX-License-Identifier: Apache-2.0
// A plan: a graph specialised to mode, shape class, element type and backend, as a flat list of
// prepared operations and one packed arena. Immutable once made. Passes, each in a file, in this
// order: build, fuse_forward, backward, fuse_backward, fuse_catalogue, fuse_tables, dtypes, fuse_masks,
// layouts, prepare, branches, pack.
#ifndef COHORT_HOST_PLAN_PLAN_H
#define COHORT_HOST_PLAN_PLAN_H

#include "host/plan/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum co_mode {
  CO_MODE_TRAIN,    // losses, metrics and gradients; outputs only where there is no loss
  CO_MODE_EVALUATE, // inference layers, with losses, metrics and outputs
  CO_MODE_INFER,    // outputs only; targets are not needed
  CO_MODE_UPDATE,   // a graph of optimizer operations; everything in it is kept
  CO_MODE_GRADIENT  // inference layers; outputs, and the gradients of inputs by the outputs' seeds
} co_mode;

enum { CO_PLAN_LOGIT_BYTES = 64 << 20 };

typedef struct co_plan_options {
  co_mode mode;
  co_shape_class shape;       // N and the lengths of event tables
  co_dtype real;              // CO_F32 or CO_F64
  bool bf16;                  // with CO_F32: activations and their gradients in bf16 (dtypes.c)
  const bool *narrow_inputs;  // bf16: per input, whether it comes in bf16 where co_plan_reads_bf16
                              // holds; NULL = none. Only read while the plan is made
  const bool *narrow_outputs; // bf16: per output, whether it is bf16, too; NULL = none. Only read
                              // while the plan is made
  bool add_gradients;         // a later micro-batch: parameter gradients are added to
  // bf16, the store's first plan for training, and no plan will add to gradients: those of kernels that the
  // backend makes in bf16 are kept so (the store's `narrow`), which later plans follow.
  bool narrow_gradients;
  uint32_t groups;    // TRAIN: parameter groups that get gradients; 0 = all
  uint32_t losses;    // TRAIN: losses that are differentiated; 0 = all
  bool no_fusion;     // for tests
  size_t logit_bytes; // logits of a loss beyond this are made in tiles; 0 = CO_PLAN_LOGIT_BYTES
} co_plan_options;

typedef struct co_plan_value {
  co_value_info info;
  size_t bytes;
  size_t offset;       // in the arena, for CO_STORAGE_ARENA; in what is kept, for CO_STORAGE_KEPT
  int32_t first, last; // operations that write it first and use it last; -1 = unused
  int32_t param;       // store entry of PARAM, STATE and GRADIENT values
  co_value view_of;    // shares the memory of this earlier value (an elided RESHAPE)
  bool once;           // written by an operation that is `once`
} co_plan_value;

typedef struct co_plan_op {
  co_op_desc desc;
  co_value in[CO_OP_MAX_OPERANDS], out[CO_OP_MAX_OPERANDS];
  co_op_choice choice;
  co_prepared *prepared;
  size_t workspace_offset; // in the arena
  const char *layer;       // may be NULL
  const char *note;        // "fused relu", "layout", "accumulate", … or NULL
  bool backward;
  bool once;     // makes the same of the same parameters: runs where they have changed
  bool beside;   // runs on the second queue, behind the operations before it
  bool waits;    // for what runs there
  int32_t until; // the last operation that may run at the same time: itself, unless `beside`
} co_plan_op;

typedef struct co_plan {
  co_context *ctx;
  co_backend *backend; // borrowed
  co_arena *arena;
  const co_graph *graph; // borrowed: names and tables
  co_plan_options options;
  co_plan_value *values;
  co_plan_op *ops;
  int64_t value_count, op_count, value_capacity, op_capacity;
  co_value *outputs;      // per graph output: the value that holds it, or CO_NO_VALUE
  co_value *gradients;    // GRADIENT: per graph input its gradient, CO_NO_VALUE where there is none
  bool *has_gradient;     // per store entry: this plan writes its gradient
  size_t arena_bytes;     // activations, gradients of activations and workspaces
  size_t kept_bytes;      // of CO_STORAGE_KEPT
  size_t workspace_bytes; // the largest workspace, or two that are in use at the same time
  int64_t flops;
  bool joins; // something is beside the last operation
} co_plan;

// The store must know the graph's parameters; home layouts still open are fixed here. `graph` and
// `store`'s backend must outlive the plan.
co_status co_plan_create(co_plan **out, const co_graph *graph, co_store *store,
                         const co_plan_options *options);
void co_plan_free(co_plan *plan);
// Whether plans in bf16 read this input of the graph as data only, so that it may come in bf16.
bool co_plan_reads_bf16(const co_graph *graph, co_value input);
// A table of operations: shapes, layouts, implementation, bytes, FLOPs, notes.
void co_plan_print(const co_plan *plan, co_text *out);
const char *co_mode_name(co_mode mode);
int64_t co_plan_launches(const co_plan *plan); // of one run; 0 where they are not counted
size_t co_plan_traffic(const co_plan *plan);   // bytes that operations read and write, in one run

#ifdef __cplusplus
}
#endif
#endif
