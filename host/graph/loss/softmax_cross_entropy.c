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

typedef struct softmax_options {
  double label_smoothing;
} softmax_options;

static const co_field fields[] = {
    {"label_smoothing", CO_FIELD_DOUBLE, offsetof(softmax_options, label_smoothing), "0.0", 0,
     0.999, NULL, "Share of a target that is spread over all classes.", NULL},
    {.key = NULL}};

static co_status attributes(const void *options, co_op_attr *attr) {
  attr->label_smoothing = ((const softmax_options *)options)->label_smoothing;
  return CO_OK;
}

extern const co_loss_class co_loss_softmax_cross_entropy;
const co_loss_class co_loss_softmax_cross_entropy = {
    .name = "softmax_cross_entropy",
    .doc = "Negative log likelihood of the true class under a softmax; of a text the mean over its "
           "tokens.",
    .metric = "log_loss",
    .op = CO_OP_SOFTMAX_CROSS_ENTROPY,
    .category = true,
    .text = true,
    .fields = fields,
    .options_size = sizeof(softmax_options),
    .attributes = attributes,
    .elsewhere = elsewhere};
