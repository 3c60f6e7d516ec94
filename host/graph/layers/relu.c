// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

static const co_field fields[] = {{.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)options;
  (void)count;
  return co_emit(graph, CO_OP_RELU, NULL, 1, in, out);
}

extern const co_layer_class co_layer_relu;
const co_layer_class co_layer_relu = {.name = "ReLU",
                                      .doc = "max(x, 0).",
                                      .fields = fields,
                                      .options_size = 1,
                                      .inputs_min = 1,
                                      .inputs_max = 1,
                                      .build = build};
