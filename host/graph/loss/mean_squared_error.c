// SPDX-License-Identifier: Apache-2.0
#include "host/graph/loss/loss.h"

static const char *const elsewhere[] = {"mse", "MSE",           "mse_loss", "MeanSquaredError",
                                        "l2",  "squared_error", NULL};

extern const co_loss_class co_loss_mean_squared_error;
const co_loss_class co_loss_mean_squared_error = {.name = "mean_squared_error",
                                                  .doc = "Mean of squared differences.",
                                                  .metric = "mean_squared_error",
                                                  .op = CO_OP_POINTWISE_LOSS,
                                                  .pointwise = CO_POINTWISE_SQUARED,
                                                  .number = true,
                                                  .vector = true,
                                                  .degree = 2,
                                                  .elsewhere = elsewhere};
