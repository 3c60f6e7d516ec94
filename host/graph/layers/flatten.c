// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

static const co_field fields[] = {{.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)options;
  (void)count;
  CO_RETURN_IF_FAILED(co_refuse_sequences(graph, in[0]));
  const co_shape *x = co_value_shape(graph, in[0]);
  int64_t features = 1;
  for (int i = 1; i < x->rank; i++)
    features *= x->dim[i];
  co_op_attr attr = {.shape = co_shape_make(2, x->dim[0], features)};
  return co_emit(graph, CO_OP_RESHAPE, &attr, 1, in, out);
}

extern const co_layer_class co_layer_flatten;
const co_layer_class co_layer_flatten = {.name = "Flatten",
                                         .doc = "Everything but the batch becomes one dimension.",
                                         .fields = fields,
                                         .options_size = 1,
                                         .inputs_min = 1,
                                         .inputs_max = 1,
                                         .build = build};
