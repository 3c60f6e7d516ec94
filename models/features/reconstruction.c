// SPDX-License-Identifier: Apache-2.0
// The reconstruction of an input, as an autoencoder's output: its target is what that input feeds
// to the network, and no column.
#include "models/feature.h"

static int64_t width(const co_output_feature *output) {
  return output->width;
}

static char *cell_name(co_context *ctx, const co_output_feature *output, int64_t i) {
  return co_format(ctx, "%s_%lld", output->name, (long long)i);
}

static co_score_cell cell(const co_output_feature *output, const float *scores, int64_t i) {
  (void)output;
  return (co_score_cell){NULL, (double)scores[i]};
}

static const co_output_class output = {.loss = "mean_squared_error",
                                       .metric = "mse",
                                       .head = "value",
                                       .prediction = "prediction",
                                       .activation = CO_OP_COUNT,
                                       .target = CO_F32,
                                       .width = width,
                                       .cells = width,
                                       .cell_name = cell_name,
                                       .cell = cell};

extern const co_feature_class co_feature_reconstruction;
const co_feature_class co_feature_reconstruction = {
    .name = "reconstruction",
    .doc = "An input as the network gives it back (`of:` that input): an autoencoder.",
    .output = &output};
