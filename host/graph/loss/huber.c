// SPDX-License-Identifier: Apache-2.0
#include "host/graph/loss/loss.h"

static const char *const elsewhere[] = {"Huber", "HuberLoss", "smooth_l1", "SmoothL1Loss", NULL};

typedef struct huber_options {
  double delta;
} huber_options;

static const co_field fields[] = {
    {"delta", CO_FIELD_DOUBLE, offsetof(huber_options, delta), "1.0", 1e-12, 1e12, NULL,
     "Difference from which on it grows linearly; with normalization: "
     "zscore in standard deviations, as what is reported is.",
     NULL},
    {.key = NULL}};

static co_status attributes(const void *options, co_op_attr *attr) {
  attr->delta = ((const huber_options *)options)->delta;
  return CO_OK;
}

extern const co_loss_class co_loss_huber;
const co_loss_class co_loss_huber = {
    .name = "huber",
    .doc = "Half the square of small differences, linear beyond delta.",
    .metric = "huber",
    .op = CO_OP_POINTWISE_LOSS,
    .pointwise = CO_POINTWISE_HUBER,
    .number = true,
    .vector = true,
    .fields = fields,
    .options_size = sizeof(huber_options),
    .attributes = attributes,
    .elsewhere = elsewhere};
