// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct layer_norm_options {
  double epsilon;
} layer_norm_options;

static const co_field fields[] = {{"epsilon", CO_FIELD_DOUBLE,
                                   offsetof(layer_norm_options, epsilon), "1.0e-3", 1e-12, 1, NULL,
                                   "Added to the variance.", NULL},
                                  {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  const co_shape *x = co_value_shape(graph, in[0]);
  if (x->rank < 2) return co_fail(CO_ERR_CONFIG, "LayerNormalization needs a feature dimension");
  co_shape channels = co_shape_make(1, x->dim[x->rank - 1]);
  co_param_info gamma = {.shape = channels, .init = CO_INIT_ONES};
  co_param_info beta = {.shape = channels, .init = CO_INIT_ZEROS};
  co_value operands[3] = {in[0]};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "gamma", &gamma, &operands[CO_LAYER_NORM_gamma]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "beta", &beta, &operands[CO_LAYER_NORM_beta]));
  const co_op_attr attr = {.epsilon = ((const layer_norm_options *)options)->epsilon};
  return co_emit(graph, CO_OP_LAYER_NORM, &attr, 3, operands, out);
}

static const char *const weights[] = {"gamma", "beta", NULL};

extern const co_layer_class co_layer_layer_normalization;
const co_layer_class co_layer_layer_normalization = {
    .name = "LayerNormalization",
    .doc = "Each row (each event of a sequence) to mean 0, variance 1; times gamma, plus beta.",
    .fields = fields,
    .options_size = sizeof(layer_norm_options),
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
