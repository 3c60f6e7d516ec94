// SPDX-License-Identifier: Apache-2.0
// Losses: losses.def lists them. Which loss goes with which target type is a closed table checked
// before data is read.
#ifndef COHORT_HOST_GRAPH_LOSS_LOSS_H
#define COHORT_HOST_GRAPH_LOSS_LOSS_H

#include "host/core/field.h"
#include "host/graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_loss_class {
  const char *name; // "softmax_cross_entropy"
  const char *doc;
  const char *metric;     // the id its mean is reported under: "log_loss"
  co_op op;               // a loss operation (x target weight step -> loss sum dx)
  co_pointwise pointwise; // of POINTWISE_LOSS
  bool category, number, vector, binary, text; // target types it takes
  bool logit;                                  // predictions are logits, shown through a sigmoid
  // Of a number, as many times as large where target and prediction are k times as large: k^degree; 0 =
  // no such power.
  int degree;
  bool sampled;   // trained on some of the classes (co_sampled_softmax_options)
  int parameters; // of a distribution, in a row of the head; its mean is shown. 0 = it is of none
  const co_field *fields; // NULL = no options
  size_t options_size;
  // Attributes from options; CO_ERR_CONFIG. NULL = they stay as they are.
  co_status (*attributes)(const void *options, co_op_attr *attr);
  // What other programs call it, NULL-terminated, for "did you mean"; may be NULL.
  const char *const *elsewhere;
} co_loss_class;

typedef enum co_negatives {
  CO_NEGATIVES_FREQUENCY,
  CO_NEGATIVES_LOG_UNIFORM,
  CO_NEGATIVES_UNIFORM
} co_negatives;
typedef struct co_sampled_softmax_options {
  int64_t num_sampled;
  int negatives; // co_negatives
} co_sampled_softmax_options;

const co_loss_class *co_loss_find(const char *name); // NULL if unknown
const co_loss_class *const *co_loss_list(void);      // NULL-terminated

// Attributes of a loss without options, and, if options is not NULL, with them.
co_status co_loss_attributes(const co_loss_class *loss, const void *options, co_op_attr *attr);

// Emits the loss of output `name` (recorded in the graph) on `prediction`. `weight` is the factor
// of this output in the total loss; it enters through inv_norm. `attr` from co_loss_attributes, NULL
// = without options.
co_status co_loss_emit(co_graph *graph, const co_loss_class *loss, const co_op_attr *attr,
                       const char *name, double weight, co_value prediction, co_value target,
                       co_value row_weight);

typedef struct co_loss_operands {
  co_value prediction, target, row_weight;
} co_loss_operands;
// The same where what is trained and what is reported are not of the same rows: of members.
co_status co_loss_emit_apart(co_graph *graph, const co_loss_class *loss, const co_op_attr *attr,
                             const char *name, double weight, const co_loss_operands *trained,
                             const co_loss_operands *reported);

#ifdef __cplusplus
}
#endif
#endif
