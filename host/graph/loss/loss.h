// SPDX-License-Identifier: Apache-2.0
// Losses: losses.def lists them. Which loss goes with which target type is a closed table checked
// before data is read.
#ifndef COHORT_HOST_GRAPH_LOSS_LOSS_H
#define COHORT_HOST_GRAPH_LOSS_LOSS_H

#include "host/graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_loss_class {
  const char *name; // "softmax_cross_entropy"
  const char *doc;
  const char *metric;                    // the id its mean is reported under: "log_loss"
  co_op op;                              // a loss operation (x target weight step -> loss sum dx)
  bool category, number, vector, binary; // target types it takes
  // What other programs call it, NULL-terminated, for "did you mean"; may be NULL.
  const char *const *elsewhere;
} co_loss_class;

const co_loss_class *co_loss_find(const char *name); // NULL if unknown
const co_loss_class *const *co_loss_list(void);      // NULL-terminated

// Emits the loss of output `name` (recorded in the graph) on `prediction`. `weight` is the factor
// of this output in the total loss; it enters through inv_norm.
co_status co_loss_emit(co_graph *graph, const co_loss_class *loss, const char *name, double weight,
                       co_value prediction, co_value target, co_value row_weight);

#ifdef __cplusplus
}
#endif
#endif
