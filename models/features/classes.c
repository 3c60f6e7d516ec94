// SPDX-License-Identifier: Apache-2.0
#include "models/features/classes.h"

int64_t co_classes_rows(const co_input_feature *feature) {
  return 1 + feature->column->category_count + feature->column->new_classes;
}

co_status co_classes_declare(co_model *model, co_input_feature *feature) {
  const int64_t count = co_classes_rows(feature);
  const co_fitted array = {
      .name = "classes", .dtype = CO_I32, .shape = co_shape_make(1, count), .given = true};
  CO_RETURN_IF_FAILED(co_feature_declare(model, feature, &array, 1));
  int32_t *rows = co_feature_fitted(feature, "classes")->bytes;
  for (int64_t i = 0; i < count; i++)
    rows[i] = (int32_t)i; // of code i - 1
  return CO_OK;
}

co_status co_classes_check(const co_input_feature *feature, const void *values, int64_t rows,
                           const int64_t *samples, int64_t *counts) {
  const int32_t *code = values;
  (void)feature;
  (void)samples;
  for (int64_t i = 0; i < rows; i++)
    counts[CO_COUNT_MISSING] += code[i] < 0;
  return CO_OK;
}

co_status co_classes_describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  *dtype = CO_I32;
  *shape = co_shape_make(3, CO_DIM_N, CO_DIM_T(block->event_table), (int64_t)1);
  return CO_OK;
}

co_status co_classes_emit(co_section_builder *b, co_value *out) {
  co_value in[2];
  CO_RETURN_IF_FAILED(co_section_events(b, false, &in[CO_LOOKUP_x]));
  CO_RETURN_IF_FAILED(co_section_fitted(b, "classes", &in[CO_LOOKUP_map]));
  return co_emit(b->section->graph, CO_OP_LOOKUP, NULL, 2, in, out);
}
