// SPDX-License-Identifier: Apache-2.0
#include <limits.h>

#include "host/graph/layer.h"

static const co_field fields[] = {{.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)options;
  co_value sum = in[0];
  for (int i = 1; i < count; i++) {
    co_value operands[2] = {sum, in[i]};
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_ADD, NULL, 2, operands, &sum));
  }
  *out = sum;
  return CO_OK;
}

extern const co_layer_class co_layer_add;
const co_layer_class co_layer_add = {.name = "Add",
                                     .doc = "Sum of tensors of equal shape.",
                                     .fields = fields,
                                     .options_size = 1,
                                     .inputs_min = 2,
                                     .inputs_max = INT_MAX,
                                     .build = build};
