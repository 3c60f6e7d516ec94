// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct leaky_relu_options {
  double negative_slope;
} leaky_relu_options;

static const co_field fields[] = {{"negative_slope", CO_FIELD_DOUBLE,
                                   offsetof(leaky_relu_options, negative_slope), "0.3", 0, 1e6,
                                   NULL, "Factor of x below zero.", "alpha"},
                                  {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  const co_op_attr attr = {.function = CO_FUNCTION_LEAKY_RELU,
                           .alpha = ((const leaky_relu_options *)options)->negative_slope};
  return co_emit(graph, CO_OP_ACTIVATION, &attr, 1, in, out);
}

extern const co_layer_class co_layer_leaky_relu;
const co_layer_class co_layer_leaky_relu = {.name = "LeakyReLU",
                                            .doc = "x above zero, a part of it below.",
                                            .fields = fields,
                                            .options_size = sizeof(leaky_relu_options),
                                            .shorthand = "negative_slope",
                                            .inputs_min = 1,
                                            .inputs_max = 1,
                                            .build = build};
