// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct softmax_options {
  int64_t axis;
} softmax_options;

static const co_field fields[] = {{"axis", CO_FIELD_INT, offsetof(softmax_options, axis), "-1", -5,
                                   5, NULL,
                                   "What adds up to 1, the rows being axis 0: -1 the features; 1 "
                                   "the events of each row that has a "
                                   "number for each.",
                                   NULL},
                                  {.key = NULL}};

static co_status turn(co_graph *graph, int64_t second, int64_t last, co_value *x) {
  const co_op_attr attr = {.shape = co_shape_make(3, CO_DIM_N, second, last)};
  return co_emit(graph, CO_OP_RESHAPE, &attr, 1, x, x);
}

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const co_shape *x = co_value_shape(graph, in[0]);
  const int64_t given = ((const softmax_options *)options)->axis, events = x->dim[1];
  const int64_t axis = given < 0 ? given + x->rank : given;
  if (axis < 1 || axis >= x->rank)
    return co_fail(CO_ERR_CONFIG, "axis: the input has dimensions 1 to %d beside its rows",
                   x->rank - 1);
  const bool over_events = co_dim_event_table(x->dim[axis]) >= 0;
  if (over_events && count < 2)
    return co_fail(CO_ERR_CONFIG, "rows have different numbers of events: name `lengths`, too");
  if (axis == x->rank - 1) {
    if (count > 1 && !over_events)
      return co_fail(CO_ERR_CONFIG, "lengths are of events: axis must be 1, not the features");
    return co_emit(graph, CO_OP_MASKED_SOFTMAX, NULL, 1, in, out);
  }
  if (axis != 1 || x->rank != 3 || x->dim[2] != 1) {
    char have[96];
    co_shape_print(x, have, sizeof have);
    return co_fail(
        CO_ERR_CONFIG,
        "input has shape %s: over another axis than the last (rows, events, 1) is needed", have);
  }
  co_value operands[2] = {in[0], count > 1 ? in[1] : CO_NO_VALUE};
  CO_RETURN_IF_FAILED(turn(graph, 1, events, &operands[0]));
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_MASKED_SOFTMAX, NULL, count, operands, out));
  return turn(graph, events, 1, out);
}

extern const co_layer_class co_layer_softmax;
const co_layer_class co_layer_softmax = {
    .name = "Softmax",
    .doc =
        "Positive shares that add up to 1, of features; with lengths of a row's events, 0 behind "
        "them.",
    .fields = fields,
    .options_size = sizeof(softmax_options),
    .shorthand = "axis",
    .inputs_min = 1,
    .inputs_max = 2,
    .build = build};
