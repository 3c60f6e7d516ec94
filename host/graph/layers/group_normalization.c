// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct group_norm_options {
  int64_t groups;
  double epsilon;
} group_norm_options;

static const co_field fields[] = {
    {"groups", CO_FIELD_INT, offsetof(group_norm_options, groups), "32", -1, 1 << 24, NULL,
     "Groups of channels side by side; -1: each channel by itself (instance normalisation).", NULL},
    {"epsilon", CO_FIELD_DOUBLE, offsetof(group_norm_options, epsilon), "1.0e-3", 1e-12, 1, NULL,
     "Added to the variance.", NULL},
    {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const group_norm_options *norm = options;
  (void)count;
  CO_RETURN_IF_FAILED(co_refuse_sequences(graph, in[0]));
  const co_shape *x = co_value_shape(graph, in[0]);
  if (x->rank < 2) return co_fail(CO_ERR_CONFIG, "GroupNormalization needs a feature dimension");
  const int64_t channels = x->dim[x->rank - 1];
  const co_op_attr attr = {.epsilon = norm->epsilon,
                           .groups = norm->groups == -1 ? channels : norm->groups};
  if (attr.groups < 1 || channels % attr.groups) {
    const co_status status = co_fail(CO_ERR_CONFIG, "%lld channels do not part into %lld groups",
                                     (long long)channels, (long long)norm->groups);
    co_hint("groups: a divisor of the channels, or -1 for each by itself");
    return status;
  }
  co_param_info gamma = {.shape = co_shape_make(1, channels), .init = CO_INIT_ONES};
  co_param_info beta = {.shape = co_shape_make(1, channels), .init = CO_INIT_ZEROS};
  co_value operands[3] = {in[0]};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "gamma", &gamma, &operands[CO_LAYER_NORM_gamma]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "beta", &beta, &operands[CO_LAYER_NORM_beta]));
  return co_emit(graph, CO_OP_LAYER_NORM, &attr, 3, operands, out);
}

static const char *const weights[] = {"gamma", "beta", NULL};

extern const co_layer_class co_layer_group_normalization;
const co_layer_class co_layer_group_normalization = {
    .name = "GroupNormalization",
    .doc = "Groups of each row's channels to mean 0, variance 1; times gamma, plus beta.",
    .fields = fields,
    .options_size = sizeof(group_norm_options),
    .shorthand = "groups",
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
