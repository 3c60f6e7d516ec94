// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct rms_norm_options {
  double epsilon;
} rms_norm_options;

static const co_field fields[] = {{"epsilon", CO_FIELD_DOUBLE, offsetof(rms_norm_options, epsilon),
                                   "1.0e-6", 1e-12, 1, NULL, "Added to the mean of squares.", NULL},
                                  {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  (void)count;
  const co_shape *x = co_value_shape(graph, in[0]);
  if (x->rank < 2) return co_fail(CO_ERR_CONFIG, "RMSNormalization needs a feature dimension");
  const co_param_info scale = {.shape = co_shape_make(1, x->dim[x->rank - 1]),
                               .init = CO_INIT_ONES};
  co_value operands[2] = {in[0]};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "scale", &scale, &operands[CO_LAYER_NORM_gamma]));
  const co_op_attr attr = {.epsilon = ((const rms_norm_options *)options)->epsilon, .rms = 1};
  return co_emit(graph, CO_OP_LAYER_NORM, &attr, 2, operands, out);
}

static const char *const weights[] = {"scale", NULL};

extern const co_layer_class co_layer_rms_normalization;
const co_layer_class co_layer_rms_normalization = {
    .name = "RMSNormalization",
    .doc = "Each row (each event of a sequence) to root mean square 1, times scale.",
    .fields = fields,
    .options_size = sizeof(rms_norm_options),
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
