// SPDX-License-Identifier: Apache-2.0
// The preset `auto`: a network for a table, chosen by its schema and number of rows.
#ifndef COHORT_MODELS_PRESET_H
#define COHORT_MODELS_PRESET_H

#include "host/core/context.h"
#include "host/core/schema.h"

#ifdef __cplusplus
extern "C" {
#endif

// A whole config as YAML, the same as models/presets/shopper-mlp.yaml but for what depends on the
// numbers (the width of their layers) and on the rows (the batch).
co_status co_preset_auto(co_text *out, const co_schema *schema, int64_t training_rows);

#ifdef __cplusplus
}
#endif
#endif
