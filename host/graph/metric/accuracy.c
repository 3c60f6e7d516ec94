// SPDX-License-Identifier: Apache-2.0
#include "host/graph/metric/metric.h"

extern const co_metric_class co_metric_accuracy;
const co_metric_class co_metric_accuracy = {.name = "accuracy",
                                            .doc =
                                                "Share of rows whose best class is the true one.",
                                            .op = CO_OP_CATEGORICAL_HITS,
                                            .category = true,
                                            .higher_is_better = true};
