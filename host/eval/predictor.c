// SPDX-License-Identifier: Apache-2.0
#include "host/eval/predictor.h"

#include "host/eval/blend.h"
#include "host/eval/network.h"

co_status co_predictor_open(co_predictor **out, co_context *ctx,
                            const co_predictor_options *options) {
  CO_RETURN_IF_FAILED(co_network_open(out, ctx, options));
  const co_node *blend = co_node_get((*out)->model->config, "blend");
  return blend && blend->kind == CO_NODE_SCALAR ? co_blend_open(out, *out, blend->text) : CO_OK;
}

void co_predictor_close(co_predictor *predictor) {
  if (predictor) predictor->class_->close(predictor);
}
