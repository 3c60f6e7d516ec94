// SPDX-License-Identifier: Apache-2.0
// Whole numbers from 0 on as rows of a table, as they are stored: words of texts, items, that another program
// has numbered.
#include <math.h>

#include "models/builder.h"

typedef struct index_options {
  int64_t size;
} index_options;

static const co_field preprocessing[] = {
    {"size", CO_FIELD_INT, offsetof(index_options, size), NULL, 1, 1 << 24, NULL,
     "Rows of the table: one more than the largest number.", NULL},
    {.key = NULL}};

static int64_t size_of(const co_input_feature *feature) {
  return ((const index_options *)feature->preprocessing)->size;
}

static int64_t table_rows(const co_input_block *block) {
  return size_of(&block->features[0]);
}

static bool is_index(const co_input_feature *feature, double value) {
  return value >= 0 && value < (double)size_of(feature) && value == floor(value);
}

// What is no index has been refused before (check); no table has a row -1.
static void derive(const void *user, const double *values, int64_t sample, void *out) {
  (void)sample;
  *(int32_t *)out = is_index(user, values[0]) ? (int32_t)values[0] : -1;
}

static void derive_row(const void *user, const float *values, void *out) {
  const co_input_feature *feature = user;
  for (int64_t i = 0; i < feature->derivation->width; i++)
    ((int32_t *)out)[i] = is_index(feature, (double)values[i]) ? (int32_t)values[i] : -1;
}

static co_status declare(co_model *model, co_input_feature *feature) {
  const bool row = feature->column->type == CO_COLUMN_VECTOR;
  const co_derivation made = {.dtype = CO_I32,
                              .width = co_shape_count(&feature->column->shape),
                              .derive = row ? NULL : derive,
                              .derive_row = row ? derive_row : NULL};
  return co_feature_derive(model, feature, &made);
}

static co_status check(const co_input_feature *feature, const void *values, int64_t rows,
                       const int64_t *samples, int64_t *counts) {
  const bool row = feature->column->type == CO_COLUMN_VECTOR;
  const int64_t width = feature->derivation->width;
  (void)counts;
  for (int64_t i = 0; i < rows * width; i++) {
    const double value = row ? (double)((const float *)values)[i] : ((const double *)values)[i];
    if (is_index(feature, value)) continue;
    co_status status =
        co_fail(CO_ERR_DATA, "column '%s', row %lld: %.9g is no whole number from 0 to %lld",
                feature->column->name, (long long)samples[i / width], value,
                (long long)size_of(feature) - 1);
    co_hint("its size is one more than the largest number");
    return status;
  }
  return CO_OK;
}

static co_status describe(const co_input_block *block, co_dtype *dtype, co_shape *shape) {
  *dtype = CO_I32;
  *shape = co_shape_make(2, CO_DIM_N, co_feature_width(&block->features[0]));
  return CO_OK;
}

static co_status emit(co_section_builder *builder, co_value *out) {
  return co_section_rows(builder, false, out);
}

static const co_input_class input = {.preprocessing = preprocessing,
                                     .preprocessing_size = sizeof(index_options),
                                     .encoder = "embedding",
                                     .table_rows = table_rows,
                                     .declare = declare,
                                     .check = check,
                                     .describe = describe,
                                     .emit = emit};

extern const co_feature_class co_feature_index;
const co_feature_class co_feature_index = {
    .name = "index",
    .doc = "Of type index: whole numbers from 0 on, each a row of a table.",
    .columns = 1u << CO_COLUMN_VECTOR | 1u << CO_COLUMN_NUMBER,
    .input = &input};
