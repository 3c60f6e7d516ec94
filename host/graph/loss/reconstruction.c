// SPDX-License-Identifier: Apache-2.0
#include "host/graph/loss/loss.h"

extern const co_loss_class co_loss_reconstruction;
const co_loss_class co_loss_reconstruction = {
    .name = "reconstruction",
    .doc = "Of a reconstruction of columns: squared errors of numbers, cross-entropies of classes; "
           "their mean over the inputs.",
    .metric = "reconstruction_error",
    .op = CO_OP_POINTWISE_LOSS,
    .pointwise = CO_POINTWISE_GIVEN};
