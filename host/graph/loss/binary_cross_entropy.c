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

extern const co_loss_class co_loss_binary_cross_entropy;
const co_loss_class co_loss_binary_cross_entropy = {
    .name = "binary_cross_entropy",
    .doc = "Negative log likelihood of a target within [0, 1] under the sigmoid of a logit.",
    .metric = "log_loss",
    .op = CO_OP_BINARY_CROSS_ENTROPY,
    .number = true,
    .binary = true,
    .elsewhere = elsewhere};
