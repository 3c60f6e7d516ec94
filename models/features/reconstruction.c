// SPDX-License-Identifier: Apache-2.0
// The reconstruction of an input, as an autoencoder's output: its target is what that input feeds
// to the network, and no column.
#include "models/features/numeric.h"

extern const co_feature_class co_feature_reconstruction;
const co_feature_class co_feature_reconstruction = {
    .name = "reconstruction",
    .doc = "An input as the network gives it back (`of:` that input): an autoencoder.",
    .metric = "mse",
    .output = &co_numeric_output};
