// SPDX-License-Identifier: Apache-2.0
#include "host/eval/predictor.h"

#include "host/eval/blend.h"
#include "host/eval/network.h"

// A baseline has scores of the training's items alone.
static co_status refuse_new_items(co_predictor **out, const char *blend) {
  co_status status = co_fail_at(
      CO_ERR_MODEL, (*out)->path, 0, 0,
      "it is blended with %.40s, which has no scores of the new items in the table given", blend);
  co_hint("leave out --source of the items, or train without `blend`");
  co_predictor_close(*out);
  *out = NULL;
  return status;
}

co_status co_predictor_open(co_predictor **out, co_context *ctx,
                            const co_predictor_options *options) {
  CO_RETURN_IF_FAILED(co_network_open(out, ctx, options));
  const co_node *blend = co_node_get((*out)->model->config, "blend");
  const bool blended = blend && blend->kind == CO_NODE_SCALAR;
  if (blended && options->new_classes && options->new_classes->target)
    return refuse_new_items(out, blend->text);
  return blended ? co_blend_open(out, *out, blend->text) : CO_OK;
}

void co_predictor_close(co_predictor *predictor) {
  if (predictor) predictor->class_->close(predictor);
}
