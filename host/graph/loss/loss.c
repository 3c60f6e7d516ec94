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

co_status co_loss_attributes(const co_loss_class *loss, const void *options, co_op_attr *attr) {
  *attr = (co_op_attr){.pointwise = loss->pointwise};
  if (loss->pointwise == CO_POINTWISE_BINARY) attr->positive_weight = 1;
  if (loss->parameters) return loss->attributes(NULL, attr); // they are no options
  return options && loss->attributes ? loss->attributes(options, attr) : CO_OK;
}

// One operation, with a sum of its own, called `metric`.
static co_status emit(co_graph *graph, const co_loss_class *loss, const co_op_attr *attr,
                      const char *name, const char *metric, const co_loss_operands *operands,
                      co_value *sum) {
  co_value in[CO_OP_MAX_OPERANDS] = {operands->prediction, operands->target, operands->row_weight};
  co_value out[CO_OP_MAX_OPERANDS];
  char *full = co_arena_format(graph->arena, "%s/%s", name, metric);
  if (!full) return CO_ERR_MEMORY;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    out[i] = CO_NO_VALUE;
  CO_RETURN_IF_FAILED(co_graph_get_step(graph, &in[3]));
  CO_RETURN_IF_FAILED(co_graph_add_metric_value(graph, full, 1, sum));
  out[1] = *sum;
  return co_graph_add_op(graph, loss->op, attr, in, out);
}

co_status co_loss_emit_apart(co_graph *graph, const co_loss_class *loss, const co_op_attr *attr,
                             const char *name, double weight, const co_loss_operands *trained,
                             const co_loss_operands *reported) {
  co_op_attr learned, plain;
  CO_RETURN_IF_FAILED(co_refuse_sequences(graph, trained->prediction));
  CO_RETURN_IF_FAILED(co_loss_attributes(loss, NULL, &learned));
  if (attr) learned = *attr;
  learned.output = (int32_t)graph->loss_count;
  plain = learned;
  plain.label_smoothing = 0;
  if (loss->pointwise == CO_POINTWISE_BINARY) plain.positive_weight = 1;
  bool same =
      trained->prediction == reported->prediction && memcmp(&plain, &learned, sizeof plain) == 0;
  co_loss_info info = {.loss_name = loss->name,
                       .weight = weight,
                       .sampled = loss->sampled,
                       .prediction = reported->prediction,
                       .target = reported->target,
                       .row_weight = reported->row_weight};
  if (!same)
    CO_RETURN_IF_FAILED(emit(graph, loss, &plain, name, loss->metric, reported, &info.reported));
  CO_RETURN_IF_FAILED(
      emit(graph, loss, &learned, name, same ? loss->metric : loss->name, trained, &info.sum));
  if (same) info.reported = info.sum;
  info.name = co_arena_strdup(graph->arena, name);
  return info.name ? co_graph_add_loss(graph, &info) : CO_ERR_MEMORY;
}

co_status co_loss_emit(co_graph *graph, const co_loss_class *loss, const co_op_attr *attr,
                       const char *name, double weight, co_value prediction, co_value target,
                       co_value row_weight) {
  const co_loss_operands operands = {prediction, target, row_weight};
  return co_loss_emit_apart(graph, loss, attr, name, weight, &operands, &operands);
}
