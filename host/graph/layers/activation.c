// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct activation_options {
  int activation;
} activation_options;

static const co_field fields[] = {{"activation", CO_FIELD_ENUM,
                                   offsetof(activation_options, activation), NULL, 0, 0,
                                   co_activation_words, "Which function.", NULL},
                                  {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  return co_emit_activation(graph, ((const activation_options *)options)->activation, in[0], out);
}

extern const co_layer_class co_layer_activation;
const co_layer_class co_layer_activation = {.name = "Activation",
                                            .doc = "An activation function by name.",
                                            .fields = fields,
                                            .options_size = sizeof(activation_options),
                                            .shorthand = "activation",
                                            .inputs_min = 1,
                                            .inputs_max = 1,
                                            .build = build};
