// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

static const co_field fields[] = {{.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const co_shape *x = co_value_shape(graph, in[0]);
  (void)options;
  if (x->rank != 3) {
    char have[96];
    co_shape_print(x, have, sizeof have);
    return co_fail(CO_ERR_CONFIG, "input has shape %s, but (rows, events, features) is needed",
                   have);
  }
  if (count < 2 && x->dim[1] < 1)
    return co_fail(CO_ERR_CONFIG, "rows have different numbers of events: name `lengths`, too");
  return co_emit(graph, CO_OP_REVERSE_EVENTS, NULL, count, in, out);
}

extern const co_layer_class co_layer_reverse;
const co_layer_class co_layer_reverse = {
    .name = "Reverse",
    .doc = "The events of each row from its last to its first; padding stays behind them.",
    .fields = fields,
    .options_size = 1,
    .inputs_min = 1,
    .inputs_max = 2,
    .build = build};
