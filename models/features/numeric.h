// SPDX-License-Identifier: Apache-2.0
// What features of numbers share: normalisation, per number or channel.
#ifndef COHORT_MODELS_FEATURES_NUMERIC_H
#define COHORT_MODELS_FEATURES_NUMERIC_H

#include "models/feature.h"

typedef enum co_normalization {
  CO_NORMALIZATION_NONE,
  CO_NORMALIZATION_ZSCORE, // fitted on training rows
  CO_NORMALIZATION_MINMAX, // to [0, 1]: fitted on training rows
  CO_NORMALIZATION_SCALE   // images: pixel / 255
} co_normalization;

// Begins every class's preprocessing options.
typedef struct co_numeric_options {
  int normalization; // co_normalization
} co_numeric_options;

// Fitted arrays "mean" and "scale" f32 (channels): x -> (x - mean) scale.
co_status co_numeric_declare(co_model *model, co_input_feature *feature);
bool co_numeric_is_fitted(const co_input_feature *feature);
// Statistics in double, over rows in ascending order.
extern const co_fit_class co_numeric_fit;
// NORMALIZE with the fitted arrays, where there is a normalisation.
co_status co_numeric_emit(co_section_builder *builder, co_value *value);
// f32 (N, …) as the column's rows; (N, C) for C scalars.
co_status co_numeric_describe(const co_input_block *block, co_dtype *dtype, co_shape *shape);

#endif
