// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

static const co_field fields[] = {{.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)options;
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 4));
  return co_emit(graph, CO_OP_GLOBAL_AVERAGE_POOL2D, NULL, 1, in, out);
}

extern const co_layer_class co_layer_global_average_pooling2d;
const co_layer_class co_layer_global_average_pooling2d = {.name = "GlobalAveragePooling2D",
                                                          .doc = "Mean of each channel's image.",
                                                          .fields = fields,
                                                          .options_size = 1,
                                                          .inputs_min = 1,
                                                          .inputs_max = 1,
                                                          .build = build};
