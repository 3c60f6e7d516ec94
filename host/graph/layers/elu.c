// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct elu_options {
  double alpha;
} elu_options;

static const co_field fields[] = {{"alpha", CO_FIELD_DOUBLE, offsetof(elu_options, alpha), "1.0", 0,
                                   1e6, NULL, "Least value, but for the sign.", NULL},
                                  {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  const co_op_attr attr = {.function = CO_FUNCTION_ELU,
                           .alpha = ((const elu_options *)options)->alpha};
  return co_emit(graph, CO_OP_ACTIVATION, &attr, 1, in, out);
}

extern const co_layer_class co_layer_elu;
const co_layer_class co_layer_elu = {.name = "ELU",
                                     .doc = "x above zero, alpha (exp(x) - 1) below.",
                                     .fields = fields,
                                     .options_size = sizeof(elu_options),
                                     .shorthand = "alpha",
                                     .inputs_min = 1,
                                     .inputs_max = 1,
                                     .build = build};
