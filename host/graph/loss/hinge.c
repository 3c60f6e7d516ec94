// SPDX-License-Identifier: Apache-2.0
#include "host/graph/loss/loss.h"

static const char *const elsewhere[] = {"Hinge", "svm", "hinge_loss", NULL};

extern const co_loss_class co_loss_hinge;
const co_loss_class co_loss_hinge = {
    .name = "hinge",
    .doc = "Distance to the right side of a margin; scores rank, but are no probabilities.",
    .metric = "hinge",
    .op = CO_OP_POINTWISE_LOSS,
    .pointwise = CO_POINTWISE_HINGE,
    .binary = true,
    .logit = true,
    .elsewhere = elsewhere};
