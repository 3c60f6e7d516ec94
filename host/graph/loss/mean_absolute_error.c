// SPDX-License-Identifier: Apache-2.0
#include "host/graph/loss/loss.h"

static const char *const elsewhere[] = {
    "mae", "MAE", "L1Loss", "MeanAbsoluteError", "l1", "absolute_error", NULL};

extern const co_loss_class co_loss_mean_absolute_error;
const co_loss_class co_loss_mean_absolute_error = {.name = "mean_absolute_error",
                                                   .doc = "Mean of absolute differences.",
                                                   .metric = "mae",
                                                   .op = CO_OP_POINTWISE_LOSS,
                                                   .pointwise = CO_POINTWISE_ABSOLUTE,
                                                   .number = true,
                                                   .vector = true,
                                                   .degree = 1,
                                                   .elsewhere = elsewhere};
