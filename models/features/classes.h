// SPDX-License-Identifier: Apache-2.0
// Codes of events as rows of an array that has one for each class, behind row 0, which is nobody's. Rows are read
// without a further look, so which is whose is not left to files.
#ifndef COHORT_MODELS_FEATURES_CLASSES_H
#define COHORT_MODELS_FEATURES_CLASSES_H

#include "models/feature.h"

// Rows of arrays: of nobody, of the column's classes, and of its new ones.
int64_t co_classes_rows(const co_input_feature *feature);
co_status co_classes_declare(co_model *model, co_input_feature *feature);
co_status co_classes_check(const co_input_feature *feature, const void *values, int64_t rows,
                           const int64_t *samples, int64_t *counts);
co_status co_classes_describe(const co_input_block *block, co_dtype *dtype, co_shape *shape);
co_status co_classes_emit(co_section_builder *builder, co_value *out);

#endif
