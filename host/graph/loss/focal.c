// SPDX-License-Identifier: Apache-2.0
#include "host/graph/loss/loss.h"

static const char *const elsewhere[] = {"focal_loss",
                                        "FocalLoss",
                                        "sigmoid_focal_loss",
                                        "binary_focal_crossentropy",
                                        "BinaryFocalCrossentropy",
                                        NULL};

typedef struct focal_options {
  double gamma, positive_weight, label_smoothing;
} focal_options;

static const co_field fields[] = {
    {"gamma", CO_FIELD_DOUBLE, offsetof(focal_options, gamma), "2.0", 0, 100, NULL,
     "How much rows that are easy count less.", NULL},
    {"positive_weight", CO_FIELD_DOUBLE, offsetof(focal_options, positive_weight), "1.0", 1e-6, 1e6,
     NULL, "Factor of the loss of positive rows.", "pos_weight"},
    {"label_smoothing", CO_FIELD_DOUBLE, offsetof(focal_options, label_smoothing), "0.0", 0, 0.999,
     NULL, "Share of a target that is spread over all classes.", NULL},
    {.key = NULL}};

static co_status attributes(const void *options, co_op_attr *attr) {
  const focal_options *o = options;
  attr->gamma = o->gamma;
  attr->positive_weight = o->positive_weight;
  attr->label_smoothing = o->label_smoothing;
  return CO_OK;
}

extern const co_loss_class co_loss_focal;
const co_loss_class co_loss_focal = {
    .name = "focal",
    .doc = "Cross-entropy of a binary target in which rows that are easy count less.",
    .metric = "focal",
    .op = CO_OP_POINTWISE_LOSS,
    .pointwise = CO_POINTWISE_BINARY,
    .number = true,
    .vector = true,
    .binary = true,
    .logit = true,
    .fields = fields,
    .options_size = sizeof(focal_options),
    .attributes = attributes,
    .elsewhere = elsewhere};
