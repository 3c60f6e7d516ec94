// SPDX-License-Identifier: Apache-2.0
#include "host/eval/predictor.h"

#include "host/eval/network.h"

co_status co_predictor_open(co_predictor **out, co_context *ctx,
                            const co_predictor_options *options) {
  return co_network_open(out, ctx, options);
}

void co_predictor_close(co_predictor *predictor) {
  if (predictor) predictor->class_->close(predictor);
}
