// SPDX-License-Identifier: Apache-2.0
#include "host/graph/loss/loss.h"

#include <string.h>

#include "host/graph/layer.h"

#define CO_LOSS(symbol) extern const co_loss_class symbol;
#include "host/graph/loss/losses.def"
#undef CO_LOSS

static const co_loss_class *const all[] = {
#define CO_LOSS(symbol) &symbol,
#include "host/graph/loss/losses.def"
#undef CO_LOSS
    NULL};

const co_loss_class *co_loss_find(const char *name) {
  for (int i = 0; all[i]; i++)
    if (strcmp(all[i]->name, name) == 0) return all[i];
  return NULL;
}

const co_loss_class *const *co_loss_list(void) {
  return all;
}

co_status co_loss_emit(co_graph *graph, const co_loss_class *loss, const char *name, double weight,
                       co_value prediction, co_value target, co_value row_weight) {
  co_value in[CO_OP_MAX_OPERANDS] = {prediction, target, row_weight};
  CO_RETURN_IF_FAILED(co_refuse_sequences(graph, prediction));
  CO_RETURN_IF_FAILED(co_graph_get_step(graph, &in[3]));
  char *sum = co_arena_format(graph->arena, "%s/%s", name, loss->metric);
  if (!sum) return CO_ERR_MEMORY;
  co_value out[CO_OP_MAX_OPERANDS];
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    out[i] = CO_NO_VALUE;
  CO_RETURN_IF_FAILED(co_graph_add_metric_value(graph, sum, 1, &out[1]));
  co_op_attr attr = {.output = (int32_t)graph->loss_count};
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, loss->op, &attr, in, out));
  co_loss_info info = {.loss_name = loss->name,
                       .weight = weight,
                       .prediction = prediction,
                       .target = target,
                       .row_weight = row_weight,
                       .sum = out[1]};
  info.name = co_arena_strdup(graph->arena, name);
  return info.name ? co_graph_add_loss(graph, &info) : CO_ERR_MEMORY;
}
