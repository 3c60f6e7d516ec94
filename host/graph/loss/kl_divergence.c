// SPDX-License-Identifier: Apache-2.0
#include "host/graph/loss/loss.h"

extern const co_loss_class co_loss_kl_divergence;
const co_loss_class co_loss_kl_divergence = {
    .name = "kl_divergence",
    .doc =
        "Of a variational bottleneck, beside the loss of what is given back: how far its numbers "
        "are from standard normal ones.",
    .metric = "kl",
    .op = CO_OP_POINTWISE_LOSS,
    .pointwise = CO_POINTWISE_GIVEN};
