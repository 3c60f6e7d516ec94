// SPDX-License-Identifier: Apache-2.0
#include "host/graph/layer.h"

typedef struct normalization_options {
  double momentum, epsilon;
} normalization_options;

static const co_field fields[] = {
    {"momentum", CO_FIELD_DOUBLE, offsetof(normalization_options, momentum), "0.99", 0, 1, NULL,
     "Share of the running statistics that each step keeps.", NULL},
    {"epsilon", CO_FIELD_DOUBLE, offsetof(normalization_options, epsilon), "1.0e-3", 1e-12, 1, NULL,
     "Added to the variance.", NULL},
    {.key = NULL}};

static co_status build(co_graph *graph, const void *options, const co_value *in, int count,
                       co_value *out) {
  const normalization_options *norm = options;
  (void)count;
  CO_RETURN_IF_FAILED(co_refuse_sequences(graph, in[0]));
  const co_shape *x = co_value_shape(graph, in[0]);
  if (x->rank < 2) return co_fail(CO_ERR_CONFIG, "BatchNormalization needs a feature dimension");
  co_shape channels = co_shape_make(1, x->dim[x->rank - 1]);
  co_param_info gamma = {.shape = channels, .init = CO_INIT_ONES};
  co_param_info beta = {.shape = channels, .init = CO_INIT_ZEROS};
  co_param_info mean = {.shape = channels, .init = CO_INIT_ZEROS, .state = true};
  co_param_info variance = {.shape = channels, .init = CO_INIT_ONES, .state = true};
  co_value operands[CO_OP_MAX_OPERANDS] = {in[0]};
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "gamma", &gamma, &operands[CO_BATCH_NORM_gamma]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "beta", &beta, &operands[CO_BATCH_NORM_beta]));
  CO_RETURN_IF_FAILED(
      co_graph_add_param(graph, "moving_mean", &mean, &operands[CO_BATCH_NORM_running_mean]));
  CO_RETURN_IF_FAILED(co_graph_add_param(graph, "moving_variance", &variance,
                                         &operands[CO_BATCH_NORM_running_variance]));
  co_op_attr attr = {.momentum = norm->momentum, .epsilon = norm->epsilon};
  co_value results[CO_OP_MAX_OPERANDS] = {
      [CO_BATCH_NORM_y] = CO_NO_VALUE,
      [CO_BATCH_NORM_mean] = CO_NO_VALUE,
      [CO_BATCH_NORM_variance] = CO_NO_VALUE,
      [CO_BATCH_NORM_new_mean] = operands[CO_BATCH_NORM_running_mean],
      [CO_BATCH_NORM_new_variance] = operands[CO_BATCH_NORM_running_variance],
      [CO_BATCH_NORM_argmax] = CO_NO_VALUE};
  CO_RETURN_IF_FAILED(co_graph_add_op(graph, CO_OP_BATCH_NORM, &attr, operands, results));
  *out = results[CO_BATCH_NORM_y];
  return CO_OK;
}

static const char *const weights[] = {"gamma", "beta", "moving_mean", "moving_variance", NULL};

extern const co_layer_class co_layer_batch_normalization;
const co_layer_class co_layer_batch_normalization = {
    .name = "BatchNormalization",
    .doc = "Normalises each channel over the batch; running statistics at inference.",
    .fields = fields,
    .options_size = sizeof(normalization_options),
    .inputs_min = 1,
    .inputs_max = 1,
    .build = build,
    .weights = weights};
