// SPDX-License-Identifier: Apache-2.0
// Metrics, listed in metrics.def. Each adds itself to outputs of the target types it knows. There
// are two kinds: sums, accumulated on the device in float64 as {numerator, denominator}; and scored
// ones, functions in double over the scores of all rows of a split.
#ifndef COHORT_HOST_GRAPH_METRIC_METRIC_H
#define COHORT_HOST_GRAPH_METRIC_METRIC_H

#include "host/core/schema.h"
#include "host/graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

// Rows of a binary target that count (target known, weight above 0), by falling score. What is equal
// in score is one group: no metric may depend on the order within.
typedef struct co_scored_rows {
  int64_t count;
  const double *score;  // probability of the positive class
  const double *target; // 1 = positive, 0
  const double *weight;
  double positive, negative; // sums of weights
} co_scored_rows;

typedef struct co_metric_class {
  const char *name; // canonical id: "accuracy"
  const char *doc;
  // A sum has an operation (x target weight -> sums), a scored metric a function; NaN where it is
  // not defined (no positive row, say).
  co_op op;
  double (*score)(const co_scored_rows *rows);
  bool category, number, vector, binary;
  bool higher_is_better;
} co_metric_class;

const co_metric_class *co_metric_find(const char *name);
const co_metric_class *const *co_metric_list(void);
bool co_metric_applies(const co_metric_class *metric, co_column_type target_type);
// Emits every sum that applies to an output of this target type.
co_status co_metrics_emit(co_graph *graph, const char *output, co_column_type target_type,
                          co_value prediction, co_value target, co_value row_weight);

#ifdef __cplusplus
}
#endif
#endif
