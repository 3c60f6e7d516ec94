// SPDX-License-Identifier: Apache-2.0
#include "host/graph/loss/loss.h"

#include "host/config/config.h"

static const char *const elsewhere[] = {"pinball", "pinball_loss", "QuantileLoss", NULL};

typedef struct quantile_options {
  const co_node *quantiles;
} quantile_options;

static const co_field fields[] = {{"quantiles", CO_FIELD_NODE,
                                   offsetof(quantile_options, quantiles), "[0.1, 0.5, 0.9]", 0, 0,
                                   NULL, "Growing list within 0 and 1: an output each.", NULL},
                                  {.key = NULL}};

static co_status attributes(const void *options, co_op_attr *attr) {
  const co_node *list = ((const quantile_options *)options)->quantiles;
  bool good = list->kind == CO_NODE_LIST && list->count > 0 && list->count <= CO_MAX_QUANTILES;
  double before = 0;
  for (int64_t i = 0; good && i < list->count; i++) {
    good = co_node_double(list->items[i], &attr->levels[i]) && attr->levels[i] > before &&
           attr->levels[i] < 1;
    before = attr->levels[i];
  }
  if (!good)
    return co_fail(CO_ERR_CONFIG,
                   "quantiles must be a growing list of up to %d numbers within 0 "
                   "and 1",
                   (int)CO_MAX_QUANTILES);
  attr->level_count = list->count;
  return CO_OK;
}

extern const co_loss_class co_loss_quantile;
const co_loss_class co_loss_quantile = {
    .name = "quantile",
    .doc = "Pinball loss of several quantiles of a number, each a prediction of its own.",
    .metric = "pinball",
    .op = CO_OP_POINTWISE_LOSS,
    .pointwise = CO_POINTWISE_QUANTILE,
    .number = true,
    .degree = 1,
    .fields = fields,
    .options_size = sizeof(quantile_options),
    .attributes = attributes,
    .elsewhere = elsewhere};
