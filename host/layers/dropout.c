// SPDX-License-Identifier: Apache-2.0
#include "host/core/rng.h"
#include "host/layer.h"

typedef struct dropout_options {
  double rate;
} dropout_options;

static const co_field fields[] = {{"rate", CO_FIELD_DOUBLE, offsetof(dropout_options, rate), NULL,
                                   0, 0.999, NULL, "Share of elements set to zero in training.",
                                   NULL},
                                  {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  co_op_attr attr = {.rate = ((const dropout_options *)options)->rate,
                     .purpose = co_purpose("dropout", graph->layer)};
  if (attr.rate == 0) {
    *out = in[0];
    return CO_OK;
  }
  co_value operands[2] = {in[0], CO_NO_VALUE};
  CO_RETURN_IF_FAILED(co_graph_get_step(graph, &operands[1]));
  return co_emit(graph, CO_OP_DROPOUT, &attr, 2, operands, out);
}

extern const co_layer_class co_layer_dropout;
const co_layer_class co_layer_dropout = {.name = "Dropout",
                                         .doc = "Sets random elements to zero in training.",
                                         .fields = fields,
                                         .options_size = sizeof(dropout_options),
                                         .shorthand = "rate",
                                         .inputs_min = 1,
                                         .inputs_max = 1,
                                         .build = build};
