// SPDX-License-Identifier: Apache-2.0
// Optimizers: each a field table and a function that emits the update of a flat parameter block as
// contract operations. optimizers.def lists them.
#ifndef COHORT_HOST_GRAPH_OPTIM_OPTIMIZER_H
#define COHORT_HOST_GRAPH_OPTIM_OPTIMIZER_H

#include "host/core/field.h"
#include "host/graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

// Operands of an update, all in `graph`: blocks w, g, slots; segments; step; gate; the mirror of w and
// gradients in bf16, CO_NO_VALUE where there are none.
typedef struct co_update_operands {
  co_value w, g, slot[CO_MAX_SLOTS], segments, step, gate, mirror, narrow;
  double clip_value; // largest size of an element of the gradient, 0 = off
} co_update_operands;

// The same of some rows of a table w (V, D): ids and g as SUM_ROWS gives them; steps CO_NO_VALUE where
// there are no slots.
typedef struct co_row_operands {
  co_value w, slot[CO_MAX_SLOTS], steps, ids, g, step, gate;
  double clip_value, rate, decay; // rate, decay: multipliers, as those of segments
} co_row_operands;

typedef struct co_optimizer_class {
  const char *name; // "adam"
  const char *doc;
  const co_field *fields;
  size_t options_size;
  int (*slots)(const void *options); // state blocks needed, 0..CO_MAX_SLOTS
  co_status (*emit)(co_graph *graph, const void *options, const co_update_operands *operands);
  // Updates rows alone: NULL, or CO_ERR_CONFIG with some options, where it cannot.
  co_status (*emit_rows)(co_graph *graph, const void *options, const co_row_operands *operands);
  // Betas whose bias corrections the step scalars carry; 0, 0 where none.
  void (*betas)(const void *options, double *beta1, double *beta2);
} co_optimizer_class;

const co_optimizer_class *co_optimizer_find(const char *name); // NULL if unknown
// All of them, NULL-terminated.
const co_optimizer_class *const *co_optimizer_list(void);

#ifdef __cplusplus
}
#endif
#endif
