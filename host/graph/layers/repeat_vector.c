// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

static const co_field fields[] = {{.key = NULL}};

// What a pool by sums hands down to the events, as a result of its own.
static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)options;
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 2));
  const co_shape *events = co_value_shape(graph, in[1]);
  if (events->rank != 3)
    return co_fail(CO_ERR_CONFIG, "inputs are features of rows, then a sequence and its lengths");
  const co_op_attr attr = {.pooling = CO_POOL_SUM, .shape = co_shape_make(1, events->dim[1])};
  const co_value operands[2] = {
      [CO_POOL_EVENTS_BACKWARD_lengths] = in[2], [CO_POOL_EVENTS_BACKWARD_dy] = in[0]};
  return co_emit(graph, CO_OP_POOL_EVENTS_BACKWARD, &attr, 2, operands, out);
}

extern const co_layer_class co_layer_repeat_vector;
const co_layer_class co_layer_repeat_vector = {
    .name = "RepeatVector",
    .doc = "Features of a row once for each event of a sequence, which comes second, with its "
           "lengths.",
    .fields = fields,
    .inputs_min = 3,
    .inputs_max = 3,
    .build = build};
