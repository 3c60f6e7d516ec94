// SPDX-License-Identifier: Apache-2.0
// A vector: a column of several numbers, each normalised by itself.
#include "models/features/numeric.h"

static co_status emit(co_section_builder *b, co_value *out) {
  CO_RETURN_IF_FAILED(co_section_rows(b, false, out));
  return co_numeric_emit(b, out);
}

static const co_input_class input = {.preprocessing = co_numeric_fields,
                                     .preprocessing_size = sizeof(co_numeric_options),
                                     .encoder = "passthrough",
                                     .declare = co_numeric_declare,
                                     .is_fitted = co_numeric_is_fitted,
                                     .fit = &co_numeric_fit,
                                     .check = co_numeric_check,
                                     .describe = co_numeric_describe,
                                     .emit = emit};

static int64_t width(const co_output_feature *output) {
  return output->column->shape.dim[0];
}

static char *cell_name(co_context *ctx, const co_output_feature *output, int64_t i) {
  return width(output) == 1 ? co_strdup(ctx, output->name)
                            : co_format(ctx, "%s_%lld", output->name, (long long)i);
}

static co_score_cell cell(const co_output_feature *output, const float *scores, int64_t i) {
  (void)output;
  return (co_score_cell){NULL, (double)scores[i]};
}

static const co_output_class output = {.loss = "mean_squared_error",
                                       .head = "value",
                                       .prediction = "prediction",
                                       .activation = CO_OP_COUNT,
                                       .target = CO_F32,
                                       .width = width,
                                       .cells = width,
                                       .cell_name = cell_name,
                                       .cell = cell};

extern const co_feature_class co_feature_vector;
const co_feature_class co_feature_vector = {.name = "vector",
                                            .doc = "Of type vector: several numbers in one column.",
                                            .columns = 1u << CO_COLUMN_VECTOR,
                                            .input = &input,
                                            .output = &output};
