// SPDX-License-Identifier: Apache-2.0
#include "host/graph/metric/metric.h"

#include <string.h>

#define CO_METRIC(symbol) extern const co_metric_class symbol;
#include "host/graph/metric/metrics.def"
#undef CO_METRIC

static const co_metric_class *const all[] = {
#define CO_METRIC(symbol) &symbol,
#include "host/graph/metric/metrics.def"
#undef CO_METRIC
    NULL};

const co_metric_class *const *co_metric_list(void) {
  return all;
}

bool co_metric_is_scored(const co_metric_class *metric, co_column_type type) {
  return (type == CO_COLUMN_CATEGORY && (metric->class_score || metric->unit_score)) ||
         (type == CO_COLUMN_NUMBER && metric->number_score) ||
         (type == CO_COLUMN_TEXT && metric->text_score) ||
         (type == CO_COLUMN_BINARY && metric->binary_score);
}

const char *co_metric_canonical(const char *id) {
  if (strcmp(id, "logloss") == 0) return "log_loss";
  if (strcmp(id, "auc") == 0) return "roc_auc";
  return id;
}

static bool is_summed(const co_metric_class *metric, co_column_type type) {
  if (metric->op == CO_OP_COUNT) return false;
  return (type == CO_COLUMN_CATEGORY && metric->category) ||
         (type == CO_COLUMN_NUMBER && metric->number) ||
         (type == CO_COLUMN_VECTOR && metric->vector) || (type == CO_COLUMN_TEXT && metric->text) ||
         (type == CO_COLUMN_BINARY && metric->binary);
}

const co_metric_class *co_metric_find(const char *name, co_column_type type) {
  for (int i = 0; all[i]; i++)
    if (strcmp(all[i]->name, name) == 0 &&
        (co_metric_is_scored(all[i], type) || is_summed(all[i], type)))
      return all[i];
  return NULL;
}

static co_status emit(co_graph *graph, const co_metric_class *metric, const char *output,
                      const co_value *in) {
  co_metric_info info = {.name = metric->name};
  info.output = co_arena_strdup(graph->arena, output);
  char *path = co_arena_format(graph->arena, "%s/%s", output, metric->name);
  if (!path || !info.output) return CO_ERR_MEMORY;
  co_value out[CO_OP_MAX_OPERANDS];
  CO_RETURN_IF_FAILED(co_graph_add_metric_value(graph, path, 2, &out[0]));
  info.sums = out[0];
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, metric->op, NULL, in, out));
  return co_graph_add_metric(graph, &info);
}

co_status co_metrics_emit(co_graph *graph, const char *output, co_column_type target_type,
                          co_value prediction, co_value target, co_value row_weight) {
  co_value in[CO_OP_MAX_OPERANDS] = {prediction, target, row_weight};
  for (int i = 0; all[i]; i++)
    if (is_summed(all[i], target_type)) CO_RETURN_IF_FAILED(emit(graph, all[i], output, in));
  return CO_OK;
}

bool co_metric_is_catalogue(const char *output, int64_t classes) {
  return classes > CO_METRIC_CLASSES || strcmp(output, "next_item") == 0;
}
