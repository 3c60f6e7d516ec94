// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct machine_options {
  int64_t factors;
} machine_options;

static const co_field fields[] = {{"factors", CO_FIELD_INT, offsetof(machine_options, factors), "8",
                                   1, 4096, NULL, "Length of each feature's vector.", NULL},
                                  {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  CO_RETURN_IF_FAILED(co_require_rank(graph, in[0], 2));
  const int64_t features = co_value_shape(graph, in[0])->dim[1];
  const int64_t factors = ((const machine_options *)options)->factors;
  co_value operands[2] = {in[0], CO_NO_VALUE};
  co_param_info kernel = {.shape = co_shape_make(2, features, factors),
                          .init = CO_INIT_UNIFORM,
                          .fan_in = features,
                          .fan_out = factors,
                          .decay = 1};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "kernel", &kernel, &operands[CO_FACTORIZATION_v]));
  return co_emit(graph, CO_OP_FACTORIZATION, NULL, 2, operands, out);
}

static const char *const weights[] = {"kernel", NULL};

extern const co_layer_class co_layer_factorization_machine;
const co_layer_class co_layer_factorization_machine = {
    .name = "FactorizationMachine",
    .doc = "One number a row: products of all pairs of features, weighted by the products of their "
           "trained vectors (Rendle 2010); beside dense layers, DeepFM.",
    .fields = fields,
    .options_size = sizeof(machine_options),
    .shorthand = "factors",
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
