// SPDX-License-Identifier: Apache-2.0
#include <limits.h>

#include "host/graph/layer.h"

static const co_field fields[] = {{.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)options;
  co_value product = in[0];
  for (int i = 1; i < count; i++) {
    co_value operands[2] = {product, in[i]};
    CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_MULTIPLY, NULL, 2, operands, &product));
  }
  *out = product;
  return CO_OK;
}

extern const co_layer_class co_layer_multiply;
const co_layer_class co_layer_multiply = {
    .name = "Multiply",
    .doc = "Product of tensors of equal shape, element by element.",
    .fields = fields,
    .options_size = 1,
    .inputs_min = 2,
    .inputs_max = INT_MAX,
    .build = build};
