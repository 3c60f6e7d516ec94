// SPDX-License-Identifier: Apache-2.0
#include "host/graph/loss/loss.h"

static const char *const elsewhere[] = {"cross_entropy",
                                        "crossentropy",
                                        "ce",
                                        "CrossEntropyLoss",
                                        "categorical_crossentropy",
                                        "sparse_categorical_crossentropy",
                                        "CategoricalCrossentropy",
                                        "SparseCategoricalCrossentropy",
                                        "log_loss",
                                        "nll_loss",
                                        "softmax",
                                        NULL};

extern const co_loss_class co_loss_softmax_cross_entropy;
const co_loss_class co_loss_softmax_cross_entropy = {
    .name = "softmax_cross_entropy",
    .doc = "Negative log likelihood of the true class under a softmax.",
    .metric = "log_loss",
    .op = CO_OP_SOFTMAX_CROSS_ENTROPY,
    .category = true,
    .elsewhere = elsewhere};
