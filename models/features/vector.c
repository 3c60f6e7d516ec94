// SPDX-License-Identifier: Apache-2.0
// A vector: a column of several numbers, each normalised by itself.
#include "models/features/numeric.h"

static const co_input_class input = {.preprocessing = co_numeric_fields,
                                     .preprocessing_size = sizeof(co_numeric_options),
                                     .encoder = "passthrough",
                                     .declare = co_numeric_declare,
                                     .is_fitted = co_numeric_is_fitted,
                                     .fit = &co_numeric_fit,
                                     .check = co_numeric_check,
                                     .describe = co_numeric_describe,
                                     .emit = co_numeric_emit_rows};

extern const co_feature_class co_feature_vector;
const co_feature_class co_feature_vector = {.name = "vector",
                                            .doc = "Of type vector: several numbers in one column.",
                                            .columns = 1u << CO_COLUMN_VECTOR,
                                            .input = &input,
                                            .output = &co_numeric_output};
