// SPDX-License-Identifier: Apache-2.0
// A number: one column. Neighbouring numbers are fed as one block.
#include "models/features/numeric.h"

static const co_input_class input = {.preprocessing = co_numeric_fields,
                                     .preprocessing_size = sizeof(co_numeric_options),
                                     .encoder = "passthrough",
                                     .packs = true,
                                     .declare = co_numeric_declare,
                                     .is_fitted = co_numeric_is_fitted,
                                     .fit = &co_numeric_fit,
                                     .check = co_numeric_check,
                                     .describe = co_numeric_describe,
                                     .emit = co_numeric_emit_rows};

extern const co_feature_class co_feature_number;
const co_feature_class co_feature_number = {.name = "number",
                                            .doc = "Of type number: a number.",
                                            .columns = 1u << CO_COLUMN_NUMBER,
                                            .input = &input,
                                            .output = &co_numeric_output};
