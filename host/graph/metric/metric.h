// SPDX-License-Identifier: Apache-2.0
// Metrics that are sums, accumulated on the device in float64 as {numerator, denominator}.
// metrics.def lists them. Each adds itself to outputs of the target types it knows.
#ifndef COHORT_HOST_GRAPH_METRIC_METRIC_H
#define COHORT_HOST_GRAPH_METRIC_METRIC_H

#include "host/core/schema.h"
#include "host/graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_metric_class {
  const char *name; // canonical id: "accuracy"
  const char *doc;
  co_op op; // x target weight -> sums
  bool category, number, vector;
  bool higher_is_better;
} co_metric_class;

const co_metric_class *co_metric_find(const char *name);
const co_metric_class *const *co_metric_list(void);
// Emits every metric that applies to an output of this target type.
co_status co_metrics_emit(co_graph *graph, const char *output, co_column_type target_type,
                          co_value prediction, co_value target, co_value row_weight);

#ifdef __cplusplus
}
#endif
#endif
