// SPDX-License-Identifier: Apache-2.0
// The preset `auto`: a network for a table, for event logs or for images, chosen by the schema and the
// number of rows.
#ifndef COHORT_MODELS_PRESET_H
#define COHORT_MODELS_PRESET_H

#include "host/core/context.h"
#include "host/core/schema.h"

#ifdef __cplusplus
extern "C" {
#endif

// A whole config as YAML. Of a table it is the same as models/presets/shopper-mlp.yaml but for what
// depends on the numbers (the width of their layers) and on the rows (the batch); where there are
// images it is as product-cnn.yaml, else where there are events as purchase-lstm.yaml, or, to choose from
// many items, as next-item-attention.yaml.
co_status co_preset_auto(co_text *out, const co_schema *schema, int64_t training_rows);

#ifdef __cplusplus
}
#endif
#endif
