// SPDX-License-Identifier: Apache-2.0
#include "host/graph/loss/loss.h"

static const char *const elsewhere[] = {"bce",
                                        "BCE",
                                        "BCELoss",
                                        "BCEWithLogits",
                                        "BCEWithLogitsLoss",
                                        "binary_crossentropy",
                                        "BinaryCrossentropy",
                                        "binary_cross_entropy_with_logits",
                                        "binary_logloss",
                                        "sigmoid_cross_entropy",
                                        "logistic",
                                        "sigmoid",
                                        NULL};

typedef struct bce_options {
  double positive_weight, label_smoothing;
} bce_options;

static const co_field fields[] = {
    {"positive_weight", CO_FIELD_DOUBLE, offsetof(bce_options, positive_weight), "1.0", 1e-6, 1e6,
     NULL, "Factor of the loss of positive rows.", "pos_weight"},
    {"label_smoothing", CO_FIELD_DOUBLE, offsetof(bce_options, label_smoothing), "0.0", 0, 0.999,
     NULL, "Share of a target that is spread over all classes.", NULL},
    {.key = NULL}};

static co_status attributes(const void *options, co_op_attr *attr) {
  const bce_options *o = options;
  attr->positive_weight = o->positive_weight;
  attr->label_smoothing = o->label_smoothing;
  return CO_OK;
}

extern const co_loss_class co_loss_binary_cross_entropy;
const co_loss_class co_loss_binary_cross_entropy = {
    .name = "binary_cross_entropy",
    .doc = "Negative log likelihood of a target within [0, 1] under the sigmoid of a logit.",
    .metric = "log_loss",
    .op = CO_OP_POINTWISE_LOSS,
    .pointwise = CO_POINTWISE_BINARY,
    .number = true,
    .vector = true,
    .binary = true,
    .logit = true,
    .fields = fields,
    .options_size = sizeof(bce_options),
    .attributes = attributes,
    .elsewhere = elsewhere};
